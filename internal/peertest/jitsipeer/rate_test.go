package jitsipeer

import (
	"slices"
	"testing"
	"time"
)

// What is sent at a rate is that rate, whatever key frames come in between, and no frame is empty.
func TestRates(t *testing.T) {
	for _, c := range allCodecs {
		for _, key := range []int{0, 300, 100} { // frames from one key frame to the next
			s := newSource("ann-v0", nil, &Video{Codec: c, Rates: []int{150_000, 500_000, 1_800_000}, FPS: 30})
			s.video.allot(s.rates, 0, -1)
			sum, keys, deltas := make([]int, 3), 0, 0
			const seconds = 40
			for n := range 30 * seconds {
				for i, o := range s.outgoing() {
					e := &o.encoder
					e.activate(s.active(i, -1))
					e.wanted = e.wanted || key > 0 && n%key == 0
					for _, p := range e.next() {
						layer := int(p.stream) + int(p.spatial)
						sum[layer] += p.size
						if layer != 2 {
							continue
						}
						if p.intra {
							keys += p.size
						} else {
							deltas += p.size
						}
						if p.size < 1_800_000/8/30/2 {
							t.Errorf("%s: a frame of %d bytes", c, p.size)
						}
					}
				}
			}
			for i, n := range sum {
				if rate := 8 * n / seconds; rate < s.video.Rates[i]*97/100 || rate > s.video.Rates[i]*103/100 {
					t.Errorf("%s, key frames each %d: layer %d has %d bits/s, want %d", c, key, i, rate, s.video.Rates[i])
				}
			}
			if key > 0 {
				count := 30 * seconds / key
				one, other := keys/count, deltas/(30*seconds-count)
				if one < 5*other || one > 8*other {
					t.Errorf("%s: key frames of %d bytes, others of %d", c, one, other)
				}
			}
		}
	}
}

func TestLayersThatFit(t *testing.T) {
	v := &Video{Heights: []int{184, 360, 720}, Rates: []int{150, 500, 1800}}
	rates := make([]int, 3)
	for _, step := range []struct {
		limit, height int
		want          []int
	}{
		{0, -1, []int{150, 500, 1800}},
		{2000, -1, []int{150, 500, 1350}},
		{1100, -1, []int{150, 500, 450}},
		{1099, -1, []int{150, 449 + 51, 0}}, // less than a quarter is left
		{1150, -1, []int{150, 500, 0}},      // a little more is not enough
		{1190, -1, []int{150, 500, 540}},
		{0, 360, []int{150, 500, 0}},
		{0, 200, []int{150, 0, 0}},
		{0, 100, []int{150, 0, 0}},
		{0, 0, []int{0, 0, 0}},
		{100, -1, []int{100, 0, 0}},
		{274, -1, []int{150, 0, 0}},
		{300, -1, []int{150, 150, 0}},
		{275, -1, []int{150, 125, 0}},
		{274, -1, []int{150, 0, 0}},
		{0, 720, []int{150, 500, 1800}},
	} {
		if v.allot(rates, step.limit, step.height); !slices.Equal(rates, step.want) {
			t.Errorf("of %d, height %d: %d, want %d", step.limit, step.height, rates, step.want)
		}
	}
	v.Caps = []Cap{{0, 1000}, {10 * time.Second, 300}, {20 * time.Second, 0}}
	for after, want := range map[time.Duration]int{0: 1000, 9 * time.Second: 1000, 10 * time.Second: 300, 25 * time.Second: 0} {
		if got := v.limit(after); got != want {
			t.Errorf("after %v the limit is %d, want %d", after, got, want)
		}
	}
}

// Layers go off and on as the bridge wants them, in one stream or in three, and begin again with a key frame.
func TestLayersAreTurnedOff(t *testing.T) {
	for _, c := range allCodecs {
		for _, rates := range [][]int{nil, {150_000, 500_000, 1_800_000}} {
			s := newSource("ann-v0", nil, &Video{Codec: c, Rates: rates})
			x := &session{leg: &leg{}, video: map[Codec]uint8{c: 100}}
			now := time.Unix(1000, 0)
			for _, step := range []struct{ height, layers int }{{-1, 3}, {360, 2}, {184, 1}, {720, 3}, {0, 0}, {400, 2}} {
				s.height.Store(int32(step.height))
				before := 0
				for range 4 {
					now = now.Add(50 * time.Millisecond)
					s.show(x, now)
				}
				for _, o := range s.outgoing() {
					before += o.encoder.active
				}
				if before != step.layers {
					t.Errorf("%s, height %d: %d layers, want %d", c, step.height, before, step.layers)
				}
			}
			for i, o := range s.outgoing() {
				o.encoder.wanted = false
				o.encoder.activate(0)
				if o.encoder.activate(s.active(i, -1)); s.active(i, -1) > 0 && !o.encoder.wanted {
					t.Errorf("%s: stream %d begins without a key frame", c, i)
				}
			}
		}
	}
}

func TestCapsFollowTheClock(t *testing.T) {
	s := newSource("ann-v0", nil, &Video{Codec: VP9, Rates: []int{150_000, 500_000, 1_800_000}, Caps: []Cap{{0, 400_000}, {time.Second, 100_000}, {2 * time.Second, 0}}})
	x := &session{leg: &leg{}, video: map[Codec]uint8{VP9: 100}}
	now := time.Unix(1000, 0)
	var got []int
	for n := range 60 {
		s.show(x, now)
		if now = now.Add(50 * time.Millisecond); n%20 == 10 {
			got = append(got, s.outgoing()[0].encoder.active)
		}
	}
	if want := []int{2, 1, 3}; !slices.Equal(got, want) {
		t.Errorf("%d layers, want %d", got, want)
	}
}

func TestVideoOfOtherLayers(t *testing.T) {
	for name, v := range map[string]*Video{
		"rates of two":       {Rates: []int{1, 2}},
		"rates of a screen":  {Rates: []int{1, 2, 3}, Desktop: true},
		"caps without rates": {Caps: []Cap{{0, 1}}},
		"four layers":        {Heights: []int{8, 16, 24, 32}},
	} {
		if v.check() == nil {
			t.Errorf("%s: taken", name)
		}
	}
	for _, v := range []*Video{nil, {}, {Rates: []int{1, 2, 3}}, {Rates: []int{1}, Desktop: true}} {
		if err := v.check(); err != nil {
			t.Error(err)
		}
	}
}
