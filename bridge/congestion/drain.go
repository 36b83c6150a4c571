package congestion

import "time"

const (
	someQueue    = 60 * time.Millisecond  // a queue that is worth being emptied at once
	longQueue    = 100 * time.Millisecond // one that loss may be of
	wideLeast    = 500_000                // bit/s that arrive: where voices are most of it, only a long queue is worth it
	overflowLoss = 0.1                    // part of the packets, lost beside a long queue
	drainPart    = 0.5                    // of the rate is sent while it empties
	drainMost    = 3 * time.Second
	drainSeen    = 500 * time.Millisecond // and a round trip with the queue, after which it must be shorter ...
	drainFalls   = 0.8                    // ... than this part
	drainGrows   = 250 * time.Millisecond // and a round trip with a queue that grows on, ...
	drainWorse   = 1.5                    // ... by this factor, after which half is too much
	ownFall      = 0.45                   // of what it would be shorter by if we were alone
	saysLittle   = 0.1                    // s less in a second, if we were alone, tells nothing
)

// drain is what is done about a long queue.
type drain struct {
	on    bool
	since time.Duration
	from  time.Duration // the longest delay since
	total uint32        // bytes sent before
	first time.Duration // the delay when it began
	came  float64       // acknowledged before, in bit/s; 0: not known
	rate  float64       // of before the first of two in a row; 0: it is the first
}

// drains begins to empty the queue.
func (g *GCC) drains(at time.Duration) {
	came, _ := g.arrived.rate()
	g.drain = drain{on: true, since: at, from: g.delay, first: g.delay, total: g.history.total, came: came}
}

// wide says that pictures are most of what the way carries, so that what is sent is less when less is to be sent.
func (g *GCC) wide() bool {
	came, ok := g.arrived.rate()
	return ok && came >= wideLeast
}

// deepen empties the queue a second time, after half of the rate did not make it shorter: where the way suddenly carries much less,
// half of what arrived before may be all that it carries.
func (g *GCC) deepen(at time.Duration) {
	rate := g.control.rate
	if acknowledged, ok := g.arrived.rate(); ok {
		g.control.rate = min(rate, acknowledged)
	}
	g.losses.cut(g.control.rate)
	g.drains(at)
	g.drain.rate = rate
}

// worse says that the queue grows although half is sent, and that less than that arrives: the way carries that much less now.
func (g *GCC) worse() bool {
	came, ok := g.arrived.rate()
	return ok && came < g.target() && float64(g.delay) > drainWorse*float64(g.drain.first)
}

// fall is by how much a queue of ours alone would be shorter for what was not sent since the drain began, in seconds a second.
func (g *GCC) fall(at time.Duration) float64 {
	d := &g.drain
	if d.came == 0 {
		return 1 - drainPart
	}
	return 1 - float64(g.history.total-d.total)*8/(at-d.since).Seconds()/d.came
}

// others says that the queue became less shorter than a queue of ours alone, in a time for which less was sent.
func (g *GCC) others(seen, at time.Duration) bool {
	d := &g.drain
	fall := g.fall(at)
	return fall > saysLittle && (d.from-g.delay).Seconds() < ownFall*fall*seen.Seconds()
}

// empty sends less than the rate after a cut until the queue that led to it is empty, and so it does once with a queue that stands
// without growing. A queue that does not become shorter within a round trip is of others, who would only take what we leave.
func (g *GCC) empty(u usage, at time.Duration) {
	d, c := &g.drain, &g.contest
	d.from = max(d.from, g.delay)                      // it rises for a round trip more
	seen := at - d.since - g.leastRTT.value() - d.from // of the time since, that what has come tells of
	ours := d.on && !c.on && seen > drainSeen && g.fall(at) > saysLittle && !g.others(seen, at)
	if ours {
		c.short = at // a long one takes its time
	}
	if c.watch(g.delay, at) && d.on && d.came >= wideLeast { // before what is being tried could tell, where it will
		d.on, g.control.rate = false, max(g.control.rate, d.rate)
	}
	g.trend.contested = c.on
	switch {
	case !d.on && c.on && at-c.tested > contestTest,
		!d.on && !c.on && u == overuse && at == g.control.decreased && (g.delay > longQueue || g.delay > someQueue && g.wide()),
		!d.on && !c.on && at-c.short > standingTry && d.since < c.short && g.wide():
		g.drains(at)
	case !d.on:
	case c.on && g.delay < shortQueue:
		d.on, *c = false, contest{short: at}
	case c.on:
		switch {
		case seen > drainSeen && g.others(seen, at):
			d.on, c.tested = false, at
		case at-d.since > drainMost: // it does not tell, as when voices alone nearly fill the way
			d.on, *c = false, contest{short: at, not: at + contestPause}
		}
	case g.delay < shortQueue || at-d.since > drainMost:
		d.on = false
	case ours:
	case !c.on && d.rate == 0 && d.came >= wideLeast && at-d.since > g.leastRTT.value()+drainGrows && g.worse():
		g.deepen(at)
	case seen > drainSeen && float64(g.delay) > drainFalls*float64(d.from) && (d.came < wideLeast || at-c.short > standingTry):
		if d.came >= wideLeast && d.rate == 0 {
			g.deepen(at)
			return
		}
		d.on, g.control.rate = false, max(g.control.rate, d.rate)
		if d.came >= wideLeast || g.fall(at) > saysLittle || at-c.short > standingStill { // voices alone are not less
			c.begin(at)
		}
	}
}
