package jinglepeer

import (
	"net"
	"testing"
	"time"

	pwebrtc "github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"

	"parley/jingle"
	"parley/jingle/sdp"
	"parley/xmpp/wire"
)

const patience = 20 * time.Second

// side is one PeerConnection and what the other needs to know of it.
type side struct {
	pc   *pwebrtc.PeerConnection
	role jingle.Role
	own  *jingle.Jingle // its last description
}

func newSide(t *testing.T, role jingle.Role) *side {
	t.Helper()
	var s pwebrtc.SettingEngine
	s.SetIncludeLoopbackCandidate(true)
	s.SetIPFilter(net.IP.IsLoopback)
	s.SetNetworkTypes([]pwebrtc.NetworkType{pwebrtc.NetworkTypeUDP4})
	pc, err := pwebrtc.NewAPI(pwebrtc.WithSettingEngine(s)).NewPeerConnection(pwebrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	return &side{pc: pc, role: role}
}

// travel writes a Jingle element and reads it at the other end of an XMPP stream.
func travel(t *testing.T, j *jingle.Jingle) *jingle.Jingle {
	t.Helper()
	raw := j.Append(nil)
	s := wire.Scanner{Limits: wire.AfterAuth}
	_, p, err := s.Next(raw)
	if err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	back, err := jingle.Parse(p.Elem(), jingle.DefaultLimits)
	if err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return back
}

// send takes a description of from to the other side as a stanza.
func send(t *testing.T, from, to *side, typ pwebrtc.SDPType, text string) {
	t.Helper()
	j, err := jingle.ParseSDP(text, from.role, jingle.DefaultLimits)
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	from.own = j
	j.SID, j.Action = "s", jingle.SessionInitiate
	if typ == pwebrtc.SDPTypeAnswer {
		j.Action = jingle.SessionAccept
	}
	out, err := travel(t, j).AppendSDP(nil, from.role, sdp.Origin{ID: 1, Version: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := to.pc.SetRemoteDescription(pwebrtc.SessionDescription{Type: typ, SDP: string(out)}); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
}

// trickle takes the candidates of from to the other side as transport-info.
func trickle(t *testing.T, from, to *side, found <-chan pwebrtc.ICECandidateInit) {
	t.Helper()
	n := 0
	for c := range found {
		tr, err := jingle.ParseTrickle(c.Candidate, *c.SDPMid, int(*c.SDPMLineIndex), "")
		if err != nil {
			t.Fatal(err)
		}
		content, ok := tr.Content(from.own)
		if !ok {
			t.Fatalf("%+v fits no content", tr)
		}
		info := travel(t, &jingle.Jingle{Action: jingle.TransportInfo, SID: "s", Contents: []jingle.Content{content}})
		for _, tr := range jingle.Trickles(info, from.own) {
			index := uint16(tr.Index)
			init := pwebrtc.ICECandidateInit{Candidate: tr.Candidate.SDP(), SDPMid: &tr.Mid, SDPMLineIndex: &index, UsernameFragment: &tr.Ufrag}
			if err := to.pc.AddICECandidate(init); err != nil {
				t.Fatal(err)
			}
			n++
		}
	}
	if n == 0 {
		t.Error("no candidates")
	}
}

// gather returns the candidates that a side finds; the channel is closed after the last.
func (s *side) gather() <-chan pwebrtc.ICECandidateInit {
	found := make(chan pwebrtc.ICECandidateInit, 100)
	s.pc.OnICECandidate(func(c *pwebrtc.ICECandidate) {
		if c == nil {
			close(found)
			return
		}
		found <- c.ToJSON()
	})
	return found
}

func TestCallWhoseDescriptionsAreStanzas(t *testing.T) {
	a, b := newSide(t, jingle.Initiator), newSide(t, jingle.Responder)
	track, err := pwebrtc.NewTrackLocalStaticSample(pwebrtc.RTPCodecCapability{MimeType: pwebrtc.MimeTypeVP8}, "video", "stream")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.pc.AddTrack(track); err != nil {
		t.Fatal(err)
	}
	if _, err := a.pc.AddTransceiverFromKind(pwebrtc.RTPCodecTypeAudio); err != nil {
		t.Fatal(err)
	}
	channel, err := a.pc.CreateDataChannel("chat", nil)
	if err != nil {
		t.Fatal(err)
	}
	words, packets := make(chan string, 1), make(chan string, 1)
	channel.OnOpen(func() { channel.SendText("hello") })
	b.pc.OnDataChannel(func(c *pwebrtc.DataChannel) {
		c.OnMessage(func(m pwebrtc.DataChannelMessage) { words <- string(m.Data) })
	})
	b.pc.OnTrack(func(r *pwebrtc.TrackRemote, _ *pwebrtc.RTPReceiver) {
		if _, _, err := r.ReadRTP(); err == nil {
			packets <- r.StreamID() + " " + r.ID() + " " + r.Codec().MimeType
		}
	})

	fromA, fromB := a.gather(), b.gather()
	offer, err := a.pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	send(t, a, b, pwebrtc.SDPTypeOffer, offer.SDP)
	if err := a.pc.SetLocalDescription(offer); err != nil {
		t.Fatal(err)
	}
	answer, err := b.pc.CreateAnswer(nil)
	if err != nil {
		t.Fatal(err)
	}
	send(t, b, a, pwebrtc.SDPTypeAnswer, answer.SDP)
	if err := b.pc.SetLocalDescription(answer); err != nil {
		t.Fatal(err)
	}
	trickle(t, a, b, fromA)
	trickle(t, b, a, fromB)

	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for said, seen := false, false; !said || !seen; {
		select {
		case w := <-words:
			if said = true; w != "hello" {
				t.Errorf("heard %q", w)
			}
		case p := <-packets:
			if seen = true; p != "stream video video/VP8" {
				t.Errorf("received %q", p)
			}
		case <-tick.C:
			if err := track.WriteSample(media.Sample{Data: []byte{0x10, 0, 0, 0x9d, 1, 0x2a}, Duration: 20 * time.Millisecond}); err != nil {
				t.Fatal(err)
			}
		case <-deadline:
			t.Fatalf("data %v, media %v; %s and %s", said, seen, a.pc.ConnectionState(), b.pc.ConnectionState())
		}
	}
}
