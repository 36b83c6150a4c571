// Package media lets test peers of the Jitsi dialect meet on the binary's bridge: what they receive is whole, whatever others
// do, and goes on when a process is killed. Tests that attack have the names of the rows of the hardening list.
package media

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/peertest"
	"parley/internal/peertest/jitsipeer"
)

// server is the binary that most tests share.
var server *peertest.Parley

func TestMain(m *testing.M) {
	peertest.Main(m, func(t testing.TB) { server = start(t) })
}

// start starts a server that lets everybody in: the peers all come from one address.
func start(t testing.TB) *peertest.Parley {
	t.Helper()
	return peertest.StartParley(t, peertest.ParleyOptions{Args: []string{"--limits=off"}})
}

// patience is how long what must come may take on a machine that does other things too.
const patience = 30 * time.Second

var rooms atomic.Uint32

// room returns the name of a room of its own.
func room() string { return fmt.Sprintf("room%d", rooms.Add(1)) }

// join makes a peer of a room; what the options leave open is a microphone that is silent and a camera of VP8.
func join(t testing.TB, s *peertest.Parley, room, nick string, change ...func(*jitsipeer.Options)) *jitsipeer.Peer {
	t.Helper()
	o := jitsipeer.Options{
		URL: "ws://" + s.HTTP + "/xmpp-websocket", Room: room, Nick: nick, Loopback: true, Restart: true,
		Audio: &jitsipeer.Audio{Level: 127}, Video: &jitsipeer.Video{Codec: jitsipeer.VP8},
	}
	for _, f := range change {
		f(&o)
	}
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	p, err := jitsipeer.Join(ctx, o)
	if err != nil {
		t.Fatal(nick, err)
	}
	t.Cleanup(p.Leave)
	return p
}

func codec(c jitsipeer.Codec) func(*jitsipeer.Options) {
	return func(o *jitsipeer.Options) { o.Video.Codec = c }
}

func rewriting(o *jitsipeer.Options) { o.Rewriting = true }

// connected waits for the media sessions of peers.
func connected(t testing.TB, peers ...*jitsipeer.Peer) {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	for _, p := range peers {
		if err := p.Media(ctx); err != nil {
			t.Fatalf("%s: %v; %s", p.Endpoint(), err, history(p))
		}
	}
}

// history is what happened to a peer, without the messages of the channel.
func history(p *jitsipeer.Peer) string {
	var b bytes.Buffer
	for _, e := range p.Events.Since(0) {
		if e.Kind != jitsipeer.ChannelMessage && e.Kind != jitsipeer.SourceInfo {
			fmt.Fprintf(&b, "\n  %s %s %s %s %.100s", e.At.Format("05.000"), e.Kind, e.Endpoint, e.Source, e.Text)
		}
	}
	return b.String()
}

// await waits until a condition holds.
func await(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(within); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("no %s within %v", what, within)
		}
	}
}

// awaitEvent waits for an event from a place on.
func awaitEvent(t testing.TB, p *jitsipeer.Peer, from jitsipeer.Mark, what string, ok func(jitsipeer.Event) bool) jitsipeer.Event {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	e, err := p.Events.Await(ctx, from, ok)
	if err != nil {
		t.Fatalf("%s: no %s: %v; %s", p.Endpoint(), what, err, history(p))
	}
	return e
}

// receives waits until frames of sources come on.
func receives(t testing.TB, p *jitsipeer.Peer, sources ...string) {
	t.Helper()
	goOn(t, func(yield func(*jitsipeer.Peer, string) bool) {
		for _, source := range sources {
			if !yield(p, source) {
				return
			}
		}
	})
}

// allReceive waits until each peer gets frames of all others.
func allReceive(t testing.TB, peers ...*jitsipeer.Peer) {
	t.Helper()
	goOn(t, func(yield func(*jitsipeer.Peer, string) bool) {
		for _, p := range peers {
			for _, source := range everything(p, peers...) {
				if !yield(p, source) {
					return
				}
			}
		}
	})
}

// goOn waits until five more frames have come of each receiver's source.
func goOn(t testing.TB, all func(func(*jitsipeer.Peer, string) bool)) {
	t.Helper()
	type pair struct {
		p      *jitsipeer.Peer
		source string
	}
	before := make(map[pair]uint64)
	for p, source := range all {
		before[pair{p, source}] = p.Received(source).Frames
	}
	until := time.Now().Add(patience)
	for at, n := range before {
		for at.p.Received(at.source).Frames < n+5 {
			if time.Now().After(until) {
				t.Fatalf("%s does not receive %s; %s", at.p.Endpoint(), at.source, history(at.p))
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// everything is the microphone and the camera of each peer but one.
func everything(but *jitsipeer.Peer, peers ...*jitsipeer.Peer) []string {
	var list []string
	for _, p := range peers {
		if p != but {
			list = append(list, p.Source('a', 0), p.Source('v', 0))
		}
	}
	return list
}

// whole wants that a receiver has missed nothing of what was meant for it, and that a decoder had no trouble.
func whole(t testing.TB, p *jitsipeer.Peer, sources ...string) {
	t.Helper()
	for _, source := range sources {
		s := p.Received(source)
		if s.Lost+s.Incomplete+s.Broken+s.Faults+s.Foreign > 0 || s.Frames == 0 {
			t.Errorf("%s from %s: %d frames of %d packets; %d lost, %d frames incomplete, %d without reference, %d on another's SSRC, %d faults: %s",
				p.Endpoint(), source, s.Frames, s.Packets, s.Lost, s.Incomplete, s.Broken, s.Foreign, s.Faults, s.Fault)
		}
	}
}

// bridgeOf returns the process id of a server's bridge: a child of the binary with the server's data directory.
func bridgeOf(t testing.TB, s *peertest.Parley) int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Skip("no /proc")
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err == nil && bytes.Contains(line, []byte("\x00bridge\x00")) && bytes.Contains(line, []byte(s.Data)) {
			return pid
		}
	}
	return 0
}
