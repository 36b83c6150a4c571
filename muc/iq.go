package muc

// iq handles a request to the room or to an occupant, or an answer, and reports that it keeps the input.
func (r *room) iq(in *input, fx *effects) (kept bool) {
	switch string(in.packet.Type()) {
	case "result", "error":
		r.answered(in, fx)
		return false
	}
	if !in.to.IsBare() {
		r.relay(in, fx)
		return false
	}
	if !r.visible(in.from) {
		r.ignore(in, fx)
		return false
	}
	set := string(in.packet.Type()) == "set"
	local, ns := in.packet.Child()
	switch name := string(local); string(ns) {
	case NSDiscoInfo:
		if name == "query" && !set {
			r.describe(in, fx)
			return false
		}
	case NSDiscoItems:
		if name == "query" && !set {
			r.enumerate(in, fx)
			return false
		}
	case NSAdmin:
		if name == "query" && set {
			return r.administer(in, fx)
		}
		if name == "query" {
			r.lists(in, fx)
			return false
		}
	case NSOwner:
		if name == "query" && set {
			return r.own(in, fx)
		}
		if name == "query" {
			r.configuration(in, fx)
			return false
		}
	case NSRegister:
		if name == "query" && set {
			return r.register(in, fx)
		}
		if name == "query" {
			r.registration(in, fx)
			return false
		}
	case NSArchive:
		if r.archived() && (name == "query" || name == "metadata") {
			r.consult(in, fx)
			return false
		}
	case NSModerate:
		if name == "moderate" && set {
			return r.moderate(in, fx)
		}
	case NSPing:
		if name == "ping" && !set {
			fx.send(in.from, in.packet.Result(in.to, nil))
			return false
		}
	}
	r.refuse(in, fx, errUnknown)
	return false
}

// longestID bounds the ids of requests that wait for an answer, in bytes.
const longestID = 1024

// relay passes a request on to an occupant (XEP-0045 §6.5 asks so for discovery; Jingle between occupants goes this way). Who is
// not in the room learns nothing of it, not even whether it exists.
func (r *room) relay(in *input, fx *effects) {
	s := r.byAddr[in.from]
	if s == nil {
		r.refuse(in, fx, errNotInRoom)
		return
	}
	to := r.occupantOf(in.to.Resource())
	if to == nil {
		r.refuse(in, fx, errNoOccupant)
		return
	}
	if in.packet.ChildIs("ping", NSPing) && (to == s.occupant || r.isFocus(to)) {
		fx.send(in.from, in.packet.Result(in.to, nil)) // XEP-0410 §3.3
		return
	}
	if r.isFocus(to) {
		fx.give(r.portrait(s.occupant), in)
		return
	}
	if len(in.packet.ID()) > longestID {
		r.refuse(in, fx, errBadRequest.about("the id is too long"))
		return
	}
	r.reveal(s.occupant, fx)
	r.asked.note(question{to.shown.addr, s.occupant.addr, string(in.packet.ID())}, request{in.from, to.addr})
	fx.send(to.shown.addr, in.packet.Stanza(s.occupant.addr))
}

// answered passes the answer to a request on to the session that asked.
func (r *room) answered(in *input, fx *effects) {
	s := r.byAddr[in.from]
	if s == nil || in.to.IsBare() {
		return
	}
	req, ok := r.asked.answered(question{in.from, in.to, string(in.packet.ID())})
	if !ok {
		return
	}
	if r.isFocusAddr(req.asker) {
		fx.give(r.portrait(s.occupant), in)
		return
	}
	fx.send(req.asker, in.packet.Stanza(req.asked))
}
