package bridge

import (
	"testing"
	"time"

	"parley/bridge/api"
	"parley/bridge/channel"
)

// TestNothingIsSentBeforeItIsKnown: without rewriting, a source is sent to a receiver that has acknowledged it (jitsi.md §9.5).
func TestNothingIsSentBeforeItIsKnown(t *testing.T) {
	w := newWorld(t)
	voice, camera0 := audioSource("a-a0", 1000), videoSource("a-v0", 2000, 1)
	voice.Since, camera0.Since = 3, 3
	w.join("a", nil, voice, camera0)
	w.join("b", func(e *api.Endpoint) { e.Receive.Known = 2 })
	w.join("r", func(e *api.Endpoint) { e.Receive.Rewriting = true })
	w.wants("b", 720)
	w.wants("r", 720)
	cam := &camera{w: w, id: "a", ssrc: 2000}
	seq := uint16(0)
	play := func() (packets int) {
		before := len(w.legs["b"].packets)
		for range 3 {
			seq++
			w.send("a", in{ssrc: 1000, seq: seq, timestamp: 960 * uint32(seq), payload: 111, body: []byte("x")})
			cam.frame(cam.frames == 0 || w.legs["a"].plis(0) > 0)
			w.legs["a"].control = nil
			w.pass(Period)
		}
		return len(w.legs["b"].packets) - before
	}
	if n := play(); n != 0 {
		t.Errorf("%d packets of sources that b does not know", n)
	}
	if len(w.legs["r"].packets) == 0 {
		t.Error("nothing to the receiver that the bridge itself tells")
	}
	if m, _ := last[channel.ForwardedSources](w.conns["b"]); len(m.Sources) != 0 {
		t.Errorf("b is told that it gets %v", m.Sources)
	}
	w.change("b", func(e *api.Endpoint) { e.Receive.Known = 3 })
	w.pass(Period)
	if n := play(); n < 3 {
		t.Errorf("%d packets after b has acknowledged", n)
	}
	// The camera becomes another one: the microphone goes on.
	w.change("a", func(e *api.Endpoint) {
		other := videoSource("a-v0", 3000, 1)
		other.Since = 4
		e.Sources = []api.Source{voice, other}
	})
	cam = &camera{w: w, id: "a", ssrc: 3000}
	w.pass(Period)
	if n := play(); n != 3 || len(w.legs["b"].of(3000)) != 0 {
		t.Errorf("%d packets, %d of the camera that b does not know", n, len(w.legs["b"].of(3000)))
	}
	w.change("b", func(e *api.Endpoint) { e.Receive.Known = 4 })
	w.pass(Period)
	play()
	if len(w.legs["b"].of(3000)) == 0 {
		t.Error("nothing of the camera that b has acknowledged")
	}
	// The same camera, removed and added again between two wishes, is a new one to b.
	w.change("a", func(e *api.Endpoint) {
		again := videoSource("a-v0", 3000, 1)
		again.Since = 5
		e.Sources = []api.Source{voice, again}
	})
	w.pass(Period)
	if n := play(); n != 3 {
		t.Errorf("%d packets, of which 3 are of the microphone", n)
	}
}

// TestMappingsThatMayBeLost: what was announced on a channel that broke is not sent until the next channel repeats it.
func TestMappingsThatMayBeLost(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, videoSource("a-v0", 2000, 1))
	r := w.join("r", func(e *api.Endpoint) { e.Receive.Rewriting = true })
	w.wants("r", 720)
	old := w.conns["r"]
	one := &camera{w: w, id: "a", ssrc: 2000}
	one.frame(true)
	w.pass(10 * time.Second) // the first mapping has arrived long ago
	w.join("b", nil, videoSource("b-v0", 4000, 1))
	two := &camera{w: w, id: "b", ssrc: 4000}
	w.pass(time.Second)
	m, ok := last[channel.VideoSourcesMap](old)
	if !ok || len(m.MappedSources) != 1 || m.MappedSources[0].Source != "b-v0" {
		t.Fatalf("mappings %+v", m)
	}
	first := r.out.video[0].ssrc
	second := m.MappedSources[0].SSRC

	r.Closed(&conn{}, w.now) // of a channel that was replaced
	two.frame(true)
	if len(w.legs["r"].of(second)) != 2 {
		t.Fatal("nothing while the channel is open")
	}
	r.Closed(old, w.now.Add(-1500*time.Millisecond)) // after it was told of the first, and before it was of the second
	play := func() (a, b int) {
		na, nb := len(w.legs["r"].of(first)), len(w.legs["r"].of(second))
		one.frame(true)
		two.frame(true)
		w.pass(Period)
		return len(w.legs["r"].of(first)) - na, len(w.legs["r"].of(second)) - nb
	}
	for range 20 {
		if a, b := play(); a != 2 || b != 0 {
			t.Fatalf("%d packets of the first slot and %d of the second, while the channel is closed", a, b)
		}
	}
	w.join("d", nil, videoSource("d-v0", 5000, 1)) // and there are no new slots
	w.pass(time.Second)
	if n := len(r.out.video); n != 2 {
		t.Errorf("%d slots", n)
	}
	again := &conn{}
	r.Opened(again)
	if m, ok = last[channel.VideoSourcesMap](again); !ok || len(m.MappedSources) != 2 || m.MappedSources[1].SSRC != second || m.MappedSources[1].Source != "b-v0" {
		t.Fatalf("repeated: %+v", m)
	}
	w.pass(time.Second)
	if a, b := play(); a != 2 || b != 2 {
		t.Errorf("%d packets of the first slot and %d of the second, with the new channel", a, b)
	}
	if m, _ = last[channel.VideoSourcesMap](again); len(m.MappedSources) != 1 || m.MappedSources[0].Source != "d-v0" {
		t.Errorf("after the state: %+v", m)
	}
}
