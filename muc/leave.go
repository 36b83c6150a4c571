package muc

import (
	"parley/internal/token"
	"parley/xmpp/wire"
)

// leave takes a session out that said so (XEP-0045 §7.14).
func (r *room) leave(s *session, in *input, fx *effects) {
	n := &notice{
		attrs:    appendAttrs(nil, in.packet),
		children: appendChildren(nil, in.packet.Elem(), forgedInPresence),
	}
	r.part(s, n, LeftSelf, fx)
	r.succession(in, fx)
}

// vanish takes a session out that ended without a word (XEP-0045 §11.1, hardening.md HM12).
func (r *room) vanish(in *input, fx *effects) {
	if _, asked := r.jitsi[in.gone]; asked {
		delete(r.jitsi, in.gone)
		r.notes.address(&r.notes.jitsi, in.gone)
	}
	s := r.byAddr[in.gone]
	if s == nil || r.focus != nil && in.gone == r.focus.addr {
		return
	}
	fx.reject("room.ghost", "")
	r.part(s, &notice{status: []string{"333"}}, LeftGone, fx)
	r.succession(in, fx)
}

// part takes one session out. The others are told when it was the occupant's last; else they are shown another one's
// presence.
func (r *room) part(s *session, n *notice, why Why, fx *effects) {
	o := s.occupant
	fx.left = append(fx.left, s.addr)
	if len(o.sessions) > 1 {
		n.gone = true
		fx.send(s.addr, r.render(o, viewReal, true, n))
		r.detach(s)
		if o.shown == s {
			o.shown = o.sessions[len(o.sessions)-1]
			r.notes.session(o.shown)
			r.changed(o)
			r.announce(o, nil, fx)
			fx.emit(OccupantChanged{r.portrait(o)})
		}
		return
	}
	r.reveal(o, fx)
	r.withdraw(o, n, fx)
	r.forget(o, why, fx)
}

// remove takes an occupant out with all sessions: kicked, banned, or not a member any more. The presence for the
// occupant itself has been sent already where told says so (XEP-0045 §8.2 wants it before the moderator's result).
func (r *room) remove(o *occupant, n *notice, why Why, told bool, fx *effects) {
	r.reveal(o, fx)
	n.gone = true
	if !told {
		r.toSelf(o, n, fx)
	}
	if o.listed {
		r.toOthers(o, n, fx)
	}
	for _, s := range o.sessions {
		fx.left = append(fx.left, s.addr)
	}
	r.forget(o, why, fx)
}

// forget drops the occupant's sessions and the occupant.
func (r *room) forget(o *occupant, why Why, fx *effects) {
	portrait := r.portrait(o)
	var tokens []*token.Claims
	for _, s := range o.sessions {
		if s.claims != nil {
			tokens = append(tokens, s.claims)
		}
	}
	for len(o.sessions) > 0 {
		r.detach(o.sessions[0])
	}
	if r.lent[o.bare] && len(r.occupantsOf(o.bare)) == 0 {
		delete(r.lent, o.bare)
		r.notes.address(&r.notes.lent, o.bare)
	}
	fx.emit(OccupantLeft{Room: r.addr, Nick: portrait.Nick, Addr: portrait.Addr, ID: portrait.ID, Why: why, Tokens: tokens})
}

// bounced takes an occupant out to whom something could not be delivered. The error comes from the occupant's own
// address, so nobody is thrown out by somebody else (XEP-0045 §18.1.2).
func (r *room) bounced(in *input, fx *effects) {
	s := r.byAddr[in.from]
	if s == nil || r.focus != nil && in.from == r.focus.addr || !undeliverable(in.packet) {
		return
	}
	fx.reject("room.ghost", "")
	r.part(s, &notice{status: []string{"333"}}, LeftGone, fx)
	r.succession(in, fx)
}

// undeliverable reports an error that says that the receiver is not there.
func undeliverable(p *wire.Packet) bool {
	e := p.Elem().Child("error", "")
	if !e.Ok() {
		return false
	}
	for it := e.Children(); it.Next(); {
		if string(it.Elem.NS()) != wire.NSStanzas {
			continue
		}
		switch string(it.Elem.Local()) {
		case "gone", "item-not-found", "recipient-unavailable", "redirect", "remote-server-not-found", "remote-server-timeout":
			return true
		}
	}
	return false
}
