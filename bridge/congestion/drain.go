package congestion

import "time"

const (
	longQueue    = 100 * time.Millisecond // a queue that is worth being emptied at once
	overflowLoss = 0.1                    // part of the packets, lost beside a long queue
	drainPart    = 0.5                    // of the rate is sent while it empties
	drainMost    = 3 * time.Second
	drainSeen    = 500 * time.Millisecond // and a round trip with the queue, after which it must be shorter ...
	drainFalls   = 0.8                    // ... than this part
	drainAgain   = 10 * time.Second       // the queue is taken to be of others; then for as long not, lest we be the others of others
)

// drain is what is done about a long queue.
type drain struct {
	on    bool
	since time.Duration
	from  time.Duration // the longest delay since
	not   time.Duration // none begins before
}

// empty sends less than the rate after a cut until the queue that led to it is empty. A queue that does not become shorter within
// a round trip is of others, who would only take what we leave.
func (g *GCC) empty(u usage, at time.Duration) {
	d := &g.drain
	g.control.contested = at < d.not-drainAgain
	g.trend.contested = g.control.contested
	d.from = max(d.from, g.delay) // it rises for a round trip more
	switch {
	case !d.on && u == overuse && at == g.control.decreased && g.delay > longQueue && at >= d.not:
		d.on, d.from, d.since = true, g.delay, at
	case !d.on:
	case g.delay < shortQueue || at-d.since > drainMost:
		d.on = false
	case at-d.since > drainSeen+g.leastRTT.value()+d.from && float64(g.delay) > drainFalls*float64(d.from):
		d.on, d.not = false, at+2*drainAgain
	}
}
