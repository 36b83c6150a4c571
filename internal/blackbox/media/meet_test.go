package media

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest/jitsipeer"
)

// Three peers, and one that comes late, receive each other whole, with every codec and every way of signalling; one leaves,
// and nobody else notices.
func TestEverybodyReceivesEverybody(t *testing.T) {
	for name, change := range map[string]func(*jitsipeer.Options){
		"VP8":                      codec(jitsipeer.VP8),
		"VP8, rewritten":           rewriting,
		"VP8, rewritten, mid":      func(o *jitsipeer.Options) { o.Rewriting, o.MidDemux = true, true },
		"VP8, sources as XML":      func(o *jitsipeer.Options) { o.XMLSources = true },
		"VP9":                      codec(jitsipeer.VP9),
		"AV1":                      codec(jitsipeer.AV1),
		"H264":                     codec(jitsipeer.H264),
		"VP9, rewritten":           func(o *jitsipeer.Options) { o.Rewriting, o.Video.Codec = true, jitsipeer.VP9 },
		"AV1, rewritten, with mid": func(o *jitsipeer.Options) { o.Rewriting, o.MidDemux, o.Video.Codec = true, true, jitsipeer.AV1 },
	} {
		t.Run(name, func(t *testing.T) {
			if !full { // else one after the other, with the machine to itself
				t.Parallel()
			}
			in := room()
			var peers []*jitsipeer.Peer
			for _, nick := range []string{"ann", "bob", "carl"} {
				peers = append(peers, join(t, server, in, nick, change))
			}
			connected(t, peers...)
			allReceive(t, peers...)
			late := join(t, server, in, "late", change)
			peers = append(peers, late)
			allReceive(t, peers...)
			ann, bob, carl := peers[0], peers[1], peers[2]
			carl.Leave()
			awaitEvent(t, ann, 0, "leave", func(e jitsipeer.Event) bool { return e.Kind == jitsipeer.Left && e.Endpoint == "carl" })
			rest := []*jitsipeer.Peer{ann, bob, late}
			allReceive(t, rest...)
			time.Sleep(1200 * time.Millisecond) // until what was missing is given up
			for _, p := range rest {
				whole(t, p, everything(p, rest...)...)
				for _, source := range everything(p, rest...) {
					if s := p.Received(source); strings.Contains(source, "-a") && s.Missing > 0 {
						t.Errorf("%s: %d packets of %s are missing", p.Endpoint(), s.Missing, source)
					} else if s.Height != 720 && s.Height != 0 {
						t.Errorf("%s receives %s with a height of %d", p.Endpoint(), source, s.Height)
					}
				}
				if p.Feedbacks() == 0 {
					t.Errorf("%s gets no feedback", p.Endpoint())
				}
			}
		})
	}
}

// A screen is a second source: it is shown to all, beside the camera, until it is taken away.
func TestScreenIsASecondSource(t *testing.T) {
	for name, change := range map[string]func(*jitsipeer.Options){"signalled": func(*jitsipeer.Options) {}, "rewritten": rewriting} {
		t.Run(name, func(t *testing.T) {
			in := room()
			ann, bob, carl := join(t, server, in, "ann", change), join(t, server, in, "bob", change), join(t, server, in, "carl", change)
			connected(t, ann, bob, carl)
			screen, err := ann.Add(t.Context(), &jitsipeer.Video{Codec: jitsipeer.VP8, Desktop: true, FPS: 10})
			if err != nil {
				t.Fatal(err)
			}
			receives(t, bob, screen, ann.Source('v', 0))
			receives(t, carl, screen, ann.Source('v', 0))
			if err := ann.Remove(t.Context(), screen); err != nil {
				t.Fatal(err)
			}
			n := bob.Received(screen).Frames
			receives(t, bob, ann.Source('v', 0))
			if now := bob.Received(screen).Frames; now > n+5 {
				t.Errorf("%d frames of a source that was removed", now-n)
			}
			whole(t, bob, screen, ann.Source('v', 0), carl.Source('v', 0))
			whole(t, carl, screen, ann.Source('v', 0), bob.Source('v', 0))
		})
	}
}

// A moderator mutes a member: the bridge sends nothing of it, whether the member obeys or not.
func TestModeratorMutes(t *testing.T) {
	in := room()
	ann := join(t, server, in, "ann")
	bob := join(t, server, in, "bob", func(o *jitsipeer.Options) { o.Disobeys = true })
	carl := join(t, server, in, "carl")
	connected(t, ann, bob, carl)
	voice := bob.Source('a', 0)
	receives(t, carl, voice, bob.Source('v', 0))
	mute := func(p *jitsipeer.Peer) error {
		_, err := p.IQ(t.Context(), "set", p.Room()+"/focus", "<mute xmlns='http://jitsi.org/jitmeet/audio' jid='"+p.Room()+"/bob'>true</mute>")
		return err
	}
	if err := mute(carl); err == nil {
		t.Error("a member who is no moderator has muted another")
	}
	if err := mute(ann); err != nil {
		t.Fatal(err)
	}
	awaitEvent(t, bob, 0, "mute", func(e jitsipeer.Event) bool { return e.Kind == jitsipeer.ForcedMute && e.Text == "audio" })
	time.Sleep(200 * time.Millisecond) // what is on its way
	n := carl.Received(voice).Packets
	receives(t, carl, bob.Source('v', 0))
	receives(t, carl, bob.Source('v', 0))
	if now := carl.Received(voice).Packets; now != n {
		t.Errorf("%d packets of a member that was muted", now-n)
	}
}

// Endpoint messages and statistics go from one to the others, with the sender that the bridge knows.
func TestChannelMessagesAreRelayed(t *testing.T) {
	in := room()
	ann, bob, carl := join(t, server, in, "ann"), join(t, server, in, "bob"), join(t, server, in, "carl")
	connected(t, ann, bob, carl)
	for _, p := range []*jitsipeer.Peer{ann, bob, carl} {
		awaitEvent(t, p, 0, "channel", func(e jitsipeer.Event) bool { return e.Kind == jitsipeer.ChannelOpen })
	}
	if err := ann.Say(`{"colibriClass":"EndpointMessage","to":"bob","from":"carl","msgPayload":{"hello":1}}`); err != nil {
		t.Fatal(err)
	}
	if err := ann.Say(`{"colibriClass":"EndpointStats","bitrate":{"upload":7}}`); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*jitsipeer.Peer{bob, carl} {
		for _, class := range []string{"EndpointMessage", "EndpointStats"} {
			if p == carl && class == "EndpointMessage" {
				continue
			}
			e := awaitEvent(t, p, 0, class, func(e jitsipeer.Event) bool { return e.Kind == jitsipeer.ChannelMessage && e.Endpoint == class })
			var m struct {
				From string `json:"from"`
			}
			if json.Unmarshal([]byte(e.Text), &m); m.From != "ann" {
				t.Errorf("%s is from %q: %s", class, m.From, e.Text)
			}
		}
	}
	for _, e := range carl.Events.Since(0) {
		if e.Endpoint == "EndpointMessage" {
			t.Errorf("carl sees a message to bob: %s", e.Text)
		}
	}
}
