package bridge

import "time"

// Carried counts packets since a begin: those that were taken, and those that were dropped for want of room or at a limit.
type Carried struct{ Taken, Dropped uint64 }

// share is the part that was dropped after another count.
func (c Carried) share(before Carried) float64 {
	if c.Taken < before.Taken || c.Dropped < before.Dropped {
		before = Carried{} // it began anew
	}
	taken, dropped := c.Taken-before.Taken, c.Dropped-before.Dropped
	if dropped == 0 || taken+dropped < judgeLeast {
		return 0
	}
	return float64(dropped) / float64(taken+dropped)
}

// Relayed is what a relay did for a client: Up is what it took from the client, Down what it took from us, and Door what it took
// from all clients that use the same socket, before it knew whose it was.
type Relayed struct{ Up, Down, Door Carried }

// dropped is the part of an endpoint's packets that the relay dropped in the last second.
type dropped struct{ up, down float64 }

// relay is what the relay of this machine did for the endpoint since the last judgement, and whether its way leads over it.
func (e *Endpoint) relay(j *judge) (d dropped, relayed bool) {
	ask := e.bridge().config.Relayed
	if ask == nil {
		return d, false
	}
	now, ok := ask(e)
	if ok && j.relayed != (Relayed{}) {
		d = dropped{max(now.Up.share(j.relayed.Up), now.Door.share(j.relayed.Door)), now.Down.share(j.relayed.Down)}
	}
	j.relayed = now
	return d, ok
}

// strain is what the machine itself did to media in the last second or so.
type strain struct {
	late time.Duration // by which a tick of Run came late at worst
	full float64       // part of the datagrams that the kernel dropped, as Run did not take them in time
}

func (s strain) bad() bool { return s.late >= lateBad || s.full >= takenBad }

// lateness follows the ticks of Run, which alone touches it.
type lateness struct {
	last, at time.Time
	worst    time.Duration

	looked time.Time // at what was taken in
	taken  Carried
	full   float64
}

// tick notes how late a tick of Run comes, and what was not taken in: what the bridge has to do is too much for it, or others
// leave it no time.
func (b *Bridge) tick(now time.Time) {
	l := &b.lateness
	if !l.last.IsZero() {
		if late := now.Sub(l.last) - Period; late > l.worst || now.Sub(l.at) >= judgeEvery {
			l.worst, l.at = late, now
		}
	}
	l.last = now
	if taken := b.config.Taken; taken != nil && now.Sub(l.looked) >= judgeEvery {
		c := taken()
		if l.full = 0; !l.looked.IsZero() {
			l.full = c.share(l.taken)
		}
		l.looked, l.taken = now, c
	}
}

// strain is that of the last second or so.
func (b *Bridge) strain(now time.Time) (s strain) {
	l := &b.lateness
	if now.Sub(l.at) <= 2*judgeEvery {
		s.late = l.worst
	}
	s.full = l.full
	return s
}
