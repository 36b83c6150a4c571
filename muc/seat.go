package muc

import (
	"bytes"

	"parley/xmpp/wire"
)

// Seat is the focus's place in a room: it acts there as the occupant "focus". Its methods may be called from any
// goroutine, also from an observer; they take effect in the order of the calls, and none once the room is no more or the
// focus has left.
type Seat struct {
	service *Service
	room    wire.Addr
	acts    *[]act // see Together; nil: each by itself
}

// Room returns the room's address.
func (s *Seat) Room() wire.Addr { return s.room }

// Addr returns the address at which the occupants see the focus.
func (s *Seat) Addr() wire.Addr { return s.room + "/" + focusNick }

// Conference brings the focus into the room, which is created if it is not there and the asker may create it, and
// answers with done, which is called from the room's runner, or at once where there can be no room, and must not block. From then on the asker's session keeps
// to the rules of conferences: a nickname of letters, digits and underscores, which it does not change. The rule decides
// who becomes owner in a room that was born in this way.
func (s *Service) Conference(asker Sender, addr wire.Addr, rule OwnerRule, done func(Meeting, *wire.Error)) {
	in := &input{from: asker.Addr(), guest: asker.Guest(), remote: isRemote(asker), source: asker.Source(), claims: asker.Claims()}
	in.fail = func(why *refusal) { done(Meeting{}, &why.Error) }
	if why := s.unreachable(addr); why != nil {
		in.fail(why)
		return
	}
	if s.blocked(in.source) && !s.index.in(in.from, addr) {
		in.fail(&errGuesses)
		return
	}
	in.do = func(r *room, in *input, fx *effects) {
		m, why := r.meet(in, s.focus, rule, fx)
		if why != nil {
			if why.event != "" {
				fx.reject(why.event, why.Text)
			}
			in.fail(why)
			return
		}
		m.Seat = &Seat{service: s, room: r.addr}
		fx.released = append(fx.released, func() { done(m, nil) })
	}
	s.post(addr, in)
}

// act is something that the focus does in the room.
type act func(r *room, in *input, fx *effects)

// do runs f in the room while the focus sits there.
func (s *Seat) do(f act) {
	s.always(func(r *room, in *input, fx *effects) {
		if r != nil && r.focus != nil {
			f(r, in, fx)
		}
	})
}

// always runs f in the room, or with a nil room when there is none.
func (s *Seat) always(f act) {
	if s.acts != nil {
		*s.acts = append(*s.acts, f)
		return
	}
	s.service.post(s.room, &input{do: f, fail: func(*refusal) { f(nil, nil, nil) }})
}

// Together does all that f does with the seat that it is given as one: nothing else happens in the room meanwhile, and
// the process is not killed between one and the other as far as the journal knows. The seat given is of use during f only.
func (s *Seat) Together(f func(*Seat)) {
	var acts []act
	f(&Seat{s.service, s.room, &acts})
	if len(acts) == 0 {
		return
	}
	s.always(func(r *room, in *input, fx *effects) {
		for _, act := range acts {
			act(r, in, fx)
		}
	})
}

// Done calls done when what was done before it has been delivered: the acknowledgement of a stanza that the focus holds.
// It is called even if the room is no more.
func (s *Seat) Done(done func()) {
	s.always(func(r *room, _ *input, fx *effects) {
		if r == nil {
			done()
			return
		}
		fx.released = append(fx.released, done)
	})
}

// Note calls note when the room writes to the journal what was done with it: so the focus's share keeps in step with the
// room's. It is called by the room's runner; not if the room is no more, nor if there is no journal.
func (s *Seat) Note(note func()) {
	s.always(func(r *room, _ *input, fx *effects) {
		if r != nil {
			fx.notes = append(fx.notes, note)
		}
	})
}

// Present replaces the payload of the focus's presence: complete child elements, which the room copies.
func (s *Seat) Present(children []byte) {
	children = bytes.Clone(children)
	s.do(func(r *room, in *input, fx *effects) {
		o := r.focus.occupant
		o.shown.children = children
		r.notes.session(o.shown)
		r.changed(o)
		if len(r.sessions) > r.limits.CoalesceAbove {
			r.announceLater(o, in)
			return
		}
		r.announce(o, nil, fx)
	})
}

// Ask sends an IQ of type "get" or "set" to an occupant. The answer comes as a FocusStanza with that id; none comes if
// the occupant has left, which is an event of its own. The payload is copied.
func (s *Seat) Ask(nick, typ, id string, payload []byte) {
	tail := wire.AppendAttr(nil, "from", string(s.Addr()))
	tail = wire.AppendAttr(tail, "id", id)
	tail = append(wire.AppendAttr(tail, "type", typ), '>')
	tail = append(append(tail, payload...), "</iq>"...)
	raw := wire.AppendEscaped(nil, id) // as it will come back
	s.do(func(r *room, in *input, fx *effects) {
		to := r.occupantOf(nick)
		if to == nil || r.isFocus(to) {
			return
		}
		q := question{to.shown.addr, s.Addr(), string(raw)}
		r.asked.note(q, request{r.focus.addr, to.addr})
		fx.send(to.shown.addr, wire.Stanza{Kind: wire.IQ, Tail: tail})
	})
}

// Answer answers an IQ that came as a FocusStanza; the payload may be empty and is copied.
func (s *Seat) Answer(to FocusStanza, payload []byte) {
	s.reply(to, to.Packet.Result(s.Addr(), payload))
}

// Refuse answers an IQ that came as a FocusStanza with an error.
func (s *Seat) Refuse(to FocusStanza, why *wire.Error) {
	s.reply(to, why.ErrorTo(to.Packet, s.Addr()))
}

func (s *Seat) reply(to FocusStanza, st wire.Stanza) {
	s.do(func(r *room, in *input, fx *effects) {
		if r.byAddr[to.Addr] != nil {
			fx.send(to.Addr, st)
		}
	})
}

// Tell sends a private message to all sessions of an occupant; the payload is copied.
func (s *Seat) Tell(nick string, payload []byte) {
	m := s.message("chat", payload)
	s.do(func(r *room, in *input, fx *effects) {
		if to := r.occupantOf(nick); to != nil && !r.isFocus(to) {
			for _, receiver := range to.sessions {
				fx.send(receiver.addr, m)
			}
		}
	})
}

// Say sends a message to all occupants; it does not enter the history. The payload is copied.
func (s *Seat) Say(payload []byte) {
	m := s.message("groupchat", payload)
	s.do(func(r *room, in *input, fx *effects) {
		r.after(nil, fx, func(fx *effects) { r.broadcast(m, fx) })
	})
}

func (s *Seat) message(typ string, payload []byte) wire.Stanza {
	tail := wire.AppendAttr(nil, "from", string(s.Addr()))
	tail = append(wire.AppendAttr(tail, "type", typ), '>')
	return wire.Stanza{Kind: wire.Message, Tail: append(append(tail, payload...), messageEnd...)}
}

// SetInfo sets fields of the room's information and tells the occupants that it has changed (XEP-0045 §10.2.1, status
// 104).
func (s *Seat) SetInfo(fields ...Field) {
	s.do(func(r *room, in *input, fx *effects) {
		r.setInfo(fields)
		r.broadcast(r.statusMessage("104"), fx)
	})
}

// SetOwners sets who becomes owner.
func (s *Seat) SetOwners(rule OwnerRule) {
	s.do(func(r *room, in *input, fx *effects) {
		if r.conference {
			r.ownership = rule
			r.notes.head = true
			r.succession(in, fx)
		}
	})
}

// Leave takes the focus out of the room, which Jitsi clients take for the end of the meeting. A room that is empty then
// ends.
func (s *Seat) Leave() {
	s.do(func(r *room, in *input, fx *effects) { r.unseat(fx) })
}
