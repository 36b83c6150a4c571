package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/event"
	"parley/portal/report"
)

// box takes letters in place of a mail server.
type box struct {
	mu      sync.Mutex // guards what follows
	away    bool
	tries   int
	letters []report.Letter
}

func (b *box) post(_ context.Context, l report.Letter) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tries++
	if b.away {
		return errors.New("nobody is there")
	}
	b.letters = append(b.letters, l)
	return nil
}

func (b *box) set(away bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away = away
}

// subjects are those of the letters, without the host.
func (b *box) subjects() (list []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.letters {
		_, subject, _ := strings.Cut(l.Subject, ": ")
		list = append(list, subject)
	}
	return list
}

// counts are the events that were counted.
type counts struct{ *prometheus.Registry }

func (c counts) of(t testing.TB, name string) (n float64) {
	t.Helper()
	all, err := c.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range all {
		for _, m := range family.Metric {
			if m.Label[0].GetValue() == name {
				n += m.Counter.GetValue()
			}
		}
	}
	return n
}

// bubble runs a test with a service that mails to a box, under a clock of its own.
func bubble(t *testing.T, test func(t *testing.T, s *Service, b *box, c counts)) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Defaults()
		cfg.To = []string{"ann@example.org"}
		c := counts{prometheus.NewRegistry()}
		s := New(cfg, Options{Domain: "meet.example", Recorder: event.New(slog.New(slog.DiscardHandler), c.Registry, false)})
		b := new(box)
		s.post = b.post
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { s.Run(ctx) })
		test(t, s, b, c)
		cancel()
		group.Wait()
	})
}

func wants(t testing.TB, b *box, want ...string) {
	t.Helper()
	synctest.Wait()
	if got := b.subjects(); strings.Join(got, "; ") != strings.Join(want, "; ") {
		t.Errorf("mailed: %q, want %q", got, want)
	}
}

// A condition is told when it comes and when it is over, and not in between.
func TestR29OneMailForEachChange(t *testing.T) {
	bubble(t, func(t *testing.T, s *Service, b *box, c counts) {
		s.Set(Database, "", false, "")
		for range 60 {
			s.Set(Database, "", true, "connection refused\nSubject: \x01 spam")
			time.Sleep(time.Minute)
		}
		s.Set(ICE, "192.0.2.1", true, "no report for 30s")
		s.Set(ICE, "192.0.2.2", true, "no report for 30s")
		s.Set(Database, "", false, "")
		s.Set(Database, "", false, "")
		s.Tell(Crash, "process 4711", nil)
		wants(t, b, "database lost", "ICE server lost", "ICE server lost", "database back", "started after a crash")
		first := b.letters[0]
		lines := strings.Split(first.Text, "\n")
		if len(lines) != 6 || !strings.HasPrefix(lines[0], "host:    ") || !strings.Contains(lines[1], " of meet.example") || lines[2] != "kind:    database lost" ||
			lines[3] != `detail:  "connection refused Subject: \x01 spam"` || lines[4] != "time:    2000-01-01T00:00:00Z" {
			t.Errorf("%q", lines)
		}
		if first.ID == "" || first.ID == b.letters[1].ID || fmt.Sprint(first.To) != "[ann@example.org]" || !strings.Contains(b.letters[1].Text, "192.0.2.1: no report for 30s") {
			t.Errorf("%+v", b.letters)
		}
	})
}

// A condition that goes to and fro for two days fills no mailbox, and another one is told beside it.
func TestR29AFlappingConditionIsGathered(t *testing.T) {
	bubble(t, func(t *testing.T, s *Service, b *box, c counts) {
		const days = 2
		for i := range days * 24 * 60 * 4 {
			s.Set(Database, "", i%2 == 0, "")
			time.Sleep(15 * time.Second)
		}
		synctest.Wait()
		got := b.subjects()
		if want := "database lost; database back; database lost; database back; changes of 1 conditions"; !strings.HasPrefix(strings.Join(got, "; "), want) {
			t.Errorf("%q", got[:5])
		}
		if n := len(got); n < 24*days || n > 4+2*24*days {
			t.Errorf("%d mails", n)
		}
		if !strings.Contains(b.letters[4].Text, "\n  database lost, 41 changes, the last at ") || c.of(t, "alert.hold") == 0 {
			t.Errorf("%q", b.letters[4].Text)
		}
		s.Set(Bridge, "", true, "")
		synctest.Wait()
		if after := b.subjects(); after[len(after)-1] != "bridge died" {
			t.Errorf("%q", after[len(got):])
		}
		time.Sleep(2 * time.Hour) // how it is in the end is told
		synctest.Wait()
		if last := b.letters[len(b.letters)-1].Text; !strings.Contains(last, "database back, ") {
			t.Errorf("%q", last)
		}
		before := len(b.subjects())
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if n := len(b.subjects()); n != before {
			t.Errorf("%d mails of nothing", n-before)
		}
	})
}

// A thousand conditions at once, and all of them to and fro, are a bounded number of mails, and a bounded memory.
func TestR29ManyConditionsAreGathered(t *testing.T) {
	bubble(t, func(t *testing.T, s *Service, b *box, c counts) {
		for round := range 24 * 6 {
			for i := range 1000 {
				s.Set(ICE, fmt.Sprint(i), round%2 == 0, "")
			}
			time.Sleep(10 * time.Minute)
		}
		synctest.Wait()
		if n := len(b.subjects()); n > 84 {
			t.Errorf("%d mails", n)
		}
		all := false
		for _, l := range b.letters {
			all = all || strings.Count(l.Text, "\n  ICE server ") >= 900
		}
		if !all {
			t.Error("there is no mail with all that are lost")
		}
		for i := range 10_000 {
			s.Set(ICE, fmt.Sprint("other ", i), true, "")
		}
		if len(s.gate.conditions) > conditionsMost || c.of(t, "alert.lost") == 0 {
			t.Errorf("%d conditions", len(s.gate.conditions))
		}
	})
}

// While the mail server is away an alert is tried again, and told in order when it is back; after Keep it is given up, and counted.
func TestR29TheMailServerIsAway(t *testing.T) {
	bubble(t, func(t *testing.T, s *Service, b *box, c counts) {
		b.set(true)
		s.Set(Database, "", true, "")
		time.Sleep(50 * time.Minute)
		done := 0
		s.Tell(Crash, "", func() { done++ })
		s.Set(Bridge, "", true, "")
		time.Sleep(20 * time.Minute)
		wants(t, b)
		if n := c.of(t, "alert.lost"); n != 1 || b.tries < 100 || b.tries > 150 {
			t.Errorf("%v given up, %d tries", n, b.tries)
		}
		b.set(false)
		time.Sleep(time.Minute)
		wants(t, b, "started after a crash", "bridge died")
		if done != 1 {
			t.Errorf("told of it %d times", done)
		}
		s.Set(Database, "", false, "")
		wants(t, b, "started after a crash", "bridge died", "database back")
	})
}

// More reports than may be within five minutes are one mail, until there are fewer for a while.
func TestR29ReportsOnOneServer(t *testing.T) {
	bubble(t, func(t *testing.T, s *Service, b *box, c counts) {
		some := func(server string, n int) {
			for range n {
				s.Reported(server)
			}
		}
		some("192.0.2.1", 10)
		some("192.0.2.2", 10)
		time.Sleep(within)
		some("192.0.2.1", 10) // those before are too old
		wants(t, b)
		some("192.0.2.1", 1)
		wants(t, b, "ICE server does not connect clients")
		some("192.0.2.1", 100)
		time.Sleep(within / 2)
		some("192.0.2.1", 100)
		wants(t, b, "ICE server does not connect clients")
		if !strings.Contains(b.letters[0].Text, "192.0.2.1: more than 10 reports") {
			t.Errorf("%q", b.letters[0].Text)
		}
		time.Sleep(within + time.Minute)
		if n := s.servers(); n != 0 {
			t.Errorf("%d servers are remembered", n)
		}
		some("192.0.2.1", 11)
		wants(t, b, "ICE server does not connect clients", "ICE server does not connect clients")
		for i := range 2 * serversMost {
			s.Reported(fmt.Sprint(i))
		}
		if n := s.servers(); n > serversMost {
			t.Errorf("%d servers", n)
		}
	})
}

// servers is of how many ICE servers reports are remembered.
func (s *Service) servers() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.reports)
}

// A mail server that takes the connection and says nothing holds neither who tells nor who stops.
func TestR29ASilentMailServerHoldsNobody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	came := make(chan net.Conn, 1)
	go func() {
		if c, err := l.Accept(); err == nil {
			came <- c
		}
	}()
	cfg, server := Defaults(), report.Defaults()
	cfg.To, server.Host, server.Port, server.StartTLS = []string{"ann@example.org"}, "127.0.0.1", l.Addr().(*net.TCPAddr).Port, "off"
	c := counts{prometheus.NewRegistry()}
	s := New(cfg, Options{Domain: "meet.example", Mail: server, Recorder: event.New(slog.New(slog.DiscardHandler), c.Registry, false)})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(ctx)
	}()
	s.Set(Database, "", true, "")
	select {
	case conn := <-came:
		defer conn.Close()
	case <-time.After(time.Minute):
		t.Fatal("nobody comes")
	}
	for range 1000 {
		s.Set(Bridge, "", true, "")
		s.Set(Bridge, "", false, "")
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
	if n := c.of(t, "alert.lost"); n < 2 {
		t.Errorf("%v are counted", n)
	}
}

func TestNobodyToTell(t *testing.T) {
	s := New(Defaults(), Options{})
	s.Set(Database, "", true, "")
	s.Tell(Crash, "", nil)
	s.Reported("x")
	s.Run(t.Context())
}

func TestSettings(t *testing.T) {
	server := report.Defaults()
	server.Host = "mail.example"
	for name, change := range map[string]func(*Config, *report.Config){
		"no address":      func(c *Config, _ *report.Config) { c.To = []string{"Ann <ann@example.org>"} },
		"no server":       func(_ *Config, s *report.Config) { s.Host = "" },
		"reports":         func(c *Config, _ *report.Config) { c.IceReports = -1 },
		"too many":        func(c *Config, _ *report.Config) { c.IceReports = reportsMost + 1 },
		"no time":         func(c *Config, _ *report.Config) { c.Retry = 0 },
		"kept too short":  func(c *Config, _ *report.Config) { c.Keep = time.Second },
		"kept for a year": func(c *Config, _ *report.Config) { c.Keep = 365 * 24 * time.Hour },
	} {
		c, s := Defaults(), server
		c.To = []string{"ann@example.org"}
		if err := c.Check(&s); err != nil {
			t.Error(err)
		}
		if change(&c, &s); c.Check(&s) == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
}
