package muc

import (
	"parley/internal/store"
	"parley/xmpp/form"
	"parley/xmpp/wire"
)

// message handles a message for the room or an occupant and reports that it keeps the input.
func (r *room) message(in *input, fx *effects) (kept bool) {
	typ := string(in.packet.Type())
	if typ == "error" {
		r.errorMessage(in, fx)
		return false
	}
	if r.phase == absent || r.byAddr[in.from] == nil && !r.visible(in.from) {
		if !r.declined(in, fx) {
			r.ignore(in, fx)
		}
		return false
	}
	switch {
	case !in.to.IsBare():
		r.private(in, fx)
	case typ == "groupchat":
		return r.groupchat(in, fx)
	default:
		return r.sideMessage(in, fx)
	}
	return false
}

// sideMessage handles what is said to the room itself and not through it: invitations, declines, voice requests.
func (r *room) sideMessage(in *input, fx *effects) (kept bool) {
	e := in.packet.Elem()
	if x := e.Child("x", NSUser); x.Ok() {
		if x.Child("invite", NSUser).Ok() {
			return r.invite(in, x, fx)
		}
		if r.declined(in, fx) {
			return false
		}
	}
	if x := e.Child("x", NSData); x.Ok() {
		if formType(x) == NSEnlist {
			return r.decide(in, x, fx)
		}
		r.voice(in, x, fx)
		return false
	}
	if r.byAddr[in.from] == nil {
		r.refuse(in, fx, errNotInRoom)
		return false
	}
	r.refuse(in, fx, errBadRequest.about("messages to all are of type groupchat"))
	return false
}

// formType returns what a form is for.
func formType(x wire.Elem) string {
	for it := x.Children(); it.Next(); {
		if it.Elem.Is("field", NSData) && it.Elem.AttrString("var") == form.TypeField {
			return it.Elem.Child("value", NSData).Text()
		}
	}
	return ""
}

// speaks reports that the occupant may send messages to all (XEP-0045 §7.4).
func (r *room) speaks(o *occupant) bool { return o.role >= Participant || !r.settings.Moderated }

// groupchat sends a message to all occupants (XEP-0045 §7.4). In a persistent room it is sent when it is committed, and
// that it comes back to its sender is the acknowledgement.
func (r *room) groupchat(in *input, fx *effects) (kept bool) {
	s := r.byAddr[in.from]
	switch {
	case s == nil:
		r.refuse(in, fx, errNotInRoom)
		return false
	case r.settledSubject(in.packet):
		return r.changeSubject(s, in, fx)
	case !r.speaks(s.occupant):
		r.refuse(in, fx, errNoVoice)
		return false
	case len(r.pending) >= r.limits.Pending:
		r.refuse(in, fx, errBusy)
		return false
	}
	o := s.occupant
	r.reveal(o, fx)
	if len(r.owed) > 0 && r.repeated(in, o) {
		return false
	}
	id := in.id()
	said := saying{id: id, at: in.now, from: o.addr, author: in.from, stanza: r.compose(in.packet, o, id, true)}
	speak := func(fx *effects) {
		r.broadcast(said.stanza, fx)
	}
	if !memorable(in.packet) {
		return r.after(in, fx, speak)
	}
	change := store.Change{Messages: []store.Message{said.record()}, Keep: r.limits.Keep}
	return r.commit(in, fx, change, func(why *refusal, _ *input, fx *effects) {
		if why != nil {
			r.refuse(in, fx, *why)
			return
		}
		said.saved = r.stored
		r.remember(said)
		speak(fx)
	})
}

// compose makes a message as the room sends it: the occupant's words with the room's identification of it.
func (r *room) compose(p *wire.Packet, o *occupant, id string, groupchat bool) wire.Stanza {
	dst := make([]byte, 0, len(p.Raw())+2*len(r.addr)+len(o.nick)+192)
	dst = wire.AppendAttr(dst, "from", string(o.addr))
	dst = appendAttrs(dst, p)
	if groupchat && !p.HasID() {
		dst = wire.AppendAttr(dst, "id", id)
	}
	if typ := p.Type(); typ != nil {
		dst = wire.AppendRawAttr(dst, "type", typ)
	}
	dst = append(dst, '>')
	dst = appendChildren(dst, p.Elem(), forgedInMessage(r.addr, groupchat))
	dst = appendOccupantID(dst, o.id)
	if groupchat {
		dst = r.appendStanzaID(dst, id)
	} else {
		dst = append(dst, "<x xmlns='"+NSUser+"'/>"...) // XEP-0045 §7.5
	}
	dst = append(dst, "</message>"...)
	return wire.Stanza{Kind: wire.Message, Tail: dst}
}

// appendStanzaID appends the room's id of a message (XEP-0359).
func (r *room) appendStanzaID(dst []byte, id string) []byte {
	dst = append(dst, "<stanza-id xmlns='"+NSStanzaID+"'"...)
	dst = wire.AppendAttr(dst, "by", string(r.addr))
	return append(wire.AppendAttr(dst, "id", id), "/>"...)
}

// memorable reports that a message belongs into the history: it has a body, takes another one back (XEP-0424
// §5), or asks to be stored (XEP-0334), and does not ask for the contrary. What clients tell each other in JSON is of the moment.
func memorable(p *wire.Packet) bool {
	worth := false
	for it := p.Elem().Children(); it.Next(); {
		switch e := it.Elem; string(e.Local()) {
		case "body":
			worth = worth || e.Is("body", "")
		case "retract":
			worth = worth || string(e.NS()) == NSRetract
		case "json-message":
			if string(e.NS()) == NSJitsi {
				return false
			}
		case "no-store", "no-permanent-store":
			if string(e.NS()) == NSHints {
				return false
			}
		case "store":
			worth = worth || string(e.NS()) == NSHints
		}
	}
	return worth
}

// private passes a message on to one occupant (XEP-0045 §7.5).
func (r *room) private(in *input, fx *effects) {
	s := r.byAddr[in.from]
	if s == nil {
		r.refuse(in, fx, errNotInRoom)
		return
	}
	if string(in.packet.Type()) == "groupchat" {
		r.refuse(in, fx, errBadRequest)
		return
	}
	if !r.settings.AllowPM.allows(s.occupant.role) {
		r.refuse(in, fx, errNoVoice)
		return
	}
	to := r.occupantOf(in.to.Resource())
	if to == nil {
		r.refuse(in, fx, errNoOccupant)
		return
	}
	r.reveal(s.occupant, fx)
	r.pass(s.occupant, to, in, fx)
}

// pass gives an occupant's message to another one.
func (r *room) pass(from, to *occupant, in *input, fx *effects) {
	if r.isFocus(to) {
		fx.give(r.portrait(from), in)
		return
	}
	m := r.compose(in.packet, from, "", false)
	for _, receiver := range to.sessions {
		fx.send(receiver.addr, m)
	}
}

// broadcast sends a message to all sessions.
func (r *room) broadcast(m wire.Stanza, fx *effects) {
	for _, s := range r.sessions {
		fx.send(s.addr, m)
	}
}

// statusMessage makes a message from the room that holds nothing but status codes.
func (r *room) statusMessage(codes ...string) wire.Stanza {
	dst := wire.AppendAttr(nil, "from", string(r.addr))
	dst = append(dst, " type='groupchat'><x xmlns='"+NSUser+"'>"...)
	dst = appendStatus(dst, codes)
	return wire.Stanza{Kind: wire.Message, Tail: append(dst, "</x>"+messageEnd...)}
}

// errorMessage handles what came back: the receiver is not there, or its client refuses a private message.
func (r *room) errorMessage(in *input, fx *effects) {
	s := r.byAddr[in.from]
	if s == nil {
		return
	}
	if undeliverable(in.packet) {
		r.bounced(in, fx)
		return
	}
	if in.to.IsBare() {
		return
	}
	// It holds what it is about, so where private messages are not allowed this is none either.
	if to := r.occupantOf(in.to.Resource()); to != nil && r.settings.AllowPM.allows(s.occupant.role) {
		r.pass(s.occupant, to, in, fx)
	}
}
