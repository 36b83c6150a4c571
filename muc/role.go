package muc

import "parley/xmpp/wire"

// recast is one wished change of a role.
type recast struct {
	occupant *occupant
	to       Role
	reason   string
}

// mayRecast says why the occupant may not make the change (XEP-0045 §8.2–§8.4, §9.6–§9.7; hardening.md HM5).
func (r *room) mayRecast(actor *occupant, c recast) *refusal {
	target := c.occupant
	switch {
	case actor.role != Moderator:
		return &errForbidden
	case r.isFocus(target):
		return &errNotAllowed
	case c.to == target.role:
		return nil
	case c.to == Moderator || c.to > NoRole && target.role == Moderator:
		if actor.affiliation < Admin {
			return &errForbidden
		}
	}
	if c.to < target.role && !outranks(actor, target) {
		return &errNotAllowed
	}
	return nil
}

// outranks reports that the actor may take something away from the target.
func outranks(actor, target *occupant) bool {
	if actor.affiliation != target.affiliation {
		return actor.affiliation > target.affiliation
	}
	return target.role < Moderator
}

// recast makes the changes, all or none, and answers.
func (r *room) recast(in *input, changes []recast, fx *effects) {
	s := r.byAddr[in.from]
	if s == nil {
		r.refuse(in, fx, errForbidden)
		return
	}
	for _, c := range changes {
		if why := r.mayRecast(s.occupant, c); why != nil {
			r.refuse(in, fx, *why)
			return
		}
	}
	by := s.occupant.nick
	answer := in.packet.Result(in.to, nil)
	if len(changes) == 1 && changes[0].to == NoRole {
		// Who is thrown out hears it first, then the moderator, then the others (§8.2).
		r.kick(changes[0], by, func() { fx.send(in.from, answer) }, in, fx)
		return
	}
	fx.send(in.from, answer) // §8.3
	for _, c := range changes {
		switch {
		case c.to == NoRole:
			r.kick(c, by, func() {}, in, fx)
		case c.to != c.occupant.role:
			r.reveal(c.occupant, fx)
			r.cast(c.occupant, c.occupant.affiliation, c.to, &notice{actor: by, reason: c.reason}, fx)
		}
	}
}

// kick throws an occupant out (XEP-0045 §8.2). In a conference who was thrown out has to be let in anew.
func (r *room) kick(c recast, by string, between func(), in *input, fx *effects) {
	o := c.occupant
	if r.byNick[o.key] != o {
		between() // named twice
		return
	}
	if r.conference && !r.stored {
		r.keep(o.bare, standing{affiliation: None})
		o.affiliation = None
	}
	n := &notice{gone: true, actor: by, reason: c.reason, status: []string{"307"}}
	r.reveal(o, fx)
	r.toSelf(o, n, fx)
	between()
	r.remove(o, n, LeftKicked, true, fx)
	r.succession(in, fx)
}

// roleItem appends an occupant as the lists of roles show it.
func (r *room) roleItem(dst []byte, o *occupant, v view) []byte {
	dst = append(dst, "<item affiliation='"+o.affiliation.String()+"'"...)
	switch v {
	case viewScoped:
		dst = wire.AppendAttr(dst, "jid", string(r.scopedAddr(o)))
	case viewReal:
		dst = wire.AppendAttr(dst, "jid", string(o.shown.addr))
	}
	dst = wire.AppendAttr(dst, "nick", o.nick)
	return append(dst, " role='"+o.role.String()+"'/>"...)
}
