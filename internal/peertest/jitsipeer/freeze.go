package jitsipeer

import "time"

// Shown is what a viewer sees of a source: pictures in the order in which they were taken, whatever their layers are.
//
// A picture that is shown after three times the mean interval, and after 150 ms more than the mean, was a freeze, as long as the
// interval (webrtc-stats, freezeCount; the mean is of the last 30 intervals with this one, and there are five at least). After
// more than 5 s it was a pause, which is no freeze.
type Shown struct {
	Frames      uint64
	Freezes     uint64
	Frozen      time.Duration
	Pauses      uint64
	Paused      time.Duration
	Delay       Latency // from the camera until the picture can be decoded
	since, last time.Time
	interval    time.Duration // a longer one is a freeze; 0: not known yet
}

// FrameRate is the number of pictures in a second, pauses left out.
func (s *Shown) FrameRate() float64 {
	d := s.last.Sub(s.since) - s.Paused
	if s.Frames < 2 || d <= 0 {
		return 0
	}
	return float64(s.Frames-1) / d.Seconds()
}

// FreezeRatio is the part of the time, pauses left out, in which the picture stood still. A freeze that lasts until then
// counts; so a source that has ended is asked for the time of its end.
func (s *Shown) FreezeRatio(until time.Time) float64 {
	if s.last.IsZero() || !until.After(s.since) {
		return 0
	}
	frozen, open := s.Frozen, until.Sub(s.last)
	total := until.Sub(s.since) - s.Paused
	if s.interval > 0 && open > s.interval {
		frozen += open
	}
	if total <= 0 {
		return 0
	}
	return min(frozen.Seconds()/total.Seconds(), 1)
}

const (
	freezeWindow = 30 // intervals
	freezeLeast  = 5
	freezeMore   = 150 * time.Millisecond
	pauseLeast   = 5 * time.Second
)

// screen shows pictures.
type screen struct {
	count  Shown
	window [freezeWindow]time.Duration
	n      int // intervals so far
	sum    time.Duration
	taken  int64 // time of the newest picture at its sender, nanoseconds

	rendering rendering
	trip      time.Duration // round trip
}

// show takes a picture that can be decoded now and has been complete for a time, with the help of a retransmission or not.
// Further layers of the newest one, and older ones, are nothing to show.
func (s *screen) show(taken int64, complete, now time.Time, repaired bool) {
	if taken <= s.taken {
		return
	}
	s.taken = taken
	c := &s.count
	c.Frames++
	if at := now.UnixNano(); at > taken {
		c.Delay.add(time.Duration(at - taken))
	}
	shown := s.rendering.at(taken, complete, now, repaired, s.trip)
	last := c.last
	c.last = shown
	if last.IsZero() {
		c.since = shown
		return
	}
	interval := shown.Sub(last)
	if interval > pauseLeast {
		c.Pauses++
		c.Paused += interval
		return
	}
	at := &s.window[s.n%freezeWindow]
	s.sum += interval - *at
	*at = interval
	s.n++
	if s.n < freezeLeast {
		return
	}
	mean := s.sum / time.Duration(min(s.n, freezeWindow))
	c.interval = max(3*mean, mean+freezeMore)
	if interval >= c.interval {
		c.Freezes++
		c.Frozen += interval
	}
}

// reset begins to count anew; what was shown last and the mean stay.
func (s *screen) reset(now time.Time) {
	s.count = Shown{last: s.count.last, interval: s.count.interval}
	if !s.count.last.IsZero() {
		s.count.since = now
	}
}
