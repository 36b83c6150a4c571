package ice

import (
	"time"
)

// use makes a pair the selected one of its generation.
func (a *Agent) use(p *pair, now time.Time, out *Out) {
	g := p.gen
	if g.selected == p {
		return
	}
	g.selected, g.doubted = p, false
	g.consent = now.Add(a.server.jitter())
	if g.connected.IsZero() {
		g.connected = now
	}
	if g == a.old && a.current.selected != nil {
		return
	}
	if g == a.current && a.old != nil && a.old.retire.IsZero() {
		a.old.retire = now.Add(overlap)
	}
	a.publish(p, out)
}

// publish makes the path of a pair the one to send on, and says so.
func (a *Agent) publish(p *pair, out *Out) {
	path := p.path
	a.selected.Store(&path)
	kind := Connected
	if a.state == Up {
		kind = Selected
	}
	a.state = Up
	a.emit(kind, path, out)
}

// choose is the controlling agent's choice (RFC 8445 §8.1.1). The first pair that works is used and nominated at once. For
// a short time a better one takes over, later only where the one in use is silent, or is TCP and UDP works: as browsers do,
// and beyond RFC 8445, a second nomination needs no restart.
func (a *Agent) choose(g *generation, now time.Time, out *Out) {
	if g == a.old && a.current.selected != nil {
		return
	}
	s := g.selected
	silent := s != nil && s.condemned(now)
	var best *pair
	for _, p := range g.pairs {
		if !p.sendable(now) || silent && (p == s || !p.answered.After(s.asked)) {
			continue
		}
		if best == nil || p.better(best) {
			best = p
		}
	}
	switch {
	case best == nil:
	case s == nil:
		a.use(best, now, out)
		a.nominate(best, now, out)
	case best == s:
		if !s.ours || g.nominee != s {
			a.nominate(s, now, out)
		}
	case silent, now.Sub(g.connected) < settling, best.path.Transport == UDP && s.path.Transport == TCP:
		a.nominate(best, now, out)
	}
}

// nominate makes a pair the nominated one, and sends a check with USE-CANDIDATE unless one is on its way. The pair is used
// when that is answered.
func (a *Agent) nominate(p *pair, now time.Time, out *Out) {
	if old := p.gen.nominee; old != nil && old != p && old.nominating() {
		old.resend = time.Time{}
	}
	p.gen.nominee = p
	if !p.nominating() {
		a.check(p, true, now, out)
	}
}

// accept is the controlled agent's side: the peer nominates a pair (RFC 8445 §7.3.1.5). Browsers nominate several, the one
// they use with every check; so a nomination stands until the peer's next check on the pair comes without it, and of two
// that stand the better one counts, unless it is silent.
func (a *Agent) accept(p *pair, now time.Time, out *Out) {
	s := p.gen.selected
	switch {
	case !p.sendable(now):
		if p.resend.IsZero() {
			a.check(p, true, now, out)
		}
	case s == nil, s == p, !s.nominated, p.better(s), s.condemned(now):
		a.use(p, now, out)
	case s.resend.IsZero() && s.asked.IsZero():
		a.check(s, true, now, out)
	}
}

// jitter is the time to the next check for consent: 4 to 6 s (RFC 7675 §5.1).
func (s *Server) jitter() time.Duration {
	return consentPeriod*8/10 + time.Duration(s.random(int64(consentPeriod*4/10)))
}

// keep does what is due for the selected pair: consent, doubts about it, its end.
func (a *Agent) keep(g *generation, now time.Time, out *Out) {
	s := g.selected
	if !now.Before(s.answered.Add(consentExpiry)) {
		until := now
		for _, p := range g.pairs { // somebody may be on the way
			if p != s && (p.state == inProgress || now.Sub(p.heard) < consentPeriod) {
				until = now.Add(consentPeriod)
			}
		}
		g.remove(s)
		a.lost(g, until, now, out)
		return
	}
	if !now.Before(g.consent) {
		g.consent = now.Add(a.server.jitter())
		switch {
		case g.doubted:
			a.probe(g, now, out)
		case s.resend.IsZero():
			a.check(s, false, now, out)
		}
	}
	if s.asked.IsZero() {
		return
	}
	silence := now.Sub(s.asked)
	if !g.doubted && silence >= s.patience() {
		g.doubted = true
		a.probe(g, now, out)
	}
	if s.condemned(now) {
		if a.controlling {
			a.choose(g, now, out)
		} else {
			a.follow(g, now, out)
		}
	}
	if g.selected == s && a.state == Up && g == a.carrier() && silence >= disconnected {
		a.state = Silent
		a.emit(Disconnected, s.path, out)
	}
}

// probe checks the selected pair, which is silent, and those that might replace it. These are connectivity checks, sent
// again until they are answered; checks for consent could not come closer than 4 s (RFC 7675 §5.1).
func (a *Agent) probe(g *generation, now time.Time, out *Out) {
	for _, p := range g.pairs {
		if p != g.selected && !p.valid && now.Sub(p.heard) >= consentExpiry {
			continue
		}
		if p.resend.IsZero() || now.Sub(p.checks[0].at) >= consentPeriod*8/10 {
			a.check(p, true, now, out)
		}
	}
}

// follow moves the controlled agent from a silent pair to the best other one that the peer has nominated.
func (a *Agent) follow(g *generation, now time.Time, out *Out) {
	var best *pair
	for _, p := range g.pairs {
		if p != g.selected && p.nominated && p.sendable(now) && p.answered.After(g.selected.asked) && (best == nil || p.better(best)) {
			best = p
		}
	}
	if best != nil {
		a.use(best, now, out)
	}
}

// lost goes on after the selected pair of a generation has been removed: with the pair that was answered last, with the old
// generation, or without a path until the time is over.
func (a *Agent) lost(g *generation, until, now time.Time, out *Out) {
	var best *pair
	for _, p := range g.pairs {
		if p.sendable(now) && (best == nil || p.answered.After(best.answered)) {
			best = p
		}
	}
	switch {
	case best != nil:
		a.use(best, now, out)
		if a.controlling {
			a.nominate(best, now, out)
		}
		return
	case g == a.old:
		a.end(g)
		a.old = nil
		if a.current.selected != nil {
			return
		}
		g = a.current
		g.until = now.Add(connectTimeout)
	case a.carrier() != nil:
		a.old.retire = time.Time{}
		a.publish(a.old.selected, out)
		return
	default:
		g.until = until
	}
	a.selected.Store(nil)
	if a.state == Up {
		a.state = Silent
		a.emit(Disconnected, Path{}, out)
	}
}

// tick does what is due.
func (a *Agent) tick(now time.Time, out *Out) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state == Closed {
		return
	}
	if a.old != nil && !a.old.retire.IsZero() && !now.Before(a.old.retire) {
		a.end(a.old)
		a.old = nil
	}
	for _, g := range []*generation{a.current, a.old} {
		if g == nil || g.dead || g.remote.Ufrag == "" {
			continue
		}
		for i := len(g.pairs) - 1; i >= 0; i-- {
			p := g.pairs[i]
			if !p.resend.IsZero() && !now.Before(p.resend) {
				a.retransmit(p, now, out)
			}
			if p.fading() && !now.Before(p.seen().Add(proofLife)) {
				g.remove(p)
			}
		}
		if p := g.next(); p != nil && !now.Before(g.pace) {
			g.pace = now.Add(pacing)
			a.check(p, true, now, out)
		}
		if g.selected != nil {
			a.keep(g, now, out)
		}
	}
	if g := a.current; !g.dead && a.carrier() == nil && !g.until.IsZero() && !now.Before(g.until) {
		a.selected.Store(nil)
		a.state = Down
		a.emit(Failed, Path{}, out)
		a.end(g)
		a.end(a.old)
		a.old = nil
	}
	a.rest(now)
}

// next returns the pair of the highest priority that waits for an ordinary check (RFC 8445 §6.1.4.2), or nil.
func (g *generation) next() (best *pair) {
	for _, p := range g.pairs {
		if p.state == waiting && (best == nil || p.priority > best.priority) {
			best = p
		}
	}
	return best
}

// rest sets when the next tick is due. A millisecond at least goes by, so that Server.Tick ends.
func (a *Agent) rest(now time.Time) {
	due := a.deadline(now)
	if !due.IsZero() && due.Before(now.Add(time.Millisecond)) {
		due = now.Add(time.Millisecond)
	}
	a.server.schedule(a, due)
}

// deadline returns the first time at which tick has something to do; zero for never.
func (a *Agent) deadline(now time.Time) (first time.Time) {
	by := func(t time.Time) {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	carrier := a.carrier()
	if carrier == nil && !a.current.dead {
		by(a.current.until)
	}
	for _, g := range []*generation{a.current, a.old} {
		if g == nil || g.dead || g.remote.Ufrag == "" {
			continue
		}
		by(g.retire)
		if g.next() != nil {
			by(g.pace)
		}
		for _, p := range g.pairs {
			by(p.resend)
			if p.fading() {
				by(p.seen().Add(proofLife))
			}
		}
		s := g.selected
		if s == nil {
			continue
		}
		by(g.consent)
		by(s.answered.Add(consentExpiry))
		if s.asked.IsZero() {
			continue
		}
		if !g.doubted {
			by(s.asked.Add(s.patience()))
		}
		if end := s.asked.Add(s.verdict()); end.After(now) {
			by(end)
		}
		if g == carrier && a.state == Up {
			by(s.asked.Add(disconnected))
		}
	}
	return first
}
