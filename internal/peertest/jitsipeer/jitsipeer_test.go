package jitsipeer_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/internal/peertest"
	"parley/internal/peertest/jitsipeer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// Peers live a whole life against the binary: they meet, lose their sockets, restart ICE, begin their sessions anew, and leave
// without anything left behind in this process.
func TestLifeOfAPeer(t *testing.T) {
	server := peertest.StartParley(t, peertest.ParleyOptions{Args: []string{"--limits=off"}})
	ctx, stop := context.WithTimeout(t.Context(), 2*patience)
	defer stop()
	var told []string
	var peers []*jitsipeer.Peer
	for i := range 3 {
		o := jitsipeer.Options{
			URL: "ws://" + server.HTTP + "/xmpp-websocket", Room: "meet", Nick: fmt.Sprintf("peer%d", i), Loopback: true,
			Audio: &jitsipeer.Audio{Level: 40}, Video: &jitsipeer.Video{Codec: jitsipeer.VP8, Trace: []int{1500, 3000, 500}}, Rewriting: i == 1,
		}
		if i == 2 {
			o.OnEvent = func(e jitsipeer.Event) {
				if e.Kind == jitsipeer.Offered || e.Kind == jitsipeer.Accepted {
					told = append(told, e.Kind)
				}
			}
		}
		p, err := jitsipeer.Join(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Leave()
		peers = append(peers, p)
	}
	camera, voice := peers[0].Source('v', 0), peers[0].Source('a', 0)
	flows := func(p *jitsipeer.Peer) {
		t.Helper()
		video, audio := p.Received(camera).Frames, p.Received(voice).Frames
		peertest.Await(t, "media at "+p.Endpoint(), func() bool { return p.Received(camera).Frames > video+5 && p.Received(voice).Frames > audio+5 })
	}
	event := func(p *jitsipeer.Peer, from jitsipeer.Mark, kind string) {
		t.Helper()
		if _, err := p.Events.AwaitKind(ctx, from, kind); err != nil {
			t.Fatal(p.Endpoint(), err)
		}
	}
	for _, p := range peers {
		if err := p.Media(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range peers[1:] {
		flows(p)
		peertest.Await(t, "full size", func() bool { return p.Received(camera).Height == 720 })
		if s := p.Received(voice); s.Missing+s.Lost+s.Foreign+s.Duplicates > 0 || s.Latency.Quantile(0.5) == 0 {
			t.Errorf("%+v", s)
		}
		if s := p.Received(camera); s.KeyFrames == 0 || s.Broken+s.Faults+s.Lost > 0 {
			t.Errorf("%+v", s)
		}
	}
	if got := peers[2].Occupants(); strings.Join(got, " ") != "focus peer0 peer1 peer2" {
		t.Errorf("in the room: %q", got)
	}

	// The socket breaks: the session goes on, and what is sent meanwhile arrives.
	p := peers[2]
	from := p.Events.Mark()
	watcher := peers[0].Events.Mark()
	p.Cut()
	if err := p.Mute(p.Source('a', 0), true); err != nil {
		t.Fatal(err)
	}
	event(p, from, jitsipeer.StreamResumed)
	if _, err := peers[0].Events.Await(ctx, watcher, func(e jitsipeer.Event) bool {
		return e.Kind == jitsipeer.SourceInfo && e.Endpoint == "peer2" && strings.Contains(e.Text, `"peer2-a0":{"muted":true}`)
	}); err != nil {
		t.Error(err)
	}

	sid := p.SID()
	from = p.Events.Mark()
	if err := p.RestartICE(ctx); err != nil {
		t.Fatal(err)
	}
	event(p, from, jitsipeer.Restarted)
	flows(p)
	if p.SID() != sid {
		t.Error("an ICE restart has changed the session")
	}

	other := peers[1]
	from, sid = other.Events.Mark(), other.SID()
	if err := other.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	event(other, from, jitsipeer.Connected)
	flows(other)
	if other.SID() == sid {
		t.Error("it is still the old session")
	}
	if times := other.Times(); times.ICE == 0 || times.DTLS == 0 {
		t.Errorf("times %+v", times)
	}

	peers[0].End() // without a word
	other.Leave()
	if _, err := p.Events.Await(ctx, 0, func(e jitsipeer.Event) bool { return e.Kind == jitsipeer.Left && e.Endpoint == "peer1" }); err != nil {
		t.Error(err)
	}
	p.Leave()
	if len(told) != 2 {
		t.Errorf("told of %q", told)
	}
	if err := p.Send("<presence/>"); err == nil {
		t.Error("a peer that has left can send")
	}
}

// Peers tell what their users would hear and see, and take part in what a bridge needs to estimate their paths: by
// transport-wide feedback, or by REMB as old clients.
func TestWhatPeersMeasure(t *testing.T) {
	server := peertest.StartParley(t, peertest.ParleyOptions{Args: []string{"--limits=off"}})
	ctx, stop := context.WithTimeout(t.Context(), 2*patience)
	defer stop()
	var peers []*jitsipeer.Peer
	for i := range 3 {
		o := jitsipeer.Options{
			URL: "ws://" + server.HTTP + "/xmpp-websocket", Room: "measured", Nick: fmt.Sprintf("peer%d", i), Loopback: true,
			Audio: &jitsipeer.Audio{Level: 40, RED: true, FEC: true, Size: 120},
			Video: &jitsipeer.Video{Codec: jitsipeer.VP8, Rates: []int{150_000, 500_000, 1_800_000}, FPS: 25},
		}
		if i == 2 {
			o.REMB = 5_000_000
		}
		p, err := jitsipeer.Join(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Leave()
		peers = append(peers, p)
	}
	camera, voice := peers[0].Source('v', 0), peers[0].Source('a', 0)
	for _, p := range peers[1:] {
		if err := p.Media(ctx); err != nil {
			t.Fatal(err)
		}
		peertest.Await(t, "media at "+p.Endpoint(), func() bool { return p.Received(camera).Height == 720 && p.Received(voice).Played.Frames > 5 })
		p.Reset()
	}
	for i, p := range peers[1:] {
		peertest.Await(t, "seconds", func() bool { return len(p.Seconds(camera)) > 2 && p.Transport().RTT != 100*time.Millisecond })
		sound, picture, path := p.Received(voice), p.Received(camera), p.Transport()
		if s := sound.Played; s.Frames < 50 || s.Ratio() < 0.5 || s.Target < 40*time.Millisecond || s.Delay.Quantile(0.5) < 30*time.Millisecond || sound.Faults > 0 {
			t.Errorf("heard %d of %v, late %v, target %v; %s", s.Frames, s.Ratio(), s.Delay.Quantile(0.5), s.Target, sound.Fault)
		}
		if s := picture.Shown; s.FrameRate() < 5 || s.FrameRate() > 30 || s.FreezeRatio(time.Now()) > 0.9 || s.Delay.Quantile(0.5) == 0 || picture.Height < 180 { // it was 720; a busy machine gets less
			t.Errorf("seen %v frames a second, frozen %v, late %v, height %d", s.FrameRate(), s.FreezeRatio(time.Now()), s.Delay.Quantile(0.5), picture.Height)
		}
		if rate := 8 * p.Seconds(camera)[1].Media; rate < 50_000 || rate > 4_000_000 {
			t.Errorf("%d bit/s of video", rate)
		}
		if path.PLIs > 2 || (path.Feedbacks > 10) != (i == 0) {
			t.Errorf("peer %d: %+v", i, path)
		}
	}
	if peers[0].Feedbacks() == 0 {
		t.Error("no feedback of the bridge")
	}
}

func TestJoinFails(t *testing.T) {
	server := peertest.StartParley(t, peertest.ParleyOptions{})
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	url := "ws://" + server.HTTP + "/xmpp-websocket"
	for name, o := range map[string]jitsipeer.Options{
		"nobody listens":  {URL: "ws://127.0.0.1:1/xmpp-websocket", Room: "r"},
		"no such service": {URL: url, Room: "r", Focus: "nobody.localhost"},
		"nick with sign":  {URL: url, Room: "r", Nick: "a b"},
		"no constraints":  {URL: url, Room: "r", Wanted: 7},
		"no such layers":  {URL: url, Room: "r", Video: &jitsipeer.Video{Codec: jitsipeer.VP8, Rates: []int{1}}},
	} {
		if p, err := jitsipeer.Join(ctx, o); err == nil {
			t.Errorf("%s: joined", name)
			p.Leave()
		}
	}
}
