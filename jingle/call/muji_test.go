package call

import (
	"strings"
	"testing"

	"parley/jingle"
	"parley/jingle/focus"
	"parley/jingle/seat"
	"parley/xmpp/route"
)

// muji sends the focus a Jingle element that names a room, "" for none.
func (c client) muji(action, sid, room, inner string) {
	c.w.t.Helper()
	if room != "" {
		inner += "<muji xmlns='urn:xmpp:jingle:muji:0' room='" + room + "'/>"
	}
	c.focus("set", "<jingle xmlns='urn:xmpp:jingle:1' action='"+action+"' sid='"+sid+"'>"+inner+"</jingle>")
}

func (c client) focus(typ, payload string) {
	c.w.t.Helper()
	p := seat.Parse([]byte("<iq xmlns='jabber:client' type='" + typ + "' id='i' to='" + string(theFocus) + "'>" + payload + "</iq>"))
	if p == nil {
		c.w.t.Fatal(payload)
	}
	c.w.s.Door().Handle(nil, c, theFocus, p)
}

func TestParticipantCallsTheFocus(t *testing.T) {
	w := newWorld(t)
	ann := client{w, "ann@x.net/phone"}
	ann.muji("session-initiate", "s1", "room@muc.x.net", voice+camera)
	ann.expect("type='result'", "from='"+string(theFocus)+"'")
	if got := strings.Join(w.log, ", "); got != "participant room@muc.x.net, call room@muc.x.net" {
		t.Fatal(got)
	}
	c := w.s.of(ann.addr, "room@muc.x.net")
	c.Accepted(&jingle.Jingle{})
	accept := ann.expect("from='"+string(theFocus)+"'", "session-accept", "sid='s1'", "responder='"+string(theFocus)+"'")
	// Answers come to the focus's address.
	_, id, _ := strings.Cut(accept, "id='")
	id, _, _ = strings.Cut(id, "'")
	p := seat.Parse([]byte("<iq xmlns='jabber:client' type='result' id='" + id + "' to='" + string(theFocus) + "'/>"))
	if w.s.Door().Handle(nil, ann, theFocus, p); len(c.accepts) != 0 {
		t.Error("what was accepted is not acknowledged")
	}
	// The same again is out of order, another session takes its place.
	ann.muji("session-initiate", "s1", "room@muc.x.net", voice)
	ann.expect("type='error'", "out-of-order")
	ann.muji("session-initiate", "s2", "room@muc.x.net", voice)
	ann.expect("type='result'")
	ann.expect("session-terminate", "sid='s1'")
	ann.muji("transport-info", "s1", "", voice)
	ann.expect("type='error'", "unknown-session")
	ann.muji("transport-info", "s2", "", voice)
	ann.expect("type='result'")
	ann.muji("session-terminate", "s2", "", "<reason><success/></reason>")
	ann.expect("type='result'")
	ann.expect()
	if len(w.at) != 0 || w.s.Calls() != 0 || len(w.s.mujis.bySID) != 0 || len(w.s.mujis.doubt) != 0 {
		t.Errorf("%d occupants, %d calls, %v", len(w.at), w.s.Calls(), w.s.mujis)
	}
}

func TestWhoDoesNotTakePartIsRefused(t *testing.T) {
	w := newWorld(t)
	ann, stranger := client{w, "ann@x.net/phone"}, client{w, "stranger@x.net/phone"}
	for _, room := range []string{"", "room@other.net", "muc.x.net", "room@muc.x.net/nick", "@"} {
		ann.muji("session-initiate", "s1", room, voice)
		ann.expect("type='error'", "service-unavailable")
	}
	stranger.muji("session-initiate", "s1", "room@muc.x.net", voice)
	stranger.expect("type='error'", "service-unavailable")
	ann.muji("session-initiate", "s1", "room@muc.x.net", "")
	ann.expect("type='error'", "bad-request")
	ann.muji("session-initiate", "s2", "room@muc.x.net", content("audio", "<payload-type id='9' name='G722' clockrate='8000'/>"))
	ann.expect("type='result'")
	ann.expect("session-terminate", "failed-application")
	ann.muji("transport-info", "s1", "", voice)
	ann.expect("type='error'", "unknown-session")
	ann.focus("set", "<query xmlns='jabber:iq:roster'/>")
	ann.expect("type='error'", "service-unavailable")
	ann.focus("get", "<query xmlns='"+nsInfo+"'/>")
	ann.expect("type='result'", "<feature var='urn:xmpp:jingle:muji:0'/>", "<feature var='urn:xmpp:jingle:transports:ice-udp:1'/>")
	ann.focus("get", "<ping xmlns='urn:xmpp:ping'/>")
	ann.expect("type='result'")
	if len(w.at) != 0 || w.s.Calls() != 0 || len(w.s.mujis.doubt) != 0 {
		t.Errorf("%d occupants, %d calls, %v", len(w.at), w.s.Calls(), w.s.mujis)
	}
}

// Candidates may overtake the room's answer to whether somebody takes part, and wait for it.
func TestCandidatesWaitUntilAParticipantIsKnown(t *testing.T) {
	w := newWorld(t)
	w.held = true
	ann := client{w, "ann@x.net/phone"}
	for _, sid := range []string{"s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8"} {
		ann.muji("session-initiate", sid, "room@muc.x.net", voice)
	}
	ann.expect()
	ann.muji("session-initiate", "s9", "room@muc.x.net", voice)
	ann.expect("type='error'", "out-of-order")
	ann.muji("transport-info", "s1", "", voice)
	ann.muji("transport-info", "s2", "", voice)
	ann.expect()
	w.asked[0](true)
	ann.expect("type='result'")
	ann.expect("type='result'")
	ann.expect()
	w.done[0](nil)
	if got := w.log[len(w.log)-1]; got != "trickle audio" {
		t.Error(got)
	}
	w.asked[1](false)
	ann.expect("type='error'", "service-unavailable")
	ann.expect("type='error'", "unknown-session")
	for _, answer := range w.asked[2:] {
		answer(false)
		ann.expect("type='error'", "service-unavailable")
	}
	if len(w.s.mujis.doubt) != 0 {
		t.Error(w.s.mujis.doubt)
	}
}

func TestFocusCallsAParticipant(t *testing.T) {
	w := newWorld(t)
	ann := client{w, "ann@x.net/phone"}
	offer := focus.OwnOffer()
	offer.Muji = &focus.MujiSession{Peer: ann.addr, SID: "o1", Ours: true}
	w.s.Begin("room@muc.x.net", offer)
	if w.s.Calls() != 0 {
		t.Error("who is not there is called")
	}
	w.at[ann.addr] = route.Receiver(ann)
	w.s.Begin("room@muc.x.net", offer)
	delete(w.at, ann.addr)
	if seat := w.seat(); seat.Addr().Bare() != "ann@x.net" || !IsSeat(seat.Addr()) {
		t.Errorf("the occupant is %s", seat.Addr())
	}
	c := w.s.of(ann.addr, "room@muc.x.net")
	c.Accepted(&jingle.Jingle{})
	ann.expect("from='"+string(theFocus)+"'", "session-initiate", "sid='o1'", "initiator='"+string(theFocus)+"'", "<muji xmlns='urn:xmpp:jingle:muji:0' room='room@muc.x.net'/>")
	ann.muji("session-accept", "o1", "", voice)
	ann.expect("type='result'")
	if got := w.log[len(w.log)-1]; got != "agree" {
		t.Error(got)
	}
	c.Ended(&jingle.Reason{Condition: jingle.Success})
	ann.expect("session-terminate", "sid='o1'")
	w.s.Broke(focus.MujiSession{Peer: ann.addr, SID: "old"})
	ann.expect("from='"+string(theFocus)+"'", "session-terminate", "sid='old'", "initiator='"+string(ann.addr)+"'", "connectivity-error")
	if len(w.at) != 0 || w.s.Calls() != 0 || len(w.s.mujis.bySID) != 0 {
		t.Errorf("%d occupants, %d calls", len(w.at), w.s.Calls())
	}
}
