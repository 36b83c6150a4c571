package jitsipeer

import (
	"math/rand/v2"
	"testing"
	"time"
)

// call is a virtual call: frames of 20 ms, of which each packet repeats the ones of these distances.
type call struct {
	frames    int
	distances []int
	fec       bool
	lost      func(n int) bool
	delay     func(n int) time.Duration // of the network; nil: 30 ms
	pause     func(n int) int           // frames of silence before this one, during which nothing is sent
	frame     uint32                    // number and RTP time of the first
	stamp     uint32
}

// play hands the packets to a buffer in the order in which they come.
func (c call) play() Played {
	type arrival struct {
		at     time.Duration
		seq    uint32
		stamp  uint32
		frames []voice
	}
	var arrivals []arrival
	begin := time.Unix(1000, 0)
	silence := 0
	for n := range c.frames {
		if c.pause != nil {
			silence += c.pause(n)
		}
		if c.lost != nil && c.lost(n) {
			continue
		}
		delay := 30 * time.Millisecond
		if c.delay != nil {
			delay = c.delay(n)
		}
		tick := n + silence
		at := func(back int) voice {
			return voice{frame: c.frame + uint32(n-back), media: -int64(back) * frameTicks, sent: begin.Add(time.Duration(tick-back) * audioFrame).UnixNano(), how: copied}
		}
		var list []voice
		for _, d := range c.distances {
			if n >= d {
				list = append(list, at(d))
			}
		}
		if c.fec && n > 0 {
			v := at(1)
			v.how = fec
			list = append(list, v)
		}
		own := at(0)
		own.how = alone
		a := arrival{time.Duration(tick)*audioFrame + delay, 1<<16 + uint32(n), c.stamp + uint32(tick)*frameTicks, append(list, own)}
		i := len(arrivals)
		for arrivals = append(arrivals, a); i > 0 && arrivals[i-1].at > a.at; i-- {
			arrivals[i-1], arrivals[i] = arrivals[i], arrivals[i-1]
		}
	}
	p := &playout{}
	clock := 0 * tick
	for _, a := range arrivals {
		for ; clock < a.at; clock += tick {
			p.advance(begin.Add(clock))
		}
		p.take(begin.Add(a.at), 7, a.seq, a.stamp, a.frames)
	}
	p.advance(begin.Add(clock + time.Second))
	return p.count
}

func random(percent int) func(int) bool {
	r := rand.New(rand.NewPCG(1, uint64(percent)))
	return func(int) bool { return r.IntN(100) < percent }
}

// bursts loses so many in a row of each hundred.
func bursts(n int) func(int) bool { return func(i int) bool { return i%100 >= 50 && i%100 < 50+n } }

func TestPlayout(t *testing.T) {
	jitter := func(most time.Duration) func(int) time.Duration {
		r := rand.New(rand.NewPCG(2, uint64(most)))
		return func(int) time.Duration { return 30*time.Millisecond + time.Duration(r.Int64N(int64(most))) }
	}
	const n = 5000
	lostOf := func(lost func(int) bool) (k uint64) {
		for i := range n {
			if lost(i) {
				k++
			}
		}
		return k
	}
	five := lostOf(random(5))
	for name, c := range map[string]struct {
		call
		concealed, most uint64  // least and most of Concealed
		own, red, fec   uint64  // least
		late            uint64  // least
		target          float64 // ms, at most
	}{
		"nothing lost":                            {call: call{}, own: n, target: 40},
		"numbers and times across their end":      {call: call{frame: 1<<32 - 100, stamp: 1<<32 - 777}, own: n, target: 40},
		"one frame":                               {call: call{frames: 1}, own: 1, target: 80},
		"5 % lost":                                {call: call{lost: random(5)}, concealed: five, most: five, own: n - five, target: 40},
		"5 % lost, each frame twice":              {call: call{lost: random(5), distances: []int{1}}, concealed: 1, most: n / 300, own: n - five, red: five - n/300, target: 40},
		"5 % lost, across the end":                {call: call{lost: random(5), distances: []int{1}, frame: 1<<32 - 2500, stamp: 1<<32 - 2500*960}, concealed: 1, most: n / 300, own: n - five, red: five - n/300, target: 40},
		"5 % lost, in-band FEC":                   {call: call{lost: random(5), fec: true}, concealed: 1, most: n / 300, own: n - five, fec: five - n/300, target: 40},
		"bursts of 3":                             {call: call{lost: bursts(3)}, concealed: 150, most: 150, own: n - 150, target: 40},
		"bursts of 3, each frame twice":           {call: call{lost: bursts(3), distances: []int{1}}, concealed: 100, most: 100, own: n - 150, red: 50, target: 40},
		"bursts of 3, copies 1 and 2 behind":      {call: call{lost: bursts(3), distances: []int{2, 1}}, concealed: 50, most: 50, own: n - 150, red: 100, target: 40},
		"bursts of 3, copies 1 to 3 behind":       {call: call{lost: bursts(3), distances: []int{3, 2, 1}}, concealed: 50, most: 50, own: n - 150, red: 100, target: 40},
		"a copy is better than FEC":               {call: call{lost: bursts(1), distances: []int{1}, fec: true}, own: n - 50, red: 50, target: 40},
		"jitter of 60 ms":                         {call: call{delay: jitter(60 * time.Millisecond)}, most: 5, own: n - 5, target: 60},
		"jitter of 200 ms":                        {call: call{delay: jitter(200 * time.Millisecond)}, most: 25, own: n - 25, target: 200},
		"jitter of 60 ms and 5 % lost, twice":     {call: call{delay: jitter(60 * time.Millisecond), lost: random(5), distances: []int{1}}, concealed: 1, most: n/300 + 5, own: n - five - 5, red: five - n/300 - 5, target: 60},
		"jitter that no buffer holds":             {call: call{delay: jitter(1200 * time.Millisecond)}, concealed: n / 10, most: n, own: n / 4, target: 400},
		"a minute of silence":                     {call: call{pause: at(2500, 3000)}, own: n, target: 40},
		"silence, and the last before it lost":    {call: call{pause: at(2500, 3000), lost: only(2499)}, concealed: 1, most: 1, own: n - 1, target: 40},
		"an outage of 1 s":                        {call: call{lost: between(2500, 2550)}, concealed: 50, most: 50, own: n - 50, target: 40},
		"an outage of 10 s":                       {call: call{lost: between(2500, 3000)}, concealed: 500, most: 500, own: n - 500, target: 40},
		"a path that is 100 ms longer from now":   {call: call{delay: longer(2500, 100*time.Millisecond)}, concealed: 3, most: 3, own: n, target: 40},
		"a path that is 300 ms shorter from now":  {call: call{delay: shorter(2500, 300*time.Millisecond)}, most: 20, own: n - 20, target: 40},
		"a path that is 500 ms shorter from now":  {call: call{delay: shorter(2500, 500*time.Millisecond)}, concealed: 15, most: 25, own: n - 30, late: 20, target: 40},
		"2 s come at once":                        {call: call{delay: held(2500, 2600)}, concealed: 98, most: 101, own: n - 101, target: 40},
		"a packet that comes behind the next one": {call: call{delay: swapped(100)}, own: n, target: 40},
		"a packet that comes too late":            {call: call{delay: tardy(2500, 120*time.Millisecond)}, concealed: 1, most: 1, own: n - 1, target: 40},
	} {
		t.Run(name, func(t *testing.T) {
			if c.frames == 0 {
				c.frames = n
			}
			p := c.play()
			if p.Concealed < c.concealed || p.Concealed > c.most || p.Frames < c.own || p.Redundant < c.red || p.FEC < c.fec || p.Late < c.late || p.Frames+p.Redundant+p.FEC > uint64(c.frames) {
				t.Errorf("played %d, %d copies, %d by FEC; concealed %d, late %d; want at least %d, %d, %d; %d to %d",
					p.Frames, p.Redundant, p.FEC, p.Concealed, p.Late, c.own, c.red, c.fec, c.concealed, c.most)
			}
			if ms := float64(p.Target.Microseconds()) / 1000; ms > c.target || c.target > 80 && ms < c.target*0.4 {
				t.Errorf("target %v, want at most %v ms", p.Target, c.target)
			}
			t.Logf("%.2f %%, delay %v, %v", 100*p.Ratio(), p.Delay.Quantile(0.5), p.Delay.Quantile(0.95))
		})
	}
}

func at(frame, silence int) func(int) int {
	return func(n int) int {
		if n == frame {
			return silence
		}
		return 0
	}
}
func only(frame int) func(int) bool { return func(n int) bool { return n == frame } }
func between(first, behind int) func(int) bool {
	return func(n int) bool { return n >= first && n < behind }
}

func longer(from int, by time.Duration) func(int) time.Duration {
	return func(n int) time.Duration {
		if n < from {
			return 30 * time.Millisecond
		}
		return 30*time.Millisecond + by
	}
}

func shorter(from int, by time.Duration) func(int) time.Duration {
	return func(n int) time.Duration {
		if n < from {
			return 30*time.Millisecond + by
		}
		return 30 * time.Millisecond
	}
}

// held keeps the packets of a time until the end of it.
func held(first, behind int) func(int) time.Duration {
	return func(n int) time.Duration {
		if n < first || n >= behind {
			return 30 * time.Millisecond
		}
		return 30*time.Millisecond + time.Duration(behind-n)*audioFrame
	}
}

func swapped(each int) func(int) time.Duration {
	return func(n int) time.Duration {
		if n%each == 50 {
			return 55 * time.Millisecond
		}
		return 30 * time.Millisecond
	}
}

func tardy(frame int, by time.Duration) func(int) time.Duration {
	return func(n int) time.Duration {
		if n == frame {
			return 30*time.Millisecond + by
		}
		return 30 * time.Millisecond
	}
}

// What is heard is late by what the network and the buffer take.
func TestPlayoutDelay(t *testing.T) {
	for _, c := range []struct {
		delay    func(int) time.Duration
		min, max time.Duration
	}{{nil, 60 * time.Millisecond, 80 * time.Millisecond}, {longer(0, 200*time.Millisecond), 240 * time.Millisecond, 275 * time.Millisecond}} {
		p := call{frames: 3000, delay: c.delay}.play()
		if d := p.Delay.Quantile(0.5); d < c.min || d > c.max {
			t.Errorf("delay %v", d)
		}
	}
}

// A source that moves to another SSRC goes on with other numbers and times; nothing was lost.
func TestPlayoutOnAnotherSSRC(t *testing.T) {
	p := &playout{}
	at := time.Unix(1000, 0)
	for n := range uint32(200) {
		ssrc, seq, stamp := uint32(1), 1<<16+n, n*frameTicks
		if n >= 100 {
			ssrc, seq, stamp = 2, 1<<16+7*n, 1<<31+n*frameTicks
		}
		if n >= 100 {
			seq = 1<<16 + n - 50
		}
		p.take(at, ssrc, seq, stamp, []voice{{frame: n, sent: at.UnixNano(), how: alone}})
		at = at.Add(audioFrame)
	}
	p.advance(at.Add(time.Second))
	if p.count.Frames != 200 || p.count.Concealed != 0 {
		t.Errorf("%d played, %d concealed", p.count.Frames, p.count.Concealed)
	}
}

// What was late on one SSRC says nothing of another: the first packet of the first one was, by 100 ms.
func TestPlayoutDelayOnAnotherSSRC(t *testing.T) {
	p := &playout{}
	at := time.Unix(1000, 0)
	for n := range uint32(1000) {
		ssrc, come := uint32(1), at.Add(time.Duration(n)*audioFrame)
		if n == 0 {
			come = come.Add(100 * time.Millisecond)
		}
		if n >= 500 {
			ssrc = 2
		}
		p.advance(come)
		p.take(come, ssrc, 1<<16+n, n*frameTicks, []voice{{frame: n, how: alone}})
	}
	if p.count.Target != targetLeast {
		t.Errorf("target %v", p.count.Target)
	}
}

// Numbers jump further than the ring reaches, with no time between.
func TestPlayoutOfAJump(t *testing.T) {
	p := &playout{}
	at := time.Unix(1000, 0)
	for _, n := range []uint32{0, 1, 2, 200, 201, 202, 203} {
		p.take(at, 1, 1<<16+n, n*frameTicks, []voice{{frame: n, how: alone}})
		at = at.Add(time.Millisecond)
	}
	p.advance(at.Add(10 * time.Second))
	if p.count.Frames != 7 || p.count.Concealed != 197 {
		t.Errorf("%d played, %d concealed", p.count.Frames, p.count.Concealed)
	}
}

func TestFreezes(t *testing.T) {
	const ms = time.Millisecond
	even := func(n int, d time.Duration) (list []time.Duration) {
		for range n {
			list = append(list, d)
		}
		return list
	}
	join := func(lists ...[]time.Duration) (all []time.Duration) {
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	for name, c := range map[string]struct {
		intervals []time.Duration
		freezes   uint64
		frozen    time.Duration
		pauses    uint64
		ratio     float64 // of the whole
		rate      float64
	}{
		"even":                         {even(300, 33*ms), 0, 0, 0, 0, 30.3},
		"a long one, not long enough":  {join(even(100, 40*ms), even(1, 190*ms), even(100, 40*ms)), 0, 0, 0, 0, 24.5},
		"a freeze":                     {join(even(100, 40*ms), even(1, 300*ms), even(100, 40*ms)), 1, 300 * ms, 0, 0.3 / 8.3, 24.2},
		"its own part of the mean":     {join(even(100, 40*ms), even(1, 195*ms)), 0, 0, 0, 0, 24.1}, // mean 45.17
		"just a freeze":                {join(even(100, 40*ms), even(1, 196*ms)), 1, 196 * ms, 0, 0.196 / 4.196, 24.1},
		"slow: three times":            {join(even(100, 500*ms), even(1, 1550*ms)), 0, 0, 0, 0, 1.96}, // mean 535
		"slow: more than three times":  {join(even(100, 500*ms), even(1, 1700*ms)), 1, 1700 * ms, 0, 1.7 / 51.7, 1.95},
		"two":                          {join(even(50, 33*ms), even(1, 400*ms), even(50, 33*ms), even(1, 600*ms), even(50, 33*ms)), 2, 1000 * ms, 0, 1 / 5.95, 25.5},
		"too early to know":            {join(even(3, 33*ms), even(1, 900*ms), even(50, 33*ms)), 0, 0, 0, 0, 20.37},
		"a pause":                      {join(even(100, 40*ms), even(1, 6000*ms), even(100, 40*ms)), 0, 0, 1, 0, 25.1},
		"a pause and a freeze":         {join(even(100, 40*ms), even(1, 6000*ms), even(99, 40*ms), even(1, 300*ms)), 1, 300 * ms, 1, 0.3 / 8.26, 24.33},
		"a slower source, slowly seen": {join(even(100, 33*ms), even(100, 200*ms)), 3, 600 * ms, 0, 0.6 / 23.3, 8.58},
	} {
		s := &screen{}
		at := time.Unix(1000, 0)
		s.show(at.Add(-50*ms).UnixNano(), at, at, false)
		for _, d := range c.intervals {
			at = at.Add(d)
			s.show(at.Add(-50*ms).UnixNano(), at, at, false)
			s.show(at.Add(-50*ms).UnixNano(), at.Add(ms), at.Add(ms), false)  // another layer
			s.show(at.Add(-150*ms).UnixNano(), at.Add(ms), at.Add(ms), false) // an older picture
		}
		n := s.count
		if n.Freezes != c.freezes || n.Frozen != c.frozen || n.Pauses != c.pauses || n.Frames != uint64(len(c.intervals)+1) {
			t.Errorf("%s: %d freezes of %v, %d pauses, %d frames", name, n.Freezes, n.Frozen, n.Pauses, n.Frames)
		}
		if got := n.FreezeRatio(at.Add(renderMachine)); got < c.ratio-0.001 || got > c.ratio+0.001 {
			t.Errorf("%s: ratio %.4f, want %.4f", name, got, c.ratio)
		}
		if got := n.FrameRate(); got < c.rate*0.99 || got > c.rate*1.01 {
			t.Errorf("%s: %.2f frames a second, want %.2f", name, got, c.rate)
		}
		if d := n.Delay.Quantile(0.5); d < 44*ms || d > 51*ms {
			t.Errorf("%s: delay %v", name, d)
		}
	}
}

func TestFreezeThatLasts(t *testing.T) {
	s := &screen{}
	at := time.Unix(1000, 0)
	for range 101 {
		s.show(at.UnixNano(), at, at, false)
		at = at.Add(40 * time.Millisecond)
	}
	last := at.Add(renderMachine - 40*time.Millisecond)
	for _, c := range []struct {
		after time.Duration
		ratio float64
	}{{100 * time.Millisecond, 0}, {time.Second, 0.2}, {4 * time.Second, 0.5}} {
		if got := s.count.FreezeRatio(last.Add(c.after)); got < c.ratio-0.001 || got > c.ratio+0.001 {
			t.Errorf("%v behind the last: %v", c.after, got)
		}
	}
	s.reset(at)
	at = at.Add(time.Second)
	if s.show(at.UnixNano(), at, at, false); s.count.Freezes != 1 || s.count.Frames != 1 {
		t.Errorf("a freeze across a new beginning: %+v", s.count.Freezes)
	}
}
