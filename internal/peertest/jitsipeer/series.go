package jitsipeer

import "time"

// Second is what came in a second, in bytes of RTP packets, and for a source of video what that showed.
type Second struct {
	Media   uint32
	Repairs uint32 // in retransmission streams, whether it was missing or not
	Padding uint32 // packets without payload; they are of no source
	Frames  uint32 // pictures
	Height  uint32 // of the tallest, in pixels
}

const seriesMost = 4 * 3600

// series are the seconds since its beginning.
type series struct {
	begin time.Time
	list  []Second
	none  Second // what is too late to be kept
}

// at is the second of a time.
func (s *series) at(t time.Time) *Second {
	if s.begin.IsZero() {
		s.begin = t
	}
	n := int(max(t.Sub(s.begin), 0) / time.Second)
	if n >= seriesMost {
		return &s.none
	}
	for len(s.list) <= n {
		s.list = append(s.list, Second{})
	}
	return &s.list[n]
}

// rate is the media and repairs of the last two whole seconds before now, in bits/s; 0 before there are any.
func (s *series) rate(now time.Time) float64 {
	n := int(now.Sub(s.begin) / time.Second)
	if s.begin.IsZero() || n < 1 {
		return 0
	}
	first, sum := max(n-2, 0), uint32(0)
	for i := first; i < min(n, len(s.list)); i++ {
		sum += s.list[i].Media + s.list[i].Repairs + s.list[i].Padding
	}
	return 8 * float64(sum) / float64(n-first)
}

func (s *series) reset(now time.Time) { s.begin, s.list = now, s.list[:0] }
