package bridge

import (
	"bytes"
	"testing"
)

// Packets of a frame differ by a byte or so in size; they leave in one call only if they are made equal.
func TestPacketsOfVideoAreMadeEqualInSize(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, audioSource("a-a0", 1000), videoSource("a-v0", 2000, 1))
	w.join("b", nil)
	w.wants("b", 720)
	cam := &camera{w: w, id: "a", ssrc: 2000, packets: 1}
	cam.frame(true)
	var bodies [][]byte
	for i := range 40 {
		body := append([]byte{0x80, 0xe0, 0x80, byte(1), 1, 0, 1}, bytes.Repeat([]byte{byte(i)}, 900+i)...)
		bodies = append(bodies, body[7:])
		w.send("a", in{ssrc: 2000, seq: cam.seq + uint16(i), timestamp: cam.ts, payload: 100, body: body})
		w.send("a", in{ssrc: 1000, seq: uint16(i), timestamp: uint32(960 * i), payload: 111, body: body})
	}
	b := w.legs["b"]
	video, sizes := b.of(2000)[1:], make(map[int]bool)
	if len(video) != len(bodies) {
		t.Fatalf("%d packets of video, want %d", len(video), len(bodies))
	}
	for i, p := range video {
		if n := len(p.Bytes()); n%16 != 0 {
			t.Errorf("a packet of %d bytes", n)
		} else {
			sizes[n] = true
		}
		if !bytes.Equal(p.Payload()[7:], bodies[i]) {
			t.Errorf("payload %d is another one", i)
		}
	}
	if len(sizes) > 4 {
		t.Errorf("%d sizes of packets whose sizes lie within 40 bytes", len(sizes))
	}
	for _, p := range b.of(1000) {
		if p.Padding() != 0 {
			t.Errorf("%d bytes of padding for audio", p.Padding())
		}
	}
}
