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

// film lets cameras run at 30 frames per second; a key frame comes as soon as one was asked for.
func (w *world) film(d time.Duration, cameras ...camera3) {
	for end := w.now.Add(d); w.now.Before(end); {
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
		{220, 130, 220, 180}, {700, 400, 600, 360}, {1400, 400, 600, 360}, {3000, 1400, 2000, 720}, {-1, 1400, 2000, 720},
	} {
		w.assume("b", int64(step.budget)*1000)
		w.film(6*time.Second, cam)
		if kbits, height := w.got("b", 2000, 2*time.Second, cam); kbits < step.least || kbits > step.most || height != step.height {
			t.Errorf("of %d kbit/s: %d, %d lines; want %d to %d, %d lines", step.budget, kbits, height, step.least, step.most, step.height)
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
		{600, [4]int{180, 180, 360, 0}},
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
