package ice

import (
	"time"

	"parley/internal/stun"
)

// The error codes of RFC 8489 §14.8 and RFC 8445 §7.3.1.1 that are sent or understood.
const (
	badRequest       = 400
	unknownAttribute = 420
	roleConflict     = 487
)

// request answers a check of the peer (RFC 8445 §7.3) and sends the triggered one. Whatever is not made with our password
// gets no answer; a 401 would only tell that the name exists.
func (a *Agent) request(g *generation, path Path, peer []byte, m *stun.Message, now time.Time, out *Out) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if g.dead {
		return
	}
	p := g.find(path)
	rate := &a.fromStrangers
	if p != nil && p.valid {
		rate = &a.fromProven
	}
	if !rate.Allow(now, 1) {
		a.server.counts.limited.Add(1)
		return
	}
	if !g.in.Made(m) || g.remote.Ufrag != "" && string(peer) != g.remote.Ufrag {
		a.server.counts.integrity.Add(1)
		return
	}
	refused, switched := false, false
	switch {
	case len(m.Unknown()) > 0:
		a.refuse(g, path, m, unknownAttribute, out)
		return
	case p == nil && (m.Priority == 0 || m.Priority > 1<<31-1): // RFC 8445 §7.1.1
		a.refuse(g, path, m, badRequest, out)
		return
	case m.Has(stun.Controlling) && a.controlling, m.Has(stun.Controlled) && !a.controlling:
		// RFC 8445 §7.3.1.1: of two that want the same role, the larger tie-breaker controls. If it is the peer that has
		// to change, an error says so. Not every peer listens to it (pion/ice v4 does not), but all resolve the conflict
		// in a check of ours; so the pair is learnt all the same.
		if control := a.tieBreaker >= m.TieBreaker; control == a.controlling {
			a.refuse(g, path, m, roleConflict, out)
			refused = true
			break
		}
		a.switchRole(!a.controlling)
		switched = true
	}
	if !refused {
		a.answer(g, path, m, out)
	}
	if p == nil {
		// RFC 8445 §7.3.1.3: a peer-reflexive candidate, taken at once.
		if p = a.add(g, path, a.server.base(path), m.Priority, false); p == nil {
			return
		}
	}
	a.heard(p, peer, m, now, out)
	if s := g.selected; switched && a.controlling && s != nil {
		a.nominate(s, now, out)
	}
	a.rest(now)
}

// heard draws the conclusions from a check of the peer on a pair (RFC 8445 §7.3.1.4, §7.3.1.5).
func (a *Agent) heard(p *pair, peer []byte, m *stun.Message, now time.Time, out *Out) {
	g := p.gen
	p.heard, p.signalled = now, false
	switch {
	case a.controlling:
	case m.Has(stun.UseCandidate):
		p.nominated = true
	case p.valid: // until then a nomination waits for our own check
		p.nominated = false
	}
	if g.remote.Ufrag == "" {
		p.peer = string(peer)
		return
	}
	if !p.valid {
		// The gap grows, or of a long way all that are remembered would be forgotten before the first answer is back.
		if now.Sub(p.checks[0].at) >= triggerGap<<min(p.asks, 5) {
			a.check(p, true, now, out)
		}
		return
	}
	if p.nominated {
		a.accept(p, now, out)
	}
	old := p != g.selected && now.Sub(p.answered) >= proofAge
	back := p == g.selected && !p.asked.IsZero() && now.Sub(p.checks[0].at) >= p.patience()
	if p.resend.IsZero() && (old || back) {
		a.check(p, true, now, out)
	}
}

// answer sends a success response (RFC 8445 §7.3.1.2). It is no larger than the request.
func (a *Agent) answer(g *generation, path Path, m *stun.Message, out *Out) {
	w := stun.Write(out.buf, stun.Binding, stun.Success, m.ID)
	w.Addr(stun.XORMappedAddress, path.Remote)
	w.Integrity(g.in)
	w.Fingerprint()
	out.send(path, w)
}

// refuse sends an error response.
func (a *Agent) refuse(g *generation, path Path, m *stun.Message, code int, out *Out) {
	w := stun.Write(out.buf, stun.Binding, stun.Failure, m.ID)
	w.Code(code)
	if code == unknownAttribute {
		w.Unknown(m.Unknown())
	}
	w.Integrity(g.in)
	w.Fingerprint()
	out.send(path, w)
}
