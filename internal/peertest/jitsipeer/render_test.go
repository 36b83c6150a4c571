package jitsipeer

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Pictures are shown evenly, when what is late is late by what can be expected, and soon when nothing is.
func TestRendering(t *testing.T) {
	const ms = time.Millisecond
	type picture struct {
		complete, wait time.Duration // from the camera; from there until it can be decoded
		repaired       bool
	}
	r := rand.New(rand.NewPCG(1, 2))
	for name, c := range map[string]struct {
		at       func(n int) picture
		trip     time.Duration
		freezes  uint64        // in a minute, at most
		longest  time.Duration // interval in the second half of it
		min, max time.Duration // of the delay at the end
	}{
		"even": {at: func(int) picture { return picture{complete: 50 * ms} }, longest: 40 * ms, min: 70 * ms, max: 70 * ms},
		"jitter": {at: func(int) picture { return picture{complete: 50*ms + time.Duration(r.IntN(60))*ms} },
			longest: 60 * ms, min: 100 * ms, max: 135 * ms},
		"repaired within a round trip, and others waiting for that": {at: func(n int) picture {
			switch n % 20 {
			case 7:
				return picture{complete: 150 * ms, repaired: true}
			case 8, 9:
				return picture{complete: 50 * ms, wait: time.Duration(100-40*(n%20-7)) * ms}
			}
			return picture{complete: 50 * ms}
		}, trip: 100 * ms, longest: 41 * ms, min: 170 * ms, max: 170 * ms},
		"two were repaired, too few to wait for": {at: func(n int) picture {
			if n == 500 || n == 1000 {
				return picture{complete: 300 * ms, repaired: true}
			}
			return picture{complete: 50 * ms}
		}, trip: 100 * ms, freezes: 2, longest: 270 * ms, min: 70 * ms, max: 70 * ms},
		"repaired after a second": {at: func(n int) picture {
			if n%100 == 50 {
				return picture{complete: time.Second, repaired: true}
			}
			return picture{complete: 50 * ms}
		}, trip: time.Second, freezes: 15, longest: 800 * ms, min: 240 * ms, max: 270 * ms},
		"a path that gets longer": {at: func(n int) picture { return picture{complete: 50*ms + time.Duration(min(n/10, 60))*5*ms} },
			longest: 41 * ms, min: 360 * ms, max: 380 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			s := &screen{trip: c.trip}
			begin := time.Unix(1000, 0)
			var before time.Time
			var longest time.Duration
			for n := range 1500 {
				taken := begin.Add(time.Duration(n) * 40 * ms)
				p := c.at(n)
				complete := taken.Add(p.complete)
				s.show(taken.UnixNano(), complete, complete.Add(p.wait), p.repaired)
				if shown := s.count.last; n > 750 {
					longest = max(longest, shown.Sub(before))
				}
				if before = s.count.last; before.Before(complete.Add(p.wait)) {
					t.Fatal("shown before it could be decoded")
				}
			}
			if d := s.rendering.delay; d < c.min || d > c.max || longest > c.longest || s.count.Freezes > c.freezes || c.freezes > 0 && s.count.Freezes == 0 {
				t.Errorf("%d freezes, at most %v from one to the next, %v after they were taken", s.count.Freezes, longest, d)
			}
		})
	}
}

// A late picture makes the delay longer at once, to what it was to be; others by and by. Repairs are forgotten after a minute.
func TestRenderingDelay(t *testing.T) {
	const ms = time.Millisecond
	now := time.Unix(1000, 0)
	for name, c := range map[string]struct {
		complete time.Duration
		repaired int
		last     time.Duration // ago
		delay    time.Duration
	}{
		"in time":                  {complete: 50 * ms, delay: 64 * ms},
		"late":                     {complete: 100 * ms, delay: 100 * ms},
		"later than is waited for": {complete: 400 * ms, repaired: 1, delay: 156 * ms},
		"repaired lately":          {complete: 400 * ms, repaired: 3, last: 50 * time.Second, delay: 256 * ms},
		"repaired long ago":        {complete: 400 * ms, repaired: 3, last: 61 * time.Second, delay: 156 * ms},
	} {
		r := rendering{n: 1000, mean: 0.05, variance: 0.05 * 0.05, delay: 60 * ms, before: now.Add(-40 * ms), repaired: c.repaired, last: now.Add(-c.last)}
		sent := now.Add(-c.complete)
		shown := r.at(sent.UnixNano(), sent.Add(50*ms), now, false, 100*ms)
		if d := r.delay.Round(ms); d < c.delay-2*ms || d > c.delay+2*ms || shown.Before(now) || shown.Sub(sent) < min(r.delay, c.complete) {
			t.Errorf("%s: delay %v, shown after %v", name, r.delay, shown.Sub(sent))
		}
	}
}
