package congestion

import (
	"math"
	"time"
)

const (
	silenceLeast = 500 * time.Millisecond // and two round trips without feedback are an outage
	silenceCut   = 0.5                    // of the rate is left, for each such time
	awayLeast    = 250 * time.Millisecond // between two calls of Tick: we did not run
	idleLeast    = 2 * time.Second        // without a packet, after which the past says little
	idleHalf     = 10 * time.Second       // in which an idle path's rate halves
)

// GCC is an Estimator of the kind of Google Congestion Control. Its methods are called by one goroutine at a time, with times
// that do not go back.
type GCC struct {
	config  Config
	history history
	groups  groups
	trend   trend
	arrived throughput
	control control
	losses  losses
	prober  prober

	demand  float64 // bit/s that the owner would like to send
	cap     float64 // bit/s by the receiver's REMB
	started bool    // something was sent
	heard   bool    // feedback came
	goal    float64 // rate of before an outage or a pause, to be probed for; 0: none
	defied  int     // probes above what loss leaves room for
	free    bool    // as much is sent as may be
	use     usage   // what the queue did at the newest packet

	sentAt    time.Duration // of the newest packet
	heardAt   time.Duration // of the newest feedback, ...
	readAt    time.Duration // ... which may have been read later
	silentFor int           // cuts of this outage
	silentTo  time.Duration // packets sent before tell of the outage, not of the path
	ticked    time.Duration // the newest Tick,
	awake     time.Duration // and the first since feedback was read that came after a time in which there was none

	sentRate   float64 // bit/s, smoothed
	sentTotal  uint32  // at its newest update
	sentBefore time.Duration

	reference uint32        // of the newest feedback
	epoch     time.Duration // that it stands for
	quiet     time.Duration // packets sent before wait behind a probe

	rtt      time.Duration
	leastRTT least
	transit  least
	delay    time.Duration
	jitter   time.Duration // of the transit of packets, smoothed
	before   time.Duration // transit of the packet before

	lost, total float64 // packets of about the last second
	fates       Fates
	row         row

	drain   drain
	contest contest
	queued  time.Duration // when there was a queue last
}

// NewGCC makes the estimator of one path.
func NewGCC(c Config) *GCC {
	g := &GCC{}
	g.begin(c.filled())
	return g
}

func (g *GCC) begin(c Config) {
	*g = GCC{config: c, demand: float64(c.Maximum), cap: math.Inf(1)}
	g.control.rate = float64(c.Start)
	g.free = true
}

// Reset forgets the path, as after a change of the receiver's address. What is wanted and the numbers that are under way stay.
func (g *GCC) Reset() {
	demand, history, issued := g.demand, g.history, g.prober.issued
	g.begin(g.config)
	g.demand, g.history, g.prober.issued = demand, history, issued
	if newest, ok := g.history.order.Newest(); ok {
		g.history.first, g.history.covered = newest+1, newest
	}
	g.sentTotal = g.history.total
}

// Demand says what the owner would like to send if it could. While that is more than the rate, room is probed for. Without a
// call it is the maximum.
func (g *GCC) Demand(b Bitrate) { g.demand = min(max(float64(b), 0), float64(g.config.Maximum)) }

// Assign sets the rate to what a flow is given of a way that it shares with others, of the sum of what their estimators say (RFC 8699
// §5.2). From there it goes up and down as before. During an outage it says nothing of the way, and stays.
func (g *GCC) Assign(b Bitrate) {
	if g.silentFor == 0 {
		g.control.rate = float64(b)
		g.clamp()
	}
}

// REMB takes the receiver's own estimate, which caps the rate (draft-alvestrand-rmcat-remb-03); 0 ends that.
func (g *GCC) REMB(b Bitrate) {
	if g.cap = float64(b); b <= 0 {
		g.cap = math.Inf(1)
	}
}

// Sent takes a packet that left, in order of leaving.
func (g *GCC) Sent(p Packet) {
	if !g.started {
		g.started, g.sentAt, g.sentBefore, g.heardAt, g.readAt = true, p.At, p.At, p.At, p.At
		if to := min(probeFirst*g.control.rate, g.demand); to > probeUseful*g.control.rate {
			g.prober.ask(to, 0, p.At)
		}
	}
	if p.At-g.sentAt > idleLeast {
		g.resume(p.At - g.sentAt)
		g.sentBefore, g.sentTotal = p.At, g.history.total
	}
	g.sentAt = p.At
	if !g.prober.leave(p) {
		p.Probe = 0
	}
	g.history.add(p)
}

// resume begins again after nothing was sent for a while.
func (g *GCC) resume(idle time.Duration) {
	g.forget()
	start := float64(g.config.Start)
	if g.control.rate > start {
		g.goal = g.control.rate
		g.control.rate = max(start, g.control.rate*math.Exp2(-float64(idle)/float64(idleHalf)))
	}
}

// forget lets go of what is only true while packets flow.
func (g *GCC) forget() {
	g.groups.reset()
	g.trend.reset()
	g.arrived = throughput{}
	g.losses.open = false
	g.control.rising = false
	g.sentRate = g.control.rate
}

// Tick is called many times a second, feedback or not. It notices that none comes any more, and that the owner has something
// to probe for. What a busy machine has not read yet, or could not while it stood still, is no silence.
func (g *GCC) Tick(at time.Duration) State {
	if at-g.ticked > awayLeast && g.awake <= g.readAt { // once: else nothing would ever be silent for who is always late
		g.awake = at
	}
	g.ticked = at
	if !g.started {
		return g.State()
	}
	if waiting, ok := g.history.waiting(); ok && g.heard {
		patience := (silenceLeast + 2*g.rtt) * time.Duration(g.silentFor+1)
		if at-max(waiting, g.readAt, g.awake) > patience {
			if g.silentFor++; g.silentFor == 1 {
				g.goal = max(g.goal, min(g.control.rate, headroom*max(g.sentRate, float64(g.config.Start))))
				g.prober.asked, g.drain.on = Probe{}, false
			}
			g.control.rate *= silenceCut
			g.clamp()
		}
	}
	if g.silentFor == 0 {
		g.probe(g.use, at)
	}
	return g.State()
}

func (g *GCC) clamp() {
	g.control.rate = min(max(g.control.rate, float64(g.config.Minimum)), float64(g.config.Maximum))
}

// target is the rate that may be sent, in bit/s.
func (g *GCC) target() float64 {
	rate := g.steady()
	if g.drain.on {
		rate *= drainPart
	}
	return max(rate, float64(g.config.Minimum))
}

func (g *GCC) steady() float64 { return max(min(g.control.rate, g.cap), float64(g.config.Minimum)) }

// State is what is known now.
func (g *GCC) State() State {
	s := State{Rate: Bitrate(g.target()), Steady: Bitrate(g.steady()), RTT: g.rtt, MinRTT: g.leastRTT.value(), Chance: g.losses.inherent, Delay: max(g.delay, 0), Limit: g.limit(), Fates: g.fates, Carried: Bitrate(max(g.control.capacity.rate, g.control.full.value(g.sentAt)))}
	if !g.prober.sent {
		s.Probe = g.prober.asked
	}
	if rate, ok := g.arrived.rate(); ok {
		s.Acknowledged = Bitrate(rate)
	}
	if g.total >= 1 {
		s.Loss = g.lost / g.total
	}
	return s
}

func (g *GCC) limit() Limit {
	c := &g.control
	switch {
	case g.silentFor > 0:
		return LimitOutage
	case !g.heard:
		return LimitStart
	case g.cap <= c.rate:
		return LimitREMB
	case c.rate >= float64(g.config.Maximum):
		return LimitMaximum
	case g.losses.bound > 0:
		return LimitLoss
	case !g.free:
		return LimitApplication
	case c.capacity.rate > 0:
		return LimitDelay
	}
	return LimitNone
}
