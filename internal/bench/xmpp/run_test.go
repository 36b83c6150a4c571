package xmpp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
)

func TestEveryWorkload(t *testing.T) {
	o := tiny(t, spec(t))
	o.JSON = filepath.Join(t.TempDir(), "out.json")
	o.Scan = func([]byte) error { return nil }
	var out strings.Builder
	if err := Run(t.Context(), o, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	t.Log(out.String())
	rows := []string{
		"1:1 of 200 B", "1:1 of 200 B, TLS", "1:1 of 200 B, XEP-0198", "to another server, 200 B", "room message, 5 occupants", "room presence of 620 B, 5 occupants",
		"room message, 5 occupants: p50 until all have it", "room presence of 620 B, 5 occupants: p50 until all have it",
		"12 join one room: CPU per join", "12 join one room: all see all", "1 joins 11 in a room and leaves: CPU", "1 joins 11 in a room: sees all and the subject", "call set-up through a room", "call set-up alone, p50",
		"login, TLS 1.3 and SCRAM-SHA-1", "login, TLS 1.3 and SCRAM-SHA-256", "login, TLS 1.3, SASL2, Bind 2 and FAST", "idle session", "idle session, TLS", "idle session, XEP-0198",
		"1:1 before, fresh heap", "1:1 with 40 idle, aged heap", "loss by idle sessions and age", "Jingle of 8000 B",
	}
	for _, row := range rows {
		if !strings.Contains(out.String(), "| "+row+" ") {
			t.Errorf("no row %q", row)
		}
	}
	b, err := os.ReadFile(o.JSON)
	if err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.All) != len(rows)-1 {
		t.Errorf("%d measurements in the file, want %d", len(r.All), len(rows)-1)
	}
	for _, m := range r.All {
		switch {
		case m.Lost != 0 || m.Error != "":
			t.Errorf("%+v", m)
		case strings.HasSuffix(m.Unit, "/CPU-s") && (m.Value <= 0 || m.Work < 1 || m.Wall < o.Duration):
			t.Errorf("%+v", m)
		case m.Heap == "fresh":
			t.Errorf("%+v: this server was not started for it", m)
		}
	}
}

// What a server loses must be seen, whichever way it shows.
func TestLossIsSeen(t *testing.T) {
	for name, c := range map[string]struct {
		work  string
		steal func(el *element) bool
		want  string
	}{
		"a message amid others": {"message", func(el *element) bool { return number(el) == 9 }, "lost or out of order"},
		"a message in a room":   {"room", func(el *element) bool { return el.is("message") && el.has("id='g1.5'") }, "1 never came"},
		"news in a room":        {"presence", func(el *element) bool { return el.is("presence") && el.has("<status>s7<") }, "1 never came"},
		"one who joined": {"join", func(el *element) bool {
			return el.is("presence") && el.has("from='hall@muc.localhost/p3'") && el.has("to='u5@")
		}, "1 never came"},
		"an answer in a call": {"call", func(el *element) bool { return el.is("iq") && el.has("session-accept") }, "nothing arrived"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			th := &thief{steal: c.steal}
			o := tiny(t, th.robbed(t, spec(t)))
			o.Work, o.Patience = []string{c.work}, 500*time.Millisecond
			var out strings.Builder
			err := Run(t.Context(), o, &out)
			if err == nil || !strings.Contains(out.String(), c.want) {
				t.Errorf("%v, want %q in\n%s", err, c.want, &out)
			}
			if th.taken.Load() != 1 {
				t.Errorf("stolen: %d", th.taken.Load())
			}
		})
	}
}

func TestMistakesAreRefused(t *testing.T) {
	for want, change := range map[string]func(o *Options){
		`no workload is named "x"`: func(o *Options) { o.Work = []string{"x"} },
		`no server is named "x"`:   func(o *Options) { o.With = []string{"x"} },
		"no server to measure":     func(o *Options) { o.With = nil },
		"want NAME=":               func(o *Options) { o.Server = []string{"x"} },
		"no such key":              func(o *Options) { o.Server = []string{"x=y:z"} },
		"want KEY:VALUE":           func(o *Options) { o.Server = []string{"x=pid"} },
		"pid and plain are needed": func(o *Options) { o.Server = []string{"x=pid:1"} },
		"want one at least":        func(o *Options) { o.Server = []string{"x=users:0"} },
	} {
		t.Run(want, func(t *testing.T) {
			o := tiny(t)
			change(&o)
			if err := Run(t.Context(), o, new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A server that fails is in the table; the others are measured none the less.
func TestOneServerFails(t *testing.T) {
	good := spec(t)
	o := tiny(t, good, "wrong=pid:1,plain:127.0.0.1:1")
	o.Work = []string{"message"}
	var out strings.Builder
	err := Run(t.Context(), o, &out)
	if err == nil || !strings.Contains(out.String(), "round 1, wrong, message: ") || !strings.Contains(out.String(), "| 1:1 of 200 B ") {
		t.Errorf("%v\n%s", err, &out)
	}
}

// Whoever interrupts a long run gets the table of what was measured.
func TestInterrupted(t *testing.T) {
	o := tiny(t, spec(t))
	o.Work, o.Rounds = []string{"message"}, 1000
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.Progress = progress(func(line string) {
		if strings.Contains(line, " 2/1000 ") {
			cancel()
		}
	})
	var out strings.Builder
	if err := Run(ctx, o, &out); !errors.Is(err, context.Canceled) || !strings.Contains(out.String(), "| 1:1 of 200 B ") || !strings.Contains(out.String(), "medians of 2;") {
		t.Errorf("%v\n%s", err, &out)
	}
}

type progress func(line string)

func (p progress) Write(b []byte) (int, error) { p(string(b)); return len(b), nil }

// The peers that are started, a few small workloads each.
func TestPeers(t *testing.T) {
	for name, program := range map[string]string{"prosody-tuned": "prosody", "ejabberd": "ejabberdctl"} {
		t.Run(name, func(t *testing.T) {
			peertest.Need(t, program)
			if !peertest.Required(program) {
				t.Skipf("PARLEY_PEERS does not name %s", program) // it takes half a minute
			}
			o := tiny(t)
			o.With, o.Work, o.Accounts, o.Patience = []string{name}, []string{"message", "message-resume", "s2s", "call"}, 8, 10*time.Second
			var out strings.Builder
			if err := Run(t.Context(), o, &out); err != nil {
				t.Errorf("%v\n%s", err, &out)
			}
			t.Log(out.String())
		})
	}
}
