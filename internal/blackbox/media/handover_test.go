package media

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
	"parley/internal/peertest/jitsipeer"
)

// fresh is how old the last announcement to a rewriting client may be when the signalling is killed. On a machine that does
// other things the test is done again until it is.
const fresh = time.Second

// The signalling process is killed right after a source was announced over the bridge channels: the channels are the bridge's,
// so they stay open, messages go both ways, and every packet of the old sources and of the new one arrives.
func TestChannelsOutliveTheSignalling(t *testing.T) {
	s := start(t)
	for try := 1; ; try++ {
		if outlive(t, s, room()) {
			return
		}
		if try == 5 {
			t.Fatalf("never within %v of the announcement", fresh)
		}
	}
}

// outlive reports that the kill came in time.
func outlive(t *testing.T, s *peertest.Parley, in string) (inTime bool) {
	ann, bob, carl := join(t, s, in, "ann"), join(t, s, in, "bob", rewriting), join(t, s, in, "carl", rewriting)
	peers := []*jitsipeer.Peer{ann, bob, carl}
	connected(t, peers...)
	allReceive(t, peers...)
	marks := make([]jitsipeer.Mark, len(peers))
	for i, p := range peers {
		marks[i] = p.Events.Mark()
		defer p.Leave()
	}
	screen, err := ann.Add(t.Context(), &jitsipeer.Video{Codec: jitsipeer.VP8, Desktop: true, FPS: 10})
	if err != nil {
		t.Fatal(err)
	}
	var announced time.Time
	for i, p := range peers[1:] {
		e := awaitEvent(t, p, marks[1+i], "mapping", func(e jitsipeer.Event) bool {
			return e.Kind == jitsipeer.ChannelMessage && e.Endpoint == "VideoSourcesMap" && strings.Contains(e.Text, screen)
		})
		if announced.IsZero() || e.At.Before(announced) {
			announced = e.At
		}
	}
	for _, p := range peers {
		p.Reset()
	}
	s.Kill()
	age := time.Since(announced)
	t.Logf("killed %v after the announcement", age)

	sources := func(p *jitsipeer.Peer) []string {
		list := everything(p, peers...)
		if p != ann {
			list = append(list, screen)
		}
		return list
	}
	for _, p := range peers {
		receives(t, p, sources(p)...)
	}
	for n := range 3 {
		for i, from := range peers {
			i, to := (i+1)%len(peers), peers[(i+1)%len(peers)]
			text := fmt.Sprintf("%d from %s in %s", n, from.Endpoint(), in)
			if err := from.Say(fmt.Sprintf(`{"colibriClass":"EndpointMessage","to":%q,"msgPayload":{"text":%q}}`, to.Endpoint(), text)); err != nil {
				t.Fatalf("%s: %v; %s", from.Endpoint(), err, history(from))
			}
			awaitEvent(t, to, marks[i], "message", func(e jitsipeer.Event) bool {
				return e.Kind == jitsipeer.ChannelMessage && e.Endpoint == "EndpointMessage" && strings.Contains(e.Text, text)
			})
		}
	}
	if s.Running() {
		t.Error("the signalling is not dead")
	}
	s.Start()
	for i, p := range peers {
		awaitEvent(t, p, marks[i], "resumption", func(e jitsipeer.Event) bool { return e.Kind == jitsipeer.StreamResumed })
	}
	for i, p := range peers {
		receives(t, p, sources(p)...)
		whole(t, p, sources(p)...)
		for _, source := range sources(p) {
			if n := p.Received(source); n.Missing > 0 && n.Height == 0 || n.Lost > 0 || n.Gap > freeze {
				t.Errorf("%s from %s: %d packets missing, %d lost, nothing for %v", p.Endpoint(), source, n.Missing, n.Lost, n.Gap)
			}
		}
		for _, e := range p.Events.Since(marks[i]) {
			switch e.Kind {
			case jitsipeer.ChannelClosed, jitsipeer.ChannelOpen, jitsipeer.Disconnected, jitsipeer.Left, jitsipeer.Terminated, jitsipeer.Offered:
				t.Errorf("%s: %s %s %s", p.Endpoint(), e.Kind, e.Endpoint, e.Text)
			}
		}
	}
	return age < fresh || t.Failed()
}

// Under our own TLS the channels end with the signalling, which has the keys. What was announced over them and has arrived goes
// on all the same, and the channels come back with the signalling.
func TestMediaGoOnWhenTheChannelsEnd(t *testing.T) {
	s := peertest.StartParley(t, peertest.ParleyOptions{
		Args: []string{"--limits=off"}, Listen: []string{"https://127.0.0.1:0", "http://127.0.0.1:0", "http+admin://127.0.0.1:0", "media://127.0.0.1:0"},
	}) // channels are offered at the first one
	in := room()
	ann, bob, carl := join(t, s, in, "ann"), join(t, s, in, "bob", rewriting), join(t, s, in, "carl", rewriting)
	peers := []*jitsipeer.Peer{ann, bob, carl}
	connected(t, peers...)
	allReceive(t, peers...)
	if at := ann.Offer().Contents[0].Transport.WebSockets; len(at) == 0 || !strings.HasPrefix(at[0], "wss://") {
		t.Fatalf("channels at %q", at)
	}
	screen, err := ann.Add(t.Context(), &jitsipeer.Video{Codec: jitsipeer.VP8, Desktop: true, FPS: 10})
	if err != nil {
		t.Fatal(err)
	}
	sources := func(p *jitsipeer.Peer) []string { return append(everything(p, peers...), screen) }
	receives(t, bob, sources(bob)...)
	receives(t, carl, sources(carl)...)
	time.Sleep(time.Second) // for the proof that the announcement has arrived: a round trip, at most four times a second
	marks := make([]jitsipeer.Mark, len(peers))
	for i, p := range peers {
		marks[i] = p.Events.Mark()
		p.Reset()
	}
	s.Kill()
	for i, p := range peers {
		awaitEvent(t, p, marks[i], "end of the channel", func(e jitsipeer.Event) bool { return e.Kind == jitsipeer.ChannelClosed })
	}
	receives(t, bob, sources(bob)...)
	receives(t, carl, sources(carl)...)
	time.Sleep(time.Second)
	s.Start()
	for i, p := range peers {
		awaitEvent(t, p, marks[i], "channel", func(e jitsipeer.Event) bool { return e.Kind == jitsipeer.ChannelOpen })
	}
	for _, p := range peers[1:] {
		receives(t, p, sources(p)...)
		whole(t, p, sources(p)...)
		for _, source := range sources(p) {
			if n := p.Received(source); n.Missing > 0 && n.Height == 0 || n.Lost > 0 || n.Gap > freeze {
				t.Errorf("%s from %s: %d packets missing, %d lost, nothing for %v", p.Endpoint(), source, n.Missing, n.Lost, n.Gap)
			}
		}
	}
}
