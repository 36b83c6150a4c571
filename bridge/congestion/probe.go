package congestion

import (
	"math"
	"time"
)

const (
	probeFor     = 20 * time.Millisecond // a cluster lasts ...
	probeJitter  = 8                     // ... and this times the jitter, ...
	probeLong    = 80 * time.Millisecond // ... but not longer
	probePackets = 6
	probeSending = time.Second            // an owner that has not sent a cluster by then does not send it
	probeQueue   = 40 * time.Millisecond  // and the jitter twice; a queue into which no probe is sent
	probeAnswer  = 400 * time.Millisecond // and the round trip, for feedback about it
	probeArrived = 0.8                    // part of a cluster that must have come
	probeKnown   = 5                      // packets that tell as much, where feedback about the rest was lost
	probeTries   = 3                      // at once, where nothing was told
	probeCarried = 0.9                    // of the rate sent at which the path is not full
	probeTrust   = 0.95                   // of a rate that the path carried
	probeFull    = 0.9                    // of a rate that was all that it carried
	probeFirst   = 3                      // times the start rate
	probeStep    = 2                      // times the rate, after a probe that the path carried
	probeAgain   = 1.5                    // times the rate, in between
	probeEvery   = 2500 * time.Millisecond
	probeSoon    = 1500 * time.Millisecond // the same, where no queue was seen for as long,
	probeEmpty   = 5 * time.Millisecond    // one of this and the jitter twice,
	probeWide    = 400_000                 // and at this rate, as a cluster disturbs a narrow path for longer
	probeDefied  = 3                       // doublings of that at most
	probeQuiet   = 800 * time.Millisecond  // since overuse
	probeUseful  = 1.1                     // times the rate is the least that is worth a probe
	probeDemand  = 1.2                     // times what is wanted is the most that is worth a probe,
	probeSpare   = 2                       // and where there is room for that, this: a key frame is many pictures at once, and what follows it waits
	probeCalm    = 10 * time.Second        // since overuse, for that
	probeVain    = 4                       // doublings of probeEvery at most for that, while the way does not carry more
)

// prober decides on clusters and measures them. One is on its way at a time.
type prober struct {
	issued  uint8
	asked   Probe // zero: none
	since   time.Duration
	sent    bool // wholly
	sending struct {
		first, last time.Duration
		packets     int
	}
	known  int           // packets of which the fate is known
	came   line          // packets that came
	left   line          // the same, as they left
	length time.Duration // of the newest cluster
	last   time.Duration // that one ended
	again  int           // times that nothing was told of one, in a row
	vain   int           // probes that the path did not carry, in a row
	fast   bool          // the newest was carried: go on at once
}

func (p *prober) idle() bool { return p.asked.ID == 0 }

// ask begins a cluster.
func (p *prober) ask(rate float64, jitter, at time.Duration) {
	if p.issued++; p.issued == 0 {
		p.issued = 1
	}
	next := prober{issued: p.issued, since: at, last: p.last, again: p.again, vain: p.vain, fast: p.fast}
	next.asked = Probe{ID: p.issued, Rate: Bitrate(rate), For: min(probeFor+probeJitter*jitter, probeLong), Packets: probePackets}
	next.length = next.asked.For
	*p = next
}

// leave takes a packet that left, and answers whether it counts as one of the cluster.
func (p *prober) leave(packet Packet) bool {
	s := &p.sending
	if p.idle() || packet.Probe != p.asked.ID || p.sent && packet.At != s.last {
		return false
	}
	if s.packets == 0 {
		s.first = packet.At
	}
	s.last = packet.At
	s.packets++
	p.sent = p.sent || s.packets >= p.asked.Packets && s.last-s.first >= p.asked.For
	return true
}

// learn takes the fate of a packet of the cluster.
func (p *prober) learn(packet *sent, came bool, arrived time.Duration) {
	if p.idle() || packet.probe != p.asked.ID {
		return
	}
	p.known++
	if came {
		p.left.add(packet.total, packet.at)
		p.came.add(packet.total, arrived)
	}
}

// result ends the cluster when enough is known of it, of which told is the newest time of sending that feedback was about: the
// rate that the path carried, 0 when that is not known, and whether that was all that it could. It is to be sent again when the
// feedback about it was lost.
func (p *prober) result(rtt, told, at time.Duration) (carried float64, full, again, ended bool) {
	s := &p.sending
	switch {
	case p.idle():
		return 0, false, false, false
	case !p.sent:
		if at-p.since < probeSending {
			return 0, false, false, false
		}
	case p.known < s.packets && told <= s.last && at-s.last < rtt+probeAnswer:
		return 0, false, false, false
	case p.known < s.packets && p.came.points < probeKnown:
		again = true // feedback was lost
	case float64(p.came.points) >= probeArrived*float64(p.known):
		out, in := p.left.rate(), p.came.rate()
		carried, full = min(in, out, float64(p.asked.Rate)), in < probeCarried*out
	default:
		full = true
	}
	p.asked, p.last = Probe{}, at
	return carried, full, again, true
}

// probe takes what a cluster told and asks for the next.
func (g *GCC) probe(u usage, at time.Duration) {
	c, p := &g.control, &g.prober
	if carried, full, again, ended := p.result(g.rtt, g.history.told(), at); ended {
		switch {
		case again:
			if p.again++; p.again <= probeTries {
				p.last -= probeEvery
			}
		case full:
			p.vain++
			if p.fast = false; u != overuse {
				c.raise(g.believed(probeFull*carried), at)
			}
		default:
			if carried > g.losses.room() {
				g.losses.forget()
			}
			to := probeTrust * carried
			if !p.fast {
				to = g.believed(to)
			}
			if p.fast = c.raise(to, at); p.fast {
				p.vain = 0
			}
		}
		if !again {
			p.again = 0
		}
		g.clamp()
	}
	if g.delay >= probeEmpty+2*g.jitter {
		g.queued = at
	}
	if !p.idle() || u == overuse || g.contest.on || g.delay > probeQueue+2*g.jitter || c.decreased > 0 && at-c.decreased < probeQuiet {
		return
	}
	to, most, every := 0.0, float64(probeDemand), probeEvery
	if g.demand <= c.rate {
		if g.goal, p.fast = 0, false; c.decreased > 0 && at-c.decreased < probeCalm || g.delay > shortQueue+2*g.jitter {
			return
		}
		most, every = probeSpare, probeEvery<<min(p.vain, probeVain)
	}
	switch {
	case g.goal > 0:
		to = g.goal
	case p.fast:
		to = probeStep * c.rate
	case p.issued == 0:
		to = probeFirst * c.rate
	case at-p.last >= every || g.demand > c.rate && c.rate >= probeWide && at-max(p.last, g.queued) >= probeSoon:
		to = probeAgain * c.rate
	}
	if to = min(to, most*g.demand, float64(g.config.Maximum), g.cap); to <= probeUseful*c.rate {
		g.goal, p.fast = 0, false
		return
	}
	if room := g.losses.room(); to > room {
		// What was lost speaks against it. That may be past; it is tried seldom, the seldomer the more often it was wrong.
		if at-p.last < probeEvery<<min(g.defied, probeDefied) || !g.losses.clean() {
			return
		}
		g.defied++
	} else if math.IsInf(room, 1) && at-p.last >= probeEvery {
		g.defied = 0
	}
	g.goal = 0
	p.ask(to, g.jitter, at)
}

// believed is what is taken of a rate that a cluster came with. Where the path was full of late it may have met a gap that others
// left, who send pictures too: then it is half of what is more than the rate, until the next cluster says the same.
func (g *GCC) believed(to float64) float64 {
	if c := &g.control; c.capacity.rate > 0 && to > c.rate {
		return (c.rate + to) / 2
	}
	return to
}

// line is the line of least squares through the times at which the bytes of a cluster passed somewhere. That is what jitter
// disturbs least: its ends alone would tell as much of the jitter as of the path.
type line struct {
	points       int
	from         uint32        // bytes
	begun        time.Duration //
	x, y, xx, xy float64       // bytes and seconds
}

func (l *line) add(total uint32, at time.Duration) {
	if l.points == 0 {
		l.from, l.begun = total, at
	}
	x, y := float64(int32(total-l.from)), (at - l.begun).Seconds()
	l.points++
	l.x += x
	l.y += y
	l.xx += x * x
	l.xy += x * y
}

// rate is the slope in bit/s; 0 without one, infinite when all passed at once.
func (l *line) rate() float64 {
	n := float64(l.points)
	under := n*l.xx - l.x*l.x
	if under <= 0 {
		return 0
	}
	slope := (n*l.xy - l.x*l.y) / under // s per byte
	if slope <= 0 {
		return math.Inf(1)
	}
	return 8 / slope
}
