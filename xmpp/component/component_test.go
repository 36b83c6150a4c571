package component

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/internal/limit"
	"parley/internal/token"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "a secret of sixteen or more"

// desk stands for everything at the server that is no component. It notes what it is given.
type desk struct {
	mu   sync.Mutex
	got  []string
	news chan struct{}
}

func newDesk() *desk { return &desk{news: make(chan struct{}, 1<<16)} }

func (d *desk) note(format string, args ...any) {
	d.mu.Lock()
	d.got = append(d.got, fmt.Sprintf(format, args...))
	d.mu.Unlock()
	d.news <- struct{}{}
}

func (d *desk) Handle(_ *wire.Batch, s route.Sender, to wire.Addr, p *wire.Packet) {
	d.note("%s to %s%s", p.Kind, to, p.Stanza(s.Addr()).Tail)
}
func (d *desk) Deliver(_ *wire.Batch, to wire.Addr, st wire.Stanza) {
	d.note("written to %s%s", to, st.Tail)
}
func (d *desk) Gone(a wire.Addr)                             { d.note("gone %s", a) }
func (d *desk) Expect(wire.Addr) (release func())            { return func() {} }
func (d *desk) Bound(route.Sender)                           {}
func (d *desk) Unbound(*wire.Batch, route.Sender, bool)      {}
func (d *desk) Self(*wire.Batch, route.Sender, *wire.Packet) {}
func (d *desk) Presence(*wire.Batch, route.Sender, wire.Addr, *wire.Packet) bool {
	return true
}
func (d *desk) Between(*wire.Batch, route.Sender, wire.Addr, *wire.Packet) {}
func (d *desk) ToService(*wire.Batch, route.Sender, wire.Addr, *wire.Packet) bool {
	return true
}
func (d *desk) FromService(*wire.Batch, wire.Addr, wire.Stanza) bool     { return true }
func (d *desk) Again(*wire.Batch, route.Sender, wire.Addr, *wire.Packet) {}
func (d *desk) Undelivered(*wire.Batch, wire.Addr, *wire.Packet) bool    { return false }

// expect waits until something with all parts has been noted.
func (d *desk) expect(t testing.TB, parts ...string) string {
	t.Helper()
	for {
		d.mu.Lock()
		for _, s := range d.got {
			if holds(s, parts) {
				d.mu.Unlock()
				return s
			}
		}
		got := strings.Join(d.got, "\n")
		d.mu.Unlock()
		select {
		case <-d.news:
		case <-time.After(30 * time.Second):
			t.Fatalf("nothing with %q, but\n%s", parts, got)
		}
	}
}

func holds(s string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}

// ann is a session of an account here.
type ann struct{ *desk }

func (a ann) Addr() wire.Addr       { return "ann@x.net/a" }
func (a ann) Guest() bool           { return false }
func (a ann) Source() netip.Addr    { return netip.Addr{} }
func (a ann) Claims() *token.Claims { return nil }
func (a ann) Room() string          { return "" }
func (a ann) Tenant() string        { return "" }
func (a ann) Hold() func()          { return func() {} }

type world struct {
	t                        *testing.T
	srv                      *Server
	router                   *route.Router
	home, rooms, far, client *desk
	ann                      ann
	addr                     string
}

func begin(t *testing.T, change func(*Server)) *world {
	w := &world{t: t, router: route.New(nil), home: newDesk(), rooms: newDesk(), far: newDesk(), client: newDesk()}
	w.router.SetAccounts(w.home)
	w.router.Serve("x.net", struct{ route.Service }{w.home})
	type watching interface {
		route.Service
		route.Watcher
	}
	w.router.Serve("muc.x.net", struct{ watching }{w.rooms})
	w.router.SetRemote(w.far)
	w.ann = ann{w.client}
	w.router.Bind(w.ann)
	w.srv = New([]Config{{"bot.x.net", secret}, {"irc.x.net", secret + "!"}}, w.router, nil, slog.New(slog.DiscardHandler))
	w.srv.penalty = 0
	if change != nil {
		change(w.srv)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.addr = l.Addr().String()
	done := make(chan struct{})
	go func() { defer close(done); w.srv.Serve(l) }()
	t.Cleanup(func() {
		l.Close()
		<-done
		w.srv.Close()
	})
	return w
}

// program is a component.
type program struct {
	t   *testing.T
	nc  net.Conn
	got string
}

func (w *world) dial() *program {
	w.t.Helper()
	nc, err := net.Dial("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { nc.Close() })
	return &program{t: w.t, nc: nc}
}

func (p *program) send(s string) { p.nc.Write([]byte(s)) }

// await reads until all that came since the last await holds all parts, and returns it.
func (p *program) await(parts ...string) string {
	p.t.Helper()
	buf := make([]byte, 64<<10)
	p.nc.SetReadDeadline(time.Now().Add(30 * time.Second))
	for !holds(p.got, parts) {
		n, err := p.nc.Read(buf)
		p.got += string(buf[:n])
		if err != nil && !holds(p.got, parts) {
			p.t.Fatalf("nothing with %q, but %q: %v", parts, p.got, err)
		}
	}
	got := p.got
	p.got = ""
	return got
}

// ends awaits the end of the stream with an error.
func (p *program) ends(condition string) {
	p.t.Helper()
	p.nc.SetReadDeadline(time.Now().Add(30 * time.Second))
	rest, _ := io.ReadAll(p.nc)
	if got := p.got + string(rest); !strings.Contains(got, "<stream:error><"+condition+" ") || !strings.HasSuffix(got, "</stream:stream>") {
		p.t.Errorf("it ends with %q, want %s", got, condition)
	}
}

func header(to string) string {
	return "<?xml version='1.0'?><stream:stream xmlns='" + NS + "' xmlns:stream='http://etherx.jabber.org/streams' to='" + to + "'>"
}

func handshake(id, secret string) string {
	sum := sha1.Sum([]byte(id + secret))
	return "<handshake>" + hex.EncodeToString(sum[:]) + "</handshake>"
}

// open says the header and returns the stream's id.
func (p *program) open(domain string) string {
	p.t.Helper()
	p.send(header(domain))
	got := p.await("<stream:stream ", " from='"+domain+"'", ">")
	_, id, _ := strings.Cut(got, " id='")
	id, _, _ = strings.Cut(id, "'")
	return id
}

// connect is a component that has connected.
func (w *world) connect(domain, secret string) *program {
	w.t.Helper()
	p := w.dial()
	p.send(handshake(p.open(domain), secret))
	p.await("<handshake/>")
	return p
}

func (w *world) says(stanza string) {
	w.t.Helper()
	scan := wire.Scanner{Limits: wire.AfterAuth}
	_, p, err := scan.Next([]byte(stanza))
	if err != nil {
		w.t.Fatal(err)
	}
	w.router.Route(&wire.Batch{}, w.ann, p)
}

func TestRoutingBothWays(t *testing.T) {
	w := begin(t, nil)
	bot, irc := w.connect("bot.x.net", secret), w.connect("irc.x.net", secret+"!")
	if w.srv.Connected() != 2 {
		t.Error("they are not counted")
	}
	w.says("<message to='bot.x.net' id='1'><body xmlns='jabber:client'>hi</body></message>")
	bot.await("<message to='bot.x.net' from='ann@x.net/a' id='1'><body>hi</body></message>")
	w.says("<iq to='Echo@bot.x.net/r' type='get' id='2'><q xmlns='u'/></iq>")
	bot.await("<iq to='echo@bot.x.net/r' from='ann@x.net/a' type='get' id='2'><q xmlns='u'/></iq>")

	bot.send("<iq to='ann@x.net/a' from='echo@bot.x.net/r' type='result' id='2'><a xmlns='u'/></iq>")
	w.client.expect(t, "written to", "from='echo@bot.x.net/r' type='result' id='2'><a xmlns='u'/>")
	bot.send("<message to='ann@x.net' from='bot.x.net'><body>b</body></message>")
	w.home.expect(t, "message to ann@x.net from='bot.x.net'")
	bot.send("<message to='room@irc.x.net' from='bot.x.net'/>")
	irc.await("<message to='room@irc.x.net' from='bot.x.net'/>")
	bot.send("<message to='carl@y.net' from='a@bot.x.net'/>")
	w.far.expect(t, "message to carl@y.net from='a@bot.x.net'")
	bot.send("<message from='a@bot.x.net' id='3'/><message xmlns='jabber:client' to='a@b@c' from='a@bot.x.net' id='4'/>")
	bot.await("to='a@bot.x.net'", "id='3' type='error'", "id='4' type='error'", "<bad-request ")

	// RFC 6120 §8.2.3
	bot.send("<iq to='ann@x.net/a' from='a@bot.x.net' type='get' id='7'/><iq to='ann@x.net/a' from='a@bot.x.net' type='what' id='8'/><iq to='ann@x.net/a' from='a@bot.x.net' type='result'/>")
	bot.await("to='a@bot.x.net'", "id='7' type='error'", "<bad-request ", "id='8' type='error'", "<bad-request ")
	w.client.mu.Lock()
	for _, got := range w.client.got {
		if strings.Contains(got, "from='a@bot.x.net'") {
			t.Errorf("ann got %s", got)
		}
	}
	w.client.mu.Unlock()

	// What services write in their own name, and what comes back because a session is gone.
	w.router.Deliver(&wire.Batch{}, "u@bot.x.net/r", wire.Stanza{Kind: wire.Presence, Tail: []byte(" from='room@muc.x.net/n'/>")})
	bot.await("<presence to='u@bot.x.net/r' from='room@muc.x.net/n'/>")
	w.router.Bounce(&wire.Batch{}, "ann@x.net/gone", wire.Stanza{Kind: wire.IQ, Tail: []byte(" from='u@bot.x.net' type='get' id='5'><q xmlns='u'/></iq>")})
	bot.await("<iq to='u@bot.x.net' from='ann@x.net/gone' id='5' type='error'>", "<recipient-unavailable ")

	bot.send("</stream:stream>")
	bot.await("</stream:stream>")
	w.says("<message to='bot.x.net' id='6'/>")
	w.client.expect(t, "from='bot.x.net' id='6' type='error'", "<remote-server-timeout ")
	w.connect("bot.x.net", secret) // and back
}

func TestComponentThatIsAway(t *testing.T) {
	w := begin(t, nil)
	w.says("<iq to='a@bot.x.net' type='get' id='1'><q xmlns='u'/></iq>")
	w.client.expect(t, "from='a@bot.x.net' id='1' type='error'", "type='wait'", "<remote-server-timeout ")
	w.says("<presence to='bot.x.net'/>")
	w.says("<message to='bot.x.net' type='error' id='e'/>")
	w.router.Deliver(&wire.Batch{}, "bot.x.net", wire.Stanza{Kind: wire.Message, Tail: []byte(" from='ann@x.net/a' id='2'/>")})
	w.client.expect(t, "id='2' type='error'")
	w.client.mu.Lock()
	defer w.client.mu.Unlock()
	if len(w.client.got) != 2 {
		t.Errorf("ann got %q", w.client.got)
	}
}

// Who of a component's addresses is in a room leaves it with the component.
func TestOccupantsLeaveWithTheirComponent(t *testing.T) {
	w := begin(t, nil)
	bot := w.connect("bot.x.net", secret)
	bot.send("<presence to='r@muc.x.net/bot' from='bot.x.net/b'/><presence to='ann@x.net' from='other@bot.x.net'/><message to='r@muc.x.net' from='mute@bot.x.net'/>")
	w.rooms.expect(t, "presence to r@muc.x.net/bot")
	w.rooms.expect(t, "message to r@muc.x.net")
	bot.nc.Close()
	w.rooms.expect(t, "gone bot.x.net/b")
	w.connect("bot.x.net", secret)
	w.rooms.mu.Lock()
	defer w.rooms.mu.Unlock()
	if len(w.rooms.got) != 3 {
		t.Errorf("the rooms got %q", w.rooms.got)
	}
}

func TestHandshakesThatAreRefused(t *testing.T) {
	w := begin(t, nil)
	for _, c := range []struct{ name, header, then, condition string }{
		{"a wrong secret", header("bot.x.net"), "<handshake>da39a3ee5e6b4b0d3255bfef95601890afd80709</handshake>", "not-authorized"},
		{"no digest", header("bot.x.net"), "<handshake/>", "not-authorized"},
		{"a stanza in its place", header("bot.x.net"), "<message to='ann@x.net' from='bot.x.net'/>", "not-authorized"},
		{"another namespace", header("bot.x.net"), "<handshake xmlns='u'/>", "not-authorized"},
		{"a component that is not there", header("other.x.net"), "", "host-unknown"},
		{"the server's own domain", header("x.net"), "", "host-unknown"},
		{"no domain", strings.Replace(header(""), " to=''", "", 1), "", "host-unknown"},
		{"a client's stream", strings.Replace(header("bot.x.net"), NS, "jabber:client", 1), "", "invalid-namespace"},
		{"no stream", "<message/>", "", "bad-format"},
		{"no XML", "GET / HTTP/1.1\r\n\r\n", "", "bad-format"},
		{"a long header", header(strings.Repeat("x", 11_000)), "", "policy-violation"},
		{"an entity", header("bot.x.net"), "<handshake>&x;</handshake>", "restricted-xml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := w.dial()
			p.t = t
			p.send(c.header)
			if c.then != "" {
				p.await("<stream:stream ", ">")
				p.send(c.then)
			}
			p.ends(c.condition)
		})
	}
	if len(w.home.got)+w.srv.Connected() > 0 {
		t.Errorf("somebody got in: %q", w.home.got)
	}
}

// A handshake is good for its own stream, and for its own domain.
func TestHandshakeIsNotGoodElsewhere(t *testing.T) {
	w := begin(t, nil)
	first, second := w.dial(), w.dial()
	good := handshake(first.open("bot.x.net"), secret)
	second.open("bot.x.net")
	second.send(good)
	second.ends("not-authorized")
	third := w.dial()
	third.send(handshake(third.open("irc.x.net"), secret))
	third.ends("not-authorized")
	first.send(good)
	first.await("<handshake/>")
}

func TestSecondStreamOfADomainIsAConflict(t *testing.T) {
	w := begin(t, nil)
	first := w.connect("bot.x.net", secret)
	second := w.dial()
	second.send(handshake(second.open("bot.x.net"), secret))
	second.ends("conflict")
	w.says("<message to='bot.x.net' id='1'/>")
	first.await("id='1'")
}

func TestForgedSenders(t *testing.T) {
	w := begin(t, nil)
	for _, from := range []string{" from='ann@x.net'", " from='x.net'", " from='irc.x.net'", " from='a@evil.bot.x.net'", " from='bot.x.net.evil'", "", " from='a@b@c'"} {
		p := w.connect("bot.x.net", secret)
		p.send("<message to='ann@x.net/a'" + from + "/>")
		p.ends("invalid-from")
		for w.srv.Connected() > 0 {
			time.Sleep(time.Millisecond)
		}
	}
	for _, other := range []string{"<x/>", "<handshake/>", "<message xmlns='jabber:server' from='bot.x.net' to='ann@x.net'/>"} {
		p := w.connect("bot.x.net", secret)
		p.send(other)
		p.ends("unsupported-stanza-type")
		for w.srv.Connected() > 0 {
			time.Sleep(time.Millisecond)
		}
	}
	if len(w.client.got)+len(w.home.got) > 0 {
		t.Errorf("what was forged came through: %q %q", w.client.got, w.home.got)
	}
}

// Guesses of the secret are slow, and connections of one source few (hardening HA1, HC2).
func TestHC2GuessesAreSlowAndFew(t *testing.T) {
	const pause = 300 * time.Millisecond
	w := begin(t, func(s *Server) {
		s.penalty = pause
		s.sources = limit.NewSources[netip.Addr](3, limit.Rate{PerSecond: 0.001, Burst: 5}, 16)
	})
	p := w.dial()
	p.open("bot.x.net")
	began := time.Now()
	p.send("<handshake>0</handshake>")
	p.ends("not-authorized")
	if d := time.Since(began); d < pause {
		t.Errorf("a guess is answered after %v", d)
	}
	taken := 0
	for range 10 {
		q := w.dial()
		q.send(header("bot.x.net"))
		q.nc.SetReadDeadline(time.Now().Add(30 * time.Second))
		if n, _ := q.nc.Read(make([]byte, 10)); n > 0 {
			taken++
		}
	}
	if taken == 0 || taken > 3 {
		t.Errorf("%d connections at a time", taken)
	}
}

// A component that does not read costs a bounded queue; what does not fit is answered, and so is what it was never written.
func TestHM12ComponentThatDoesNotRead(t *testing.T) {
	w := begin(t, nil)
	bot := w.connect("bot.x.net", secret)
	bot.nc.(*net.TCPConn).SetReadBuffer(4 << 10)
	body := strings.Repeat("x", 100<<10)
	const most = 400 // 40 MB: more than a queue and the kernel's buffers
	refused := func() (slow, away int) {
		w.client.mu.Lock()
		defer w.client.mu.Unlock()
		for _, s := range w.client.got {
			if strings.Contains(s, "<resource-constraint ") {
				slow++
			}
			if strings.Contains(s, "<remote-server-timeout ") {
				away++
			}
		}
		return
	}
	for i := range most {
		w.says(fmt.Sprintf("<message to='bot.x.net' id='m%d'><body>%s</body></message>", i, body))
	}
	slow, _ := refused()
	if slow == 0 {
		t.Fatal("everything is kept")
	}
	bot.nc.Close()
	w.client.expect(t, "<remote-server-timeout ")
	for w.srv.Connected() > 0 {
		time.Sleep(time.Millisecond)
	}
	w.connect("bot.x.net", secret)
}

// A flood is read at the pace that is set, and nothing of it is lost.
func TestHC2Flood(t *testing.T) {
	w := begin(t, func(s *Server) { s.pace = limit.Rate{PerSecond: 1000, Burst: 10} })
	bot := w.connect("bot.x.net", secret)
	began := time.Now()
	go bot.send(strings.Repeat("<message to='ann@x.net' from='bot.x.net'/>", 299) + "<message to='ann@x.net' from='last@bot.x.net'/>")
	w.home.expect(t, "from='last@bot.x.net'")
	if d := time.Since(began); d < 250*time.Millisecond {
		t.Errorf("300 stanzas were read in %v", d)
	}
	w.home.mu.Lock()
	defer w.home.mu.Unlock()
	if len(w.home.got) != 300 {
		t.Errorf("%d of 300 came through", len(w.home.got))
	}
}

func TestElementsInPieces(t *testing.T) {
	w := begin(t, nil)
	p := w.dial()
	for _, c := range header("bot.x.net") {
		p.send(string(c))
	}
	got := p.await("<stream:stream ", ">", "id='")
	_, id, _ := strings.Cut(got, " id='")
	id, _, _ = strings.Cut(id, "'")
	// Handshake and stanzas in one piece, and larger than any buffer.
	body := strings.Repeat("y", 100_000)
	p.send(handshake(id, secret) + " <message to='ann@x.net' from='bot.x.net'><body>" + body + "</body></message>\n<message to='ann@x.net' from='b@bot.x.net'/>")
	w.home.expect(t, "from='bot.x.net'", body)
	w.home.expect(t, "from='b@bot.x.net'")
	p.send("<message to='ann@x.net' from='bot.x.net'><body>" + strings.Repeat("y", wire.AfterAuth.Size) + "</body></message>")
	p.await("<handshake/>", "<policy-violation ")
}

func TestShutdown(t *testing.T) {
	w := begin(t, nil)
	bot, half := w.connect("bot.x.net", secret), w.dial()
	half.open("irc.x.net")
	w.srv.Close()
	bot.ends("system-shutdown")
	half.ends("system-shutdown")
	late := w.dial()
	late.nc.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := late.nc.Read(make([]byte, 1)); err == nil {
		t.Error("it takes connections")
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		list []Config
		ok   bool
	}{
		{nil, true},
		{[]Config{{"bot.x.net", secret}, {"irc.x.net", secret}}, true},
		{[]Config{{"bot.x.net", secret}, {"bot.x.net", secret}}, false},
		{[]Config{{"x.net", secret}}, false},
		{[]Config{{"bot.x.net", "short"}}, false},
		{[]Config{{"a@bot.x.net", secret}}, false},
		{[]Config{{"Bot.x.net", secret}}, false},
		{[]Config{{"", secret}}, false},
	} {
		if err := Check(c.list, "x.net", "muc.x.net"); (err == nil) != c.ok {
			t.Errorf("%v: %v", c.list, err)
		}
	}
}
