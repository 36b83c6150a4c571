package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"parley/portal/alert"
)

// pastFile says how the last server with this data directory has ended.
const pastFile = "past.json"

// life is what stands in it.
type life struct {
	PID     int       `json:"pid"`
	Boot    string    `json:"boot,omitempty"` // which start of the machine it was in
	Started time.Time `json:"started"`
	Ended   bool      `json:"ended"`           // as it was to
	Fault   string    `json:"fault,omitempty"` // why it ended by itself

	Crashes int         `json:"crashes"`          // before it, that nobody was told of
	Detail  string      `json:"detail,omitempty"` // of the last of them
	Told    []time.Time `json:"told,omitempty"`   // when somebody was told of some, the last few
}

// How often it is told that the server was started after a crash: so many times in a row, then once in an hour.
const (
	crashesAtOnce = 4
	crashesEvery  = time.Hour
)

// past knows how the last process has ended, and notes how this one does. A nil one notes nothing.
type past struct {
	data  *dataDir
	fault error // why the server ends by itself; set before end

	mu      sync.Mutex // guards what follows, and the file
	before  []byte     // the file before this process; nil: there was none
	now     life
	serving bool
}

// past reads how the last process has ended, and notes that this one runs. Telling: somebody is told of crashes.
func (d *dataDir) past(telling bool) (*past, error) {
	text, _ := os.ReadFile(d.file(pastFile))
	p := &past{data: d, before: text}
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	p.now = life{PID: os.Getpid(), Boot: strings.TrimSpace(string(boot)), Started: time.Now().UTC().Truncate(time.Second)}
	var last life
	if telling && json.Unmarshal(text, &last) == nil && last.PID != 0 { // a file that is damaged says nothing
		p.now.Crashes, p.now.Detail, p.now.Told = last.Crashes, last.Detail, last.Told
		if !last.Ended {
			p.now.Crashes++
			p.now.Detail = last.end(p.now.Boot)
		}
	}
	return p, p.save()
}

// end says how a server has ended that did not end as it was to. Boot is the present start of the machine.
func (l *life) end(boot string) string {
	how := "ended without a word"
	switch {
	case l.Fault != "":
		how = "ended by itself: " + l.Fault
	case l.Boot != boot:
		how = "ended with the machine"
	}
	return fmt.Sprintf("process %d, which was started at %s, %s", l.PID, l.Started.Format(time.RFC3339), how)
}

// save writes the file. Called with mu held, or by who alone has it.
func (p *past) save() error {
	text, _ := json.MarshalIndent(p.now, "", "\t")
	return writeFile(p.data.file(pastFile), append(text, '\n'), 0o600)
}

// started notes that the server serves.
func (p *past) started() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serving = true
}

// end notes that the server has ended, as it was to or by the fault. One that has never served leaves things as they were.
func (p *past) end() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.serving && p.before == nil:
		os.Remove(p.data.file(pastFile))
		return
	case !p.serving:
		writeFile(p.data.file(pastFile), p.before, 0o600)
		return
	case p.fault != nil:
		p.now.Fault = p.fault.Error()
	default:
		p.now.Ended = true
	}
	p.save()
}

// tell tells of a crash, if there was one, and waits until it may.
func (p *past) tell(ctx context.Context, to *alert.Service) {
	p.mu.Lock()
	now := p.now
	p.mu.Unlock()
	if now.Crashes == 0 {
		return
	}
	select {
	case <-ctx.Done():
		return
	case <-time.After(now.wait(time.Now())):
	}
	detail := now.Detail
	if now.Crashes > 1 {
		detail = fmt.Sprintf("%d times since this was last told: %s", now.Crashes, detail)
	}
	to.Tell(alert.Crash, detail, p.told)
}

// wait is how long it is until a crash may be told.
func (l *life) wait(now time.Time) time.Duration {
	n := len(l.Told)
	if n < crashesAtOnce || now.Sub(l.Told[n-crashesAtOnce]) > crashesAtOnce*crashesEvery {
		return 0
	}
	return min(max(0, crashesEvery-now.Sub(l.Told[n-1])), crashesEvery) // clocks are set
}

// told notes that somebody was told.
func (p *past) told() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now.Crashes, p.now.Detail = 0, ""
	p.now.Told = append(p.now.Told, time.Now().UTC().Truncate(time.Second))
	p.now.Told = p.now.Told[max(0, len(p.now.Told)-crashesAtOnce):]
	p.save()
}
