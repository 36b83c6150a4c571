package c2s

import (
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	enable = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>"
	askR   = "<r xmlns='urn:xmpp:sm:3'/>"
)

func attr(element, name string) string {
	_, s, ok := strings.Cut(element, " "+name+"='")
	if !ok {
		return ""
	}
	s, _, _ = strings.Cut(s, "'")
	return s
}

// mobile is a client that follows XEP-0198 and changes its connection.
type mobile struct {
	*peer
	w      *world
	user   string
	dialTo func() *peer
	id     string   // of the session
	h      int      // stanzas received
	unsent []string // stanzas that the server has not acknowledged
	acked  int      // how many it has
	got    []string // ids of messages, in order
	old    []*peer  // connections left half-open
}

func newMobile(w *world, user string, dial func() *peer) *mobile {
	w.t.Helper()
	m := &mobile{w: w, user: user, dialTo: dial, peer: dial()}
	m.login(user)
	m.bind("")
	m.send(enable)
	m.id = attr(m.expect("<enabled", "resume='true'"), "id")
	return m
}

func (m *mobile) say(to, id string) {
	s := "<message xmlns='jabber:client' type='chat' to='" + to + "' id='" + id + "'><body>" + id + "</body></message>"
	m.unsent = append(m.unsent, s)
	m.send(s)
}

// take handles one element that came in; false is the end of the stream.
func (m *mobile) take(e string) bool {
	switch {
	case e == "":
		return false
	case strings.HasPrefix(e, "<r "):
		m.send("<a xmlns='urn:xmpp:sm:3' h='" + strconv.Itoa(m.h) + "'/>")
	case strings.HasPrefix(e, "<a "):
		m.acknowledged(attr(e, "h"))
	case strings.HasPrefix(e, "<message"):
		m.h++
		m.got = append(m.got, attr(e, "id"))
	case strings.HasPrefix(e, "<iq"), strings.HasPrefix(e, "<presence"):
		m.h++
	}
	return true
}

func (m *mobile) acknowledged(h string) {
	n, err := strconv.Atoi(h)
	if err != nil || n < m.acked || n-m.acked > len(m.unsent) {
		m.t.Fatalf("%s: the server acknowledges %q of %d+%d", m.user, h, m.acked, len(m.unsent))
	}
	m.unsent = m.unsent[n-m.acked:]
	m.acked = n
}

// move goes on over a new connection, while the server may still believe in the old one.
func (m *mobile) move(closeOld bool) {
	m.t.Helper()
	old := m.peer
	if closeOld {
		nc := old.nc
		if tc, ok := nc.(*net.TCPConn); ok {
			tc.SetLinger(0)
		}
		nc.Close()
	} else {
		m.old = append(m.old, old)
	}
	m.peer = m.dialTo()
	m.jid = old.jid
	m.login(m.user)
	m.send("<resume xmlns='urn:xmpp:sm:3' h='" + strconv.Itoa(m.h) + "' previd='" + m.id + "'/>")
	m.acknowledged(attr(m.expect("<resumed", "previd='"+m.id+"'"), "h"))
	for _, s := range m.unsent {
		m.send(s)
	}
}

// settle asks until all is acknowledged and count messages are there.
func (m *mobile) settle(count int) {
	m.t.Helper()
	m.send(askR)
	for len(m.got) < count || len(m.unsent) > 0 {
		if !m.take(m.read()) {
			m.t.Fatal("the stream ended")
		}
		if len(m.got) >= count && len(m.unsent) > 0 {
			m.send(askR)
		}
	}
}

func (m *mobile) check(from string, count int) {
	m.t.Helper()
	if len(m.got) != count {
		m.t.Fatalf("%s got %d messages of %d", m.user, len(m.got), count)
	}
	for i, id := range m.got {
		if id != from+strconv.Itoa(i) {
			m.t.Fatalf("%s: message %d is %s", m.user, i, id)
		}
	}
}

func TestResumeLosesAndRepeatsNothing(t *testing.T) {
	doors := map[string]func(w *world) *peer{
		"TCP":       func(w *world) *peer { return w.dial(w.plain) },
		"WebSocket": func(w *world) *peer { return w.dialWS("") },
	}
	for door, dial := range doors {
		for _, cut := range []string{"reset", "half-open"} {
			t.Run(door+" "+cut, func(t *testing.T) {
				w := newWorld(t, func(c *Config) { c.Unlimited() })
				ann := newMobile(w, "ann", func() *peer { return dial(w) })
				bob := newMobile(w, "bob", func() *peer { return dial(w) })
				const count = 1000
				rnd := rand.New(rand.NewPCG(1, 2))
				for i := range count {
					ann.say(bob.jid, "a"+strconv.Itoa(i))
					bob.say(ann.jid, "b"+strconv.Itoa(i))
					if rnd.IntN(40) == 0 { // read some of what came, so that cuts fall at many states
						ann.send(askR)
						for range rnd.IntN(20) {
							ann.take(ann.read())
						}
					}
					if rnd.IntN(50) == 0 {
						ann.move(cut == "reset")
					}
					if rnd.IntN(70) == 0 {
						bob.move(cut == "reset")
					}
				}
				ann.settle(count)
				bob.settle(count)
				ann.check("b", count)
				bob.check("a", count)
				for _, p := range ann.old { // what is left of the old connections ends with conflict
					for e := p.read(); e != "" && e != "</stream:stream>"; e = p.read() {
						if strings.Contains(e, "stream:error") && !strings.Contains(e, "<conflict ") {
							t.Fatalf("the old connection got %s", e)
						}
					}
				}
			})
		}
	}
}

func TestResumeWhileAway(t *testing.T) {
	w := newWorld(t, nil)
	ann := newMobile(w, "ann", func() *peer { return w.dial(w.plain) })
	bob := newMobile(w, "bob", func() *peer { return w.dialTLS(0x0304) })
	bob.nc.Close()
	waitFor(t, func() bool { _, away := w.srv.Sessions(); return away == 1 })
	for i := range 100 {
		ann.say(bob.jid, "a"+strconv.Itoa(i))
	}
	bob.move(true)
	bob.settle(100)
	bob.check("a", 100)
	ann.settle(0)
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come to that")
		}
	}
}

func TestHC9ResumptionIsRefused(t *testing.T) {
	w := newWorld(t, nil)
	ann := newMobile(w, "ann", func() *peer { return w.dial(w.plain) })
	guest := newMobile(w, "", func() *peer { return w.dial(w.plain) })
	refused := func(user, previd, h string) *peer {
		t.Helper()
		p := w.dial(w.plain)
		p.login(user)
		p.send("<resume xmlns='urn:xmpp:sm:3' h='" + h + "' previd='" + previd + "'/>")
		return p
	}
	for name, c := range map[string]struct{ user, previd string }{
		"unknown id":        {"ann", "nonsense"},
		"empty id":          {"ann", ""},
		"another user's":    {"bob", ann.id},
		"account's, guest":  {"", ann.id},
		"guest's, account":  {"ann", guest.id},
		"id with an escape": {"ann", ann.id + "&lt;"},
	} {
		p := refused(c.user, c.previd, "0")
		got := p.expect("<failed", "<item-not-found ")
		if strings.Contains(got, " h=") {
			t.Errorf("%s: a stranger learns the count: %s", name, got)
		}
		p.bind("") // the stream goes on
	}
	if w.counted("sm.reject") < 6 {
		t.Errorf("counted %v refusals", w.counted("sm.reject"))
	}
	p := refused("ann", ann.id, "7") // more than was sent
	p.expect("<stream:error", "<undefined-condition ", "<handled-count-too-high xmlns='urn:xmpp:sm:3' h='7' send-count='0'")
	p.expectEnd("")
	p = refused("ann", ann.id, "0") // a bad attempt has not destroyed the session
	p.expect("<resumed", "h='0'")
	p = refused("ann", ann.id, "many")
	p.expectEnd("bad-format")
	p.t.Log("an old session is told")
}

func TestHC9HandledCountTooHigh(t *testing.T) {
	w := newWorld(t, nil)
	m := newMobile(w, "ann", func() *peer { return w.dial(w.plain) })
	m.send("<a xmlns='urn:xmpp:sm:3' h='1'/>")
	m.expect("<stream:error", "<undefined-condition ", "<handled-count-too-high ", "send-count='0'")
}

func TestEnableTwiceAndTooEarly(t *testing.T) {
	w := newWorld(t, nil)
	p := w.client("ann", "a")
	p.send(askR)
	p.expectEnd("unsupported-stanza-type")
	m := newMobile(w, "ann", func() *peer { return w.dial(w.plain) })
	m.send(enable)
	m.expect("<failed", "<unexpected-request ")
	m.send("<resume xmlns='urn:xmpp:sm:3' h='0' previd='x'/>")
	m.expect("<failed", "<unexpected-request ")
	p = w.dial(w.plain)
	p.open()
	p.send(enable)
	p.expectEnd("not-authorized")
}

func TestHC10AcknowledgementIsAsked(t *testing.T) {
	w := newWorld(t, nil)
	m := newMobile(w, "ann", func() *peer { return w.dial(w.plain) })
	bob := w.client("bob", "")
	for i := range 30 {
		bob.send("<message to='" + m.jid + "' id='" + strconv.Itoa(i) + "'/>")
	}
	asked := 0
	for m.h < 30 || asked == 0 {
		e := m.read()
		if strings.HasPrefix(e, "<r ") {
			asked++
		}
		m.take(e)
	}
	bob.send("<message to='" + m.jid + "' id='last'/>")
	for len(m.got) < 31 {
		m.take(m.read())
	}
	for _, s := range w.srv.all() { // the last few are asked for by the sweep
		s.sweep(time.Now())
	}
	m.expect("<r ")
}

func TestResumptionTimesOut(t *testing.T) {
	w := newWorld(t, nil)
	m := newMobile(w, "ann", func() *peer { return w.dial(w.plain) })
	bob := w.client("bob", "b")
	m.nc.Close()
	waitFor(t, func() bool { _, away := w.srv.Sessions(); return away == 1 })
	bob.send("<message to='" + m.jid + "' id='lost' type='chat'><body>x</body></message><iq to='" + m.jid + "' type='get' id='q'><x xmlns='y'/></iq>")
	bob.send("<iq type='get' to='x.net' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
	bob.expect("id='p'")
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
	got := bob.expect("type='error'") + bob.expect("type='error'")
	for _, want := range []string{"<message", "id='lost'", "<iq", "id='q'", "from='" + m.jid + "'"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in %s", want, got)
		}
	}
	p := w.dial(w.plain)
	p.login("ann")
	p.send("<resume xmlns='urn:xmpp:sm:3' h='0' previd='" + m.id + "'/>")
	p.expect("<failed", "<item-not-found ")
}

// TestHeldStanzaIsNotAcknowledged: what a room must commit first is acknowledged after that.
func TestHeldStanzaIsNotAcknowledged(t *testing.T) {
	w := newWorld(t, nil)
	held := make(chan func(), 10)
	w.router.Serve("slow.x.net", slowService{held})
	m := newMobile(w, "ann", func() *peer { return w.dial(w.plain) })
	m.send("<message to='slow.x.net' id='1'/>", "<message to='slow.x.net' id='2'/>", askR)
	m.expect("<a ", "h='0'")
	(<-held)()
	m.expect("<a ", "h='1'") // told again, since it was asked
	m.nc.Close()
	second := <-held
	p := w.dial(w.plain)
	p.login("ann")
	p.send("<resume xmlns='urn:xmpp:sm:3' h='0' previd='" + m.id + "'/>")
	time.Sleep(20 * time.Millisecond)
	second()
	p.expect("<resumed", "h='2'")
}

func TestTakenOverByTwoAtOnce(t *testing.T) {
	w := newWorld(t, nil)
	m := newMobile(w, "ann", func() *peer { return w.dial(w.plain) })
	var peers []*peer
	for range 5 {
		p := w.dial(w.plain)
		p.login("ann")
		peers = append(peers, p)
	}
	for _, p := range peers {
		p.send("<resume xmlns='urn:xmpp:sm:3' h='0' previd='" + m.id + "'/>")
	}
	alive := 0
	first := make([]string, len(peers))
	for i, p := range peers {
		first[i] = p.read()
	}
	for i, p := range peers {
		e := first[i]
		if strings.Contains(e, "<resumed") {
			p.nc.Write([]byte("<iq type='get' to='x.net' id='p'><ping xmlns='urn:xmpp:ping'/></iq>"))
			e = p.read()
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
