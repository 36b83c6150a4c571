package jitsipeer

import (
	"math"
	"time"
)

// rendering says when a picture is shown that can be decoded, in the manner of Chromium's receiver: so long after it was taken
// that few are later (the mean transit, what exceeds 30 ms of 2.33 standard deviations, 20 ms for the machine). Pictures that
// waited for retransmissions do not count for that; when there were three within a minute, a round trip is added, of at most
// 200 ms. The delay changes by 100 ms in a second; it is longer at once where a picture was late, as far as that was to be.
type rendering struct {
	n        int
	mean     float64 // seconds
	variance float64
	repaired int
	last     time.Time     // when a picture was repaired
	delay    time.Duration // from taking to showing; 0: there was none
	before   time.Time     // when the last picture could be decoded
}

const (
	renderSamples  = 100 // the newest that make the mean
	renderSpread   = 2.33
	renderFree     = 30 * time.Millisecond
	renderMachine  = 20 * time.Millisecond
	renderRepairs  = 3
	renderMemory   = time.Minute
	renderTripMost = 200 * time.Millisecond
	renderChange   = 0.1
	renderOutlier  = 3.5 // standard deviations; what is longer counts as that
)

// at is the time at which a picture is shown that was taken at a time, has been complete from another on, and can be decoded
// now.
func (r *rendering) at(taken int64, complete, now time.Time, repaired bool, trip time.Duration) time.Time {
	sent := time.Unix(0, taken)
	if repaired {
		r.repaired++
		r.last = now
	} else {
		r.sample(complete.Sub(sent).Seconds())
	}
	if now.Sub(r.last) > renderMemory {
		r.repaired = 0
	}
	target := time.Duration(r.mean*float64(time.Second)) + renderMachine +
		max(time.Duration(renderSpread*math.Sqrt(r.variance)*float64(time.Second))-renderFree, 0)
	if r.repaired >= renderRepairs {
		target += min(trip, renderTripMost)
	}
	if r.delay == 0 {
		r.delay = target
	} else {
		change := time.Duration(renderChange * float64(max(now.Sub(r.before), 0)))
		r.delay += min(max(target-r.delay, -change), change)
	}
	r.before = now
	due := sent.Add(r.delay)
	if late := now.Sub(due); late > 0 {
		r.delay = max(min(r.delay+late, target), r.delay)
		due = now
	}
	return due
}

func (r *rendering) sample(transit float64) {
	r.n++
	if r.n == 1 {
		r.mean = transit
		return
	}
	away := transit - r.mean
	if r.n > 30 {
		most := renderOutlier * max(math.Sqrt(r.variance), 0.001)
		away = min(max(away, -most), most)
	}
	part := 1 / float64(min(r.n, renderSamples))
	r.mean += away * part
	r.variance += (away*away - r.variance) * part
}
