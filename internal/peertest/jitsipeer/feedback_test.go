package jitsipeer

import (
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"
)

func TestFeedbackInterval(t *testing.T) {
	for rate, want := range map[float64]time.Duration{0: 100 * time.Millisecond, 20_000: 250 * time.Millisecond, 68_000: 160 * time.Millisecond,
		136_000: 80 * time.Millisecond, 2_000_000: 50 * time.Millisecond} {
		if got := feedbackEvery(rate).Round(time.Millisecond); got != want {
			t.Errorf("at %v bit/s: %v, want %v", rate, got, want)
		}
	}
}

// watch is a listener of a video stream, of which packets are handed over by their sequence numbers.
type watch struct {
	x   *session
	now time.Time
	i   *incoming

	needed bool // each frame refers to the one before
}

func newWatch() *watch {
	w := &watch{x: &session{peer: &Peer{receiver: newReceiver()}, leg: &leg{}, nacks: true, own: 1}, now: time.Unix(1000, 0)}
	w.x.codecs[100] = VP8
	w.x.peer.receiver.epoch = w.now
	return w
}

func (w *watch) come(sequences ...uint16) {
	for _, n := range sequences {
		st := stamp{packet: uint32(n) + 1, frame: uint32(n) + 1, count: 1, height: 720, key: !w.needed, sent: w.now.UnixNano(), name: []byte("ann-v0")}
		if w.needed {
			st.refs, st.references[0] = 1, uint32(n)
		}
		h := header{payload: 100, sequence: n, stamp: uint32(n) * 3000, ssrc: 7}
		w.x.rtp(st.append(w.x.appendHeader(nil, &h, w.now)), w.now)
		w.now = w.now.Add(time.Millisecond)
	}
	w.i = w.x.peer.receiver.incoming[7]
}

func (w *watch) count() Transport { return w.x.peer.Transport() }

// pass lets time pass, by ticks.
func (w *watch) pass(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); w.now = w.now.Add(tick) {
		w.x.feedback(w.now)
	}
}

// A missing packet is asked for at once, then each round trip, ten times at most and not when it has come.
func TestMissingPacketsAreAskedFor(t *testing.T) {
	for _, c := range []struct {
		trip  time.Duration
		after time.Duration
		times uint64
	}{{100 * time.Millisecond, 95 * time.Millisecond, 1}, {100 * time.Millisecond, 205 * time.Millisecond, 3}, {5 * time.Millisecond, 105 * time.Millisecond, 6},
		{5 * time.Millisecond, 900 * time.Millisecond, 10}, {300 * time.Millisecond, 890 * time.Millisecond, 3}} {
		w := newWatch()
		w.x.peer.receiver.count.RTT, w.needed = c.trip, true
		w.come(10, 11, 13)
		if n := w.count(); n.NACKs != 1 || n.Nacked != 1 {
			t.Errorf("%d requests at once", n.NACKs)
		}
		if w.pass(c.after); w.count().NACKs != c.times {
			t.Errorf("round trip %v: %d requests after %v, want %d", c.trip, w.count().NACKs, c.after, c.times)
		}
	}
	w := newWatch()
	w.come(10, 11, 13)
	w.pass(300 * time.Millisecond)
	if n := w.count(); n.NACKs != 1 {
		t.Errorf("%d requests for what nothing needs any more", n.NACKs)
	}
	w = newWatch()
	w.come(10, 14)
	if n := w.count(); n.NACKs != 1 || n.Nacked != 3 {
		t.Errorf("%d requests for %d packets", n.NACKs, n.Nacked)
	}
	w.come(12, 13, 11)
	w.pass(2 * time.Second)
	if n := w.count(); n.NACKs != 1 {
		t.Errorf("%d requests for what has come", n.NACKs)
	}
	if lost := w.x.peer.Received("ann-v0").Lost; lost != 0 {
		t.Errorf("%d lost", lost)
	}
	w.come(17)
	w.pass(patience + tick)
	if lost := w.x.peer.Received("ann-v0").Lost; lost != 2 {
		t.Errorf("%d lost", lost)
	}
}

// What is told of the whole: reports each second, feedback as often as the bitrate allows, the estimate of an old client in its
// place.
func TestWhatIsTold(t *testing.T) {
	w := newWatch()
	told := func(d time.Duration) map[string]int {
		got := make(map[string]int)
		for end := w.now.Add(d); w.now.Before(end); w.now = w.now.Add(tick) {
			for _, p := range w.x.peer.receiver.due(w.x, w.now) {
				switch p := p.(type) {
				case *rtcp.ReceiverReport:
					got["reports"]++
				case *rtcp.TransportLayerCC:
					got["feedback"]++
				case *rtcp.ReceiverEstimatedMaximumBitrate:
					got["estimates"]++
					if p.Bitrate != 300_000 && p.Bitrate != 200_000 || !slices.Equal(p.SSRCs, []uint32{7}) || p.SenderSSRC != 1 {
						t.Errorf("%+v", p)
					}
				default:
					t.Errorf("%+v", p)
				}
			}
			w.come(uint16(w.x.transport.Load()))
		}
		return got
	}
	w.come(0)
	w.x.extensions.tcc = 5
	// 55 kbit/s: ten of the first second, then one each 200 ms.
	if got := told(3 * time.Second); got["reports"] != 3 || got["feedback"] < 15 || got["feedback"] > 21 || got["estimates"] != 0 {
		t.Errorf("%v", got)
	}
	w.x.extensions.tcc = 0
	told(time.Second)
	w.x.peer.Estimate(300_000)
	if got := told(3 * time.Second); got["reports"] != 3 || got["feedback"] != 0 || got["estimates"] != 3 {
		t.Errorf("an old client: %v", got)
	}
	w.x.peer.Estimate(200_000)
	if got := told(100 * time.Millisecond); got["estimates"] != 1 {
		t.Errorf("another estimate: %v", got)
	}
}

// Retransmissions and padding are counted apart; for the report of their source they have not come.
func TestRetransmissions(t *testing.T) {
	w := newWatch()
	w.x.apt[96] = 100
	w.x.peer.receiver.repairs[8] = 7
	again := func(n uint16, payload bool) {
		h := header{payload: 96, sequence: n + 500, ssrc: 8}
		b := append(w.x.appendHeader(nil, &h, w.now), byte(n>>8), byte(n))
		if payload {
			st := stamp{packet: uint32(n) + 1, frame: uint32(n) + 1, count: 1, height: 720, key: true, sent: w.now.UnixNano(), name: []byte("ann-v0")}
			b = st.append(b)
		}
		w.x.rtp(b, w.now)
	}
	w.come(10, 11, 13, 14)
	again(12, true)
	again(14, true)  // a probe
	again(15, false) // padding that has a number
	h := header{payload: 96, sequence: 700, ssrc: 8}
	w.x.rtp(w.x.appendHeader(nil, &h, w.now), w.now) // and that has none
	h = header{payload: 100, sequence: 15, ssrc: 7}
	w.x.rtp(append(w.x.appendHeader(nil, &h, w.now), 0), w.now) // one byte, without a stamp
	n, s := w.count(), w.x.peer.Received("ann-v0")
	if n.Repairs != 2 || n.Padding != 2 || n.Packets != 9 || n.RepairBytes == 0 || n.PaddingBytes == 0 || n.Bytes <= n.RepairBytes+n.PaddingBytes {
		t.Errorf("%+v", n)
	}
	if s.Packets != 5 || s.Repaired != 1 || s.Duplicates != 1 || s.Frames != 5 || w.x.peer.Unknown() != 1 {
		t.Errorf("%+v", s)
	}
	one, all := w.x.peer.Seconds("ann-v0"), w.x.peer.Seconds("")
	if len(one) != 1 || len(all) != 1 || uint64(one[0].Repairs) != n.RepairBytes || one[0].Repairs != all[0].Repairs || one[0].Media == 0 || one[0].Frames != 5 || one[0].Height != 720 || all[0].Frames != 0 || uint64(all[0].Padding) != n.PaddingBytes {
		t.Errorf("%+v of %+v", one, all)
	}
	if n := w.x.peer.receiver.sources["ann-v0"].screen.rendering.repaired; n != 1 {
		t.Errorf("%d pictures were repaired", n)
	}
	if got := w.i.report.block(7, w.now); got.TotalLost != 1 || w.i.lates != 0 {
		t.Errorf("%+v, %d late", got, w.i.lates)
	}
}

// When more is missing than can be asked for, only a key frame helps.
func TestKeyFrameAfterAFlood(t *testing.T) {
	for gap, want := range map[uint16]uint64{900: 0, 1500: 1} {
		w := newWatch()
		w.come(10, 10+gap)
		st := stamp{packet: 7000, frame: 7000, count: 1, height: 720, refs: 1, references: [2]uint32{6999}, sent: w.now.UnixNano()}
		w.x.peer.receiver.sources["ann-v0"].take(&st, w.now, false)
		if w.pass(350 * time.Millisecond); w.count().PLIs != want {
			t.Errorf("%d requests for key frames behind %d missing packets", w.count().PLIs, gap-1)
		}
	}
}

// Where packets overtake one another, a missing one has as many packets' time to come.
func TestRequestsWaitForReorderedPackets(t *testing.T) {
	w := newWatch()
	for n := uint16(100); n < 200; n += 10 {
		w.come(n, n+1, n+4, n+5, n+2, n+3, n+6, n+7, n+8, n+9) // three too late, and two
	}
	before := w.count().NACKs
	w.come(201, 202) // 200 is missing
	if n := w.count().NACKs; n != before {
		t.Errorf("%d requests two packets later", n-before)
	}
	w.come(203)
	if n := w.count().NACKs; n != before+1 {
		t.Errorf("%d requests three packets later", n-before)
	}
}

func TestReceptionReports(t *testing.T) {
	var r reception
	at := time.Unix(1000, 0)
	come := func(list ...uint32) {
		for _, seq := range list {
			r.take(seq, seq*1800, 90000, at.Add(time.Duration(seq)*20*time.Millisecond))
		}
	}
	const base = 1 << 16
	come(base+1, base+2, base+3, base+4)
	if b := r.block(7, at); b.FractionLost != 0 || b.TotalLost != 0 || b.LastSequenceNumber != 4 || b.Jitter != 0 || b.SSRC != 7 || b.LastSenderReport != 0 {
		t.Errorf("%+v", b)
	}
	come(base+6, base+8)
	r.last, r.lastAt = 0xabcd1234, at
	if b := r.block(7, at.Add(1500*time.Millisecond)); b.FractionLost != 128 || b.TotalLost != 2 || b.LastSequenceNumber != 8 || b.LastSenderReport != 0xabcd1234 || b.Delay != 3<<15 {
		t.Errorf("two of four: %+v", b)
	}
	come(base+5, base+9, base+10)
	if b := r.block(7, at); b.FractionLost != 0 || b.TotalLost != 1 {
		t.Errorf("one more than was expected: %+v", b)
	}
	r.take(base+11, 11*1800, 90000, at.Add(11*20*time.Millisecond+16*time.Millisecond)) // 1,440 ticks late
	if b := r.block(7, at); b.Jitter < 88 || b.Jitter > 91 {
		t.Errorf("jitter %d", b.Jitter)
	}
}

func TestRoundTrip(t *testing.T) {
	w := newWatch()
	w.come(1, 2)
	r := w.x.peer.receiver
	sent := time.Unix(1000, 0)
	block := rtcp.ReceptionReport{SSRC: 5, LastSenderReport: uint32(ntp(sent) >> 16), Delay: 1 << 15}
	r.reports(nil, []rtcp.ReceptionReport{{SSRC: 5}}, sent)
	if got := w.count().RTT; got != roundTrip {
		t.Errorf("%v of a report without time", got)
	}
	r.reports(nil, []rtcp.ReceptionReport{block}, sent.Add(570*time.Millisecond))
	if got := w.count().RTT.Round(time.Millisecond); got != 70*time.Millisecond {
		t.Errorf("round trip %v", got)
	}
	r.reports(nil, []rtcp.ReceptionReport{block}, sent.Add(610*time.Millisecond))
	if got := w.count().RTT.Round(time.Millisecond); got != 80*time.Millisecond {
		t.Errorf("round trip %v, of 70 and 110 ms", got)
	}
	r.reports(&rtcp.SenderReport{SSRC: 7, NTPTime: 0x1122334455667788}, nil, sent)
	if w.i.report.last != 0x33445566 {
		t.Errorf("%x of a sender report", w.i.report.last)
	}
}

// A key frame is asked for when there is none to begin with, soon, and when what comes cannot be decoded, late.
func TestKeyFramesAreAskedFor(t *testing.T) {
	show := func(s *received, frame, reference uint32, key bool, at time.Time) {
		st := stamp{packet: frame, frame: frame, count: 1, height: 720, key: key, sent: at.UnixNano()}
		if !key {
			st.refs, st.references[0] = 1, reference
		}
		s.take(&st, at, false)
	}
	begin := time.Unix(1000, 0)
	asked := func(s *received, frames int, first uint32, broken bool, from time.Time) (list []time.Duration) {
		for n := range frames {
			at := from.Add(time.Duration(n) * 50 * time.Millisecond)
			reference := first + uint32(n) - 1
			if n == 0 && broken {
				reference = 1 << 30
			}
			show(s, first+uint32(n), reference, false, at)
			if s.stuck(at) {
				list = append(list, at.Sub(from))
			}
			s.expire(at)
		}
		return list
	}
	s := &received{keyless: true}
	const ms = time.Millisecond
	if got := asked(s, 14, 10, false, begin); !slices.Equal(got, []time.Duration{200 * ms, 400 * ms, 600 * ms}) {
		t.Errorf("without a key frame: asked after %v", got)
	}
	half := stamp{packet: 29, frame: 29, count: 2, height: 720, key: true, sent: 1}
	if s.take(&half, begin.Add(time.Second), false); s.stuck(begin.Add(1010 * ms)) {
		t.Error("asked while a key frame is coming")
	}
	waits := &received{keyless: true}
	waits.take(&half, begin, false)
	if got := asked(waits, 10, 30, false, begin); !slices.Equal(got, []time.Duration{200 * ms, 400 * ms}) {
		t.Errorf("with a key frame that is not complete: asked after %v", got)
	}
	waits = &received{keyless: true}
	show(waits, 28, 27, false, begin.Add(-time.Second)) // long before
	waits.take(&half, begin, false)
	if show(waits, 30, 29, false, begin.Add(50*ms)); waits.stuck(begin.Add(150*ms)) || !waits.stuck(begin.Add(200*ms)) {
		t.Error("what repairs a key frame is given no time, or too much")
	}
	waits = &received{keyless: true}
	show(waits, 28, 27, false, begin.Add(-time.Second))
	if waits.take(&half, begin, true); !waits.stuck(begin.Add(10 * ms)) {
		t.Error("a packet that was sent again is a new key frame")
	}
	show(s, 30, 0, true, begin.Add(time.Second))
	if got := asked(s, 10, 31, false, begin.Add(1050*ms)); got != nil {
		t.Errorf("all is well: asked after %v", got)
	}
	if got := asked(s, 70, 42, true, begin.Add(1550*ms)); !slices.Equal(got, []time.Duration{2950 * ms, 3150 * ms, 3350 * ms}) {
		t.Errorf("a frame was lost: asked after %v", got)
	}
}

func TestSeconds(t *testing.T) {
	var s series
	begin := time.Unix(1000, 0)
	s.at(begin).Media += 1000
	s.at(begin.Add(999 * time.Millisecond)).Repairs += 100
	if got := s.rate(begin.Add(999 * time.Millisecond)); got != 0 {
		t.Errorf("rate %v before a second is over", got)
	}
	if got := s.rate(begin.Add(time.Second)); got != 8800 {
		t.Errorf("rate %v", got)
	}
	s.at(begin.Add(2500 * time.Millisecond)).Padding += 500
	if got := s.rate(begin.Add(3 * time.Second)); got != 2000 {
		t.Errorf("rate %v", got)
	}
	if want := []Second{{Media: 1000, Repairs: 100}, {}, {Padding: 500}}; !slices.Equal(s.list, want) {
		t.Errorf("%+v", s.list)
	}
	s.at(begin.Add(1000*time.Hour)).Media++
	if len(s.list) != 3 {
		t.Errorf("%d seconds", len(s.list))
	}
}

func TestFeaturesOfFeedbackAndRED(t *testing.T) {
	const tcc, remb, red = "http://jitsi.org/tcc", "http://jitsi.org/remb", "http://jitsi.org/opus-red"
	for _, c := range []struct {
		o    Options
		want []string
	}{{Options{}, []string{tcc}}, {Options{NoTCC: true}, nil}, {Options{REMB: 1}, []string{remb}}, {Options{REMB: 1, NoTCC: true}, []string{remb}},
		{Options{Audio: &Audio{RED: true}}, []string{red, tcc}}} {
		var got []string
		for _, f := range (&Peer{o: c.o}).features() {
			if f == tcc || f == remb || f == red {
				got = append(got, f)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: %q, want %q", c.o, got, c.want)
		}
	}
}
