package congestion

import "time"

const leastFor = 15 * time.Second

// least is the smallest of the last 15 to 30 seconds, as the clocks of two machines drift apart.
type least struct {
	now, before time.Duration
	since       time.Duration
	begun       bool
}

func (l *least) add(v, at time.Duration) {
	switch {
	case !l.begun:
		*l = least{now: v, before: v, since: at, begun: true}
	case at-l.since > leastFor:
		l.before, l.now, l.since = l.now, v, at
	default:
		l.now = min(l.now, v)
	}
}

func (l *least) value() time.Duration { return min(l.now, l.before) }
