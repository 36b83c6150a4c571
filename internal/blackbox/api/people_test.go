package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"parley/internal/peertest"
)

// list asks for a list of objects.
func list(t *testing.T, p *peertest.Parley, path, key string) (all []map[string]any) {
	t.Helper()
	r, err := http.NewRequest("GET", "http://"+p.HTTP+"/api/v1"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Api-Key", key)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	if err := json.Unmarshal(text, &all); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s", path, res.Status, text)
	}
	return all
}

// login logs an account in whose password is "secret".
func login(t *testing.T, p *peertest.Parley, name string) (access string) {
	t.Helper()
	status, got := call(t, p, "POST", "/auth/login", "", `{"user":"`+name+`","password":"secret"}`)
	if status != http.StatusOK {
		t.Fatal(status, got)
	}
	return got["access_token"].(string)
}

// What the API does with contacts, clients see at once; what clients do, the API shows.
func TestContactsAreThoseOfXMPP(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{})
	p.AddUser("ann", "secret")
	key := login(t, p, "ann")
	c := peertest.DialWS(t, p.HTTP, p.Domain, "/xmpp-websocket")
	c.Login("ann", "secret")
	c.Bind("")
	c.Send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
	c.Await("id='r'", "type='result'")
	if status, got := call(t, p, "PUT", "/me/contacts/carl@example.org", key, `{"name":"Carl <3","groups":["Friends"]}`); status != http.StatusOK || got["subscription"] != "none" {
		t.Fatal(status, got)
	}
	c.Await("type='set'", "jid='carl@example.org'", "name='Carl &lt;3'", "<group>Friends</group>")
	c.Send("<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='dora@example.org'/></query></iq>")
	c.Await("id='s'", "type='result'")
	if all := list(t, p, "/me/contacts", key); len(all) != 2 || all[0]["name"] != "Carl <3" || all[1]["address"] != "dora@example.org" {
		t.Error(all)
	}
	if status, got := call(t, p, "DELETE", "/me/contacts/carl@example.org", key, ""); status != http.StatusNoContent {
		t.Fatal(status, got)
	}
	c.Await("jid='carl@example.org'", "subscription='remove'")
	if status, got := call(t, p, "PUT", "/me/contacts/ann@"+p.Domain, key, `{}`); status != http.StatusUnprocessableEntity {
		t.Error(status, got)
	}
}

const (
	bind  = "<bind xmlns='urn:xmpp:bind:0'><tag>phone</tag></bind>"
	agent = "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'><software>Test</software></user-agent>"
)

func plain(user string) string {
	return "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>" + base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00secret")) + "</initial-response>" + agent + bind
}

// A device that is logged out has no session any more, and nothing to come back with but the password.
func TestDeviceThatIsLoggedOut(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{})
	p.AddUser("ann", "secret")
	p.AddUser("eve", "secret")
	key := login(t, p, "ann")
	c := peertest.DialTLS(t, p.XMPPS, p.Domain, tls.VersionTLS13)
	c.Open()
	c.Send(plain("ann") + "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-EXPR'/></authenticate>")
	token := peertest.Attr(c.Await("<success", "<bound", "<token xmlns='urn:xmpp:fast:0'"), "token")
	other := peertest.DialWS(t, p.HTTP, p.Domain, "/xmpp-websocket") // says nothing of itself
	other.Login("ann", "secret")
	other.Bind("desk")

	remembered := ""
	all := list(t, p, "/me/devices", key)
	for _, d := range all {
		if d["remembers_until"] != nil {
			remembered, _ = d["id"].(string)
		}
		if d["state"] != "connected" || d["ip"] != "127.0.0.1" {
			t.Error(d)
		}
	}
	if len(all) != 2 || remembered == "" {
		t.Fatal(all)
	}
	again := func() string {
		c := peertest.DialTLS(t, p.XMPPS, p.Domain, tls.VersionTLS13)
		c.Open()
		m := hmac.New(sha256.New, []byte(token))
		m.Write(append([]byte("Initiator"), c.Exporter()...))
		c.Send("<authenticate xmlns='urn:xmpp:sasl:2' mechanism='HT-SHA-256-EXPR'><initial-response>" + base64.StdEncoding.EncodeToString([]byte("ann\x00"+string(m.Sum(nil)))) +
			"</initial-response>" + agent + "<fast xmlns='urn:xmpp:fast:0'/></authenticate>")
		got := c.Read()
		c.Drop()
		return got
	}
	if got := again(); len(got) < 8 || got[:8] != "<success" {
		t.Fatalf("the token is not good: %s", got)
	}
	if status, got := call(t, p, "DELETE", "/me/devices/"+remembered, login(t, p, "eve"), ""); status != http.StatusNotFound {
		t.Error(status, got)
	}
	if status, got := call(t, p, "DELETE", "/me/devices/"+remembered, key, ""); status != http.StatusNoContent {
		t.Fatal(status, got)
	}
	c.Await("<stream:error")
	if got := again(); len(got) < 8 || got[:8] != "<failure" {
		t.Errorf("the token is still good: %s", got)
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) { // the account hears of the end by its mailbox
		all := list(t, p, "/me/devices", key)
		if len(all) == 1 && all[0]["address"] == "ann@"+p.Domain+"/desk" {
			break
		}
		if time.Now().After(end) {
			t.Fatal(all)
		}
	}
	other.Ping()
}
