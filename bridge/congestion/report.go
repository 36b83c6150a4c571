package congestion

import (
	"time"

	"parley/bridge/rtp"
)

const (
	sentOver     = 500 * time.Millisecond // over which the rate of sending is smoothed
	fullUse      = 0.8                    // of the rate; less is sent for want of more to send
	lossOver     = time.Second            // over which State.Loss is smoothed
	shortQueue   = 20 * time.Millisecond  // and the jitter twice; a queue that is shorter may grow
	inherentMost = 0.3                    // part of what is sent that may be lost at any rate
	probeDrain   = 2                      // times the length of a cluster after it, delays are still its own
	jitterMost   = 100 * time.Millisecond // of one packet; more is an event of its own
	clockLost    = time.Minute            // more between two reports is another clock of the receiver
	clockLimit   = 1 << 60                // ns from the first report
)

// Report takes transport-wide feedback that came at a time, which may be a while ago, and answers what is known now. It reads f to its
// end and keeps nothing of it.
func (g *GCC) Report(f *rtp.TransportFeedback, at time.Duration) State {
	if !g.started {
		return g.State()
	}
	if g.silentFor > 0 {
		g.silentFor, g.silentTo = 0, at
		g.forget()
	}
	g.follow(f)
	g.fade(max(at-g.heardAt, 0))
	g.heardAt, g.readAt = at, max(at, g.ticked)

	first := g.history.number(f.Base)
	lacking := g.assume(first)
	worst := normal
	var last *sent
	for a, ok := f.Next(); ok; a, ok = f.Next() {
		n := first + int64(a.Sequence-f.Base)
		p := g.history.find(n)
		if p == nil {
			continue
		}
		g.history.covered = max(g.history.covered, n)
		if !a.Received {
			g.missed(p, n, at)
			continue
		}
		if p.fate == received {
			continue
		}
		arrival := g.epoch + a.At
		if lacking > 0 {
			g.arrived.fill(arrival, lacking)
			lacking = 0
		}
		if g.use = g.came(p, arrival, at); g.use == overuse {
			worst = overuse
		}
		if last == nil || p.at >= last.at {
			last = p
		}
	}
	g.measure(at)
	if last != nil {
		if worst != overuse || g.gone() {
			worst = g.use
		}
		g.roundTrip(at-last.at, at)
		g.steer(worst, at)
	}
	g.probe(g.use, at)
	g.clamp()
	return g.State()
}

// steer sets the rate by what the queue did while the packets of a report were on the way.
func (g *GCC) steer(u usage, at time.Duration) {
	if g.drain.on && u == overuse && at-g.drain.since > g.leastRTT.value()+g.drain.from {
		u = underuse // what arrives now is the half that is sent while the queue empties
	}
	acknowledged, _ := g.arrived.rate()
	if !g.drain.on && g.delay > longQueue && g.lost > overflowLoss*g.total && acknowledged > 0 && acknowledged < g.control.rate {
		u = overuse // a full queue grows no more, and what is lost is what does not fit into it
	}
	room := g.control.rate < g.losses.room()
	if g.contest.on {
		g.race(acknowledged, room && g.control.rate < g.demand, at)
		u = normal
	} else {
		g.control.update(u, g.carried(acknowledged), g.rtt, at, g.free && room)
	}
	if u == overuse {
		g.goal = 0
		g.losses.cut(g.control.rate)
	}
	g.empty(u, at)
}

// carried is the rate at which what arrived was sent: what is lost at any rate is no reason to send less. Beside a long queue it is
// not known what that is.
func (g *GCC) carried(acknowledged float64) float64 {
	if g.delay > longQueue || g.total < 1 {
		return acknowledged
	}
	return acknowledged / (1 - min(g.losses.inherent, g.lost/g.total, inherentMost))
}

// follow extends the receiver's clock by the reference time of a report. A clock that jumps is another clock.
func (g *GCC) follow(f *rtp.TransportFeedback) {
	passed := f.Since(g.reference)
	g.reference = f.Reference
	if g.epoch += passed; g.heard && passed.Abs() < clockLost && g.epoch.Abs() < clockLimit {
		return
	}
	g.heard, g.epoch = true, 0
	g.transit = least{}
	g.forget()
}

// assume takes the packets before first that no report was about as arrived, as it is the report that was lost, and answers
// how many bytes that are.
func (g *GCC) assume(first int64) (size int) {
	h := &g.history
	newest, _ := h.order.Newest()
	if first > newest {
		return 0
	}
	for n := max(h.covered+1, newest-int64(len(h.packets))+1); n < first; n++ {
		if p := h.find(n); p != nil && p.fate == unreported {
			p.fate = assumed
			size += int(p.size)
		}
	}
	return size
}

// missed takes a packet that was reported as not received, the n-th.
func (g *GCC) missed(p *sent, n int64, at time.Duration) {
	if p.fate == missing {
		return
	}
	p.fate = missing
	g.prober.learn(p, false, 0)
	if p.at < g.silentTo {
		return
	}
	g.lost++
	g.total++
	g.fates.add(n, &g.row)
	if p.at > g.control.decreased {
		g.contest.fate(true)
	}
	g.obey(g.losses.add(p, true, g.control.rate, at))
}

// came takes a packet that arrived, and answers what the queue does.
func (g *GCC) came(p *sent, arrival, at time.Duration) usage {
	before := p.fate
	p.fate = received
	if before != assumed {
		g.arrived.add(arrival, int(p.size))
	}
	g.prober.learn(p, true, arrival)
	switch {
	case before == missing: // it was only late
		g.lost = max(g.lost-1, 0)
		g.losses.found()
		g.fates.Lost--
	case p.at >= g.silentTo:
		g.total++
		g.fates.Total++
		if p.at > g.control.decreased {
			g.contest.fate(false)
		}
		g.obey(g.losses.add(p, false, g.control.rate, at))
	}

	transit := arrival - p.at
	g.transit.add(transit, at, g.contest.memory())
	g.jitter += (min((transit-g.before).Abs(), jitterMost) - g.jitter) / 32
	g.before = transit
	g.delay += (transit - g.transit.value() - g.delay) / 8
	if p.probe != 0 {
		g.quiet = max(g.quiet, p.at+probeDrain*g.prober.length)
	}
	if p.at < g.quiet {
		g.groups.reset()
	} else if between, came, ok := g.groups.add(p.at, arrival); ok {
		g.trend.add(between, came)
	}
	if g.trend.usage == overuse && g.short(g.delay) {
		return normal
	}
	return g.trend.usage
}

// short says that a queue may grow.
func (g *GCC) short(queue time.Duration) bool {
	return queue < max(shortQueue, onePacket(g.control.rate))+2*g.jitter
}

// gone says that the newest packet that came found no queue any more: what waited before it waited for a way that paused.
func (g *GCC) gone() bool { return g.short(g.before - g.transit.value()) }

// obey does what an observation of losses asks for.
func (g *GCC) obey(v verdict) {
	switch v {
	case lower:
		g.control.rate = min(g.control.rate, g.losses.bound)
	case restore:
		g.control.rate = max(g.control.rate, g.losses.before)
	}
}

func (g *GCC) roundTrip(sample, at time.Duration) {
	if sample < 0 {
		return
	}
	if g.rtt == 0 {
		g.rtt = sample
	}
	g.rtt += (sample - g.rtt) / 8
	g.leastRTT.add(sample, at, g.contest.memory())
}

// fade lets losses pass out of what State.Loss is about.
func (g *GCC) fade(passed time.Duration) {
	keep := float64(lossOver) / float64(lossOver+passed)
	g.lost *= keep
	g.total *= keep
}

// measure smooths the rate of sending, and says whether all is sent that may be.
func (g *GCC) measure(at time.Duration) {
	passed := at - g.sentBefore
	if passed <= 0 {
		return
	}
	rate := float64(g.history.total-g.sentTotal) * 8 / passed.Seconds()
	g.sentBefore, g.sentTotal = at, g.history.total
	g.sentRate += (rate - g.sentRate) * float64(passed) / float64(passed+sentOver)
	g.free = g.sentRate >= fullUse*g.target()
}

// row is the newest row of packets that were lost.
type row struct{ last, length int64 }

// add takes the n-th packet, which was lost.
func (f *Fates) add(n int64, r *row) {
	if f.Total, f.Lost = f.Total+1, f.Lost+1; n != r.last+1 {
		r.length = 0
	}
	r.last, r.length = n, r.length+1
	switch {
	case r.length == RowLeast:
		f.InRows += RowLeast
	case r.length > RowLeast:
		f.InRows++
	}
}

// onePacket is a little more than the time that a large packet takes at a rate: on a narrow path every picture is a queue for as long.
func onePacket(rate float64) time.Duration {
	return time.Duration(packetBits * 1.25 / rate * float64(time.Second))
}
