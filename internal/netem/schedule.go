package netem

import "time"

// Bitrate is bits per second. At rate 0 nothing passes.
type Bitrate int64

// Unlimited is a rate at which packets take no time.
const Unlimited Bitrate = -1

// Step is the rate from a time on.
type Step struct {
	At   time.Duration
	Rate Bitrate
}

// Schedule is a rate that changes over time, its steps in order. What is before the first step has its rate; a schedule
// without steps is unlimited.
type Schedule []Step

// Rate is the rate at a time.
func (s Schedule) Rate(at time.Duration) Bitrate {
	if len(s) == 0 {
		return Unlimited
	}
	return s[s.step(at)].Rate
}

// step is the index of the step that a time belongs to.
func (s Schedule) step(at time.Duration) int {
	i := 0
	for i+1 < len(s) && s[i+1].At <= at {
		i++
	}
	return i
}

// serve says when the first bit of a packet that may begin at a time is sent, and when its last has been; ok is false when
// that is never.
func (s Schedule) serve(at time.Duration, size int) (begin, end time.Duration, ok bool) {
	if len(s) == 0 {
		return at, at, true
	}
	rest := int64(size) * 8 * int64(time.Second) // in bits · ns / s
	begin = -1
	for i := s.step(at); i < len(s); i++ {
		rate := s[i].Rate
		if rate != 0 && begin < 0 {
			begin = at
		}
		if rate == Unlimited {
			return begin, at, true
		}
		last := i+1 == len(s)
		if rate > 0 {
			if need := time.Duration(rest / int64(rate)); last || at+need <= s[i+1].At {
				return begin, at + need, true
			}
			rest -= int64(s[i+1].At-at) * int64(rate)
		} else if last {
			break
		}
		at = s[i+1].At
	}
	return 0, 0, false
}

// Volume is how many bits pass between two times; of times without limit it counts none.
func (s Schedule) Volume(from, to time.Duration) float64 {
	sum := 0.0
	for i, step := range s {
		begin, end := max(step.At, from), to
		if i == 0 {
			begin = from
		}
		if i+1 < len(s) {
			end = min(to, s[i+1].At)
		}
		if end > begin && step.Rate > 0 {
			sum += float64(step.Rate) * (end - begin).Seconds()
		}
	}
	return sum
}
