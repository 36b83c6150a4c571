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

	free     time.Time // when the last one has passed
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
			for _, c := range cameras {
				key := len(c[0].sent) == 0
				for _, l := range c {
					key = key || w.legs[l.id].plis(l.ssrc) > 0
				}
				if key {
					w.legs[c[0].id].control = nil
				}
				c.frame(key)
			}
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
	if n.lost > 20 || quantile(n.waited, 0.95) > 250*time.Millisecond || n.bytes*8/30 < 245_000 {
		t.Errorf("%d lost, %d kbit/s, queue p95 %v", n.lost, n.bytes*8/30/1000, quantile(n.waited, 0.95))
	}
}
