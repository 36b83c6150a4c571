package api

import (
	"crypto/tls"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"parley/internal/peertest"
)

// world is a server with an application that makes tokens.
type world struct {
	*peertest.Parley
	key string
}

func start(t *testing.T, scopes ...string) *world {
	t.Helper()
	p := peertest.StartParley(t, peertest.ParleyOptions{})
	args := []string{"app", "add"}
	for _, s := range scopes {
		args = append(args, "--scope", s)
	}
	out, err := p.Command("", append(args, "shop")...)
	if err != nil {
		t.Fatal(err)
	}
	return &world{p, strings.TrimSpace(out)}
}

// token makes one with the members of a JSON object.
func (w *world) token(t *testing.T, members string) string {
	t.Helper()
	status, made := call(t, w.Parley, "POST", "/tokens/room", w.key, "{"+members+"}")
	raw, _ := made["token"].(string)
	if status != http.StatusCreated || raw == "" {
		t.Fatal(status, made)
	}
	return raw
}

// guest connects with a token, and returns the answer to the login.
func (w *world) guest(t *testing.T, raw string) (*peertest.Client, string) {
	t.Helper()
	c := peertest.DialWS(t, w.HTTP, w.Domain, "/xmpp-websocket?room=standup&token="+url.QueryEscape(raw))
	c.Open()
	c.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>")
	return c, c.Read()
}

// enter joins the room standup.
func (w *world) enter(t *testing.T, raw, nick string) *peertest.Client {
	t.Helper()
	c, got := w.guest(t, raw)
	if !strings.HasPrefix(got, "<success") {
		t.Fatalf("refused: %s", got)
	}
	c.Open()
	c.Bind("")
	c.Send(join(nick))
	c.Await("<presence", "code='110'")
	return c
}

func join(nick string) string {
	return "<presence xmlns='jabber:client' to='standup@muc.localhost/" + nick + "'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
}

// unlock lets others into a room that was created just now (XEP-0045 §10.1.2).
func unlock(owner *peertest.Client) {
	owner.Send("<iq xmlns='jabber:client' id='unlock' type='set' to='standup@muc.localhost'><query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query></iq>")
	owner.Await("<iq", "id='unlock'", "type='result'")
}

func refusedWith(t *testing.T, what, got, code string) {
	t.Helper()
	if !strings.HasPrefix(got, "<failure") || !strings.Contains(got, code) {
		t.Errorf("%s: %s, want a failure with %s", what, got, code)
	}
}

// A token that may be used once lets one in, also after the server was killed, and each door says why it does not.
func TestHP5OneTimeTokensAcrossRestarts(t *testing.T) {
	w := start(t, "tokens:issue")
	raw := w.token(t, `"room":"standup","once":true`)
	w.enter(t, raw, "ann")
	_, got := w.guest(t, raw)
	refusedWith(t, "the second time", got, "token.replay: ")
	w.Kill()
	w.Start()
	_, got = w.guest(t, raw)
	refusedWith(t, "after the death of the server", got, "token.replay: ")

	c := peertest.DialTLS(t, w.XMPPS, w.Domain, tls.VersionTLS13)
	c.Open()
	bearer := base64.StdEncoding.EncodeToString([]byte("n,,\x01auth=Bearer " + raw + "\x01\x01"))
	c.Send("<authenticate xmlns='urn:xmpp:sasl:2' mechanism='OAUTHBEARER'><initial-response>" + bearer + "</initial-response></authenticate>")
	c.Expect("<challenge")
	c.Send("<response xmlns='urn:xmpp:sasl:2'>AQ==</response>")
	refusedWith(t, "SASL2", c.Read(), "<code xmlns='urn:parley:muc:0'>token.replay</code>")

	r, err := http.NewRequest("POST", "http://"+w.HTTP+"/conference-request/v1", strings.NewReader(`{"room":"standup@muc.localhost"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+raw)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if text, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusForbidden || !strings.Contains(string(text), `"code":"token.replay"`) {
		t.Errorf("request for a conference: %s %s", res.Status, text)
	}
	if status, got := call(t, w.Parley, "POST", "/tokens/revoke", w.key, `{"token":"`+raw+`"}`); status != http.StatusUnprocessableEntity || got["code"] != "token.replay" {
		t.Errorf("revoked once more: %d %v", status, got)
	}
}

// Who is thrown out of a room does not come back with the same token, neither in the same session nor in another one.
func TestHP5TokensEndWithAKick(t *testing.T) {
	w := start(t, "tokens:issue")
	owner := w.enter(t, w.token(t, `"room":"standup","moderator":true`), "ann")
	unlock(owner)
	raw, others := w.token(t, `"room":"standup"`), w.token(t, `"room":"standup"`)
	everywhere := w.token(t, `"room":"*"`)
	bob, eve := w.enter(t, raw, "bob"), w.enter(t, everywhere, "eve")
	for _, nick := range []string{"bob", "eve"} {
		owner.Send("<iq xmlns='jabber:client' id='kick' type='set' to='standup@muc.localhost'><query xmlns='http://jabber.org/protocol/muc#admin'><item nick='" + nick + "' role='none'/></query></iq>")
		owner.Await("<iq", "id='kick'", "type='result'")
	}
	bob.Await("<presence", "code='307'")
	bob.Send(join("bob"))
	bob.Await("<presence", "type='error'", "<forbidden", "token.replay")
	_, got := w.guest(t, raw)
	refusedWith(t, "another session", got, "token.replay: ")
	w.enter(t, others, "carl") // somebody else's is good still
	eve.Await("<presence", "code='307'")
	eve.Send(join("eve"))
	eve.Await("<presence", "code='110'") // a token for all rooms still opens them
	w.Stop()
	w.Start()
	_, got = w.guest(t, raw)
	refusedWith(t, "after a restart", got, "token.replay: ")

	raw = w.token(t, `"room":"standup"`)
	if status, got := call(t, w.Parley, "POST", "/tokens/revoke", w.key, `{"token":"`+raw+`"}`); status != http.StatusNoContent {
		t.Fatal(status, got)
	}
	_, got = w.guest(t, raw)
	refusedWith(t, "revoked by the API", got, "token.replay: ")
}
