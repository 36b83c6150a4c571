package main_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"parley/bridge/api"
	"parley/bridge/link"
)

// caller is a client of a bridge: a PeerConnection with a microphone.
type caller struct {
	t      *testing.T
	pc     *webrtc.PeerConnection
	mic    *webrtc.TrackLocalStaticRTP
	tracks chan *webrtc.TrackRemote
}

func newCaller(t *testing.T) *caller {
	t.Helper()
	var s webrtc.SettingEngine
	s.SetIncludeLoopbackCandidate(true)
	s.SetInterfaceFilter(func(name string) bool { return name == "lo" })
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(s)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	c := &caller{t: t, pc: pc, tracks: make(chan *webrtc.TrackRemote, 4)}
	pc.OnTrack(func(r *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { c.tracks <- r })
	if c.mic, err = webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus}, "a", "s"); err != nil {
		t.Fatal(err)
	}
	if _, err := pc.AddTrack(c.mic); err != nil {
		t.Fatal(err)
	}
	return c
}

// answer takes the bridge's side and the sources of others, and returns the client's side and the SSRC of its microphone.
func (c *caller) answer(tr *api.Transport, others ...uint32) (*api.Remote, uint32) {
	c.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "v=0\r\no=- 7 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE a\r\n"+
		"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:a\r\na=setup:%s\r\na=ice-ufrag:%s\r\na=ice-pwd:%s\r\n"+
		"a=fingerprint:%s %s\r\na=rtcp-mux\r\na=sendrecv\r\na=rtpmap:111 opus/48000/2\r\n",
		tr.Setup, tr.Ufrag, tr.Pwd, tr.Fingerprint.Hash, tr.Fingerprint.Value)
	for _, ssrc := range others {
		fmt.Fprintf(&b, "a=ssrc:%d cname:o\r\na=ssrc:%[1]d msid:o o\r\n", ssrc)
	}
	for _, k := range tr.Candidates {
		if k.Protocol == "udp" {
			fmt.Fprintf(&b, "a=candidate:%s 1 udp %d %s %d typ host\r\n", k.Foundation, k.Priority, k.IP, k.Port)
		}
	}
	if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: b.String()}); err != nil {
		c.t.Fatal(err)
	}
	answer, err := c.pc.CreateAnswer(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(c.pc)
	if err := c.pc.SetLocalDescription(answer); err != nil {
		c.t.Fatal(err)
	}
	<-gathered
	sdp := c.pc.LocalDescription().SDP
	line := func(name string) string {
		m := regexp.MustCompile(`(?m)^a=` + name + `:(\S+)( \S+)?`).FindStringSubmatch(sdp)
		if m == nil {
			c.t.Fatalf("no %s in\n%s", name, sdp)
		}
		return m[1] + m[2]
	}
	hash, value, _ := strings.Cut(line("fingerprint"), " ")
	ssrc, err := strconv.ParseUint(strings.Fields(line("ssrc"))[0], 10, 32)
	if err != nil {
		c.t.Fatal(err)
	}
	return &api.Remote{
		Ufrag: line("ice-ufrag"), Pwd: line("ice-pwd"), Setup: line("setup"), Fingerprints: []api.Fingerprint{{Hash: hash, Value: value}},
	}, uint32(ssrc)
}

// speak sends 20 ms after 20 ms until the test ends.
func (c *caller) speak(text string) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for seq := uint16(1); ctx.Err() == nil; seq++ {
			packet := binary.BigEndian.AppendUint16([]byte{0x80, 111}, seq) // RFC 3550 §5.1
			packet = binary.BigEndian.AppendUint32(packet, uint32(seq)*960)
			packet = binary.BigEndian.AppendUint32(packet, 0) // the SSRC is the track's to fill in
			c.mic.Write(fmt.Appendf(packet, "%s %d", text, seq))
			time.Sleep(20 * time.Millisecond)
		}
	}()
	c.t.Cleanup(func() { cancel(); <-done })
}

// hear reads n packets of a text.
func (c *caller) hear(track *webrtc.TrackRemote, text string, n int) {
	c.t.Helper()
	for range n {
		track.SetReadDeadline(time.Now().Add(10 * time.Second))
		p, _, err := track.ReadRTP()
		if err != nil {
			c.t.Fatal(err)
		}
		if !strings.HasPrefix(string(p.Payload), text+" ") {
			c.t.Fatalf("heard %q", p.Payload)
		}
	}
}

func (c *caller) track() *webrtc.TrackRemote {
	c.t.Helper()
	select {
	case track := <-c.tracks:
		return track
	case <-time.After(20 * time.Second):
		c.t.Fatal("no track")
	}
	return nil
}

// Two clients hear one another through the bridge, and go on doing so while it has no front.
func TestMediaThroughTheBridgeProcess(t *testing.T) {
	dir := t.TempDir()
	b := startBridge(t, dir)
	receive := api.Receive{Payloads: []api.Payload{{ID: 111, Name: "opus", Clock: 48000}}}
	wish := api.Conference{ID: "5f1c", Version: 1, Endpoints: []api.Endpoint{
		{ID: "aaaaaaaa", Session: 1, Receive: receive}, {ID: "bbbbbbbb", Session: 1, Receive: receive},
	}}
	b.client.Apply(wish)
	first := func(*api.Transport) bool { return true }
	ann, bob := newCaller(t), newCaller(t)
	annAt, bobAt := b.transport(t, "aaaaaaaa", first), b.transport(t, "bbbbbbbb", first)
	annSide, annSSRC := ann.answer(annAt)
	bobSide, bobSSRC := bob.answer(bobAt, annSSRC)
	source := func(name string, ssrc uint32) []api.Source {
		return []api.Source{{Name: name, Kind: api.Audio, SSRCs: []uint32{ssrc}}}
	}
	second := wish
	second.Version, second.Endpoints = 2, []api.Endpoint{
		{ID: "aaaaaaaa", Session: 1, Receive: receive, Remote: annSide, Sources: source("aaaaaaaa-a0", annSSRC)},
		{ID: "bbbbbbbb", Session: 1, Receive: receive, Remote: bobSide, Sources: source("bbbbbbbb-a0", bobSSRC)},
	}
	b.client.Apply(second)
	ann.speak("hello bob")
	heard := bob.track()
	if uint32(heard.SSRC()) != annSSRC {
		t.Errorf("SSRC %d instead of %d", heard.SSRC(), annSSRC)
	}
	bob.hear(heard, "hello bob", 20)

	b.disconnect()
	bob.hear(heard, "hello bob", 50) // a second's worth
	next := link.NewClient(link.ClientConfig{Dial: link.Dial(dir)})
	hellos := make(chan api.Hello, 1)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		next.Run(ctx, func(e api.Event) {
			if e.Hello != nil {
				hellos <- *e.Hello
			}
		})
	}()
	defer func() { cancel(); <-done }()
	if h := <-hellos; h.Conferences["5f1c"] != 2 {
		t.Errorf("the next front is told %+v", h)
	}

	// The next front ends the conference, and with it the media.
	next.Apply(api.Conference{ID: "5f1c", Version: 3})
	for silence := false; !silence; {
		heard.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		_, _, err := heard.ReadRTP()
		silence = err != nil
	}
}
