package bridge

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"parley/bridge/api"
	"parley/bridge/rtp"
)

func TestLostOnTheWayInIsAskedForAndTakesItsPlace(t *testing.T) {
	w := newWorld(t)
	a := w.join("a", nil, videoSource("a-v0", 2000, 1))
	w.join("b", nil)
	w.wants("b", 720)
	cam := &camera{w: w, id: "a", ssrc: 2000, seq: 65530, skip: func(n int) bool { return n == 5 || n == 6 || n == 12 }}
	cam.frame(true)
	for range 8 {
		cam.frame(false)
	}
	w.pass(Period)
	var lost []uint16
	w.legs["a"].each(func(c *rtp.Control) {
		nacks := c.Nacks()
		for seq, ok := nacks.Next(); ok; seq, ok = nacks.Next() {
			lost = append(lost, seq)
		}
	})
	want := []uint16{cam.sent[5].seq, cam.sent[6].seq, cam.sent[12].seq}
	if len(lost) != 3 || lost[0] != want[0] || lost[1] != want[1] || lost[2] != want[2] {
		t.Fatalf("asked for %v, want %v", lost, want)
	}
	b := w.legs["b"]
	if len(b.packets) != 15 {
		t.Fatalf("%d packets, want 15", len(b.packets))
	}
	for _, i := range []int{5, 6, 12, 12, 3} { // one comes twice, one was not lost
		p := cam.sent[i]
		p.body = append(binary.BigEndian.AppendUint16(nil, p.seq), p.body...)
		p.ssrc, p.payload, p.seq = 2010, 96, uint16(i)
		w.send("a", p)
	}
	if len(b.packets) != 18 || a.Dropped(DropProbe) != 2 {
		t.Fatalf("%d packets, %d retransmissions dropped; want 18, 2", len(b.packets), a.Dropped(DropProbe))
	}
	seen := make(map[uint16]bool)
	for _, p := range b.packets {
		seen[p.Sequence()] = true
	}
	first := b.packets[0].Sequence()
	for i := range uint16(18) {
		if !seen[first+i] {
			t.Errorf("nothing has sequence number %d", first+i)
		}
	}
	p := b.packets[15]
	if p.Sequence() != first+5 || p.PayloadType() != 100 || p.SSRC() != 2000 || !bytes.HasSuffix(cam.sent[5].body, p.Payload()[6:]) {
		t.Errorf("the first repaired packet is %d of type %d", p.Sequence()-first, p.PayloadType())
	}
	// They are not asked for again, and what is lost for good is asked for a second at most.
	w.legs["a"].control = nil
	w.pass(2 * time.Second)
	w.legs["a"].each(func(c *rtp.Control) {
		if nacks := c.Nacks(); c.Type == rtp.TypeTransport && c.Count == rtp.FormatNACK {
			seq, _ := nacks.Next()
			t.Errorf("asked for %d again", seq)
		}
	})
}

func TestNackOfAReceiverIsAnsweredFromTheStore(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, videoSource("a-v0", 2000, 1))
	w.join("b", nil)
	w.wants("b", 720)
	cam := &camera{w: w, id: "a", ssrc: 2000, seq: 100}
	cam.frame(true)
	for range 8 {
		cam.frame(false)
	}
	b := w.legs["b"]
	original := b.of(2000)
	w.control("b", rtp.AppendNACK(nil, 9, 2000, []uint16{original[3].Sequence(), original[7].Sequence(), original[7].Sequence() + 5000}))
	again := b.of(2010)
	if len(again) != 2 {
		t.Fatalf("%d retransmissions, want 2", len(again))
	}
	if again[1].Sequence() != again[0].Sequence()+1 {
		t.Error("retransmissions do not have sequence numbers of their own")
	}
	for i, n := range []int{3, 7} {
		p := again[i]
		if p.PayloadType() != 96 || p.Timestamp() != original[n].Timestamp() || p.Marker() != original[n].Marker() {
			t.Errorf("retransmission %d: type %d, timestamp %d", i, p.PayloadType(), p.Timestamp())
		}
		if err := p.Unwrap(100, 2000); err != nil {
			t.Fatal(err)
		}
		if p.Sequence() != original[n].Sequence() || !bytes.Equal(p.Payload(), original[n].Payload()) {
			t.Errorf("retransmission %d is not what was sent", i)
		}
	}
}

// Without RTX nothing is sent twice under one sequence number, whatever is asked for: of what was lost a key frame makes good.
func TestNackWithoutRTXIsAnsweredByAKeyFrame(t *testing.T) {
	withoutRTX := slices.DeleteFunc(slices.Clone(payloads), func(p api.Payload) bool { return p.Name == "rtx" })
	for _, c := range []struct {
		name   string
		change func(*api.Endpoint)
		source api.Source
	}{
		{"the receiver has none", func(e *api.Endpoint) { e.Receive.Payloads = withoutRTX }, videoSource("a-v0", 2000, 1)},
		{"the source has none", nil, api.Source{Name: "a-v0", Kind: api.Video, SSRCs: []uint32{2000}}},
	} {
		w := newWorld(t)
		w.join("a", nil, audioSource("a-a0", 1000), c.source)
		w.join("b", c.change)
		w.wants("b", 720)
		cam := &camera{w: w, id: "a", ssrc: 2000, seq: 100, skip: func(n int) bool { return n == 5 }}
		cam.frame(true)
		for i := range 8 {
			cam.frame(false)
			w.send("a", in{ssrc: 1000, seq: uint16(i), payload: 111, level: 30, body: []byte("x")})
		}
		w.pass(time.Second)
		a, b := w.legs["a"], w.legs["b"]
		video, audio, asked := b.of(2000), b.of(1000), a.plis(2000)
		nack := func(ssrc uint32, seq uint16) { w.control("b", rtp.AppendNACK(nil, 9, ssrc, []uint16{seq})) }
		nack(2000, video[0].Sequence()+5) // the bridge has not got it either
		nack(2000, video[0].Sequence()+5000)
		nack(1000, audio[3].Sequence())
		if n := a.plis(0); n != asked {
			t.Errorf("%s: %d key frames asked for what no key frame makes good", c.name, n-asked)
		}
		nack(2000, video[3].Sequence())
		nack(2000, video[7].Sequence())
		if n := a.plis(2000); n != asked+1 {
			t.Errorf("%s: %d key frames asked for, want 1", c.name, n-asked)
		}
		if n := len(b.packets); n != len(video)+len(audio) {
			t.Errorf("%s: %d packets were sent again", c.name, n-len(video)-len(audio))
		}
		w.pass(400 * time.Millisecond)
		w.wants("b", 0) // any more
		asked = a.plis(0)
		nack(2000, video[7].Sequence())
		if n := a.plis(0); n != asked {
			t.Errorf("%s: %d key frames asked for what nobody sees", c.name, n-asked)
		}
	}
}

// TestNackOfADependencyDescriptor compares the retransmissions of rewritten AV1 with what was sent.
func TestNackOfADependencyDescriptor(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, videoSource("a-v0", 2000, 1))
	w.join("b", nil)
	w.wants("b", 720)
	seq := uint16(0)
	play := func() {
		for _, p := range captured(t, "av1", 41) {
			p.ssrc, p.seq, seq = 2000, seq, seq+1
			w.send("a", p)
		}
		w.pass(Period)
	}
	play()
	w.wants("b", 0)
	w.wants("b", 720) // begins anew: frame numbers and template ids are moved
	w.pass(10 * Period)
	play()
	b := w.legs["b"]
	original := b.of(2000)
	for _, p := range original {
		w.now = w.now.Add(5 * time.Millisecond)
		w.control("b", rtp.AppendNACK(nil, 9, 2000, []uint16{p.Sequence()}))
	}
	again := b.of(2010)
	if len(again) < len(original)/2 {
		t.Fatalf("%d of %d sent again", len(again), len(original))
	}
	bySeq := make(map[uint16]sent)
	for _, p := range original {
		bySeq[p.Sequence()] = p
	}
	for _, p := range again {
		d := bytes.Clone(p.Extension(11))
		if err := p.Unwrap(41, 2000); err != nil {
			t.Fatal(err)
		}
		o := bySeq[p.Sequence()]
		if want := o.Extension(11); !bytes.Equal(d, want) {
			t.Errorf("packet %d: descriptor %x, was sent as %x", p.Sequence(), d, want)
		}
	}
}

func TestHB8KeyFrameRequestsAreFew(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, videoSource("a-v0", 2000, 1))
	cam := &camera{w: w, id: "a", ssrc: 2000, packets: 10}
	cam.frame(true)
	for range 60 { // the key frame is too far back to be kept
		cam.frame(false)
		w.pass(33 * time.Millisecond)
	}
	w.legs["a"].control = nil
	answered := 0
	for i := range 50 {
		id := fmt.Sprint("r", i)
		w.join(id, nil)
		w.wants(id, 720)
		for range 4 {
			w.control(id, rtp.AppendPLI(nil, 9, 2000))
			cam.frame(w.legs["a"].plis(0) > answered)
			answered = w.legs["a"].plis(0)
			w.pass(20 * time.Millisecond)
		}
	}
	if answered > 2+5 || answered < 3 {
		t.Errorf("%d key frames asked for by 50 who join in 5 s", answered)
	}
	t.Logf("%d key frames asked for by 50 who join in 5 s", answered)
	for i := range 50 {
		if len(w.legs[fmt.Sprint("r", i)].packets) == 0 && i < 40 {
			t.Errorf("receiver %d has no video", i)
		}
	}
}

func TestHB8NacksAndAlienControl(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, audioSource("a-a0", 1000), videoSource("a-v0", 2000, 1))
	x := w.join("b", nil)
	w.wants("b", 720)
	cam := &camera{w: w, id: "a", ssrc: 2000, packets: 4}
	cam.frame(true)
	for range 100 {
		cam.frame(false)
	}
	b := w.legs["b"]
	packets := b.of(2000)
	var seqs []uint16
	for _, p := range packets[:200] {
		seqs = append(seqs, p.Sequence())
	}
	for _, want := range []int{200, 400, 580, 620} { // what is on its way is not sent again; then the budget is used up
		for range 20 {
			w.control("b", rtp.AppendNACK(nil, 9, 2000, seqs))
		}
		if n := len(b.of(2010)); n > want+60 || n < want-60 {
			t.Errorf("%d retransmissions, want %d", n, want)
		}
		w.pass(2 * Period)
	}
	if x.Dropped(DropControl) == 0 {
		t.Error("nothing was counted")
	}
	w.pass(2 * time.Second)
	before := len(b.packets)
	w.control("b", []byte{0x80, 200, 0xff, 0xff})          // malformed
	w.control("b", rtp.AppendGoodbye(nil, 1000, 2000))     // not its own
	w.control("b", rtp.AppendPLI(nil, 9, 31337))           // of nothing
	w.control("b", rtp.AppendNACK(nil, 9, 1, []uint16{1})) // of nothing
	w.control("b", rtp.AppendREMB(nil, 9, 1<<60, 2000))
	w.control("b", rtp.AppendSenderReport(nil, rtp.SenderReport{SSRC: 2000, NTP: 1}, nil)) // not its own
	cam.frame(false)
	if n := len(b.packets) - before; n != 4 {
		t.Errorf("%d packets, want 4", n)
	}
}

func TestSenderReportsFollowTheMedia(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, videoSource("a-v0", 2000, 1))
	w.join("b", nil)
	w.wants("b", 720)
	cam := &camera{w: w, id: "a", ssrc: 2000, ts: 5000}
	cam.frame(true)
	w.control("a", rtp.AppendSenderReport(nil, rtp.SenderReport{SSRC: 2000, NTP: 77, Timestamp: 5000, Packets: 1e6}, nil))
	w.control("a", rtp.AppendSenderReport(nil, rtp.SenderReport{SSRC: 2000, NTP: 78, Timestamp: 5000}, nil)) // too soon
	w.pass(time.Second)
	w.control("a", rtp.AppendSenderReport(nil, rtp.SenderReport{SSRC: 2000, NTP: 79, Timestamp: 5000 + 90000*60}, nil)) // wild
	var got []rtp.SenderReport
	w.legs["b"].each(func(c *rtp.Control) {
		if r, ok := c.SenderReport(); ok {
			got = append(got, r)
		}
	})
	if len(got) != 1 || got[0].NTP != 77 || got[0].Timestamp != w.legs["b"].packets[0].Timestamp() || got[0].Packets != 2 {
		t.Errorf("reports %+v", got)
	}
	found := false
	w.legs["a"].each(func(c *rtp.Control) {
		for i := range c.Reports() {
			r, _ := c.Report(i)
			found = found || r.SSRC == 2000 && r.Lost == 0 && r.Highest == 1
		}
	})
	if !found {
		t.Error("the sender got no report")
	}
}

func TestTransportFeedback(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, audioSource("a-a0", 1000))
	w.pass(Period)
	for i := range 50 {
		if i != 20 {
			w.send("a", in{ssrc: 1000, seq: uint16(i), payload: 111, transport: 1 + i, body: []byte("x")})
		}
		w.pass(Period)
	}
	w.pass(100 * time.Millisecond)
	came, not, feedback := 0, 0, 0
	w.legs["a"].each(func(c *rtp.Control) {
		if f, ok := c.TransportCC(); ok {
			feedback++
			for a, ok := f.Next(); ok; a, ok = f.Next() {
				if a.Received {
					came++
				} else {
					not++
				}
			}
		}
	})
	if came != 49 || not != 1 || feedback < 8 || feedback > 25 {
		t.Errorf("%d came, %d did not, in %d reports", came, not, feedback)
	}
}
