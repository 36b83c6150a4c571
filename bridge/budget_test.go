package bridge

import (
	"testing"
	"time"

	"parley/bridge/api"
	"parley/bridge/channel"
	"parley/bridge/rtp"
	"parley/bridge/udp"
)

func TestHB8NacksAndCompoundsHaveABudget(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, videoSource("a-v0", 2000, 1))
	x := w.join("b", nil)
	w.wants("b", 720)
	cam := &camera{w: w, id: "a", ssrc: 2000, packets: 10}
	cam.frame(true)
	for range 20 {
		cam.frame(false)
	}
	b := w.legs["b"]
	first := b.of(2000)[0].Sequence()
	for i := range uint16(150) {
		w.control("b", rtp.AppendNACK(nil, 9, 2000, []uint16{first + i}))
	}
	if n, dropped := len(b.of(2010)), x.Dropped(DropControl); n != 100 || dropped != 50 {
		t.Errorf("%d retransmissions for 150 NACKs, %d refused; want 100, 50", n, dropped)
	}
	for range 150 { // with those, 300 compounds
		w.control("b", rtp.AppendReceiverReport(nil, 9, nil))
	}
	if n := x.Dropped(DropControl); n != 50 {
		t.Errorf("%d of 300 compounds refused, want 50", n)
	}
	asked := w.legs["a"].plis(0)
	w.control("b", rtp.AppendPLI(nil, 9, 2000))
	if n := x.Dropped(DropControl); n != 51 || w.legs["a"].plis(0) != asked {
		t.Errorf("compound 301: %d refused, want 51; %d key frames asked for", n, w.legs["a"].plis(0)-asked)
	}
	w.now = w.now.Add(time.Second)
	w.control("b", rtp.AppendPLI(nil, 9, 2000))
	w.control("b", rtp.AppendNACK(nil, 9, 2000, []uint16{first}))
	if w.legs["a"].plis(0) == asked || len(b.of(2010)) != 101 || x.Dropped(DropControl) != 51 {
		t.Error("the budget does not come back")
	}
}

func TestHB8SenderReportsWithAWildClockAreDropped(t *testing.T) {
	w := newWorld(t)
	a := w.join("a", nil, videoSource("a-v0", 2000, 1))
	w.join("b", nil)
	w.wants("b", 720)
	const now = 90000 * 1000
	(&camera{w: w, id: "a", ssrc: 2000, ts: now}).frame(true)
	for i, c := range []struct {
		seconds int
		taken   bool
	}{{-11, false}, {11, false}, {-9, true}, {9, true}} {
		w.now = w.now.Add(reportEvery)
		before, dropped := len(w.legs["b"].control), a.Dropped(DropControl)
		w.control("a", rtp.AppendSenderReport(nil, rtp.SenderReport{SSRC: 2000, NTP: uint64(i), Timestamp: uint32(now + 90000*c.seconds)}, nil))
		if taken := len(w.legs["b"].control) > before; taken != c.taken || taken != (a.Dropped(DropControl) == dropped) {
			t.Errorf("%d s from the media: passed on %v", c.seconds, taken)
		}
	}
}

func TestHB9PayloadTypesOfAnotherKindOfSourceAreDropped(t *testing.T) {
	w := newWorld(t)
	a := w.join("a", nil, audioSource("a-a0", 1000), videoSource("a-v0", 2000, 1))
	w.join("b", nil)
	w.wants("b", 720)
	key := []byte{0x90, 0x80, 0x80, 1, 0, 0, 0, 0x9d, 1, 0x2a, 64, 1, 180, 0}
	for _, p := range []in{
		{ssrc: 1000, payload: 100, body: key},         // video in audio
		{ssrc: 2000, payload: 111, body: []byte("x")}, // audio in video
		{ssrc: 2000, payload: 96, body: key},          // a retransmission where media is
		{ssrc: 1000, payload: 96, body: key},
		{ssrc: 2000, payload: 77, body: key}, // nobody has named it
		{ssrc: 1000, payload: 77, body: key},
	} {
		before := a.Dropped(DropPayload)
		p.level = 10
		for p.seq = range 3 {
			w.send("a", p)
		}
		if a.Dropped(DropPayload) != before+3 || len(w.legs["b"].packets) != 0 {
			t.Errorf("type %d with SSRC %d: %d dropped, %d passed on", p.payload, p.ssrc, a.Dropped(DropPayload)-before, len(w.legs["b"].packets))
		}
	}
	w.send("a", in{ssrc: 1000, payload: 111, body: []byte("x")})
	w.send("a", in{ssrc: 2000, payload: 100, body: key})
	if n := len(w.legs["b"].packets); n != 2 {
		t.Errorf("%d packets of the right kind, want 2", n)
	}
}

func TestStoreKeepsNoMoreThanItsBytes(t *testing.T) {
	var pool udp.Pool
	var s store
	now := time.Now()
	const size = storedBytes / 64
	put := func(seq int64, n int) {
		p := pool.Copy(make([]byte, n))
		s.put(seq, p, now)
		p.Release()
	}
	for seq := range int64(200) {
		put(seq, size)
		if want := min(seq+1, 64); pool.Lent() != want || s.bytes != int(want)*size {
			t.Fatalf("%d buffers, %d bytes after %d packets", pool.Lent(), s.bytes, seq+1)
		}
	}
	if s.get(199) == nil || s.get(136) == nil || s.get(135) != nil {
		t.Error("not the newest are kept")
	}
	put(200, 2*storedBytes) // the newest is kept in any case
	if s.get(200) == nil || pool.Lent() != 1 {
		t.Errorf("%d buffers", pool.Lent())
	}
	s.clear()
	if pool.Lent() != 0 || s.bytes != 0 {
		t.Errorf("%d buffers, %d bytes are left", pool.Lent(), s.bytes)
	}
}

// A reader may have found a stream just before its source was taken away.
func TestClosedStreamKeepsNothing(t *testing.T) {
	w := newWorld(t)
	a := w.join("a", nil, videoSource("a-v0", 2000, 1))
	st := a.sources[0].streams[0]
	keep := func(seq int64) int64 {
		p := packet{seq: seq, at: w.now, buffer: w.pool.Copy(make([]byte, 100))}
		st.keep(&p)
		p.buffer.Release()
		return w.pool.Lent()
	}
	if n := keep(1); n != 1 {
		t.Fatalf("%d buffers are kept, want 1", n)
	}
	w.change("a", func(e *api.Endpoint) { e.Sources = nil })
	if n := keep(2); n != 0 {
		t.Errorf("%d buffers are kept of a source that is gone", n)
	}
}

// closing is a channel that remembers how it was closed.
type closing struct {
	conn
	code int
}

func (c *closing) Close(code int, _ string) { c.code = code }

func TestGoneEndpointIsNotHeard(t *testing.T) {
	w := newWorld(t)
	w.join("b", nil)
	old := w.join("a", nil, videoSource("a-v0", 2000, 1))
	w.wish.Endpoints = w.wish.Endpoints[:1]
	w.apply()
	fresh := w.join("a", nil, videoSource("a-v0", 2000, 1)) // another one, with the same name
	w.pass(Period)

	late := &closing{}
	old.Opened(late)
	if late.code != channel.CloseExpired || len(late.messages) != 0 || old.channel != nil {
		t.Errorf("a channel of a gone endpoint: code %d, %d messages, kept %v", late.code, len(late.messages), old.channel != nil)
	}
	before := len(w.conns["b"].messages)
	w.bridge.Conference("c").dirty.Store(false)
	old.Receive(channel.EndpointMessage{To: "b"})
	old.Receive(channel.EndpointMessage{})
	old.Receive(channel.EndpointStats{})
	old.Receive(channel.ReceiverVideoConstraints{DefaultConstraints: &channel.VideoConstraints{MaxHeight: 720}})
	if n := len(w.conns["b"].messages); n != before || old.receive.heard || w.bridge.Conference("c").dirty.Load() {
		t.Errorf("%d messages of a gone endpoint", n-before)
	}
	if fresh.channel == nil {
		t.Error("the new one lost its channel")
	}
	fresh.Receive(channel.EndpointMessage{To: "b"})
	if n := len(w.conns["b"].messages); n != before+1 {
		t.Errorf("%d messages of the new one, want 1", n-before)
	}
}
