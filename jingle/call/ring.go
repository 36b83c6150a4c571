package call

import (
	"time"

	"parley/jingle"
	"parley/jingle/focus"
	"parley/muc"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// ringing is a call that a room has proposed to somebody who was invited to its meeting (XEP-0353 §3).
type ringing struct {
	sid      string
	room     wire.Addr
	person   wire.Addr // bare
	password string
	timer    *time.Timer
}

const (
	ringTime  = 45 * time.Second // until the room gives up
	ringsMost = 1000             // at a time
	ringsEach = 20               // of one room
)

// Observe takes the events of rooms: whoever is invited to a room in which there is a meeting is called.
func (s *Service) Observe(e muc.Event) {
	if i, ok := e.(muc.Invited); ok && i.Meeting {
		s.ring(i.Room, i.To.Bare(), i.Password)
	}
}

// address is where a room is called.
func (s *Service) address(room wire.Addr) wire.Addr {
	return wire.Addr(room.Local() + "@" + s.cfg.Domain)
}

// ring proposes a call, unless the person is called already.
func (s *Service) ring(room, person wire.Addr, password string) {
	r := &ringing{sid: digits(16), room: room, person: person, password: password}
	s.mu.Lock()
	of := 0
	for _, other := range s.rings {
		if other.room == room {
			if of++; other.person == person {
				of = ringsEach
			}
		}
	}
	if of >= ringsEach || len(s.rings) >= ringsMost {
		s.mu.Unlock()
		s.rec.Count("limit.calls")
		return
	}
	s.rings[r.sid] = r
	r.timer = time.AfterFunc(ringTime, func() {
		if s.stop(r.sid, person) != nil {
			s.tell(r, jingle.Message{Kind: jingle.Retract, ID: r.sid, Reason: &jingle.Reason{Condition: jingle.Timeout}})
		}
	})
	s.mu.Unlock()
	s.tell(r, jingle.Message{Kind: jingle.Propose, ID: r.sid, Proposals: []jingle.Proposal{{NS: jingle.NSRTP, Media: "audio"}, {NS: jingle.NSRTP, Media: "video"}}})
}

// tell sends a person an element of XEP-0353 about a call.
func (s *Service) tell(r *ringing, m jingle.Message) {
	from := s.full(s.address(r.room))
	tail := wire.AppendAttr(wire.AppendAttr(nil, "from", string(from)), "id", r.sid+"-"+string(m.Kind))
	tail = m.Append(append(tail, " type='chat'>"...))
	s.people.Send(nil, from, r.person, wire.Stanza{Kind: wire.Message, Tail: append(tail, "<store xmlns='urn:xmpp:hints'/></message>"...)})
}

// stop ends the ringing of a call, and returns it if it rang at a person.
func (s *Service) stop(sid string, person wire.Addr) *ringing {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rings[sid]
	if r == nil || r.person != person {
		return nil
	}
	r.timer.Stop()
	delete(s.rings, sid)
	return r
}

// answeredRing takes what a person answers to a proposed call.
func (s *Service) answeredRing(from route.Sender, to wire.Addr, m *jingle.Message) {
	if m.Kind != jingle.Proceed && m.Kind != jingle.RejectCall {
		return
	}
	r := s.stop(m.ID, from.Addr().Bare())
	if r == nil || m.Kind == jingle.RejectCall || from.Addr().IsBare() {
		return
	}
	c := &session{service: s, caller: from.Addr(), own: s.full(s.address(r.room)), room: r.room, sid: r.sid, ours: true, accepts: make(map[string]bool)}
	old, ok := s.enter(c)
	if !ok {
		s.rec.Reject("limit.calls", from.Source().String(), "jid", string(c.caller), "room", string(r.room))
		return
	}
	if old != nil {
		old.leave()
	}
	s.enact(c, from, focus.OwnOffer(), r.password)
}
