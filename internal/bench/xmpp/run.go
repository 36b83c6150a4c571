// Package xmpp measures XMPP servers: what they use per stanza, per delivery in a room, per join, per call set-up, per
// login and per idle session. It treats every server alike, starts each afresh for each measurement where it may,
// goes through the servers in turn (A B C, A B C, A B C) so that what else happens on the machine hits all of them,
// reads the server's processor time from /proc, and reports medians. Everything that is sent is waited for: what is
// lost, out of order or refused is an error in the table.
package xmpp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"parley/internal/bench"
)

// Options say what is measured. The zero value of a number is replaced by the default of its tag by kong, or by Defaults.
type Options struct {
	With     []string      `help:"servers to start: prosody, prosody-tuned, ejabberd, ejabberd-tuned, parley, parley-archive, prosody-archive, ejabberd-archive (with archives of accounts)" default:"prosody,prosody-tuned,ejabberd,parley" sep:","`
	Server   []string      `help:"running server NAME=pid:N,plain:HOST:PORT,tls:HOST:PORT,domain:D,muc:D,users:N,password:P with its limits off and accounts u0, u1..." sep:"none" json:"-"`
	Work     []string      `help:"what to measure: message, message-tls, message-resume, s2s, room, presence, join, full, call, login, login-sha256, login-fast, idle, idle-tls, idle-resume, aged, archive-page (of servers with archives)" default:"message,message-tls,message-resume,s2s,room,presence,join,full,call,login,login-sha256,login-fast,idle,idle-tls,idle-resume,aged" sep:","`
	Rounds   int           `help:"how often; medians are shown" default:"3"`
	Warm     time.Duration `help:"how long a load runs before it is measured" default:"1s"`
	Duration time.Duration `help:"how long it is measured" default:"3s"`
	Patience time.Duration `help:"how long what was sent may be on its way" default:"10s"`
	Settle   time.Duration `help:"how long idle sessions are left alone before memory is read" default:"5s"`

	Pairs     int `help:"1:1: pairs that talk" default:"50"`
	Window    int `help:"1:1: messages on their way in a pair" default:"16"`
	Occupants int `help:"room: people in it" default:"100"`
	Speakers  int `help:"room: people who speak, each again when all have heard" default:"16"`
	Joiners   int `help:"join: people who come at once" default:"500"`
	Calls     int `help:"call: pairs that call at a time" default:"20"`
	Idle      int `help:"idle: sessions" default:"2000"`
	Crowd     int `help:"aged: idle sessions" default:"10000"`
	Churn     int `help:"aged: sessions that have come and gone" default:"2000"`

	Archived int `help:"archive-page: messages in the archive" default:"100000"`

	Accounts int    `help:"accounts that servers are prepared with" default:"500"`
	JSON     string `help:"file to write everything measured to" type:"path"`
	Keep     string `help:"folder for the servers' data, kept; default: a temporary one" type:"path"`

	Binary   string                    `kong:"-" json:"-"` // the parley that is started; empty: this program
	Scan     func(stanza []byte) error `kong:"-" json:"-"` // reads a stanza as the server does; nil: not measured
	Progress io.Writer                 `kong:"-" json:"-"` // lines on long work; nil: none
}

// workload is a way to load a server.
type workload struct {
	name string
	run  func(b *bout) error
}

var workloads = []workload{
	{"message", func(b *bout) error { return b.messages("1:1 of 200 B", plain) }},
	{"message-tls", func(b *bout) error { return b.messages("1:1 of 200 B, TLS", overTLS) }},
	{"message-resume", func(b *bout) error { return b.messages("1:1 of 200 B, XEP-0198", resumable) }},
	{"s2s", (*bout).abroad},
	{"room", (*bout).roomMessages},
	{"presence", (*bout).roomPresence},
	{"join", (*bout).joins},
	{"full", (*bout).fullRoom},
	{"call", (*bout).callSetups},
	{"login", func(b *bout) error { return b.logins("SCRAM-SHA-1") }},
	{"login-sha256", func(b *bout) error { return b.logins("SCRAM-SHA-256") }},
	{"login-fast", (*bout).fastLogins},
	{"idle", func(b *bout) error { return b.idle("idle session", plain) }},
	{"idle-tls", func(b *bout) error { return b.idle("idle session, TLS", overTLS) }},
	{"idle-resume", func(b *bout) error { return b.idle("idle session, XEP-0198", resumable) }},
	{"aged", (*bout).age},
	{"archive-page", (*bout).archivePages},
}

// contender is a server in the run: a peer that is started for each bout, or one that runs.
type contender struct {
	name    string
	peer    *bench.Peer
	dir     string
	running *bench.Server
}

// Measurement is a figure, or what prevented it.
type Measurement struct {
	Figure
	Server   string `json:"server"`
	Workload string `json:"workload"`
	Round    int    `json:"round"`
	Error    string `json:"error,omitempty"`
}

// Report is what a run measured.
type Report struct {
	Started time.Time     `json:"started"`
	CPUs    int           `json:"cpus"`
	Kernel  string        `json:"kernel"`
	Options *Options      `json:"options"`
	All     []Measurement `json:"measurements"`
	Scans   []ScanCost    `json:"scans,omitempty"`
}

// Run measures and writes the table to w. It fails when it cannot measure at all; a server that fails at a workload is
// shown in the table, and makes Run return an error after it. When the context ends, the table has what was measured
// until then.
func Run(ctx context.Context, o Options, w io.Writer) error {
	r, err := measure(ctx, o)
	if err != nil && (r == nil || len(r.All) == 0) {
		return err
	}
	if err := r.Write(w); err != nil {
		return err
	}
	if o.JSON != "" {
		b, err := json.MarshalIndent(r, "", "\t")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.JSON, append(b, '\n'), 0o644); err != nil {
			return err
		}
	}
	if n := r.faults(); n > 0 {
		err = errors.Join(err, fmt.Errorf("%d measurements failed or lost something", n))
	}
	return err
}

// measure measures. When the context ends, it returns what it has.
func measure(ctx context.Context, o Options) (*Report, error) {
	var todo []workload
	for _, name := range o.Work {
		i := slices.IndexFunc(workloads, func(w workload) bool { return w.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no workload is named %q", name)
		}
		todo = append(todo, workloads[i])
	}
	need := uint64(2*max(o.Idle, o.Crowd, 2*o.Pairs, o.Joiners) + 1000)
	if got, err := bench.RaiseFiles(need); err != nil || got < need/2 {
		return nil, fmt.Errorf("%d open files are allowed and %d are needed (ulimit -n): %v", got, need/2, err)
	}
	dir := o.Keep
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "bench-xmpp-"); err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
	}
	contenders, err := o.contenders(ctx, dir)
	if err != nil {
		return nil, err
	}
	r := &Report{Started: time.Now().UTC(), CPUs: runtime.NumCPU(), Kernel: kernel(), Options: &o}
	if o.Scan != nil {
		if r.Scans, err = scanCosts(o.Scan); err != nil {
			return nil, err
		}
	}
	for round := 1; round <= o.Rounds; round++ {
		for _, work := range todo {
			for _, c := range contenders {
				figures, err := c.bout(ctx, &o, work)
				if ctx.Err() != nil {
					return r, ctx.Err()
				}
				for _, f := range figures {
					r.All = append(r.All, Measurement{Figure: f, Server: c.name, Workload: work.name, Round: round})
					o.say("%d/%d %s %s: %s %s", round, o.Rounds, c.name, f.Row, bench.Number(f.Value), f.Unit)
				}
				if err != nil {
					r.All = append(r.All, Measurement{Server: c.name, Workload: work.name, Round: round, Error: err.Error()})
					o.say("%d/%d %s %s: %v", round, o.Rounds, c.name, work.name, err)
				}
			}
		}
	}
	return r, nil
}

func (o *Options) users() bench.Users {
	return bench.Users{Count: o.Accounts, Password: bench.DefaultUsers.Password}
}

func (o *Options) say(format string, args ...any) {
	if o.Progress != nil {
		fmt.Fprintf(o.Progress, time.Now().Format("15:04:05 ")+format+"\n", args...)
	}
}

// contenders prepares the peers and reads the descriptions of the others.
func (o *Options) contenders(ctx context.Context, dir string) ([]contender, error) {
	peers := map[string]func() bench.Peer{
		"prosody":          func() bench.Peer { return bench.Prosody(false, false) },
		"prosody-tuned":    func() bench.Peer { return bench.Prosody(true, false) },
		"prosody-archive":  func() bench.Peer { return bench.Prosody(true, true) },
		"ejabberd":         func() bench.Peer { return bench.Ejabberd(false, false) },
		"ejabberd-tuned":   func() bench.Peer { return bench.Ejabberd(true, false) },
		"ejabberd-archive": func() bench.Peer { return bench.Ejabberd(true, true) },
		"parley":           func() bench.Peer { return bench.Parley(o.Binary, false) },
		"parley-archive":   func() bench.Peer { return bench.Parley(o.Binary, true) },
	}
	var out []contender
	for _, name := range o.With {
		f, ok := peers[name]
		if !ok {
			return nil, fmt.Errorf("no server is named %q", name)
		}
		p := f()
		c := contender{name: name, peer: &p, dir: filepath.Join(dir, name)}
		if err := os.MkdirAll(c.dir, 0o700); err != nil {
			return nil, err
		}
		mark := filepath.Join(c.dir, "prepared")
		if _, err := os.Stat(mark); err != nil {
			o.say("preparing %s", name)
			if err := p.Prepare(ctx, c.dir, o.users()); err != nil {
				return nil, fmt.Errorf("preparing %s: %w; --with chooses the servers", name, err)
			}
			if err := os.WriteFile(mark, nil, 0o600); err != nil {
				return nil, err
			}
		}
		out = append(out, c)
	}
	for _, spec := range o.Server {
		s, err := bench.ParseServer(spec)
		if err != nil {
			return nil, err
		}
		out = append(out, contender{name: s.Name, running: s})
	}
	if len(out) == 0 {
		return nil, errors.New("no server to measure")
	}
	return out, nil
}

// bout runs one workload on a fresh process of a peer, or on the server that runs.
func (c *contender) bout(ctx context.Context, o *Options, work workload) ([]Figure, error) {
	srv := c.running
	if srv == nil {
		var err error
		if srv, err = c.peer.Start(ctx, c.dir, o.users()); err != nil {
			return nil, err
		}
		defer srv.Stop()
	}
	if strings.HasSuffix(work.name, "tls") && srv.TLS == "" || strings.HasPrefix(work.name, "login") && srv.TLS == "" {
		return nil, nil
	}
	b := newBout(ctx, o, srv)
	defer b.close()
	err := work.run(b)
	if err == nil {
		select {
		case <-b.failed: // after the last look
			err = b.fault
		default:
		}
	}
	return b.figures, err
}

func kernel() string {
	b, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(b))
}

// Defaults are the options that kong makes of the tags.
func Defaults() Options {
	var o Options
	v := reflect.ValueOf(&o).Elem()
	for i := range v.NumField() {
		text, f := v.Type().Field(i).Tag.Get("default"), v.Field(i)
		switch p := f.Addr().Interface().(type) {
		case *int:
			fmt.Sscan(text, p)
		case *time.Duration:
			*p, _ = time.ParseDuration(text)
		case *[]string:
			if text != "" {
				*p = strings.Split(text, ",")
			}
		}
	}
	return o
}
