package focus

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"parley/bridge/api"
	"parley/jingle"
	"parley/xmpp/wire"
)

// uplink is a further session in which a client that is brought streams sends one more of its own, as each stream of a conference
// has a session (XEP-0521 §4): a screen beside the camera. It is an endpoint of the bridge for each transport. It is as good as the
// first: the call goes on as long as there is one of them.
type uplink struct {
	number int    // of its sources, from 1
	to     Caller // Feed is not called
	parts  []*part
	own    jingle.Sources
	asked  bool      // the bridge, for the transports
	by     time.Time // when it is to have answered; zero once it has
}

// Uplink takes a further session of a client that has called, in which it only sends. Its sources have the number, which none of its
// other sessions has; 0 are those of the session that it has called with. To is told of this session alone.
func (f *Focus) Uplink(room, occupant wire.Addr, number int, o *Offer, to Caller) {
	f.inRoom(room, func(c *conference, _ time.Time) {
		if k := c.calls[occupant]; k != nil {
			k.raised = append(k.raised, newUplink(number, o, to))
			c.changed = c.changed || c.caller(occupant) != nil
		} else {
			c.emit(tell{to, nil, &jingle.Reason{Condition: jingle.Gone}})
		}
	})
}

// Uplinked takes what a client says in such a session: that it has more candidates, sends otherwise, sends less, or nothing more.
func (f *Focus) Uplinked(room, occupant wire.Addr, number int, j *jingle.Jingle) {
	f.inRoom(room, func(c *conference, _ time.Time) {
		k := c.calls[occupant]
		if k == nil {
			return
		}
		for _, u := range k.raised {
			if u.number == number {
				c.answerUplink(c.caller(occupant), k, u, j)
				return
			}
		}
	})
}

func newUplink(number int, o *Offer, to Caller) *uplink {
	u := &uplink{number: number, to: to}
	for _, p := range o.parts {
		u.parts = append(u.parts, &part{proposal: p})
	}
	return u
}

// lower ends one of the sessions of a call, whose occupant is m, nil as long as it is not there. Without a reason the client is not
// told. Without any session the call has ended.
func (c *conference) lower(m *member, k *call, u *uplink, why *jingle.Reason) {
	k.raised = slices.DeleteFunc(slices.Clone(k.raised), func(o *uplink) bool { return o == u })
	c.lowered(u, why)
	if m == nil {
		return
	}
	c.changed = true
	if len(k.parts) == 0 && len(k.raised) == 0 {
		c.hangUp(m, &jingle.Reason{Condition: jingle.Success})
		return
	}
	c.publish(m)
}

// lowered tells the client that a session has ended, unless there is no reason.
func (c *conference) lowered(u *uplink, why *jingle.Reason) {
	if why != nil {
		c.emit(tell{u.to, nil, why})
	}
}

// begun reports that the session was accepted.
func (u *uplink) begun() bool { return u.asked && u.by.IsZero() }

// raise asks the bridge for the transports of sessions that have none, and ends those for which it took too long.
func (c *conference) raise(m *member, now time.Time) {
	if m.call == nil {
		return
	}
	switch m.stage {
	case waiting, offered, active:
	default:
		return
	}
	for _, u := range m.call.raised {
		switch {
		case !u.asked:
			u.asked, u.by, c.changed = true, now.Add(callTime), true
			for _, p := range u.parts {
				c.sessions++
				p.number = c.sessions
				p.endpoint = m.endpoint + "." + strconv.Itoa(p.number)
				p.hear(m.call.voices)
			}
		case due(u.by, now):
			c.emit(note{"focus.timeout", m.endpoint, "further session"})
			c.lower(m, m.call, u, tooSlow)
			return // settle comes again for the others
		}
	}
}

// uplinkBy is when raise wants to be called again.
func (m *member) uplinkBy() (by time.Time) {
	if m.call == nil {
		return by
	}
	for _, u := range m.call.raised {
		if !u.by.IsZero() && (by.IsZero() || u.by.Before(by)) {
			by = u.by
		}
	}
	return by
}

// uplink finds the transport of a further session, by the endpoint that it is of the bridge.
func (ms members) uplink(endpoint string) (*member, *uplink, *part) {
	for _, m := range ms {
		if m.call == nil || !strings.HasPrefix(endpoint, m.endpoint+".") {
			continue
		}
		for _, u := range m.call.raised {
			for _, p := range u.parts {
				if p.endpoint == endpoint {
					return m, u, p
				}
			}
		}
	}
	return nil, nil, nil
}

// all are the transports of all sessions in which the client sends.
func (k *call) all() []*part {
	list := k.parts[:len(k.parts):len(k.parts)]
	for _, u := range k.raised {
		if u.asked {
			list = append(list, u.parts...)
		}
	}
	return list
}

// uplinks are what is wished of the bridge for a member's further sessions.
func (m *member) uplinks() (list []api.Endpoint) {
	for _, u := range m.call.raised {
		if !u.asked {
			continue
		}
		for _, p := range u.parts {
			e := api.Endpoint{ID: p.endpoint, Member: m.endpoint, Session: p.number, Answers: true, Receive: p.receive, Sources: m.found(p, u.number),
				MuteAudio: m.audio.on, MuteVideo: m.video.on}
			e.Receive.Chosen = true // nothing
			remote := p.remote
			e.Remote = &remote
			list = append(list, e)
		}
	}
	return list
}

// raised takes the bridge's side of a transport, and accepts the session when all of them are there.
func (c *conference) raised(m *member, u *uplink, p *part, t *api.Transport) {
	if p.number != t.Session || p.transport != nil {
		return
	}
	p.transport = t
	for _, p := range u.parts {
		if p.transport == nil {
			return
		}
	}
	u.by = time.Time{}
	c.publish(m)
	j := c.propose(u.parts, voices{}, m.call.client.Other(), "room")
	c.emit(tell{u.to, &j, nil})
}

// answerUplink takes what the client says in the session. M is nil as long as its occupant is not there.
func (c *conference) answerUplink(m *member, k *call, u *uplink, j *jingle.Jingle) {
	switch j.Action {
	case jingle.TransportInfo:
		c.tricklePart(u.parts, j.Contents)
		c.changed = c.changed || m != nil
	case jingle.ContentModify:
		for _, x := range j.Contents {
			direct(u.parts, x.Name, x.Senders)
		}
		if m != nil {
			c.publish(m)
		}
	case jingle.ContentRemove:
		var names []string
		for _, x := range j.Contents {
			names = append(names, x.Name)
		}
		if u.parts = without(u.parts, names); len(u.parts) == 0 {
			c.lower(m, k, u, &jingle.Reason{Condition: jingle.Success})
		} else if m != nil {
			c.changed = true
			c.publish(m)
		}
	case jingle.SessionTerminate:
		c.lower(m, k, u, nil)
	}
}
