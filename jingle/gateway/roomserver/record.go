package roomserver

import (
	"net/netip"
	"strconv"
	"time"

	"parley/internal/store"
)

// Records is told what becomes of members, so that it is kept. A room is its address, a member the address of its occupant. Its methods
// return at once, and ignore what they do not know.
type Records interface {
	// Joined says that somebody is in a room, and Left that it is not any more: timeout, because nothing came of it.
	Joined(r Joining)
	Left(room, member string, timeout bool)
	// Paired says that two members have sub-sessions, and an ICE server: those that they had before have timed out.
	Paired(room, a, b, ab, ba string, ice netip.Addr)
	// Begun says that a member has begun to connect to another one, and Connected that it says it is, and how.
	Begun(room, from, to string)
	Connected(room, from, to, how string)
	// Quality keeps what a member reports of what it has with another one, and Told what it reports of itself: data is JSON.
	Quality(room, from, to string, q store.TalkQuality)
	Told(room, member string, result int64, data string)
	// QualityOf is Quality of what a member has with somebody of another protocol, whom the door knows by nickname, and Sub the id
	// of that sub-session, "" if there is none.
	QualityOf(room, from, nick string, q store.TalkQuality)
	Sub(room, from, nick string) string
	// Failed says that a join came to nothing.
	Failed(room, door, cause string)
}

// Joining is a member as it joins.
type Joining struct {
	Room, Member       string
	Session            string
	AppID, UID, UName  string
	TalkType           int
	Source             netip.Addr
	OS, Browser, SDK   string
	ClientTime         time.Time // zero: it has said none that can be read
	User, TokensIssuer string    // of its token; "" without one
}

// unrecorded keeps nothing.
type unrecorded struct{}

func (unrecorded) Joined(Joining)                                            {}
func (unrecorded) QualityOf(string, string, string, store.TalkQuality)       {}
func (unrecorded) Sub(string, string, string) string                         { return "" }
func (unrecorded) Left(string, string, bool)                                 {}
func (unrecorded) Paired(string, string, string, string, string, netip.Addr) {}
func (unrecorded) Begun(string, string, string)                              {}
func (unrecorded) Connected(string, string, string, string)                  {}
func (unrecorded) Quality(string, string, string, store.TalkQuality)         {}
func (unrecorded) Told(string, string, int64, string)                        {}
func (unrecorded) Failed(string, string, string)                             {}

// door is this one's name in records.
const door = "roomserver"

// step writes to the log what a member does, at level info: once in a while for each member and command.
func (m *member) step(what string, attrs ...any) {
	m.room.service.rec.Step("roomserver."+what, m.sessionID, append([]any{"room", string(m.room.addr), "sid", m.sessionID}, attrs...)...)
}

// recorded tells that a member is in.
func (m *member) recorded() {
	m.step("join")
	j := Joining{Room: string(m.room.addr), Member: string(m.seat.Addr()), Session: m.sessionID, AppID: m.appID, UID: m.uid, UName: m.uname, TalkType: m.talkType, Source: m.conn.Source}
	if q := m.joining; q != nil {
		j.OS, j.Browser, j.SDK, j.ClientTime = q.OSInfo, q.Browser, q.SDKInfo, q.Time
	}
	if m.claims != nil {
		j.User, j.TokensIssuer = m.claims.User.ID, m.claims.Issuer
	}
	m.room.service.records.Joined(j)
	for _, o := range m.room.others(m) {
		m.paired(o)
	}
}

// paired tells of the sub-sessions of two members, if both are in.
func (m *member) paired(o *member) {
	own, theirs := m.subs[o], o.subs[m]
	if own == nil || theirs == nil || !m.inside || !o.inside {
		return
	}
	var ice netip.Addr
	if s := own.grant.server; s != nil && s.own {
		at, _ := netip.ParseAddrPort(m.room.service.parts.ICE)
		ice = at.Addr()
	} else if s != nil {
		ice, _ = netip.ParseAddr(s.ip)
	}
	m.room.service.records.Paired(string(m.room.addr), string(m.seat.Addr()), string(o.seat.Addr()), own.id, theirs.id, ice)
}

// goneFromRecords tells that a member is not in any more.
func (m *member) goneFromRecords() {
	if m.inside {
		m.step("leave", "timeout", m.timedOut)
		m.room.service.records.Left(string(m.room.addr), string(m.seat.Addr()), m.timedOut)
	}
}

// begun tells that a member's offer was accepted, or its answer relayed.
func (m *member) begun(o *member) {
	m.room.service.records.Begun(string(m.room.addr), string(m.seat.Addr()), string(o.seat.Addr()))
}

// causes are why joins fail, as records have them.
var causes = map[result]string{
	resultFull: "full", resultICEFull: "ice-full", resultFormat: "format", resultDuplicate: "duplicate", resultToken: "token", resultExpired: "token-expired",
	resultNotAllowed: "not-allowed", resultBroken: "stopping",
}

// failed tells that a join came to nothing.
func (s *Service) failed(q *Message, r result) {
	if q.Cmd != cmdJoin || r == resultOK {
		return
	}
	room := ""
	if addr, err := s.address(q.RoomID); err == nil && q.RoomID != "" {
		room = string(addr)
	}
	cause := causes[r]
	if cause == "" {
		cause = "result " + strconv.Itoa(int(r))
	}
	s.records.Failed(room, door, cause)
}
