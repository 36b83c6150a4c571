package ice

import (
	"time"

	"parley/internal/stun"
)

// check begins a check of a pair (RFC 8445 §7.2.4). Answers to the checks before it still count, but they are not sent
// again. With resend it is retransmitted; checks for consent are not (RFC 7675 §5.1). All checks on the nominated pair say so,
// as those of browsers do: then one that is lost does no harm.
func (a *Agent) check(p *pair, resend bool, now time.Time, out *Out) {
	if last := &p.checks[remembered-1]; last.sent > 0 {
		a.server.forget(last.id)
	}
	copy(p.checks[1:], p.checks[:])
	t := &p.checks[0]
	*t = transaction{id: newID(), at: now, controlling: a.controlling, nominate: a.controlling && p == p.gen.nominee, tieBreaker: a.tieBreaker, rto: p.gen.rto()}
	a.server.await(t.id, p)
	if p.state != succeeded {
		p.state = inProgress
	}
	p.resend = time.Time{}
	switch {
	case !resend:
	case p.path.Transport == TCP:
		p.resend = now.Add(tcpTimeout)
	default:
		p.resend = now.Add(t.rto)
	}
	a.transmit(p, now, out)
}

// rto is the first retransmission timeout (RFC 8445 §14.3).
func (g *generation) rto() time.Duration {
	n := 0
	for _, p := range g.pairs {
		if p.state <= inProgress {
			n++
		}
	}
	return max(initialRTO, time.Duration(n)*pacing)
}

// transmit sends the newest check of the pair.
func (a *Agent) transmit(p *pair, now time.Time, out *Out) {
	t := &p.checks[0]
	t.sent++
	p.asks++
	if p.asked.IsZero() {
		p.asked = now
	}
	w := stun.Write(out.buf, stun.Binding, stun.Request, t.id)
	w.String(stun.Username, p.gen.username)
	w.Uint32(stun.Priority, priority(prflxPreference, p.path.Transport, p.index)) // RFC 8445 §7.1.1
	if t.controlling {
		w.Uint64(stun.Controlling, t.tieBreaker)
		if t.nominate {
			w.Flag(stun.UseCandidate)
		}
	} else {
		w.Uint64(stun.Controlled, t.tieBreaker)
	}
	w.Integrity(p.gen.out)
	w.Fingerprint()
	out.send(p.path, w)
}

// retransmit sends the newest check again, or gives it up (RFC 8489 §6.2.1, §6.2.2).
func (a *Agent) retransmit(p *pair, now time.Time, out *Out) {
	t := &p.checks[0]
	if t.sent >= transmission || p.path.Transport == TCP {
		a.fail(p)
		return
	}
	wait := t.rto << t.sent
	if t.sent == transmission-1 {
		wait = lastWait * t.rto
	}
	p.resend = now.Add(wait)
	a.transmit(p, now, out)
}

// fail says that a check has failed. A selected pair stays until consent for it expires.
func (a *Agent) fail(p *pair) {
	p.resend = time.Time{}
	if p == p.gen.selected {
		return
	}
	if p == p.gen.nominee {
		p.gen.nominee = p.gen.selected
	}
	p.state = failed
	a.disprove(p)
}

// response takes the answer to a check (RFC 8445 §7.2.5).
func (a *Agent) response(p *pair, path Path, m *stun.Message, now time.Time, out *Out) {
	a.mu.Lock()
	defer a.mu.Unlock()
	g := p.gen
	t := p.transaction(m.ID)
	if t == nil || g.dead {
		return
	}
	if !g.out.Made(m) {
		a.server.counts.integrity.Add(1)
		return
	}
	done := *t
	a.server.forget(t.id)
	t.id = stun.ID{} // its place in the row stays
	if t == &p.checks[0] || !p.nominating() {
		p.resend = time.Time{}
	}
	switch {
	case m.Class == stun.Failure && m.Code == roleConflict: // RFC 8445 §7.2.5.1
		if done.controlling == a.controlling {
			a.switchRole(!done.controlling)
			a.tieBreaker = newTieBreaker()
		}
		if !p.valid {
			p.state = waiting
		}
	case m.Class == stun.Failure, len(m.Unknown()) > 0, !m.Has(stun.XORMappedAddress), path != p.path: // RFC 8445 §7.2.5.2
		a.fail(p)
	default:
		a.succeed(p, done, now, out)
	}
	a.rest(now)
}

// succeed draws the conclusions from a check that was answered (RFC 8445 §7.2.5.3). A peer-reflexive candidate of our own,
// made by a NAT in front of us, makes no difference: packets leave from the same base.
func (a *Agent) succeed(p *pair, t transaction, now time.Time, out *Out) {
	g := p.gen
	if t.sent == 1 {
		p.rtt = now.Sub(t.at)
	}
	p.asks, p.asked, p.answered, p.signalled, p.state = 0, time.Time{}, now, false, succeeded
	isNew := !p.valid
	if isNew || a.server.proven[p.path.Transport].get(p.path.Remote) == nil {
		a.prove(p)
	}
	if p == g.selected {
		g.doubted = false
		if a.state == Silent && g == a.carrier() {
			a.publish(p, out)
		}
	}
	switch {
	case a.controlling && t.nominate && p == g.nominee:
		p.ours = true
		a.use(p, now, out)
	case a.controlling:
		a.choose(g, now, out)
	case p.nominated:
		a.accept(p, now, out)
	case g.selected == nil:
		a.use(p, now, out)
	}
	if s := g.selected; isNew && s != p && s != nil && s.resend.IsZero() && g == a.carrier() {
		a.check(s, true, now, out) // has the peer moved, and is the path in use still one?
	}
}
