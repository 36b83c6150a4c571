package roomserver

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"parley/jingle"
	"parley/jingle/focus"
	"parley/jingle/sdp"
	"parley/muc"
	"parley/turn"
	"parley/xmpp/wire"
)

// Focus gives members sessions with the bridge.
type Focus interface {
	Mesh(occupant muc.Sender, room wire.Addr, sends bool, to focus.Caller, done func(*wire.Error))
	Unmesh(room, occupant wire.Addr)
	Agree(room, occupant wire.Addr, answer *jingle.Jingle)
	Trickle(room, occupant wire.Addr, contents []jingle.Content)
	Fed(room, occupant wire.Addr, j *jingle.Jingle)
}

// view is the session by which the bridge shows a member somebody else: the member has an offer in the name of that one.
type view struct {
	nick   string // of who is shown
	main   bool   // the member sends in it
	offer  *jingle.Jingle
	mids   map[string]string // names of contents by those that the client reads, which no other offer has
	sent   bool              // the member has the offer ...
	taken  bool              // ... and has answered it
	ufrag  string            // of the answer
	early  []jingle.Content  // candidates that came before that
	silent bool              // what it was offered cannot be said
}

// line is the focus's way to a member: all the sessions that it has with the bridge. A later one replaces it.
type line struct{ member *member }

// Accepted implements focus.Caller: it is the session in which the member sends.
func (l *line) Accepted(j *jingle.Jingle) { l.post(func(m *member) { m.offered(j, true) }) }

// Feed implements focus.Caller.
func (l *line) Feed(j *jingle.Jingle) {
	switch j.Action {
	case jingle.SessionInitiate:
		l.post(func(m *member) { m.offered(j, false) })
	case jingle.SessionTerminate:
		l.post(func(m *member) {
			m.views = slices.DeleteFunc(m.views, func(v *view) bool { return !v.main && v.offer.SID == j.SID })
		})
	}
}

// Ended implements focus.Caller.
func (l *line) Ended(why *jingle.Reason) {
	l.post(func(m *member) {
		m.room.service.rec.Debug("roomserver.bridge", m.conn.Source.String(), "room", string(m.room.addr), "text", string(why.Condition)+" "+why.Text)
		m.lost()
	})
}

// post has something done to the member unless it has another line, or none, by then.
func (l *line) post(f func(*member)) {
	l.member.room.Post(func() {
		if l.member.line == l {
			f(l.member)
		}
	})
}

// bridge asks for sessions with the bridge, in place of those that there are.
func (m *member) bridge() {
	m.unbridge()
	l := &line{m}
	m.line, m.bridgedAt = l, time.Now()
	m.relay = m.room.service.ice.choose(needOf(m.talkType), m.region, m.region, time.Now())
	m.room.service.parts.Focus.Mesh(m.seat, m.room.addr, m.userType != observer && m.talkType != talkNone, l, func(fault *wire.Error) {
		if fault != nil {
			l.post(func(m *member) { m.lost() })
			return
		}
		m.seat.Show() // the focus may have come only now, and knows whom it is shown
	})
}

// unbridge ends them.
func (m *member) unbridge() {
	if m.redial != nil {
		m.redial.Stop()
		m.redial = nil
	}
	if m.line != nil {
		m.line, m.views = nil, nil
		m.room.service.parts.Focus.Unmesh(m.room.addr, m.seat.Addr())
	}
	m.relay.release()
	m.relay = nil
}

// How long it takes until a member that has lost the bridge is given it again: longer each time in vain.
const (
	redialFirst = time.Second
	redialLast  = 30 * time.Second
)

// lost has a member try again.
func (m *member) lost() {
	m.unbridge()
	m.patience = min(max(2*m.patience, redialFirst), redialLast)
	var t *time.Timer
	t = time.AfterFunc(m.patience, func() {
		m.room.Post(func() {
			if m.redial == t && !m.gone {
				m.bridge()
			}
		})
	})
	m.redial = t
}

// offered takes a session that the bridge offers.
func (m *member) offered(j *jingle.Jingle, main bool) {
	nick := shownIn(j)
	m.views = slices.DeleteFunc(m.views, func(v *view) bool { return v.nick == nick || main && v.main })
	m.views = append(m.views, &view{nick: nick, main: main, offer: j})
	m.showAll()
}

// shownIn is whose media a session brings: the id of its media stream.
func shownIn(j *jingle.Jingle) string {
	for i := range j.Contents {
		if d := j.Contents[i].Description; d != nil {
			for k := range d.Sources {
				if id, _, ok := strings.Cut(d.Sources[k].MSID(), " "); ok {
					return id
				}
			}
		}
	}
	return ""
}

// showAll gives the member the offers of those whom it has met.
func (m *member) showAll() {
	if !m.inside || m.joining != nil {
		return
	}
	for _, v := range m.views {
		if v.sent || v.silent {
			continue
		}
		uid, uname, sub := m.met(v.nick)
		if uid == "" {
			continue
		}
		m.described++
		msg, err := v.describe(uid, m.described)
		if err != nil {
			v.silent = true
			m.room.service.rec.Hurt("roomserver.describe", m.conn.Source.String(), "room", string(m.room.addr), "err", err)
			continue
		}
		v.sent = true
		m.conn.Send(newFrame("relay", "relayOffer").text("uid", uid).text("uname", uname).text("remoteUid", m.uid).text("subSessionId", sub).
			text("msg", msg).raw("rtcConfig", m.bridgeConfig()).end())
	}
}

// met finds somebody whom the member knows by nickname.
func (m *member) met(nick string) (uid, uname, subSession string) {
	for _, o := range m.room.others(m) {
		if o.seat.Nick() == nick && o.joining == nil {
			return o.uid, o.uname, m.subs[o].id
		}
	}
	if g := m.room.guests[nick]; g != nil {
		return g.uid, g.uname, m.guestSub(g)
	}
	return "", "", ""
}

// guestSub is the member's sub-session to somebody of another protocol: the one that records have, where they know that one already.
func (m *member) guestSub(g *guest) string {
	if m.guestSubs == nil {
		m.guestSubs = make(map[string]string)
	}
	if m.guestSubs[g.uid] == "" {
		id := m.room.service.records.Sub(string(m.room.addr), string(m.seat.Addr()), g.nick)
		if id == "" {
			id = newID(time.Now())
		}
		m.guestSubs[g.uid] = id
	}
	return m.guestSubs[g.uid]
}

// bridgeConfig is what a member makes connections with that lead to the bridge.
func (m *member) bridgeConfig() []byte {
	g := m.relay
	if g == nil {
		g = &grant{registry: m.room.service.ice}
	}
	return g.config(func() []turn.Service { return m.room.service.parts.Relays.Services(m.seat) })
}

// describe is the msg of an offer, in the name of somebody: clients find the media stream by its id, which is the uid. By the mids,
// which have a number of their own, its answer is told from one to an offer of before.
func (v *view) describe(uid string, number int) (string, error) {
	id, j := streamID(uid), v.offer
	v.mids = make(map[string]string)
	for i := range j.Contents {
		name := j.Contents[i].Name
		mid := name + strconv.Itoa(number)
		v.mids[mid], j.Contents[i].Name = name, mid
		for k := range j.Groups {
			for n := range j.Groups[k].Contents {
				if j.Groups[k].Contents[n] == name {
					j.Groups[k].Contents[n] = mid
				}
			}
		}
		for _, s := range j.Contents[i].Description.Sources {
			for k := range s.Parameters {
				if _, track, ok := strings.Cut(s.Parameters[k].Value, " "); ok && s.Parameters[k].Name == "msid" {
					s.Parameters[k].Value = id + " " + track
				}
			}
		}
	}
	text, err := j.AppendSDP(nil, jingle.Initiator, sdp.Origin{ID: 1, Version: 1})
	if err != nil {
		return "", err
	}
	msg, err := json.Marshal(struct {
		Type string `json:"type"`
		SDP  string `json:"sdp"`
	}{"offer", string(text)})
	return string(msg), err
}

// streamID is a uid as it may stand in a session description: percent-encoded where it has spaces.
func streamID(uid string) string {
	if sdp.Text(uid) && !strings.ContainsFunc(uid, unicode.IsSpace) {
		return uid
	}
	return url.QueryEscape(uid)
}

// viewOf finds the session in the name of somebody that the member was offered.
func (m *member) viewOf(uid string) *view {
	for _, v := range m.views {
		if known, _, _ := m.met(v.nick); v.sent && known == uid {
			return v
		}
	}
	return nil
}

// answered takes what a member answers to an offer of the bridge's.
func (m *member) answered(v *view, q *Message) *fault {
	j, f := m.readDescription(q)
	if f != nil {
		return f
	}
	for i := range j.Contents {
		name, ok := v.mids[j.Contents[i].Name]
		if !ok {
			return nil // to an offer that is no more
		}
		j.Contents[i].Name = name
	}
	if v.taken {
		return nil // it answers twice: the first holds
	}
	v.taken = true
	j.Action, j.SID, j.Groups = jingle.SessionAccept, v.offer.SID, nil
	for i := range j.Contents {
		if t := j.Contents[i].Transport; t != nil && v.ufrag == "" {
			v.ufrag = t.Ufrag
		}
	}
	if p := m.room.service.parts.Focus; v.main {
		m.patience = 0
		m.seat.reads(focus.Reads(j))
		p.Agree(m.room.addr, m.seat.Addr(), j)
	} else {
		p.Fed(m.room.addr, m.seat.Addr(), j)
	}
	for _, c := range v.early {
		m.trickled(v, c)
	}
	v.early = nil
	return nil
}

// readDescription reads a member's answer: a string that holds JSON, or an object, with the session description in it.
func (m *member) readDescription(q *Message) (*jingle.Jingle, *fault) {
	text := []byte(q.Msg)
	if len(q.Msg) > 0 && q.Msg[0] == '"' {
		text = []byte(unquote(q.Msg))
	}
	var d struct {
		SDP string `json:"sdp"`
	}
	err := json.Unmarshal(text, &d)
	if err == nil {
		var j *jingle.Jingle
		if j, err = readSDP(d.SDP); err == nil {
			return j, nil
		}
	}
	m.room.service.rec.Reject("sdp.reject", m.conn.Source.String(), "room", string(m.room.addr), "err", err.Error())
	return nil, fail(resultFormat)
}

// readSDP reads a client's answer but for the streams that it sends: what comes is told by its payload type, and the ids are the
// clients' uids, which may be what no id is.
func readSDP(text string) (*jingle.Jingle, error) {
	d, err := sdp.Parse(text, sdp.DefaultLimits)
	if err != nil {
		return nil, err
	}
	for i := range d.Media {
		d.Media[i].Attributes = slices.DeleteFunc(d.Media[i].Attributes, func(a sdp.Attribute) bool {
			return a.Name == "msid" || a.Name == "ssrc" || a.Name == "ssrc-group"
		})
	}
	return jingle.FromSDP(d, jingle.Responder, jingle.DefaultLimits)
}

// found takes a candidate of a member for a session with the bridge.
func (m *member) found(v *view, q *Message) *fault {
	c, err := readCandidate(q.Msg)
	if err != nil {
		m.room.service.rec.Reject("json.reject", m.conn.Source.String(), "cmd", q.Cmd)
		return fail(resultFormat)
	}
	if c.form != formUnknown {
		m.form = c.form
	}
	if c.line == "" {
		return nil
	}
	k, ufrag, err := jingle.ParseCandidate(c.line)
	if err != nil {
		m.room.service.rec.Reject("ice.filter", m.conn.Source.String(), "room", string(m.room.addr))
		return nil // one of a kind that is not known: the others may do
	}
	if ufrag == "" {
		ufrag = c.fragment
	}
	mid := c.mid
	if !c.hasMid && c.index < len(v.offer.Contents) {
		mid = v.offer.Contents[c.index].Name
	}
	name, ok := v.mids[mid]
	if !ok {
		return nil // of a connection that is no more
	}
	k.ID = "r" + strconv.Itoa(len(v.early))
	content := jingle.Content{Creator: jingle.Initiator, Name: name, Transport: &jingle.Transport{Ufrag: ufrag, Candidates: []jingle.Candidate{k}}}
	switch {
	case v.taken:
		m.trickled(v, content)
	case len(v.early) < heldMost:
		v.early = append(v.early, content)
	default:
		m.room.service.rec.Reject("limit.candidates", m.conn.Source.String())
		return fail(resultException)
	}
	return nil
}

// trickled hands a candidate on, unless it is of a connection that the client has given up.
func (m *member) trickled(v *view, c jingle.Content) {
	if c.Transport.Ufrag != "" && c.Transport.Ufrag != v.ufrag {
		return
	}
	if p := m.room.service.parts.Focus; v.main {
		p.Trickle(m.room.addr, m.seat.Addr(), []jingle.Content{c})
	} else {
		p.Fed(m.room.addr, m.seat.Addr(), &jingle.Jingle{Action: jingle.TransportInfo, SID: v.offer.SID, Contents: []jingle.Content{c}})
	}
}
