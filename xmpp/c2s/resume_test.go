package c2s

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
)

const (
	enable = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>"
	askR   = "<r xmlns='urn:xmpp:sm:3'/>"
)

func say(m *peertest.Mobile, to, id string) {
	m.Say("<message xmlns='jabber:client' type='chat' to='" + to + "' id='" + id + "'><body>" + id + "</body></message>")
}

func TestResumeLosesAndRepeatsNothing(t *testing.T) {
	doors := map[string]func(w *world) *peertest.Client{
		"TCP":       func(w *world) *peertest.Client { return w.dial(w.plain) },
		"WebSocket": func(w *world) *peertest.Client { return w.dialWS("") },
	}
	for door, dial := range doors {
		for _, cut := range []string{"reset", "half-open"} {
			t.Run(door+" "+cut, func(t *testing.T) {
				w := newWorld(t, func(c *Config) { c.Unlimited() })
				ann := newMobile(w, "ann", func() *peertest.Client { return dial(w) })
				bob := newMobile(w, "bob", func() *peertest.Client { return dial(w) })
				const count = 1000
				rnd := rand.New(rand.NewPCG(1, 2))
				for i := range count {
					say(ann, bob.JID, "a"+strconv.Itoa(i))
					say(bob, ann.JID, "b"+strconv.Itoa(i))
					if rnd.IntN(40) == 0 { // read some of what came, so that cuts fall at many states
						ann.Ask()
						for range rnd.IntN(20) {
							ann.Take(ann.Read())
						}
					}
					if rnd.IntN(50) == 0 {
						ann.Move(cut == "reset")
					}
					if rnd.IntN(70) == 0 {
						bob.Move(cut == "reset")
					}
				}
				ann.Settle(count)
				bob.Settle(count)
				ann.Check("b", count)
				bob.Check("a", count)
				for _, p := range ann.Old { // what is left of the old connections ends with conflict
					for e := p.Read(); e != "" && e != "</stream:stream>"; e = p.Read() {
						if strings.Contains(e, "stream:error") && !strings.Contains(e, "<conflict ") {
							t.Fatalf("the old connection got %s", e)
						}
					}
				}
			})
		}
	}
}

// What a connection brought in before its session left it reaches the others, though it brings in no more.
func TestResumeInTheMidstOfABatch(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Unlimited() })
	w.router.Serve("busy.x.net", busyService{})
	const busy = 100
	midst := 0
	for i := 0; i < 20 && midst == 0; i++ {
		ann := newMobile(w, "ann", func() *peertest.Client { return w.dial(w.plain) })
		bob := w.client("bob", "b")
		// One write, so that all of it is in the server's hands when the session leaves.
		ann.Raw("<message type='chat' to='" + bob.JID + "' id='first'><body>x</body></message>" + strings.Repeat("<message to='busy.x.net'/>", busy))
		p := w.dial(w.plain)
		p.Login("ann", "ann")
		p.Send("<resume xmlns='urn:xmpp:sm:3' h='0' previd='" + ann.ID + "'/>")
		h, err := strconv.Atoi(peertest.Attr(p.Expect("<resumed"), "h"))
		if err != nil {
			t.Fatal(err)
		}
		if 0 < h && h < 1+busy {
			midst++
		}
		if h > 0 {
			bob.Expect("<message", "id='first'")
		}
		ann.Drop()
		p.Send("</stream:stream>")
		bob.Send("</stream:stream>")
	}
	if midst == 0 {
		t.Error("no resumption came in the midst of a batch")
	}
}

func TestResumeWhileAway(t *testing.T) {
	w := newWorld(t, nil)
	ann := newMobile(w, "ann", func() *peertest.Client { return w.dial(w.plain) })
	bob := newMobile(w, "bob", func() *peertest.Client { return w.dialTLS(0x0304) })
	bob.Conn.Close()
	waitFor(t, func() bool { _, away := w.srv.Sessions(); return away == 1 })
	for i := range 100 {
		say(ann, bob.JID, "a"+strconv.Itoa(i))
	}
	bob.Move(true)
	bob.Settle(100)
	bob.Check("a", 100)
	ann.Settle(0)
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(peertest.Patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come to that")
		}
	}
}

func TestHC9ResumptionIsRefused(t *testing.T) {
	w := newWorld(t, nil)
	ann := newMobile(w, "ann", func() *peertest.Client { return w.dial(w.plain) })
	guest := newMobile(w, "", func() *peertest.Client { return w.dial(w.plain) })
	refused := func(user, previd, h string) *peertest.Client {
		t.Helper()
		p := w.dial(w.plain)
		p.Login(user, user)
		p.Send("<resume xmlns='urn:xmpp:sm:3' h='" + h + "' previd='" + previd + "'/>")
		return p
	}
	for name, c := range map[string]struct{ user, previd string }{
		"unknown id":        {"ann", "nonsense"},
		"empty id":          {"ann", ""},
		"another user's":    {"bob", ann.ID},
		"account's, guest":  {"", ann.ID},
		"guest's, account":  {"ann", guest.ID},
		"id with an escape": {"ann", ann.ID + "&lt;"},
	} {
		p := refused(c.user, c.previd, "0")
		got := p.Expect("<failed", "<item-not-found ")
		if strings.Contains(got, " h=") {
			t.Errorf("%s: a stranger learns the count: %s", name, got)
		}
		p.Bind("") // the stream goes on
	}
	if w.counted("sm.reject") < 6 {
		t.Errorf("counted %v refusals", w.counted("sm.reject"))
	}
	p := refused("ann", ann.ID, "7") // more than was sent
	p.Expect("<stream:error", "<undefined-condition ", "<handled-count-too-high xmlns='urn:xmpp:sm:3' h='7' send-count='0'")
	p.ExpectEnd("")
	p = refused("ann", ann.ID, "0") // a bad attempt has not destroyed the session
	p.Expect("<resumed", "h='0'")
	p = refused("ann", ann.ID, "many")
	p.ExpectEnd("bad-format")
	p.T.Log("an old session is told")
}

// TestHC9StaleResume: a request with a count that cannot be, such as one that was under way for long, leaves the session
// with the connection that it has.
func TestHC9StaleResume(t *testing.T) {
	w := newWorld(t, nil)
	m := newMobile(w, "ann", func() *peertest.Client { return w.dial(w.plain) })
	bob := w.client("bob", "b")
	bob.Send("<message to='" + m.JID + "' id='m0'/><message to='" + m.JID + "' id='m1'/>")
	for len(m.Got) < 2 {
		m.Take(m.Read())
	}
	m.Send("<a xmlns='urn:xmpp:sm:3' h='2'/>")
	m.Ping()
	p := w.dial(w.plain)
	p.Login("ann", "ann")
	p.Send("<resume xmlns='urn:xmpp:sm:3' h='1' previd='" + m.ID + "'/>")
	p.Expect("<handled-count-too-high ")
	m.Ping()
}

func TestHC9HandledCountTooHigh(t *testing.T) {
	w := newWorld(t, nil)
	m := newMobile(w, "ann", func() *peertest.Client { return w.dial(w.plain) })
	m.Send("<a xmlns='urn:xmpp:sm:3' h='1'/>")
	m.Expect("<stream:error", "<undefined-condition ", "<handled-count-too-high ", "send-count='0'")
}

func TestEnableTwiceAndTooEarly(t *testing.T) {
	w := newWorld(t, nil)
	p := w.client("ann", "a")
	p.Send(askR)
	p.ExpectEnd("unsupported-stanza-type")
	m := newMobile(w, "ann", func() *peertest.Client { return w.dial(w.plain) })
	m.Send(enable)
	m.Expect("<failed", "<unexpected-request ")
	m.Send("<resume xmlns='urn:xmpp:sm:3' h='0' previd='x'/>")
	m.Expect("<failed", "<unexpected-request ")
	p = w.dial(w.plain)
	p.Open()
	p.Send(enable)
	p.ExpectEnd("not-authorized")
}

func TestHC10AcknowledgementIsAsked(t *testing.T) {
	w := newWorld(t, nil)
	m := newMobile(w, "ann", func() *peertest.Client { return w.dial(w.plain) })
	bob := w.client("bob", "")
	for i := range 30 {
		bob.Send("<message to='" + m.JID + "' id='" + strconv.Itoa(i) + "'/>")
	}
	asked := 0
	for m.H < 30 || asked == 0 {
		e := m.Read()
		if strings.HasPrefix(e, "<r ") {
			asked++
		}
		m.Take(e)
	}
	bob.Send("<message to='" + m.JID + "' id='last'/>")
	for len(m.Got) < 31 {
		m.Take(m.Read())
	}
	for _, s := range w.srv.all() { // the last few are asked for by the sweep
		s.sweep(time.Now())
	}
	m.Expect("<r ")
}

func TestResumptionTimesOut(t *testing.T) {
	w := newWorld(t, nil)
	m := newMobile(w, "ann", func() *peertest.Client { return w.dial(w.plain) })
	bob := w.client("bob", "b")
	m.Conn.Close()
	waitFor(t, func() bool { _, away := w.srv.Sessions(); return away == 1 })
	bob.Send("<message to='" + m.JID + "' id='lost' type='chat'><body>x</body></message><iq to='" + m.JID + "' type='get' id='q'><x xmlns='y'/></iq>")
	bob.Send("<iq type='get' to='x.net' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
	bob.Expect("id='p'")
	for _, s := range w.srv.all() {
		s.sweep(time.Now().Add(299 * time.Second))
	}
	if n, _ := w.srv.Sessions(); n != 2 {
		t.Fatalf("%d sessions before the time is over", n)
	}
	for _, s := range w.srv.all() {
		if s.current() == nil {
			s.sweep(time.Now().Add(301 * time.Second))
		}
	}
	if n, _ := w.srv.Sessions(); n != 1 {
		t.Fatalf("%d sessions after the time is over", n)
	}
	got := bob.Expect("type='error'") + bob.Expect("type='error'")
	for _, want := range []string{"<message", "id='lost'", "<iq", "id='q'", "from='" + m.JID + "'"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in %s", want, got)
		}
	}
	p := w.dial(w.plain)
	p.Login("ann", "ann")
	p.Send("<resume xmlns='urn:xmpp:sm:3' h='0' previd='" + m.ID + "'/>")
	p.Expect("<failed", "<item-not-found ")
}

// TestHeldStanzaIsNotAcknowledged: what a room must commit first is acknowledged after that.
func TestHeldStanzaIsNotAcknowledged(t *testing.T) {
	w := newWorld(t, nil)
	held := make(chan func(), 10)
	w.router.Serve("slow.x.net", slowService{held})
	m := newMobile(w, "ann", func() *peertest.Client { return w.dial(w.plain) })
	m.Send("<message to='slow.x.net' id='1'/>", "<message to='slow.x.net' id='2'/>", askR)
	m.Expect("<a ", "h='0'")
	(<-held)()
	m.Expect("<a ", "h='1'") // told again, since it was asked
	m.Conn.Close()
	second := <-held
	p := w.dial(w.plain)
	p.Login("ann", "ann")
	p.Send("<resume xmlns='urn:xmpp:sm:3' h='0' previd='" + m.ID + "'/>")
	time.Sleep(20 * time.Millisecond)
	second()
	p.Expect("<resumed", "h='2'")
}

func TestTakenOverByTwoAtOnce(t *testing.T) {
	w := newWorld(t, nil)
	m := newMobile(w, "ann", func() *peertest.Client { return w.dial(w.plain) })
	var peers []*peertest.Client
	for range 5 {
		p := w.dial(w.plain)
		p.Login("ann", "ann")
		peers = append(peers, p)
	}
	for _, p := range peers {
		p.Send("<resume xmlns='urn:xmpp:sm:3' h='0' previd='" + m.ID + "'/>")
	}
	alive := 0
	first := make([]string, len(peers))
	for i, p := range peers {
		first[i] = p.Read()
	}
	for i, p := range peers {
		e := first[i]
		if strings.Contains(e, "<resumed") {
			p.Conn.Write([]byte("<iq type='get' to='x.net' id='p'><ping xmlns='urn:xmpp:ping'/></iq>"))
			e = p.Read()
		}
		if strings.Contains(e, "id='p'") {
			alive++
		} else if !strings.Contains(e, "<conflict ") {
			t.Errorf("got %s", e)
		}
	}
	if alive != 1 {
		t.Errorf("%d connections own the session", alive)
	}
	if n, _ := w.srv.Sessions(); n != 1 {
		t.Errorf("%d sessions", n)
	}
}

// TestClosedSocketIsNoGoodbye: a WebSocket that is closed in order, but without <close/>, leaves a session behind that can
// be resumed (RFC 7395 §3.6).
func TestClosedSocketIsNoGoodbye(t *testing.T) {
	w := newWorld(t, nil)
	m := newMobile(w, "", func() *peertest.Client { return w.dialWS("") })
	m.Raw(string(peertest.Frame(0x88, []byte{3, 0xE8})))
	waitFor(t, func() bool { _, away := w.srv.Sessions(); return away == 1 })
	m.Move(true)
	m.Ping()
	m.Send("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>")
	waitFor(t, func() bool { n, _ := w.srv.Sessions(); return n == 0 })
}
