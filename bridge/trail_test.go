package bridge

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"parley/bridge/api"
	"parley/bridge/rtp"
)

// A screen share that ends and begins again has the SSRCs that it had. What goes out under one SSRC has each sequence number
// once, and goes on, until the transport has new keys.
func TestSourceThatComesBackGoesOnWhereItWas(t *testing.T) {
	w := newWorld(t)
	share, voice := videoSource("a-v1", 2000, 1), audioSource("a-a0", 1000)
	w.join("a", nil, voice, share)
	w.join("b", nil)
	w.wants("b", 720)
	b := w.legs["b"]
	seq := uint16(9)
	play := func(key uint16) {
		cam := &camera{w: w, id: "a", ssrc: 2000, seq: key, ts: uint32(key) << 20, picture: key}
		cam.frame(true)
		for range 5 {
			cam.frame(false)
			w.send("a", in{ssrc: 1000, seq: seq, timestamp: uint32(seq) * 960, payload: 111, level: 30, body: []byte("x")})
			seq++
		}
		video := b.of(2000)
		w.control("b", rtp.AppendNACK(nil, 9, 2000, []uint16{video[len(video)-1].Sequence(), video[len(video)-2].Sequence()}))
		w.control("a", rtp.AppendSenderReport(nil, rtp.SenderReport{SSRC: 2000, NTP: 1, Timestamp: cam.ts}, nil))
		w.pass(time.Second)
	}
	play(7)
	for i := range uint16(3) {
		w.change("a", func(e *api.Endpoint) { e.Sources = nil })
		w.pass(Period)
		w.change("a", func(e *api.Endpoint) { e.Sources = []api.Source{voice, share} })
		w.pass(2 * time.Second)
		play(30000 + 10000*i)
	}
	// It is the same where the slots go because the receiver is addressed otherwise for a while.
	for _, rewriting := range []bool{true, false} {
		w.change("b", func(e *api.Endpoint) { e.Receive.Rewriting = rewriting })
		w.pass(time.Second)
	}
	play(50012)
	for ssrc, n := range map[uint32]int{2000: 5 * 12, 2010: 5 * 2, 1000: 5 * 5} {
		list := b.of(ssrc)
		if len(list) != n {
			t.Fatalf("%d packets of %d, want %d", len(list), ssrc, n)
		}
		if ssrc != 2010 { // retransmissions have the time of what was lost
			continuous(t, list)
		}
		for i := 1; i < len(list); i++ {
			if list[i].Sequence() != list[i-1].Sequence()+1 {
				t.Errorf("SSRC %d: sequence number %d after %d", ssrc, list[i].Sequence(), list[i-1].Sequence())
			}
		}
	}
	if video := b.of(2000); video[12].Timestamp()-video[11].Timestamp() < 2*90000 {
		t.Error("the time that has passed meanwhile does not show")
	}
	var reports []uint32
	b.each(func(c *rtp.Control) {
		if r, ok := c.SenderReport(); ok && r.SSRC == 2000 {
			reports = append(reports, r.Packets)
		}
	})
	if !slices.Equal(reports, []uint32{12, 24, 36, 48, 60}) {
		t.Errorf("sender reports count %v packets", reports)
	}
}

// A report that comes before anything of the stream has been sent has no timestamp yet.
func TestSenderReportWaitsForTheMedia(t *testing.T) {
	w := newWorld(t)
	source := videoSource("a-v0", 2000, 1)
	w.join("a", nil, source)
	w.join("b", nil)
	w.wants("b", 720)
	(&camera{w: w, id: "a", ssrc: 2000}).frame(true)
	x := w.bridge.Endpoint("c", "b")
	s := x.out.slots[2000]
	s.stop()
	s.turn(&packet{stream: s.source.streams[0], id: s.source.streams[0].id, clock: 90000, at: w.now, buffer: nil})
	w.control("a", rtp.AppendSenderReport(nil, rtp.SenderReport{SSRC: 2000, NTP: 1}, nil))
	w.legs["b"].each(func(c *rtp.Control) {
		if r, ok := c.SenderReport(); ok {
			t.Errorf("%+v", r)
		}
	})
}

func TestNewKeysBeginWithLowSequenceNumbers(t *testing.T) {
	for range 16 {
		w := newWorld(t)
		w.join("a", nil, videoSource("a-v0", 2000, 1))
		x := w.join("b", nil)
		w.wants("b", 720)
		b := w.legs["b"]
		play := func() {
			cam := &camera{w: w, id: "a", ssrc: 2000}
			cam.frame(true)
			w.control("b", rtp.AppendNACK(nil, 9, 2000, []uint16{b.of(2000)[0].Sequence()}))
		}
		play()
		s := x.out.slots[2000]
		s.order, s.repairs = rtp.NewContinuity(64, 65000, 0), 65000
		w.change("b", func(e *api.Endpoint) { e.Session++ })
		x.Attach(b)
		w.pass(time.Second)
		b.packets = nil
		w.wants("b", 720)
		play()
		for ssrc, n := range map[uint32]int{2000: 2, 2010: 1} {
			if list := b.of(ssrc); len(list) < n || list[0].Sequence() >= 1<<15 {
				t.Fatalf("SSRC %d: %d packets: %s", ssrc, len(list), list1(list))
			}
		}
	}
}

func list1(packets []sent) string { return list(packets[:min(len(packets), 1)]) }

func TestPastSSRCsAreFew(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil)
	x := w.join("b", nil)
	for i := range uint32(mostTrails + 50) {
		w.change("a", func(e *api.Endpoint) { e.Sources = []api.Source{audioSource(fmt.Sprint("a-a", i), 1000+i)} })
		w.pass(Period)
		w.send("a", in{ssrc: 1000 + i, seq: 1, payload: 111, body: []byte("x")})
		w.pass(Period)
	}
	b := w.legs["b"]
	if len(b.packets) != mostTrails+50 || len(x.out.trails) != mostTrails {
		t.Fatalf("%d packets, %d SSRCs are remembered", len(b.packets), len(x.out.trails))
	}
	for _, i := range []uint32{mostTrails, 60} { // the oldest are forgotten
		w.change("a", func(e *api.Endpoint) { e.Sources = []api.Source{audioSource("a-a0", 1000+i)} })
		w.pass(Period)
		w.send("a", in{ssrc: 1000 + i, seq: 1, payload: 111, body: []byte("x")})
		if both := b.of(1000 + i); len(both) != 2 || both[1].Sequence() != both[0].Sequence()+1 {
			t.Errorf("source %d: %s", i, list(both))
		}
	}
}
