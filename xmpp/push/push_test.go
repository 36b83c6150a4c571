package push

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"parley/internal/store"
	"parley/xmpp/route"
	"parley/xmpp/route/routetest"
	"parley/xmpp/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rows keeps what clients asked for in memory.
type rows struct {
	mu      sync.Mutex
	list    []store.Push
	failing error
}

func (r *rows) ListPushes(context.Context) ([]store.Push, error) { return r.list, r.failing }

func (r *rows) SetPush(ctx context.Context, p store.Push) error {
	if p.Owner == "nobody@x.net" {
		return store.ErrNotFound
	}
	if err := r.RemovePush(ctx, p.Owner, p.Service, p.Node); err != nil {
		return err
	}
	r.list = append(r.list, p)
	return nil
}

func (r *rows) RemovePush(_ context.Context, owner, service, node string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = slices.DeleteFunc(slices.Clone(r.list), func(p store.Push) bool {
		return r.failing == nil && p.Owner == owner && p.Service == service && p.Node == node
	})
	return r.failing
}

// nodes are those of the list.
func (r *rows) nodes() (out []string) {
	for _, p := range r.list {
		out = append(out, p.Service+" "+p.Node)
	}
	return out
}

// world is a service with sessions and a host that keeps what is sent.
type world struct {
	*Service
	t        *testing.T
	rows     *rows
	sessions map[wire.Addr]route.Receiver
	full     bool

	mu   sync.Mutex // guards sent
	sent []string   // from, to and stanza
}

func (w *world) Find(a wire.Addr) route.Receiver { return w.sessions[a] }

func (w *world) Do(_ wire.Addr, work func(*wire.Batch)) bool {
	if !w.full {
		work(&wire.Batch{})
	}
	return !w.full
}

func (w *world) Send(_ *wire.Batch, from, to wire.Addr, st wire.Stanza) {
	routetest.Packet(w.t, "<iq"+string(st.Tail))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, string(from)+" to "+string(to)+": "+string(st.Tail))
}

func newWorld(t *testing.T, cfg Config) *world {
	w := &world{t: t, rows: &rows{}, sessions: make(map[wire.Addr]route.Receiver)}
	w.restart(cfg)
	return w
}

func (w *world) restart(cfg Config) {
	var err error
	if w.Service, err = New(context.Background(), cfg, "x.net", w, w, w.rows, nil); err != nil {
		w.t.Fatal(err)
	}
}

const phone, desk = wire.Addr("ann@x.net/phone"), wire.Addr("ann@x.net/desk")

// ask sends a request to the own account and returns the answer.
func (w *world) ask(from wire.Addr, payload string) string {
	w.t.Helper()
	s := &routetest.Session{Address: from}
	w.Handle(&wire.Batch{}, s, routetest.Packet(w.t, "<iq type='set' id='1'>"+payload+"</iq>"))
	return s.Got
}

// enable has a node told of a session.
func (w *world) enable(from wire.Addr, service, node string) {
	w.t.Helper()
	if got := w.ask(from, "<enable xmlns='urn:xmpp:push:0' jid='"+service+"' node='"+node+"'/>"); !strings.Contains(got, "type='result'") {
		w.t.Fatal(got)
	}
}

// message is one that bob sends.
func message(content string) wire.Stanza {
	return wire.Stanza{Kind: wire.Message, Tail: []byte(" from='bob@y.net/1' type='chat'>" + content + "</message>")}
}

var hello = message("<body>hello</body>")

// take returns what was sent.
func (w *world) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	sent := w.sent
	w.sent = nil
	return sent
}

// one returns the only notification that was sent.
func (w *world) one(what string) string {
	w.t.Helper()
	list := w.take()
	if len(list) != 1 {
		w.t.Fatalf("%s: %q", what, list)
	}
	return list[0]
}

// none wants that nothing was sent.
func (w *world) none(what string) {
	w.t.Helper()
	if list := w.take(); len(list) != 0 {
		w.t.Errorf("%s: %q", what, list)
	}
}

func field(notification, name string) string {
	_, rest, _ := strings.Cut(notification, "<field var='"+name+"'><value>")
	value, _, _ := strings.Cut(rest, "<")
	return value
}

// answer answers a notification as its app server, or as somebody else.
func (w *world) answer(notification string, from wire.Addr, content string) {
	w.t.Helper()
	_, id, _ := strings.Cut(notification, " id='")
	id, _, _ = strings.Cut(id, "'")
	typ := "result"
	if content != "" {
		typ = "error"
	}
	w.Reply(&wire.Batch{}, &routetest.Session{Address: from}, "x.net", routetest.Packet(w.t, "<iq type='"+typ+"' id='"+id+"'>"+content+"</iq>"))
}

func failure(typ, condition string) string {
	return "<error type='" + typ + "'><" + condition + " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
}

// XEP-0357 §6.
func TestNotificationHasTheOptionsAndTellsLittle(t *testing.T) {
	w := newWorld(t, DefaultConfig())
	form := "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/pubsub#publish-options</value></field><field var='secret'><value>s3</value></field></x>"
	if got := w.ask(phone, "<enable xmlns='urn:xmpp:push:0' jid='push.y.net' node='n&amp;1'>"+form+"</enable>"); !strings.Contains(got, "type='result'") {
		t.Fatal(got)
	}
	w.Arrived("ann@x.net", hello, false)
	got := w.one("a message")
	if !strings.HasPrefix(got, "x.net to push.y.net:  from='x.net' id='") {
		t.Error(got)
	}
	for _, want := range []string{" type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='n&amp;1'><item><notification xmlns='urn:xmpp:push:0'><x xmlns='jabber:x:data'",
		"<value>urn:xmpp:push:summary</value>", "<field var='message-count'><value>1</value></field>", "<value>New message</value>", "<publish-options>" + form + "</publish-options></pubsub></iq>"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	if strings.Contains(got, "bob") || strings.Contains(got, "hello") {
		t.Errorf("it says who or what: %s", got)
	}
}

func TestNotificationTellsWhatTheConfigurationAllows(t *testing.T) {
	for _, c := range []struct {
		change       func(*Config)
		st           wire.Stanza
		sender, body string
	}{
		{func(c *Config) { c.Text = "" }, hello, "", ""},
		{func(c *Config) { c.Sender = true }, hello, "bob@y.net/1", "New message"},
		{func(c *Config) { c.Body = true }, hello, "", "hello"},
		{func(c *Config) { c.Body = true }, message("<body>" + strings.Repeat("é", 2000) + "</body>"), "", strings.Repeat("é", 512)},
		{func(c *Config) { c.Body = true }, message("<encrypted xmlns='urn:xmpp:omemo:2'/>"), "", "New message"},
	} {
		cfg := DefaultConfig()
		c.change(&cfg)
		w := newWorld(t, cfg)
		w.enable(phone, "push.y.net", "n")
		w.Arrived("ann@x.net", c.st, false)
		got := w.one("a message")
		if field(got, "last-message-sender") != c.sender || field(got, "last-message-body") != c.body {
			t.Errorf("%q %q: %s", c.sender, c.body, got)
		}
	}
}

func TestWhatIsToldOf(t *testing.T) {
	carbon := func(direction, content string) wire.Stanza {
		return wire.Stanza{Kind: wire.Message, Tail: []byte(" from='ann@x.net'><" + direction + " xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>" +
			"<message xmlns='jabber:client' from='bob@y.net/1' type='chat'>" + content + "</message></forwarded></" + direction + "></message>")}
	}
	of := func(typ, content string) wire.Stanza {
		return wire.Stanza{Kind: wire.Message, Tail: []byte(" from='r@muc.x.net/bob' type='" + typ + "'>" + content + "</message>")}
	}
	iq := func(typ, content string) wire.Stanza {
		return wire.Stanza{Kind: wire.IQ, Tail: []byte(" from='bob@y.net/1' type='" + typ + "' id='1'>" + content + "</iq>")}
	}
	for _, c := range []struct {
		what string
		st   wire.Stanza
		want bool
	}{
		{"text", hello, true},
		{"no text", message("<body/>"), false},
		{"a chat state", message("<composing xmlns='http://jabber.org/protocol/chatstates'/>"), false},
		{"a receipt", message("<received xmlns='urn:xmpp:receipts' id='1'/>"), false},
		{"a marker", message("<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>"), false},
		{"OMEMO", message("<encrypted xmlns='eu.siacs.conversations.axolotl'><payload/></encrypted>"), true},
		{"OMEMO 2", message("<encrypted xmlns='urn:xmpp:omemo:2'/>"), true},
		{"OX", message("<openpgp xmlns='urn:xmpp:openpgp:0'>x</openpgp>"), true},
		{"PGP", message("<x xmlns='jabber:x:encrypted'>x</x>"), true},
		{"a call", message("<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>"), true},
		{"the end of one", message("<retract xmlns='urn:xmpp:jingle-message:0' id='1'/>"), false},
		{"an invitation to a call", message("<invite xmlns='urn:xmpp:call-invites:0'/>"), true},
		{"an invitation", message("<x xmlns='jabber:x:conference' jid='r@muc.x.net'/>"), true},
		{"an invitation by the room", message("<x xmlns='http://jabber.org/protocol/muc#user'><invite from='bob@y.net'/></x>"), true},
		{"a status of the room", message("<x xmlns='http://jabber.org/protocol/muc#user'><status code='104'/></x>"), false},
		{"in a room", of("groupchat", "<body>hi</body>"), true},
		{"a subject", of("groupchat", "<subject>hi</subject>"), false},
		{"a headline", of("headline", "<body>hi</body>"), false},
		{"an error", of("error", "<body>hi</body>"), false},
		{"a copy", carbon("received", "<body>hi</body>"), true},
		{"a copy of a chat state", carbon("received", "<active xmlns='http://jabber.org/protocol/chatstates'/>"), false},
		{"a copy of what was sent", carbon("sent", "<body>hi</body>"), false},
		{"from the archive", message("<result xmlns='urn:xmpp:mam:2'><forwarded xmlns='urn:xmpp:forward:0'/></result><body>hi</body>"), false},
		{"presence", wire.Stanza{Kind: wire.Presence, Tail: []byte(" from='bob@y.net/1'/>")}, false},
		{"the start of a session", iq("set", "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate'/>"), true},
		{"its end", iq("set", "<jingle xmlns='urn:xmpp:jingle:1' action='session-terminate'/>"), false},
		{"a ping", iq("get", "<ping xmlns='urn:xmpp:ping'/>"), false},
		{"no stanza", wire.Stanza{Kind: wire.Message, Tail: []byte(" from='bob@y.net/1'><body>")}, false},
		{"nobody's", wire.Stanza{Kind: wire.Message, Tail: []byte("><body>hi</body></message>")}, false},
	} {
		if _, got := read(c.st); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}

// TestWhoIsTold: of what is said to an account, those who have no session; of what waits for a session, that session's node.
func TestWhoIsTold(t *testing.T) {
	w := newWorld(t, DefaultConfig())
	w.enable(phone, "push.y.net", "phone")
	w.enable(desk, "push.y.net", "desk")
	w.sessions[desk] = &routetest.Session{Address: desk}
	w.Arrived("ann@x.net", hello, false)
	got := w.one("to the account")
	if !strings.Contains(got, "node='phone'") {
		t.Error(got)
	}
	w.answer(got, "push.y.net", "")
	w.Missed(desk, hello)
	if got = w.one("to a session that is away"); !strings.Contains(got, "node='desk'") {
		t.Error(got)
	}
	w.answer(got, "push.y.net", "")
	w.Missed("ann@x.net/other", hello)
	w.Away("ann@x.net/other", []wire.Stanza{hello})
	w.Arrived("bob@x.net", hello, false)
	own := wire.Stanza{Kind: wire.Message, Tail: []byte(" from='ann@x.net/desk' type='chat'><body>hello</body></message>")}
	w.Arrived("ann@x.net", own, false)
	w.Missed(desk, own)
	w.none("what concerns nobody")
}

func TestOneNotificationAtATimeAndTheNextCountsAll(t *testing.T) {
	w := newWorld(t, DefaultConfig())
	w.enable(phone, "push.y.net", "n")
	w.sessions[phone] = &routetest.Session{Address: phone}
	w.Away(phone, []wire.Stanza{hello, message("<active xmlns='http://jabber.org/protocol/chatstates'/>"), hello})
	first := w.one("what was not acknowledged")
	if field(first, "message-count") != "2" {
		t.Error(first)
	}
	for range 5 {
		w.Missed(phone, hello)
	}
	w.none("before the answer")
	w.answer(first, "other.y.net", "")
	w.none("an answer of somebody else")
	w.answer(first, "push.y.net", "")
	second := w.one("after the answer")
	if field(second, "message-count") != "7" || second == first {
		t.Error(second)
	}
	w.answer(first, "push.y.net", "")
	w.none("answered twice")
	w.answer(second, "push.y.net", "")
	w.none("nothing came meanwhile")
	w.Away("ann@x.net/other", nil)
	w.Back("ann@x.net/other")
	w.Back(phone)
	w.Away(phone, nil)
	w.none("the client was there")
	w.Missed(phone, hello)
	if got := w.one("after it was there"); field(got, "message-count") != "1" {
		t.Error(got)
	}
}

func TestLateMessagesAreToldOfOnce(t *testing.T) {
	w := newWorld(t, DefaultConfig())
	w.enable(phone, "push.y.net", "n")
	w.Arrived("ann@x.net", hello, true)
	w.answer(w.one("nobody was told"), "push.y.net", "")
	w.Arrived("ann@x.net", hello, true)
	w.none("told before")
}

// XEP-0357 §6.1.
func TestErrorsDisable(t *testing.T) {
	for _, c := range []struct {
		error string
		times int // 0: never
	}{
		{failure("cancel", "item-not-found"), 1}, {failure("cancel", "gone"), 1}, {failure("auth", "forbidden"), 1}, {failure("auth", "not-authorized"), 1}, {failure("cancel", "not-allowed"), 1},
		{failure("wait", "item-not-found"), 1},
		{failure("cancel", "remote-server-not-found"), mostFaults}, {failure("cancel", "service-unavailable"), mostFaults}, {"<error type='cancel'/>", mostFaults}, {"<x/>", mostFaults},
		{failure("wait", "remote-server-timeout"), 0}, {failure("wait", "resource-constraint"), 0},
	} {
		w := newWorld(t, DefaultConfig())
		w.enable(phone, "push.y.net", "n")
		n := 0
		for ; n < 3*mostFaults; n++ {
			w.Arrived("ann@x.net", hello, false)
			list := w.take()
			if len(list) == 0 {
				break
			}
			w.answer(list[0], "push.y.net", c.error)
		}
		if want := c.times; n != want && !(want == 0 && n == 3*mostFaults) {
			t.Errorf("%s: after %d", c.error, n)
		}
		if kept := len(w.rows.list); (kept == 0) != (c.times > 0) {
			t.Errorf("%s: %d are stored", c.error, kept)
		}
	}
}

func TestAnAnswerEndsTheRowOfErrors(t *testing.T) {
	w := newWorld(t, DefaultConfig())
	w.enable(phone, "push.y.net", "n")
	for range 3 {
		for range mostFaults - 1 {
			w.Arrived("ann@x.net", hello, false)
			w.answer(w.one("an error"), "push.y.net", failure("cancel", "service-unavailable"))
		}
		w.Arrived("ann@x.net", hello, false)
		w.answer(w.one("a result"), "push.y.net", "")
	}
}

func TestWithoutAnAnswerTheNextGoesOutLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, DefaultConfig())
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { w.Run(ctx); close(done) }()
		w.enable(phone, "push.y.net", "n")
		w.Arrived("ann@x.net", hello, false)
		w.one("the first")
		w.Arrived("ann@x.net", hello, false)
		time.Sleep(answerTime - answerLook)
		synctest.Wait()
		w.none("too early")
		time.Sleep(3 * answerLook)
		synctest.Wait()
		if got := w.one("the second"); field(got, "message-count") != "2" {
			t.Error(got)
		}
		time.Sleep(3 * answerTime)
		synctest.Wait()
		w.none("nothing came behind it")
		w.Arrived("ann@x.net", hello, false)
		w.one("the third")
		cancel()
		<-done
	})
}

// XEP-0357 §4, §5.
func TestEnableAndDisable(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Nodes = 3
	w := newWorld(t, cfg)
	want := func(what string, nodes ...string) {
		t.Helper()
		if got := w.rows.nodes(); !slices.Equal(got, nodes) {
			t.Errorf("%s: %q, want %q", what, got, nodes)
		}
		if n, _ := w.Stats(); n != len(nodes) {
			t.Errorf("%s: %d in memory", what, n)
		}
	}
	disable := func(attributes string) {
		t.Helper()
		if got := w.ask(desk, "<disable xmlns='urn:xmpp:push:0' "+attributes+"/>"); !strings.Contains(got, "type='result'") {
			t.Errorf("%s: %s", attributes, got)
		}
	}
	w.enable(phone, "a.net", "1")
	w.enable(phone, "a.net", "2")
	w.enable(desk, "b.net", "1")
	want("three", "a.net 1", "a.net 2", "b.net 1")
	w.enable(desk, "A.net", "1")
	want("one of them again", "a.net 2", "b.net 1", "a.net 1")
	if w.rows.list[2].Session != string(desk) {
		t.Errorf("the session: %+v", w.rows.list[2])
	}
	w.enable(phone, "c.net", "1")
	want("a fourth", "b.net 1", "a.net 1", "c.net 1")
	w.enable(phone, "a.net", "")
	want("without a node", "a.net 1", "c.net 1", "a.net ")
	disable("jid='a.net' node=''")
	want("that one disabled", "a.net 1", "c.net 1")
	disable("jid='a.net' node='2'")
	want("one that is not there disabled", "a.net 1", "c.net 1")
	w.enable(phone, "a.net", "2")
	disable("jid='a.net'")
	want("all of a server disabled", "c.net 1")
	w.restart(cfg)
	want("after a new start", "c.net 1")
	w.Arrived("ann@x.net", hello, false)
	w.one("after a new start")
	w.Forget("ann@x.net")
	w.Arrived("ann@x.net", hello, false)
	w.none("a deleted account")
}

func TestRequestsAreRefused(t *testing.T) {
	w := newWorld(t, DefaultConfig())
	for _, c := range []struct{ payload, want string }{
		{"<enable xmlns='urn:xmpp:push:0' node='1'/>", "<error type='modify'><bad-request "},
		{"<disable xmlns='urn:xmpp:push:0'/>", "<bad-request "},
		{"<enable xmlns='urn:xmpp:push:0' jid='@' node='1'/>", "<bad-request "},
		{"<enable xmlns='urn:xmpp:push:0' jid='ann@x.net' node='1'/>", "<bad-request "},
		{"<enable xmlns='urn:xmpp:push:0' jid='ann@x.net/desk' node='1'/>", "<bad-request "},
		{"<enable xmlns='urn:xmpp:push:0' jid='a.net' node='" + strings.Repeat("n", 513) + "'/>", "<not-acceptable "},
		{"<enable xmlns='urn:xmpp:push:0' jid='a.net' node='1'><x xmlns='jabber:x:data' type='submit'/></enable>", "<bad-request "},
		{"<enable xmlns='urn:xmpp:push:0' jid='a.net' node='1'><x xmlns='jabber:x:data'><field var='FORM_TYPE'><value>urn:other</value></field></x></enable>", "<bad-request "},
		{"<enable xmlns='urn:xmpp:push:0' jid='a.net' node='1'><x xmlns='jabber:x:data'><field var='FORM_TYPE'><value>" + nsOptions + "</value></field><field var='a'><value>" + strings.Repeat("x", 4096) + "</value></field></x></enable>", "<bad-request "},
	} {
		if got := w.ask(desk, c.payload); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", c.payload, got)
		}
	}
	const good = "<enable xmlns='urn:xmpp:push:0' jid='a.net' node='1'/>"
	for _, c := range []struct {
		from *routetest.Session
		head string
		want string
	}{
		{&routetest.Session{Address: "g@x.net/1", Anonymous: true}, "type='set'", "<forbidden "},
		{&routetest.Session{Address: desk}, "type='get'", "<service-unavailable "},
		{&routetest.Session{Address: desk}, "type='set' to='x.net'", "<service-unavailable "},
		{&routetest.Session{Address: desk}, "type='set' to='bob@x.net'", "<service-unavailable "},
		{&routetest.Session{Address: "nobody@x.net/1"}, "type='set'", "<feature-not-implemented "},
		{&routetest.Session{Address: desk}, "type='set' to='ann@x.net'", "type='result'"},
	} {
		w.Handle(&wire.Batch{}, c.from, routetest.Packet(t, "<iq id='1' "+c.head+">"+good+"</iq>"))
		if !strings.Contains(c.from.Got, c.want) {
			t.Errorf("%s: %s", c.head, c.from.Got)
		}
	}
	w.rows.failing = errors.New("database is down")
	for _, payload := range []string{"<enable xmlns='urn:xmpp:push:0' jid='b.net' node='1'/>", "<disable xmlns='urn:xmpp:push:0' jid='a.net'/>"} {
		if got := w.ask(desk, payload); !strings.Contains(got, "<error type='wait'><internal-server-error ") || strings.Contains(got, "database") {
			t.Errorf("the store is away: %s", got)
		}
	}
	if n, _ := w.Stats(); n != 1 {
		t.Errorf("the store is away: %d nodes", n)
	}
	w.full = true
	if got := w.ask(desk, good); !strings.Contains(got, "<resource-constraint ") {
		t.Errorf("too much waits: %s", got)
	}
	w.Arrived("ann@x.net", hello, false)
	w.full = false
	w.Arrived("ann@x.net", hello, false)
	if got := w.one("after too much waited"); field(got, "message-count") != "2" {
		t.Error(got)
	}
}

func TestDisablingEndsWhatIsOnItsWay(t *testing.T) {
	w := newWorld(t, DefaultConfig())
	w.enable(phone, "a.net", "1")
	w.Arrived("ann@x.net", hello, false)
	first := w.one("the first")
	w.Arrived("ann@x.net", hello, false)
	w.enable(phone, "a.net", "1") // the client is back
	w.answer(first, "a.net", failure("cancel", "item-not-found"))
	if n, _ := w.Stats(); n != 1 || len(w.rows.list) != 1 {
		t.Error("an answer to what was before disabled it")
	}
	w.none("after the client was back")
	w.Arrived("ann@x.net", hello, false)
	next := w.one("the next")
	if field(next, "message-count") != "1" {
		t.Error(next)
	}
	w.Arrived("ann@x.net", hello, false)
	w.enable(phone, "a.net", "1")
	w.answer(next, "a.net", "")
	w.none("what came before the client was back")
}

// FuzzRead: whatever waits, it is read without fault, and what is said of it is a stanza.
func FuzzRead(f *testing.F) {
	for _, s := range []string{" from='bob@y.net/1' type='chat'><body>hello</body></message>", " from='a@b'><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='a@b/c'><body>&lt;</body></message></forwarded></received></message>",
		" from='bob@y.net/1' type='groupchat'><subject/></message>", "/>", " from='a@b' type='set'><jingle xmlns='urn:xmpp:jingle:1' action='session-initiate'/></iq>"} {
		f.Add(s)
	}
	cfg := DefaultConfig()
	cfg.Sender, cfg.Body = true, true
	s := &Service{cfg: cfg, domain: "x.net"}
	f.Fuzz(func(t *testing.T, tail string) {
		for _, kind := range []wire.Kind{wire.Message, wire.IQ} {
			n, ok := read(wire.Stanza{Kind: kind, Tail: []byte(tail)})
			if !ok {
				continue
			}
			st := s.notification(&target{Push: store.Push{Node: n.body}, last: n, count: 1, flight: "id"})
			if len(st.Tail) > 16<<10+6*len(n.body) {
				t.Errorf("%d bytes", len(st.Tail))
			}
			routetest.Packet(t, "<iq"+string(st.Tail))
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	c := DefaultConfig()
	if c.Nodes = 0; c.Check() == nil {
		t.Error("no nodes")
	}
	if fmt.Sprint(DefaultConfig().Sender, DefaultConfig().Body) != "false false" {
		t.Error("who and what is told by default")
	}
}
