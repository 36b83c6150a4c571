package muc

import (
	"parley/xmpp/form"
	"parley/xmpp/wire"
)

// Fields of the form of a request for voice (XEP-0045 §15.5.2).
const (
	reqRole  = "muc#role"
	reqJID   = "muc#jid"
	reqNick  = "muc#roomnick"
	reqAllow = "muc#request_allow"
)

// voice handles a visitor's request to speak (XEP-0045 §7.13), which goes to the moderators, and a moderator's answer
// (§8.6).
func (r *room) voice(in *input, x wire.Elem, fx *effects) {
	s := r.byAddr[in.from]
	if s == nil {
		r.refuse(in, fx, errNotInRoom)
		return
	}
	a, ok := form.Read(x, NSRequest)
	if !ok || len(a["FORM_TYPE"]) == 0 || x.AttrString("type") != "submit" {
		r.refuse(in, fx, errBadRequest)
		return
	}
	if _, answer := a[reqAllow]; answer {
		r.approve(s.occupant, a, in, fx)
		return
	}
	role, ok := roleOf(one(a[reqRole]))
	switch {
	case !ok || role != Participant:
		r.refuse(in, fx, errBadRequest)
		return
	case s.occupant.role != Visitor:
		return // has it
	case !r.invites.Allow(in.now, 1):
		r.refuse(in, fx, errInviteRate)
		return
	}
	r.reveal(s.occupant, fx)
	o := s.occupant
	for _, m := range r.sessions {
		if m.occupant.role != Moderator {
			continue
		}
		f := form.New(append(wire.AppendAttr(nil, "from", string(r.addr)), '>'), "form", NSRequest)
		f.Words("title", "Voice request")
		f.Words("instructions", "Submit this form to give the occupant voice.")
		f.Field(reqRole, "list-single", "Requested role", Participant.String())
		if r.view(m, o) == viewReal {
			f.Field(reqJID, "jid-single", "Address", string(s.addr))
		}
		f.Field(reqNick, "text-single", "Nickname", o.nick)
		f.Flag(reqAllow, "Give voice to this occupant?", false)
		fx.send(m.addr, wire.Stanza{Kind: wire.Message, Tail: append(f.End(), messageEnd...)})
	}
}

// approve gives voice as a moderator has decided.
func (r *room) approve(actor *occupant, a form.Answers, in *input, fx *effects) {
	allow := false
	if actor.role != Moderator {
		r.refuse(in, fx, errForbidden)
		return
	}
	if !a.Flag(reqAllow, &allow) {
		r.refuse(in, fx, errBadRequest)
		return
	}
	o := r.occupantOf(one(a[reqNick]))
	if o == nil {
		r.refuse(in, fx, errNoOccupant)
		return
	}
	if allow && o.role == Visitor {
		r.reveal(o, fx)
		r.cast(o, o.affiliation, Participant, &notice{}, fx)
	}
}
