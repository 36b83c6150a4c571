package media

import (
	"testing"
	"time"

	"parley/internal/peertest/jitsipeer"
)

// Somebody who speaks becomes the dominant speaker within 1 s, for everybody; a cough of 100 ms makes nobody that.
func TestSpeechSwitchesAndACoughDoesNot(t *testing.T) {
	in := room()
	ann, bob, carl := join(t, server, in, "ann"), join(t, server, in, "bob"), join(t, server, in, "carl")
	connected(t, ann, bob, carl)
	for _, p := range []*jitsipeer.Peer{ann, bob, carl} {
		awaitEvent(t, p, 0, "channel", func(e jitsipeer.Event) bool { return e.Kind == jitsipeer.ChannelOpen })
	}
	speaks := func(nick string) func(jitsipeer.Event) bool {
		return func(e jitsipeer.Event) bool { return e.Kind == jitsipeer.Dominant && e.Endpoint == nick }
	}
	talk := func(p *jitsipeer.Peer, d time.Duration) {
		p.Level(25)
		time.Sleep(d)
		p.Level(127)
	}
	from := carl.Events.Mark()
	begun := time.Now()
	ann.Level(25)
	if took := awaitEvent(t, carl, from, "speaker", speaks("ann")).At.Sub(begun); took > time.Second+slack {
		t.Errorf("speech is noticed after %v", took)
	} else {
		t.Logf("speech is noticed after %v", took)
	}
	awaitEvent(t, bob, 0, "speaker", speaks("ann"))

	// While ann speaks, and when she has just stopped, others cough: at most 100 ms, one time after another.
	from = carl.Events.Mark()
	for range 5 {
		talk(bob, 100*time.Millisecond)
		time.Sleep(400 * time.Millisecond)
	}
	ann.Level(127)
	time.Sleep(time.Second)
	for range 5 {
		talk(bob, 100*time.Millisecond)
		time.Sleep(400 * time.Millisecond)
	}
	for _, e := range carl.Events.Since(from) {
		if speaks("bob")(e) {
			t.Fatal("a cough has switched the speaker")
		}
	}
	begun, from = time.Now(), carl.Events.Mark()
	bob.Level(25)
	if took := awaitEvent(t, carl, from, "speaker", speaks("bob")).At.Sub(begun); took > time.Second+slack {
		t.Errorf("speech is noticed after %v", took)
	} else {
		t.Logf("speech is noticed after %v", took)
	}
}
