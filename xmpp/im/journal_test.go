package im

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"

	"parley/internal/journal"
	"parley/xmpp/route"
	"parley/xmpp/wire"

	"pgregory.net/rapid"
)

// returning brings sessions to life, as clients' sessions come to life before their presence does.
type returning func()

func (returning) Replay([]byte) error   { return nil }
func (returning) Reset()                {}
func (returning) Snapshot(func([]byte)) {}
func (r returning) Replayed()           { r() }

// keep has a host's presence kept in a directory.
func keep(t testing.TB, h *Host, dir string, sessions returning) *journal.Journal {
	t.Helper()
	j, err := journal.Open(dir, journal.Options{Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	j.Part("sessions", sessions)
	h.Journal(j)
	if err := j.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

// presences says what the host knows of sessions that have told anybody of themselves.
func presences(h *Host) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for _, a := range h.users {
		for _, r := range a.sessions {
			if r.presence != nil {
				out = append(out, fmt.Sprintf("%s %q %d", r.Addr(), r.presence, r.priority))
			}
			if len(r.directed) > 0 {
				out = append(out, fmt.Sprintf("%s %q", r.Addr(), slices.Sorted(maps.Keys(r.directed))))
			}
		}
	}
	slices.Sort(out)
	return out
}

func TestPresenceIsTheSameAfterAKill(t *testing.T) {
	addrs := []wire.Addr{"ann@x.net/a", "ann@x.net/b", "bob@x.net/c"}
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp("", "journal")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		live := make(map[wire.Addr]*client)
		w := newWorld(t)
		j := keep(t, w.h, dir, func() {})
		which := func(rt *rapid.T) wire.Addr { return rapid.SampledFrom(addrs).Draw(rt, "who") }
		send := func(rt *rapid.T, raw string) {
			if c := live[which(rt)]; c != nil {
				c.send(raw)
			}
		}
		to := func(rt *rapid.T) string {
			return rapid.SampledFrom([]string{"bob@x.net", "bob@x.net/c", "hall@muc.x.net/me"}).Draw(rt, "to")
		}
		rt.Repeat(map[string]func(*rapid.T){
			"come": func(rt *rapid.T) {
				if a := which(rt); live[a] == nil {
					live[a] = w.login(a)
				}
			},
			"go": func(rt *rapid.T) {
				if a := which(rt); live[a] != nil {
					w.r.Unbind(live[a], rapid.Bool().Draw(rt, "clean"))
					delete(live, a)
				}
			},
			"available": func(rt *rapid.T) {
				send(rt, fmt.Sprintf("<presence><priority>%d</priority></presence>", rapid.IntRange(-128, 127).Draw(rt, "priority")))
			},
			"unavailable": func(rt *rapid.T) { send(rt, "<presence type='unavailable'/>") },
			"directed":    func(rt *rapid.T) { send(rt, "<presence to='"+to(rt)+"'/>") },
			"withdrawn":   func(rt *rapid.T) { send(rt, "<presence to='"+to(rt)+"' type='unavailable'/>") },
			"kill": func(rt *rapid.T) {
				was := presences(w.h)
				j.Close()
				w = newWorld(t)
				j = keep(t, w.h, dir, func() {
					for a := range live {
						live[a] = w.login(a)
					}
				})
				if is := presences(w.h); !slices.Equal(is, was) {
					rt.Fatalf("was %q\nis  %q", was, is)
				}
			},
		})
		j.Close()
	})
}

// Who has seen a session that did not survive hears that it is gone, and nobody else.
func TestGoneWithTheProcess(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t)
	j := keep(t, w.h, dir, func() {})
	for _, a := range []wire.Addr{"ann@x.net/a", "ann@x.net/b", "bob@x.net/c", "bob@x.net/d", "eve@x.net/e"} {
		c := w.login(a)
		if a != "bob@x.net/d" {
			c.send("<presence/>")
		}
		if a == "ann@x.net/a" {
			c.send("<presence to='bob@x.net/d'/>")
			c.send("<presence to='hall@muc.x.net/me'/>")
		}
	}
	j.Close()
	w = newWorld(t)
	all := make(map[wire.Addr]*client)
	keep(t, w.h, dir, func() {
		for _, a := range []wire.Addr{"ann@x.net/b", "bob@x.net/c", "bob@x.net/d", "eve@x.net/e"} {
			all[a] = w.login(a)
		}
	})
	all["ann@x.net/b"].expect("<presence … from='ann@x.net/a' … type='unavailable'")
	all["bob@x.net/d"].expect("<presence … from='ann@x.net/a' … type='unavailable'")
	all["bob@x.net/c"].expect()
	all["eve@x.net/e"].expect()
	if len(w.m.got) > 0 {
		t.Errorf("a service was told %q", w.m.got)
	}
}

// FuzzReplay gives a host any records, in the frame that each is behind its length. What comes of it can be written and read
// again.
func FuzzReplay(f *testing.F) {
	var seed []byte
	put := func(record []byte) { seed = append(append(seed, byte(len(record))), record...) }
	ann := journal.AppendText([]byte{sayAvailable}, "ann@x.net/a")
	put(append(ann, 5, '/', '>'))
	put(journal.AppendText(journal.AppendText([]byte{sayDirected}, "ann@x.net/a"), "bob@x.net"))
	f.Add(slices.Clone(seed))
	put(journal.AppendText(journal.AppendText([]byte{sayWithdrawn}, "ann@x.net/a"), "bob@x.net"))
	put(journal.AppendText([]byte{sayUnavailable}, "ann@x.net/a"))
	put(append(journal.AppendText(append(journal.AppendText([]byte{sayState}, "ann@x.net/b"), 1), "bob@x.net"), 0, '>'))
	put(journal.AppendText([]byte{sayGone}, "ann@x.net/a"))
	f.Add(seed)
	f.Fuzz(func(t *testing.T, b []byte) {
		h, again := New("x.net", route.New(nil)), New("x.net", route.New(nil))
		for len(b) > 0 {
			n := min(int(b[0]), len(b)-1)
			if h.Replay(b[1:1+n]) != nil {
				return
			}
			b = b[1+n:]
		}
		restored := maps.Clone(h.restored)
		for a := range restored {
			one := h.entry(a.Bare())
			one.book, one.sessions = empty, append(one.sessions, &resource{Sender: &client{addr: a}})
		}
		h.Replayed()
		h.Snapshot(func(record []byte) {
			if err := again.Replay(record); err != nil {
				t.Fatalf("%q: %v", record, err)
			}
		})
		for a, r := range restored {
			if r.presence == nil && len(r.directed) == 0 {
				continue
			}
			got := again.restored[a]
			if got == nil || string(got.presence) != string(r.presence) || got.priority != r.priority && r.presence != nil || !maps.Equal(got.directed, r.directed) {
				t.Fatalf("%q: %+v became %+v", a, r, got)
			}
		}
	})
}
