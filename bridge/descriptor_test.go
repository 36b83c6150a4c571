package bridge

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"parley/bridge/api"
	"parley/bridge/channel"
	"parley/bridge/rtp"
	"parley/bridge/rtp/codec"
)

// TestLayersByDescriptor plays VP8 and H264 of Chromium with a dependency descriptor, in which VP8 has no picture ids: a slot
// changes between the encodings and between two sources, and loses temporal layers, and all frames that a receiver gets can
// be decoded by what their descriptors say.
func TestLayersByDescriptor(t *testing.T) {
	for _, test := range []struct {
		codec   string
		payload uint8
	}{{"vp8", 100}, {"h264", 107}} {
		for _, rewriting := range []bool{false, true} {
			name := test.codec
			if rewriting {
				name += " rewritten"
			}
			t.Run(name, func(t *testing.T) {
				w := newWorld(t)
				w.join("a", nil, videoSource("a-v0", 2000, 2))
				w.join("b", nil, videoSource("b-v0", 3000, 2))
				r := w.join("r", func(e *api.Endpoint) { e.Receive.Rewriting = rewriting })
				one := -1
				r.Receive(channel.ReceiverVideoConstraints{LastN: &one})
				w.pass(Period)
				packets := captured(t, test.codec, test.payload)
				seqs := make(map[uint32]uint16)
				round := uint32(0)
				play := func() {
					for _, base := range []uint32{2000, 3000} {
						for _, p := range packets {
							if p.ssrc > 1 {
								continue
							}
							p.ssrc += base
							p.timestamp += round * 900000
							p.descriptor = bytes.Clone(p.descriptor) // whose frame numbers go on
							number := binary.BigEndian.Uint16(p.descriptor[1:]) + uint16(round)*200
							binary.BigEndian.PutUint16(p.descriptor[1:], number)
							p.seq = seqs[p.ssrc]
							seqs[p.ssrc]++
							w.send([]string{"a", "b"}[base/3000], p)
							if p.marker {
								w.pass(Period / 4)
							}
						}
					}
					round++
				}
				wants := func(height int, rate float64) {
					r.Receive(channel.ReceiverVideoConstraints{DefaultConstraints: &channel.VideoConstraints{MaxHeight: height, MaxFrameRate: rate}})
					w.pass(Period)
				}
				wants(180, -1)
				play()
				play()
				low := len(w.legs["r"].packets)
				wants(360, -1)
				play()
				play()
				high := len(w.legs["r"].packets) - low
				wants(360, 7)
				before := len(w.legs["r"].packets)
				play()
				play()
				slow := len(w.legs["r"].packets) - before
				if slow >= high*3/4 || slow == 0 {
					t.Errorf("%d packets at 7 frames a second, %d before", slow, high)
				}
				wants(180, -1)
				play()
				play()
				if rewriting { // the slots change their sources
					n := 1
					r.Receive(channel.ReceiverVideoConstraints{LastN: &n, SelectedSources: []string{"b-v0"}})
					w.pass(Period)
					play()
				}
				for _, s := range r.out.video {
					got := w.legs["r"].of(s.ssrc)
					continuous(t, got)
					decodable(t, got)
				}
				// What is sent again has the numbers that it had.
				s := r.out.video[1]
				got := w.legs["r"].of(s.ssrc)
				newest := got[len(got)-1]
				w.control("r", rtp.AppendNACK(nil, 9, s.ssrc, []uint16{newest.Sequence()}))
				again := w.legs["r"].of(s.rtx)
				if len(again) != 1 || !bytes.Equal(again[0].Extension(11), newest.Extension(11)) {
					t.Fatalf("%d packets sent again", len(again))
				}
			})
		}
	}
}

// decodable checks by their dependency descriptors that packets make frames which need only what was sent before.
func decodable(t *testing.T, packets []sent) {
	t.Helper()
	var source codec.DependencySource
	have := make(map[uint16]bool)
	frames, last := 0, uint16(0)
	for i, p := range packets {
		var d codec.Descriptor
		if err := source.Parse(p.Extension(11), p.Sequence(), &d); err != nil {
			t.Fatalf("packet %d of %d: no descriptor to be read: %v", i, len(packets), err)
		}
		if !d.Start {
			continue
		}
		if frames > 0 && int16(d.Number-last) <= 0 {
			t.Errorf("packet %d: frame %d after %d", i, d.Number, last)
		}
		for _, back := range d.Fdiffs[:d.References] {
			if !have[d.Number-back] {
				t.Errorf("packet %d: frame %d needs %d, which was not sent", i, d.Number, d.Number-back)
			}
		}
		have[d.Number], last = true, d.Number
		frames++
	}
	if frames < 10 {
		t.Errorf("%d frames", frames)
	}
}

// TestHB10GarbageIsNotSwitchedTo: packets whose payload or descriptor makes no sense are forwarded within the stream that a
// slot has, and none of them makes it change to another one; the last good layer goes on.
func TestHB10GarbageIsNotSwitchedTo(t *testing.T) {
	for name, garbage := range map[string]in{
		"nothing known":                  {payload: 100, body: []byte{0xff, 0xff, 0xff}},
		"a descriptor without structure": {payload: 100, body: []byte{0x10, 1, 1, 1}, descriptor: []byte{0xc0, 0, 1}},
		"a descriptor that is cut":       {payload: 100, body: []byte{0x10, 1, 1, 1}, descriptor: []byte{0xc0, 0, 1, 0x80, 2}},
		"AV1":                            {payload: 41, body: []byte{0xff}},
		"H264":                           {payload: 107, body: []byte{0x7c, 0x85}},
		"VP9":                            {payload: 101, body: []byte{0xff, 0xff}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.join("a", nil, videoSource("a-v0", 2000, 2))
			w.join("b", nil)
			w.wants("b", 720)
			cam := &camera{w: w, id: "a", ssrc: 2000}
			cam.frame(true)
			w.pass(Period)
			before := len(w.legs["b"].of(2000))
			for n := range 30 { // the higher encoding, which b would get if it could begin with it
				p := garbage
				p.ssrc, p.seq, p.timestamp, p.marker = 2001, uint16(n), uint32(3000*n), true
				w.send("a", p)
				cam.frame(false)
				w.pass(33 * time.Millisecond)
			}
			got := w.legs["b"].of(2000)
			if len(got)-before != 60 {
				t.Errorf("%d packets of the good layer, want 60", len(got)-before)
			}
			continuous(t, got)
		})
	}
}

// TestHB11EncryptedMediaIsForwardedUnchanged: end-to-end encryption hides all but the payload descriptor.
func TestHB11EncryptedMediaIsForwardedUnchanged(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, videoSource("a-v0", 2000, 1))
	w.join("b", nil)
	w.join("r", func(e *api.Endpoint) { e.Receive.Rewriting = true })
	w.wants("b", 720)
	w.wants("r", 720)
	random := rand.New(rand.NewPCG(1, 2))
	var sent [][]byte
	for i, p := range captured(t, "vp8", 100) {
		if p.ssrc != 0 {
			continue
		}
		p.ssrc, p.seq = 2000, uint16(i)
		if len(sent) > 0 { // the key frame's first bytes are in the clear, as Jitsi has it
			for n := 3; n < len(p.body); n++ {
				p.body[n] = byte(random.Uint32())
			}
		}
		sent = append(sent, p.body)
		w.send("a", p)
		w.pass(Period)
	}
	for id, l := range w.legs {
		if id == "a" {
			continue
		}
		if len(l.packets) != len(sent) {
			t.Fatalf("%s got %d packets of %d", id, len(l.packets), len(sent))
		}
		for i, p := range l.packets {
			if !bytes.Equal(p.Payload(), sent[i]) {
				t.Errorf("%s: packet %d: %x, was %x", id, i, p.Payload(), sent[i])
			}
		}
	}
}
