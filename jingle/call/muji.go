package call

import (
	"parley/jingle"
	"parley/jingle/focus"
	"parley/xmpp/route"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// Door is the route.Service of the domain of the focus's address: there clients that take part in the Muji conference of a room
// (XEP-0272) talk to the focus, by whose session they meet those who do not speak Muji. All rooms have the one address, so that
// sessions are told apart by their ids, and say themselves which room they are of.
type Door struct{ *Service }

// Door returns the door at the focus's address.
func (s *Service) Door() Door { return Door{s} }

// errStranger answers who is no participant of the conference that it names (XEP-0166 §6.3.2).
var errStranger = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.ServiceUnavailable, Text: "you take no part in a Muji conference of that room, or the focus does not"}

// mujis are the sessions with participants of Muji conferences. The service's mutex guards them.
type mujis struct {
	bySID map[wire.Addr]map[string]*session // by caller and session id
	doubt map[wire.Addr]map[string][]func() // what waits until it is known whether somebody takes part, the same way
}

// doubtsMost bounds of how many sessions of one client that is not known at a time.
const doubtsMost = 8

// Handle implements route.Service.
func (d Door) Handle(b *wire.Batch, from route.Sender, to wire.Addr, p *wire.Packet) {
	switch typ := string(p.Type()); {
	case p.Kind == wire.Presence:
	case p.Kind != wire.IQ || to != wire.Addr(d.cfg.Focus):
		route.Refuse(b, from, p, to, errUnavailable)
	case typ == "result", typ == "error":
		for _, c := range d.withClient(from.Addr()) {
			c.answered(string(p.ID()), p)
		}
	case typ == "get" && p.ChildIs("query", nsInfo):
		from.Deliver(b, "", p.Result(to, d.describe(p.Elem().First().AttrString("node"))))
	case typ == "get" && p.ChildIs("ping", nsPing):
		from.Deliver(b, "", p.Result(to, nil))
	case typ == "set" && p.ChildIs("jingle", jingle.NSJingle):
		d.jingle(b, from, to, p)
	default:
		route.Refuse(b, from, p, to, errUnavailable)
	}
}

// describe is what disco#info says of the focus: clients look at it before they begin a session.
func (d Door) describe(node string) []byte {
	out := []byte("<query xmlns='" + nsInfo + "'")
	if node != "" {
		out = wire.AppendAttr(out, "node", node)
	}
	out = append(out, "><identity category='client' type='bot' name='"+title+"'/>"...)
	for _, f := range [...]string{nsInfo, nsPing, jingle.NSJingle, jingle.NSRTP, "urn:xmpp:jingle:apps:rtp:audio", "urn:xmpp:jingle:apps:rtp:video",
		jingle.NSDTLS, jingle.NSGrouping, jingle.NSFeedback, jingle.NSHeaderExt, jingle.NSSources, jingle.NSICE, jingle.NSMuji} {
		out = append(wire.AppendAttr(append(out, "<feature"...), "var", f), "/>"...)
	}
	return append(out, "</query>"...)
}

// jingle takes a Jingle element and answers it.
func (d Door) jingle(b *wire.Batch, from route.Sender, to wire.Addr, p *wire.Packet) {
	j, err := jingle.Parse(p.Elem().Child("jingle", jingle.NSJingle), jingle.DefaultLimits)
	if err != nil {
		d.rec.Reject("sdp.reject", from.Source().String(), "jid", string(from.Addr()), "err", err.Error())
		route.Refuse(b, from, p, to, faultOf(err))
		return
	}
	p = p.Clone()
	if j.Action != jingle.SessionInitiate {
		d.when(from.Addr(), j.SID, func() { d.take(from, to, p, j) })
		return
	}
	var room wire.Addr
	if j.Muji != nil {
		room, _ = wire.ParseAddr(j.Muji.Room)
	}
	switch {
	case room == "" || !room.IsBare() || room.Local() == "" || room.Domain() != d.cfg.Rooms:
		d.refuse(from, to, p, errStranger)
		return
	case !d.wonders(from.Addr(), j.SID):
		d.refuse(from, to, p, jingle.ErrOutOfOrder)
		return
	}
	d.focus.Participant(room, from.Addr(), func(ok bool) {
		if ok {
			from.Deliver(nil, "", p.Result(to, nil))
			d.meet(from, to, room, j)
		} else {
			d.refuse(from, to, p, errStranger)
		}
		d.decided(from.Addr(), j.SID)
	})
}

func (d Door) refuse(from route.Sender, to wire.Addr, p *wire.Packet, why *wire.Error) {
	d.rec.Reject("call.reject", from.Source().String(), "jid", string(from.Addr()), "text", why.Text)
	route.Refuse(nil, from, p, to, why)
}

// take does what a participant says in a session.
func (d Door) take(from route.Sender, to wire.Addr, p *wire.Packet, j *jingle.Jingle) {
	d.mu.Lock()
	c := d.mujis.bySID[from.Addr()][j.SID]
	d.mu.Unlock()
	why := jingle.ErrUnknownSession
	if c != nil {
		why = c.take(j, func() { from.Deliver(nil, "", p.Result(to, nil)) })
	}
	if why != nil {
		route.Refuse(nil, from, p, to, why)
	}
}

// wonders notes that a client wants to begin a session, and reports that it may.
func (s *Service) wonders(caller wire.Addr, sid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.mujis.doubt[caller]
	if _, twice := list[sid]; twice || s.mujis.bySID[caller][sid] != nil || len(list) >= doubtsMost {
		return false
	}
	if list == nil {
		list = make(map[string][]func())
		s.mujis.doubt[caller] = list
	}
	list[sid] = nil
	return true
}

// when does something when it is known whether a session of a client has begun. Clients send candidates without waiting for that.
func (s *Service) when(caller wire.Addr, sid string, do func()) {
	s.mu.Lock()
	waits, doubtful := s.mujis.doubt[caller][sid]
	if doubtful && len(waits) < earlyMost {
		s.mujis.doubt[caller][sid] = append(waits, do)
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	do()
}

// decided does what has waited.
func (s *Service) decided(caller wire.Addr, sid string) {
	for {
		s.mu.Lock()
		list := s.mujis.doubt[caller]
		waits := list[sid]
		if len(waits) == 0 {
			if delete(list, sid); len(list) == 0 {
				delete(s.mujis.doubt, caller)
			}
			s.mu.Unlock()
			return
		}
		list[sid] = nil
		s.mu.Unlock()
		for _, do := range waits {
			do()
		}
	}
}

// meet begins a session that a participant has offered.
func (s *Service) meet(from route.Sender, to, room wire.Addr, j *jingle.Jingle) {
	c := &session{service: s, caller: from.Addr(), own: to, room: room, sid: j.SID, meets: true, accepts: make(map[string]bool)}
	offer, why := focus.ReadOffer(j)
	if why != nil {
		s.rec.Reject("call.reject", from.Source().String(), "jid", string(c.caller), "room", string(room), "text", why.Text)
		c.terminate(why)
		return
	}
	offer.Muji = &focus.MujiSession{Peer: c.caller, SID: c.sid}
	s.enroll(c, from, offer)
}

// Begin implements focus.Muji.
func (s *Service) Begin(room wire.Addr, o *focus.Offer) {
	from, ok := s.router.Find(o.Muji.Peer).(route.Sender)
	if !ok {
		s.rec.Count("call.reject")
		return // it has left, and the room is about to say so
	}
	c := &session{service: s, caller: o.Muji.Peer, own: wire.Addr(s.cfg.Focus), room: room, sid: o.Muji.SID, ours: true, meets: true, accepts: make(map[string]bool)}
	s.enroll(c, from, o)
}

// enroll brings the session's occupant into the room. One that the same client has had with the room ends.
func (s *Service) enroll(c *session, from route.Sender, offer *focus.Offer) {
	old, ok := s.enter(c)
	if !ok {
		s.rec.Reject("limit.calls", from.Source().String(), "jid", string(c.caller), "room", string(c.room))
		if !c.ours { // else it knows nothing of it
			c.terminate(&jingle.Reason{Condition: jingle.Busy, Text: "too many calls"})
		}
		return
	}
	if old != nil {
		old.end(&jingle.Reason{Condition: jingle.Success, Text: "there is another session"})
	}
	s.enact(c, from, offer, "")
}

// Broke implements focus.Muji.
func (s *Service) Broke(m focus.MujiSession) {
	c := &session{service: s, caller: m.Peer, own: wire.Addr(s.cfg.Focus), sid: m.SID, ours: m.Ours}
	c.terminate(&jingle.Reason{Condition: jingle.ConnectivityError, Text: "the server has begun anew"})
}

// enlist and strike keep the sessions by their ids. The caller holds mu.
func (m *mujis) enlist(c *session) {
	if m.bySID[c.caller] == nil {
		m.bySID[c.caller] = make(map[string]*session)
	}
	m.bySID[c.caller][c.sid] = c
}

func (m *mujis) strike(c *session) {
	if list := m.bySID[c.caller]; list[c.sid] == c {
		if delete(list, c.sid); len(list) == 0 {
			delete(m.bySID, c.caller)
		}
	}
}

// withClient are a client's sessions with the focus.
func (s *Service) withClient(caller wire.Addr) (list []*session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.mujis.bySID[caller] {
		list = append(list, c)
	}
	return list
}
