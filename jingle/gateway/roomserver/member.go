package roomserver

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"parley/internal/token"
	"parley/turn"
)

// The devices of a member.
const (
	deviceCamera = iota
	deviceMicrophone
	deviceScreen
	deviceSound
	devices
)

// member is a client in a room. The room's goroutine has it, and nobody else.
type member struct {
	room             *room
	conn             *conn // the last that it came by; it may be closed
	at               *place
	seat             *occupant
	asked            bool // the room was asked to let it in
	inside           bool // it has
	gone             bool
	joining          *Message // what it is answered when it is in
	roomID, roomName string   // as it writes them
	appID, uid       string
	uname            string
	sessionID        string
	userType         int
	talkType         int
	devices          [devices]bool
	form             form   // of its candidates
	region           string // as far as its address says
	subs             map[*member]*subSession
	guestSubs        map[string]string // ids of sub-sessions to people of other protocols, by uid

	bridgedAt time.Time // when it was asked for last
	line      *line     // to the bridge; nil: none
	views     []*view
	described int // offers of the bridge's
	relay     *grant
	redial    *time.Timer // until it tries to have one again
	patience  time.Duration
	timedOut  bool

	dies  time.Time // without a keepLive until then
	timer *time.Timer

	claims  *token.Claims // nil: without tokens
	tokens  []digest      // that it has come with, the last two
	expires *time.Timer   // what is next: the prompt or the end
}

// subSession is what a member has with another one, one in each direction.
type subSession struct {
	id        string
	grant     *grant // both directions have the same
	offered   bool
	described bool     // the other has its offer or answer, and takes candidates
	held      [][]byte // candidates that came before that
}

// heldMost is how many candidates wait for the offer or answer that they belong to.
const heldMost = 64

// join lets a client into a room, or back to its place.
func (s *Service) join(c *conn, q *Message) {
	if q.RoomID == "" {
		q.RoomID = newID(time.Now())
	}
	addr, err := s.address(q.RoomID)
	if err != nil {
		s.refuse(c, q, fail(resultFormat))
		return
	}
	if at := c.place.Load(); at != nil && (at.room.addr != addr || q.UID != "" && q.UID != at.member.uid) {
		s.refuse(c, q, fail(resultDuplicate)) // one place for each connection: it leaves first
		return
	}
	if _, known := s.app(q.AppID); !known {
		s.refuse(c, q, fail(resultNotAllowed))
		return
	}
	r := s.acquire(addr)
	if r == nil {
		s.refuse(c, q, fail(resultBroken))
		return
	}
	returns := false
	if q.UID != "" && s.cfg.Auth != authNone {
		r.Do(func() {
			m := r.members[q.UID]
			returns = m != nil && slices.Contains(m.tokens, digestOf(q.Token))
		})
	}
	var claims *token.Claims
	if !returns {
		var f *fault
		claims, f = s.check(c, q.Token, addr)
		if f == nil && claims != nil && claims.User.ID != "" {
			if q.UID == "" {
				q.UID = claims.User.ID
			}
			if q.UID != claims.User.ID {
				f = fail(resultNotAllowed)
			}
		}
		if f == nil && utf8.RuneCountInString(q.UID) > maxUID {
			f = fail(resultFormat)
		}
		if f != nil {
			s.release(r)
			s.refuse(c, q, f)
			return
		}
	}
	r.Do(func() {
		if !r.join(c, q, claims) {
			s.release(r)
		}
	})
}

// join reports that there is one member more.
func (r *room) join(c *conn, q *Message, claims *token.Claims) bool {
	s := r.service
	if m := r.members[q.UID]; m != nil && q.UID != "" {
		if f := m.returns(q, claims, s.cfg.Auth == authNone); f != nil {
			s.rec.Reject("roomserver.duplicate", c.Source.String(), "room", string(r.addr))
			s.refuse(c, q, f)
			return false
		}
		r.rejoin(m, c, q, claims)
		return false
	}
	if claims == nil && s.cfg.Auth != authNone { // its token was one of somebody who left meanwhile, and is not checked
		s.refuse(c, q, fail(resultToken))
		return false
	}
	if len(r.members) >= s.capacity() {
		s.refuse(c, q, failFull(s.capacity()))
		return false
	}
	if r.guestOf(q.UID) != nil {
		s.refuse(c, q, fail(resultDuplicate))
		return false
	}
	now := time.Now()
	m := &member{room: r, roomID: q.RoomID, roomName: q.RoomName, appID: q.AppID, uid: q.UID, uname: q.UName, sessionID: newID(now), joining: q,
		subs: make(map[*member]*subSession), region: s.ice.regions.of(c.Source)}
	for m.uid == "" || m.uid != q.UID && (r.members[m.uid] != nil || r.guestOf(m.uid) != nil) {
		m.uid = newID(now)
	}
	if m.uname == "" {
		m.uname = "client_" + strconv.Itoa(r.named)
		r.named++
	}
	m.kind(q)
	for i, o := range r.order {
		if !m.pairWith(o, now) {
			for _, done := range r.order[:i] {
				m.part(done)
			}
			s.refuse(c, q, fail(resultICEFull))
			return false
		}
	}
	m.bind(c)
	m.trust(claims, q.Token)
	m.timer = time.AfterFunc(s.cfg.ClientKeepLiveTimeout, func() { r.Post(m.silent) })
	m.lives()
	r.members[m.uid] = m
	r.order = append(r.order, m)
	m.seat = newOccupant(r, m, c.Source, claims)
	r.admit()
	return true
}

// admit has members enter. While nobody is in, one at a time does: who comes first makes the room, which is locked until then.
func (r *room) admit() {
	inside := slices.ContainsFunc(r.order, func(m *member) bool { return m.inside })
	if !inside && slices.ContainsFunc(r.order, func(m *member) bool { return m.asked }) {
		return
	}
	for _, m := range slices.Clone(r.order) {
		if m.asked {
			continue
		}
		m.asked = true
		m.seat.Join()
		if !inside {
			return
		}
	}
}

// kind notes what a member says that it is and has.
func (m *member) kind(q *Message) {
	m.userType, m.talkType = q.UserType, q.TalkType
	m.devices = m.promised()
}

// promised is which devices a member's talkType promises.
func (m *member) promised() (d [devices]bool) {
	if m.userType != observer {
		d[deviceCamera] = m.talkType == talkBoth || m.talkType == talkVideo
		d[deviceMicrophone] = m.talkType == talkBoth || m.talkType == talkAudio
	}
	return d
}

func (m *member) bind(c *conn) {
	if m.conn != nil {
		m.conn.place.CompareAndSwap(m.at, nil)
	}
	m.conn, m.at, m.region = c, &place{m.room, m}, m.room.service.ice.regions.of(c.Source)
	c.place.Store(m.at)
}

// pairWith makes the sub-sessions of two members; false: no ICE server has room for them.
func (m *member) pairWith(o *member, now time.Time) bool {
	g := &grant{registry: m.room.service.ice} // by the bridge none is needed
	if m.room.gate == gateP2P {
		g = m.room.service.ice.choose(needOf(m.talkType)+needOf(o.talkType), m.region, o.region, now)
	}
	if g == nil {
		return false
	}
	m.subs[o] = &subSession{id: newID(now), grant: g}
	o.subs[m] = &subSession{id: newID(now), grant: g}
	return true
}

// part ends the sub-sessions of two members.
func (m *member) part(o *member) {
	if sub := m.subs[o]; sub != nil {
		sub.grant.release()
	}
	delete(m.subs, o)
	delete(o.subs, m)
}

// returns reports whether somebody may take a member's place: with a token of its own, or one for the same user.
func (m *member) returns(q *Message, claims *token.Claims, open bool) *fault {
	switch {
	case open:
		return nil
	case slices.Contains(m.tokens, digestOf(q.Token)):
		return nil
	case claims != nil && m.claims != nil && claims.User.ID != "" && claims.User.ID == m.claims.User.ID && claims.Issuer == m.claims.Issuer:
		return nil
	}
	return fail(resultDuplicate)
}

// rejoin gives a member that came back its place: the sub-sessions are new ones, and the others are told to offer again.
func (r *room) rejoin(m *member, c *conn, q *Message, claims *token.Claims) {
	now := time.Now()
	if q.UName != "" {
		m.uname = q.UName
	}
	m.roomID, m.roomName = q.RoomID, q.RoomName
	if q.TalkType != m.talkType || q.UserType != m.userType { // else its devices are as they were
		m.kind(q)
	}
	m.form = formUnknown
	m.bind(c)
	m.lives()
	if claims != nil {
		m.trust(claims, q.Token)
	}
	for _, o := range r.order {
		if o == m {
			continue
		}
		r.again(o, m, now)
	}
	m.joining, m.guestSubs = q, nil
	m.seat.renamed(m.uname)
	m.seat.shows(m.devices)
	if m.inside {
		m.unbridge()
		r.welcome(m)
	}
}

// welcome answers the join of a member that is in, and tells the others of it.
func (r *room) welcome(m *member) {
	others := r.others(m)
	var list []byte
	add := func(appID, uid, uname string, userType, talkType int) {
		if list != nil {
			list = append(list, ',')
		}
		quoted, _ := json.Marshal(uid)
		app, _ := json.Marshal(appID)
		list = append(list, frame(`{"appId":`+string(app)+`,"uid":`+string(quoted)).text("uname", uname).number("userType", userType).number("talkType", talkType).end()...)
	}
	for _, o := range others {
		add(o.appID, o.uid, o.uname, o.userType, o.talkType)
	}
	for _, nick := range slices.Sorted(maps.Keys(r.guests)) {
		add(m.appID, r.guests[nick].uid, r.guests[nick].uname, 0, talkBoth)
	}
	if list != nil {
		list = append(append([]byte("["), list...), ']')
	}
	m.conn.Send(response("respJoin", resultOK, texts[resultOK]).text("roomId", m.roomID).text("roomName", m.roomName).text("uid", m.uid).text("uname", m.uname).
		text("sessionId", m.sessionID).number("reportStatsInterval", r.service.statsInterval()).
		number("keepLiveTimeout", int(r.service.cfg.ClientKeepLiveTimeout/time.Second)).number("gate", r.gate).raw("userList", list).end())
	m.joining = nil
	for _, o := range others {
		o.conn.Send(r.newPeer(o, m))
		o.showAll()
	}
	switch {
	case r.gate != gateSFU:
	case time.Since(m.bridgedAt) < redialFirst: // it comes and comes again
		m.lost()
	default:
		m.bridge()
	}
}

// rtcConfig is what a member makes its connection to another one with.
func (m *member) rtcConfig(o *member) []byte {
	if m.room.gate == gateSFU {
		return m.bridgeConfig()
	}
	return m.subs[o].grant.config(func() []turn.Service { return m.room.service.parts.Relays.Services(m.seat) })
}

// lives notes that a member has said that it is there.
func (m *member) lives() {
	timeout := m.room.service.cfg.ClientKeepLiveTimeout
	m.dies = time.Now().Add(timeout)
	m.timer.Reset(timeout)
}

// silent takes a member out that has not said so for too long.
func (m *member) silent() {
	if m.gone || time.Now().Before(m.dies) {
		return
	}
	m.room.service.rec.Debug("roomserver.silent", m.conn.Source.String(), "room", string(m.room.addr))
	m.conn.Send(response("respLeave", resultNoUID, texts[resultNoUID]).text("uid", m.uid).text("uname", m.uname).number("userType", m.userType).end())
	m.timedOut = true
	m.room.remove(m, "")
}

// kicked takes a member out, and says why.
func (m *member) kicked(desc string) {
	if m.gone {
		return
	}
	cmd := "systemKickUser"
	if m.room.service.cfg.LegacyTokenCmd {
		cmd = cmdUpdateToken
	}
	m.conn.Send(newFrame("req", cmd).text("appId", m.appID).text("roomId", m.roomID).text("uid", m.uid).text("desc", desc).end())
	m.room.remove(m, "")
}

// remove takes a member out and tells the others. When is the time that it said; "": the server's.
func (r *room) remove(m *member, when string) {
	others := r.others(m)
	nick := m.seat.Nick()
	m.end()
	for _, o := range others {
		o.withoutView(nick)
	}
	if when == "" {
		when = strconv.FormatInt(time.Now().Unix(), 10)
	}
	for _, o := range others {
		o.conn.Send(newFrame("relay", "relayLeave").text("appId", m.appID).text("sessionId", m.sessionID).number("gate", r.gate).text("roomId", o.roomID).
			text("uid", m.uid).text("uname", m.uname).number("userType", m.userType).text("time", when).end())
	}
}

// end ends what a member has and is.
func (m *member) end() {
	if m.gone {
		return
	}
	m.gone = true
	m.timer.Stop()
	if m.expires != nil {
		m.expires.Stop()
	}
	r := m.room
	m.goneFromRecords()
	m.unbridge()
	delete(r.members, m.uid)
	r.order = slices.DeleteFunc(r.order, func(o *member) bool { return o == m })
	for _, o := range r.order {
		m.part(o)
	}
	m.conn.place.CompareAndSwap(m.at, nil)
	if m.asked {
		m.seat.Leave()
	}
	if r.service.parts.Relays != nil {
		r.service.parts.Relays.End(m.seat.Addr())
	}
	r.service.release(r)
	if !m.inside && m.asked {
		r.admit() // somebody may have waited for it
	}
	r.weigh()
}

// entered is told that the room has let the member in.
func (r *room) entered(m *member) {
	if !m.gone && !m.inside {
		m.inside = true
		m.recorded()
		r.weigh()
		r.welcome(m)
		r.admit()
	}
}

// refused is told that the room does not let the member in.
func (r *room) refused(m *member, f *fault) {
	if m.gone {
		return
	}
	if m.joining != nil {
		m.conn.Send(r.service.answer(m.joining, m.uid, m.uname, f.result, f.desc, ""))
		r.service.failed(m.joining, f.result)
	}
	m.end()
}
