package main_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
)

const agent = "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'/>"

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// withPassword is an <authenticate/> (XEP-0388).
func withPassword(user, password string, more ...string) string {
	return "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>" + b64("\x00"+user+"\x00"+password) + "</initial-response>" +
		agent + strings.Join(more, "") + "</authenticate>"
}

// withToken is one with a token of XEP-0484, bound to the connection.
func withToken(c *peertest.Client, user, token string, more ...string) string {
	state := c.Conn.(*tls.Conn).ConnectionState()
	binding, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
	if err != nil {
		c.T.Fatal(err)
	}
	m := hmac.New(sha256.New, []byte(token))
	m.Write(append([]byte("Initiator"), binding...))
	return "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='HT-SHA-256-EXPR'><initial-response>" + b64(user+"\x00"+string(m.Sum(nil))) + "</initial-response>" +
		agent + "<fast xmlns='urn:xmpp:fast:0'/>" + strings.Join(more, "") + "</authenticate>"
}

// XEP-0077, XEP-0388, XEP-0386, XEP-0484, from the making of an account to its end, over the death of the server.
func TestAccountOfOnesOwn(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{Args: []string{"--dev-registration"}})
	open := func() *peertest.Client {
		c := peertest.DialTLS(t, p.XMPPS, p.Domain, tls.VersionTLS13)
		c.Open()
		return c
	}
	const bind = "<bind xmlns='urn:xmpp:bind:0'><tag>Test</tag><enable xmlns='urn:xmpp:sm:3' resume='true'/><enable xmlns='urn:xmpp:carbons:2'/></bind>"
	set := func(c *peertest.Client, content string) {
		c.Send("<iq xmlns='jabber:client' type='set' id='reg' to='" + p.Domain + "'><query xmlns='jabber:iq:register'>" + content + "</query></iq>")
	}
	c := open()
	set(c, "<username>ann</username><password>secret</password>")
	c.Await("id='reg'", "type='result'")
	set(c, "<username>ann</username><password>other</password>")
	c.Await("id='reg'", "<conflict ")
	c.Send(withPassword("ann", "secret", bind, "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-EXPR'/>"))
	got := c.Expect("<success", "<bound xmlns='urn:xmpp:bind:0'><metadata xmlns='urn:xmpp:mam:2'/>", "<enabled ", "<token ")
	token := peertest.Attr(got, "token")
	_, jid, _ := strings.Cut(got, "<authorization-identifier>")
	jid, _, _ = strings.Cut(jid, "<")
	c.Ping()
	p.Kill()
	p.Start() // what was given out was committed

	c = open()
	c.Send(withToken(c, "ann", token, bind))
	c.Expect("<success", "<authorization-identifier>"+jid+"<")
	c.Expect("<stream:features")
	c.Ping()
	other := open()
	other.Send(withPassword("ann", "secret"))
	other.Expect("<success")
	other.Expect("<stream:features")
	other.Bind("other")
	set(c, "<username>ann</username><password>changed</password>")
	c.Await("id='reg'", "type='result'")
	other.Await("stream:error", "not-authorized") // hardening HA8
	c.Ping()                                      // who changed it stays
	again := open()
	again.Send(withToken(again, "ann", token))
	again.Expect("<failure xmlns='urn:xmpp:sasl:2'>")
	again.Send(withPassword("ann", "secret"))
	again.Expect("<failure")
	again.Send(withPassword("ann", "changed"))
	again.Expect("<success")

	set(c, "<remove/>")
	c.Await("id='reg'", "type='result'")
	c.Await("stream:error", "not-authorized")
	again = open()
	again.Send(withPassword("ann", "changed"))
	again.Expect("<failure", "<not-authorized ")
}

func TestRegistrationIsOff(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{})
	p.AddUser("ann", "secret")
	c := peertest.Dial(t, p.XMPP, p.Domain)
	if f := c.Open(); strings.Contains(f, "register") {
		t.Errorf("offered: %s", f)
	}
	c = peertest.Dial(t, p.XMPP, p.Domain)
	c.Login("ann", "secret")
	c.Bind("r")
	c.Send("<iq type='set' id='reg' to='" + p.Domain + "'><query xmlns='jabber:iq:register'><remove/></query></iq>")
	c.Await("id='reg'", "<service-unavailable ")
	if _, err := p.Command("", "serve", "--data", t.TempDir(), "--domain", "example.org", "--store", "sqlite::memory:", "--listen", "xmpp://:0", "--dev-registration"); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("beyond loopback: %v", err)
	}
}

// A request of BOSH is held for longer than other requests may take.
func TestBOSHBehindThePortal(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{Config: "[http]\nbody_timeout = \"1s\"\n"})
	post := func(path, text string) string {
		t.Helper()
		res := request(t, p.HTTP, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: %d\r\n\r\n%s", path, p.HTTP, len(text), text))
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", text, res.Status)
		}
		return body(res)
	}
	for _, path := range []string{"/http-bind?room=r", "/acme/http-bind"} {
		got := post(path, "<body xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh' rid='1' to='"+p.Domain+"' wait='3' hold='1' ver='1.6' xmpp:version='1.0'/>")
		if !strings.Contains(got, "<stream:features") {
			t.Fatal(got)
		}
		sid := peertest.Attr(got, "sid")
		head := "<body xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh' sid='" + sid + "' rid='"
		if got := post(path, head+"2'><auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/></body>"); !strings.Contains(got, "<success") {
			t.Fatal(got)
		}
		if got := post(path, head+"3' xmpp:restart='true' to='"+p.Domain+"'/>"); !strings.Contains(got, "<stream:features") {
			t.Fatal(got)
		}
		began := time.Now()
		if got := post(path, head+"4'/>"); strings.Contains(got, "terminate") || time.Since(began) < 2*time.Second {
			t.Errorf("held for %v: %s", time.Since(began), got)
		}
		large := "<message xmlns='jabber:client' to='x@muc." + p.Domain + "'><body>" + strings.Repeat("x", 100_000) + "</body></message>"
		if got := post(path, head+"5'>"+large+"</body>"); !strings.Contains(got, "not-authorized") { // bind first: it was read
			t.Errorf("a large stanza: %.200s", got)
		}
	}
}
