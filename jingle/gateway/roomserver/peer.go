package roomserver

import (
	"strconv"
)

// view finds the session with the bridge that shows a member whom a message is for, where media go that way. Without one a message
// to somebody that is there is of no use to anybody: the bridge offers, whatever the client was about to.
func (r *room) view(m *member, q *Message) (v *view, id string, there bool) {
	if g := r.guestOf(q.RemoteUID); g != nil {
		return m.viewOf(g.uid), m.guestSub(g), true
	}
	if r.gate == gateSFU {
		if o := r.members[q.RemoteUID]; o != nil && o != m && o.inside {
			return m.viewOf(o.uid), m.subs[o].id, true
		}
	}
	return nil, "", false
}

// remote finds whom a message is for.
func (r *room) remote(m *member, q *Message) (o *member, own, theirs *subSession, f *fault) {
	o = r.members[q.RemoteUID]
	if o == nil || o == m || !o.inside {
		return nil, nil, nil, fail(resultNoUID)
	}
	own, theirs = m.subs[o], o.subs[m]
	if q.SubSessionID != "" && q.SubSessionID != own.id {
		return nil, nil, nil, fail(resultNoUID)
	}
	return o, own, theirs, nil
}

// offer relays an offer, with the configuration that the other makes its connection with. Whoever offers first, both may.
func (r *room) offer(m *member, q *Message) (subSession string, f *fault) {
	if v, id, there := r.view(m, q); there {
		if v != nil && v.taken && string(q.Reset) == "true" && m.redial == nil {
			m.lost() // the client's way to the bridge is broken: it gets another one
		}
		return id, nil
	}
	o, own, theirs, f := r.remote(m, q)
	if f != nil {
		return "", f
	}
	text := newFrame("relay", "relayOffer").text("uid", m.uid).text("uname", m.uname).text("remoteUid", o.uid).text("subSessionId", theirs.id).
		raw("msg", q.Msg).raw("rtcConfig", o.rtcConfig(m))
	if q.Reset != nil {
		text = text.raw("isIceReset", q.Reset)
	}
	o.conn.Send(text.extra(q.Extra).end())
	own.offered = true
	own.describe(o)
	m.begun(o)
	return own.id, nil
}

// answer relays an answer to an offer.
func (r *room) answer(m *member, q *Message) *fault {
	if v, _, there := r.view(m, q); v != nil {
		return m.answered(v, q)
	} else if there {
		return nil // to an offer that is of before
	}
	o, own, theirs, f := r.remote(m, q)
	switch {
	case f != nil:
		return f
	case !theirs.offered:
		r.service.rec.Reject("json.reject", m.conn.Source.String(), "text", "an answer without an offer")
		return fail(resultFormat)
	}
	kind, _ := strconv.Atoi(q.ConnectType)
	o.conn.Send(newFrame("relay", "relayAnswer").number("connectType", kind).text("uid", m.uid).text("uname", m.uname).text("remoteUid", o.uid).
		text("subSessionId", theirs.id).raw("msg", q.Msg).extra(q.Extra).end())
	own.describe(o)
	m.begun(o)
	return nil
}

// describe notes that the other knows what candidates are for, and sends those that waited.
func (s *subSession) describe(o *member) {
	s.described = true
	for _, text := range s.held {
		o.conn.Send(text)
	}
	s.held = nil
}

// candidate relays a candidate in both spellings, once the other knows what it is for.
func (r *room) candidate(m *member, q *Message) *fault {
	if v, _, there := r.view(m, q); v != nil {
		return m.found(v, q)
	} else if there {
		return nil
	}
	o, own, _, f := r.remote(m, q)
	if f != nil {
		return f
	}
	c, err := readCandidate(q.Msg)
	if err != nil {
		r.service.rec.Reject("json.reject", m.conn.Source.String(), "cmd", q.Cmd)
		return fail(resultFormat)
	}
	if c.form != formUnknown {
		m.form = c.form
	}
	if c.line == "" && o.form != formBrowser {
		return nil // others read the end of candidates as one
	}
	text := newFrame("relay", "relayCandidate").text("appId", m.appID).text("sessionId", m.sessionID).text("roomId", o.roomID).text("uid", m.uid).
		text("uname", m.uname).text("remoteUid", o.uid).text("time", q.TimeText).raw("msg", c.write(q.Msg[0] == '"')).extra(q.Extra).end()
	switch {
	case own.described:
		o.conn.Send(text)
	case len(own.held) < heldMost:
		own.held = append(own.held, text)
	default:
		r.service.rec.Reject("limit.candidates", m.conn.Source.String())
		return fail(resultException)
	}
	return nil
}

// connected notes that a member's connection to another one is made. If a device is off that its talkType promises, the other is
// told, who did not hear it before.
func (r *room) connected(m *member, q *Message) *fault {
	if g := r.guestOf(q.RemoteUID); g != nil {
		for _, device := range []int{deviceCamera, deviceMicrophone} {
			if !g.devices[device] {
				m.tellDevice(g, device)
			}
		}
		return nil
	}
	o, _, _, f := r.remote(m, q)
	if f != nil {
		return f
	}
	r.service.records.Connected(string(r.addr), string(m.seat.Addr()), string(o.seat.Addr()), q.ConnectType)
	for i, on := range m.promised() {
		if on && !m.devices[i] {
			o.conn.Send(newFrame("relay", "relayTurnTalkType").text("uid", m.uid).text("uname", m.uname).number("index", i).raw("enable", flag(false)).end())
		}
	}
	return nil
}

// reported notes what a client says of itself: it is counted by its result.
func (s *Service) reported(m *member, q *Message) {
	name := "roomserver.report.other"
	if _, known := texts[result(q.Result)]; known || q.Result == int(resultFull) {
		name = "roomserver.report." + strconv.Itoa(q.Result)
	}
	if q.Result == int(resultOK) {
		s.rec.Debug(name, m.conn.Source.String(), "room", string(m.room.addr), "desc", q.Desc)
		return
	}
	s.rec.Reject(name, m.conn.Source.String(), "room", string(m.room.addr), "desc", q.Desc)
}
