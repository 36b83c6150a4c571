package bridge

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"parley/bridge/api"
	"parley/bridge/channel"
	"parley/bridge/rtp"
	"parley/bridge/rtp/codec"
)

// camera3 has three layers of 180, 360 and 720 lines at about 150, 450 and 1,500 kbit/s, half of which is the highest
// temporal layer's and a quarter each the others'.
type camera3 [3]*camera

func (w *world) camera3(id string, ssrc uint32) (c camera3) {
	for i := range c {
		h := 180 << i
		c[i] = &camera{w: w, id: id, ssrc: ssrc + uint32(i), width: 16 * h / 9, height: h, packets: []int{1, 3, 10}[i]}
	}
	return c
}

func (c camera3) frame(key bool) {
	for _, l := range c {
		l.frame(key)
	}
}

// shoot takes one frame of each camera; a key frame where one was asked for.
func (w *world) shoot(cameras ...camera3) {
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

// film lets cameras run at 30 frames per second; a key frame comes as soon as one was asked for.
func (w *world) film(d time.Duration, cameras ...camera3) {
	for end := w.now.Add(d); w.now.Before(end); {
		w.shoot(cameras...)
		w.pass(time.Second / 30)
	}
}

// got is how many kbit/s a receiver was sent under an SSRC, and the height of what its slot gets at the end; 0: it is paused.
func (w *world) got(id string, ssrc uint32, d time.Duration, cameras ...camera3) (kbits int, height int) {
	l := w.legs[id]
	l.packets = nil
	w.film(d, cameras...)
	bytes := 0
	for _, p := range l.of(ssrc) {
		bytes += len(p.Bytes())
	}
	e := w.bridge.Endpoint("c", id)
	e.out.mu.Lock()
	defer e.out.mu.Unlock()
	if s := e.out.slots[ssrc]; s != nil && s.current != nil && !s.paused {
		height = 180 << s.current.index
	}
	return int(int64(bytes) * 8 * int64(time.Second) / int64(d) / 1000), height
}

func (w *world) assume(id string, bits int64) {
	w.bridge.Endpoint("c", id).Receive(channel.ReceiverVideoConstraints{AssumedBandwidth: &bits})
}

// A receiver gets no more than there is room for: the best layers that fit, each step in both directions.
func TestLayersFollowTheBudget(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, videoSource("a-v0", 2000, 3))
	w.join("b", nil)
	w.wants("b", -1)
	w.wants("a", -1)
	cam := w.camera3("a", 2000)
	w.film(2*time.Second, cam)
	for _, step := range []struct{ budget, least, most, height int }{
		{-1, 1400, 2000, 720}, {700, 400, 600, 360}, {400, 200, 400, 360}, {220, 130, 220, 180}, {125, 50, 125, 180}, {60, 30, 50, 180}, {30, 0, 0, 0},
		{220, 130, 220, 180}, {700, 400, 600, 360}, {1150, 400, 600, 360}, {1400, 1000, 1300, 720}, {3000, 1400, 2000, 720}, {-1, 1400, 2000, 720},
	} {
		w.assume("b", int64(step.budget)*1000)
		w.film(6*time.Second, cam)
		if kbits, height := w.got("b", 2000, 2*time.Second, cam); kbits < step.least || kbits > step.most || height != step.height {
			t.Errorf("of %d kbit/s: %d, %d lines; want %d to %d, %d lines", step.budget, kbits, height, step.least, step.most, step.height)
		}
	}
	continuous(t, w.legs["b"].of(2000))
}

// Between two temporal layers, every second picture of the upper one is left out: those that nothing refers to.
func TestEverySecondPictureIsLeftOut(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, videoSource("a-v0", 2000, 3))
	w.join("b", nil)
	w.wants("b", -1)
	cam := w.camera3("a", 2000)
	w.film(2*time.Second, cam)
	for _, step := range []struct {
		budget int64
		ids    [4]int // pictures of each temporal layer in a second
	}{{-1, [4]int{8, 8, 15}}, {1_350_000, [4]int{8, 8, 8}}, {-1, [4]int{8, 8, 15}}} {
		w.assume("b", step.budget)
		w.film(5*time.Second, cam)
		w.legs["b"].packets = nil
		w.film(4*time.Second, cam)
		var pictures [4]int
		for _, p := range w.legs["b"].of(2000) {
			var d codec.VP8
			if err := d.Parse(p.Payload()); err != nil {
				t.Fatal(err)
			}
			if d.Start && d.Partition == 0 {
				pictures[d.Temporal]++
			}
		}
		for tid, n := range pictures {
			if n < 4*step.ids[tid]-4 || n > 4*step.ids[tid]+2 {
				t.Errorf("of %d bit/s: %v pictures in 4 s, want about %v a second", step.budget, pictures, step.ids)
				break
			}
		}
	}
	continuous(t, w.legs["b"].of(2000))
}

// What is on stage comes first, then who spoke last; who has no room is paused, and the receiver knows.
func TestTheLeastImportantIsPaused(t *testing.T) {
	w := newWorld(t)
	var cameras []camera3
	for i := range 4 {
		id := fmt.Sprint("s", i)
		ssrc := 2000 + 100*uint32(i)
		w.join(id, nil, videoSource(id+"-v0", ssrc, 3))
		cameras = append(cameras, w.camera3(id, ssrc))
	}
	w.join("b", nil)
	w.bridge.Endpoint("c", "b").Receive(channel.ReceiverVideoConstraints{
		OnStageSources: []string{"s2-v0"}, Constraints: map[string]channel.VideoConstraints{"s2-v0": {MaxHeight: 720, MaxFrameRate: -1}},
		DefaultConstraints: &channel.VideoConstraints{MaxHeight: 180, MaxFrameRate: -1}})
	w.film(2*time.Second, cameras...)
	for _, step := range []struct {
		budget  int
		heights [4]int
	}{
		{-1, [4]int{180, 180, 720, 180}},
		{2500, [4]int{180, 180, 720, 180}},
		{1000, [4]int{180, 180, 360, 180}},
		{430, [4]int{180, 0, 360, 0}},
		{100, [4]int{0, 0, 180, 0}},
		{-1, [4]int{180, 180, 720, 180}},
	} {
		w.assume("b", int64(step.budget)*1000)
		w.film(8*time.Second, cameras...)
		var heights [4]int
		total := 0
		var names []string
		for i := range heights {
			kbits, height := w.got("b", 2000+100*uint32(i), time.Second, cameras...)
			total += kbits
			if heights[i] = height; height > 0 {
				names = append(names, fmt.Sprint("s", i, "-v0"))
			}
		}
		if heights != step.heights || step.budget > 0 && total > step.budget {
			t.Errorf("of %d kbit/s: %d, lines %v; want %v", step.budget, total, heights, step.heights)
		}
		if m, _ := last[channel.ForwardedSources](w.conns["b"]); !slices.Equal(m.Sources, names) {
			t.Errorf("of %d kbit/s: it is told %v, and gets %v", step.budget, m.Sources, names)
		}
	}
}

// A budget that moves a little about what a layer costs does not make it come and go.
func TestASteadyChoice(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, videoSource("a-v0", 2000, 3))
	w.join("b", nil)
	w.wants("b", -1)
	cam := w.camera3("a", 2000)
	w.film(2*time.Second, cam)
	w.assume("b", 480_000)
	w.film(5*time.Second, cam)
	asked := w.bridge.Endpoint("c", "a").sources[0].keys.number
	for i := range 60 {
		w.assume("b", int64(480_000+15_000*(i%3-1)))
		w.film(300*time.Millisecond, cam)
	}
	if n := w.bridge.Endpoint("c", "a").sources[0].keys.number - asked; n > 2 {
		t.Errorf("%d key frames were asked for", n)
	}
}

// REMB is the budget of a client that sends no transport-wide feedback.
func TestREMBIsABudget(t *testing.T) {
	w := newWorld(t)
	w.join("a", nil, videoSource("a-v0", 2000, 3))
	w.join("b", func(e *api.Endpoint) {
		e.Receive.Extensions = maps.Clone(extensions)
		delete(e.Receive.Extensions, uriTransport)
	})
	w.wants("b", -1)
	cam := w.camera3("a", 2000)
	w.film(2*time.Second, cam)
	w.control("b", rtp.AppendREMB(rtp.AppendReceiverReport(nil, 9, nil), 9, 700_000, 2000))
	w.film(4*time.Second, cam)
	if kbits, height := w.got("b", 2000, time.Second, cam); height != 360 || kbits > 700 {
		t.Errorf("%d kbit/s, %d lines", kbits, height)
	}
}

// A slot goes up twice in a quarter of a minute at most where that takes a key frame.
func TestSlotClimbsSeldom(t *testing.T) {
	small, large, screen := rung{index: 1}, rung{index: 2}, rung{index: 1, spatial: 1}
	at := func(seconds float64) time.Time {
		return time.Unix(1000, 0).Add(time.Duration(seconds * float64(time.Second)))
	}
	s := &slot{pick: small, current: &stream{index: 1}}
	goes := func(to rung, seconds float64, may bool) {
		t.Helper()
		if s.mayClimb(&to, at(seconds)) != may {
			t.Errorf("after %v s: to %d/%d %v", seconds, to.index, to.spatial, !may)
		}
		if may {
			s.choose(to, at(seconds))
		}
	}
	goes(large, 0, true)
	goes(large, 0.5, true) // waits for the key frame
	goes(small, 1, true)
	goes(screen, 3, true)
	goes(small, 4, true)
	goes(large, 5, false)
	goes(small, 14, true) // and stays what it is
	goes(large, 15, true)
	goes(small, 16, true)
	goes(screen, 17.5, false)
	goes(screen, 18, true)
	s.current = &stream{index: 2}
	goes(small, 19, true)
	goes(large, 20, true) // which it still gets
	s.pick, s.current = small, &stream{index: 1}
	goes(large, 21, false)
	s.turnOn(candidate{limit: channel.VideoConstraints{MaxHeight: 720}})
	goes(large, 21, true) // somebody wants to see it
	s.current = nil
	goes(large, 22, true) // it takes a key frame whatever is chosen
}
