package seat

import (
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

const (
	nsInfo    = "http://jabber.org/protocol/disco#info"
	nsPing    = "urn:xmpp:ping"
	nsMUC     = "http://jabber.org/protocol/muc"
	nsMUCUser = "http://jabber.org/protocol/muc#user"
)

// unlocks is the id of the request that opens a new room.
const unlocks = "instant"

// unlock accepts a new room as it is: until its maker has done that it is locked (XEP-0045 §10.1.2).
const unlock = "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query>"

var errUnavailable = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.ServiceUnavailable}

// Deliver takes what the room says to the occupant: whether it is in, that it is no more, and what others ask of its client.
// Messages are not for it.
func (s *Seat) Deliver(_ *wire.Batch, _ wire.Addr, st wire.Stanza) {
	if st.Kind == wire.Message {
		return
	}
	p := Parse(append(wire.AppendStart(nil, st.Kind, wire.NSClient, s.place.Addr), st.Tail...))
	if p == nil {
		return
	}
	from, err := wire.ParseRawAddr(p.From())
	switch {
	case err != nil || from.Bare() != s.place.Room:
	case st.Kind == wire.IQ:
		s.query(from, p)
	default:
		s.presence(from, p)
	}
}

// presence takes what the room says of its occupants.
func (s *Seat) presence(from wire.Addr, p *wire.Packet) {
	typ := string(p.Type())
	made := status(p, "201")
	var in, again, out bool
	s.mu.Lock()
	own := from == s.place.Room || from.Resource() == s.nick
	switch {
	case !own || s.gone:
	case typ == "" && !from.IsBare():
		in = !s.inside
		s.inside = true
		s.opening = in && made
	case typ == "error" && !s.inside && p.Elem().Child("error", "").Child(string(mstanza.Conflict), wire.NSStanzas).Ok() && s.tries < triesMost:
		s.another()
		again = true
	case typ == "error" && s.inside:
	case typ == "error", typ == "unavailable":
		s.gone, out = true, true // the room knows
	}
	was, gone := s.inside, s.gone
	s.mu.Unlock()
	switch {
	case !own:
		if s.place.Saw != nil && !gone {
			s.place.Saw(from.Resource(), p)
		}
	case in && made:
		s.Send(wire.IQ, s.place.Room, "set", unlocks, []byte(unlock))
	case in:
		s.place.Client.Entered()
	case again:
		s.present(true)
	case out:
		s.place.Client.Left(exit(was, p))
	}
}

// query takes the answer to the one request of a seat, and answers those of others.
func (s *Seat) query(from wire.Addr, p *wire.Packet) {
	typ, id := string(p.Type()), wire.UnescapeString(p.ID())
	switch {
	case typ == "result", typ == "error":
		s.mu.Lock()
		open := s.opening && from == s.place.Room && id == unlocks
		if open {
			s.opening = false
		}
		s.mu.Unlock()
		if open {
			s.place.Client.Entered()
		}
	case typ == "get" && p.ChildIs("query", nsInfo):
		q := []byte("<query xmlns='" + nsInfo + "'")
		if node := p.Elem().First().AttrString("node"); node != "" {
			q = wire.AppendAttr(q, "node", node)
		}
		q = append(q, "><identity category='client'"...)
		q = append(wire.AppendAttr(q, "type", s.place.Type), "/>"...)
		for _, f := range append([]string{nsInfo, nsPing}, s.place.Features...) {
			q = append(append(q, "<feature"...), append(wire.AppendAttr(nil, "var", f), "/>"...)...)
		}
		s.Send(wire.IQ, from, "result", id, append(q, "</query>"...))
	case typ == "get" && p.ChildIs("ping", nsPing):
		s.Send(wire.IQ, from, "result", id, nil)
	case s.place.Asked != nil && s.place.Asked(from, p):
	default:
		s.Send(wire.IQ, from, "error", id, errUnavailable.Append(nil))
	}
}

// Reply answers what an occupant has asked.
func (s *Seat) Reply(from wire.Addr, p *wire.Packet) {
	s.Send(wire.IQ, from, "result", wire.UnescapeString(p.ID()), nil)
}
