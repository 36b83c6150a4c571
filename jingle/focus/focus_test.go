package focus

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/bridge/api"
	"parley/internal/store/sqlstore"
	"parley/internal/token"
	"parley/muc"
	"parley/xmpp/wire"
)

// world is rooms with a focus, and people whose stanzas the test sees.
type world struct {
	t     *testing.T
	rooms *muc.Service
	focus *Focus
	calls *calls

	mu     sync.Mutex
	people map[wire.Addr]*person
}

// calls is a bridge that notes what is wished of it.
type calls struct {
	w     *world
	mu    sync.Mutex
	last  map[string]api.Conference
	hello api.Hello
	there bool
}

// Apply notes the wish and, as a bridge in the same process would, answers with transports from within the call.
func (c *calls) Apply(w api.Conference) {
	c.mu.Lock()
	old, ok := c.last[w.Room]
	if ok && old.ID == w.ID && w.Version <= old.Version {
		panic(fmt.Sprintf("version %d after %d", w.Version, old.Version))
	}
	c.last[w.Room] = w
	there := c.there
	c.mu.Unlock()
	for _, e := range w.Endpoints {
		known := slices.ContainsFunc(old.Endpoints, func(o api.Endpoint) bool {
			return o.ID == e.ID && o.Session == e.Session && o.Restart == e.Restart
		})
		if there && !known {
			c.w.focus.BridgeEvent(api.Event{Transport: transport(w.ID, e.ID, e.Session, e.Restart)})
		}
	}
}

func (c *calls) Info() (api.Hello, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hello, c.there
}

// restart puts another bridge, or none, in place of the bridge, and tells the focus.
func (c *calls) restart(id string) {
	c.mu.Lock()
	c.hello, c.there = api.Hello{Bridge: id}, id != ""
	hello := c.hello
	c.mu.Unlock()
	if id == "" {
		c.w.focus.BridgeEvent(api.Event{})
	} else {
		c.w.focus.BridgeEvent(api.Event{Hello: &hello})
	}
}

func (c *calls) wish(room string) api.Conference {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last[room]
}

type person struct {
	w    *world
	addr wire.Addr
	in   chan string
}

func (p *person) Addr() wire.Addr        { return p.addr }
func (p *person) Guest() bool            { return true }
func (p *person) Source() netip.Addr     { return netip.MustParseAddr("192.0.2.1") }
func (p *person) Claims() *token.Claims  { return nil }
func (p *person) Room() string           { return "" }
func (p *person) Tenant() string         { return "" }
func (p *person) Hold() (release func()) { return func() {} }

func (p *person) Deliver(_ *wire.Batch, to wire.Addr, s wire.Stanza) {
	if to == "" {
		to = p.addr
	}
	p.in <- string(append(wire.AppendStart(nil, s.Kind, "", to), s.Tail...))
}

// Deliver is what the rooms send with.
func (w *world) Deliver(b *wire.Batch, to wire.Addr, s wire.Stanza) {
	w.mu.Lock()
	p := w.people[to]
	w.mu.Unlock()
	if p != nil {
		p.Deliver(b, "", s)
	}
}

const room = "r@muc.x.net"

func newWorld(t *testing.T, bridge bool) *world {
	t.Helper()
	w := &world{t: t, people: make(map[wire.Addr]*person), calls: &calls{last: make(map[string]api.Conference), there: bridge}}
	w.calls.w = w
	if bridge {
		w.calls.hello.Bridge = "b1"
	}
	st, err := sqlstore.Open(context.Background(), "sqlite:"+t.TempDir()+"/s.db", sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.rooms, err = muc.New(muc.Config{Domain: "muc.x.net", Focus: "focus@auth.x.net/focus"}, w, st, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.focus, err = New(Config{Domain: "focus.x.net", Address: "focus@auth.x.net/focus", Rooms: "muc.x.net"}, w.rooms, w.calls, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		w.rooms.Close(ctx)
		st.Close()
	})
	return w
}

// wished waits until the bridge is asked for what fits.
func (w *world) wished(fits func(api.Conference) bool) {
	w.t.Helper()
	end := time.Now().Add(5 * time.Second)
	for !fits(w.calls.wish(room)) {
		if time.Now().After(end) {
			w.t.Fatalf("the bridge is asked for %+v", w.calls.wish(room))
		}
		time.Sleep(time.Millisecond)
	}
}

func (w *world) person(name string) *person {
	p := &person{w: w, addr: wire.Addr(name + "@x.net/1"), in: make(chan string, 1000)}
	w.mu.Lock()
	w.people[p.addr] = p
	w.mu.Unlock()
	return p
}

// send sends a stanza to the focus's domain or to the rooms.
func (p *person) send(stanza string) {
	p.w.t.Helper()
	scan := wire.Scanner{Limits: wire.AfterAuth}
	_, pk, err := scan.Next([]byte(stanza))
	if err != nil {
		p.w.t.Fatal(err)
	}
	to, err := wire.ParseRawAddr(pk.To())
	if err != nil {
		p.w.t.Fatal(err)
	}
	var b wire.Batch
	if to.Domain() == "focus.x.net" {
		p.w.focus.Handle(&b, p, to, pk)
	} else {
		p.w.rooms.Handle(&b, p, to, pk)
	}
	b.Flush()
}

// expect reads until a stanza holds all the parts.
func (p *person) expect(parts ...string) string {
	p.w.t.Helper()
	for {
		select {
		case s := <-p.in:
			ok := true
			for _, part := range parts {
				ok = ok && strings.Contains(s, part)
			}
			if ok {
				return s
			}
		case <-time.After(5 * time.Second):
			p.w.t.Fatalf("%s waits for %q", p.addr, parts)
		}
	}
}

func (p *person) request() string {
	p.w.t.Helper()
	p.send("<iq to='focus.x.net' type='set' id='c1'><conference xmlns='http://jitsi.org/protocol/focus' room='" + room + "' machine-uid='m'><property name='x' value='y'/></conference></iq>")
	return p.expect("id='c1'")
}

func (p *person) join(nick string) {
	p.w.t.Helper()
	p.send("<presence to='" + room + "/" + nick + "'><x xmlns='http://jabber.org/protocol/muc'/><SourceInfo>{}</SourceInfo></presence>")
	p.expect("<presence", "code='110'")
}

func TestConferenceRequest(t *testing.T) {
	w := newWorld(t, false)
	ann := w.person("ann")
	got := ann.request()
	for _, want := range []string{"type='result'", "ready='true'", "focusjid='focus@auth.x.net'", "room='" + room + "'", "name='authentication' value='false'"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in %s", want, got)
		}
	}
	ann.send("<presence to='" + room + "/aaaaaaaa'><x xmlns='http://jabber.org/protocol/muc'/><SourceInfo>{}</SourceInfo></presence>")
	f := ann.expect("from='" + room + "/focus'")
	for _, want := range []string{"jid='focus@auth.x.net/focus'", "role='moderator'", "affiliation='owner'", "key='support-terminate-restart' value='true'", "key='created-ms'"} {
		if !strings.Contains(f, want) {
			t.Errorf("%s is missing in %s", want, f)
		}
	}
	own := ann.expect("from='"+room+"/aaaaaaaa'", "code='110'")
	if !strings.Contains(own, "affiliation='owner'") || !strings.Contains(own, "role='moderator'") {
		t.Errorf("the first member is no owner: %s", own)
	}
	ann.send("<iq to='" + room + "' type='get' id='d'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
	info := ann.expect("id='d'")
	for _, want := range []string{"muc#roominfo_meetingId", "muc#roominfo_created_timestamp"} {
		if !strings.Contains(info, want) {
			t.Errorf("%s is missing in %s", want, info)
		}
	}
	// A second request for the same room changes nothing.
	bob := w.person("bob")
	bob.request()
	bob.join("bbbbbbbb")
	if n := len(w.focus.Conferences()); n != 1 {
		t.Errorf("%d conferences", n)
	}
}

func TestGateFollowsTheMembers(t *testing.T) {
	for _, bridge := range []bool{false, true} {
		t.Run(fmt.Sprint("bridge ", bridge), func(t *testing.T) {
			w := newWorld(t, bridge)
			gate := func(want Gate, members int) {
				t.Helper()
				end := time.Now().Add(5 * time.Second)
				for {
					if list := w.focus.Conferences(); len(list) == 1 && list[0].Gate == want && list[0].Members == members {
						break
					} else if time.Now().After(end) {
						t.Fatalf("conferences %v, want %v with %d", list, want, members)
					}
					time.Sleep(time.Millisecond)
				}
			}
			ann, bob, carl, dan := w.person("ann"), w.person("bob"), w.person("carl"), w.person("dan")
			for _, p := range []*person{ann, bob, carl} {
				p.request()
			}
			ann.join("aaaaaaaa")
			gate(Closed, 1)
			bob.join("bbbbbbbb")
			gate(P2P, 2)
			// One who only chats is in no call.
			dan.send("<presence to='" + room + "/dan'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
			dan.expect("code='110'")
			gate(P2P, 2)
			carl.join("cccccccc")
			gate(SFU, 3)
			meeting, of := w.focus.Endpoints(room)
			if list := w.focus.Conferences(); len(of) != 3 || !strings.HasPrefix(string(of["bbbbbbbb"]), "bob@") || meeting != list[0].Meeting {
				t.Errorf("endpoints of %s: %v", meeting, of)
			}
			if !bridge {
				dan.expect("from='"+room+"/focus'", "<bridgeNotAvailable xmlns='http://jitsi.org/protocol/focus'/>")
			}
			if bridge {
				w.wished(func(c api.Conference) bool {
					return len(c.Endpoints) == 3 && c.Endpoints[2].ID == "cccccccc" && c.ID != ""
				})
			}
			carl.send("<presence to='" + room + "/cccccccc' type='unavailable'/>")
			gate(P2P, 2)
			if !bridge {
				if s := dan.expect("from='" + room + "/focus'"); strings.Contains(s, "bridgeNotAvailable") {
					t.Errorf("the focus still says %s", s)
				}
			}
			w.rooms.Gone(bob.addr)
			gate(Closed, 1)
			for _, p := range []*person{ann, dan} {
				w.rooms.Gone(p.addr)
			}
			end := time.Now().Add(5 * time.Second)
			for len(w.focus.Conferences()) > 0 {
				if time.Now().After(end) {
					t.Fatal("the conference outlives its room")
				}
				time.Sleep(time.Millisecond)
			}
			w.wished(func(c api.Conference) bool { return len(c.Endpoints) == 0 })
		})
	}
}

func TestP2PStanzasAreRelayed(t *testing.T) {
	w := newWorld(t, false)
	ann, bob := w.person("ann"), w.person("bob")
	ann.request()
	bob.request()
	ann.join("aaaaaaaa")
	bob.join("bbbbbbbb")
	ann.send("<iq to='" + room + "/bbbbbbbb' type='set' id='si'><jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='1' initiator='" + room + "/aaaaaaaa'/></iq>")
	bob.expect("from='"+room+"/aaaaaaaa'", "id='si'", "action='session-initiate'")
	bob.send("<iq to='" + room + "/aaaaaaaa' type='result' id='si'/>")
	ann.expect("from='"+room+"/bbbbbbbb'", "id='si'", "type='result'")
}

func TestFocusRefusesWhatItDoesNotKnow(t *testing.T) {
	w := newWorld(t, false)
	ann := w.person("ann")
	ann.request()
	ann.join("aaaaaaaa")
	for i, to := range []string{room + "/focus", "focus.x.net"} {
		ann.send(fmt.Sprintf("<iq to='%s' type='set' id='u%d'><x xmlns='urn:unknown'/></iq>", to, i))
		ann.expect(fmt.Sprintf("id='u%d'", i), "type='error'", "<service-unavailable ")
	}
	for i, room := range []string{"", "muc.x.net", "r@muc.other.net", "r@muc.x.net/nick", "@muc.x.net", "r@x.net", "a b@muc.x.net"} {
		ann.send(fmt.Sprintf("<iq to='focus.x.net' type='set' id='b%d'><conference xmlns='http://jitsi.org/protocol/focus' room='%s'/></iq>", i, room))
		ann.expect(fmt.Sprintf("id='b%d'", i), "type='error'", "<bad-request ")
	}
	ann.send("<iq to='focus.x.net' type='get' id='i'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
	ann.expect("id='i'", "type='result'", "http://jitsi.org/protocol/focus")
}

func TestConferenceRequestByHTTP(t *testing.T) {
	w := newWorld(t, false)
	post := func(body, contentType string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "http://x.net/conference-request/v1", strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		rec := httptest.NewRecorder()
		w.focus.ServeHTTP(rec, r)
		return rec
	}
	const good = `{"room":"r@muc.x.net","machineUid":"m","properties":{"rtcstatsEnabled":false,"visitors-version":1}}`
	rec := post(good, "application/json; charset=utf-8", "Origin", "http://x.net")
	var answer struct {
		Ready      bool
		FocusJid   string
		Properties map[string]string
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || rec.Code != 200 {
		t.Fatal(rec.Code, rec.Body, err)
	}
	if !answer.Ready || answer.FocusJid != "focus@auth.x.net" || answer.Properties["authentication"] != "false" || rec.Header().Get("Access-Control-Allow-Origin") != "http://x.net" {
		t.Errorf("answer %+v %v", answer, rec.Header())
	}
	ann, bob := w.person("ann"), w.person("bob") // sent no conference request by IQ
	ann.join("aaaaaaaa")
	bob.join("bbbbbbbb")
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		if list := w.focus.Conferences(); len(list) == 1 && list[0].Gate == P2P {
			break
		} else if time.Now().After(end) {
			t.Fatalf("conferences %+v", list)
		}
	}
	for name, c := range map[string]struct {
		rec  *httptest.ResponseRecorder
		code int
	}{
		"no JSON":        {post("{", "application/json"), 400},
		"foreign room":   {post(`{"room":"r@elsewhere.net"}`, "application/json"), 400},
		"no room":        {post(`{}`, "application/json"), 400},
		"form":           {post("room=r", "application/x-www-form-urlencoded"), 415},
		"too large":      {post(`{"room":"`+string(bytes.Repeat([]byte("x"), 70_000))+`"}`, "application/json"), 413},
		"foreign origin": {post(good, "application/json", "Origin", "https://evil.example"), 403},
	} {
		if c.rec.Code != c.code {
			t.Errorf("%s: %d", name, c.rec.Code)
		}
	}
	r := httptest.NewRequest(http.MethodOptions, "/conference-request/v1", nil)
	rec = httptest.NewRecorder()
	if w.focus.ServeHTTP(rec, r); rec.Code != http.StatusNoContent {
		t.Errorf("OPTIONS: %d", rec.Code)
	}
	r = httptest.NewRequest(http.MethodGet, "/conference-request/v1", nil)
	rec = httptest.NewRecorder()
	if w.focus.ServeHTTP(rec, r); rec.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", rec.Code)
	}
}

// TestBridgeSessionThroughTheRoom: the whole way of a session, with real rooms and stanzas.
func TestBridgeSessionThroughTheRoom(t *testing.T) {
	w := newWorld(t, true)
	w.focus.OfferChannels("wss://meet.example/", false)
	ann, bob := w.person("ann"), w.person("bob")
	attr := func(s, name string) string {
		_, s, _ = strings.Cut(s, " "+name+"='")
		s, _, _ = strings.Cut(s, "'")
		return s
	}
	// learn answers the focus's question and returns the offer.
	learn := func(p *person) string {
		t.Helper()
		q := p.expect("type='get'", "disco#info", "from='"+room+"/focus'")
		p.send("<iq to='" + room + "/focus' type='result' id='" + attr(q, "id") + "'><query xmlns='http://jabber.org/protocol/disco#info'>" +
			"<feature var='urn:xmpp:jingle:apps:rtp:audio'/><feature var='urn:xmpp:jingle:apps:rtp:video'/><feature var='http://jitsi.org/json-encoded-sources'/></query></iq>")
		offer := p.expect("action='session-initiate'", "wss://meet.example/colibri-ws/")
		p.send("<iq to='" + room + "/focus' type='result' id='" + attr(offer, "id") + "'/>")
		return attr(offer, "sid")
	}
	accept := func(p *person, nick, sid string, ssrc uint32) string {
		t.Helper()
		p.send("<iq to='" + room + "/focus' type='set' id='acc'><jingle xmlns='urn:xmpp:jingle:1' action='session-accept' sid='" + sid + "'>" +
			contents(microphone(nick, ssrc), camera(nick, ssrc+1)) + "</jingle></iq>")
		return p.expect("id='acc'")
	}
	ann.request()
	bob.request()
	ann.join("aaaaaaaa")
	bob.join("bbbbbbbb")
	annSID, bobSID := learn(ann), learn(bob)
	if got := accept(ann, "aaaaaaaa", annSID, 100); !strings.Contains(got, "type='result'") {
		t.Fatal(got)
	}
	if got := accept(bob, "bbbbbbbb", bobSID, 100); !strings.Contains(got, "<bad-request ") {
		t.Fatal(got)
	}
	if got := accept(bob, "bbbbbbbb", bobSID, 200); !strings.Contains(got, "type='result'") {
		t.Fatal(got)
	}
	ann.expect("action='source-add'", "&quot;s&quot;:200")
	bob.expect("action='source-add'", "&quot;s&quot;:100")
	w.wished(func(c api.Conference) bool {
		return len(c.Endpoints) == 2 && c.Endpoints[0].Remote != nil && len(c.Endpoints[1].Sources) == 2
	})
	says := func(muted bool) {
		t.Helper()
		bob.send(fmt.Sprintf("<presence to='%s/bbbbbbbb'><SourceInfo>{&quot;bbbbbbbb-a0&quot;:{&quot;muted&quot;:%v}}</SourceInfo></presence>", room, muted))
		ann.expect("from='"+room+"/bbbbbbbb'", fmt.Sprintf("&quot;muted&quot;:%v", muted))
	}
	says(false)
	ann.send("<iq to='" + room + "/focus' type='set' id='mute'><mute xmlns='http://jitsi.org/jitmeet/audio' jid='" + room + "/bbbbbbbb'>true</mute></iq>")
	bob.expect("<mute ", "actor='"+room+"/aaaaaaaa'", "from='"+room+"/focus'")
	ann.expect("id='mute'", "type='result'")
	muted := func(want bool) {
		t.Helper()
		w.wished(func(c api.Conference) bool { return len(c.Endpoints) == 2 && c.Endpoints[1].MuteAudio == want })
	}
	muted(true)
	says(false) // a client that did not obey yet is not believed
	says(true)
	if !w.calls.wish(room).Endpoints[1].MuteAudio {
		t.Error("the bridge lets through who has not obeyed")
	}
	says(false)
	muted(false)
	// The bridge dies: a new offer, in the same room.
	w.calls.restart("b2")
	ann.expect("action='session-terminate'", "sid='"+annSID+"'")
	if sid := attr(ann.expect("action='session-initiate'"), "sid"); sid == annSID {
		t.Error("the old session is offered again")
	}
	bob.expect("action='session-initiate'")
	w.calls.restart("")
	carl := w.person("carl")
	carl.request()
	carl.join("cccccccc")
	ann.expect("from='"+room+"/focus'", "<bridgeNotAvailable ")
	w.calls.restart("b3")
	if s := ann.expect("from='"+room+"/focus'", "<presence", "key='bridge-count' value='1'"); strings.Contains(s, "bridgeNotAvailable") {
		t.Errorf("the focus still says %s", s)
	}
	learn(carl)
}

// TestEventsFromEverywhere lets the room, the bridge and administrators in at the same time; -race and the fake bridge's check of
// versions are the judges.
func TestEventsFromEverywhere(t *testing.T) {
	w := newWorld(t, true)
	first := w.person("first") // stays, and keeps the room
	first.in = make(chan string, 100_000)
	first.request()
	first.join("ffffffff")
	var wg sync.WaitGroup
	for i := range 4 {
		p := w.person(fmt.Sprint("p", i))
		p.in = make(chan string, 100_000)
		nick := fmt.Sprintf("%08d", i)
		wg.Go(func() {
			for range 10 {
				p.send("<presence to='" + room + "/" + nick + "'><x xmlns='http://jabber.org/protocol/muc'/><SourceInfo>{}</SourceInfo></presence>")
				p.send("<iq to='" + room + "/focus' type='set' id='u'><jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='1'/></iq>")
				p.send("<presence to='" + room + "/" + nick + "' type='unavailable'/>")
			}
			p.send("<presence to='" + room + "/" + nick + "'><x xmlns='http://jabber.org/protocol/muc'/><SourceInfo>{}</SourceInfo></presence>")
		})
	}
	wg.Go(func() {
		for i := range 20 {
			w.calls.restart([]string{"b1", "b2", ""}[i%3])
			w.focus.Conferences()
		}
		w.calls.restart("b9")
	})
	wg.Wait()
	w.wished(func(c api.Conference) bool {
		list := w.focus.Conferences()
		return len(c.Endpoints) == 5 && len(list) == 1 && list[0].Members == 5
	})
}

// TestOneClientAnswersForAllOfItsHash: who announces a caps hash that is known is not asked.
func TestOneClientAnswersForAllOfItsHash(t *testing.T) {
	w := newWorld(t, true)
	names := []string{"http://jitsi.org/json-encoded-sources", "urn:xmpp:jingle:apps:rtp:audio", "urn:xmpp:jingle:apps:rtp:video"}
	sum := sha1.Sum([]byte("client/web//x<" + strings.Join(names, "<") + "<"))
	ver := base64.StdEncoding.EncodeToString(sum[:])
	join := func(p *person, nick string) {
		p.request()
		p.send("<presence to='" + room + "/" + nick + "'><x xmlns='http://jabber.org/protocol/muc'/><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://jitsi.org/jitsi-meet' ver='" + ver + "'/></presence>")
	}
	answer := func(p *person, q string) {
		_, id, _ := strings.Cut(q, " id='")
		id, _, _ = strings.Cut(id, "'")
		info := "<identity category='client' type='web' name='x'/>"
		for _, name := range names {
			info += "<feature var='" + name + "'/>"
		}
		p.send("<iq to='" + room + "/focus' type='result' id='" + id + "'><query xmlns='http://jabber.org/protocol/disco#info'>" + info + "</query></iq>")
	}
	ann, bob, carl := w.person("ann"), w.person("bob"), w.person("carl")
	join(ann, "aaaaaaaa")
	join(bob, "bbbbbbbb")
	answer(ann, ann.expect("type='get'", "node='https://jitsi.org/jitsi-meet#"+ver+"'"))
	ann.expect("action='session-initiate'")
	join(carl, "cccccccc")
	for {
		s := carl.expect("<iq")
		if strings.Contains(s, "type='get'") {
			t.Fatalf("the third client is asked: %s", s)
		}
		if strings.Contains(s, "action='session-initiate'") {
			break
		}
	}
}

// TestADrainingBridgeGetsNoOtherConferences: one that is there goes on, and takes new members.
func TestADrainingBridgeGetsNoOtherConferences(t *testing.T) {
	w := newWorld(t, true)
	stress := func(draining bool) {
		w.focus.BridgeEvent(api.Event{Stress: &api.Stress{Stress: 0.1, Draining: draining}})
	}
	bridges := func(want string) {
		t.Helper()
		for _, c := range w.focus.all() {
			c.mu.Lock()
			got := c.shown
			c.mu.Unlock()
			if !strings.Contains(got, "key='bridge-count' value='"+want+"'") {
				t.Errorf("the focus says %s", got)
			}
		}
	}
	stress(true)
	ann, bob, cat := w.person("ann"), w.person("bob"), w.person("cat")
	ann.request()
	bob.request()
	ann.join("aaaaaaaa")
	bob.join("bbbbbbbb")
	bridges("0")
	if got := w.calls.wish(room); len(got.Endpoints) != 0 {
		t.Errorf("the bridge is asked for %+v", got)
	}
	stress(false)
	w.wished(func(c api.Conference) bool { return len(c.Endpoints) == 2 })
	bridges("1")
	stress(true)
	bridges("1")
	cat.request()
	cat.join("cccccccc")
	w.wished(func(c api.Conference) bool { return len(c.Endpoints) == 3 })
}
