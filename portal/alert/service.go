package alert

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"parley/internal/event"
	"parley/portal/report"
)

// Kind is a kind of condition, by what is told when it comes and when it is over.
type Kind struct {
	Bad  string
	Good string // "": that is not told
}

// The kinds of conditions.
var (
	Database = Kind{"database lost", "database back"}
	Bridge   = Kind{"bridge died", "bridge restarted"}
	ICE      = Kind{"ICE server lost", "ICE server back"}
	Report   = Kind{"report failed", ""}
	connects = Kind{"ICE server does not connect clients", ""}
)

// Crash is what is told of a server that was started after a crash. It is no condition.
const Crash = "started after a crash"

// Options are what New leaves to the caller.
type Options struct {
	Domain   string
	Mail     report.Config // the mail server
	Recorder *event.Recorder
	Log      *slog.Logger // nil: nothing is logged
}

// Service mails alerts. It is safe for concurrent use; a nil one mails nothing.
type Service struct {
	cfg           Config
	o             Options
	host, process string
	post          func(ctx context.Context, l report.Letter) error

	news chan struct{} // of length 1: there is something in the queue

	mu      sync.Mutex // guards what follows
	gate    gate
	reports map[string]*window
	queue   []letter
}

// letter is an alert that waits.
type letter struct {
	report.Letter
	kind string
	done func() // called when it is mailed; nil: nobody asks
}

// queueMost is how many alerts wait at most. The gate lets far fewer through while one is tried.
const queueMost = 100

// New returns a service; nil where nobody is to be told.
func New(cfg Config, o Options) *Service {
	if len(cfg.To) == 0 {
		return nil
	}
	host, err := os.Hostname()
	if err != nil {
		host = o.Domain
	}
	s := &Service{
		cfg: cfg, o: o, host: event.Clean(host), process: fmt.Sprintf("parley serve, process %d, of %s", os.Getpid(), o.Domain),
		news: make(chan struct{}, 1), gate: newGate(), reports: make(map[string]*window),
	}
	s.post = func(ctx context.Context, l report.Letter) error { return o.Mail.Post(ctx, o.Domain, l) }
	return s
}

// Set says how a condition is: bad or good. Subject is what it is of where there are several, such as an ICE server. Only a change is told.
func (s *Service) Set(kind Kind, subject string, bad bool, detail string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(kind, subject, bad, detail, time.Now())
}

// Forget takes that there is no such thing any more: nothing is told, and the next time that it is bad is a change.
func (s *Service) Forget(kind Kind, subject string) { s.Set(Kind{Bad: kind.Bad}, subject, false, "") }

// set is Set with mu held.
func (s *Service) set(kind Kind, subject string, bad bool, detail string, now time.Time) {
	text := kind.Bad
	if !bad {
		text = kind.Good
	}
	c := change{key: key{kind.Bad, subject}, text: text, detail: about(subject, detail), at: now}
	switch s.gate.take(c, bad, text == "") {
	case tell:
		s.write(text, text, c.detail, now, nil)
	case hold:
		s.o.Recorder.Count("alert.hold")
	case dropped:
		s.o.Recorder.Count(lost)
	}
}

// Tell tells of something that is no condition, and that the caller keeps rare. Done, which may be nil, is called when it is mailed.
func (s *Service) Tell(kind, detail string, done func()) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write(kind, kind, about("", detail), time.Now(), done)
}

// about is a detail, as it may stand in a mail.
func about(subject, detail string) string {
	detail = event.Clean(strings.Join(strings.Fields(detail), " "))
	switch {
	case subject == "":
		return detail
	case detail == "":
		return event.Clean(subject)
	}
	return event.Clean(subject) + ": " + detail
}

// write puts an alert into the queue. Called with mu held.
func (s *Service) write(kind, subject, detail string, at time.Time, done func()) {
	if len(s.queue) >= queueMost {
		s.o.Recorder.Count(lost)
		return
	}
	text := "host:    " + s.host + "\nprocess: " + s.process + "\nkind:    " + kind + "\ndetail:  " + detail + "\ntime:    " + at.UTC().Format(time.RFC3339) + "\n"
	s.queue = append(s.queue, letter{report.Letter{ID: "alert." + rand.Text(), To: s.cfg.To, Subject: s.host + ": " + subject, Text: text, Time: at}, kind, done})
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// lost counts what is not told.
const lost = "alert.lost"

// gather puts what was held back into the queue, when it is time.
func (s *Service) gather(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calm(now)
	list := s.gate.due(now)
	if len(list) == 0 {
		return
	}
	var lines strings.Builder
	fmt.Fprintf(&lines, "these changed too often to be told one by one; this is how they are now")
	for _, h := range list {
		fmt.Fprintf(&lines, "\n  %s, %d changes, the last at %s", h.text, h.many, h.at.UTC().Format(time.RFC3339))
		if h.detail != "" {
			lines.WriteString(": " + h.detail)
		}
	}
	s.write("changes that were held back", fmt.Sprintf("changes of %d conditions", len(list)), lines.String(), now, nil)
}
