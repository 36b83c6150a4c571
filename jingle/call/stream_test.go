package call

import (
	"slices"
	"strings"
	"testing"

	"parley/jingle"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

var sends = strings.Replace(voice, "senders='both'", "senders='initiator'", 1)

// attend has a client call that only sends, and answers what it is asked with features.
func (c client) attend(sid, inner string, features ...string) *session {
	c.w.t.Helper()
	c.jingle("session-initiate", sid, inner)
	c.expect("type='result'", "id='i'")
	question := c.expect("type='get'", "from='"+meeting+"'", "<query xmlns='"+nsInfo+"'/>")
	c.answer(question, features...)
	return c.w.s.of(c.addr, "room@muc.x.net")
}

// id is that of a stanza.
func id(stanza string) string {
	_, id, _ := strings.Cut(stanza, " id='")
	id, _, _ = strings.Cut(id, "'")
	return id
}

// answer answers disco#info.
func (c client) answer(question string, features ...string) {
	c.w.t.Helper()
	var list string
	for _, f := range features {
		list += "<feature var='" + f + "'/>"
	}
	c.send("<iq type='result' id='" + id(question) + "' to='" + meeting + "'><query xmlns='" + nsInfo + "'>" + list + "</query></iq>")
}

// Only a client that says that it knows such conferences is brought streams in sessions that it has not asked for.
func TestClientIsAskedBeforeItIsBroughtStreams(t *testing.T) {
	t.Run("it knows them", func(t *testing.T) {
		w := newWorld(t)
		ann := client{w, "ann@x.net/phone"}
		ann.attend("s1", sends+"<muji xmlns='urn:xmpp:jingle:muji:0' room='room@muc.x.net'/>", jingle.NSJingle, jingle.NSConference)
		if !slices.Equal(w.log, []string{"call room@muc.x.net", "every room@muc.x.net"}) {
			t.Errorf("the focus is told %q", w.log)
		}
		// It has no camera, but sees those of others.
		if last := wire.UnescapeString([]byte(w.rooms[len(w.rooms)-1])); !strings.Contains(last, "<jitsi_participant_codecList>vp8<") {
			t.Errorf("the room is told %s", last)
		}
	})
	t.Run("it names another chat room", func(t *testing.T) {
		w := newWorld(t)
		ann := client{w, "ann@x.net/phone"}
		ann.attend("s1", sends+"<muji xmlns='urn:xmpp:jingle:muji:0' room='other@muc.x.net'/>", jingle.NSConference)
		if !slices.Equal(w.log, []string{"call room@muc.x.net", "every "}) {
			t.Errorf("the focus is told %q", w.log)
		}
	})
	t.Run("before the room answers", func(t *testing.T) {
		w := newWorld(t)
		w.held = true
		ann := client{w, "ann@x.net/phone"}
		ann.attend("s1", sends, jingle.NSConference)
		if len(w.log) != 1 {
			t.Errorf("the focus is told %q", w.log)
		}
		w.done[0](nil)
		if !slices.Equal(w.log, []string{"call room@muc.x.net", "every "}) {
			t.Errorf("the focus is told %q", w.log)
		}
	})
	t.Run("it does not", func(t *testing.T) {
		w := newWorld(t)
		ann := client{w, "ann@x.net/phone"}
		ann.attend("s1", sends, jingle.NSJingle)
		if len(w.log) != 1 {
			t.Errorf("the focus is told %q", w.log)
		}
	})
	t.Run("it cannot say", func(t *testing.T) {
		w := newWorld(t)
		ann := client{w, "ann@x.net/phone"}
		ann.jingle("session-initiate", "s1", sends)
		ann.expect("type='result'", "id='i'")
		question := ann.expect("type='get'")
		ann.send("<iq type='error' id='" + id(question) + "' to='" + meeting + "'><query xmlns='" + nsInfo + "'><feature var='" + jingle.NSConference + "'/></query><error type='cancel'/></iq>")
		if len(w.log) != 1 || w.s.Calls() != 1 {
			t.Errorf("the focus is told %q, there are %d calls", w.log, w.s.Calls())
		}
	})
	t.Run("another question", func(t *testing.T) {
		w := newWorld(t)
		ann := client{w, "ann@x.net/phone"}
		ann.jingle("session-initiate", "s1", sends)
		ann.expect("type='result'", "id='i'")
		ann.expect("type='get'")
		ann.answer(" id='other'", jingle.NSConference)
		ann.answer(" id=''", jingle.NSConference)
		if len(w.log) != 1 {
			t.Errorf("the focus is told %q", w.log)
		}
	})
	t.Run("a call of both sides", func(t *testing.T) {
		w := newWorld(t)
		ann := client{w, "ann@x.net/phone"}
		ann.call("s1")
		ann.expect()
	})
}

// What a client says in a session that brings a stream comes to the focus as far as it makes sense; sessions that there are not, and
// answers that are none, are refused.
func TestSessionsThatBringStreams(t *testing.T) {
	w := newWorld(t)
	ann := client{w, "ann@x.net/phone"}
	c := ann.attend("s1", sends, jingle.NSConference)
	w.log = nil
	transport := "<content creator='initiator' name='audio'/>"
	ann.jingle("session-accept", "b1", transport)
	ann.expect("type='error'", "unknown-session")
	bring := func(sid string) string {
		t.Helper()
		c.Feed(&jingle.Jingle{Action: jingle.SessionInitiate, SID: sid})
		return id(ann.expect("type='set'", "from='"+meeting+"'", "action='session-initiate'", "initiator='"+meeting+"'", "sid='"+sid+"'"))
	}
	bring("b1")
	for _, step := range []struct{ action, inner, answer string }{
		{"transport-info", transport, "type='result'"},
		{"session-info", "<ringing xmlns='urn:xmpp:jingle:apps:rtp:info:1'/>", "type='result'"},
		{"session-info", "<dance xmlns='urn:x'/>", "unsupported-info"},
		{"session-info", "<conference-info xmlns='urn:xmpp:coin:1' isfocus='maybe'/>", "bad-request"},
		{"session-accept", transport, "type='result'"},
		{"session-accept", transport, "out-of-order"},
		{"content-modify", transport, "feature-not-implemented"},
		{"content-add", transport, "feature-not-implemented"},
		{"content-remove", transport, "type='result'"},
		{"session-terminate", "", "type='result'"},
		{"session-terminate", "", "unknown-session"},
	} {
		ann.jingle(step.action, "b1", step.inner)
		ann.expect(step.answer)
	}
	if want := []string{"fed transport-info b1", "fed session-accept b1", "fed content-remove b1", "fed session-terminate b1"}; !slices.Equal(w.log, want) {
		t.Errorf("the focus is told %q", w.log)
	}
	// A client that cannot take a session has none; that it took one is no news.
	w.log = nil
	taken, refused := bring("b2"), bring("b3")
	ann.send("<iq type='result' id='" + taken + "' to='" + meeting + "'/>")
	for range 2 {
		ann.send("<iq type='error' id='" + refused + "' to='" + meeting + "'><error type='cancel'/></iq>")
	}
	if !slices.Equal(w.log, []string{"fed session-terminate b3"}) {
		t.Errorf("the focus is told %q", w.log)
	}
	c.Feed(&jingle.Jingle{Action: jingle.SessionTerminate, SID: "b2"})
	ann.expect("action='session-terminate'", "sid='b2'")
	ann.jingle("session-accept", "b2", transport)
	ann.expect("unknown-session")
	if len(c.brought)+len(c.begins) != 0 {
		t.Errorf("%d sessions and %d answers are remembered", len(c.brought), len(c.begins))
	}
	// However many are not acknowledged, the call goes on.
	for n := range 2 * deafAfter {
		bring("c" + string(rune('a'+n)))
	}
	if w.s.Calls() != 1 {
		t.Error("the call has ended")
	}
}

// The settings of the conference are those of the room, asked for and changed by the room's rules for the client.
func TestConferenceIsConfigured(t *testing.T) {
	w := newWorld(t)
	ann := client{w, "ann@x.net/phone"}
	ask := func(to, attrs, inner string) {
		ann.send("<iq type='set' id='k' to='" + to + "'><command xmlns='" + nsCommands + "' " + attrs + ">" + inner + "</command></iq>")
	}
	config := "node='" + nodeConfig + "'"
	// room lets the room answer the last request.
	room := func(typ, inner string) string {
		t.Helper()
		var clerk route.Receiver
		for _, clerk = range w.at { // one
			if clerk.Addr().Bare() != "ann@x.net" || !IsSeat(clerk.Addr()) {
				t.Errorf("the room is asked by %s", clerk.Addr())
			}
			clerk.Deliver(nil, "", wire.Stanza{Kind: wire.IQ, Tail: []byte(" from='room@muc.x.net' id='c' type='" + typ + "'>" + inner + "</iq>")})
		}
		if clerk == nil || len(w.at) != 0 {
			t.Fatalf("%d are left of those who ask", len(w.at))
		}
		return w.rooms[len(w.rooms)-1]
	}
	ask(meeting, config, "")
	asked := room("result", "<query xmlns='"+nsOwner+"'><x xmlns='jabber:x:data' type='form'><field var='a'/></x></query>")
	if !strings.Contains(asked, "type='get'") || !strings.Contains(asked, "to='room@muc.x.net'") || !strings.Contains(asked, "<query xmlns='"+nsOwner+"'/>") {
		t.Errorf("the room is asked %s", asked)
	}
	got := ann.expect("type='result'", "id='k'", "status='executing'", "<complete/>", "<x xmlns='jabber:x:data' type='form'><field var='a'/></x>")
	_, session, _ := strings.Cut(got, "sessionid='")
	session, _, _ = strings.Cut(session, "'")
	ask("room@muc.x.net", config+" sessionid='"+session+"' action='complete'", "<x xmlns='jabber:x:data' type='submit'><field var='a'><value>1</value></field></x>")
	if asked := room("result", ""); !strings.Contains(asked, "type='set'") || !strings.Contains(asked, "<query xmlns='"+nsOwner+"'><x xmlns='jabber:x:data' type='submit'><field var='a'><value>1</value></field></x></query>") {
		t.Errorf("the room is asked %s", asked)
	}
	ann.expect("type='result'", "status='completed'", "sessionid='"+session+"'")
	ask(meeting, config, "")
	room("error", "<error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>")
	ann.expect("type='error'", "<forbidden ")
	n := len(w.rooms)
	ask(meeting, config+" action='cancel' sessionid='x'", "")
	ann.expect("status='canceled'", "sessionid='x'")
	ask(meeting, "node='other'", "")
	ann.expect("item-not-found")
	ask("call.x.net", config, "")
	ann.expect("item-not-found")
	ask(meeting, config, "<x xmlns='jabber:x:data' type='form'/>")
	ann.expect("bad-request")
	if len(w.rooms) != n || w.s.clerks != 0 {
		t.Errorf("rooms are asked %q, %d are on their way", w.rooms[n:], w.s.clerks)
	}
	ann.send("<iq type='get' id='l' to='" + meeting + "'><query xmlns='" + nsItems + "' node='" + nsCommands + "'/></iq>")
	ann.expect("node='" + nodeConfig + "'")
	ann.send("<iq type='get' id='l' to='" + meeting + "'><query xmlns='" + nsInfo + "' node='" + nodeConfig + "'/></iq>")
	ann.expect("category='automation'", "type='command-node'")
}
