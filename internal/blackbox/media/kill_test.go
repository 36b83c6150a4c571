package media

import (
	"fmt"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"parley/internal/peertest/jitsipeer"
)

// full says that the long run is wanted, in which times are held to.
var full = os.Getenv("PARLEY_FULL") != ""

// healthy is how long a bridge has to live so that the next is started at once when it dies.
const healthy = 31 * time.Second

// The bridge process is killed, again and again: media are back at every peer, and nobody leaves the room.
func TestMediaComeBackWhenTheBridgeIsKilled(t *testing.T) {
	s := start(t)
	in := room()
	var peers []*jitsipeer.Peer
	for i := range 5 {
		change := func(*jitsipeer.Options) {}
		if i%2 == 1 {
			change = rewriting
		}
		peers = append(peers, join(t, s, in, fmt.Sprint("peer", i), change))
	}
	connected(t, peers...)
	allReceive(t, peers...)
	kills := 2
	if full {
		kills = 4 // a bridge that lives shorter than healthy takes longer to be back: each costs half a minute
	}
	var times []time.Duration
	for n := range kills {
		marks := make([]jitsipeer.Mark, len(peers))
		for i, p := range peers {
			marks[i] = p.Events.Mark()
		}
		pid := bridgeOf(t, s)
		if pid == 0 {
			t.Fatal("there is no bridge")
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		killed := time.Now()
		back := make(map[string]time.Duration)
		want := len(peers) * (len(peers) - 1) * 2
		since := make([]time.Time, len(peers)) // when the new session was connected
		for len(back) < want {
			for i, p := range peers {
				if since[i].IsZero() {
					for _, e := range p.Events.Since(marks[i]) {
						if e.Kind == jitsipeer.Connected {
							since[i] = e.At
						}
					}
					continue
				}
				for _, source := range everything(p, peers...) {
					key := p.Endpoint() + " " + source
					if last := p.Received(source).Last; back[key] == 0 && last.After(since[i]) {
						back[key] = last.Sub(killed)
					}
				}
			}
			if time.Since(killed) > patience {
				for _, p := range peers {
					t.Log(p.Endpoint(), history(p))
				}
				t.Fatalf("kill %d: %d of %d streams are back after %v", n, len(back), want, patience)
			}
			time.Sleep(5 * time.Millisecond)
		}
		for _, d := range back {
			times = append(times, d)
		}
		for i, p := range peers {
			for _, e := range p.Events.Since(marks[i]) {
				if e.Kind == jitsipeer.Left || e.Kind == jitsipeer.StreamBroken {
					t.Errorf("%s: %s %s", p.Endpoint(), e.Kind, e.Endpoint)
				}
			}
		}
		if full && n < kills-1 {
			time.Sleep(healthy)
		}
	}
	slices.Sort(times)
	p50, p95 := times[len(times)/2], times[len(times)*95/100]
	t.Logf("media are back after p50 %v, p95 %v, at the latest %v", p50, p95, times[len(times)-1])
	if full && p95 > 2*time.Second {
		t.Errorf("media are back after %v (p95)", p95)
	}
}

// The signalling process is killed: media go on without a packet lost, and when it is back the members resume and are in the
// same conference, by the same sessions.
func TestMediaGoOnWhenTheSignallingIsKilled(t *testing.T) {
	s := start(t)
	in := room()
	peers := []*jitsipeer.Peer{join(t, s, in, "ann"), join(t, s, in, "bob", rewriting), join(t, s, in, "carl")}
	connected(t, peers...)
	allReceive(t, peers...)
	kills := 1
	if full {
		kills = 10
	}
	for range kills {
		marks, sids := make([]jitsipeer.Mark, len(peers)), make([]string, len(peers))
		bridge := bridgeOf(t, s)
		for i, p := range peers {
			marks[i], sids[i] = p.Events.Mark(), p.SID()
			p.Reset()
		}
		s.Kill()
		time.Sleep(time.Second)
		allReceive(t, peers...) // while there is no signalling
		s.Start()
		for i, p := range peers {
			awaitEvent(t, p, marks[i], "resumption", func(e jitsipeer.Event) bool {
				if e.Kind == jitsipeer.StreamEnded {
					t.Fatalf("%s cannot resume; %s", p.Endpoint(), history(p))
				}
				return e.Kind == jitsipeer.StreamResumed
			})
		}
		allReceive(t, peers...)
		time.Sleep(2 * time.Second) // for what must not come
		for i, p := range peers {
			for _, e := range p.Events.Since(marks[i]) {
				switch e.Kind {
				case jitsipeer.Left, jitsipeer.Offered, jitsipeer.Terminated, jitsipeer.Disconnected, jitsipeer.StreamEnded, jitsipeer.SourcesAdded, jitsipeer.SourcesRemoved:
					t.Errorf("%s: %s %s %s", p.Endpoint(), e.Kind, e.Endpoint, e.Text)
				}
			}
			if p.SID() != sids[i] {
				t.Errorf("%s has the session %q in place of %q", p.Endpoint(), p.SID(), sids[i])
			}
			whole(t, p, everything(p, peers...)...)
			for _, source := range everything(p, peers...) {
				if n := p.Received(source); n.Gap > freeze || n.Missing > 0 && n.Height == 0 {
					t.Errorf("%s from %s: nothing for %v, %d packets missing", p.Endpoint(), source, n.Gap, n.Missing)
				}
			}
		}
		if now := bridgeOf(t, s); now != bridge {
			t.Errorf("the bridge is process %d, was %d", now, bridge)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	// The conference takes part in life again.
	late := join(t, s, in, "late")
	connected(t, late)
	all := append(peers, late)
	allReceive(t, all...)
	peers[0].Leave()
	awaitEvent(t, late, 0, "leave", func(e jitsipeer.Event) bool { return e.Kind == jitsipeer.Left && e.Endpoint == "ann" })
	allReceive(t, all[1:]...)
}
