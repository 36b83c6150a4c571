package bridge

import (
	"testing"
	"time"

	"parley/bridge/api"
	"parley/bridge/channel"
	"parley/bridge/rtp/codec"
)

// simulcast are the three encodings of a camera.
func simulcast(w *world, id string, ssrc uint32) (all [3]*camera) {
	for i := range all {
		all[i] = &camera{w: w, id: id, ssrc: ssrc + uint32(i), seq: uint16(1000 * i), ts: uint32(77777 * i), picture: uint16(100 * i),
			tl0: uint8(50 * i), width: 320 << i, height: 180 << i, packets: 1 + i}
	}
	return all
}

func TestSimulcastSwitchesAtKeyFramesWithoutGaps(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, videoSource("a-v0", 2000, 3))
	w.join("b", nil)
	w.wants("b", 180)
	cams := simulcast(w, "a", 2000)
	frames := func(n int, key func(i int) bool) {
		for range n {
			for i, c := range cams {
				c.frame(key(i))
			}
			w.pass(33 * time.Millisecond)
		}
	}
	all, none := func(int) bool { return true }, func(int) bool { return false }
	frames(1, all)
	frames(20, none)
	b, a := w.legs["b"], w.legs["a"]
	got := b.of(2000)
	if len(got) != 21 || len(got) != len(b.packets) {
		t.Fatalf("%d packets, %d in all; want the lowest encoding on the first SSRC", len(got), len(b.packets))
	}

	w.wants("b", 720)
	w.pass(Period)
	if a.plis(2002) != 1 || a.plis(2000) != 0 {
		t.Errorf("key frames asked for: %d of the highest, %d of the lowest", a.plis(2002), a.plis(2000))
	}
	frames(3, none)
	if n := len(b.of(2000)); n != 24 {
		t.Errorf("%d packets: the low encoding goes on until the key frame", n)
	}
	frames(1, func(i int) bool { return i == 2 })
	frames(20, none)
	if n := len(b.of(2000)); n != 24+1+21*3 {
		t.Errorf("%d packets after the switch", n) // the low encoding's frame comes first in the round of the key frame
	}
	w.wants("b", 360)
	frames(1, func(i int) bool { return i == 1 })
	frames(10, none)
	got = b.of(2000)
	continuous(t, got)
	for i := 1; i < len(got); i++ {
		var before, now codec.VP8
		if before.Parse(got[i-1].Payload()) != nil || now.Parse(got[i].Payload()) != nil {
			t.Fatal("not VP8")
		}
		if step := (now.Picture - before.Picture) & 0x7fff; step > 1 {
			t.Errorf("packet %d: picture %d after %d", i, now.Picture, before.Picture)
		}
		if step := now.TL0 - before.TL0; step > 1 {
			t.Errorf("packet %d: TL0PICIDX %d after %d", i, now.TL0, before.TL0)
		}
		if same := got[i].Timestamp() == got[i-1].Timestamp(); same != (now.Picture == before.Picture) {
			t.Errorf("packet %d: timestamps %d, %d for pictures %d, %d", i, got[i-1].Timestamp(), got[i].Timestamp(), before.Picture, now.Picture)
		}
	}

	// The highest encoding stops: the next one takes its place.
	w.wants("b", 720)
	frames(1, func(i int) bool { return i == 2 })
	frames(2, none)
	before := len(b.packets)
	for range 40 {
		cams[0].frame(false)
		cams[1].frame(false)
		w.pass(33 * time.Millisecond)
	}
	got = b.packets[before:]
	continuous(t, got)
	if n := len(got); n < 2*40 {
		t.Errorf("%d packets of the middle encoding: it is taken from its last key frame on, which is kept", n)
	}
	var first codec.VP8
	if first.Parse(got[0].Payload()) != nil || !first.Frame(false).Key {
		t.Error("it does not begin with a key frame")
	}
}

func TestTemporalLayersByFrameRate(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, videoSource("a-v0", 2000, 1))
	w.join("b", nil)
	x := w.bridge.Endpoint("c", "b")
	rate := func(r float64) {
		x.Receive(channel.ReceiverVideoConstraints{DefaultConstraints: &channel.VideoConstraints{MaxHeight: 720, MaxFrameRate: r}})
		w.pass(Period)
	}
	rate(7.5)
	cam := &camera{w: w, id: "a", ssrc: 2000, packets: 1}
	cam.frame(true)
	for range 39 {
		cam.frame(false)
	}
	b := w.legs["b"]
	if n := len(b.packets); n != 10 {
		t.Errorf("%d frames of 40 at a quarter of the rate", n)
	}
	rate(15)
	for range 40 {
		cam.frame(false)
	}
	if n := len(b.packets); n != 30 {
		t.Errorf("%d frames, want 10 + 20 of 40 at half of the rate", n)
	}
	rate(-1)
	for range 40 {
		cam.frame(false)
	}
	if n := len(b.packets); n != 70 {
		t.Errorf("%d frames, want 30 + 40 of 40", n)
	}
	continuous(t, b.packets)
	for i := range b.packets {
		var first, d codec.VP8
		if first.Parse(b.packets[0].Payload()) != nil || d.Parse(b.packets[i].Payload()) != nil || d.Picture != first.Picture+uint16(i) {
			t.Fatalf("frame %d has picture id %d after %d", i, d.Picture, first.Picture)
		}
	}
	if a := w.legs["a"].plis(0); a != 0 {
		t.Errorf("%d key frames asked for", a)
	}
}

// TestSVCLayers sends what Chromium sends: AV1 L2T3_KEY with a dependency descriptor, VP9 L3T3_KEY with and without.
func TestSVCLayers(t *testing.T) {
	for _, test := range []struct {
		codec   string
		payload uint8
		heights []int // of the layers
	}{{"av1", 41, []int{180, 360}}, {"vp9", 101, []int{180, 360, 720}}, {"vp9-plain", 101, []int{180, 360, 720}}} {
		t.Run(test.codec, func(t *testing.T) {
			counts := make([]int, len(test.heights))
			for i, height := range test.heights {
				w := newWorld(t)
				w.join("a", nil, videoSource("a-v0", 2000, 3))
				w.join("b", func(e *api.Endpoint) { e.Receive.Mixed = true })
				w.wants("b", height)
				packets := captured(t, test.codec, test.payload)
				for round := range 3 { // the layers are known after the first; the third begins with the key frame asked for
					for n, p := range packets {
						p.ssrc, p.seq = 2000, uint16(500+round*len(packets)+n)
						p.timestamp += uint32(round) * 900000
						if round == 2 && n == 0 {
							counts[i] = len(w.legs["b"].packets)
						}
						w.send("a", p)
						if p.marker {
							w.pass(Period)
						}
					}
				}
				got := w.legs["b"].of(2000)
				continuous(t, got)
				counts[i] = len(got) - counts[i]
				marks := 0
				for n := range got {
					if got[n].Marker() {
						marks++
						if n+1 < len(got) && got[n+1].Timestamp() == got[n].Timestamp() {
							t.Errorf("height %d: packet %d has a marker, and its picture goes on", height, n)
						}
					}
				}
				if marks == 0 {
					t.Error("no marker")
				}
				if i == len(test.heights)-1 {
					t.Logf("%d of %d packets for the highest layer", counts[i], len(packets))
				}
			}
			for i := 1; i < len(counts); i++ {
				if counts[i] <= counts[i-1] {
					t.Errorf("packets by height: %v", counts)
				}
			}
			t.Logf("packets by height: %v", counts)
		})
	}
}

// TestAnEncodingThatComesAloneIsTaken: a sender that was silent comes back with its lowest encoding first, as after a time of
// p2p. What is kept since its key frame is taken, without asking for another.
func TestAnEncodingThatComesAloneIsTaken(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, videoSource("a-v0", 2000, 3))
	w.join("b", nil)
	w.wants("b", 720)
	cams := simulcast(w, "a", 2000)
	for i := range 30 {
		for _, c := range cams {
			c.frame(i == 0 || i == 2)
		}
		w.pass(33 * time.Millisecond)
	}
	w.pass(10 * time.Second)
	w.legs["a"].control = nil
	before := len(w.legs["b"].packets)
	for i := range 10 {
		cams[0].frame(i == 0)
		w.pass(33 * time.Millisecond)
	}
	if n := len(w.legs["b"].packets) - before; n != 10 || w.legs["a"].plis(2000) != 0 {
		t.Errorf("%d packets of 10, %d key frames asked for", n, w.legs["a"].plis(2000))
	}
	continuous(t, w.legs["b"].packets)
}
