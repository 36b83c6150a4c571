package congestion

import "time"

const (
	yield         = 0.85                    // part of the rate that is left after loss: more than CUBIC leaves (RFC 9438 §4.6), who loses less often than we beside it
	yieldEvery    = 2                       // round trips, as what is sent meanwhile finds the same full queue
	raceMost      = 0.5                     // of the rate that a second may add, where round trips are short
	racePackets   = 2                       // by which a round trip raises the rate: there are several streams in it
	raceProven    = 2                       // times the acknowledged rate is dared
	standing      = 50 * time.Millisecond   // a queue that is longer, ...
	standingTry   = time.Second             // ... for as long, is emptied once,
	standingStill = 1500 * time.Millisecond // ... and for as long, where hardly less could be sent, or
	standingFor   = 3 * time.Second         // ... and for as long, is of others: our cuts and drains would have emptied one of ours
	standingSeen  = 250 * time.Millisecond  // a longer one shows what two drains do only so much later
	contestOver   = 500 * time.Millisecond  // without a queue end the contest,
	contestFor    = 60 * time.Second        // and time does: others like us would each take the queue for that of the others
	contestTest   = 10 * time.Second        // after which it is tried whether the queue is ours, after all
	contestPause  = 20 * time.Second        // after a try that told nothing
)

// contest is with others who keep the queue filled, whatever we leave, as TCP does. The delays then tell nothing of our
// rate: it rises by a packet in each round trip and falls by a part with loss, as TCP's does (RFC 5681 §3.1), so that neither
// starves the other.
type contest struct {
	on     bool
	begun  time.Duration
	tested time.Duration
	short  time.Duration // when the queue was a short one last, ...
	queued time.Duration // ... and when there was one
	not    time.Duration // none begins before

	lost, total float64 // packets that left since the rate fell
}

// begin takes the queue for that of others.
func (c *contest) begin(at time.Duration) {
	if at >= c.not {
		*c = contest{on: true, begun: at, tested: at, short: at, queued: at}
	}
}

// watch finds out that a contest may have ended, or that one has begun, and says so.
func (c *contest) watch(delay, at time.Duration) (begins bool) {
	if delay < standing || c.short == 0 {
		c.short = at
	}
	if delay >= shortQueue {
		c.queued = at
	}
	switch {
	case c.on && (at-c.begun > contestFor || at-c.queued > contestOver):
		*c = contest{short: at}
	case !c.on && at-c.short > standingFor+2*max(delay-standingSeen, 0):
		c.begin(at)
		return c.on
	}
	return false
}

// memory is how long ago the way was as short as it is: others who keep its queue filled do not show it.
func (c *contest) memory() time.Duration {
	if c.on {
		return 2 * leastFor
	}
	return leastFor
}

// fate counts a packet that left at a time.
func (c *contest) fate(gone bool) {
	c.total++
	if gone {
		c.lost++
	}
}

// race sets the rate by what is lost. Room says that neither what is wanted nor loss speaks against more.
func (g *GCC) race(acknowledged float64, room bool, at time.Duration) {
	c, r := &g.contest, &g.control
	passed := min(at-r.changed, time.Second).Seconds()
	r.changed, r.rising = at, false
	if c.lost > 2*g.losses.inherent*c.total && at-r.decreased > yieldEvery*g.rtt {
		if r.rate *= yield; acknowledged > 0 {
			r.rate = min(r.rate, acknowledged)
		}
		r.decreased = at
		c.lost, c.total = 0, 0
		return
	}
	if !room || passed <= 0 {
		return
	}
	rtt := max(g.rtt, reduceLeast).Seconds()
	to := r.rate + passed*min(racePackets*packetBits/(rtt*rtt), raceMost*r.rate)
	if acknowledged > 0 {
		to = min(to, raceProven*acknowledged+headroomBits)
	}
	r.rate = max(r.rate, to)
}
