// Package kill kills the server under load, again and again, and finds everything that it had acknowledged: messages in
// the history of their rooms, in order and once, affiliations, subjects, configurations, accounts. It is tests only.
//
// Acknowledged is what somebody outside was told: a groupchat message that an occupant has seen, the result of an IQ, a
// stanza that <a/> counts (XEP-0198), exit status 0 of `parley user`. What was asked for and not answered may have
// happened or not, as a whole.
package kill

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/internal/peertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(peertest.Stopping(m)) }

const (
	history = 1000 // messages that a newcomer is given: more than a round can say in its own room, less than a session may be behind
	hall    = "hall@muc.localhost"
)

// rounds is how often each server is killed.
func rounds() int {
	if n, err := strconv.Atoi(os.Getenv("PARLEY_KILLS")); err == nil && n > 0 {
		return n
	}
	if os.Getenv("PARLEY_FULL") != "" {
		return 50
	}
	return 5
}

// TestHF8HR9KilledServer kills the server with SIGKILL at a random time of each round. A round has a room of its own,
// which must be whole for ever after, and the hall, whose history is cut.
func TestHF8HR9KilledServer(t *testing.T) {
	for name, store := range map[string]func(testing.TB) string{
		"sqlite":   func(testing.TB) string { return "" },
		"postgres": func(t testing.TB) string { return peertest.Postgres(t).Database(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kept := newLedger(t)
			w := &world{T: t, kept: kept, server: peertest.StartParley(t, peertest.ParleyOptions{
				Config: configuration(store(t)), Args: []string{"--limits=off"},
			})}
			for _, user := range []string{"owner", "romeo", "juliet"} {
				w.server.AddUser(user, user)
			}
			n := rounds()
			for i := range n {
				w.room = fmt.Sprintf("round%d@muc.localhost", i)
				w.round = i
				w.load()
				w.server.Start()
				w.check(hall, w.room)
				w.checkSession()
				w.checkAccounts(false)
				if t.Failed() {
					t.Fatalf("round %d of %d", i+1, n)
				}
			}
			w.check(kept.names()...)
			w.checkAccounts(true)
			t.Logf("%d kills: %s", n, kept.counts())
		})
	}
}

func configuration(store string) string {
	return fmt.Sprintf("store = %q\n[rooms]\nhistory = %d\nkeep = %d\n", store, history, 2*history)
}

// world is one server with those who use it.
type world struct {
	T      *testing.T
	server *peertest.Parley
	kept   *ledger
	room   string // of this round
	round  int

	killed atomic.Bool
	group  sync.WaitGroup
	last   *speaker // whose session is looked at after the restart
}

// load lets everybody work for a while, and kills the server.
func (w *world) load() {
	w.T.Helper()
	w.killed.Store(false)
	speakers := []*speaker{{name: "romeo", door: starttls}, {name: "juliet", door: direct}, {name: "guest", door: websocket}}
	clerk := &clerk{}
	w.enter(clerk, speakers)
	if w.T.Failed() {
		w.T.Fatal("not everybody could enter")
	}
	ctx, cancel := context.WithCancel(context.Background())
	for _, s := range speakers {
		w.work(s.name+" reading", func(testing.TB) { s.read(w) })
		w.work(s.name+" speaking", func(testing.TB) { s.speak(ctx, w) })
	}
	w.work("the clerk", func(testing.TB) { clerk.work(ctx, w) })
	w.work("the administrator", func(testing.TB) { w.administer(ctx) })
	time.Sleep(300*time.Millisecond + rand.N(600*time.Millisecond))
	w.killed.Store(true)
	w.server.Kill()
	cancel()
	w.group.Wait()
	w.last = speakers[rand.IntN(2)]
}

// ending is how a client of the test ends whose server is gone.
type ending string

// mortal is a test for clients whose server is going to be killed: what would end the test ends the client's work.
type mortal struct{ testing.TB }

func (mortal) Fatal(args ...any)                 { panic(ending(fmt.Sprint(args...))) }
func (mortal) Fatalf(format string, args ...any) { panic(ending(fmt.Sprintf(format, args...))) }

// work does something in a goroutine of its own until the server is killed. Whatever ends it before is an error.
func (w *world) work(what string, do func(testing.TB)) {
	w.group.Go(func() {
		defer func() {
			switch e := recover().(type) {
			case nil:
			case ending:
				if !w.killed.Load() {
					w.T.Errorf("%s, before the server was killed: %s", what, e)
				}
			default:
				panic(e)
			}
		}()
		do(mortal{w.T})
	})
}
