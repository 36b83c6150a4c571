package muc

import (
	"strings"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// rerank is one wished change of an affiliation.
type rerank struct {
	bare   wire.Addr // or a domain
	to     Affiliation
	nick   string // to be reserved, may be empty
	reason string
}

// mayRerank says why who has affiliation actor may not make the change (XEP-0045 §5.2.1, §9, §10.3–§10.8; hardening.md
// HM5).
func (r *room) mayRerank(actor Affiliation, from wire.Addr, c rerank) *refusal {
	was := r.affiliation(c.bare)
	self := c.bare == from.Bare()
	switch {
	case actor < Admin:
		return &errForbidden
	case self && c.to == Outcast:
		return &errOwnRank // §9.1
	case actor == Owner && c.to == Outcast && was == Owner:
		return &errNotAllowed
	case actor == Owner || self && c.to < was:
		return nil
	case c.to >= Admin, was >= Admin:
		return &errNotAllowed
	}
	return nil
}

// rerank makes the changes, all or none, when they are committed, and answers.
func (r *room) rerank(in *input, changes []rerank, fx *effects) (kept bool) {
	if r.postponed(in, fx) {
		return true
	}
	actor := r.affiliation(in.from.Bare())
	change := store.Change{}
	size := len(r.standings)
	for _, c := range changes {
		if why := r.mayRerank(actor, in.from, c); why != nil {
			r.refuse(in, fx, *why)
			return false
		}
		if _, known := r.standings[c.bare]; !known && c.to != None {
			size++
		}
		change.Affiliations = append(change.Affiliations, store.Affiliation{
			Addr: string(c.bare), Name: c.to.String(), Nick: c.nick, Reason: c.reason,
		})
	}
	switch {
	case r.orphans(changes):
		r.refuse(in, fx, errOwnRank) // §10.4: somebody must own the room
		return false
	case size > r.limits.Affiliations:
		r.refuse(in, fx, errTooLong)
		return false
	}
	by := r.nickOf(in.from)
	return r.commitAlone(in, fx, change, func(why *refusal, now *input, fx *effects) {
		if why != nil {
			r.refuse(in, fx, *why)
			return
		}
		fx.send(in.from, in.packet.Result(in.to, nil)) // §9.1, §9.3, §10.3: the admin first
		for _, c := range changes {
			r.keep(c.bare, standing{c.to, c.nick, c.reason})
			if !r.enforce(c.bare, &notice{actor: by, reason: c.reason}, fx) {
				r.proclaim(c, fx)
			}
		}
		r.succession(now, fx)
	})
}

// orphans reports that a room that has owners would have none.
func (r *room) orphans(changes []rerank) bool {
	owners, left := 0, 0
	for bare, s := range r.standings {
		if s.affiliation != Owner {
			continue
		}
		owners++
		stays := true
		for _, c := range changes {
			if c.bare == bare {
				stays = c.to == Owner
			}
		}
		if stays {
			left++
		}
	}
	for _, c := range changes {
		if c.to == Owner && r.standings[c.bare].affiliation != Owner {
			left++
		}
	}
	return owners > 0 && left == 0
}

// nickOf returns the nickname of a session, "" if it is not in the room.
func (r *room) nickOf(a wire.Addr) string {
	if s := r.byAddr[a]; s != nil {
		return s.occupant.nick
	}
	return ""
}

// enforce brings the occupants of a bare address, or of a domain, in line with what the room remembers of it, and
// reports that there are some.
func (r *room) enforce(bare wire.Addr, n *notice, fx *effects) (present bool) {
	var of []*occupant
	for _, o := range r.occupants {
		if !r.isFocus(o) && (o.bare == bare || bare.Local() == "" && o.bare.Domain() == string(bare)) {
			of = append(of, o)
		}
	}
	for _, o := range of {
		was, is := o.affiliation, r.affiliation(o.bare)
		words := *n
		switch {
		case is == Outcast:
			o.affiliation = is
			words.status = []string{"301"} // §9.1
			r.remove(o, &words, LeftBanned, false, fx)
			continue
		case is < Member && r.settings.MembersOnly && was != is:
			o.affiliation = is
			words.status = []string{"321"} // §9.4
			r.remove(o, &words, LeftRank, false, fx)
			continue
		}
		role := o.role
		if next := r.settleRole(is); is < was || next > role {
			role = next
		}
		if was != is || role != o.role {
			r.reveal(o, fx)
			r.cast(o, is, role, &words, fx)
		}
	}
	return len(of) > 0
}

// cast gives the occupant an affiliation and a role and tells everybody. Who may see more, or less, of the others than before is told of
// them again.
func (r *room) cast(o *occupant, affiliation Affiliation, role Role, n *notice, fx *effects) {
	saw := make([]view, 0, len(r.occupants))
	if len(o.sessions) > 0 {
		for _, other := range r.occupants {
			saw = append(saw, r.view(o.sessions[0], other))
		}
	}
	o.affiliation, o.role = affiliation, role
	r.changed(o)
	r.announce(o, n, fx)
	fx.emit(OccupantChanged{r.portrait(o)})
	for i, other := range r.occupants {
		if other == o || !other.listed {
			continue
		}
		for _, s := range o.sessions {
			if v := r.view(s, other); v > saw[i] {
				fx.send(s.addr, r.seen(other, v))
			}
		}
	}
}

// proclaim tells of the new affiliation of somebody who is not here (XEP-0045 §10.3 example 176, §10.7 example 195) those who may know the
// address.
func (r *room) proclaim(c rerank, fx *effects) {
	dst := wire.AppendAttr(nil, "from", string(r.addr))
	dst = append(dst, "><x xmlns='"+NSUser+"'><item affiliation='"+c.to.String()+"'"...)
	dst = wire.AppendAttr(dst, "jid", string(c.bare))
	dst = append(dst, " role='none'/></x>"+messageEnd...)
	for _, s := range r.sessions {
		if r.settings.nonAnonymous() || s.occupant.affiliation >= Admin || s.occupant.role == Moderator && !r.settings.Anyone {
			fx.send(s.addr, wire.Stanza{Kind: wire.Message, Tail: dst})
		}
	}
}

// person returns the bare address that an item means. Jitsi clients name an occupant by the address that they see, or by its bare
// form.
func (r *room) person(jid string) (wire.Addr, *refusal) {
	a, err := wire.ParseAddr(strings.TrimSpace(jid))
	if err != nil {
		return "", &errNotAddress
	}
	if a.Bare() != r.addr {
		return r.unscoped(a).Bare(), nil
	}
	if o := r.occupantOf(a.Resource()); o != nil && !r.isFocus(o) {
		return o.bare, nil
	}
	return "", &errNoOccupant
}

// unscoped returns the real address of an occupant that is named by the one that stands for it; others are returned as they are.
func (r *room) unscoped(a wire.Addr) wire.Addr {
	if a.Domain() != r.addr.Domain() {
		return a
	}
	for _, o := range r.occupants {
		if r.scopedBare(o) == a.Bare() {
			return o.bare
		}
	}
	return a
}
