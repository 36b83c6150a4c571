package hostile

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
)

// impatient is a server that gives up sooner than by default.
const impatient = `
[c2s]
handshake_timeout = "1s"
login_timeout = "2s"

[http]
header_timeout = "1s"
body_timeout = "2s"
`

// TestHC1SilentPeers: the server gives up at every stage.
func TestHC1SilentPeers(t *testing.T) {
	server := peertest.StartParley(t, peertest.ParleyOptions{Config: impatient})
	server.AddUser("ann", "ann-password")
	at := func(t *testing.T, address string) *peertest.Client {
		return peertest.DialFrom(t, source(), address, "localhost")
	}
	stages := map[string]func(t *testing.T) (p *peertest.Client, condition string){
		"TCP, nothing": func(t *testing.T) (*peertest.Client, string) { return at(t, server.XMPP), "connection-timeout" },
		"TCP, after the features": func(t *testing.T) (*peertest.Client, string) {
			p := at(t, server.XMPP)
			p.Open()
			return p, "connection-timeout"
		},
		"TLS, after the login": func(t *testing.T) (*peertest.Client, string) {
			p := at(t, server.XMPPS)
			p.Secure(tls.VersionTLS13)
			p.Login("ann", "ann-password")
			return p, "connection-timeout"
		},
		"TLS, nothing": func(t *testing.T) (*peertest.Client, string) { return at(t, server.XMPPS), "" },
		"TLS, half a handshake": func(t *testing.T) (*peertest.Client, string) {
			p := at(t, server.XMPPS)
			p.Raw("\x16\x03\x01\x02\x00\x01\x00")
			return p, ""
		},
		"WebSocket, after the upgrade": func(t *testing.T) (*peertest.Client, string) {
			p := at(t, server.HTTP)
			p.WS = true
			p.Upgrade("/xmpp-websocket")
			return p, "connection-timeout"
		},
		"HTTP, half a header": func(t *testing.T) (*peertest.Client, string) {
			p := at(t, server.HTTP)
			p.Raw("GET /xmpp-websocket HTTP/1.1\r\nHost: loc")
			return p, ""
		},
	}
	t.Run("stages", func(t *testing.T) {
		for name, open := range stages {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p, condition := open(t)
				if condition == "" {
					p.Conn.SetReadDeadline(time.Now().Add(30 * time.Second))
					b, err := io.ReadAll(p.Conn)
					if ne, ok := err.(net.Error); ok && ne.Timeout() {
						t.Error("the connection stays open")
					}
					if len(b) > 0 && !strings.HasPrefix(string(b), "HTTP/1.1 408") {
						t.Errorf("the server says %q", b)
					}
					return
				}
				if !strings.Contains(name, "nothing") && !strings.Contains(name, "WebSocket") {
					p.ExpectEnd(condition)
					return
				}
				p.Expect("from='localhost'") // the header that the error needs
				p.ExpectEnd(condition)
			})
		}
	})
	if n := countedAt(t, server, "conn.timeout"); n < 4 {
		t.Errorf("conn.timeout counted %v", n)
	}
	// Progress does not buy time.
	p := at(t, server.XMPP)
	header, slow := p.Header(), p.Conn
	go func() {
		for i := 0; i < 400; i++ {
			if _, err := slow.Write([]byte{header[i%len(header)]}); err != nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	p.Expect("<stream:stream")
	p.ExpectEnd("connection-timeout")
	// Nor does it for the body of a request.
	p = at(t, server.HTTP)
	p.Raw("POST /conference-request/v1 HTTP/1.1\r\nHost: " + server.HTTP + "\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
	p.Conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	b, err := io.ReadAll(p.Conn)
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		t.Error("the server waits for ever for a body")
	}
	if len(b) > 0 && !strings.HasPrefix(string(b), "HTTP/1.1 4") {
		t.Errorf("half a body is answered %q", b)
	}
}

func TestHC2ConnectionFlood(t *testing.T) {
	flooder, other := source(), source()
	logged := user(t, peertest.DialFrom(t, flooder, server.XMPP, "localhost"), "ann")
	before := counted(t, "limit.conn")
	refused := 0
	for range 300 {
		p := peertest.DialFrom(t, flooder, server.XMPP, "localhost")
		p.Conn.SetDeadline(time.Now().Add(peertest.Patience))
		io.WriteString(p.Conn, p.Header())
		var b [16]byte
		if n, err := p.Conn.Read(b[:]); n == 0 && err != nil {
			refused++
		}
	}
	if refused < 100 {
		t.Errorf("%d of 300 connections were refused", refused)
	}
	if counted(t, "limit.conn") < before+float64(refused) {
		t.Error("not counted")
	}
	p := peertest.DialFrom(t, flooder, server.HTTP, "localhost")
	res := p.Upgrade("/xmpp-websocket")
	if res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") == "" {
		t.Errorf("a WebSocket is answered %s", res.Status)
	}
	logged.Ping()
	user(t, peertest.DialFrom(t, other, server.XMPP, "localhost"), "bob").Ping()
}

// TestHC4DeafReceiver: one who does not read is cut off, others do not wait, and what was not acknowledged is there when
// it comes back.
func TestHC4DeafReceiver(t *testing.T) {
	server := peertest.StartParley(t, peertest.ParleyOptions{Args: []string{"--limits=off"}}) // rates would slow the flood down
	for _, name := range []string{"ann", "bob"} {
		server.AddUser(name, name+"-password")
	}
	dialTLS := func(t testing.TB) *peertest.Client {
		return peertest.DialTLS(t, server.XMPPS, "localhost", tls.VersionTLS13)
	}
	counted := func() float64 { return countedAt(t, server, "limit.queue") }
	before := counted()
	deaf := peertest.NewMobile("bob", "bob-password", func() *peertest.Client { return dialTLS(t) })
	ann, third := user(t, dialTLS(t), "ann"), user(t, dialTLS(t), "ann")
	body := strings.Repeat("x", 10_000)
	sent := 0
	for counted() == before && sent < 3000 {
		for range 20 {
			ann.Send("<message to='" + deaf.JID + "' type='chat' id='d" + fmt.Sprint(sent) + "'><body>" + body + "</body></message>")
			sent++
		}
		third.Ping()
	}
	if sent >= 3000 {
		t.Fatal("30 MB wait for one client")
	}
	for e := deaf.Read(); e != ""; e = deaf.Read() { // what was written before, then the end
		if strings.Contains(e, "stream:error") && !strings.Contains(e, "<resource-constraint ") {
			t.Errorf("got %s", e)
		}
		if !strings.HasPrefix(e, "<r ") { // the server hears no answer any more
			deaf.Take(e)
		}
		if e == "</stream:stream>" {
			break
		}
	}
	deaf.Move(true)
	ann.Send("<message to='" + deaf.JID + "' type='chat' id='last'/>")
	for len(deaf.Got) == 0 || deaf.Got[len(deaf.Got)-1] != "last" {
		if !deaf.Take(deaf.Read()) {
			t.Fatal("the stream ended")
		}
	}
	deaf.Got = deaf.Got[:len(deaf.Got)-1]
	deaf.Check("d", sent)
}

func TestHC5StartTLS(t *testing.T) {
	before := counted(t, "tls.policy")
	p := dial(t)
	p.Open()
	p.Send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>")
	p.ExpectEnd("policy-violation")
	if counted(t, "tls.policy") != before+1 {
		t.Error("not counted")
	}
	p = dial(t)
	p.StartTLS(tls.VersionTLS12)
	if f := p.Open(); strings.Contains(f, "starttls") {
		t.Errorf("STARTTLS is offered twice: %s", f)
	}
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		nc, err := net.Dial("tcp", server.XMPPS)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if err := tls.Client(nc, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version}).Handshake(); err == nil {
			t.Errorf("version %x is accepted", version)
		}
	}
	// Login without TLS, where the server wants TLS: it is one that others than this machine can reach.
	strict := peertest.StartParley(t, peertest.ParleyOptions{
		Config: "domain = 'parley.test'\nstore = 'sqlite:" + t.TempDir() + "/s.db'",
		Listen: []string{"xmpp://0.0.0.0:0", "http+admin://127.0.0.1:0"},
	})
	_, port, _ := net.SplitHostPort(strict.XMPP)
	p = peertest.Dial(t, "127.0.0.1:"+port, "parley.test")
	if f := p.Open(); !strings.Contains(f, "<required/>") || strings.Contains(f, "<mechanism>") {
		t.Errorf("TLS is not required: %s", f)
	}
	p.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFubgBhbm4=</auth>")
	p.Expect("<failure", "<encryption-required/>")
	p.Send("<iq type='get' id='1'><query xmlns='jabber:iq:auth'/></iq>")
	p.ExpectEnd("policy-violation")
}

func TestHC6ForwardedHeaders(t *testing.T) {
	p := dial(t)
	p.Raw("PROXY TCP4 203.0.113.1 127.0.0.1 1 5222\r\n")
	p.Expect("<stream:stream")
	p.ExpectEnd("bad-format")
	// X-Forwarded-For does not make another source of one that is over its limit.
	flooder := source()
	var last *http.Response
	for i := range 150 {
		c := peertest.DialFrom(t, flooder, server.HTTP, "localhost")
		last = c.Upgrade("/xmpp-websocket", fmt.Sprintf("X-Forwarded-For: 203.0.113.%d", i), fmt.Sprintf("X-Real-IP: 203.0.113.%d", i), fmt.Sprintf("Forwarded: for=203.0.113.%d", i))
	}
	if last.StatusCode != http.StatusTooManyRequests {
		t.Errorf("the last of 150 connections is answered %s", last.Status)
	}
}

func TestHC8WebSocket(t *testing.T) {
	before := counted(t, "ws.reject")
	for name, c := range map[string]struct {
		header string
		status int
	}{
		"foreign origin":     {"Origin: https://evil.example", 403},
		"null origin":        {"Origin: null", 403},
		"origin with suffix": {"Origin: http://localhost.evil.example", 403},
		"other protocol":     {"Sec-WebSocket-Protocol: chat", 400},
	} {
		t.Run(name, func(t *testing.T) {
			if res := dialHTTP(t).Upgrade("/xmpp-websocket", c.header); res.StatusCode != c.status {
				t.Errorf("answered %s", res.Status)
			}
		})
	}
	for name, c := range map[string]struct {
		frame string
		code  uint16
	}{
		"binary":             {string(peertest.Frame(0x82, []byte("<open/>"))), 1003},
		"fragmented control": {string(peertest.Frame(0x09, []byte("x"))), 1002},
		"long control":       {string(peertest.Frame(0x89, make([]byte, 126))), 1002},
		"unmasked":           {"\x81\x07<open/>", 1002},
		"reserved opcode":    {string(peertest.Frame(0x83, []byte("x"))), 1002},
		"reserved bit":       {string(peertest.Frame(0xA1, []byte("x"))), 1002},
		"stray continuation": {string(peertest.Frame(0x80, []byte("x"))), 1002},
	} {
		t.Run(name, func(t *testing.T) {
			p := dialWS(t, "")
			p.Raw(c.frame)
			if code := p.CloseCode(); code != c.code {
				t.Errorf("closed with %d, want %d", code, c.code)
			}
		})
	}
	if n := counted(t, "ws.reject") - before; n < 11 {
		t.Errorf("counted %v", n)
	}
	t.Run("two elements in a message", func(t *testing.T) {
		p := dialWS(t, "")
		p.Open()
		p.Send("<a xmlns='x'/><b xmlns='x'/>")
		p.ExpectEnd("bad-format")
	})
}

// TestHC9Resumption is what a stranger and a confused client may try.
func TestHC9Resumption(t *testing.T) {
	before := counted(t, "sm.reject")
	ann := peertest.NewMobile("ann", "ann-password", func() *peertest.Client { return dialTLS(t) })
	for name, c := range map[string]struct{ user, id string }{
		"wrong id":   {"ann", "wrong"},
		"foreign id": {"bob", ann.ID},
		"guest":      {"", ann.ID},
	} {
		p := dial(t)
		login(t, p, c.user)
		p.Send("<resume xmlns='urn:xmpp:sm:3' h='0' previd='" + c.id + "'/>")
		if got := p.Expect("<failed", "<item-not-found "); strings.Contains(got, " h='") {
			t.Errorf("%s: a stranger learns the count: %s", name, got)
		}
	}
	p := dial(t)
	login(t, p, "ann")
	p.Send("<resume xmlns='urn:xmpp:sm:3' h='99' previd='" + ann.ID + "'/>")
	p.Expect("<undefined-condition ", "<handled-count-too-high ", "h='99'", "send-count='0'")
	if n := counted(t, "sm.reject") - before; n < 4 {
		t.Errorf("counted %v", n)
	}
	// Ten at once: one connection stays, and the session is still one.
	var peers []*peertest.Client
	for range 10 {
		p := dial(t)
		login(t, p, "ann")
		peers = append(peers, p)
	}
	for _, p := range peers {
		p.Send("<resume xmlns='urn:xmpp:sm:3' h='0' previd='" + ann.ID + "'/>")
	}
	bob := user(t, dial(t), "bob")
	first := make([]string, len(peers))
	for i, p := range peers {
		first[i] = p.Read()
	}
	bob.Send("<message to='" + ann.JID + "' id='once'/>")
	alive := 0
	for i, p := range peers {
		e := first[i]
		for e != "" && e != "</stream:stream>" && !strings.Contains(e, "id='once'") && !strings.Contains(e, "stream:error") {
			e = p.Read()
		}
		if strings.Contains(e, "id='once'") {
			alive++
		} else if !strings.Contains(e, "<conflict ") {
			t.Errorf("a connection ends with %q", e)
		}
	}
	if alive != 1 {
		t.Errorf("%d connections got the message", alive)
	}
}

func TestHC10AcknowledgementsAreAskedFor(t *testing.T) {
	m := peertest.NewMobile("ann", "ann-password", func() *peertest.Client { return dialTLS(t) })
	bob := user(t, dial(t), "bob")
	for i := range 500 {
		if i%100 == 99 {
			time.Sleep(1100 * time.Millisecond) // within the rate of stanzas
		}
		bob.Send("<message to='" + m.JID + "' id='a" + fmt.Sprint(i) + "'/>")
	}
	asked := 0
	for len(m.Got) < 500 {
		e := m.Read()
		if strings.HasPrefix(e, "<r ") {
			asked++
			continue // and is not answered
		}
		m.Take(e)
	}
	if asked < 5 { // once in what is written at once, which may be a whole burst
		t.Errorf("asked %d times for 500 stanzas in five bursts", asked)
	}
	m.Check("a", 500)
}
