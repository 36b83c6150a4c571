package call

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"parley/internal/token"
	"parley/jingle"
	"parley/jingle/focus"
	"parley/jingle/seat"
	"parley/muc"
	"parley/xmpp/route"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is everything around the service.
type world struct {
	mu     sync.Mutex // guards said: people are told from timers too
	t      testing.TB
	s      *Service
	log    []string                     // what the focus is told
	done   []func(*wire.Error)          // answers of rooms that wait
	asked  []func(bool)                 // the same, whether somebody takes part
	ups    []focus.Caller               // further sessions
	held   bool                         // the focus does not answer by itself
	silent bool                         // nor do rooms answer presence
	fault  *wire.Error                  // with which they answer
	rooms  []string                     // what occupants send, and
	seats  map[wire.Addr]muc.Sender     // the occupants
	taken  map[string]bool              // nicknames
	said   map[wire.Addr][]string       // to clients
	at     map[wire.Addr]route.Receiver // seats
}

// theFocus is the address at which rooms list the focus.
const theFocus = wire.Addr("focus@auth.x.net/focus")

func newWorld(t testing.TB) *world {
	w := &world{t: t, seats: make(map[wire.Addr]muc.Sender), taken: make(map[string]bool), said: make(map[wire.Addr][]string), at: make(map[wire.Addr]route.Receiver)}
	w.s = New(Config{Domain: "call.x.net", Rooms: "muc.x.net", Focus: string(theFocus)}, w, rooms{w}, w, w, nil)
	return w
}

// The focus.

func (w *world) Call(o muc.Sender, room wire.Addr, offer *focus.Offer, to focus.Caller, done func(*wire.Error)) {
	w.log = append(w.log, "call "+string(room))
	if w.held {
		w.done = append(w.done, done)
		return
	}
	done(w.fault)
}
func (w *world) Forget(room, o wire.Addr) { w.log = append(w.log, "forget "+string(room)) }
func (w *world) Extend(room, o wire.Addr, offer *focus.Offer) {
	w.log = append(w.log, "extend "+fmt.Sprint(offer.Contents()))
}
func (w *world) Reduce(room, o wire.Addr, contents []string) {
	w.log = append(w.log, "reduce "+fmt.Sprint(contents))
}
func (w *world) Direct(room, o wire.Addr, content string, senders jingle.Senders) {
	w.log = append(w.log, "direct "+content+" "+string(senders))
}
func (w *world) Trickle(room, o wire.Addr, contents []jingle.Content) {
	w.log = append(w.log, "trickle "+contents[0].Name)
}
func (w *world) Every(room, o wire.Addr, muji string) { w.log = append(w.log, "every "+muji) }
func (w *world) Fed(room, o wire.Addr, j *jingle.Jingle) {
	w.log = append(w.log, "fed "+string(j.Action)+" "+j.SID)
}
func (w *world) Uplink(room, o wire.Addr, number int, offer *focus.Offer, to focus.Caller) {
	w.log = append(w.log, fmt.Sprint("uplink ", number, " ", offer.Contents(), " ", offer.Screen))
	w.ups = append(w.ups, to)
}
func (w *world) Uplinked(room, o wire.Addr, number int, j *jingle.Jingle) {
	w.log = append(w.log, fmt.Sprint("uplinked ", number, " ", j.Action))
}

// Participant lets everybody take part but strangers.
func (w *world) Participant(room, addr wire.Addr, done func(bool)) {
	w.log = append(w.log, "participant "+string(room))
	if w.held {
		w.asked = append(w.asked, done)
		return
	}
	done(addr.Local() != "stranger")
}
func (w *world) Agree(room, o wire.Addr, answer *jingle.Jingle) { w.log = append(w.log, "agree") }

// The rooms let everybody in whose nickname is free.
type rooms struct{ w *world }

func (r rooms) Handle(_ *wire.Batch, from muc.Sender, to wire.Addr, p *wire.Packet) {
	w := r.w
	w.rooms = append(w.rooms, string(p.Raw()))
	if p.Kind != wire.Presence {
		return
	}
	w.seats[from.Addr()] = from
	if w.silent {
		return
	}
	tail := wire.AppendAttr(nil, "from", string(to))
	switch {
	case string(p.Type()) == "unavailable":
		delete(w.taken, to.Resource())
		tail = append(tail, " type='unavailable'/>"...)
	case p.Elem().Child("x", "http://jabber.org/protocol/muc").Ok() && w.taken[to.Resource()]:
		tail = append(tail, " type='error'><error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"...)
	default:
		w.taken[to.Resource()] = true
		tail = append(tail, "><x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/></x></presence>"...)
	}
	from.Deliver(nil, "", wire.Stanza{Kind: wire.Presence, Tail: tail})
}

// People and the router.

func (w *world) Send(_ *wire.Batch, from, to wire.Addr, st wire.Stanza) { w.Deliver(nil, to, st) }
func (w *world) Deliver(_ *wire.Batch, to wire.Addr, st wire.Stanza) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said[to] = append(w.said[to], string(append(wire.AppendStart(nil, st.Kind, "", to), st.Tail...)))
}
func (w *world) Seat(r route.Receiver) bool      { w.at[r.Addr()] = r; return true }
func (w *world) Unseat(r route.Receiver)         { delete(w.at, r.Addr()) }
func (w *world) Find(a wire.Addr) route.Receiver { return w.at[a] }

// client is somebody who calls.
type client struct {
	w    *world
	addr wire.Addr
}

func (c client) Addr() wire.Addr                                    { return c.addr }
func (c client) Guest() bool                                        { return false }
func (c client) Source() netip.Addr                                 { return netip.Addr{} }
func (c client) Claims() *token.Claims                              { return nil }
func (c client) Room() string                                       { return "" }
func (c client) Tenant() string                                     { return "" }
func (c client) Hold() func()                                       { return func() {} }
func (c client) Deliver(b *wire.Batch, _ wire.Addr, st wire.Stanza) { c.w.Deliver(b, c.addr, st) }

func (c client) send(stanza string) {
	c.w.t.Helper()
	p := seat.Parse([]byte(strings.Replace(stanza, " ", " xmlns='jabber:client' ", 1)))
	if p == nil {
		c.w.t.Fatal(stanza)
	}
	to, err := wire.ParseRawAddr(p.To())
	if err != nil {
		c.w.t.Fatal(err)
	}
	c.w.s.Handle(nil, c, to, p)
}

// expect wants the next stanza to hold parts; without any, that there is none.
func (c client) expect(parts ...string) string {
	c.w.t.Helper()
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	list := c.w.said[c.addr]
	if len(parts) == 0 {
		if len(list) != 0 {
			c.w.t.Errorf("%s got %q", c.addr, list)
		}
		return ""
	}
	if len(list) == 0 {
		c.w.t.Fatalf("%s got nothing, not %q", c.addr, parts)
	}
	c.w.said[c.addr] = list[1:]
	for _, part := range parts {
		if !strings.Contains(list[0], part) {
			c.w.t.Fatalf("%s got %s, not %q", c.addr, list[0], part)
		}
	}
	return list[0]
}

const meeting = "room@call.x.net/meeting"

func content(name, codecs string) string {
	return "<content creator='initiator' name='" + name + "' senders='both'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='" + strings.TrimRight(name, "2") + "'>" + codecs +
		"<rtcp-mux/></description><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='aaaa' pwd='rmFZXbZzKTCbDCSCrxeXQmcb'>" +
		"<fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0' hash='sha-256' setup='actpass'>AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89</fingerprint></transport></content>"
}

var (
	voice  = content("audio", "<payload-type id='96' name='opus' clockrate='48000' channels='2'/>")
	camera = content("video", "<payload-type id='98' name='VP8' clockrate='90000'/>")
)

// jingle sends a Jingle element, to the address that answers for the room.
func (c client) jingle(action, sid, inner string) {
	c.w.t.Helper()
	c.send("<iq type='set' id='i' to='" + meeting + "'><jingle xmlns='urn:xmpp:jingle:1' action='" + action + "' sid='" + sid + "'>" + inner + "</jingle></iq>")
}

func (c client) call(sid string) {
	c.w.t.Helper()
	c.jingle("session-initiate", sid, voice)
	c.expect("type='result'", "id='i'")
}

// seat is the only occupant.
func (w *world) seat() muc.Sender {
	w.t.Helper()
	if len(w.at) != 1 {
		w.t.Fatalf("%d occupants", len(w.at))
	}
	for a := range w.at {
		return w.seats[a]
	}
	return nil
}

func TestContactSaysWhatItIs(t *testing.T) {
	w := newWorld(t)
	ann := client{w, "ann@x.net/phone"}
	ann.send("<presence type='subscribe' to='room@call.x.net'/>")
	to := client{w, "ann@x.net"}
	to.expect("from='room@call.x.net'", "type='subscribed'")
	presence := to.expect("from='"+meeting+"'", "<c xmlns='http://jabber.org/protocol/caps'")
	ann.send("<presence type='probe' to='room@call.x.net'/>")
	ann.expect("from='"+meeting+"'", "<c xmlns='http://jabber.org/protocol/caps'")
	ann.send("<presence type='unsubscribe' to='room@call.x.net'/>")
	to.expect("type='unsubscribed'")
	ann.send("<presence to='room@call.x.net'/>")
	ann.send("<presence type='subscribe' to='call.x.net'/>")
	ann.expect()
	_, ver, _ := strings.Cut(presence, "ver='")
	ver, _, _ = strings.Cut(ver, "'")
	ann.send("<iq type='get' id='d' to='" + meeting + "'><query xmlns='http://jabber.org/protocol/disco#info' node='n#v'/></iq>")
	info := seat.Parse([]byte(strings.Replace(ann.expect("node='n#v'"), "<iq ", "<iq xmlns='jabber:client' ", 1))).Elem().First()
	var list []string
	text := ""
	for it := info.Children(); it.Next(); {
		if e := it.Elem; e.Is("identity", nsInfo) {
			text += e.AttrString("category") + "/" + e.AttrString("type") + "//" + e.AttrString("name") + "<"
		} else {
			list = append(list, e.AttrString("var"))
		}
	}
	slices.Sort(list)
	sum := sha1.Sum([]byte(text + strings.Join(list, "<") + "<"))
	if got := base64.StdEncoding.EncodeToString(sum[:]); got != ver {
		t.Errorf("the presence says %s, the hash is %s", ver, got)
	}
}

func TestProposedCalls(t *testing.T) {
	w := newWorld(t)
	ann := client{w, "ann@x.net/phone"}
	propose := func(to, ns string) {
		ann.send("<message type='chat' to='" + to + "'><propose xmlns='urn:xmpp:jingle-message:0' id='c1'><description xmlns='" + ns + "' media='audio'/></propose></message>")
	}
	propose("room@call.x.net", jingle.NSRTP)
	ann.expect("from='"+meeting+"'", "<proceed xmlns='urn:xmpp:jingle-message:0' id='c1'>")
	propose("room@muc.x.net", jingle.NSRTP)
	ann.expect("from='room@muc.x.net'", "<proceed ")
	propose("room@call.x.net", "urn:xmpp:jingle:apps:file-transfer:5")
	ann.expect("<reject ", "<unsupported-applications/>")
	propose("call.x.net", jingle.NSRTP)
	ann.send("<message type='error' to='room@call.x.net'><propose xmlns='urn:xmpp:jingle-message:0' id='c1'/></message>")
	ann.send("<message type='chat' to='room@call.x.net'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>")
	ann.expect()
	ann.send("<message type='chat' to='room@call.x.net'><body>hi</body></message>")
	ann.expect("type='error'", "service-unavailable")
}

func TestCallerIsAnOccupant(t *testing.T) {
	w := newWorld(t)
	w.taken["ann"] = true
	ann := client{w, "ann@x.net/phone"}
	ann.call("s1")
	ann.expect()
	seat := w.seat()
	if seat.Addr().Bare() != "ann@x.net" || !IsSeat(seat.Addr()) || IsSeat(ann.addr) {
		t.Errorf("the occupant is %s", seat.Addr())
	}
	if len(w.rooms) != 2 || !strings.Contains(w.rooms[0], "to='room@muc.x.net/ann'") || !strings.Contains(w.rooms[1], "to='room@muc.x.net/ann_") {
		t.Fatalf("%q", w.rooms)
	}
	for _, part := range []string{"<nick xmlns='http://jabber.org/protocol/nick'>ann</nick>", "jigasi", "-a0\":{\"muted\":false}"} {
		if text := wire.UnescapeString([]byte(w.rooms[1])); !strings.Contains(text, part) {
			t.Errorf("no %s in %s", part, text)
		}
	}
	// It says when it is muted, once.
	n := len(w.rooms)
	for range 2 {
		ann.jingle("session-info", "s1", "<mute xmlns='urn:xmpp:jingle:apps:rtp:info:1' creator='initiator' name='audio'/>")
		ann.expect("type='result'")
	}
	if len(w.rooms) != n+1 || !strings.Contains(w.rooms[n], "<audiomuted>true</audiomuted>") {
		t.Errorf("%q", w.rooms[n:])
	}
	// Others ask what its client can do.
	n = len(w.rooms)
	seat.Deliver(nil, "", wire.Stanza{Kind: wire.IQ, Tail: []byte(" from='room@muc.x.net/bob' id='q' type='get'><query xmlns='" + nsInfo + "'/></iq>")})
	seat.Deliver(nil, "", wire.Stanza{Kind: wire.IQ, Tail: []byte(" from='room@muc.x.net/bob' id='j' type='set'><jingle xmlns='urn:xmpp:jingle:1'/></iq>")})
	seat.Deliver(nil, "", wire.Stanza{Kind: wire.IQ, Tail: []byte(" from='mallory@x.net/m' id='q' type='get'><query xmlns='" + nsInfo + "'/></iq>")})
	if len(w.rooms) != n+2 || !strings.Contains(w.rooms[n], "type='result'") || !strings.Contains(w.rooms[n+1], "type='error'") {
		t.Errorf("%q", w.rooms[n:])
	}
	ann.jingle("session-terminate", "s1", "<reason><success/></reason>")
	ann.expect("type='result'")
	ann.expect()
	if len(w.at) != 0 || w.s.Calls() != 0 || !strings.Contains(w.rooms[len(w.rooms)-1], "type='unavailable'") {
		t.Errorf("%d occupants, %d calls", len(w.at), w.s.Calls())
	}
}

func TestWhyCallsEnd(t *testing.T) {
	stanzas := func(condition string) string {
		return "<error type='auth'><" + condition + " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
	}
	for name, c := range map[string]struct{ typ, inner, reason string }{
		"password":     {"error", stanzas("not-authorized"), "<decline/>"},
		"members only": {"error", stanzas("registration-required"), "<decline/>"},
		"full":         {"error", stanzas("service-unavailable"), "<busy/>"},
		"kicked":       {"unavailable", "<x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/><status code='307'/></x>", "<decline/>"},
		"shut down":    {"unavailable", "<x xmlns='http://jabber.org/protocol/muc#user'><status code='332'/></x>", "<gone/>"},
		"destroyed":    {"unavailable", "<x xmlns='http://jabber.org/protocol/muc#user'><destroy/></x>", "<success/>"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.silent = c.typ == "error" // the room has not answered yet
			ann := client{w, "ann@x.net/phone"}
			ann.call("s1")
			seat := w.seat()
			seat.Deliver(nil, "", wire.Stanza{Kind: wire.Presence, Tail: []byte(" from='room@muc.x.net/ann' type='" + c.typ + "'>" + c.inner + "</presence>")})
			ann.expect("action='session-terminate'", c.reason)
			ann.expect()
			if len(w.at) != 0 || w.s.Calls() != 0 {
				t.Errorf("%d occupants, %d calls", len(w.at), w.s.Calls())
			}
		})
	}
	t.Run("no meeting", func(t *testing.T) {
		w := newWorld(t)
		w.fault = &wire.Error{Condition: mstanza.NotAllowed}
		ann := client{w, "ann@x.net/phone"}
		ann.call("s1")
		ann.expect("action='session-terminate'", "<decline/>", "you may not make it")
		if w.s.Calls() != 0 || w.log[len(w.log)-1] != "forget room@muc.x.net" {
			t.Errorf("%d calls; the focus is told %q", w.s.Calls(), w.log)
		}
	})
}

func TestSessionsOfACaller(t *testing.T) {
	w := newWorld(t)
	ann := client{w, "ann@x.net/phone"}
	ann.call("s1")
	ann.jingle("session-initiate", "s1", voice)
	ann.expect("type='error'", "out-of-order")
	ann.jingle("session-info", "s2", "")
	ann.expect("type='error'", "unknown-session")
	client{w, "mallory@x.net/m"}.jingle("session-terminate", "s1", "")
	client{w, "mallory@x.net/m"}.expect("type='error'", "unknown-session")
	ann.jingle("session-accept", "s1", voice)
	ann.expect("type='error'", "out-of-order")
	ann.jingle("transport-replace", "s1", voice)
	ann.expect("type='error'", "feature-not-implemented")
	ann.jingle("session-initiate", "s3", "<content creator='initiator' name='audio'/>")
	ann.expect("type='result'")
	ann.expect("action='session-terminate'", "sid='s3'", "<unsupported-applications/>")
	first := w.seat()
	ann.call("s4")
	if w.seat() == first || w.s.Calls() != 1 {
		t.Error("the call of before is still there")
	}
	ann.expect()
	// What an account has at a time is bounded.
	for n := range callsEach - 1 {
		ann.send(fmt.Sprintf("<iq type='set' id='i' to='room%d@call.x.net'><jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='t'>%s</jingle></iq>", n, voice))
		ann.expect("type='result'")
		ann.expect()
	}
	other := client{w, "ann@x.net/laptop"}
	other.send("<iq type='set' id='i' to='more@call.x.net'><jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='t'>" + voice + "</jingle></iq>")
	other.expect("type='result'")
	other.expect("<busy/>")
	if w.s.Calls() != callsEach {
		t.Errorf("%d calls", w.s.Calls())
	}
}

func TestContentsOfACall(t *testing.T) {
	w := newWorld(t)
	w.held = true
	ann := client{w, "ann@x.net/phone"}
	ann.call("s1")
	ann.jingle("transport-info", "s1", "<content creator='initiator' name='audio'><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='aaaa' pwd='rmFZXbZzKTCbDCSCrxeXQmcb'/></content>")
	ann.expect("type='result'")
	if len(w.log) != 1 {
		t.Errorf("before the room has answered the focus is told %q", w.log)
	}
	w.done[0](nil)
	ann.jingle("content-add", "s1", camera)
	ann.expect("type='result'")
	ann.jingle("content-add", "s1", content("video2", "<payload-type id='98' name='VP8' clockrate='90000'/>"))
	ann.expect("type='result'")
	ann.expect("action='content-reject'", "name='video2'", "<busy/>")
	ann.jingle("content-modify", "s1", "<content creator='initiator' name='video' senders='responder'/>")
	ann.expect("type='result'")
	ann.jingle("content-remove", "s1", "<content creator='initiator' name='video'/>")
	ann.expect("type='result'")
	want := []string{"call room@muc.x.net", "trickle audio", "extend map[video:video]", "direct video responder", "reduce [video]"}
	if !slices.Equal(w.log, want) {
		t.Errorf("the focus is told %q", w.log)
	}
	if text := w.rooms[len(w.rooms)-1]; !strings.Contains(text, "<jitsi_participant_codecList>vp8<") {
		t.Errorf("others are told %s", text)
	}
	ann.jingle("content-add", "s1", camera)
	ann.expect("type='result'")
	ann.expect()
}

// A client that answers nothing, or that it cannot, has no call.
func TestClientsThatDoNotTakeTheAnswer(t *testing.T) {
	w := newWorld(t)
	ann := client{w, "ann@x.net/phone"}
	ann.call("s1")
	c := w.s.of(ann.addr, "room@muc.x.net")
	c.Accepted(&jingle.Jingle{})
	id := ann.expect("action='session-accept'", "from='"+meeting+"'")
	_, id, _ = strings.Cut(id, " id='")
	id, _, _ = strings.Cut(id, "'")
	ann.send("<iq type='error' id='other' to='" + meeting + "'/>")
	if w.s.Calls() != 1 {
		t.Fatal("the call ended for an error that is no answer")
	}
	ann.send("<iq type='error' id='" + id + "' to='" + meeting + "'/>")
	if w.s.Calls() != 0 || len(w.at) != 0 {
		t.Error("the call goes on")
	}
	ann.call("s2")
	c = w.s.of(ann.addr, "room@muc.x.net")
	for range deafAfter + 1 {
		c.Accepted(&jingle.Jingle{})
	}
	if w.s.Calls() != 0 {
		t.Error("the call of a client that acknowledges nothing goes on")
	}
}

func TestMeetingCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		person, ann := client{w, "ann@x.net"}, client{w, "ann@x.net/phone"}
		invite := func() string {
			w.s.Observe(muc.Invited{Room: "room@muc.x.net", To: "ann@x.net/any", Password: "sesame", Meeting: true})
			got := person.expect("from='"+meeting+"'", "<propose xmlns='urn:xmpp:jingle-message:0'")
			_, sid, _ := strings.Cut(got, "<propose xmlns='urn:xmpp:jingle-message:0' id='")
			sid, _, _ = strings.Cut(sid, "'")
			return sid
		}
		answer := func(c client, kind, sid string) {
			c.send("<message type='chat' to='" + meeting + "'><" + kind + " xmlns='urn:xmpp:jingle-message:0' id='" + sid + "'/></message>")
		}
		w.s.Observe(muc.Invited{Room: "room@muc.x.net", To: "ann@x.net"})
		person.expect() // there is no meeting
		invite()
		w.s.Observe(muc.Invited{Room: "room@muc.x.net", To: "ann@x.net", Meeting: true})
		person.expect() // it rings already
		time.Sleep(ringTime + time.Second)
		synctest.Wait()
		person.expect("<retract ", "<timeout/>")
		sid := invite()
		answer(client{w, "mallory@x.net/m"}, "proceed", sid)
		answer(ann, "reject", sid)
		answer(ann, "proceed", sid)
		if w.s.Calls() != 0 {
			t.Fatal("a call that was refused, or answered by somebody else")
		}
		sid = invite()
		answer(ann, "proceed", sid)
		if w.s.Calls() != 1 || !strings.Contains(w.rooms[0], "<password>sesame</password>") {
			t.Fatalf("%d calls, %q", w.s.Calls(), w.rooms)
		}
		c := w.s.of(ann.addr, "room@muc.x.net")
		c.Accepted(&jingle.Jingle{})
		ann.expect("action='session-initiate'", "initiator='"+meeting+"'", "sid='"+sid+"'")
		for _, result := range []string{"type='result'", "out-of-order"} {
			ann.jingle("session-accept", sid, voice)
			ann.expect(result)
		}
		if w.log[len(w.log)-1] != "agree" {
			t.Errorf("%q", w.log)
		}
		time.Sleep(2 * ringTime)
		synctest.Wait()
		person.expect()
		c.Ended(&jingle.Reason{Condition: jingle.ConnectivityError})
		ann.expect("session-terminate", "<connectivity-error/>")
		for n := range 2 * ringsEach {
			w.s.Observe(muc.Invited{Room: "room@muc.x.net", To: wire.Addr(fmt.Sprintf("p%d@x.net", n)), Meeting: true})
		}
		w.s.mu.Lock()
		n := len(w.s.rings)
		w.s.mu.Unlock()
		if n != ringsEach {
			t.Errorf("%d people are called by one room", n)
		}
		time.Sleep(2 * ringTime)
	})
}

// FuzzHandle gives the service stanzas of a caller: nothing breaks, and no call is left when it has hung up.
func FuzzHandle(f *testing.F) {
	f.Add("iq", "session-initiate", voice)
	f.Add("iq", "session-initiate", voice+camera+"<group xmlns='urn:xmpp:jingle:apps:grouping:0' semantics='BUNDLE'><content name='audio'/><content name='video'/></group>")
	f.Add("iq", "content-add", camera)
	f.Add("iq", "transport-info", voice)
	f.Add("iq", "session-info", "<mute xmlns='urn:xmpp:jingle:apps:rtp:info:1' creator='initiator' name='audio'/>")
	f.Add("message", "", "<propose xmlns='urn:xmpp:jingle-message:0' id='c1'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/></propose>")
	f.Add("presence", "subscribe", "")
	f.Fuzz(func(t *testing.T, kind, what, inner string) {
		w := newWorld(t)
		ann := client{w, "ann@x.net/phone"}
		ann.call("s1")
		attrs := "type='set' id='i'"
		switch kind {
		case "iq":
			inner = "<jingle xmlns='urn:xmpp:jingle:1' action='" + what + "' sid='s1'>" + inner + "</jingle>"
		case "message", "presence":
			attrs = "type='" + what + "'"
		default:
			return
		}
		p := seat.Parse([]byte("<" + kind + " xmlns='jabber:client' to='" + meeting + "' " + attrs + ">" + inner + "</" + kind + ">"))
		if p == nil {
			return
		}
		w.s.Handle(nil, ann, meeting, p)
		w.said[ann.addr] = nil
		ann.jingle("session-terminate", "s1", "")
		if len(w.at) != 0 || w.s.Calls() != 0 {
			t.Errorf("%d occupants, %d calls", len(w.at), w.s.Calls())
		}
	})
}
