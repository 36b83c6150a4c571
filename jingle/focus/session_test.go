package focus

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"parley/bridge/api"
	"parley/jingle"
	"parley/muc"
)

// two are two members in a call; the first has accepted.
func two(t *testing.T) *play {
	p := newPlay(t)
	p.join("aaaaaaaa", modern)
	p.join("bbbbbbbb", modern)
	if got := p.accept("aaaaaaaa", 100); got != "" {
		t.Fatal(got)
	}
	p.seen = nil
	return p
}

// answer answers the last offer to a member.
func (p *play) answer(nick, typ string) {
	p.t.Helper()
	inner := ""
	if typ == "error" {
		inner = "<error type='cancel'><feature-not-implemented xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
	}
	p.send(occupant(nick), typ, p.offerID[nick], inner)
}

func bridgeSession(id, attr string) string {
	return "<bridge-session xmlns='http://jitsi.org/protocol/focus' id='" + id + "' " + attr + "/>"
}

func TestSlowClientsGetOneMoreOffer(t *testing.T) {
	t.Run("no result", func(t *testing.T) {
		p := two(t)
		first := p.sid["bbbbbbbb"]
		p.pass(resultTime - 1)
		if got := p.sent("bbbbbbbb"); got != "" {
			t.Fatalf("%q too early", got)
		}
		p.pass(1)
		if got := p.sent("bbbbbbbb"); got != "session-terminate session-initiate" || p.sid["bbbbbbbb"] == first {
			t.Fatalf("%q", got)
		}
		p.pass(resultTime)
		if got := p.sent("bbbbbbbb"); got != "session-terminate" || p.endpoint("bbbbbbbb") != nil || p.endpoint("aaaaaaaa") == nil {
			t.Fatalf("%q, the bridge is asked for %+v", got, p.wish)
		}
		p.pass(time.Hour)
		if got := p.sent("bbbbbbbb"); got != "" {
			t.Errorf("%q after it was given up", got)
		}
		p.leave("bbbbbbbb")
		p.join("bbbbbbbb", modern)
		if got := p.sent("bbbbbbbb"); got != "session-initiate" {
			t.Errorf("%q when it comes again", got)
		}
	})
	t.Run("no accept", func(t *testing.T) {
		p := two(t)
		p.answer("bbbbbbbb", "result")
		p.pass(acceptTime - 1)
		if got := p.sent("bbbbbbbb"); got != "" {
			t.Fatalf("%q too early", got)
		}
		p.pass(1)
		if got := p.sent("bbbbbbbb"); got != "session-terminate session-initiate" {
			t.Fatalf("%q", got)
		}
		if got := p.accept("bbbbbbbb", 200); got != "" {
			t.Error(got)
		}
		p.pass(time.Hour)
		if got := p.sent("bbbbbbbb"); strings.Contains(got, "terminate") {
			t.Errorf("%q after it accepted", got)
		}
	})
	t.Run("an error", func(t *testing.T) {
		p := two(t)
		p.answer("bbbbbbbb", "error")
		if got := p.sent("bbbbbbbb"); got != "session-terminate session-initiate" {
			t.Fatalf("%q", got)
		}
		p.answer("bbbbbbbb", "error")
		if got := p.sent("bbbbbbbb"); got != "session-terminate" {
			t.Errorf("%q", got)
		}
	})
}

func TestRestartRequests(t *testing.T) {
	p := two(t)
	p.accept("bbbbbbbb", 200)
	p.seen = nil
	restart := func(nick string) string {
		return p.jingle(nick, jingle.SessionTerminate, "<reason><connectivity-error/></reason>"+bridgeSession(p.bridge[nick], "restart='true'"))
	}
	if got := p.jingle("aaaaaaaa", jingle.SessionTerminate, "<reason><gone/></reason>"+bridgeSession("other", "restart='true'")); got != "item-not-found" {
		t.Fatalf("a wrong bridge session: %q", got)
	}
	for i := range 5 {
		sid, number := p.sid["aaaaaaaa"], p.endpoint("aaaaaaaa").Session
		if got := restart("aaaaaaaa"); got != "" {
			t.Fatalf("restart %d: %q", i, got)
		}
		if got := p.sent("aaaaaaaa"); got != "session-initiate" || p.sid["aaaaaaaa"] == sid || p.endpoint("aaaaaaaa").Session <= number {
			t.Fatalf("restart %d: %q, the bridge is asked for %+v", i, got, p.endpoint("aaaaaaaa"))
		}
		p.pass(paceApart)
		p.seen = nil
	}
	p.pass(10 * time.Second)
	p.seen = nil
	if got := restart("aaaaaaaa"); got != "resource-constraint" {
		t.Errorf("the sixth in a minute: %q", got)
	}
	if got := p.sent("aaaaaaaa"); got != "" || p.endpoint("aaaaaaaa") != nil {
		t.Errorf("it is sent %q, the bridge is asked for %+v", got, p.endpoint("aaaaaaaa"))
	}
	// Too fast.
	if got := restart("bbbbbbbb"); got != "" {
		t.Fatal(got)
	}
	p.pass(paceApart - 1)
	p.seen = nil
	if got := restart("bbbbbbbb"); got != "resource-constraint" || p.endpoint("bbbbbbbb") != nil {
		t.Errorf("the second in 5 s: %q", got)
	}
	if len(p.c.members) != 2 {
		t.Error("somebody has left the call")
	}
}

func TestTerminateWithoutRestart(t *testing.T) {
	p := two(t)
	p.accept("bbbbbbbb", 200)
	p.seen = nil
	if got := p.jingle("aaaaaaaa", jingle.SessionTerminate, "<reason><success/></reason>"); got != "" {
		t.Fatal(got)
	}
	if p.endpoint("aaaaaaaa") != nil || len(p.told["bbbbbbbb"]) != 2 {
		t.Errorf("the bridge is asked for %+v, b knows %v", p.endpoint("aaaaaaaa"), p.told["bbbbbbbb"])
	}
	p.pass(time.Hour)
	if got := p.jingle("aaaaaaaa", jingle.SourceAdd, only("audio", microphone("aaaaaaaa", 7))); got != "item-not-found" {
		t.Errorf("in an ended session: %q", got)
	}
}

func TestICERestart(t *testing.T) {
	p := two(t)
	p.silent = true
	if got := p.jingle("aaaaaaaa", jingle.SessionInfo, bridgeSession("other", "ice-restart='true'")); got != "item-not-found" {
		t.Errorf("a wrong bridge session: %q", got)
	}
	if got := p.jingle("bbbbbbbb", jingle.SessionInfo, bridgeSession(p.bridge["bbbbbbbb"], "ice-restart='true'")); got != "unexpected-request" {
		t.Errorf("before the accept: %q", got)
	}
	wish := bridgeSession(p.bridge["aaaaaaaa"], "ice-restart='true'")
	if got := p.jingle("aaaaaaaa", jingle.SessionInfo, wish); got != "" {
		t.Fatal(got)
	}
	e := p.endpoint("aaaaaaaa")
	if e.Restart != 1 || e.Remote.Ufrag != "abcd" || len(e.Sources) != 2 {
		t.Fatalf("the bridge is asked for %+v", e)
	}
	if got := p.jingle("aaaaaaaa", jingle.SessionInfo, wish); got != "resource-constraint" {
		t.Errorf("another at once: %q", got)
	}
	fresh := func(generation int) string {
		return fmt.Sprintf("<content creator='initiator' name='audio'><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ice-generation='%d' ufrag='new1' pwd='abcdefghijklmnopqrstuv'/></content>"+
			"<content creator='initiator' name='video'><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ice-generation='%d' ufrag='new1' pwd='abcdefghijklmnopqrstuv'/></content>", generation, generation)
	}
	if got := p.jingle("aaaaaaaa", jingle.TransportInfo, fresh(1)); got != "bad-request" {
		t.Errorf("an answer before the offer: %q", got)
	}
	p.seen = nil
	p.do(func() { p.c.transport(transport(meeting, e.ID, e.Session, 2)) })
	if got := p.sent("aaaaaaaa"); got != "" {
		t.Errorf("%q for a restart that nobody asked for", got)
	}
	p.do(func() { p.c.transport(transport(meeting, e.ID, e.Session, 1)) })
	var sent string
	for _, x := range p.seen {
		if a, ok := x.(ask); ok {
			sent = string(a.payload)
		}
	}
	for _, want := range []string{"action='transport-info'", "ice-generation='1'", "ufrag='e9Lu11'", "name='audio'", "<candidate "} {
		if !strings.Contains(sent, want) {
			t.Errorf("%s is missing in %s", want, sent)
		}
	}
	if strings.Contains(sent, "web-socket") {
		t.Error("the bridge channel is offered again")
	}
	p.seen = nil
	p.do(func() { p.c.transport(transport(meeting, e.ID, e.Session, 1)) })
	if got := p.sent("aaaaaaaa"); got != "" {
		t.Errorf("the same transport again: %q", got)
	}
	for generation, want := range map[int]string{2: "bad-request", 1: ""} {
		if got := p.jingle("aaaaaaaa", jingle.TransportInfo, fresh(generation)); got != want {
			t.Errorf("generation %d: %q", generation, got)
		}
	}
	if r := p.endpoint("aaaaaaaa").Remote; r.Ufrag != "new1" || r.Pwd != "abcdefghijklmnopqrstuv" || r.Fingerprints[0].Value != print {
		t.Errorf("remote %+v", r)
	}
}

func TestLegacyICEState(t *testing.T) {
	p := two(t)
	state := func(s string) string {
		return p.jingle("aaaaaaaa", jingle.SessionInfo, "<ice-state xmlns='http://jitsi.org/protocol/focus'>"+s+"</ice-state>")
	}
	if got := state("connected"); got != "" || p.sent("aaaaaaaa") != "" {
		t.Errorf("connected: %q", got)
	}
	if got := state("failed"); got != "" {
		t.Fatal(got)
	}
	if got := p.sent("aaaaaaaa"); got != "session-terminate session-initiate" {
		t.Errorf("it is sent %q", got)
	}
	if got := state("failed"); got != "resource-constraint" {
		t.Errorf("again: %q", got)
	}
	if got := p.jingle("aaaaaaaa", jingle.SessionInfo, ""); got != "" {
		t.Errorf("a ping: %q", got)
	}
	if got := p.jingle("aaaaaaaa", jingle.SessionInfo, "<x xmlns='urn:unknown'/>"); got != "feature-not-implemented" {
		t.Errorf("unknown: %q", got)
	}
}

func TestWhoIsAloneKeepsTheSessionForAWhile(t *testing.T) {
	p := two(t)
	p.leave("bbbbbbbb")
	p.pass(loneliness - 1)
	p.join("bbbbbbbb", modern)
	if got := p.sent("aaaaaaaa"); got != "" {
		t.Errorf("the first is sent %q", got)
	}
	p.leave("bbbbbbbb")
	p.pass(loneliness - 1)
	if p.endpoint("aaaaaaaa") == nil {
		t.Fatal("it ended early")
	}
	p.pass(1)
	if got := p.sent("aaaaaaaa"); got != "session-terminate" || len(p.wish.Endpoints) != 0 {
		t.Errorf("it is sent %q, the bridge is asked for %+v", got, p.wish)
	}
	if !p.c.deadline().IsZero() {
		t.Error("a timer runs for nobody")
	}
	p.join("bbbbbbbb", modern)
	if got := p.sent("aaaaaaaa"); got != "session-initiate" {
		t.Errorf("when somebody comes: %q", got)
	}
}

func TestAnotherBridge(t *testing.T) {
	p := two(t)
	old := *p.endpoint("aaaaaaaa")
	p.do(func() { p.c.found(api.Hello{}, false, p.now) })
	if got := p.sent("aaaaaaaa"); got != "" || p.endpoint("aaaaaaaa") == nil {
		t.Fatalf("a lost connection: %q", got)
	}
	p.join("cccccccc", modern)
	if !strings.Contains(p.c.shown, "bridgeNotAvailable") || !strings.Contains(p.c.shown, "key='bridge-count' value='0'") || p.endpoint("cccccccc") != nil {
		t.Errorf("presence %s", p.c.shown)
	}
	version := p.wish.Version
	p.seen = nil
	// The same one is back, and has everything.
	p.do(func() { p.c.greeted(api.Hello{Bridge: "b1", Conferences: map[string]uint64{meeting: version}}, p.now) })
	if got := p.sent("aaaaaaaa"); got != "" || p.wish.Version <= version || p.endpoint("cccccccc") == nil {
		t.Errorf("the same bridge: %q", got)
	}
	if strings.Contains(p.c.shown, "bridgeNotAvailable") || !strings.Contains(p.c.shown, "key='bridge-count' value='1'") {
		t.Errorf("presence %s", p.c.shown)
	}
	for _, h := range []api.Hello{
		{Bridge: "b2", Conferences: map[string]uint64{meeting: version + 10}}, // another, that was told already what was wished
		{Bridge: "b2"}, // the same, that has given up the conference
	} {
		p.do(func() { p.c.found(h, true, p.now); p.c.greeted(h, p.now) })
		if got := p.sent("aaaaaaaa"); got != "session-terminate session-initiate" && got != "session-initiate" {
			t.Errorf("%+v: %q", h, got)
		}
		e := p.endpoint("aaaaaaaa")
		if e.Session <= old.Session || e.Remote != nil || len(e.Sources) != 0 {
			t.Errorf("the bridge is asked for %+v", e)
		}
		old = *e
		if got := p.accept("aaaaaaaa", 100); got != "" {
			t.Error(got)
		}
		p.seen = nil
	}
	if len(p.c.members) != 3 || p.wish.Version <= version+10 {
		t.Errorf("%d members, version %d", len(p.c.members), p.wish.Version)
	}
}

func TestHB4WrongCertificateEndsTheSession(t *testing.T) {
	p := two(t)
	failed := api.State{Endpoint: "aaaaaaaa", Session: p.endpoint("aaaaaaaa").Session, State: api.Failed, Reason: "connectivity-error"}
	p.do(func() { p.c.state(&failed, p.now) })
	if got := p.sent("aaaaaaaa"); got != "" {
		t.Errorf("%q when ICE failed, of which the client knows", got)
	}
	failed.Reason, failed.Session = "security-error", failed.Session-1
	p.do(func() { p.c.state(&failed, p.now) })
	if p.endpoint("aaaaaaaa") == nil {
		t.Error("an old session's failure ends the present one")
	}
	failed.Session++
	p.do(func() { p.c.state(&failed, p.now) })
	var sent string
	for _, x := range p.seen {
		if a, ok := x.(ask); ok && a.nick == "aaaaaaaa" {
			sent = string(a.payload)
		}
	}
	if !strings.Contains(sent, "session-terminate") || !strings.Contains(sent, "<security-error/>") || p.endpoint("aaaaaaaa") != nil || len(p.c.members) != 2 {
		t.Errorf("it is sent %s", sent)
	}
}

func TestBridgeWithoutRoomIsAskedAgain(t *testing.T) {
	p := newPlay(t)
	p.join("aaaaaaaa", modern)
	p.accept("aaaaaaaa", 100)
	p.silent = true
	p.join("bbbbbbbb", modern)
	p.seen = nil
	for range 5 { // however long there is none
		session := p.endpoint("bbbbbbbb").Session
		full := api.State{Endpoint: "bbbbbbbb", Session: session, State: api.Failed, Reason: "resource-constraint"}
		p.do(func() { p.c.state(&full, p.now) })
		p.pass(fullTime - 1)
		if n := p.endpoint("bbbbbbbb").Session; n != session {
			t.Fatalf("session %d after %d, too early", n, session)
		}
		p.pass(1)
		if n := p.endpoint("bbbbbbbb").Session; n <= session {
			t.Fatalf("session %d after %d", n, session)
		}
		p.do(func() { p.c.state(&full, p.now) }) // said late, of the former one
	}
	if got := p.sent("bbbbbbbb"); got != "" {
		t.Errorf("%q to a client that was offered nothing", got)
	}
	p.silent = false
	p.do(func() { p.c.transport(transport(meeting, "bbbbbbbb", p.endpoint("bbbbbbbb").Session, 0)) })
	if got := p.sent("bbbbbbbb"); got != "session-initiate" {
		t.Errorf("%q when there was room", got)
	}
	p.accept("bbbbbbbb", 200)
	p.seen = nil
	full := api.State{Endpoint: "bbbbbbbb", Session: p.endpoint("bbbbbbbb").Session, State: api.Failed, Reason: "resource-constraint"}
	p.do(func() { p.c.state(&full, p.now) })
	p.pass(2 * fullTime)
	if got := p.sent("bbbbbbbb"); got != "" {
		t.Errorf("%q in a session that was accepted", got)
	}
}

func TestTransportThatFailsBeforeTheAnswerIsAnOfferThatCameToNothing(t *testing.T) {
	for _, reason := range []string{"timeout", "connectivity-error"} {
		p := two(t)
		p.answer("bbbbbbbb", "result")
		p.seen = nil
		fail := func(nick string) string {
			failed := api.State{Endpoint: nick, Session: p.endpoint(nick).Session, State: api.Failed, Reason: reason}
			p.do(func() { p.c.state(&failed, p.now) })
			return p.sent(nick)
		}
		if got := fail("aaaaaaaa"); got != "" || p.endpoint("aaaaaaaa") == nil {
			t.Errorf("%s: %q after the answer", reason, got)
		}
		if got := fail("bbbbbbbb"); got != "session-terminate session-initiate" {
			t.Errorf("%s: %q", reason, got)
		}
		p.answer("bbbbbbbb", "result")
		if got := fail("bbbbbbbb"); got != "session-terminate" || p.endpoint("bbbbbbbb") != nil {
			t.Errorf("%s, a second time: %q", reason, got)
		}
		p.pass(time.Hour)
		if got := p.sent("bbbbbbbb"); got != "" {
			t.Errorf("%s: %q after it was given up", reason, got)
		}
	}
}

func TestModeratorMutes(t *testing.T) {
	p := two(t)
	moderator, other := occupant("bbbbbbbb"), occupant("aaaaaaaa")
	moderator.Role = muc.Moderator
	mute := func(from muc.Occupant, kind, who, value string) string {
		return p.send(from, "set", "m", "<mute xmlns='http://jitsi.org/jitmeet/"+kind+"' jid='"+who+"'>"+value+"</mute>")
	}
	const victim = room + "/aaaaaaaa"
	for name, c := range map[string]struct {
		from       muc.Occupant
		who, value string
		want       string
	}{
		"not by others":     {other, room + "/bbbbbbbb", "true", "forbidden"},
		"not who is not":    {moderator, room + "/cccccccc", "true", "item-not-found"},
		"not elsewhere":     {moderator, "s@muc.x.net/aaaaaaaa", "true", "bad-request"},
		"not the focus":     {moderator, room + "/focus", "true", "item-not-found"},
		"no unmute":         {moderator, victim, "false", "not-allowed"},
		"no address at all": {moderator, "a b", "true", "bad-request"},
	} {
		if got := mute(c.from, "audio", c.who, c.value); got != c.want {
			t.Errorf("%s: %q", name, got)
		}
		if e := p.endpoint("aaaaaaaa"); e.MuteAudio {
			t.Errorf("%s: muted", name)
		}
	}
	if got := mute(moderator, "audio", victim, "true"); got != "" {
		t.Fatal(got)
	}
	if e := p.endpoint("aaaaaaaa"); !e.MuteAudio || e.MuteVideo {
		t.Errorf("the bridge is asked for %+v", e)
	}
	told := false
	for _, x := range p.seen {
		if a, ok := x.(ask); ok {
			told = a.nick == "aaaaaaaa" && a.typ == "set" && string(a.payload) == "<mute xmlns='http://jitsi.org/jitmeet/audio' actor='r@muc.x.net/bbbbbbbb'>true</mute>"
		}
	}
	if !told {
		t.Errorf("the victim is told %v", p.seen)
	}
	mute(moderator, "video", victim, "true")
	if e := p.endpoint("aaaaaaaa"); !e.MuteAudio || !e.MuteVideo {
		t.Errorf("the bridge is asked for %+v", e)
	}
	// A new session does not end it.
	p.jingle("aaaaaaaa", jingle.SessionTerminate, bridgeSession(p.bridge["aaaaaaaa"], "restart='true'"))
	if e := p.endpoint("aaaaaaaa"); !e.MuteAudio || !e.MuteVideo {
		t.Errorf("the bridge is asked for %+v", e)
	}
	if got := mute(other, "audio", victim, "false"); got != "" {
		t.Errorf("its own unmute: %q", got)
	}
	if e := p.endpoint("aaaaaaaa"); e.MuteAudio || !e.MuteVideo {
		t.Errorf("the bridge is asked for %+v", e)
	}
	if got := mute(moderator, "desktop", victim, "true"); got != "" {
		t.Errorf("desktop: %q", got)
	}
}
