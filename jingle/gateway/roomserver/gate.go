package roomserver

import (
	"slices"
	"time"
)

// The gates: how media go in a room. The third one, a mix of all, is not there yet.
const (
	gateP2P = 0 // from member to member
	gateSFU = 1 // by the bridge
)

// weigh opens the bridge's gate when there are more members than talk with one another alone, or somebody who cannot; and closes it
// when that has not been so for a while.
func (r *room) weigh() {
	cfg := &r.service.cfg
	if !r.service.bridges() {
		return
	}
	inside := 0
	for _, m := range r.order {
		if m.inside {
			inside++
		}
	}
	wants := gateP2P
	if inside > cfg.P2PMost || inside > 0 && len(r.guests) > 0 {
		wants = gateSFU
	}
	switch {
	case wants == r.gate || len(r.order) == 0:
		if r.calm != nil {
			r.calm.Stop()
			r.calm = nil
		}
	case wants == gateSFU:
		r.turnGate(gateSFU, "members")
	case r.calm == nil:
		var calm *time.Timer
		calm = time.AfterFunc(cfg.P2PReturn, func() {
			r.Post(func() {
				if r.calm == calm {
					r.calm = nil
					r.turnGate(gateP2P, "members")
				}
			})
		})
		r.calm = calm
	}
}

// turnGate changes how media go. Members who are not told yet that they are in are brought in line when they are.
func (r *room) turnGate(gate int, reason string) {
	r.gate = gate
	r.service.rec.Step("roomserver.gate", string(r.addr), "room", string(r.addr), "gate", gate)
	var told []*member
	for _, m := range r.order {
		if m.inside && m.joining == nil {
			told = append(told, m)
			m.conn.Send(newFrame("req", "notifyGate").text("roomId", m.roomID).number("gate", gate).text("reason", reason).end())
		}
	}
	if gate == gateSFU {
		for _, m := range r.order {
			for _, sub := range m.subs {
				sub.grant.release() // no pair needs a relay
			}
		}
		for _, m := range told {
			m.bridge()
		}
		return
	}
	now := time.Now()
	for i, m := range told {
		m.unbridge()
		for _, o := range told[:i] {
			r.again(o, m, now)
			o.conn.Send(r.newPeer(o, m))
		}
	}
}

// again gives two members new sub-sessions.
func (r *room) again(o, m *member, now time.Time) {
	m.part(o)
	if !m.pairWith(o, now) { // they have been there before: better without a relay than out
		g := &grant{registry: r.service.ice}
		m.subs[o], o.subs[m] = &subSession{id: newID(now), grant: g}, &subSession{id: newID(now), grant: g}
	}
	m.paired(o)
}

// newPeer tells o of m, which it is to offer to.
func (r *room) newPeer(o, m *member) []byte {
	return newFrame("req", "notifyNewPeer").text("uid", m.uid).text("uname", m.uname).number("userType", m.userType).number("talkType", m.talkType).
		raw("rtcConfig", o.rtcConfig(m)).end()
}

// withoutView leaves out the views of somebody.
func (m *member) withoutView(nick string) {
	m.views = slices.DeleteFunc(m.views, func(v *view) bool { return v.nick == nick })
}
