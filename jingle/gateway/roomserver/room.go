package roomserver

import (
	"slices"
	"sync"
	"time"

	"parley/jingle/gateway/mailbox"
	"parley/xmpp/wire"
)

// room is the members of one room who came by this door. What is done in it is done by one goroutine, in order.
type room struct {
	mailbox.Box
	service *Service
	addr    wire.Addr
	users   int // who holds it: the service's

	mu   sync.Mutex        // guards what follows
	news map[string]*guest // what was seen since it was looked at: by nickname; nil: not there, or not in the call

	// Of the goroutine alone.
	members map[string]*member // by uid
	order   []*member          // as they joined
	named   int                // how many names were made
	guests  map[string]*guest  // who is in the call by another protocol, by nickname
	gate    int
	calm    *time.Timer // until the gate closes; nil: it stays as it is
}

// clear takes everybody out: the server stops.
func (r *room) clear() {
	for _, m := range slices.Clone(r.order) {
		m.end()
	}
}

// others are the members whom m has met: both are inside.
func (r *room) others(m *member) (list []*member) {
	for _, o := range r.order {
		if o != m && o.inside && m.inside {
			list = append(list, o)
		}
	}
	return list
}

// handle works off a request of a member, other than join.
func (r *room) handle(m *member, c *conn, q *Message) {
	switch {
	case m.gone || m.conn != c:
		r.service.nowhere(c, q)
		return
	case q.RoomID != "" && q.RoomID != m.roomID && !r.service.has(q.RoomID):
		c.Send(general(resultNoRoom, q))
		return
	case q.UID != "" && q.UID != m.uid, q.SessionID != "" && q.SessionID != m.sessionID, q.RoomID != "" && q.RoomID != m.roomID:
		// What is of others is refused, whatever the sender says it is (hardening HN2).
		r.service.rec.Reject("json.reject", c.Source.String(), "cmd", q.Cmd, "text", "not its own ids")
		r.service.refuse(c, q, fail(resultNoUID))
		return
	}
	if !m.inside && q.Cmd != cmdKeepLive && q.Cmd != cmdLeave {
		r.service.refuse(c, q, fail(resultNoUID))
		return
	}
	var f *fault
	sub := ""
	quiet := false
	switch q.Cmd {
	case cmdKeepLive:
		m.lives()
	case cmdLeave:
		c.Send(r.service.answer(q, m.uid, m.uname, resultOK, texts[resultOK], ""))
		r.remove(m, q.TimeText)
		return
	case cmdOffer:
		sub, f = r.offer(m, q)
	case cmdAnswer:
		quiet, f = true, r.answer(m, q)
	case cmdCandidate:
		quiet, f = true, r.candidate(m, q)
	case cmdTurnTalkType:
		r.turn(m, q)
	case cmdPeerConnected:
		quiet, f = true, r.connected(m, q)
	case cmdReportInfo:
		r.service.reported(m, q)
		r.told(m, q)
		if q.Result == reportNoWay {
			m.complains(q)
		}
		return
	case cmdReportStats:
		r.measured(m, q)
		return
	}
	if f != nil {
		r.service.rec.Debug("json.reject", c.Source.String(), "cmd", q.Cmd, "result", int(f.result))
		c.Send(r.service.answer(q, m.uid, m.uname, f.result, f.desc, ""))
		return
	}
	switch q.Cmd {
	case cmdOffer, cmdAnswer:
		m.step(q.Cmd)
	case cmdPeerConnected:
		m.step(q.Cmd, "way", q.ConnectType)
	}
	if quiet && r.service.cfg.QuietSuccess {
		return
	}
	c.Send(r.service.answer(q, m.uid, m.uname, resultOK, texts[resultOK], sub))
}

// turn notes that a device of a member was turned on or off, and tells the others.
func (r *room) turn(m *member, q *Message) {
	m.devices[q.Index] = string(q.Enable) == "true"
	m.seat.shows(m.devices)
	text := newFrame("relay", "relayTurnTalkType").text("uid", m.uid).text("uname", m.uname).number("index", q.Index).raw("enable", q.Enable).extra(q.Extra).end()
	for _, o := range r.others(m) {
		o.conn.Send(text)
	}
}
