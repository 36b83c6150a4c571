package c2s

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"parley/internal/limit"
	"parley/internal/peertest"
	"parley/xmpp/wire"
)

// web is a client over BOSH that says what the test says.
type web struct {
	t    *testing.T
	url  string
	http *http.Client
	sid  string
	rid  int64
	attr string // further attributes of each request
}

func (w *world) web() *web {
	c := &web{t: w.t, url: "http://" + w.http + "/http-bind", http: &http.Client{Transport: &http.Transport{}, Timeout: peertest.Patience}, rid: 1000}
	w.t.Cleanup(c.http.CloseIdleConnections)
	return c
}

// post sends one request and returns the body of its answer.
func (c *web) post(body string) string {
	c.t.Helper()
	res, err := c.http.Post(c.url, "text/xml; charset=utf-8", strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/xml; charset=utf-8" {
		c.t.Fatalf("%s: %s %s %v", body, res.Status, text, err)
	}
	return string(text)
}

// body is the next request.
func (c *web) body(attrs, content string) string {
	c.rid++
	return fmt.Sprintf("<body xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh' rid='%d' sid='%s'%s %s>%s</body>", c.rid, c.sid, c.attr, attrs, content)
}

// send sends elements and returns what comes back.
func (c *web) send(content string) string {
	c.t.Helper()
	return c.post(c.body("", content))
}

// later sends elements and returns where their answer will be.
func (c *web) later(body string) chan string {
	answer := make(chan string, 1)
	go func() {
		res, err := c.http.Post(c.url, "text/xml; charset=utf-8", strings.NewReader(body))
		if err != nil {
			answer <- err.Error()
			return
		}
		defer res.Body.Close()
		text, _ := io.ReadAll(res.Body)
		answer <- string(text)
	}()
	return answer
}

// want reads an answer that must hold all of the parts.
func (c *web) want(answer chan string, parts ...string) string {
	c.t.Helper()
	select {
	case got := <-answer:
		return c.check(got, parts...)
	case <-time.After(peertest.Patience):
		c.t.Fatalf("no answer with %q", parts)
	}
	return ""
}

func (c *web) check(got string, parts ...string) string {
	c.t.Helper()
	for _, want := range parts {
		if !strings.Contains(got, want) {
			c.t.Fatalf("got %q, want %q", got, want)
		}
	}
	return got
}

// waits wants that there is no answer for a while.
func (c *web) waits(answer chan string) {
	c.t.Helper()
	select {
	case got := <-answer:
		c.t.Fatalf("answered with %q", got)
	case <-time.After(50 * time.Millisecond):
	}
}

const opening = "<body xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh' rid='1000' to='x.net' ver='1.6' xmpp:version='1.0' content='text/xml; charset=utf-8' xml:lang='en'"

// open begins a session.
func (c *web) open(attrs string) string {
	c.t.Helper()
	got := c.post(opening + " " + attrs + "/>")
	c.sid = peertest.Attr(got, "sid")
	return got
}

// login begins a session, logs in as ann, or as a guest, and binds. No request waits afterwards.
func (c *web) login(user string) (jid string) {
	c.t.Helper()
	c.open("wait='60' hold='1'")
	if user == "" {
		c.check(c.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>"), "<success")
	} else {
		sc := peertest.SCRAM{Mechanism: "SCRAM-SHA-256", User: user, Password: user}
		got := c.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>" + b64(sc.First()) + "</auth>")
		nonce, salt, n, err := sc.Challenge(unb64(c.t, section(c.t, got, "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>", "<")))
		if err != nil {
			c.t.Fatal(err)
		}
		c.check(c.send("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"+b64(sc.Final(nonce, salt, n))+"</response>"), "<success")
	}
	c.check(c.post(c.body("to='x.net' xmpp:restart='true'", "")), "<stream:features", "xmpp-bind", "urn:xmpp:sm:3")
	got := c.send("<iq xmlns='jabber:client' type='set' id='1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>web</resource></bind></iq>")
	return section(c.t, got, "<jid>", "</jid>")
}

func TestBOSHSession(t *testing.T) {
	w := newWorld(t, nil)
	c := w.web()
	got := c.open("wait='90' hold='1'")
	for _, want := range []string{
		"wait='60'", "hold='1'", "requests='2'", "inactivity='60'", "maxpause='120'", "ver='1.6'", "from='x.net'", "xmpp:version='1.0'", "xmpp:restartlogic='true'",
		"xmlns:stream='http://etherx.jabber.org/streams'", "<stream:features", "<mechanism>SCRAM-SHA-256</mechanism>",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	if strings.Contains(got, "starttls") || strings.Contains(got, "PLAIN") || strings.Contains(got, "urn:xmpp:sasl:2") || len(c.sid) < 22 {
		t.Errorf("too much in %s", got)
	}
	c = w.web()
	if jid := c.login("ann"); jid != "ann@x.net/web" {
		t.Fatalf("bound as %s", jid)
	}
	bob := w.client("bob", "b")
	// A request waits until there is something to say.
	held := c.later(c.body("", ""))
	c.waits(held)
	bob.Send("<message to='ann@x.net/web' id='1'><body>hello</body></message>")
	c.want(held, "<message xmlns='jabber:client' to='ann@x.net/web' from='bob@x.net/b' id='1'><body>hello</body></message></body>")
	// What comes while none waits goes into the next answer, in order.
	bob.Send("<message to='ann@x.net/web' id='2'/>")
	bob.Send("<message to='ann@x.net/web' id='3'/>")
	bob.Ping()
	got = c.send("")
	for !strings.Contains(got, "id='3'") {
		got += c.send("")
	}
	if strings.Index(got, "id='2'") > strings.Index(got, "id='3'") || !strings.Contains(got, "id='2'") {
		t.Errorf("order: %s", got)
	}
	// A second request lets the first one go.
	first := c.later(c.body("", ""))
	c.waits(first)
	second := c.later(c.body("", "<message xmlns='jabber:client' to='bob@x.net/b' id='4'/><message to='bob@x.net/b' id='5'/>"))
	if got := c.want(first); strings.Contains(got, "<message") || !strings.HasSuffix(got, "/>") {
		t.Errorf("the first is answered %s", got)
	}
	bob.Expect("from='ann@x.net/web'", "id='4'")
	bob.Expect("id='5'")
	// Goodbye.
	third := c.later(c.body("type='terminate'", "<presence xmlns='jabber:client' type='unavailable'/>"))
	answers := c.want(second) + c.want(third)
	for !strings.Contains(answers, "type='terminate'") {
		answers += c.send("") // its own presence came before
	}
	if strings.Contains(answers, "condition") {
		t.Errorf("the end: %s", answers)
	}
}

func TestBOSHGuestAndURL(t *testing.T) {
	w := newWorld(t, nil)
	c := w.web()
	c.url += "?room=r1&prefix=acme"
	jid := c.login("")
	if s := w.session(jid); !s.Guest() || s.Room() != "r1" || s.Tenant() != "acme" {
		t.Errorf("%+v", s)
	}
}

func TestBOSHPolling(t *testing.T) {
	w := newWorld(t, nil)
	c := w.web()
	c.check(c.open("wait='0' hold='0'"), "hold='0'", "requests='1'", "<stream:features")
	got := c.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>")
	for i := 0; i < 50 && !strings.Contains(got, "<success"); i++ {
		time.Sleep(10 * time.Millisecond)
		got = c.send("")
	}
	c.check(got, "<success")
}

func TestBOSHLongStanzas(t *testing.T) {
	w := newWorld(t, nil)
	c := w.web()
	c.login("ann")
	bob := w.client("bob", "b")
	long := strings.Repeat("x", 200_000)
	held := c.later(c.body("", "<message xmlns='jabber:client' to='bob@x.net/b'><body>"+long+"</body></message>"))
	bob.Expect(long)
	bob.Send("<message to='ann@x.net/web'><body>" + long + "</body></message>")
	c.want(held, long)
	held = c.later(c.body("", "<message xmlns='jabber:client' to='bob@x.net/b'><body>"+strings.Repeat("x", 262_144)+"</body></message>"))
	c.want(held, "type='terminate'", "condition='policy-violation'", "<stream:error", "262144")
}

func TestHX3BeforeTheLoginStanzasAreShort(t *testing.T) {
	w := newWorld(t, nil)
	c := w.web()
	c.open("wait='60' hold='1'")
	c.check(c.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"+strings.Repeat("<a>"+strings.Repeat("A", 2000)+"</a>", 6)+"</auth>"), "condition='policy-violation'", "10000")
}

// Strict XML holds here too (hardening HR2).
func TestHX1BOSHRefusesWhatXMPPRefuses(t *testing.T) {
	w := newWorld(t, nil)
	for name, body := range map[string]string{
		"doctype":     "<!DOCTYPE body><body xmlns='http://jabber.org/protocol/httpbind' rid='1' to='x.net'/>",
		"comment":     "<body xmlns='http://jabber.org/protocol/httpbind' rid='1' to='x.net'><!-- x --></body>",
		"instruction": "<?php x?><body xmlns='http://jabber.org/protocol/httpbind' rid='1' to='x.net'/>",
		"entity":      "<body xmlns='http://jabber.org/protocol/httpbind' rid='1' to='&x;'/>",
		"bad UTF-8":   "<body xmlns='http://jabber.org/protocol/httpbind' rid='1' to='\xff'/>",
		"truncated":   "<body xmlns='http://jabber.org/protocol/httpbind' rid='1' to='x.net'>",
		"two":         "<body xmlns='http://jabber.org/protocol/httpbind' rid='1' to='x.net'/><body/>",
		"no rid":      "<body xmlns='http://jabber.org/protocol/httpbind' to='x.net'/>",
		"rid 0":       "<body xmlns='http://jabber.org/protocol/httpbind' rid='0' to='x.net'/>",
		"long rid":    "<body xmlns='http://jabber.org/protocol/httpbind' rid='9007199254740993' to='x.net'/>",
		"namespace":   "<body xmlns='jabber:client' rid='1' to='x.net'/>",
		"name":        "<html xmlns='http://jabber.org/protocol/httpbind' rid='1' to='x.net'/>",
		"hold":        "<body xmlns='http://jabber.org/protocol/httpbind' rid='1' to='x.net' hold='-1'/>",
		"empty":       "",
	} {
		c := w.web()
		if got := c.post(body); !strings.Contains(got, "type='terminate'") || !strings.Contains(got, "condition='bad-request'") {
			t.Errorf("%s: %s", name, got)
		}
	}
	if len(w.srv.bosh) > 0 {
		t.Errorf("%d sessions", len(w.srv.bosh))
	}
	c := w.web()
	c.check(c.post(strings.Replace(opening, "x.net", "y.net", 1)+"/>"), "condition='host-unknown'", "<stream:error")
}

func TestHC7BOSHAbuseLeavesTheTrueSession(t *testing.T) {
	w := newWorld(t, nil)
	c := w.web()
	c.login("ann")
	at := func(rid int64, sid, content string) string {
		return fmt.Sprintf("<body xmlns='http://jabber.org/protocol/httpbind' rid='%d' sid='%s'>%s</body>", rid, sid, content)
	}
	evil := w.web()
	last := c.body("", "<iq xmlns='jabber:client' type='get' to='x.net' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
	answer := c.check(c.post(last), "id='p'")
	for name, k := range map[string]struct{ body, want string }{
		"guessed sid":          {at(c.rid+1, "AAAAAAAAAAAAAAAAAAAAAAAAAA", ""), "condition='item-not-found'"},
		"rid beyond":           {at(c.rid+3, c.sid, ""), "condition='item-not-found'"},
		"rid far beyond":       {at(1<<52, c.sid, ""), "condition='item-not-found'"},
		"rid long ago":         {at(c.rid-5, c.sid, ""), "condition='item-not-found'"},
		"rid with other body":  {at(c.rid, c.sid, "<presence xmlns='jabber:client'/>"), "condition='policy-violation'"},
		"rid with other bytes": {strings.Replace(last, "'p'", "'q'", 1), "condition='policy-violation'"},
	} {
		before := w.counted("bosh.abuse")
		if got := evil.post(k.body); !strings.Contains(got, "type='terminate'") || !strings.Contains(got, k.want) {
			t.Errorf("%s: %s", name, got)
		}
		if w.counted("bosh.abuse") != before+1 {
			t.Errorf("%s is not counted", name)
		}
	}
	if got := evil.post(last); got != answer {
		t.Errorf("asked again: %s, want %s", got, answer)
	}
	// The client goes on, and its stanza was routed once.
	bob := w.client("bob", "b")
	say := c.body("", "<message xmlns='jabber:client' to='bob@x.net/b' id='once'/>")
	held := c.later(say)
	bob.Expect("id='once'")
	again := c.later(say) // its connection broke
	c.want(held)
	c.waits(again)
	bob.Send("<message to='ann@x.net/web' id='back'/>")
	c.want(again, "id='back'")
	bob.Send("<iq type='get' id='end' to='x.net'><ping xmlns='urn:xmpp:ping'/></iq>")
	bob.Expect("id='end'")
}

func TestBOSHRequestsAreTakenInOrder(t *testing.T) {
	w := newWorld(t, nil)
	c := w.web()
	c.login("ann")
	bob := w.client("bob", "b")
	one := c.body("", "<message xmlns='jabber:client' to='bob@x.net/b' id='one'/>")
	two := c.body("", "<message xmlns='jabber:client' to='bob@x.net/b' id='two'/>")
	second := c.later(two)
	c.waits(second)
	first := c.later(one)
	bob.Expect("id='one'")
	bob.Expect("id='two'")
	c.want(first)
	c.waits(second)
}

// A client whose connection broke asks again, and loses nothing.
func TestBOSHBrokenConnections(t *testing.T) {
	w := newWorld(t, nil)
	c := w.web()
	c.login("ann")
	bob := w.client("bob", "b")
	lost := c.body("", "")
	nc, err := net.Dial("tcp", w.http)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(nc, "POST /http-bind HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(lost), lost)
	b := w.srv.findBOSH(c.sid)
	waiting := func(n int) {
		t.Helper()
		for until := time.Now().Add(peertest.Patience); ; time.Sleep(5 * time.Millisecond) {
			b.mu.Lock()
			have := len(b.open)
			b.mu.Unlock()
			if have == n {
				return
			}
			if time.Now().After(until) {
				t.Fatalf("%d requests wait, want %d", have, n)
			}
		}
	}
	waiting(1)
	nc.Close()
	waiting(0)
	bob.Send("<message to='ann@x.net/web' id='1'/>")
	bob.Ping()
	c.check(c.post(lost)) // an empty answer
	c.check(c.send(""), "id='1'")
}

func TestBOSHPause(t *testing.T) {
	w := newWorld(t, nil)
	c := w.web()
	c.login("ann")
	held := c.later(c.body("", ""))
	c.waits(held)
	paused := c.later(c.body("pause='90'", ""))
	c.want(held)
	c.want(paused)
	bob := w.client("bob", "b")
	bob.Send("<message to='ann@x.net/web' id='1'/>")
	bob.Ping()
	c.check(c.send(""), "id='1'")
}

// XEP-0124 §15.
func TestHC7BOSHKeySequence(t *testing.T) {
	w := newWorld(t, nil)
	c := w.web()
	sum := func(s string) string { h := sha1.Sum([]byte(s)); return hex.EncodeToString(h[:]) }
	keys := []string{"seed"}
	for range 5 {
		keys = append(keys, sum(keys[len(keys)-1]))
	}
	c.open("wait='60' hold='1' newkey='" + keys[5] + "'")
	auth := "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>"
	for name, attr := range map[string]string{"none": "", "wrong": "key='x'", "the same again": "key='" + keys[5] + "'", "one too far": "key='" + keys[3] + "'"} {
		c.rid = 1000
		if got := c.post(c.body(attr, auth)); !strings.Contains(got, "condition='item-not-found'") {
			t.Errorf("%s: %s", name, got)
		}
	}
	c.rid = 1000
	c.check(c.post(c.body("key='"+keys[4]+"' newkey='"+sum("other")+"'", auth)), "<success")
	c.check(c.post(c.body("key='"+keys[3]+"'", "")), "item-not-found")
	c.rid--
	c.check(c.post(c.body("key='other' to='x.net' xmpp:restart='true'", "")), "<stream:features")
}

// A session whose client sends no request is away, and may be resumed over another door (XEP-0198).
func TestBOSHClientThatStaysAwayComesBackByWebSocket(t *testing.T) {
	w := newWorld(t, nil)
	c := w.web()
	jid := c.login("ann")
	id := peertest.Attr(section(t, c.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>"), "<enabled", "/>"), "id")
	b := w.srv.findBOSH(c.sid)
	b.mu.Lock()
	b.awayFor(time.Millisecond)
	b.mu.Unlock()
	s := w.session(jid)
	for until := time.Now().Add(peertest.Patience); s.current() != nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the client is not away")
		}
	}
	bob := w.client("bob", "b")
	bob.Send("<message to='ann@x.net/web' id='missed'/>")
	bob.Ping()
	c.check(c.send(""), "type='terminate'", "connection-timeout")
	p := w.dialWS("")
	p.Login("ann", "ann")
	p.Send("<resume xmlns='urn:xmpp:sm:3' h='0' previd='" + id + "'/>")
	p.Expect("<resumed ")
	p.Await("missed")
}

func TestHC4BOSHClientThatDoesNotAsk(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.QueueStanzas = 50 })
	c := w.web()
	jid := c.login("ann")
	s := w.session(jid)
	for i := range 500 {
		s.Deliver(nil, "", wire.Stanza{Kind: wire.Message, Tail: []byte(fmt.Sprintf(" from='bob@x.net/b' id='%d'><body>%s</body></message>", i, strings.Repeat("x", 1000)))})
	}
	for until := time.Now().Add(peertest.Patience); w.router.Find(wire.Addr(jid)) != nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the session goes on")
		}
	}
	if w.counted("limit.queue") == 0 {
		t.Error("not counted")
	}
	c.check(c.send(""), "type='terminate'", "resource-constraint")
}

func TestBOSHOveractivity(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.After.Stanzas = limit.Rate{PerSecond: 1, Burst: 20} })
	c := w.web()
	c.open("wait='0' hold='0'")
	for range 60 {
		if got := c.send(""); strings.Contains(got, "terminate") {
			c.check(got, "condition='policy-violation'", "too many requests")
			return
		}
	}
	t.Error("sixty requests at once are taken")
}

func TestHC2BOSHSessionsOfOneSource(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.OpenPerSource = 3 })
	for range 3 {
		w.web().open("wait='60' hold='1'")
	}
	res, err := http.Post("http://"+w.http+"/http-bind", "text/xml", strings.NewReader(opening+"/>"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") == "" || w.counted("limit.conn") != 1 {
		t.Errorf("%s, counted %v", res.Status, w.counted("limit.conn"))
	}
}

func TestHC3BOSHOfAFullProcess(t *testing.T) {
	w := newWorld(t, nil)
	w.full.Store(true)
	res, err := http.Post("http://"+w.http+"/http-bind", "text/xml", strings.NewReader(opening+"/>"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Error(res.Status)
	}
}

func TestHC8BOSHOfForeignPages(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Origins = []string{"https://chat.example"} })
	for origin, want := range map[string]int{"https://chat.example": 204, "https://evil.example": 403, "http://" + w.http: 204, "http://localhost:1234": 204} {
		req, _ := http.NewRequest(http.MethodOptions, "http://"+w.http+"/http-bind", nil)
		req.Header.Set("Origin", origin)
		req.Header.Set("Access-Control-Request-Method", "POST")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %s", origin, res.Status)
		}
		if want == 204 && (res.Header.Get("Access-Control-Allow-Origin") != origin || !strings.Contains(res.Header.Get("Access-Control-Allow-Methods"), "POST") || res.Header.Get("Access-Control-Allow-Headers") == "") {
			t.Errorf("%s: %v", origin, res.Header)
		}
		if want == 403 && res.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s may read: %v", origin, res.Header)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// FuzzReadBody: a body that is taken is one that says what it says.
func FuzzReadBody(f *testing.F) {
	f.Add([]byte(opening + " wait='60' hold='1'/>"))
	f.Add([]byte("<body rid='1' sid='x' xmlns='http://jabber.org/protocol/httpbind' type='terminate'><presence type='unavailable' xmlns='jabber:client'/></body>"))
	f.Add([]byte("<body rid='2' sid='x' xmlns='http://jabber.org/protocol/httpbind' xmpp:restart='true' xmlns:xmpp='urn:xmpp:xbosh' pause='10' key='a' newkey='b'/>\n"))
	limits := (&Server{cfg: Defaults()}).bodyLimits()
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := readBody(b, limits)
		if err != nil {
			return
		}
		if q.rid <= 0 || q.hold < 0 || q.hold > mostHeld || q.pause < 0 || q.wait < 0 || q.minor < -1 {
			t.Fatalf("%q: %+v", b, q)
		}
		// The content stands alone: it is read again by the stream's own scanner, to its end or to a refusal.
		scan := wire.Scanner{Limits: wire.AfterAuth}
		for rest := q.content; len(rest) > 0; {
			n, _, err := scan.Next(rest)
			if err != nil {
				if err == wire.ErrClosed {
					t.Fatalf("%q closes the stream from inside", b)
				}
				return
			}
			rest = rest[n:]
		}
	})
}
