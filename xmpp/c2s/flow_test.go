package c2s

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
	"parley/xmpp/wire"
)

func stanza(kind wire.Kind, s string) wire.Stanza { return wire.Stanza{Kind: kind, Tail: []byte(s)} }

// session returns the session of a client.
func (w *world) session(jid string) *Session {
	w.t.Helper()
	s, _ := w.router.Find(wire.Addr(jid)).(*Session)
	if s == nil {
		w.t.Fatalf("%s has no session", jid)
	}
	return s
}

// TestHC4ReceiverDoesNotRead: presence is coalesced, then the connection ends, and what was not acknowledged is there for
// the client that comes back.
func TestHC4ReceiverDoesNotRead(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.QueueStanzas, c.QueueBytes = 100, 16<<20 })
	m := newMobile(w, "ann", func() *peertest.Client { return w.dial(w.plain) })
	s := w.session(m.JID)
	// While the client is away nothing is written, as for one whose kernel takes no more.
	m.Conn.Close()
	waitFor(t, func() bool { return s.current() == nil })
	for i := range 1000 {
		s.Deliver(nil, "", stanza(wire.Presence, fmt.Sprintf(" from='r@muc.x.net/n%d'><v>%d</v></presence>", i%20, i)))
	}
	s.mu.Lock()
	n := s.queue.Len()
	s.mu.Unlock()
	if n > 120 {
		t.Errorf("%d presences of 20 occupants wait", n)
	}
	if w.counted("limit.queue") != 0 {
		t.Error("coalescing was not enough")
	}
	for i := range 50 {
		s.Deliver(nil, "", stanza(wire.Message, fmt.Sprintf(" from='b@x.net/1' id='b%d'/>", i)))
	}
	m.Move(true)
	latest := make(map[string]string)
	for len(m.Got) < 50 {
		e := m.Read()
		m.Take(e)
		if strings.HasPrefix(e, "<presence") {
			latest[peertest.Attr(e, "from")] = e
		}
	}
	m.Check("b", 50)
	for i := range 20 {
		if e := latest["r@muc.x.net/n"+strconv.Itoa(i)]; !strings.Contains(e, fmt.Sprintf("<v>%d</v>", 980+i)) {
			t.Errorf("occupant %d is last seen as %s", i, e)
		}
	}
	// One who goes on not reading loses the connection at the limit, the session at twice the limit.
	m.Conn.Close()
	waitFor(t, func() bool { return s.current() == nil })
	for i := range 250 {
		s.Deliver(nil, "", stanza(wire.Message, fmt.Sprintf(" from='b@x.net/1' id='c%d'/>", i)))
	}
	waitFor(t, func() bool { n, _ := w.srv.Sessions(); return n == 0 })
	if w.counted("limit.queue") == 0 {
		t.Error("not counted")
	}
}

// TestHC4BlockedSocket: a client that stops reading holds up nobody, and its memory is bounded.
func TestHC4BlockedSocket(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Unlimited() })
	deaf := w.client("bob", "deaf")
	ann := w.client("ann", "a")
	body := strings.Repeat("x", 20_000)
	sent := 0
	for ; sent < 5000; sent += 10 {
		for range 10 {
			ann.Send("<message to='" + deaf.JID + "'><body>" + body + "</body></message>")
		}
		if n, _ := w.srv.Sessions(); n == 1 {
			break
		}
	}
	if sent == 5000 {
		t.Fatal("100 MB wait for one client")
	}
	ann.Send("<iq type='get' to='x.net' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
	for !strings.Contains(ann.Read(), "id='p'") {
	}
	if w.counted("limit.queue") == 0 {
		t.Error("not counted")
	}
}

func TestClientStateHoldsBackPresence(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.client("ann", "a")
	s := w.session(ann.JID)
	ann.Send("<inactive xmlns='urn:xmpp:csi:0'/><iq type='get' to='x.net' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
	ann.Expect("id='p'")
	waitFor(t, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return !s.link.writing })
	s.Deliver(nil, "", stanza(wire.Presence, " from='b@x.net/1' id='p1'/>"))
	s.Deliver(nil, "", stanza(wire.Message, " from='b@x.net/1' id='m0'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>"))
	time.Sleep(20 * time.Millisecond)
	s.mu.Lock()
	waits := s.queue.Len()
	s.mu.Unlock()
	if waits != 2 {
		t.Errorf("%d stanzas wait", waits)
	}
	s.Deliver(nil, "", stanza(wire.Message, " from='b@x.net/1' id='m1'><body>x</body></message>"))
	ann.Expect("id='p1'") // in order, before what could not wait
	ann.Expect("id='m0'")
	ann.Expect("id='m1'")
	s.Deliver(nil, "", stanza(wire.Presence, " from='b@x.net/1' id='p2'/>"))
	ann.Send("<active xmlns='urn:xmpp:csi:0'/>")
	ann.Expect("id='p2'")
}

// TestHM12SilentClientIsGone: one who answers nothing is asked, then given up.
func TestHM12SilentClientIsGone(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.client("ann", "a")
	bob := w.client("bob", "b")
	s := w.session(ann.JID)
	ann.Send("<presence to='bob@x.net/b'/>")
	bob.Expect("<presence", "from='ann@x.net/a'")
	s.sweep(time.Now().Add(29 * time.Second))
	s.sweep(time.Now().Add(32 * time.Second))
	ann.Expect("<ping ", "from='x.net'")
	s.sweep(time.Now().Add(58 * time.Second))
	if s.current() == nil {
		t.Fatal("given up too early")
	}
	s.sweep(time.Now().Add(62 * time.Second))
	ann.ExpectEnd("connection-timeout")
	bob.Expect("<presence", "type='unavailable'", "from='ann@x.net/a'")
	if w.counted("conn.timeout") != 1 {
		t.Error("not counted")
	}
	// One who answers stays.
	carl := w.client("ann", "c")
	s = w.session(carl.JID)
	s.sweep(time.Now().Add(6 * time.Minute))
	ping := carl.Expect("<ping ")
	carl.Send("<iq type='result' to='x.net' id='" + peertest.Attr(ping, "id") + "'/><iq type='get' to='x.net' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
	carl.Expect("id='p'")
	s.sweep(time.Now().Add(4 * time.Minute))
	if s.current() == nil {
		t.Error("an answer does not count")
	}
}

func TestHF13PanicEndsOneSession(t *testing.T) {
	w := newWorld(t, nil)
	w.router.Serve("broken.x.net", brokenService{})
	ann, bob := w.client("ann", "a"), w.client("bob", "b")
	ann.Send("<message to='broken.x.net'/>")
	ann.ExpectEnd("internal-server-error")
	bob.Send("<iq type='get' to='x.net' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
	bob.Expect("id='p'")
	if w.counted("panic") != 1 {
		t.Error("not counted")
	}
	// Nor does it keep from others what was said to them just before.
	for i := range 20 {
		carl := w.client("ann", "c")
		id := strconv.Itoa(i)
		carl.Raw("<message type='chat' to='" + bob.JID + "' id='" + id + "'><body>x</body></message><message to='broken.x.net'/>")
		bob.Expect("<message", "id='"+id+"'")
		carl.ExpectEnd("internal-server-error")
	}
}

func TestHA8RevokedAccountIsOut(t *testing.T) {
	w := newWorld(t, nil)
	ann, bob := newMobile(w, "ann", func() *peertest.Client { return w.dial(w.plain) }), w.client("bob", "b")
	w.srv.Revoke("ann@x.net")
	ann.ExpectEnd("not-authorized")
	p := w.dial(w.plain)
	p.Login("ann", "ann")
	p.Send("<resume xmlns='urn:xmpp:sm:3' h='0' previd='" + ann.ID + "'/>")
	p.Expect("<failed")
	bob.Send("<iq type='get' to='x.net' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
	bob.Expect("id='p'")
}

func TestShutdownIsAnnounced(t *testing.T) {
	w := newWorld(t, nil)
	bound, fresh, web := w.client("ann", "a"), w.dial(w.plain), w.dialWS("")
	fresh.Open()
	web.Login("bob", "bob")
	web.Bind("")
	done := make(chan error)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), peertest.Patience)
		defer cancel()
		done <- w.srv.Close(ctx)
	}()
	for _, p := range []*peertest.Client{bound, fresh, web} {
		p.ExpectEnd("system-shutdown")
	}
	for _, p := range []*peertest.Client{bound, fresh, web} {
		p.Conn.Close()
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// What waits for a client when the server stops is said before the stream ends: to one that does not look, and where another goroutine
// is about to write.
func TestShutdownComesLast(t *testing.T) {
	w := newWorld(t, nil)
	w.srv.lastWords = peertest.Patience
	resting, busy := w.client("ann", "a"), w.client("bob", "b")
	resting.Send("<inactive xmlns='urn:xmpp:csi:0'/>")
	resting.Ping()
	w.session(resting.JID).Deliver(nil, "", wire.Stanza{Kind: wire.Presence, Tail: []byte(" from='x@y/z' type='unavailable'/>")})
	s := w.session(busy.JID)
	s.mu.Lock()
	s.link.writing = true
	l := s.link
	s.mu.Unlock()
	s.Deliver(nil, "", wire.Stanza{Kind: wire.Message, Tail: []byte(" from='x@y/z'><body>the last word</body></message>")})
	done := make(chan error)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), peertest.Patience)
		defer cancel()
		done <- w.srv.Close(ctx)
	}()
	resting.Expect("<presence", "from='x@y/z'")
	resting.ExpectEnd("system-shutdown")
	s.mu.Lock()
	l.writing = false
	s.mu.Unlock()
	busy.Expect("the last word")
	busy.ExpectEnd("system-shutdown")
	resting.Conn.Close()
	busy.Conn.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// upgrade asks for a WebSocket.
func (w *world) upgrade(query string) *http.Response {
	w.t.Helper()
	return w.dial(w.http).Upgrade("/xmpp-websocket" + query)
}

func TestHC3FullProcessTakesNoNewStream(t *testing.T) {
	w := newWorld(t, nil)
	w.full.Store(true)
	p := w.dial(w.plain)
	p.Expect("<stream:stream")
	p.ExpectEnd("resource-constraint")
	if res := w.upgrade(""); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a WebSocket is answered %s", res.Status)
	}
	w.full.Store(false)
	ann := newMobile(w, "ann", func() *peertest.Client { return w.dial(w.plain) })
	w.full.Store(true)
	p = w.dial(w.plain) // who may have come for a session, but has not
	p.Login("bob", "bob")
	p.Send("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
	p.ExpectEnd("resource-constraint")
	if res := w.upgrade("?previd=wrong"); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a WebSocket is answered %s", res.Status)
	}
	ann.Move(true)
	if res := w.upgrade("?previd=" + ann.ID); res.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("a WebSocket of a session is answered %s", res.Status)
	}
	ann.Send("<iq type='get' to='x.net' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
	ann.Expect("id='p'")
}

func TestSessionsPerUserAreLimited(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.SessionsPerUser = 2 })
	w.client("ann", "a")
	w.client("ann", "b")
	p := w.dial(w.plain)
	p.Login("ann", "ann")
	p.Send("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
	p.Expect("type='error'", "<resource-constraint ")
	w.client("bob", "a")
	if w.counted("limit.sessions") != 1 {
		t.Error("not counted")
	}
}
