package call

import (
	"maps"

	"parley/jingle"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// streams are the sessions in which a client is brought the streams of the others, one in each (XEP-0521 §6). Its session guards
// them.
type streams struct {
	question string // id of the question whether the client wants that; "": none is open
	every    bool   // it does
	muji     string // the chat room to which it has said that its session belongs (XEP-0272)
	brought  map[string]*brought
	begins   map[string]string // sid by the id of a session-initiate that was not acknowledged
}

// brought is one of them.
type brought struct{ accepted bool }

// wonder asks a client that only sends whether it knows conferences in which each stream has a session of its own: to others
// further sessions would be calls.
func (c *session) wonder(j *jingle.Jingle) {
	id := c.id()
	c.mu.Lock()
	if c.question = id; j.Muji != nil && j.Muji.Room == string(c.room) { // it is none of another one's
		c.muji = j.Muji.Room
	}
	c.mu.Unlock()
	c.ask(id, "get", []byte("<query xmlns='"+nsInfo+"'/>"))
}

// answeredStream takes the answer to the question, or to a session-initiate of ours.
func (c *session) answeredStream(id string, p *wire.Packet) {
	failed := string(p.Type()) == "error"
	c.mu.Lock()
	asked := id != "" && id == c.question
	if asked {
		c.question = ""
	}
	sid, begins := c.begins[id]
	delete(c.begins, id)
	if begins && failed {
		delete(c.brought, sid)
	}
	every := asked && !failed && says(p, jingle.NSConference)
	c.every = c.every || every
	begun := c.begun
	c.mu.Unlock()
	switch {
	case every && begun:
		c.open()
	case asked && !every:
		c.reconsider()
	case begins && failed:
		c.service.focus.Fed(c.room, c.seat.Addr(), &jingle.Jingle{Action: jingle.SessionTerminate, SID: sid})
	}
}

// open has the client brought what others send.
func (c *session) open() {
	c.service.focus.Every(c.room, c.seat.Addr(), c.muji)
	c.seat.watches()
	c.mu.Lock()
	more := c.standing()
	c.mu.Unlock()
	for _, u := range more {
		u.raise()
	}
}

// attends reports that the client is brought streams.
func (c *session) attends() bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.every && !c.ended
}

// says reports that disco#info names a feature.
func says(p *wire.Packet, feature string) bool {
	for it := p.Elem().Child("query", nsInfo).Children(); it.Next(); {
		if it.Elem.Is("feature", nsInfo) && it.Elem.AttrString("var") == feature {
			return true
		}
	}
	return false
}

// Feed implements focus.Caller.
func (c *session) Feed(j *jingle.Jingle) {
	id := c.id()
	c.mu.Lock()
	switch j.Action {
	case jingle.SessionInitiate:
		if c.brought == nil {
			c.brought, c.begins = make(map[string]*brought), make(map[string]string)
		}
		c.brought[j.SID], c.begins[id] = new(brought), j.SID
	case jingle.SessionTerminate:
		c.forget(j.SID)
	}
	c.mu.Unlock()
	j.Initiator = string(c.own)
	c.ask(id, "set", j.Append(nil))
}

// forget forgets a session that has ended.
func (s *streams) forget(sid string) {
	delete(s.brought, sid)
	maps.DeleteFunc(s.begins, func(_, begun string) bool { return begun == sid })
}

// takeStream does what the client says in a session that brings a stream. Result is what answers it, before anything that follows
// from it.
func (c *session) takeStream(j *jingle.Jingle, result func()) *wire.Error {
	c.mu.Lock()
	s := c.brought[j.SID]
	if s == nil {
		c.mu.Unlock()
		return jingle.ErrUnknownSession
	}
	switch j.Action {
	case jingle.SessionAccept:
		if s.accepted {
			c.mu.Unlock()
			return jingle.ErrOutOfOrder
		}
		s.accepted = true
	case jingle.SessionTerminate:
		c.forget(j.SID)
	}
	c.mu.Unlock()
	switch j.Action {
	case jingle.SessionAccept, jingle.SessionTerminate, jingle.TransportInfo, jingle.ContentRemove:
		result()
		c.service.focus.Fed(c.room, c.seat.Addr(), j)
	case jingle.SessionInfo:
		if j.Info == nil && len(j.Extensions) > 0 {
			return jingle.ErrUnsupportedInfo
		}
		result() // that it rings, or shows the stream
	case jingle.DescriptionInfo, jingle.SecurityInfo:
		result()
	default:
		return &wire.Error{Type: mstanza.Cancel, Condition: mstanza.FeatureNotImplemented}
	}
	return nil
}
