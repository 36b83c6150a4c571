package muc

import (
	"time"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// NSConference qualifies a direct invitation (XEP-0249). Those go from person to person; a room only adds one to what it
// passes on, for clients that know no other.
const NSConference = "jabber:x:conference"

// mostInvited bounds the invitations that a room remembers, mostInvitees those of one message.
const (
	mostInvited  = 500
	mostInvitees = 50
	invitedFor   = 7 * 24 * time.Hour
)

// invite passes an invitation on (XEP-0045 §7.8.2). In a room for members only it makes the invited members.
func (r *room) invite(in *input, x wire.Elem, fx *effects) (kept bool) {
	s := r.byAddr[in.from]
	switch {
	case s == nil:
		r.refuse(in, fx, errNotInRoom)
		return false
	case s.occupant.role < Participant:
		r.refuse(in, fx, errForbidden)
		return false
	case r.settings.MembersOnly && s.occupant.affiliation < Admin && !(r.settings.AllowInvites && s.occupant.affiliation == Member):
		r.refuse(in, fx, errForbidden)
		return false
	case r.postponed(in, fx):
		return true
	}
	type invitation struct {
		to    wire.Addr
		words wire.Elem
	}
	var all []invitation
	change := store.Change{}
	size := len(r.standings)
	for it := x.Children(); it.Next(); {
		if !it.Elem.Is("invite", NSUser) {
			continue
		}
		to, err := wire.ParseAddr(it.Elem.AttrString("to"))
		to = r.unscoped(to)
		switch {
		case err != nil || to.Local() == "" || to.Bare() == r.addr:
			r.refuse(in, fx, errNotAddress)
			return false
		case len(all) >= mostInvitees:
			r.refuse(in, fx, errTooLong)
			return false
		case r.affiliation(to.Bare()) == Outcast:
			r.refuse(in, fx, errNotAllowed)
			return false
		}
		all = append(all, invitation{to, it.Elem})
		if r.settings.MembersOnly && r.affiliation(to.Bare()) < Member {
			if size++; size > r.limits.Affiliations {
				r.refuse(in, fx, errTooLong)
				return false
			}
			change.Affiliations = append(change.Affiliations, store.Affiliation{Addr: string(to.Bare()), Name: Member.String()})
		}
	}
	if !r.invites.Allow(in.now, float64(len(all))) {
		r.refuse(in, fx, errInviteRate)
		return false
	}
	from := s.occupant.addr
	if r.settings.nonAnonymous() {
		from = s.occupant.bare
	}
	send := func(why *refusal, now *input, fx *effects) {
		if why != nil {
			r.refuse(in, fx, *why)
			return
		}
		for _, a := range change.Affiliations {
			r.keep(wire.Addr(a.Addr), standing{affiliation: Member})
			r.enforce(wire.Addr(a.Addr), &notice{}, fx)
		}
		for _, i := range all {
			r.expect(i.to.Bare(), now)
			fx.send(i.to, r.invitation(from, i.words))
			fx.emit(Invited{r.addr, s.occupant.nick, i.to, r.settings.Password, r.focus != nil})
		}
	}
	if len(change.Affiliations) == 0 {
		send(nil, in, fx)
		return false
	}
	return r.commitAlone(in, fx, change, send)
}

// expect remembers that somebody is invited, and may therefore know of the room.
func (r *room) expect(bare wire.Addr, now *input) {
	if r.invited == nil {
		r.invited = make(map[wire.Addr]time.Time)
	}
	if len(r.invited) >= mostInvited {
		oldest := bare
		for a, at := range r.invited {
			if now.now.Sub(at) > invitedFor {
				delete(r.invited, a)
				r.notes.address(&r.notes.invited, a)
			} else if oldest == bare || at.Before(r.invited[oldest]) {
				oldest = a
			}
		}
		if len(r.invited) >= mostInvited {
			delete(r.invited, oldest)
			r.notes.address(&r.notes.invited, oldest)
		}
	}
	r.invited[bare] = now.now
	r.notes.address(&r.notes.invited, bare)
}

// invitation makes the message (example 57) from what the inviter said.
func (r *room) invitation(from wire.Addr, words wire.Elem) wire.Stanza {
	reason := reasonIn(words, NSUser)
	dst := wire.AppendAttr(nil, "from", string(r.addr))
	dst = append(dst, "><x xmlns='"+NSUser+"'><invite"...)
	dst = append(wire.AppendAttr(dst, "from", string(from)), '>')
	if reason != "" {
		dst = wire.AppendElem(dst, "reason", reason)
	}
	if c := words.Child("continue", NSUser); c.Ok() {
		dst = append(dst, "<continue"...)
		if thread := c.AttrString("thread"); thread != "" && len(thread) <= longestReason {
			dst = wire.AppendAttr(dst, "thread", thread)
		}
		dst = append(dst, "/>"...)
	}
	dst = append(dst, "</invite>"...)
	if r.settings.Password != "" {
		dst = wire.AppendElem(dst, "password", r.settings.Password)
	}
	dst = append(dst, "</x><x xmlns='"+NSConference+"'"...)
	dst = wire.AppendAttr(dst, "jid", string(r.addr))
	if r.settings.Password != "" {
		dst = wire.AppendAttr(dst, "password", r.settings.Password)
	}
	if reason != "" {
		dst = wire.AppendAttr(dst, "reason", reason)
	}
	return wire.Stanza{Kind: wire.Message, Tail: append(dst, "/>"+messageEnd...)}
}

// declined passes on that somebody who was invited will not come (§7.8.2, example 60), and reports that it was that. From
// others it is swallowed.
func (r *room) declined(in *input, fx *effects) bool {
	d := in.packet.Elem().Child("x", NSUser).Child("decline", NSUser)
	if !d.Ok() {
		return false
	}
	if _, invited := r.invited[in.from.Bare()]; !invited {
		return r.byAddr[in.from] != nil
	}
	to, err := wire.ParseAddr(d.AttrString("to"))
	if err != nil {
		r.refuse(in, fx, errNotAddress)
		return true
	}
	var inviter *occupant
	for _, o := range r.occupants {
		if o.addr == to || o.bare == to.Bare() && r.settings.nonAnonymous() {
			inviter = o
		}
	}
	if inviter == nil || r.isFocus(inviter) {
		r.refuse(in, fx, errNoOccupant)
		return true
	}
	delete(r.invited, in.from.Bare())
	r.notes.address(&r.notes.invited, in.from.Bare())
	dst := wire.AppendAttr(nil, "from", string(r.addr))
	dst = append(dst, "><x xmlns='"+NSUser+"'><decline"...)
	dst = append(wire.AppendAttr(dst, "from", string(in.from.Bare())), '>')
	if reason := reasonIn(d, NSUser); reason != "" {
		dst = wire.AppendElem(dst, "reason", reason)
	}
	dst = append(dst, "</decline></x>"+messageEnd...)
	for _, s := range inviter.sessions {
		fx.send(s.addr, wire.Stanza{Kind: wire.Message, Tail: dst})
	}
	return true
}
