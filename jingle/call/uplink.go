package call

import (
	"parley/jingle"
	"parley/jingle/focus"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// uplinksMost is in how many sessions a client sends besides its first: a screen, and another camera or two.
const uplinksMost = 3

// uplinks are the sessions in which a client sends besides the one that it has called with: in a conference each of its streams has a
// session (XEP-0521 §4). Its session guards them.
type uplinks struct {
	more   [uplinksMost]*uplink // nil: free; sources of the first have the number 1
	raises map[string]*uplink   // by the ids of what was accepted and not acknowledged
}

// uplink is one of them. The call goes on as long as the client sends in one session.
type uplink struct {
	of     *session
	sid    string
	number int
	offer  *focus.Offer
	again  func()            // the client begins the session as a call
	asked  bool              // the focus is told of it, ...
	raised bool              // ... and has it
	early  []jingle.Content  // what waits for that
	media  map[string]string // of the contents
}

// has reports that the client has a session of an id with the room.
func (c *session) has(sid string) bool {
	if c == nil {
		return false
	}
	u := c.uplink(sid)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sid == sid || c.brought[sid] != nil || u != nil
}

// uplink is that of a session id.
func (c *session) uplink(sid string) *uplink {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, u := range c.more {
		if u != nil && u.sid == sid {
			return u
		}
	}
	return nil
}

// standing are those that there are. The caller holds mu.
func (c *session) standing() (list []*uplink) {
	for _, u := range c.more {
		if u != nil {
			list = append(list, u)
		}
	}
	return list
}

// add adds a session in which the client only sends, and reports that it is one. As long as the client has not said whether it knows
// such conferences it waits; if it does not, or the call ends before, the session is another call.
func (c *session) add(sid string, offer *focus.Offer, again func()) bool {
	if c == nil || !offer.OneWay {
		return false
	}
	c.mu.Lock()
	u := &uplink{of: c, sid: sid, offer: offer, again: again, media: offer.Contents()}
	for n := range c.more {
		if c.more[n] == nil && u.number == 0 {
			u.number = n + 1
		}
	}
	now := c.every && c.begun
	if u.number == 0 || c.ended || !c.every && c.question == "" {
		c.mu.Unlock()
		return false
	}
	c.more[u.number-1] = u
	c.mu.Unlock()
	if now {
		u.raise()
	}
	return true
}

// reconsider has the client begin as calls what was waiting for its answer.
func (c *session) reconsider() {
	c.mu.Lock()
	var list []*uplink
	for n, u := range c.more {
		if u != nil && !u.asked {
			list, c.more[n] = append(list, u), nil
		}
	}
	c.mu.Unlock()
	if now := c.service.of(c.caller, c.room); now != nil && now != c {
		return // it has begun another call meanwhile
	}
	for _, u := range list {
		u.again()
	}
}

// close ends the first session alone, if there are others: it returns the names of its contents then.
func (c *session) close() (names []string, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, u := range c.more {
		more = more || u != nil && u.asked
	}
	if more && c.begun {
		c.closed = true
		for name := range c.media {
			names = append(names, name)
		}
	}
	return names, c.closed
}

// raise begins the session: the room is shown its sources before they are there.
func (u *uplink) raise() {
	c := u.of
	c.mu.Lock()
	if u.asked || c.ended || c.more[u.number-1] != u {
		c.mu.Unlock()
		return
	}
	u.asked = true
	c.mu.Unlock()
	c.seat.adds(u.number, u.offer)
	c.service.focus.Uplink(c.room, c.seat.Addr(), u.number, u.offer, u)
	c.mu.Lock()
	early, gone := u.early, c.more[u.number-1] != u
	u.raised, u.early = true, nil
	c.mu.Unlock()
	switch {
	case gone:
		u.tell(&jingle.Jingle{Action: jingle.SessionTerminate})
	case len(early) > 0:
		u.tell(&jingle.Jingle{Action: jingle.TransportInfo, Contents: early})
	}
}

// tell tells the focus what the client says.
func (u *uplink) tell(j *jingle.Jingle) {
	u.of.service.focus.Uplinked(u.of.room, u.of.seat.Addr(), u.number, j)
}

// take does what the client says in the session. Result is what answers it, before anything that follows from it.
func (u *uplink) take(j *jingle.Jingle, result func()) *wire.Error {
	c := u.of
	c.mu.Lock()
	raised := u.raised
	if j.Action == jingle.TransportInfo && !raised && len(u.early) < earlyMost {
		u.early = append(u.early, j.Contents...)
	}
	c.mu.Unlock()
	switch j.Action {
	case jingle.TransportInfo:
		result()
		if raised {
			u.tell(j)
		}
	case jingle.SessionTerminate:
		result()
		if u.remove() {
			u.lower(raised)
		}
	case jingle.SessionInfo:
		if j.Info == nil && len(j.Extensions) > 0 {
			return jingle.ErrUnsupportedInfo
		}
		result()
		u.informed(j.Info)
	case jingle.ContentAdd:
		result()
		u.say(&jingle.Jingle{Action: jingle.ContentReject, Contents: bare(j.Contents), Reason: &jingle.Reason{Condition: jingle.Busy, Text: "each stream has a session"}})
	case jingle.ContentModify, jingle.ContentRemove:
		if !raised {
			return jingle.ErrOutOfOrder
		}
		result()
		u.tell(j)
	case jingle.DescriptionInfo, jingle.SecurityInfo:
		result() // informational
	case jingle.SessionAccept:
		return jingle.ErrOutOfOrder
	default:
		return &wire.Error{Type: mstanza.Cancel, Condition: mstanza.FeatureNotImplemented}
	}
	return nil
}

// informed takes what the client says of what it sends (XEP-0167 §8).
func (u *uplink) informed(i *jingle.Info) {
	if i == nil {
		return
	}
	switch media, ok := u.media[i.Name], u.media[i.Name] != ""; i.Kind {
	case jingle.Mute, jingle.Unmute:
		if ok || i.Name == "" {
			u.of.seat.muted(u.number, media, i.Kind == jingle.Mute)
		}
	case jingle.Hold, jingle.Unhold:
		u.of.seat.muted(u.number, "", i.Kind == jingle.Hold)
	}
}

// remove forgets the session, and reports that there was one.
func (u *uplink) remove() bool {
	c := u.of
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.more[u.number-1] != u {
		return false
	}
	c.more[u.number-1] = nil
	for id, o := range c.raises {
		if o == u {
			delete(c.raises, id)
		}
	}
	return true
}

// lower takes away what the room and the focus have of a session that the client has ended.
func (u *uplink) lower(raised bool) {
	if u.of.seat == nil {
		return
	}
	u.of.seat.removes(u.number)
	if raised { // else raise will do it
		u.tell(&jingle.Jingle{Action: jingle.SessionTerminate})
	}
}

// say sends a Jingle element to the client.
func (u *uplink) say(j *jingle.Jingle) (id string) {
	c := u.of
	j.SID, j.Initiator = u.sid, string(c.caller)
	id = c.id()
	c.ask(id, "set", j.Append(nil))
	return id
}

// Accepted implements focus.Caller.
func (u *uplink) Accepted(j *jingle.Jingle) {
	c := u.of
	j.Action, j.Responder, j.Conference = jingle.SessionAccept, string(c.own), &jingle.Conference{Focus: true}
	j.SID, j.Initiator = u.sid, string(c.caller)
	id := c.id()
	c.mu.Lock()
	if c.more[u.number-1] != u {
		c.mu.Unlock()
		return // the client has ended it
	}
	if c.raises == nil {
		c.raises = make(map[string]*uplink)
	}
	c.raises[id] = u
	c.mu.Unlock()
	c.ask(id, "set", j.Append(nil))
}

// Ended implements focus.Caller.
func (u *uplink) Ended(why *jingle.Reason) {
	if u.remove() {
		u.of.seat.removes(u.number)
		u.say(&jingle.Jingle{Action: jingle.SessionTerminate, Reason: why})
	}
}

// Feed implements focus.Caller; nothing is brought in a session in which the client sends.
func (u *uplink) Feed(*jingle.Jingle) {}

// answeredUplink takes the answer to what was accepted, and reports that it is one. What the client cannot take it has not.
func (c *session) answeredUplink(id string, failed bool) bool {
	c.mu.Lock()
	u := c.raises[id]
	delete(c.raises, id)
	c.mu.Unlock()
	if u == nil {
		return false
	}
	if failed && u.remove() {
		u.lower(true)
	}
	return true
}
