package im

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/xmpp/wire"
)

// What is archived between two people who are there is done with when the sender's reader goes on, and is acknowledged when it
// is committed.
func TestArchivingNeedsNoGoroutine(t *testing.T) {
	w := newKept(t)
	a := &shelf{}
	w.h.SetArchive(a)
	ann, bob := w.online("ann@x.net/a"), w.online("bob@x.net/b")
	for _, to := range []string{"bob@x.net/b", "bob@x.net"} {
		ann.send(`<message to='` + to + `' type='chat'><body>x</body></message>`)
		bob.mu.Lock()
		got := bob.got
		bob.got = nil
		bob.mu.Unlock()
		if len(got) != 1 || !strings.Contains(got[0], "id='id-bob'") {
			t.Errorf("when the sender goes on the receiver has %q", got)
		}
		if ann.held.Load() != 1 {
			t.Error("it is acknowledged before it is archived")
		}
		a.commit()
		ann.expect()
	}
	// An archive that has too much to do is waited for elsewhere.
	a.slow = true
	ann.send(`<message to='bob@x.net/b' type='chat'><body>y</body></message>`)
	w.h.settle()
	a.commit()
	bob.expect(`<body>y</body>`)
	ann.expect()
}

// numbering is an archive whose ids are numbers.
type numbering struct {
	mu   sync.Mutex
	n    int
	slow func(n int) bool

	broken bool
}

func (a *numbering) Keep(m Kept, done func(error)) (sender, recipient string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.broken {
		panic("a fault")
	}
	a.n += 2
	done(nil)
	return fmt.Sprintf("%08d", a.n), fmt.Sprintf("%08d", a.n+1)
}

func (a *numbering) Prompt() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.slow(a.n)
}

// A client that asks for what is behind the last message that it has misses none: whoever sends at the same time, messages
// come in the order in which they are in the archive.
func TestMessagesComeInTheOrderOfTheArchive(t *testing.T) {
	for name, slow := range map[string]func(int) bool{
		"an archive that keeps up":       func(int) bool { return false },
		"one that does now and then not": func(n int) bool { return n/2%7 == 0 },
	} {
		t.Run(name, func(t *testing.T) {
			w := newKept(t)
			w.h.SetArchive(&numbering{slow: slow})
			bob := w.online("bob@x.net/b")
			const each = 200
			senders := []*client{w.online("ann@x.net/a"), w.online("eve@x.net/e"), w.online("ann@x.net/b")}
			w.quiet()
			var wg sync.WaitGroup
			for _, s := range senders {
				wg.Go(func() {
					for range each {
						s.send(`<message to='bob@x.net/b' type='chat'><body>x</body></message>`)
					}
				})
			}
			wg.Wait()
			last := ""
			got := bob.take()
			for _, m := range got {
				_, id, _ := strings.Cut(m, "by='bob@x.net' id='")
				if id = id[:8]; id <= last {
					t.Fatalf("%s comes behind %s", id, last)
				}
				last = id
			}
			if len(got) != each*len(senders) {
				t.Errorf("%d messages came", len(got))
			}
		})
	}
}

// Nothing that is acknowledged is lost: what neither the archive nor the offline store has comes back to its sender.
func TestWhatNobodyHasComesBack(t *testing.T) {
	broken := errors.New("the archive is down")
	for _, c := range []struct {
		name       string
		archive    error
		unarchived bool // the recipient wants no archive
		down, full bool // the offline store
		want       string
		offline    int // of bob's
	}{
		{"both have it", nil, false, false, false, "", 1},
		{"the archive has it, and there is no room here", nil, false, false, true, "", 0},
		{"the archive has it, and the store fails", nil, false, true, false, "", 0},
		{"the archive fails", broken, false, false, false, "", 1},
		{"the archive fails, and there is no room here", broken, false, false, true, "type='wait'><internal-server-error", 0},
		{"both fail", broken, false, true, false, "type='wait'><internal-server-error", 0},
		{"it is not archived, and there is no room here", nil, true, false, true, "<service-unavailable", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newKept(t)
			a := &shelf{now: true, err: c.archive}
			if c.unarchived {
				a.not = "bob@x.net"
			}
			w.h.SetArchive(a)
			ann := w.online("ann@x.net/a")
			if c.full {
				w.h.limits.Offline = 0
			}
			bob := w.login("bob@x.net/away") // so that the account is in memory
			bob.send(`<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>`)
			w.quiet()
			w.m.down = c.down
			ann.send(`<message to='bob@x.net' type='chat' id='1'><body>x</body></message>`)
			if c.want == "" {
				ann.expect()
			} else {
				ann.expect(`id='1' type='error' … ` + c.want)
			}
			list := w.m.accounts["bob@x.net"].offline
			if len(list) != c.offline {
				t.Errorf("%d messages wait, want %d", len(list), c.offline)
			}
			for _, m := range list {
				if has := strings.Contains(string(m.Tail), "stanza-id"); has != (c.archive == nil) {
					t.Errorf("what waits is %s", m.Tail)
				}
			}
		})
	}
}

// XEP-0386 §4.2: a client that fetches what it missed from the archive gets of what waits only what was not there when its session
// was bound.
func TestOfflineMessagesOfClientsThatFetchFromTheArchive(t *testing.T) {
	forged := `<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><stanza-id xmlns='urn:xmpp:sid:0' by='bob@x.net' id='f'/></message></forwarded>`
	for _, c := range []struct {
		name            string
		archive, modern bool
		left            int // once the session is bound
		want            []string
	}{
		{"there is no archive", false, true, 3, []string{">1<", ">2<", ">3<", ">4<"}},
		{"an older client", true, false, 3, []string{">1<", ">2<", ">3<", ">4<"}},
		{"a client that fetches", true, true, 2, []string{">1<", ">3<", ">4<"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newKept(t)
			ann := w.online("ann@x.net/a")
			send := func(body, more string) {
				ann.send(`<message to='bob@x.net' type='chat'><body>` + body + `</body>` + more + `</message>`)
				w.quiet()
			}
			send("1", forged)
			a := &shelf{now: true}
			if c.archive {
				w.h.SetArchive(a)
				send("2", "")
				a.err = errors.New("the archive is down")
			} else {
				send("2", "")
			}
			send("3", "")
			for stored := time.Now().Truncate(time.Millisecond); !time.Now().Truncate(time.Millisecond).After(stored); {
				runtime.Gosched() // times in the store have milliseconds
			}
			bob := &client{t: t, addr: "bob@x.net/b", r: w.r, h: w.h, modern: c.modern}
			w.r.Bind(bob)
			w.quiet()
			if left := w.m.accounts["bob@x.net"].offline; len(left) != c.left {
				t.Errorf("%d messages are left when the session is bound, want %d", len(left), c.left)
			}
			a.err = nil
			send("4", "") // the client may have looked at the archive before
			bob.send(`<presence/>`)
			var got []string
			for _, m := range bob.take() {
				if strings.HasPrefix(m, "<message") {
					got = append(got, m)
				}
			}
			if len(got) != len(c.want) {
				t.Fatalf("got %q", got)
			}
			for i := range got {
				if !strings.Contains(got[i], c.want[i]) {
					t.Errorf("got %s, want %s", got[i], c.want[i])
				}
			}
			if left := w.m.accounts["bob@x.net"].offline; len(left) != 0 {
				t.Errorf("%d messages are left", len(left))
			}
		})
	}
}

// What is archived while a session is bound may come after its client's look at the archive, so that it waits on.
func TestMessagesOfTheMomentInWhichASessionIsBound(t *testing.T) {
	w := newKept(t)
	w.h.SetArchive(&shelf{now: true})
	w.online("ann@x.net/a").send(`<message to='bob@x.net' type='chat'><body>1</body></message>`)
	w.quiet()
	for _, c := range []struct {
		bound time.Time
		left  int
	}{{time.Now().Add(-time.Minute), 1}, {time.Now().Add(time.Minute), 0}} {
		w.h.Do("bob@x.net", func(*wire.Batch) {
			w.h.mu.Lock()
			a := w.h.users["bob@x.net"]
			w.h.mu.Unlock()
			w.h.clearArchived(a, c.bound)
		})
		w.quiet()
		if left := w.m.accounts["bob@x.net"].offline; len(left) != c.left {
			t.Errorf("%d messages are left, want %d", len(left), c.left)
		}
	}
}

// A fault in an archive costs the session whose message it was, and not the account that it was for.
func TestAnAccountThatAReaderHadInHandIsLetGo(t *testing.T) {
	w := newKept(t)
	a := &numbering{slow: func(int) bool { return false }}
	w.h.SetArchive(a)
	ann, bob := w.online("ann@x.net/a"), w.online("bob@x.net/b")
	a.broken = true
	func() {
		defer func() { recover() }()
		ann.send(`<message to='bob@x.net/b' type='chat'><body>x</body></message>`)
	}()
	a.broken = false
	ann.send(`<message to='bob@x.net/b' type='chat'><body>y</body></message>`)
	bob.expect(`<body>y</body>`)
	if bob.h.users["bob@x.net"].claimed {
		t.Error("the account is never let go")
	}
}

// While a reader has an account in hand, what others send it waits, and nothing of theirs passes what waits.
func TestNothingPassesWhatWaitsForAReader(t *testing.T) {
	w := newKept(t)
	w.h.SetArchive(&shelf{now: true})
	ann, bob := w.online("ann@x.net/a"), w.online("bob@x.net/b")
	w.h.mu.Lock()
	a := w.h.users["bob@x.net"]
	a.claimed = true
	w.h.mu.Unlock()
	ann.send(`<message to='bob@x.net/b' type='chat'><body>1</body></message>`)
	ann.send(`<iq to='bob@x.net/b' type='get' id='2'><query xmlns='u'/></iq>`)
	if got := bob.take(); len(got) != 0 {
		t.Errorf("too early: %q", got)
	}
	w.h.letGo(a)
	bob.expect(`<body>1</body>`, `<iq `)
}
