package congestion

import "time"

const leastFor = 15 * time.Second

// least is the smallest of the time for which one is remembered, and up to as much more, as the clocks of two machines drift apart.
type least struct {
	now, before time.Duration
	since       time.Duration
	begun       bool
}

// add takes a value; one is remembered for so long.
func (l *least) add(v, at, long time.Duration) {
	switch {
	case !l.begun:
		*l = least{now: v, before: v, since: at, begun: true}
	case at-l.since > long:
		l.before, l.now, l.since = l.now, v, at
	default:
		l.now = min(l.now, v)
	}
}

func (l *least) value() time.Duration { return min(l.now, l.before) }
