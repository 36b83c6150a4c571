package call

import (
	"fmt"
	"maps"
	"sync"

	"parley/jingle"
	"parley/jingle/focus"
	"parley/xmpp/route"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// session is one call of one client. Its room's side is the seat, its media the focus's.
type session struct {
	service *Service
	caller  wire.Addr // full
	own     wire.Addr // as which the room is called, full where the client knows that
	room    wire.Addr
	sid     string
	ours    bool // the room has called
	meets   bool // with a participant of the room's Muji conference, at the focus's address
	seat    *occupant

	mu       sync.Mutex // guards what follows; nothing is called with it held
	ids      int
	accepts  map[string]bool // ids of what was accepted and not acknowledged
	accepted bool            // the session was, or offered if it is ours
	agreed   bool            // the client has answered that
	ended    bool
	media    map[string]string // of the contents
	begun    bool              // the focus has the call ...
	early    []jingle.Content  // ... and this waits for that
	closed   bool              // the client has ended this one of its sessions, and others go on
	uplinks
	streams
}

// jingle takes a Jingle element of a client and answers it (XEP-0166 §6).
func (s *Service) jingle(b *wire.Batch, from route.Sender, to wire.Addr, p *wire.Packet) {
	room := s.room(to)
	if room == "" {
		route.Refuse(b, from, p, to, errUnavailable)
		return
	}
	j, err := jingle.Parse(p.Elem().Child("jingle", jingle.NSJingle), jingle.DefaultLimits)
	if err != nil {
		s.rec.Reject("sdp.reject", from.Source().String(), "jid", string(from.Addr()), "room", string(room), "err", err.Error())
		route.Refuse(b, from, p, to, faultOf(err))
		return
	}
	c := s.of(from.Addr(), room)
	if j.Action == jingle.SessionInitiate {
		if c.has(j.SID) {
			route.Refuse(b, from, p, to, jingle.ErrOutOfOrder)
			return
		}
		from.Deliver(b, "", p.Result(to, nil))
		s.begin(from, to, room, j)
		return
	}
	if c == nil {
		route.Refuse(b, from, p, to, jingle.ErrUnknownSession)
		return
	}
	result := func() { from.Deliver(b, "", p.Result(to, nil)) }
	var why *wire.Error
	switch u := c.uplink(j.SID); {
	case u != nil:
		why = u.take(j, result)
	case c.sid == j.SID:
		why = c.take(j, result)
	default:
		if why = c.takeStream(j, result); why != nil {
			s.rec.Count("call.stream")
		}
	}
	if why != nil {
		route.Refuse(b, from, p, to, why)
	}
}

// faultOf is the stanza error in an error of package jingle.
func faultOf(err error) *wire.Error {
	if e, ok := err.(*wire.Error); ok {
		return e
	}
	return &wire.Error{Type: mstanza.Modify, Condition: mstanza.BadRequest, Text: err.Error()}
}

// begin begins a call. One that the same client has had with the room gives way, unless it is brought streams by that: then the
// new session is for another one of its own.
func (s *Service) begin(from route.Sender, to, room wire.Addr, j *jingle.Jingle) {
	c := &session{service: s, caller: from.Addr(), own: to, room: room, sid: j.SID, accepts: make(map[string]bool)}
	offer, why := focus.ReadOffer(j)
	if why != nil {
		s.rec.Reject("call.reject", from.Source().String(), "jid", string(c.caller), "room", string(room), "text", why.Text)
		c.terminate(why)
		return
	}
	if had := s.of(c.caller, room); had.add(j.SID, offer, func() { s.begin(from, to, room, j) }) {
		return
	} else if had.attends() {
		s.rec.Reject("limit.calls", from.Source().String(), "jid", string(c.caller), "room", string(room))
		c.terminate(&jingle.Reason{Condition: jingle.Busy, Text: "a client of a conference has a few sessions, in which it only sends"})
		return
	}
	old, ok := s.enter(c)
	if !ok {
		s.rec.Reject("limit.calls", from.Source().String(), "jid", string(c.caller), "room", string(room))
		c.terminate(&jingle.Reason{Condition: jingle.Busy, Text: "too many calls"})
		return
	}
	if old != nil {
		old.leave()
	}
	if offer.OneWay {
		c.wonder(j)
	}
	s.enact(c, from, offer, "")
}

// enact brings a call's occupant into the room.
func (s *Service) enact(c *session, from route.Sender, offer *focus.Offer, password string) {
	room := c.room
	c.media = offer.Contents()
	c.seat = newOccupant(c, from, offer, password)
	s.focus.Call(c.seat, room, offer, c, func(fault *wire.Error) {
		if fault != nil {
			c.end(reasonOf(fault))
			return
		}
		c.mu.Lock()
		early := c.early
		c.begun, c.early = true, nil
		every := c.every
		c.mu.Unlock()
		if every {
			c.open()
		}
		if len(early) > 0 {
			s.focus.Trickle(c.room, c.seat.Addr(), early)
		}
		c.seat.Join()
	})
}

// take does what the client says in the session. Result is what answers it, before anything that follows from it.
func (c *session) take(j *jingle.Jingle, result func()) *wire.Error {
	f := c.service.focus
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return jingle.ErrUnknownSession
	}
	switch j.Action {
	case jingle.SessionAccept:
		c.mu.Lock()
		answers := c.ours && c.accepted && !c.agreed
		c.agreed = c.agreed || answers
		c.mu.Unlock()
		if !answers {
			return jingle.ErrOutOfOrder
		}
		result()
		f.Agree(c.room, c.seat.Addr(), j)
	case jingle.TransportInfo:
		result()
		c.mu.Lock()
		begun := c.begun
		if !begun && len(c.early) < earlyMost {
			c.early = append(c.early, j.Contents...)
		}
		c.mu.Unlock()
		if begun {
			f.Trickle(c.room, c.seat.Addr(), j.Contents)
		}
	case jingle.SessionTerminate:
		result()
		if names, more := c.close(); more {
			c.seat.removes(0)
			f.Reduce(c.room, c.seat.Addr(), names)
			return nil
		}
		c.leave()
	case jingle.SessionInfo:
		if j.Info == nil && len(j.Extensions) > 0 {
			return jingle.ErrUnsupportedInfo
		}
		result()
		c.informed(j.Info)
	case jingle.ContentAdd:
		result()
		offer, why := focus.ReadOffer(j)
		if why == nil && !c.extends(offer) {
			why = &jingle.Reason{Condition: jingle.Busy, Text: "the call has a stream of that medium"}
		}
		if why != nil {
			c.say(&jingle.Jingle{Action: jingle.ContentReject, Contents: bare(j.Contents), Reason: why})
			return nil
		}
		c.seat.shows(offer)
		f.Extend(c.room, c.seat.Addr(), offer)
	case jingle.ContentModify:
		result()
		for _, x := range j.Contents {
			f.Direct(c.room, c.seat.Addr(), x.Name, x.Senders)
		}
	case jingle.ContentRemove:
		result()
		var names []string
		c.mu.Lock()
		for _, x := range j.Contents {
			names = append(names, x.Name)
			delete(c.media, x.Name)
		}
		c.mu.Unlock()
		f.Reduce(c.room, c.seat.Addr(), names)
	case jingle.DescriptionInfo, jingle.SecurityInfo:
		result() // informational
	default:
		return &wire.Error{Type: mstanza.Cancel, Condition: mstanza.FeatureNotImplemented}
	}
	return nil
}

// extends notes contents that are added, and reports that they are of media and names that the call has not.
func (c *session) extends(o *focus.Offer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	more := o.Contents()
	for name, medium := range c.media {
		if more[name] != "" {
			return false
		}
		for _, other := range more {
			if other == medium {
				return false
			}
		}
	}
	maps.Copy(c.media, more)
	return true
}

// earlyMost bounds what waits until the room has answered.
const earlyMost = 50

// bare names contents without saying more of them.
func bare(contents []jingle.Content) (list []jingle.Content) {
	for _, x := range contents {
		list = append(list, jingle.Content{Creator: x.Creator, Name: x.Name, Senders: x.Senders})
	}
	return list
}

// informed takes what the client says of itself (XEP-0167 §8).
func (c *session) informed(i *jingle.Info) {
	if i == nil {
		return
	}
	switch i.Kind {
	case jingle.Mute, jingle.Unmute:
		c.mu.Lock()
		media, ok := c.media[i.Name]
		c.mu.Unlock()
		if ok || i.Name == "" {
			c.seat.muted(0, media, i.Kind == jingle.Mute)
		}
	case jingle.Hold, jingle.Unhold:
		c.seat.muted(0, "", i.Kind == jingle.Hold)
	}
}

// Accepted implements focus.Caller.
func (c *session) Accepted(j *jingle.Jingle) {
	c.mu.Lock()
	if j.Action == jingle.SessionTerminate {
		was := c.closed
		c.closed = true
		c.mu.Unlock()
		if !was {
			c.seat.removes(0)
			c.say(j)
		}
		return
	}
	j.Action = jingle.ContentAccept
	if !c.accepted {
		c.accepted, j.Action = true, jingle.SessionAccept
		if c.ours {
			j.Action = jingle.SessionInitiate
			if c.meets {
				j.Muji = &jingle.Muji{Room: string(c.room)}
			}
		} else {
			j.Responder = string(c.own)
			j.Conference = &jingle.Conference{Focus: true}
		}
	}
	c.mu.Unlock()
	id := c.say(j)
	c.mu.Lock()
	c.accepts[id] = true
	deaf := len(c.accepts) > deafAfter
	c.mu.Unlock()
	if deaf {
		c.leave()
	}
}

// deafAfter is after how many answers a client that acknowledges none of them has no call.
const deafAfter = 10

// Ended implements focus.Caller.
func (c *session) Ended(why *jingle.Reason) { c.end(why) }

// answered takes the answer to something that was said. A client that cannot take what was accepted has no call.
func (c *session) answered(id string, p *wire.Packet) {
	failed := string(p.Type()) == "error"
	c.mu.Lock()
	known := c.accepts[id]
	delete(c.accepts, id)
	c.mu.Unlock()
	switch {
	case known && failed:
		c.leave() // it has no session to be told of
	case known:
	case c.answeredUplink(id, failed):
	default:
		c.answeredStream(id, p)
	}
}

// say sends a Jingle element to the client.
func (c *session) say(j *jingle.Jingle) (id string) {
	j.SID, j.Initiator = c.sid, string(c.caller)
	if c.ours {
		j.Initiator = string(c.own)
	}
	id = c.id()
	c.ask(id, "set", j.Append(nil))
	return id
}

// id returns a new id of an IQ.
func (c *session) id() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ids++
	return fmt.Sprintf("%s-%d", idOf(c.sid), c.ids)
}

// ask sends the client an IQ.
func (c *session) ask(id, typ string, payload []byte) {
	tail := wire.AppendAttr(nil, "from", string(c.own))
	tail = append(wire.AppendAttr(wire.AppendAttr(tail, "id", id), "type", typ), '>')
	c.service.router.Deliver(nil, c.caller, wire.Stanza{Kind: wire.IQ, Tail: append(append(tail, payload...), "</iq>"...)})
}

// idOf makes a part of an id of the session's, which is the client's.
func idOf(sid string) string {
	if len(sid) > 20 {
		sid = sid[:20]
	}
	return "call-" + nickOf(wire.Addr(sid+"@x"))
}

func (c *session) terminate(why *jingle.Reason) {
	c.say(&jingle.Jingle{Action: jingle.SessionTerminate, Reason: why})
}

// end ends the call from our side.
func (c *session) end(why *jingle.Reason) {
	c.mu.Lock()
	closed, more := c.closed, c.standing()
	c.mu.Unlock()
	if !c.leave() {
		return
	}
	for _, u := range more {
		u.Ended(why)
	}
	if !closed {
		c.terminate(why)
	}
}

// leave takes the occupant out of the room, and reports that the call had not ended before.
func (c *session) leave() bool {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return false
	}
	c.ended = true
	c.mu.Unlock()
	defer c.reconsider()
	c.service.leave(c)
	c.service.focus.Forget(c.room, c.seat.Addr())
	c.seat.Leave()
	return true
}

// reasonOf says in Jingle's words why a room does not let somebody in.
func reasonOf(fault *wire.Error) *jingle.Reason {
	why := &jingle.Reason{Condition: jingle.Decline, Text: fault.Text}
	switch fault.Condition {
	case mstanza.ServiceUnavailable, mstanza.ResourceConstraint:
		why.Condition = jingle.Busy
	case mstanza.ItemNotFound, mstanza.Gone:
		why.Condition = jingle.Gone
	case mstanza.InternalServerError, mstanza.RecipientUnavailable, mstanza.UndefinedCondition:
		why.Condition = jingle.GeneralError
	}
	if why.Text == "" {
		switch fault.Condition {
		case mstanza.NotAuthorized:
			why.Text = "the room has a password"
		case mstanza.RegistrationRequired:
			why.Text = "the room is for its members"
		case mstanza.Forbidden:
			why.Text = "you are banned from the room"
		case mstanza.NotAllowed:
			why.Text = "there is no such room, and you may not make it"
		}
	}
	return why
}
