package apprtc

import (
	"net/netip"
	"slices"
	"time"

	"github.com/coder/websocket"

	"parley/internal/limit"
	"parley/internal/token"
	"parley/jingle/seat"

	mstanza "mellium.im/xmpp/stanza"
)

// loopbackID is the second member of a room in which somebody tries out the connection to the server.
const loopbackID = "LOOPBACK_CLIENT_ID"

// waitingMost is how many messages of a member wait for the other.
const waitingMost = 1024

// The results of requests.
const (
	resultSuccess = "SUCCESS"
	resultFull    = "FULL"
	resultRoom    = "UNKNOWN_ROOM"
	resultClient  = "UNKNOWN_CLIENT"
	resultError   = "ERROR"
)

// member is a client in a room. The room's goroutine has it, and nobody else.
type member struct {
	room     *room
	id       string
	source   netip.Addr
	joined   bool // by /join; else it has Collider's interface alone, and its messages are nobody else's matter
	native   bool // it cannot become who calls once it was called, or the other way round
	loopback bool
	first    bool // who calls: the first, and who remains
	seat     *occupant
	ticket   *ticket

	asked  bool // the room was asked to let it in
	inside bool // it has
	left   bool // it has no place any more, and may still say goodbye
	gone   bool

	conn    *conn
	held    []string // what the server says until it is connected
	waiting []string // what it says until the other is
	bytes   int      // of that
	peer    *member  // with whom it is a pair; who has left keeps it
	said    bool     // something since it began, so that it is ready to hear
	parted  bool     // it has said bye
	answer  func(joined)
	timer   *time.Timer

	bridging
}

// joining is what a member comes with.
type joining struct {
	id       string // "" for a new one
	source   netip.Addr
	claims   *token.Claims
	joined   bool
	native   bool
	loopback bool
	name     string
	conn     *conn        // that registers it
	answer   func(joined) // of /join, called once
}

// joined is the answer to /join.
type joined struct {
	result   string
	client   string
	key      string // of its credentials
	first    bool
	messages []string
}

// join gives somebody a place, and reports that it did; what becomes of it is answered later.
func (r *room) join(q joining) bool {
	s := r.service
	refuse := func(result string) bool {
		if q.answer != nil {
			q.answer(joined{result: result})
		}
		return false
	}
	if r.fullFor(q.joined) {
		s.rec.Debug("apprtc.full", q.source.String(), "room", string(r.addr))
		return refuse(resultFull)
	}
	if !s.members.Open(q.source, time.Now()) {
		s.rec.Reject("limit.conn", q.source.String(), "room", string(r.addr))
		return refuse(resultError)
	}
	m := &member{room: r, id: q.id, source: q.source, joined: q.joined, native: q.native, answer: q.answer, conn: q.conn}
	m.calls = limit.NewBucket(callRate)
	for m.id == "" {
		if id := newClient(); r.members[id] == nil {
			m.id = id
		}
	}
	s.take(r)
	m.ticket = s.newTicket(m.source)
	patience := s.cfg.RegisterTimeout
	if !m.joined {
		patience = s.cfg.SeatTimeout
	}
	m.timer = time.AfterFunc(patience, func() { r.Post(func() { r.late(m) }) })
	if m.conn != nil {
		m.timer.Stop()
	}
	alone := len(r.order) == 0
	r.members[m.id] = m
	r.order = append(r.order, m)
	m.seat = newOccupant(m, q.name, q.claims)
	r.admit()
	if q.loopback && alone && r.members[loopbackID] == nil {
		s.take(r)
		l := &member{room: r, id: loopbackID, source: q.source, joined: true, loopback: true, inside: true, asked: true, peer: m}
		l.timer = time.AfterFunc(s.cfg.RegisterTimeout, func() { r.Post(func() { r.late(l) }) })
		r.members[l.id] = l
		r.order = append(r.order, l)
		m.peer = l
	}
	return true
}

// take holds a room that is held.
func (s *Service) take(r *room) {
	s.mu.Lock()
	r.users++
	s.mu.Unlock()
}

// admit has members enter, one at a time: who comes first makes the room, which is locked until then.
func (r *room) admit() {
	for _, m := range r.order {
		if m.asked && !m.inside {
			return
		}
	}
	for _, m := range r.order {
		if !m.asked {
			m.asked = true
			m.seat.Join()
			return
		}
	}
}

// entered makes a member one of a pair, or has it brought to the bridge.
func (r *room) entered(m *member) {
	if m.left {
		return
	}
	if m.inside {
		if m.leg != nil {
			m.leg.replace()
		}
		return
	}
	m.inside = true
	r.settle()
	if !r.mixed {
		r.pair(m)
	}
	r.admit()
}

// pair finds the other for a member.
func (r *room) pair(m *member) {
	for _, o := range r.order {
		if o != m && o.inside && o.peer == nil && m.peer == nil {
			m.peer, o.peer = o, m
		}
	}
	a := joined{result: resultSuccess, client: m.id, first: m.peer == nil || m.peer.loopback}
	m.first = a.first
	if o := m.peer; o != nil && m.answer != nil {
		a.messages, o.waiting, o.bytes = o.waiting, nil, 0
	}
	m.reply(a)
	m.connected()
}

// reply answers the request by which a member has joined.
func (m *member) reply(a joined) {
	if m.answer != nil {
		a.key = m.ticket.name()
		m.answer(a)
		m.answer = nil
	}
}

// connected hands a member what waits for it, and the other what it has said meanwhile.
func (m *member) connected() {
	for _, x := range []*member{m, m.peer} {
		if x == nil || x.conn == nil || x.gone {
			continue
		}
		for _, text := range x.held {
			x.conn.tell(text)
		}
		x.held = nil
		if o := x.peer; o != nil && o.peer == x && x.inside {
			for _, text := range o.waiting {
				x.conn.tell(text)
			}
			o.waiting, o.bytes = nil, 0
		}
	}
}

// refused takes a member back that the room has not let in.
func (r *room) refused(m *member, why seat.Exit) {
	if m.left {
		return
	}
	result := resultError
	if f := why.Fault; f != nil && (f.Condition == mstanza.ServiceUnavailable || f.Condition == mstanza.ResourceConstraint) {
		result = resultFull
		r.service.filled(r.addr)
	}
	r.service.rec.Debug("apprtc.refused", m.source.String(), "room", string(r.addr), "result", result)
	if m.inside { // it came back to the bridge in vain
		m.tell(bye)
	} else if m.answer != nil {
		m.answer(joined{result: result})
		m.answer = nil
	} else if m.conn != nil {
		m.conn.fail("Max room capacity reached", false)
	}
	r.drop(m)
}

// tell says something to a member, as soon as it is connected.
func (m *member) tell(text string) {
	switch {
	case m.conn != nil:
		m.conn.tell(text)
	case len(m.held) < waitingMost:
		m.held = append(m.held, text)
	}
}

// fault is why a message is not taken, in the protocol's own words.
type fault string

func (f fault) Error() string { return string(f) }

const (
	errQueue  = fault("Too many messages queued for the client")
	errGone   = fault("Invalid client")
	errSignal = fault("no message of AppRTC's")
	errOften  = fault("too many offers")
)

// said takes what a client says over a connection. One that is no more its own is not listened to.
func (r *room) said(client string, c *conn, text string) {
	if m := r.members[client]; m != nil && m.conn == c {
		r.say(m, text)
	}
}

// say gives what a member says to the other, or to the bridge. A bye goes to whom its sender was paired with, also when it has left
// and somebody else has its place.
func (r *room) say(m *member, text string) error {
	typ := typeOf(text)
	m.parted = m.parted || typ == typeBye
	if m.moved && !m.left {
		return r.signal(m, text)
	}
	m.said = true
	to := m.peer
	if m.left && (to == nil || to.gone || to.left) {
		return errGone
	}
	if typ == typeBye && to != nil {
		to.waiting, to.bytes = nil, 0 // it begins anew
		to.said = false
	}
	switch {
	case to == nil, to.conn == nil && !m.left, !m.inside:
		return m.wait(text)
	case to.moved: // the sender has left before there was a bridge
		return nil
	}
	to.tell(text)
	return nil
}

// wait keeps what a member says for later.
func (m *member) wait(text string) error {
	if len(m.waiting) >= waitingMost || m.bytes+len(text) > queueBytes {
		m.room.service.rec.Reject("limit.queue", m.source.String(), "room", string(m.room.addr))
		return errQueue
	}
	m.waiting = append(m.waiting, text)
	m.bytes += len(text)
	return nil
}

// leave takes a member's place. It may still say goodbye to whom it was paired with.
func (r *room) leave(m *member) {
	if m.left {
		return
	}
	m.left = true
	r.order = slices.DeleteFunc(r.order, func(o *member) bool { return o == m })
	m.waiting, m.bytes = nil, 0
	if o := m.peer; o != nil && o.peer == m {
		o.peer, o.first = nil, true
		o.waiting, o.bytes = nil, 0
		if o.loopback {
			r.drop(o)
		}
	}
	m.unbridge()
	if m.seat != nil && m.asked {
		m.seat.Leave()
	}
	if m.answer != nil {
		m.answer(joined{result: resultError})
		m.answer = nil
	}
	if m.ticket != nil {
		r.service.endTicket(m.ticket)
	}
	if m.conn == nil {
		m.timer.Reset(r.service.cfg.SeatTimeout)
	}
	if len(r.order) == 0 {
		r.mixed = false
		clear(r.strangers)
	}
	r.admit() // somebody may have waited for it
}

// drop forgets a member. The other is told, unless the member has done so.
func (r *room) drop(m *member) {
	if m.gone {
		return
	}
	r.leave(m)
	m.gone = true
	m.timer.Stop()
	if r.members[m.id] == m {
		delete(r.members, m.id)
	}
	if o := m.peer; o != nil && !o.left && !o.gone && m.joined && o.joined && !o.loopback && !m.parted && !r.mixed {
		o.waiting, o.bytes, o.said = nil, 0, false
		o.tell(bye)
	}
	if c := m.conn; c != nil {
		m.conn = nil
		c.service.hall.Go(func() { c.Close(websocket.StatusNormalClosure, "") })
	}
	if !m.loopback {
		r.service.members.Close(m.source)
	}
	r.service.release(r)
}

// lost notes that a member's connection has ended: it keeps its place for a while.
func (r *room) lost(c *conn) {
	m := r.members[c.client]
	if m == nil || m.conn != c {
		return
	}
	m.conn = nil
	if m.left {
		r.drop(m)
		return
	}
	m.timer.Reset(r.service.cfg.SeatTimeout)
}

// late takes out who has not connected in time.
func (r *room) late(m *member) {
	if m.gone || m.conn != nil {
		return
	}
	r.service.rec.Debug("apprtc.silent", m.source.String(), "room", string(r.addr))
	r.drop(m)
}

// expelled takes out whom the room has sent out.
func (r *room) expelled(m *member) {
	if m.left {
		return
	}
	if m.joined {
		m.tell(bye)
	}
	r.drop(m)
}

// register binds a connection to a member, which is made if it has none: that is all that Collider's interface knows. It reports
// that the connection goes on.
func (s *Service) register(c *conn, f frame) bool {
	if c.room != nil {
		return c.fail("Duplicated register request", false)
	}
	if f.Room == "" || f.Client == "" {
		return c.fail("Invalid register request: missing 'clientid' or 'roomid'", false)
	}
	addr, ok := s.address(f.Room)
	if !ok || !names.MatchString(f.Client) {
		s.rec.Reject("json.reject", c.Source.String(), "cmd", f.Cmd)
		return c.fail("Invalid register request: 'clientid' or 'roomid' is no name", false)
	}
	r := s.acquire(addr, true)
	if r == nil {
		return c.fail("the server stops", false)
	}
	known := false
	r.Do(func() { known = r.members[f.Client] != nil })
	q := joining{id: f.Client, source: c.Source, conn: c}
	if !known {
		if q.claims, ok = s.check(c.token, addr, c.Source); !ok {
			s.release(r)
			return c.fail("Invalid register request: unknown 'clientid', and no token that allows the room", false)
		}
	}
	fault := ""
	c.client = f.Client
	r.Do(func() { fault = r.register(q, known) })
	if fault != "" {
		s.release(r)
		return c.fail(fault, false)
	}
	c.room = r
	s.registered.Add(1)
	s.total.Add(1)
	return true
}

// register returns what is wrong.
func (r *room) register(q joining, known bool) string {
	m := r.members[q.id]
	switch {
	case m == nil && known: // it has gone meanwhile, and nobody has looked at a token
		return "Client not registered"
	case m == nil:
		if !r.join(q) {
			return "Max room capacity reached"
		}
		return ""
	case m.conn != nil:
		return "Duplicated registration"
	}
	m.conn = q.conn
	m.timer.Stop()
	m.connected()
	return ""
}
