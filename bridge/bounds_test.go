package bridge

import (
	"testing"
	"time"

	"parley/bridge/rtp"
)

// HB8: whatever a client claims to be able to get, what is held for it is bounded, and what it wants goes on.
func TestHB8AClaimOfAnyBandwidthHoldsLittle(t *testing.T) {
	for _, claim := range []uint64{1, 30_000, 200_000_000, 1e10, 1<<64 - 1} {
		w := newWorld(t)
		w.join("a", nil, videoSource("a-v0", 2000, 1))
		w.join("b", nil)
		w.wants("b", -1)
		w.control("b", rtp.AppendREMB(rtp.AppendReceiverReport(nil, 9, nil), 9, claim, 2000))
		cam := &camera{w: w, id: "a", ssrc: 2000, packets: 30}
		o := &w.bridge.Endpoint("c", "b").out
		for n := range 900 {
			cam.frame(n == 0)
			w.pass(5 * time.Millisecond)
			if o.pacer.bytes > heldMost {
				t.Fatalf("%d bit/s: %d bytes are held", claim, o.pacer.bytes)
			}
		}
		if n := len(w.legs["b"].of(2000)); claim >= 2e8 && n < 10_000 {
			t.Errorf("%d bit/s: %d packets", claim, n)
		}
	}
}

// HB8: feedback costs no more than that about what a client can be sent.
func TestHB8FeedbackHasABudget(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, videoSource("a-v0", 2000, 1))
	b := w.join("b", nil)
	w.wants("b", -1)
	cam := &camera{w: w, id: "a", ssrc: 2000, packets: 30}
	cam.frame(true)
	// A run of 8,191 packets that did not arrive (draft-holmer §3.1.3).
	long := []byte{0x8f, 205, 0, 5, 0, 0, 0, 9, 0, 0, 7, 208, 0, 0, 0x1f, 0xff, 0, 0, 0, 1, 0x1f, 0xff, 0, 0}
	for range 50 {
		w.control("b", append(rtp.AppendReceiverReport(nil, 9, nil), long...))
	}
	if n := b.Dropped(DropControl); n < 40 {
		t.Errorf("%d of 50 were refused", n)
	}
}

// A packet of audio with what was added to it fits into a datagram.
func TestREDFitsIntoADatagram(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, audioSource("a-a0", 1000))
	w.join("c", withRED)
	w.pass(Period)
	for n := range uint16(20) {
		w.control("c", rtp.AppendReceiverReport(nil, 9, []rtp.ReportBlock{{SSRC: 1000, Fraction: 200}}))
		w.send("a", in{ssrc: 1000, seq: n + 1, timestamp: 960 * uint32(n), payload: 111, level: 30, body: make([]byte, 700)})
		w.pass(Period)
	}
	for _, p := range w.legs["c"].of(1000) {
		if len(p.Bytes()) > 1200 {
			t.Fatalf("%d bytes", len(p.Bytes()))
		}
	}
}

// A probe does not overtake what waits: packets of one SSRC leave in their order.
func TestAProbeKeepsTheOrder(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, videoSource("a-v0", 2000, 1))
	b := w.join("b", nil)
	w.wants("b", -1)
	cam := &camera{w: w, id: "a", ssrc: 2000, packets: 30}
	cam.frame(true)
	b.out.pacer.rate = 1_000_000
	cam.frame(false) // most of it waits
	b.out.pacer.probe.on, b.out.pacer.probe.ask.ID = true, 1
	cam.frame(false)
	b.out.pacer.probe.on = false
	b.out.pacer.rate = 50_000_000
	for range 20 {
		w.pass(5 * time.Millisecond)
		b.out.pacer.rate = 50_000_000
	}
	packets := w.legs["b"].of(2000)
	for i := 1; i < len(packets); i++ {
		if packets[i].Sequence() != packets[i-1].Sequence()+1 {
			t.Fatalf("%d after %d", packets[i].Sequence(), packets[i-1].Sequence())
		}
	}
}

// What was let go of while it waited is not sent again, however often it is asked for; what comes after it is.
func TestWhatWasLetGoOfIsNotSentAgain(t *testing.T) {
	for name, release := range map[string]func(b *Endpoint, s *slot, w *world){
		"too much waits": func(b *Endpoint, s *slot, w *world) { b.out.shed(w.now) },
		"paused": func(b *Endpoint, s *slot, w *world) {
			w.assume("b", 30_000)
			w.pass(Period)
			if !s.paused {
				t.Fatal("the slot is not paused")
			}
			w.assume("b", -1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.join("a", nil, videoSource("a-v0", 2000, 1))
			b := w.join("b", nil)
			w.wants("b", -1)
			cam := &camera{w: w, id: "a", ssrc: 2000, packets: 30}
			cam.frame(true)
			b.out.pacer.rate = 1_000_000
			cam.frame(false) // most of it waits
			next := b.out.slots[2000].order.Next()
			left := w.legs["b"].of(2000)
			first := left[len(left)-1].Sequence() + 1
			if next-first < 10 {
				t.Fatalf("%d packets wait", next-first)
			}
			release(b, b.out.slots[2000], w)
			w.pass(Period)
			cam.frame(true)
			for range 20 {
				b.out.pacer.rate = 50_000_000
				w.pass(5 * time.Millisecond)
			}
			ask := func(seq uint16) int {
				before := len(w.legs["b"].of(2010))
				b.out.pacer.rate = 50_000_000
				w.control("b", rtp.AppendNACK(nil, 9, 2000, []uint16{seq}))
				return len(w.legs["b"].of(2010)) - before
			}
			for seq := first; seq != next; seq++ {
				if ask(seq) != 0 {
					t.Fatalf("%d was sent again", seq)
				}
			}
			left = w.legs["b"].of(2000)
			if seq := left[len(left)-1].Sequence(); int16(seq-next) < 0 || ask(seq) != 1 {
				t.Errorf("%d, after %d, was not sent again", seq, next)
			}
		})
	}
}
