package congestion

import (
	"fmt"
	"slices"
	"time"
)

// mean is what a flow got between two times, in bit/s.
func mean(bins []int, from, to time.Duration) float64 {
	sum := 0
	for i := int(from / (100 * ms)); i < int(to/(100*ms)) && i < len(bins); i++ {
		sum += bins[i]
	}
	return float64(sum) * 8 / (to - from).Seconds()
}

// settled is how many seconds after a time the mean over 300 ms stays on one side of a rate for a second; a minute when it does not.
func settled(bins []int, from time.Duration, ok func(rate float64) bool) float64 {
	for d := time.Duration(0); d < 20*time.Second; d += 100 * ms {
		good := true
		for e := time.Duration(0); e < time.Second && good; e += 100 * ms {
			good = ok(mean(bins, from+d+e, from+d+e+300*ms))
		}
		if good {
			return d.Seconds()
		}
	}
	return 60
}

func (f *flow) p95(from, to time.Duration) time.Duration {
	var all []time.Duration
	for _, s := range f.queued {
		if s.at >= from && s.at < to {
			all = append(all, s.queued)
		}
	}
	return percentile(all, 0.95)
}

func jain(x ...float64) float64 {
	var sum, squares float64
	for _, v := range x {
		sum += v
		squares += v * v
	}
	if squares == 0 {
		return 0
	}
	return sum * sum / (float64(len(x)) * squares)
}

func percentile(all []time.Duration, part float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[int(part*float64(len(all)-1))]
}

// series is the same figure of several runs.
type series []float64

func (s *series) add(v float64) { *s = append(*s, v) }

func (s series) worst() float64 { return slices.Max(s) }

func (s series) mean() float64 {
	sum := 0.0
	for _, v := range s {
		sum += v
	}
	return sum / float64(len(s))
}

func (s series) String() string {
	return fmt.Sprintf("%.3g (%.3g–%.3g)", s.mean(), slices.Min(s), slices.Max(s))
}
