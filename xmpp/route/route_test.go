package route

import (
	"net/netip"
	"strings"
	"testing"

	"parley/internal/token"
	"parley/xmpp/wire"
)

// end is a session without a connection; what it gets is kept as text.
type end struct {
	addr  wire.Addr
	guest bool
	got   []string
}

func (e *end) Addr() wire.Addr       { return e.addr }
func (e *end) Guest() bool           { return e.guest }
func (e *end) Source() netip.Addr    { return netip.MustParseAddr("192.0.2.1") }
func (e *end) Claims() *token.Claims { return nil }
func (e *end) Room() string          { return "" }
func (e *end) Tenant() string        { return "" }
func (e *end) Hold() func()          { return func() {} }
func (e *end) Deliver(_ *wire.Batch, to wire.Addr, s wire.Stanza) {
	if to == "" {
		to = e.addr
	}
	e.got = append(e.got, string(append(wire.AppendStart(nil, s.Kind, "", to), s.Tail...)))
}

// desk notes what comes to the server's own domain and to services.
type desk struct {
	got       []string
	available Receiver
	drop      bool // presence
}

func (d *desk) note(what string, to wire.Addr) { d.got = append(d.got, what+" "+string(to)) }

func (d *desk) Handle(_ *wire.Batch, _ Sender, to wire.Addr, p *wire.Packet) {
	d.note(p.Kind.String(), to)
}
func (d *desk) Bound(s Sender)                               { d.note("bound", s.Addr()) }
func (d *desk) Unbound(_ *wire.Batch, s Sender, _ bool)      { d.note("unbound", s.Addr()) }
func (d *desk) Self(_ *wire.Batch, s Sender, p *wire.Packet) { d.note("self", s.Addr()) }
func (d *desk) Presence(_ *wire.Batch, _ Sender, to wire.Addr, _ *wire.Packet) bool {
	d.note("directed", to)
	return !d.drop
}
func (d *desk) Between(_ *wire.Batch, _ Sender, to wire.Addr, p *wire.Packet) {
	d.note("between", to)
}
func (d *desk) Again(_ *wire.Batch, _ Sender, to wire.Addr, p *wire.Packet) { d.note("again", to) }
func (d *desk) FromService(*wire.Batch, wire.Addr, wire.Stanza) bool        { return true }

func (d *desk) ToService(_ *wire.Batch, _ Sender, to wire.Addr, p *wire.Packet) bool {
	d.note("to service", to)
	return !d.drop
}
func (d *desk) Expect(wire.Addr) (release func()) { return func() {} }

func (d *desk) Undelivered(b *wire.Batch, to wire.Addr, p *wire.Packet) bool {
	if d.available == nil {
		return false
	}
	d.available.Deliver(b, to.Bare(), p.Stanza(wire.Addr(p.From())))
	return true
}

type world struct {
	r                 *Router
	home, rooms       *desk
	ann, bob, visitor *end
}

func newWorld() *world {
	w := &world{r: New(nil), home: &desk{}, rooms: &desk{},
		ann: &end{addr: "ann@x.net/a"}, bob: &end{addr: "bob@x.net/b"}, visitor: &end{addr: "0f3a@x.net/v", guest: true}}
	w.r.SetAccounts(w.home)
	w.r.Serve("x.net", w.home)
	w.r.Serve("muc.x.net", w.rooms)
	for _, e := range []*end{w.ann, w.bob, w.visitor} {
		w.r.Bind(e)
	}
	w.home.got = nil
	return w
}

func packet(t *testing.T, raw string) *wire.Packet {
	t.Helper()
	s := wire.Scanner{Limits: wire.AfterAuth}
	_, p, err := s.Next([]byte(raw))
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return p
}

func TestWhereStanzasGo(t *testing.T) {
	for _, c := range []struct {
		name, from, stanza string
		to                 string // who gets it: bob, home, rooms; "" is an error back
		want               string
	}{
		{"full address", "ann", "<message to='bob@x.net/b' id='1'/>", "bob", "<message to='bob@x.net/b' from='ann@x.net/a' id='1'/>"},
		{"another spelling of it", "ann", "<message to='BOB@X.net/b'/>", "bob", "<message to='bob@x.net/b' from='ann@x.net/a'/>"},
		{"claimed sender is replaced", "ann", "<message from='ann@x.net' to='bob@x.net/b'/>", "bob", "from='ann@x.net/a'"},
		{"full address without a session", "ann", "<message to='bob@x.net/gone'/>", "home", "message bob@x.net/gone"},
		{"bare address", "ann", "<message to='bob@x.net'/>", "home", "message bob@x.net"},
		{"no address", "ann", "<presence/>", "home", "self ann@x.net/a"},
		{"own bare address", "ann", "<iq to='ann@x.net' type='get' id='1'><x xmlns='y'/></iq>", "home", "self ann@x.net/a"},
		{"service", "visitor", "<message to='r@muc.x.net' type='groupchat'/>", "rooms", "message r@muc.x.net"},
		{"malformed address", "ann", "<message to='a@b@c'/>", "", "<jid-malformed "},
		{"another server", "ann", "<message to='carl@y.net'/>", "", "<remote-server-not-found "},
		{"guest to a person", "visitor", "<message to='bob@x.net/b'/>", "", "<forbidden "},
		{"guest asks a person", "visitor", "<iq type='get' id='1' to='bob@x.net/b'><x xmlns='y'/></iq>", "", "<forbidden "},
		{"guest answers a person", "visitor", "<iq type='result' id='1' to='bob@x.net/b'/>", "bob", "from='0f3a@x.net/v'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			from := map[string]*end{"ann": w.ann, "visitor": w.visitor}[c.from]
			var b wire.Batch
			w.r.Route(&b, from, packet(t, c.stanza))
			got := map[string][]string{"bob": w.bob.got, "home": w.home.got, "rooms": w.rooms.got, "": from.got}
			for who, list := range got {
				if who != c.to && len(list) > 0 {
					t.Errorf("%q got %q", who, list)
				}
			}
			if list := got[c.to]; len(list) != 1 || !strings.Contains(list[0], c.want) {
				t.Errorf("got %q, want %q", list, c.want)
			}
		})
	}
}

func TestErrorsAreNotAnswered(t *testing.T) {
	w := newWorld()
	var b wire.Batch
	for _, stanza := range []string{"<message type='error' to='carl@y.net'/>", "<iq type='result' id='1' to='carl@y.net'/>", "<iq type='error' id='1' to='a@b@c'/>", "<presence type='error' to='carl@y.net'/>"} {
		w.r.Route(&b, w.ann, packet(t, stanza))
	}
	if len(w.ann.got) > 0 {
		t.Errorf("answered %q", w.ann.got)
	}
}

func TestDirectedPresence(t *testing.T) {
	w := newWorld()
	var b wire.Batch
	w.r.Route(&b, w.ann, packet(t, "<presence to='bob@x.net/b'/>"))
	if len(w.bob.got) != 1 || len(w.home.got) != 1 || w.home.got[0] != "directed bob@x.net/b" {
		t.Errorf("%q %q", w.bob.got, w.home.got)
	}
	w.home.drop = true
	w.r.Route(&b, w.ann, packet(t, "<presence to='bob@x.net/b'/>"))
	if len(w.bob.got) != 1 {
		t.Error("presence that was to be dropped arrives")
	}
}

func TestBindAndUnbind(t *testing.T) {
	w := newWorld()
	if taken := w.r.Bind(&end{addr: "bob@x.net/b"}); taken != Receiver(w.bob) {
		t.Errorf("the address was taken by %v", taken)
	}
	w.r.Unbind(&end{addr: "bob@x.net/b"}, true) // somebody else's session of that address stays
	if w.r.Find("bob@x.net/b") != Receiver(w.bob) {
		t.Error("the wrong session was removed")
	}
	w.r.Unbind(w.bob, true)
	if w.r.Find("bob@x.net/b") != nil {
		t.Error("still there")
	}
}

func TestBounce(t *testing.T) {
	stanza := func(t *testing.T, raw string) wire.Stanza { return packet(t, raw).Stanza("ann@x.net/a") }
	for _, c := range []struct {
		name, raw     string
		other         bool   // bob has another session
		ann, elsewher string // what the sender and the other session get; "" is nothing
	}{
		{"message, nobody else there", "<message type='chat' id='1'><body>x</body></message>", false, "<recipient-unavailable ", ""},
		{"message, another session", "<message type='chat' id='1'><body>x</body></message>", true, "", "<body>x</body>"},
		{"request", "<iq type='get' id='1'><x xmlns='y'/></iq>", true, "<recipient-unavailable ", ""},
		{"answer", "<iq type='result' id='1'/>", true, "", ""},
		{"error", "<message type='error' id='1'/>", true, "", ""},
		{"what a room says", "<message type='groupchat' id='1'><body>x</body></message>", true, "", ""},
		{"presence", "<presence/>", true, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			other := &end{addr: "bob@x.net/c"}
			if c.other {
				w.home.available = other
			}
			w.r.Unbind(w.bob, false)
			w.r.Deliver(nil, "bob@x.net/b", stanza(t, c.raw))
			for who, pair := range map[string][2]string{"the sender": {strings.Join(w.ann.got, ""), c.ann}, "the other session": {strings.Join(other.got, ""), c.elsewher}} {
				if pair[1] == "" && pair[0] != "" || !strings.Contains(pair[0], pair[1]) {
					t.Errorf("%s got %q, want %q", who, pair[0], pair[1])
				}
			}
		})
	}
}
