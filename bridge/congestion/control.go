package congestion

import (
	"math"
	"time"
)

const (
	backoff      = 0.92 // part of the acknowledged rate that is left after overuse,
	backoffFew   = 0.85 // where that is little
	growth       = 1.08 // a second, while the capacity is not known
	packetBits   = 9600 // a packet of 1,200 bytes, by which the rate grows near the capacity ...
	packetEvery  = 200 * time.Millisecond
	mildGrowth   = 0.05 // ... but not more than this part of the rate a second
	headroom     = 1.5  // times the acknowledged rate is believed without a probe
	headroomBits = 10_000
	reduceLeast  = 10 * time.Millisecond  // bounds of the round trip after which a second cut can follow
	reduceMost   = 200 * time.Millisecond //
)

// control is the rate as the delays want it: additive or multiplicative increase, multiplicative decrease
// (draft-ietf-rmcat-gcc-02 §5.5). Rates are in bit/s.
type control struct {
	rate      float64
	rising    bool
	changed   time.Duration // of the rate, or of rising
	decreased time.Duration
	capacity  capacity
	full      full
}

// update takes what the queue does; acknowledged is 0 while it is not known, and free says that what is sent would use a
// higher rate.
func (c *control) update(u usage, acknowledged float64, rtt, at time.Duration, free bool) {
	switch u {
	case overuse:
		c.rising = false
		if at-c.decreased >= min(max(rtt, reduceLeast), reduceMost) || acknowledged > 0 && acknowledged < c.rate/2 {
			c.decrease(acknowledged, at)
		}
	case underuse:
		c.rising = false
	case normal:
		if !c.rising {
			c.rising, c.changed = true, at
		}
		c.increase(acknowledged, at, free)
	}
}

func (c *control) decrease(acknowledged float64, at time.Duration) {
	to := backoff * c.rate
	if acknowledged > 0 {
		part := backoff
		if acknowledged < wideLeast {
			part = backoffFew
		}
		to = part * acknowledged
		if known := c.capacity.rate; to > c.rate && known > 0 {
			to = part * known
		}
		c.capacity.congested(acknowledged)
		c.full.take(acknowledged, at)
	}
	c.rate = min(c.rate, to)
	c.decreased, c.changed = at, at
}

func (c *control) increase(acknowledged float64, at time.Duration, free bool) {
	passed := min(at-c.changed, time.Second).Seconds()
	c.changed = at
	if acknowledged > 0 && acknowledged > c.capacity.upper() {
		c.capacity = capacity{}
	}
	if !free || passed <= 0 {
		return
	}
	to := c.rate * math.Pow(growth, passed)
	if c.capacity.rate > 0 {
		to = c.rate + passed*min(packetBits/packetEvery.Seconds(), mildGrowth*c.rate)
	}
	if acknowledged > 0 {
		to = min(to, headroom*acknowledged+headroomBits)
	}
	c.rate = max(c.rate, to)
}

// raise takes a rate that a probe has proven, and says whether it is more than the rate was.
func (c *control) raise(to float64, at time.Duration) bool {
	if to <= c.rate {
		return false
	}
	if to > c.capacity.upper() {
		c.capacity = capacity{}
	}
	c.rate, c.changed = to, at
	return true
}

// full is the most that arrived of late when the path was full. A queue that grows for a moment, when a picture comes all at once, looks like
// a full path too, but less arrives then.
type full struct {
	rate float64 // bit/s
	at   time.Duration
}

const fullFor = 10 * time.Second

func (f *full) take(acknowledged float64, at time.Duration) {
	if acknowledged >= f.value(at) {
		f.rate, f.at = acknowledged, at
	}
}

// value is 0 where nothing is known.
func (f *full) value(at time.Duration) float64 {
	if at-f.at > fullFor {
		return 0
	}
	return f.rate
}

// capacity is the acknowledged rate at the moments of overuse: what the path carries when it is full.
type capacity struct {
	rate     float64 // bit/s, smoothed; 0: not known
	variance float64 // of the relative error, in kbit/s
}

const (
	capacityWeight = 0.05
	varianceLeast  = 0.4
	varianceMost   = 2.5
	deviations     = 3 // from the estimate; outside, the path has changed
)

func (c *capacity) congested(acknowledged float64) {
	if c.rate == 0 || acknowledged < c.rate-c.spread() || acknowledged > c.rate+c.spread() {
		*c = capacity{rate: acknowledged, variance: varianceLeast}
		return
	}
	off := (acknowledged - c.rate) / 1000
	c.rate += capacityWeight * (acknowledged - c.rate)
	c.variance = (1-capacityWeight)*c.variance + capacityWeight*off*off/max(c.rate/1000, 1)
	c.variance = min(max(c.variance, varianceLeast), varianceMost)
}

func (c *capacity) spread() float64 {
	return deviations * 1000 * math.Sqrt(c.variance*c.rate/1000)
}

// upper is the acknowledged rate above which the path carries more than it did; infinite while nothing is known.
func (c *capacity) upper() float64 {
	if c.rate == 0 {
		return math.Inf(1)
	}
	return c.rate + c.spread()
}
