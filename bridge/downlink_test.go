package bridge

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"parley/bridge/channel"
	"parley/bridge/rtp"
	"parley/bridge/udp"
)

// narrow is a Leg over a way with a rate and a queue, whose far end sends transport-wide feedback.
type narrow struct {
	*leg
	w     *world
	id    string
	epoch time.Time
	rate  int64         // bits per second
	delay time.Duration // there and back
	queue time.Duration // what it holds; the rest is lost

	free     time.Time  // when the last one has passed
	shared   *time.Time // the same of a way that others share; nil: none do
	under    []arriving
	arrivals rtp.Arrivals
	told     time.Time
	back     []feedback
	waited   []time.Duration
	bytes    int
	lost     int
	lose     int // one in so many is lost
	count    int
}

type arriving struct {
	number uint16
	at     time.Time
}

type feedback struct {
	compound []byte
	at       time.Time
}

func (n *narrow) Commit(b *udp.Batch, size int, ssrc uint32, end bool) {
	var p rtp.Packet
	if size > 0 && p.Parse(slices.Clone(n.buffer[:size])) == nil {
		if number, ok := rtp.TransportSequence(p.Extension(uint8(extensions[uriTransport]))); ok {
			n.pass(number, size+overhead)
		}
	}
	n.leg.Commit(b, size, ssrc, end)
}

func (n *narrow) pass(number uint16, size int) {
	now := n.w.now
	start := now
	if n.shared != nil {
		n.free = *n.shared
	}
	if n.free.After(now) {
		start = n.free
	}
	n.count++
	if start.Sub(now) > n.queue || n.lose > 0 && n.count%n.lose == 0 {
		n.lost++
		return
	}
	n.waited = append(n.waited, start.Sub(now))
	n.free = start.Add(time.Duration(int64(size) * 8 * int64(time.Second) / n.rate))
	if n.shared != nil {
		*n.shared = n.free
	}
	n.under = append(n.under, arriving{number, n.free.Add(n.delay / 2)})
	n.bytes += size
}

// step lets packets arrive, and feedback.
func (n *narrow) step() {
	now := n.w.now
	for len(n.under) > 0 && !n.under[0].at.After(now) {
		n.arrivals.Record(n.under[0].number, n.under[0].at.Sub(n.epoch))
		n.under = n.under[1:]
	}
	if now.Sub(n.told) >= 60*time.Millisecond {
		n.told = now
		if out, _ := n.arrivals.Append(rtp.AppendReceiverReport(nil, 9, nil), 9, 2000, 1000); len(out) > 8 {
			n.back = append(n.back, feedback{out, now.Add(n.delay / 2)})
		}
	}
	for len(n.back) > 0 && !n.back[0].at.After(now) {
		n.w.control(n.id, n.back[0].compound)
		n.back = n.back[1:]
	}
}

// narrow puts an endpoint behind a narrow way.
func (w *world) narrow(id string, rate int64) *narrow {
	n := &narrow{leg: w.legs[id], w: w, id: id, epoch: w.now, rate: rate, delay: 50 * time.Millisecond, queue: 300 * time.Millisecond}
	w.bridge.Endpoint("c", id).Attach(n)
	return n
}

// live lets time pass in steps of the pacer, with cameras of 30 frames per second that answer requests for key frames.
func (w *world) live(d time.Duration, ways []*narrow, cameras ...camera3) {
	start := w.now
	frames, ticks := 0, 0
	for w.now.Sub(start) < d {
		w.now = w.now.Add(paceTick)
		w.batch.Now = w.now
		over := w.now.Sub(start)
		if int(over*30/time.Second) > frames {
			frames++
			w.shoot(cameras...)
		}
		if int(over/Period) > ticks {
			ticks++
			w.bridge.Conference("c").Tick(w.batch)
		}
		w.bridge.Pace(w.batch)
		for _, n := range ways {
			n.step()
		}
	}
}

// What a receiver gets follows what its way can carry, down and up, and the queue on the way stays short.
func TestTheWayIsFilledAndNotOverfilled(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, videoSource("a-v0", 2000, 3))
	w.join("b", nil)
	w.wants("b", -1)
	n := w.narrow("b", 5_000_000)
	ways := []*narrow{n}
	cam := w.camera3("a", 2000)
	for _, step := range []struct {
		rate    int64
		settle  time.Duration
		heights []int
	}{
		{5_000_000, 5 * time.Second, []int{720}},
		{1_000_000, 2 * time.Second, []int{360}},
		{300_000, 2 * time.Second, []int{180, 360}},
		{1_000_000, 5 * time.Second, []int{360}},
		{4_000_000, 5 * time.Second, []int{720}},
	} {
		n.rate, n.waited, n.lost = step.rate, nil, 0
		w.live(step.settle, ways, cam)
		settling := quantile(n.waited, 0.95)
		n.waited, n.lost, n.bytes = nil, 0, 0
		w.live(10*time.Second, ways, cam)
		e := w.bridge.Endpoint("c", "b")
		s := e.out.video[0]
		height := 0
		if s.current != nil {
			height = 180 << s.current.index
		}
		wait := quantile(n.waited, 0.95)
		t.Logf("%d kbit/s: %d lines, %d kbit/s, queue p95 %v (settling %v), %d lost, estimate %d by %v", step.rate/1000, height, n.bytes*8/10/1000,
			wait.Round(time.Millisecond), settling.Round(time.Millisecond), n.lost, e.out.downlink.state.Rate/1000, e.out.downlink.state.Limit)
		if !slices.Contains(step.heights, height) || wait > 100*time.Millisecond || n.lost > 0 {
			t.Errorf("of %d kbit/s: %d lines, want %v; queue p95 %v; %d lost", step.rate/1000, height, step.heights, wait, n.lost)
		}
		m, _ := last[channel.ConnectionStats](w.conns["b"])
		reduced := slices.Equal(m.Reduced, []channel.Reduced{{Source: "a-v0", MaxHeight: height}})
		if reduced != (height < 720) || m.EstimatedDownlinkBandwidth > 2*step.rate || m.Limit == "" {
			t.Errorf("of %d kbit/s, %d lines: it is told %+v", step.rate/1000, height, m)
		}
	}
	continuous(t, n.of(2000))
}

func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(int(q*float64(len(all))), len(all)-1)]
}

// Where voices nearly fill the way, they come whole: pictures get what is left, and nothing keeps the queue full.
func TestVoicesComeFirst(t *testing.T) {
	w := newWorld(t)
	var cameras []camera3
	var mouths []*mouth
	for i := range 4 {
		id, ssrc := fmt.Sprint("s", i), uint32(2000+100*i)
		w.join(id, nil, videoSource(id+"-v0", ssrc, 3), audioSource(id+"-a0", uint32(1000+i)))
		cameras, mouths = append(cameras, w.camera3(id, ssrc)), append(mouths, &mouth{w: w, id: id, ssrc: uint32(1000 + i)})
	}
	w.join("b", nil)
	w.wants("b", -1)
	n := w.narrow("b", 300_000)
	ways := []*narrow{n}
	live := func(d time.Duration) {
		for range int(d / (100 * time.Millisecond)) {
			for _, m := range mouths {
				m.speak(5)
			}
			w.live(100*time.Millisecond, ways, cameras...)
		}
	}
	live(3 * time.Second)
	n.lost, n.bytes, n.waited = 0, 0, nil
	live(30 * time.Second)
	t.Logf("%d lost, %d kbit/s, queue p50 %v p95 %v", n.lost, n.bytes*8/30/1000, quantile(n.waited, 0.5), quantile(n.waited, 0.95))
	if n.lost > 30 || quantile(n.waited, 0.95) > 200*time.Millisecond || n.bytes*8/30 < 245_000 {
		t.Errorf("%d lost, %d kbit/s, queue p95 %v", n.lost, n.bytes*8/30/1000, quantile(n.waited, 0.95))
	}
}

// What was known of a way says nothing of another one.
func TestAnotherWayIsLearntAnew(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, videoSource("a-v0", 2000, 3))
	w.join("b", nil)
	w.wants("b", -1)
	n := w.narrow("b", 300_000)
	cam := w.camera3("a", 2000)
	w.live(5*time.Second, []*narrow{n}, cam)
	e := w.bridge.Endpoint("c", "b")
	if r := e.out.downlink.rate(); r > 400_000 {
		t.Fatalf("%d bit/s before", r)
	}
	n.rate = 5_000_000
	e.Moved()
	if r := e.out.downlink.rate(); r != downlinkStart {
		t.Errorf("%d bit/s at first", r)
	}
	w.live(3*time.Second, []*narrow{n}, cam)
	if s := e.out.video[0]; s.current == nil || s.current.index != 2 || e.out.downlink.rate() < downlinkStart {
		t.Errorf("%d bit/s after three seconds", e.out.downlink.rate())
	}
}

// Where much is lost by chance a retransmission goes out twice, and audio carries what went before without waiting for the
// client's next report about it; where nothing is lost neither happens.
func TestLossByChanceIsMetAtOnce(t *testing.T) {
	for lose, want := range map[int]struct{ copies, redundancy int }{0: {1, 0}, 8: {2, 2}} {
		w := newWorld(t)
		w.join("a", nil, videoSource("a-v0", 2000, 1), audioSource("a-a0", 1000))
		w.join("b", withRED)
		w.wants("b", -1)
		n := w.narrow("b", 20_000_000)
		n.lose = lose
		cam := &camera{w: w, id: "a", ssrc: 2000, packets: 4}
		for range 50 {
			cam.frame(len(cam.sent) == 0 || w.legs["a"].plis(2000) > 0)
			w.legs["a"].control = nil
			w.live(time.Second/30, []*narrow{n})
		}
		o := &w.bridge.Endpoint("c", "b").out
		if got := o.redundancy.count; got < want.redundancy || want.redundancy == 0 && got != 0 {
			t.Errorf("one of %d lost (%.2f): %d earlier packets with each of audio", lose, o.downlink.state.Loss, got)
		}
		sent := n.of(2000)
		before := len(n.packets)
		w.control("b", rtp.AppendNACK(rtp.AppendReceiverReport(nil, 9, nil), 9, 2000, []uint16{sent[len(sent)-2].Sequence()}))
		if got := len(n.packets) - before; got != want.copies {
			t.Errorf("one of %d lost (%.2f): %d retransmissions, want %d", lose, o.downlink.state.Loss, got, want.copies)
		}
	}
}

// Whoever had voices alone, over a way that was full of them, gets pictures when there is room: it is probed for though no picture
// was ever sent.
func TestRoomIsFoundBeforeTheFirstPicture(t *testing.T) {
	w := newWorld(t)
	var cameras []camera3
	var mouths []*mouth
	for i := range 4 {
		id, ssrc := fmt.Sprint("s", i), uint32(2000+100*i)
		w.join(id, nil, videoSource(id+"-v0", ssrc, 3), audioSource(id+"-a0", uint32(1000+i)))
		cameras, mouths = append(cameras, w.camera3(id, ssrc)), append(mouths, &mouth{w: w, id: id, ssrc: uint32(1000 + i)})
	}
	w.join("b", nil)
	w.wants("b", 0)
	n := w.narrow("b", 200_000)
	live := func(d time.Duration) {
		for range int(d / (100 * time.Millisecond)) {
			for _, m := range mouths {
				m.speak(5)
			}
			w.live(100*time.Millisecond, []*narrow{n}, cameras...)
		}
	}
	live(5 * time.Second)
	d := &w.bridge.Endpoint("c", "b").out.downlink
	if len(n.of(2000)) > 0 || d.rate() > 300_000 {
		t.Fatalf("%d pictures, %d bit/s before", len(n.of(2000)), d.rate())
	}
	n.rate = 5_000_000
	w.wants("b", -1)
	live(8 * time.Second)
	for i := range cameras {
		if len(n.of(uint32(2000+100*i))) == 0 {
			t.Errorf("no picture of the camera %d, of %d bit/s by %v", i, d.rate(), d.state.Limit)
		}
	}
}

// An SSRC of retransmissions on which there was padding alone goes on where it stood when its slot comes back (RFC 3711 §9.1).
func TestPaddingLeavesATrail(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, videoSource("a-v0", 2000, 1))
	w.join("b", nil)
	w.wants("b", -1)
	o := &w.bridge.Endpoint("c", "b").out
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.video[0]
	leg, d := s.receiver.ready()
	if o.filler() != s || !s.pad(w.batch, leg, d) || !s.pad(w.batch, leg, d) {
		t.Fatal("no padding")
	}
	next := s.repairs
	o.leave(s)
	if again := newSlot(s.receiver, true, s.ssrc, s.rtx, ""); again.repairs != next || again.sent {
		t.Errorf("it goes on at %d, want %d; media were sent: %v", again.repairs, next, again.sent)
	}
}
