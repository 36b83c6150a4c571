package im

import (
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/token"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// client is a session without a connection.
type client struct {
	route.Attended
	t      *testing.T
	addr   wire.Addr
	guest  bool
	modern bool // bound its session by XEP-0386
	r      *route.Router
	h      *Host
	held   atomic.Int32 // stanzas that are not acknowledged

	mu    sync.Mutex // guards what follows
	got   []string
	ended bool
}

func (c *client) Addr() wire.Addr       { return c.addr }
func (c *client) Guest() bool           { return c.guest }
func (c *client) Modern() bool          { return c.modern }
func (c *client) Source() netip.Addr    { return netip.MustParseAddr("127.0.0.1") }
func (c *client) Claims() *token.Claims { return nil }
func (c *client) Room() string          { return "" }
func (c *client) Tenant() string        { return "" }
func (c *client) Hold() func() {
	c.held.Add(1)
	return func() { c.held.Add(-1) }
}
func (c *client) Deliver(b *wire.Batch, to wire.Addr, s wire.Stanza) {
	if to == "" {
		to = c.addr
	}
	raw := string(append(wire.AppendStart(nil, s.Kind, "", to), s.Tail...))
	parse(c.t, raw)
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		c.r.Bounce(b, c.addr, s)
		return
	}
	c.got = append(c.got, raw)
	c.mu.Unlock()
}

// end returns what has come in; what comes from now on goes back.
func (c *client) end() []string {
	c.h.settle()
	c.mu.Lock()
	c.ended = true
	got := c.got
	c.mu.Unlock()
	c.r.Unbind(c, true)
	return got
}

// take returns what has come in when nothing is in hand any more.
func (c *client) take() []string {
	if c.h != nil {
		c.h.settle()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	got := c.got
	c.got = nil
	return got
}

func (c *client) send(raw string) {
	c.t.Helper()
	var b wire.Batch
	c.r.Route(&b, c, parse(c.t, raw))
}

// expect wants exactly these stanzas to have come in, each holding all of its parts, which are parted by " … ".
func (c *client) expect(want ...string) {
	c.t.Helper()
	got := c.take()
	for i, w := range want {
		if i >= len(got) {
			c.t.Errorf("%s: no stanza %d, want %s", c.addr, i, w)
			continue
		}
		for part := range strings.SplitSeq(w, " … ") {
			if !strings.Contains(got[i], part) {
				c.t.Errorf("%s: got %s, want %s", c.addr, got[i], w)
			}
		}
	}
	if len(got) > len(want) {
		c.t.Errorf("%s: more than wanted: %s", c.addr, got[len(want):])
	}
	for until := time.Now().Add(30 * time.Second); c.held.Load() != 0 && time.Now().Before(until); {
		time.Sleep(time.Millisecond) // the archive may be about to say that it has it
	}
	if n := c.held.Load(); n != 0 {
		c.t.Errorf("%s: %d stanzas are never acknowledged", c.addr, n)
	}
}

func parse(t *testing.T, raw string) *wire.Packet {
	t.Helper()
	s := wire.Scanner{Limits: wire.AfterAuth}
	_, p, err := s.Next([]byte(raw))
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return p
}

// rooms is a service that notes what it is given.
type rooms struct{ got []string }

func (m *rooms) Handle(_ *wire.Batch, s route.Sender, to wire.Addr, p *wire.Packet) {
	m.got = append(m.got, string(s.Addr())+" > "+string(to)+" "+string(p.Type()))
}

func (m *rooms) Gone(a wire.Addr) { m.got = append(m.got, string(a)+" gone") }

type world struct {
	t *testing.T
	h *Host
	r *route.Router
	m *rooms
}

func newWorld(t *testing.T) *world {
	r := route.New(nil)
	w := &world{t: t, r: r, h: New("x.net", r), m: &rooms{}}
	r.Serve("muc.x.net", w.m)
	return w
}

func (w *world) login(addr wire.Addr) *client {
	c := &client{t: w.t, addr: addr, r: w.r, h: w.h, guest: strings.HasPrefix(string(addr), "guest")}
	if !c.guest {
		defer w.r.Expect(addr.Bare())()
	}
	if w.r.Bind(c) != nil {
		w.t.Fatalf("%s is taken", addr)
	}
	return c
}

func TestFullAddress(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.login("ann@x.net/a"), w.login("bob@x.net/b")
	ann.send(`<message to='bob@x.net/b' from='ann@x.net' id='1'><body>hi</body></message>`)
	bob.expect(`<message to='bob@x.net/b' from='ann@x.net/a' id='1'><body>hi</body></message>`)
	ann.send(`<message to='BOB@X.net/b'/>`)
	bob.expect(`to='bob@x.net/b'`)
	ann.send(`<iq to='bob@x.net/b' type='get' id='2'><q xmlns='u'/></iq>`)
	bob.expect(`<iq to='bob@x.net/b' from='ann@x.net/a' type='get' id='2'>`)
	bob.send(`<iq to='ann@x.net/a' type='result' id='2'/>`)
	ann.expect(`from='bob@x.net/b' type='result' id='2'`)
}

func TestNobodyThere(t *testing.T) {
	w := newWorld(t)
	ann := w.login("ann@x.net/a")
	for raw, want := range map[string]string{
		`<message to='bob@x.net'/>`:                               "service-unavailable",
		`<message to='bob@x.net/b' type='chat'/>`:                 "service-unavailable",
		`<message to='bob@x.net/b' type='groupchat'/>`:            "service-unavailable",
		`<message to='bob@x.net/b' type='headline'/>`:             "",
		`<message to='bob@x.net/b' type='error'/>`:                "",
		`<presence to='bob@x.net/b'/>`:                            "",
		`<presence to='bob@x.net' type='subscribe'/>`:             "feature-not-implemented",
		`<iq to='bob@x.net/b' type='get' id='1'><q/></iq>`:        "service-unavailable",
		`<iq to='bob@x.net' type='get' id='1'><q/></iq>`:          "service-unavailable",
		`<iq to='bob@x.net/b' type='result' id='1'/>`:             "",
		`<iq to='x.net' type='result' id='HX15'/>`:                "",
		`<iq to='x.net' type='get' id='HX14'><q xmlns='u'/></iq>`: "service-unavailable",
		`<iq type='get' id='HX14'><q xmlns='u'/></iq>`:            "service-unavailable",
		`<message to='x.net'/>`:                                   "service-unavailable",
		`<message to='elsewhere.net'/>`:                           "remote-server-not-found",
		`<message to='a b@x.net'/>`:                               "type='modify'><jid-malformed", // HX13
		`<message to=''/>`:                                        "jid-malformed",
	} {
		ann.send(raw)
		if want == "" {
			ann.expect()
		} else {
			ann.expect("type='error' … " + want)
		}
	}
}

func TestBareAddress(t *testing.T) {
	w := newWorld(t)
	ann, home, phone := w.login("ann@x.net/a"), w.login("bob@x.net/home"), w.login("bob@x.net/phone")
	ann.send(`<message to='bob@x.net'/>`)
	ann.expect("service-unavailable")
	home.send(`<presence><priority>5</priority></presence>`)
	home.expect(`<presence to='bob@x.net/home' from='bob@x.net/home'>`)
	phone.send(`<presence><priority>-1</priority></presence>`)
	phone.expect(`from='bob@x.net/home'><priority>5`, `from='bob@x.net/phone'`)
	home.expect(`from='bob@x.net/phone'`)
	ann.send(`<message to='bob@x.net' type='chat'><body>x</body></message>`)
	home.expect(`<message to='bob@x.net' from='ann@x.net/a'`)
	phone.expect()
	ann.send(`<presence to='bob@x.net'/>`)
	home.expect(`<presence to='bob@x.net' from='ann@x.net/a'`)
	phone.expect(`<presence to='bob@x.net' from='ann@x.net/a'`)
	ann.expect()
}

func TestEndOfSession(t *testing.T) {
	w := newWorld(t)
	ann, home, phone := w.login("ann@x.net/a"), w.login("bob@x.net/home"), w.login("bob@x.net/phone")
	home.send(`<presence/>`)
	phone.send(`<presence/>`)
	phone.send(`<presence to='ann@x.net/a'/>`)
	phone.send(`<presence to='r@muc.x.net/n'/>`)
	home.take()
	phone.take()
	ann.take()
	w.m.got = nil
	w.r.Unbind(phone, true)
	home.expect(`from='bob@x.net/phone' type='unavailable'`)
	ann.expect(`from='bob@x.net/phone' type='unavailable'`)
	if len(w.m.got) != 1 || w.m.got[0] != "bob@x.net/phone > r@muc.x.net/n unavailable" {
		t.Errorf("room was told %q", w.m.got)
	}
	home.send(`<presence to='r@muc.x.net/n'/>`)
	home.send(`<presence to='q@muc.x.net/n'/>`)
	w.m.got = nil
	w.r.Unbind(home, false)
	if len(w.m.got) != 1 || w.m.got[0] != "bob@x.net/home gone" {
		t.Errorf("rooms were told %q", w.m.got)
	}
	if w.r.Find("bob@x.net/home") != nil || len(w.h.users) != 1 {
		t.Error("a session outlives its end")
	}
}

func TestUnavailableReachesDirectedPresence(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.login("ann@x.net/a"), w.login("bob@x.net/b")
	ann.send(`<presence to='bob@x.net/b'/>`)
	ann.send(`<presence to='r@muc.x.net/n'/>`)
	bob.take()
	w.m.got = nil
	ann.send(`<presence type='unavailable'/>`)
	bob.expect(`from='ann@x.net/a' type='unavailable'`)
	if len(w.m.got) != 1 {
		t.Errorf("room was told %q", w.m.got)
	}
	w.r.Unbind(ann, true)
	bob.expect()
}

func TestGuestsReachRoomsOnly(t *testing.T) {
	w := newWorld(t)
	guest, bob := w.login("guest1@x.net/g"), w.login("bob@x.net/b")
	for _, raw := range []string{`<message to='bob@x.net/b'/>`, `<message to='bob@x.net'/>`, `<iq to='bob@x.net/b' type='get' id='1'><q/></iq>`, `<message to='nobody@x.net'/>`} {
		guest.send(raw)
		guest.expect("forbidden")
	}
	bob.expect()
	bob.send(`<iq to='guest1@x.net/g' type='get' id='1'><q/></iq>`)
	guest.expect("from='bob@x.net/b'")
	guest.send(`<iq to='bob@x.net/b' type='result' id='1'/>`)
	bob.expect("type='result'")
	guest.send(`<message to='r@muc.x.net' type='groupchat'/>`)
	if len(w.m.got) != 1 {
		t.Error("the room does not hear the guest")
	}
	guest.send(`<iq to='x.net' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>`)
	guest.expect("type='result'")
}

func TestBounce(t *testing.T) {
	w := newWorld(t)
	ann, home := w.login("ann@x.net/a"), w.login("bob@x.net/home")
	tail := func(raw string) wire.Stanza { return parse(t, raw).Stanza("ann@x.net/a") }
	w.r.Bounce(nil, "bob@x.net/gone", tail(`<message id='1'><body>hi</body></message>`))
	ann.expect("from='bob@x.net/gone' id='1' type='error' … recipient-unavailable")
	w.r.Bounce(nil, "bob@x.net/gone", tail(`<iq id='1' type='get'><q/></iq>`))
	ann.expect("recipient-unavailable")
	w.r.Bounce(nil, "bob@x.net/gone", tail(`<presence/>`))
	w.r.Bounce(nil, "bob@x.net/gone", tail(`<message type='groupchat'/>`))
	w.r.Bounce(nil, "bob@x.net/gone", tail(`<message type='error'/>`))
	ann.expect()
	home.send(`<presence/>`)
	home.take()
	w.r.Bounce(nil, "bob@x.net/gone", tail(`<message id='1'><body>hi</body></message>`))
	home.expect(`<message to='bob@x.net' from='ann@x.net/a' id='1'><body>hi`)
	ann.expect()
}

func TestDisco(t *testing.T) {
	w := newWorld(t)
	w.h.Announce([]string{"urn:example"}, Identity{"server", "shard", "s<1>"})
	w.h.AnnounceItem("muc.x.net")
	w.h.ServeServices(func(s route.Sender) []Service {
		return []Service{{Type: "stun", Host: "h", Port: 3478, Transport: "udp"}, {Type: "turn", Host: "h", Port: 3478, Transport: "udp", Username: "u", Password: "p&"}}
	})
	ann := w.login("ann@x.net/a")
	ann.send(`<iq to='x.net' type='get' id='1'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>`)
	ann.expect(`from='x.net' … <identity category='server' type='shard' name='s&lt;1&gt;'/> … <feature var='urn:example'/> … <feature var='urn:xmpp:extdisco:2'/>`)
	caps := w.h.Caps()
	ver := caps[strings.Index(caps, "ver='")+5 : len(caps)-3]
	ann.send(`<iq to='x.net' type='get' id='1'><query xmlns='http://jabber.org/protocol/disco#info' node='` + capsNode + `#` + ver + `'/></iq>`)
	ann.expect(`node='` + capsNode + `#` + ver + `'`)
	ann.send(`<iq to='x.net' type='get' id='1'><query xmlns='http://jabber.org/protocol/disco#info' node='nonsense'/></iq>`)
	ann.expect(`item-not-found`)
	ann.send(`<iq type='get' id='1'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>`)
	ann.expect(`<identity category='account' type='registered'/>`)
	ann.send(`<iq to='x.net' type='get' id='1'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>`)
	ann.expect(`<item jid='muc.x.net'/>`)
	ann.send(`<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>`)
	ann.expect(`type='result'><query xmlns='jabber:iq:roster'></query>`)
	ann.send(`<iq to='x.net' type='get' id='1'><services xmlns='urn:xmpp:extdisco:2'/></iq>`)
	ann.expect(`<services xmlns='urn:xmpp:extdisco:2'><service type='stun' … username='u' password='p&amp;'`)
	ann.send(`<iq to='x.net' type='get' id='1'><services xmlns='urn:xmpp:extdisco:1' type='turn'/></iq>`)
	ann.expect(`<services xmlns='urn:xmpp:extdisco:1'><service type='turn'`)
	ann.send(`<iq to='x.net' type='get' id='1'><credentials xmlns='urn:xmpp:extdisco:2'><service host='h' type='turn'/></credentials></iq>`)
	ann.expect(`<credentials xmlns='urn:xmpp:extdisco:2'><service type='turn' … password=`)
	ann.send(`<iq to='x.net' type='get' id='1'><credentials xmlns='urn:xmpp:extdisco:2'><service host='h' type='stun'/></credentials></iq>`)
	ann.expect(`item-not-found`)
}

// The caps hash is the one that XEP-0115 computes.
func TestCapsHash(t *testing.T) {
	i := info{identities: []Identity{{"client", "pc", "Exodus 0.9.1"}}, features: []string{
		"http://jabber.org/protocol/muc", "http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/caps", "http://jabber.org/protocol/disco#items",
	}}
	if got := i.ver(); got != "QgayPKawpkPSDYmwT/WM94uAlu0=" { // XEP-0115 §5.2
		t.Error(got)
	}
}
