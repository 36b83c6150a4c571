package apprtc

import (
	"time"

	"parley/internal/limit"
	"parley/jingle"
	"parley/jingle/focus"
	"parley/jingle/sdp"
	"parley/xmpp/wire"
)

// bridging is what a member has with the bridge.
type bridging struct {
	moved  bool // it talks to the bridge alone ...
	moving bool // ... as soon as it can hear that it has to begin anew
	leg    *leg // nil: it has not offered anything yet
	called bool // its occupant has had a call
	early  []signal
	calls  limit.Bucket
}

// callRate bounds how often a member calls the bridge.
var callRate = limit.Rate{PerSecond: 0.5, Burst: 5}

// earlyMost is how many candidates wait for the description that they belong to.
const earlyMost = 64

// leg is a call of a member with the bridge. It is a focus.Caller.
type leg struct {
	member   *member
	occupant *occupant
	former   *occupant      // in whose place its own enters, which goes then: a room that is empty is no more; nil: it was there
	theirs   *jingle.Jingle // what the client has offered; nil: the bridge offers
	begun    bool           // the focus has it
	offered  bool           // the client has the bridge's offer
	remote   *jingle.Jingle // what the client has said of itself
}

// move has a member talk to the bridge from now on. Who is alone and has offered is answered; who is one of a pair begins anew.
func (r *room) move(m *member) {
	if m.moved || m.loopback {
		return
	}
	m.moved = true
	said := m.waiting
	m.waiting, m.bytes = nil, 0
	alone := m.peer == nil
	m.peer = nil
	switch {
	case m.answer != nil:
		r.call(m, focus.BundledOffer(), nil)
	case alone && m.first:
		for _, text := range said {
			r.signal(m, text)
		}
	case m.said:
		m.again()
	default: // it has no connection yet that could begin anew, and what it hears before that breaks it
		m.moving = true
	}
}

// again has a client begin anew: it offers then.
func (m *member) again() {
	m.moving, m.first = false, true
	m.tell(bye)
}

// signal takes what a client says to the bridge.
func (r *room) signal(m *member, text string) error {
	g, err := parseSignal(text)
	if err != nil {
		r.service.rec.Reject("json.reject", m.source.String(), "room", string(r.addr))
		return err
	}
	switch {
	case m.moving && g.typ != typeOffer:
		m.again()
	case g.typ == typeOffer:
		m.moving = false
		return r.offer(m, g)
	case g.typ == typeAnswer:
		return r.answer(m, g)
	case g.typ == typeCandidate:
		if len(m.early) < earlyMost {
			m.early = append(m.early, g)
		}
		m.trickle()
	case g.typ == typeBye:
		r.leave(m)
	}
	return nil
}

// offer calls the bridge with what a client offers.
func (r *room) offer(m *member, g signal) error {
	s := r.service
	if !m.calls.Allow(time.Now(), 1) {
		s.rec.Reject("limit.calls", m.source.String(), "room", string(r.addr))
		return errOften
	}
	j, err := jingle.ParseSDP(g.sdp, jingle.Initiator, jingle.DefaultLimits)
	if err != nil {
		s.rec.Reject("sdp.reject", m.source.String(), "room", string(r.addr), "err", err.Error())
		return errSignal
	}
	o, why := focus.ReadOfferOfAll(j)
	if why != nil {
		s.rec.Reject("call.reject", m.source.String(), "room", string(r.addr), "text", why.Text)
		return errSignal
	}
	r.call(m, o, j)
	return nil
}

// answer takes what a client answers to the bridge's offer. Another answer is one to somebody whom it does not talk to any more.
func (r *room) answer(m *member, g signal) error {
	l := m.leg
	if l == nil || !l.offered || l.remote != nil {
		return nil
	}
	j, err := jingle.ParseSDP(g.sdp, jingle.Responder, jingle.DefaultLimits)
	if err != nil {
		r.service.rec.Reject("sdp.reject", m.source.String(), "room", string(r.addr), "err", err.Error())
		return errSignal
	}
	l.remote = j
	l.occupant.reads(focus.Reads(j))
	r.service.parts.Focus.Agree(r.addr, l.occupant.Addr(), j)
	m.trickle()
	return nil
}

// trickle gives the bridge the candidates that it has a description for.
func (m *member) trickle() {
	l := m.leg
	if l == nil || !l.begun || l.remote == nil {
		return
	}
	var contents []jingle.Content
	for _, g := range m.early {
		t, err := jingle.ParseTrickle(g.candidate, g.mid, g.index, "")
		if err != nil {
			m.room.service.rec.Reject("sdp.reject", m.source.String(), "err", err.Error())
			continue
		}
		if c, ok := t.Content(l.remote); ok {
			contents = append(contents, c)
		}
	}
	m.early = nil
	if len(contents) > 0 {
		m.room.service.parts.Focus.Trickle(m.room.addr, l.occupant.Addr(), contents)
	}
}

// call begins a call, in place of the one that the member has had.
func (r *room) call(m *member, o *focus.Offer, theirs *jingle.Jingle) {
	l := &leg{member: m, theirs: theirs, remote: theirs}
	m.hangUp()
	if m.called { // an occupant has one call
		l.former = m.seat
		m.seat = newOccupant(m, m.seat.name, m.seat.claims)
	}
	m.called = true
	m.leg, l.occupant = l, m.seat
	reads := o.Video
	if theirs != nil {
		reads = focus.Reads(theirs)
	}
	l.occupant.speaks(reads)
	r.service.parts.Focus.Call(l.occupant, r.addr, o, l, func(fault *wire.Error) { r.Post(func() { r.begun(l, fault) }) })
}

// hangUp ends a call.
func (m *member) hangUp() {
	if l := m.leg; l != nil {
		m.leg = nil
		m.room.service.parts.Focus.Forget(m.room.addr, l.occupant.Addr())
		l.replace()
	}
}

// replace has the occupant go in whose place another one has come.
func (l *leg) replace() {
	if l.former != nil {
		l.former.Leave()
		l.former = nil
	}
}

// unbridge ends what a member has with the bridge.
func (m *member) unbridge() {
	m.hangUp()
	m.early = nil
}

// begun has the occupant of a call enter, or show that it is in one.
func (r *room) begun(l *leg, fault *wire.Error) {
	m := l.member
	switch {
	case m.leg != l: // it was hung up meanwhile
		r.service.parts.Focus.Forget(r.addr, l.occupant.Addr())
	case fault != nil:
		r.ended(l, &jingle.Reason{Condition: jingle.GeneralError, Text: fault.Text})
	default:
		l.begun = true
		if l.former != nil {
			l.occupant.Join()
		} else {
			l.occupant.Show()
		}
		m.trickle()
	}
}

// Accepted implements focus.Caller.
func (l *leg) Accepted(j *jingle.Jingle) {
	l.member.room.Post(func() { l.member.room.accepted(l, j) })
}

// Ended implements focus.Caller.
func (l *leg) Ended(why *jingle.Reason) {
	l.member.room.Post(func() { l.member.room.ended(l, why) })
}

// Feed implements focus.Caller: these clients have one session.
func (l *leg) Feed(*jingle.Jingle) {}

// accepted tells a client what the bridge offers or answers.
func (r *room) accepted(l *leg, j *jingle.Jingle) {
	m := l.member
	if m.leg != l {
		return
	}
	typ, by := typeOffer, jingle.Initiator
	if l.theirs != nil {
		typ, by = typeAnswer, jingle.Responder
		j = complete(j, l.theirs)
	}
	text, err := j.AppendSDP(nil, by, origin())
	if err != nil {
		r.service.rec.Hurt("sdp.write", m.source.String(), "room", string(r.addr), "err", err.Error())
		r.ended(l, &jingle.Reason{Condition: jingle.GeneralError})
		return
	}
	message := appendSignal(typ, text)
	l.offered = l.theirs == nil
	if m.answer != nil {
		m.reply(joined{result: resultSuccess, client: m.id, messages: []string{message}})
		return
	}
	m.tell(message)
}

// origin is that of a new description (RFC 8829 §5.2.1).
func origin() sdp.Origin {
	return sdp.Origin{Username: "-", ID: uint64(time.Now().UnixNano() >> 1), Version: 2, Address: sdp.Connection{Type: "IP4", Address: "127.0.0.1"}}
}

// complete adds what an answer in SDP has to have and Jingle leaves out: the contents that are refused, in the order of the offer,
// and which of the others are bundled (RFC 9143 §7.3).
func complete(j, offer *jingle.Jingle) *jingle.Jingle {
	out := &jingle.Jingle{}
	group := jingle.Group{Semantics: "BUNDLE"}
	for _, c := range offer.Contents {
		a := j.Content(c.Name)
		if a == nil {
			d := &jingle.Description{}
			if c.Description != nil {
				d.Media = c.Description.Media
			}
			out.Contents = append(out.Contents, jingle.Content{Creator: c.Creator, Name: c.Name, Senders: jingle.RejectedContent, Description: d})
			continue
		}
		out.Contents = append(out.Contents, *a)
		for _, g := range offer.Groups {
			for _, name := range g.Contents {
				if g.Semantics == group.Semantics && name == c.Name {
					group.Contents = append(group.Contents, name)
				}
			}
		}
	}
	if len(group.Contents) > 0 {
		out.Groups = append(out.Groups, group)
	}
	return out
}

// ended has a client begin anew whose call has ended: with another bridge, if that was lost.
func (r *room) ended(l *leg, why *jingle.Reason) {
	m := l.member
	if m.leg != l {
		return
	}
	m.unbridge()
	r.service.rec.Debug("call.end", m.source.String(), "room", string(r.addr), "text", string(why.Condition)+" "+why.Text)
	switch {
	case l.theirs == nil && why.Condition == jingle.ConnectivityError && m.calls.Allow(time.Now(), 1):
		r.call(m, focus.BundledOffer(), nil)
	case m.answer != nil:
		r.drop(m)
	default:
		m.again()
	}
}
