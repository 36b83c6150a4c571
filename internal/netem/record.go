package netem

import (
	"slices"
	"time"
)

// Bin is the length of the intervals of a Record.
const Bin = 100 * time.Millisecond

// Interval is what happened to a path in a tenth of a second.
type Interval struct {
	Offered   int           // bytes that entered
	Delivered int           // bytes that arrived
	Dropped   int           // packets that the queue had no room for
	Lost      int           // packets that the line lost
	Wait      time.Duration // longest of the packets that entered
}

// Wait is how long a packet waited for its turn at the bottleneck, its own sending not counted.
type Wait struct{ At, Wait time.Duration }

const (
	classes   = 4     // that bytes are counted by
	intervals = 36000 // kept at most: an hour
)

// Record keeps what happens to the packets of one path from a time on. A nil Record keeps nothing.
type Record struct {
	Begin     time.Duration
	Intervals []Interval
	Waits     []Wait // of each packet, without those that were dropped
	Packets   int
	Bytes     [classes]int // that entered the line, by class
	Dropped   int          // packets, by the queue
	Lost      int          // packets, by the line
	Marked    int          // packets that waited longer than the threshold
}

// Reset forgets everything and begins at a time.
func (r *Record) Reset(begin time.Duration) { *r = Record{Begin: begin} }

// Queueing is the wait below which the share q of the packets was that entered between two times.
func (r *Record) Queueing(from, to time.Duration, q float64) time.Duration {
	var all []time.Duration
	for _, w := range r.Waits {
		if w.At >= from && w.At < to {
			all = append(all, w.Wait)
		}
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(len(all)-1, int(q*float64(len(all))))]
}

// Delivered are the bits that arrived in the whole intervals between two times.
func (r *Record) Delivered(from, to time.Duration) float64 {
	return r.sum(from, to, func(i *Interval) int { return i.Delivered })
}

// Offered are the bits that entered in the whole intervals between two times.
func (r *Record) Offered(from, to time.Duration) float64 {
	return r.sum(from, to, func(i *Interval) int { return i.Offered })
}

func (r *Record) sum(from, to time.Duration, value func(*Interval) int) float64 {
	bytes := 0
	for i := max(0, int((from-r.Begin)/Bin)); i < min(len(r.Intervals), int((to-r.Begin)/Bin)); i++ {
		bytes += value(&r.Intervals[i])
	}
	return 8 * float64(bytes)
}

// at is the interval of a time; nil before the begin and beyond what is kept.
func (r *Record) at(t time.Duration) *Interval {
	i := int((t - r.Begin) / Bin)
	if t < r.Begin || i >= intervals {
		return nil
	}
	for len(r.Intervals) <= i {
		r.Intervals = append(r.Intervals, Interval{})
	}
	return &r.Intervals[i]
}

func (r *Record) drop(now time.Duration, size int, wait time.Duration) {
	if r == nil {
		return
	}
	if i := r.at(now); i != nil {
		r.Dropped++
		i.Offered += size
		i.Dropped++
		i.Wait = max(i.Wait, wait)
	}
}

func (r *Record) pass(now time.Duration, size, class int, wait time.Duration, lost, mark bool) {
	if r == nil {
		return
	}
	i := r.at(now)
	if i == nil {
		return
	}
	r.Packets++
	r.Bytes[class&(classes-1)] += size
	r.Waits = append(r.Waits, Wait{now, wait})
	i.Offered += size
	i.Wait = max(i.Wait, wait)
	if lost {
		r.Lost++
		i.Lost++
	}
	if mark {
		r.Marked++
	}
}

func (r *Record) arrive(at time.Duration, size int) {
	if r == nil {
		return
	}
	if i := r.at(at); i != nil {
		i.Delivered += size
	}
}
