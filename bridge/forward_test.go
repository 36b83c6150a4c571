package bridge

import (
	"testing"
	"time"

	"parley/bridge/api"
	"parley/bridge/channel"
	"parley/bridge/rtp"
	"parley/bridge/rtp/codec"
)

func TestAudioAndVideoGoToWhoWantsThem(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, audioSource("a-a0", 1000), videoSource("a-v0", 2000, 1))
	w.join("b", nil, audioSource("b-a0", 3000))
	b := w.legs["b"]
	w.pass(Period)
	cam := &camera{w: w, id: "a", ssrc: 2000}
	w.send("a", in{ssrc: 1000, seq: 7, timestamp: 960, payload: 111, level: 30, body: []byte("voice")})
	cam.frame(true)
	if len(b.of(1000)) != 1 || len(b.packets) != 1 {
		t.Fatalf("b got %d packets, %d of audio; want audio only: it has not asked for video", len(b.packets), len(b.of(1000)))
	}
	p := b.packets[0]
	if string(p.Payload()) != "voice" || p.PayloadType() != 111 {
		t.Errorf("payload %q of type %d", p.Payload(), p.PayloadType())
	}
	if p.Extension(10) != nil {
		t.Error("the sender's mid was forwarded")
	}
	if level, _, ok := rtp.AudioLevel(p.Extension(1)); !ok || level != 30 {
		t.Errorf("audio level %d, %v", level, ok)
	}
	if p.Extension(3) == nil || p.Extension(5) == nil {
		t.Error("no send time, or no transport-wide sequence number")
	}

	w.wants("b", 720)
	cam.frame(false)
	w.pass(Period)
	video := b.of(2000)
	if len(video) != 4 {
		t.Fatalf("%d packets of video, want the kept key frame and the one after it", len(video))
	}
	continuous(t, video)
	if n := w.legs["a"].plis(0); n != 0 {
		t.Errorf("%d key frames asked for: one was kept", n)
	}
	if len(w.legs["a"].packets) != 0 {
		t.Error("the sender got something back")
	}
	if m, ok := last[channel.ForwardedSources](w.conns["b"]); !ok || len(m.Sources) != 1 || m.Sources[0] != "a-v0" {
		t.Errorf("forwarded sources %v", m)
	}
	if m, ok := last[channel.SenderSourceConstraints](w.conns["a"]); !ok || m.MaxHeight != 720 || m.SourceName != "a-v0" {
		t.Errorf("sender constraints %v", m)
	}
	w.wants("b", 0)
	before := len(b.packets)
	cam.frame(true)
	if len(b.packets) != before {
		t.Error("video after maxHeight 0")
	}
	if m, _ := last[channel.SenderSourceConstraints](w.conns["a"]); m.MaxHeight != 0 {
		t.Errorf("sender constraint %d, want 0", m.MaxHeight)
	}
}

func TestLateJoinerWithoutKeptKeyFrameAsksOnce(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, videoSource("a-v0", 2000, 1))
	cam := &camera{w: w, id: "a", ssrc: 2000}
	cam.frame(true)
	for range 90 {
		w.pass(33 * time.Millisecond)
		cam.frame(false)
	}
	w.join("b", nil)
	w.wants("b", 720)
	if n := w.legs["a"].plis(2000); n != 1 {
		t.Fatalf("%d key frames asked for, want 1", n)
	}
	for range 3 {
		cam.frame(false)
		w.pass(33 * time.Millisecond)
	}
	if len(w.legs["b"].packets) != 0 {
		t.Fatal("video before a key frame")
	}
	cam.frame(true)
	if got := w.legs["b"].of(2000); len(got) != 2 {
		t.Fatalf("%d packets of the key frame", len(got))
	}
	if n := w.legs["a"].plis(0); n != 1 {
		t.Errorf("%d key frames asked for, want 1", n)
	}
}

func TestRewritingAnnouncesBeforeTheFirstPacket(t *testing.T) {
	w := newWorld(t)
	rewriting := func(e *api.Endpoint) { e.Receive.Rewriting, e.Receive.MidDemux = true, true }
	w.join("a", nil, audioSource("a-a0", 1000), videoSource("a-v0", 2000, 1))
	w.join("b", nil, audioSource("b-a0", 1001), videoSource("b-v0", 4000, 1))
	w.join("r", rewriting)
	w.wants("r", 720)
	r, c := w.legs["r"], w.conns["r"]
	video, ok := last[channel.VideoSourcesMap](c)
	audio, ok2 := last[channel.AudioSourcesMap](c)
	if !ok || !ok2 || len(video.MappedSources) != 2 || len(audio.MappedSources) != 2 {
		t.Fatalf("maps %v %v", video, audio)
	}
	one := &camera{w: w, id: "a", ssrc: 2000}
	two := &camera{w: w, id: "b", ssrc: 4000, picture: 900, tl0: 90}
	one.frame(true)
	two.frame(true)
	for i, m := range video.MappedSources {
		if m.RTX == 0 || m.MID == "" || m.VideoType != channel.Camera || m.Owner != []string{"a", "b"}[i] {
			t.Errorf("mapping %+v", m)
		}
		got := r.of(m.SSRC)
		if len(got) != 2 {
			t.Fatalf("%d packets in slot %s", len(got), m.MID)
		}
		if string(got[0].Extension(10)) != m.MID {
			t.Errorf("mid %q, want %q", got[0].Extension(10), m.MID)
		}
	}
	if n := len(r.of(2000)) + len(r.of(4000)); n != 0 {
		t.Errorf("%d packets with the SSRC of a source", n)
	}

	// lastN 1 leaves one slot unused; the slots are kept, and go on where they were.
	n := 1
	w.bridge.Endpoint("c", "r").Receive(channel.ReceiverVideoConstraints{LastN: &n, SelectedSources: []string{"b-v0"}})
	w.pass(Period)
	one.frame(true)
	two.frame(false)
	if got := r.of(video.MappedSources[0].SSRC); len(got) != 2 {
		t.Errorf("%d packets of the source that is not among the last n", len(got))
	}
	n = 2
	w.bridge.Endpoint("c", "r").Receive(channel.ReceiverVideoConstraints{LastN: &n})
	w.pass(Period)
	one.frame(false)
	got := r.of(video.MappedSources[0].SSRC)
	if len(got) != 6 {
		t.Errorf("%d packets, want two of each of three frames", len(got))
	}
	continuous(t, got)
	var ids []uint16
	for _, p := range got {
		var d codec.VP8
		if d.Parse(p.Payload()) == nil {
			ids = append(ids, d.Picture)
		}
	}
	for i := 1; i < len(ids); i++ {
		if ids[i]-ids[i-1] > 1 {
			t.Errorf("picture ids %v have holes", ids)
		}
	}
}

func TestHB5ForeignSSRC(t *testing.T) {
	w := newWorld(t)
	a := w.join("a", nil, audioSource("a-a0", 1000))
	b := w.join("b", nil, audioSource("b-a0", 1000), audioSource("b-a1", 1001))
	w.pass(Period)
	w.send("a", in{ssrc: 1000, seq: 1, payload: 111, body: []byte("x")})
	w.send("a", in{ssrc: 1001, seq: 1, payload: 111, body: []byte("x")}) // b's
	w.send("a", in{ssrc: 5555, seq: 1, payload: 111, body: []byte("x")}) // nobody's
	w.send("b", in{ssrc: 1000, seq: 1, payload: 111, body: []byte("x")}) // a's: a was first
	if n := a.Dropped(DropSource); n != 2 {
		t.Errorf("%d packets of a dropped, want 2", n)
	}
	if n := b.Dropped(DropSource); n != 2 { // the source that conflicts, and its packet
		t.Errorf("%d of b dropped, want 2", n)
	}
	if n := len(w.legs["b"].packets); n != 1 {
		t.Errorf("b got %d packets, want 1", n)
	}
	if n := len(w.legs["a"].packets); n != 0 {
		t.Errorf("a got %d packets, want none", n)
	}
}

func TestHB9PacketBudgetAndWildSequences(t *testing.T) {
	w := newWorld(t)
	a := w.join("a", nil, audioSource("a-a0", 1000))
	w.join("b", nil)
	w.pass(Period)
	for i := range 8000 {
		w.send("a", in{ssrc: 1000, seq: uint16(i), payload: 111, body: []byte("x")})
	}
	if n := len(w.legs["b"].packets); n != 5000 {
		t.Errorf("%d packets forwarded in one moment, want 5000", n)
	}
	if n := a.Dropped(DropBudget); n != 3000 {
		t.Errorf("%d dropped, want 3000", n)
	}
	w.pass(time.Second)
	before := len(w.legs["b"].packets)
	w.send("a", in{ssrc: 1000, seq: 30000, payload: 111, body: []byte("x")})
	w.send("a", in{ssrc: 1000, seq: 5000, payload: 111, body: []byte("x")})
	if got := w.legs["b"].packets[before:]; len(got) != 1 || a.Dropped(DropSequence) != 1 {
		t.Errorf("%d forwarded, %d dropped: a jump of one packet is dropped", len(got), a.Dropped(DropSequence))
	}
	for i := range 10 {
		w.send("a", in{ssrc: 1000, seq: uint16(40000 + i), payload: 111, body: []byte("x")})
	}
	if got := w.legs["b"].packets[before:]; len(got) != 1+10-(restartRun-1) {
		t.Errorf("%d forwarded after the stream began anew", len(got))
	} else {
		continuous(t, got)
	}
	w.sendBytes("a", []byte{0x80})
	if a.Dropped(DropMalformed) != 1 {
		t.Error("a packet of one byte was not counted")
	}
}

func TestMuteIsEnforced(t *testing.T) {
	w := newWorld(t)
	a := w.join("a", nil, audioSource("a-a0", 1000), videoSource("a-v0", 2000, 1))
	w.join("b", nil)
	w.wants("b", 720)
	w.change("a", func(e *api.Endpoint) { e.MuteAudio, e.MuteVideo = true, true })
	w.pass(Period)
	cam := &camera{w: w, id: "a", ssrc: 2000}
	cam.frame(true)
	w.send("a", in{ssrc: 1000, seq: 1, payload: 111, body: []byte("x")})
	if n := len(w.legs["b"].packets); n != 0 {
		t.Errorf("%d packets of who is muted", n)
	}
	if n := a.Dropped(DropMuted); n != 3 {
		t.Errorf("%d dropped, want 3", n)
	}
	w.change("a", func(e *api.Endpoint) { e.MuteAudio, e.MuteVideo = false, false })
	w.pass(Period)
	cam.frame(true)
	w.send("a", in{ssrc: 1000, seq: 2, payload: 111, body: []byte("x")})
	if n := len(w.legs["b"].packets); n != 3 {
		t.Errorf("%d packets after unmuting, want 3", n)
	}
	// What is kept from before a mute is no beginning for a later joiner: what follows it is missing.
	w.change("a", func(e *api.Endpoint) { e.MuteVideo = true })
	cam.frame(false)
	w.change("a", func(e *api.Endpoint) { e.MuteVideo = false })
	cam.frame(false)
	w.join("c", nil)
	w.wants("c", 720)
	if n := len(w.legs["c"].packets); n != 0 {
		t.Errorf("a joiner got %d packets that follow nothing", n)
	}
	if n := w.legs["a"].plis(2000); n != 1 {
		t.Errorf("%d key frames asked for, want 1", n)
	}
}
