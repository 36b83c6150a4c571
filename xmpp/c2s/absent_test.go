package c2s

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"parley/internal/peertest"
	"parley/xmpp/wire"
)

// absence keeps what it is told.
type absence struct {
	mu  sync.Mutex
	got []string
}

func (a *absence) Away(addr wire.Addr, unseen []wire.Stanza) {
	a.mu.Lock()
	defer a.mu.Unlock()
	said := 0
	for _, st := range unseen {
		if st.Kind == wire.Message {
			said++
		}
	}
	a.got = append(a.got, fmt.Sprintf("%s away, %d messages", addr.Local(), said))
}

func (a *absence) Missed(addr wire.Addr, st wire.Stanza) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, body, _ := strings.Cut(string(st.Tail), "<body>")
	body, _, _ = strings.Cut(body, "<")
	a.got = append(a.got, addr.Local()+" misses "+body)
}

func (a *absence) Back(addr wire.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.got = append(a.got, addr.Local()+" back")
}

func (a *absence) told() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.got)
}

// TestAbsenceIsTold: of what was written to a connection that died, and of what comes later; not while the client is there.
func TestAbsenceIsTold(t *testing.T) {
	a := &absence{}
	w := newWorld(t, nil, func(w *world) { w.srv.SetAbsence(a) })
	ann := newMobile(w, "ann", func() *peertest.Client { return w.dial(w.plain) })
	bob := newMobile(w, "bob", func() *peertest.Client { return w.dial(w.plain) })
	say(ann, bob.JID, "a0")
	ann.Settle(0)
	if got := a.told(); len(got) != 0 {
		t.Errorf("while it is there: %q", got)
	}
	bob.Conn.Close()
	waitFor(t, func() bool { return len(a.told()) > 0 })
	for i := 1; i <= 3; i++ {
		say(ann, bob.JID, fmt.Sprint("a", i))
	}
	ann.Settle(0)
	want := []string{"bob away, 1 messages", "bob misses a1", "bob misses a2", "bob misses a3"}
	if got := a.told(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	w.srv.TellAbsence()
	if got := a.told(); !slices.Equal(got, append(want, "bob away, 4 messages")) {
		t.Errorf("all: %q", got)
	}
	bob.Move(true)
	bob.Settle(4)
	bob.Check("a", 4)
	say(ann, bob.JID, "a4")
	bob.Settle(5)
	if got := a.told(); len(got) != 6 || got[5] != "bob back" {
		t.Errorf("after it is back: %q", got)
	}
}
