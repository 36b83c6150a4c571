package muc

import (
	"slices"

	"parley/xmpp/wire"
)

// presence handles presence for the room (XEP-0045 §7.2, §7.6, §7.7, §7.14).
func (r *room) presence(in *input, fx *effects) {
	s := r.byAddr[in.from]
	switch string(in.packet.Type()) {
	case "":
		if in.to.IsBare() {
			r.refuse(in, fx, errBadNick)
			r.absentee(in, fx)
			return
		}
		switch join := in.packet.Elem().Child("x", NSMUC); {
		case s == nil && !join.Ok():
			fx.send(in.from, desynchronised(in.to))
		case s == nil:
			if !r.join(in, join, fx) {
				r.absentee(in, fx)
			}
		case in.to.Resource() != s.occupant.nick:
			r.rename(s, in, fx)
			r.absentee(in, fx)
		default:
			r.update(s, in, fx)
			if join.Ok() {
				r.synchronise(s, join, in, nil, fx)
			}
			r.absentee(in, fx)
		}
	case "unavailable":
		if s != nil {
			r.leave(s, in, fx)
		}
	case "error":
		r.bounced(in, fx)
	}
	// Probes and subscriptions have no meaning here (XEP-0045 §17.3).
}

// absentee gives back the place that an attempt to join took in the service's index.
func (r *room) absentee(in *input, fx *effects) {
	if in.joins {
		in.joins = false
		fx.left = append(fx.left, in.from)
	}
}

// keep remembers the presence's payload.
func (s *session) keep(p *wire.Packet) {
	b := appendAttrs(make([]byte, 0, len(p.Raw())), p)
	n := len(b)
	b = appendChildren(b, p.Elem(), forgedInPresence)
	s.attrs, s.children = b[:n:n], b[n:]
}

// update takes over a new presence of somebody who is here (XEP-0045 §7.7).
func (r *room) update(s *session, in *input, fx *effects) {
	o := s.occupant
	s.keep(in.packet)
	r.notes.session(s)
	o.shown = s
	r.changed(o)
	fx.emit(OccupantChanged{r.portrait(o)})
	if len(r.sessions) <= r.limits.CoalesceAbove {
		r.announce(o, nil, fx)
		return
	}
	r.announceLater(o, in)
}

// changed notes that the occupant's presence is another one now.
func (r *room) changed(o *occupant) {
	r.clock++
	o.changed = r.clock
	o.tails = [views]wire.Stanza{}
	r.notes.occupant(o)
}

// announceLater puts the occupant among those whose presence is told to the others soon. In a large room most presences
// are followed by others of the same person, or by more people, within that time.
func (r *room) announceLater(o *occupant, in *input) {
	if o.dirty {
		return
	}
	o.dirty = true
	r.notes.occupant(o)
	r.dirty = append(r.dirty, o)
	if r.flushAt.IsZero() {
		r.flushAt = in.now.Add(r.limits.Coalesce)
	}
}

// flush tells the others what was put off.
func (r *room) flush(fx *effects) {
	dirty := r.dirty
	r.dirty = nil
	for _, o := range dirty {
		o.dirty = false
		r.notes.occupant(o)
		r.announce(o, nil, fx)
	}
}

// reveal tells the others at once what was put off about the occupant, because something of it follows.
func (r *room) reveal(o *occupant, fx *effects) {
	if o.dirty {
		r.announce(o, nil, fx)
	}
}

// settled takes the occupant off the list of those of whom the others are to be told.
func (r *room) settled(o *occupant) {
	if !o.dirty {
		return
	}
	o.dirty = false
	r.notes.occupant(o)
	if i := slices.Index(r.dirty, o); i >= 0 {
		r.dirty = slices.Delete(r.dirty, i, i+1)
	}
}

// shows reports that the others are told of occupants of that role (muc#roomconfig_presencebroadcast).
func (r *room) shows(role Role) bool { return r.settings.Broadcast&(1<<role) != 0 }

// announce sends the occupant's presence to all who have not been told this one yet. An occupant whose role is not to be
// seen any more is withdrawn.
func (r *room) announce(o *occupant, n *notice, fx *effects) {
	r.settled(o)
	listed := r.shows(o.role)
	if o.listed && !listed {
		r.toOthers(o, &notice{gone: true}, fx)
	}
	if o.listed != listed {
		o.listed = listed
		r.notes.occupant(o)
	}
	if listed {
		r.toOthers(o, n, fx)
	}
	r.toSelf(o, n, fx)
}

// withdraw sends unavailable presence of the occupant to everybody (XEP-0045 §7.14).
func (r *room) withdraw(o *occupant, n *notice, fx *effects) {
	n.gone = true
	r.toSelf(o, n, fx)
	if o.listed {
		r.toOthers(o, n, fx)
	}
}

// toSelf sends a presence to the occupant's own sessions, with status 110.
func (r *room) toSelf(o *occupant, n *notice, fx *effects) {
	if r.focus != nil && r.focus.occupant == o {
		return
	}
	var self wire.Stanza
	for _, s := range o.sessions {
		if n == nil && s.since >= o.changed {
			continue
		}
		if self.Tail == nil {
			self = r.render(o, viewReal, true, n)
		}
		fx.send(s.addr, self)
	}
}

// toOthers sends one presence to all others. Each variant is serialised once.
func (r *room) toOthers(o *occupant, n *notice, fx *effects) {
	var special [views]wire.Stanza
	for _, s := range r.sessions {
		if s.occupant == o || n == nil && s.since >= o.changed {
			continue
		}
		v := r.view(s, o)
		if n == nil {
			fx.send(s.addr, r.seen(o, v))
			continue
		}
		if special[v].Tail == nil {
			special[v] = r.render(o, v, false, n)
		}
		fx.send(s.addr, special[v])
	}
}

// seen returns the occupant's presence as that view shows it.
func (r *room) seen(o *occupant, v view) wire.Stanza {
	if o.tails[v].Tail == nil {
		o.tails[v] = r.render(o, v, false, nil)
	}
	return o.tails[v]
}

// notice is what a presence says beside the occupant's own words.
type notice struct {
	gone     bool     // unavailable
	children []byte   // with gone: what the occupant said in parting
	attrs    []byte   // with gone
	nick     string   // the new nick, with status 303
	role     Role     // with gone: the role shown
	actor    string   // nick of who did it
	reason   string   // why
	status   []string // codes for everybody
	self     []string // codes for the occupant's own sessions, beside 110
	destroy  []byte   // the element <destroy/>
}

// render serialises a presence of the occupant.
func (r *room) render(o *occupant, v view, self bool, n *notice) wire.Stanza {
	none := notice{}
	if n == nil {
		n = &none
	}
	attrs, children := n.attrs, n.children
	if !n.gone {
		attrs, children = o.shown.attrs, o.shown.children
	}
	dst := make([]byte, 0, 256+len(attrs)+len(children)+len(n.reason)+len(n.destroy)+2*len(o.addr))
	dst = wire.AppendAttr(dst, "from", string(o.addr))
	dst = append(dst, attrs...)
	if n.gone {
		dst = append(dst, " type='unavailable'"...)
	}
	dst = append(dst, '>')
	dst = append(dst, children...)
	dst = appendOccupantID(dst, o.id)
	dst = append(dst, "<x xmlns='"+NSUser+"'>"...)
	role := o.role
	if n.gone {
		role = n.role
	}
	dst = r.appendItem(dst, o, v, role, n)
	if self {
		dst = append(dst, "<status code='110'/>"...)
		dst = appendStatus(dst, n.self)
	}
	dst = appendStatus(dst, n.status)
	dst = append(dst, n.destroy...)
	dst = append(dst, "</x></presence>"...)
	return wire.Stanza{Kind: wire.Presence, Tail: dst}
}

// appendItem appends the element <item/> (XEP-0045 §7.2.2).
func (r *room) appendItem(dst []byte, o *occupant, v view, role Role, n *notice) []byte {
	affiliation := o.affiliation
	if n.destroy != nil {
		affiliation = None // XEP-0045 §10.9: there is nothing left to be affiliated with
	}
	dst = append(dst, "<item affiliation='"...)
	dst = append(dst, affiliation.String()...)
	dst = append(dst, "' role='"...)
	dst = append(dst, role.String()...)
	dst = append(dst, '\'')
	switch v {
	case viewScoped:
		dst = wire.AppendAttr(dst, "jid", string(r.scopedAddr(o)))
	case viewReal:
		dst = wire.AppendAttr(dst, "jid", string(o.shown.addr))
	}
	if n.nick != "" {
		dst = wire.AppendAttr(dst, "nick", n.nick)
	}
	if n.actor == "" && n.reason == "" {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	if n.actor != "" {
		dst = append(dst, "<actor"...)
		dst = wire.AppendAttr(dst, "nick", n.actor)
		dst = append(dst, "/>"...)
	}
	if n.reason != "" {
		dst = wire.AppendElem(dst, "reason", n.reason)
	}
	return append(dst, "</item>"...)
}

func appendStatus(dst []byte, codes []string) []byte {
	for _, code := range codes {
		dst = append(dst, "<status code='"...)
		dst = append(dst, code...)
		dst = append(dst, "'/>"...)
	}
	return dst
}

func appendOccupantID(dst []byte, id string) []byte {
	dst = append(dst, "<occupant-id xmlns='"+NSOccupantID+"'"...)
	dst = wire.AppendAttr(dst, "id", id)
	return append(dst, "/>"...)
}

// desynchronised answers presence of somebody who takes himself for an occupant (XEP-0045 §7.2.18, example 43).
func desynchronised(from wire.Addr) wire.Stanza {
	dst := wire.AppendAttr(nil, "from", string(from))
	dst = append(dst, " type='unavailable'><x xmlns='"+NSUser+"'><item affiliation='none' role='none'><reason>"+
		"You are not in the room.</reason></item><status code='110'/><status code='307'/><status code='333'/></x></presence>"...)
	return wire.Stanza{Kind: wire.Presence, Tail: dst}
}
