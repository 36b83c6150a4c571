package call

import (
	"slices"
	"strings"
	"testing"

	"parley/jingle"
	"parley/jingle/focus"
	"parley/xmpp/wire"
)

var screen = strings.Replace(strings.Replace(camera, "senders='both'", "senders='initiator'", 1), "<payload-type",
	"<category xmlns='urn:xmpp:jingle:apps:category:0' name='slides'/><payload-type", 1)

// shown is what the room was shown last.
func (w *world) shown() string {
	w.t.Helper()
	if len(w.rooms) == 0 {
		w.t.Fatal("nothing was said to the room")
	}
	return wire.UnescapeString([]byte(w.rooms[len(w.rooms)-1]))
}

// accept has the focus accept a further session, and returns the id of what the client is told.
func (c client) accept(u focus.Caller, sid string) string {
	c.w.t.Helper()
	u.Accepted(&jingle.Jingle{})
	return id(c.expect("type='set'", "action='session-accept'", "sid='"+sid+"'", "responder='"+meeting+"'", "initiator='"+string(c.addr)+"'", "isfocus='true'"))
}

// A client that knows such conferences begins further sessions in which it only sends (XEP-0521 §4): the room is shown their sources,
// and what it says in one comes to the focus with its number.
func TestFurtherSessions(t *testing.T) {
	w := newWorld(t)
	ann := client{w, "ann@x.net/phone"}
	ann.attend("s1", sends, jingle.NSConference)
	w.log = nil
	ann.jingle("session-initiate", "s2", screen)
	ann.expect("type='result'")
	if want := []string{"uplink 1 map[video:video] true"}; !slices.Equal(w.log, want) {
		t.Errorf("the focus is told %q", w.log)
	}
	if got := w.shown(); !strings.Contains(got, `"ann-v1":{"muted":false,"videoType":"desktop"}`) || !strings.Contains(got, `"ann-a0":{"muted":false}`) || !strings.Contains(got, "<videomuted>false<") {
		t.Errorf("the room is shown %s", got)
	}
	taken := ann.accept(w.ups[0], "s2")
	ann.send("<iq type='result' id='" + taken + "' to='" + meeting + "'/>")
	w.log = nil
	for _, step := range []struct{ action, inner, answer string }{
		{"session-initiate", screen, "out-of-order"},
		{"transport-info", "<content creator='initiator' name='video'/>", "type='result'"},
		{"content-modify", "<content creator='initiator' name='video' senders='none'/>", "type='result'"},
		{"description-info", "<content creator='initiator' name='video'/>", "type='result'"},
		{"session-info", "<dance xmlns='urn:x'/>", "unsupported-info"},
		{"session-accept", screen, "out-of-order"},
		{"transport-replace", screen, "feature-not-implemented"},
		{"session-info", "<mute xmlns='urn:xmpp:jingle:apps:rtp:info:1' creator='initiator' name='video'/>", "type='result'"},
	} {
		ann.jingle(step.action, "s2", step.inner)
		ann.expect(step.answer)
	}
	if want := []string{"uplinked 1 transport-info", "uplinked 1 content-modify"}; !slices.Equal(w.log, want) {
		t.Errorf("the focus is told %q", w.log)
	}
	if got := w.shown(); !strings.Contains(got, `"ann-v1":{"muted":true,"videoType":"desktop"}`) || !strings.Contains(got, `"ann-a0":{"muted":false}`) || !strings.Contains(got, "<videomuted>true<") {
		t.Errorf("muted, the room is shown %s", got)
	}
	ann.jingle("content-add", "s2", screen)
	ann.expect("type='result'")
	ann.expect("action='content-reject'", "sid='s2'")
	// It ends, and its number is free again.
	w.log = nil
	ann.jingle("session-terminate", "s2", "")
	ann.expect("type='result'")
	ann.jingle("session-terminate", "s2", "")
	ann.expect("unknown-session")
	if got := w.shown(); strings.Contains(got, "-v1") {
		t.Errorf("the room is shown %s", got)
	}
	w.ups[0].Accepted(&jingle.Jingle{}) // too late
	ann.expect()
	ann.jingle("session-initiate", "s3", screen)
	ann.expect("type='result'")
	if want := []string{"uplinked 1 session-terminate", "uplink 1 map[video:video] true"}; !slices.Equal(w.log, want) {
		t.Errorf("the focus is told %q", w.log)
	}
	// A client that cannot take what was accepted has nothing of it.
	w.log = nil
	refused := ann.accept(w.ups[1], "s3")
	for range 2 {
		ann.send("<iq type='error' id='" + refused + "' to='" + meeting + "'><error type='cancel'/></iq>")
	}
	if want := []string{"uplinked 1 session-terminate"}; !slices.Equal(w.log, want) || w.s.Calls() != 1 {
		t.Errorf("the focus is told %q, there are %d calls", w.log, w.s.Calls())
	}
	// Nor one whose session the focus has ended.
	ann.jingle("session-initiate", "s4", screen)
	ann.expect("type='result'")
	w.ups[2].Ended(&jingle.Reason{Condition: jingle.ConnectivityError})
	ann.expect("action='session-terminate'", "sid='s4'", "connectivity-error")
	if got := w.shown(); strings.Contains(got, "-v1") {
		t.Errorf("the room is shown %s", got)
	}
}

// The call goes on as long as the client sends in one session; with it all end.
func TestFirstSessionIsOneOfThem(t *testing.T) {
	begin := func(t *testing.T) (*world, client) {
		w := newWorld(t)
		ann := client{w, "ann@x.net/phone"}
		ann.attend("s1", sends, jingle.NSConference)
		ann.jingle("session-initiate", "s2", screen)
		ann.expect("type='result'")
		w.log = nil
		return w, ann
	}
	t.Run("it ends first", func(t *testing.T) {
		w, ann := begin(t)
		ann.jingle("session-terminate", "s1", "")
		ann.expect("type='result'")
		if want := []string{"reduce [audio]"}; !slices.Equal(w.log, want) || w.s.Calls() != 1 || len(w.at) != 1 {
			t.Errorf("the focus is told %q, there are %d calls", w.log, w.s.Calls())
		}
		if got := w.shown(); strings.Contains(got, "-a0") || !strings.Contains(got, "-v1") || !strings.Contains(got, "<audiomuted>true<") {
			t.Errorf("the room is shown %s", got)
		}
		ann.jingle("transport-info", "s1", "<content creator='initiator' name='audio'/>")
		ann.expect("unknown-session")
		w.s.of(ann.addr, "room@muc.x.net").Ended(&jingle.Reason{Condition: jingle.Success}) // as the focus does after the last
		ann.expect("action='session-terminate'", "sid='s2'")
		ann.expect()
		if w.s.Calls() != 0 || len(w.at) != 0 {
			t.Errorf("there are %d calls", w.s.Calls())
		}
	})
	t.Run("its way is lost", func(t *testing.T) {
		w, ann := begin(t)
		for range 2 {
			w.s.of(ann.addr, "room@muc.x.net").Accepted(&jingle.Jingle{Action: jingle.SessionTerminate, Reason: &jingle.Reason{Condition: jingle.ConnectivityError}})
		}
		ann.expect("action='session-terminate'", "sid='s1'", "connectivity-error")
		ann.expect()
		if got := w.shown(); strings.Contains(got, "-a0") || !strings.Contains(got, "-v1") || w.s.Calls() != 1 {
			t.Errorf("the room is shown %s, there are %d calls", got, w.s.Calls())
		}
		ann.jingle("session-terminate", "s1", "")
		ann.expect("unknown-session")
	})
	t.Run("the call ends", func(t *testing.T) {
		w, ann := begin(t)
		w.s.of(ann.addr, "room@muc.x.net").Ended(&jingle.Reason{Condition: jingle.ConnectivityError})
		ann.expect("action='session-terminate'", "sid='s2'")
		ann.expect("action='session-terminate'", "sid='s1'")
		ann.expect()
	})
	t.Run("too many", func(t *testing.T) {
		w, ann := begin(t)
		for n := range uplinksMost {
			sid := "m" + string(rune('0'+n))
			ann.jingle("session-initiate", sid, screen)
			ann.expect("type='result'")
			if n == uplinksMost-1 {
				ann.expect("action='session-terminate'", "sid='"+sid+"'", "<busy/>")
			}
		}
		if len(w.log) != uplinksMost-1 || w.s.Calls() != 1 {
			t.Errorf("the focus is told %q", w.log)
		}
	})
	t.Run("one of both sides", func(t *testing.T) {
		w, ann := begin(t)
		ann.jingle("session-initiate", "b", voice)
		ann.expect("type='result'")
		ann.expect("action='session-terminate'", "sid='b'", "<busy/>")
		if len(w.log) != 0 {
			t.Errorf("the focus is told %q", w.log)
		}
	})
}

// A session that comes before the client has said whether it knows such conferences waits for that; if it does not, it is another
// call, as it would be from then on.
func TestFurtherSessionWaitsForTheAnswer(t *testing.T) {
	begin := func(t *testing.T) (w *world, ann client, question string) {
		w = newWorld(t)
		ann = client{w, "ann@x.net/phone"}
		ann.jingle("session-initiate", "s1", sends)
		ann.expect("type='result'")
		question = ann.expect("type='get'")
		ann.jingle("session-initiate", "s2", screen)
		ann.expect("type='result'")
		ann.jingle("transport-info", "s2", "<content creator='initiator' name='video'/>")
		ann.expect("type='result'")
		if len(w.log) != 1 {
			t.Fatalf("the focus is told %q", w.log)
		}
		w.log = nil
		return w, ann, question
	}
	t.Run("it does", func(t *testing.T) {
		w, ann, question := begin(t)
		ann.answer(question, jingle.NSConference)
		if want := []string{"every ", "uplink 1 map[video:video] true", "uplinked 1 transport-info"}; !slices.Equal(w.log, want) {
			t.Errorf("the focus is told %q", w.log)
		}
	})
	t.Run("it does not", func(t *testing.T) {
		w, ann, question := begin(t)
		ann.answer(question, jingle.NSJingle)
		if want := []string{"forget room@muc.x.net", "call room@muc.x.net"}; !slices.Equal(w.log, want) || w.s.Calls() != 1 || w.s.of(ann.addr, "room@muc.x.net").sid != "s2" {
			t.Errorf("the focus is told %q, there are %d calls", w.log, w.s.Calls())
		}
	})
	t.Run("it takes it back", func(t *testing.T) {
		w, ann, question := begin(t)
		ann.jingle("session-terminate", "s2", "")
		ann.expect("type='result'")
		ann.answer(question, jingle.NSConference)
		if want := []string{"every "}; !slices.Equal(w.log, want) {
			t.Errorf("the focus is told %q", w.log)
		}
	})
}
