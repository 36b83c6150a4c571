package bridge

import "time"

// downlink is what is known of the way to a receiver. egress.mu guards it.
type downlink struct {
	remb    int64 // bit/s that the client believes to be able to get; 0: it has not said so
	assumed int64 // bit/s that the client wants to be assumed; below 1: none
	voice   gauge
}

// video is what video may cost, in bits per second. It answers false where nothing is known of a limit.
func (d *downlink) video(now time.Time) (bits int64, ok bool) {
	total := d.assumed
	if total <= 0 {
		total = d.remb
	}
	if total <= 0 {
		return 0, false
	}
	return max(total-d.voice.rate(now), 0), true
}

// gauge measures a bit rate over about a second.
type gauge struct {
	at    time.Time
	bytes int64
	bits  int64 // of the last interval
}

func (g *gauge) take(now time.Time, n int) {
	g.rate(now)
	g.bytes += int64(n)
}

// rate is in bits per second.
func (g *gauge) rate(now time.Time) int64 {
	over := now.Sub(g.at)
	switch {
	case over >= 2*time.Second:
		*g = gauge{at: now}
	case over >= time.Second:
		g.bits = g.bytes * 8 * int64(time.Second) / int64(over)
		g.at, g.bytes = now, 0
	}
	return g.bits
}
