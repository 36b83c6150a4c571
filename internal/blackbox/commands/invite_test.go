package commands

import (
	"html"
	"io"
	"net/http"
	"strings"
	"testing"

	"parley/internal/peertest"
)

// field returns the value of a field of a form.
func field(t testing.TB, answer, name string) string {
	t.Helper()
	_, rest, ok := strings.Cut(answer, "<field var='"+name+"'")
	if !ok {
		t.Fatalf("no %s in %s", name, answer)
	}
	_, rest, _ = strings.Cut(rest, "<value>")
	value, _, _ := strings.Cut(rest, "</value>")
	return html.UnescapeString(value)
}

// tokenOf returns the token of a link.
func tokenOf(uri string) string {
	_, token, _ := strings.Cut(uri, "preauth=")
	token, _, _ = strings.Cut(token, ";")
	return token
}

func page(t testing.TB, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// XEP-0401: an administrator invites somebody, who looks at the page, makes the account although registration is not open, over the
// death of the server, and is a contact at once.
func TestInvitationToMakeAnAccount(t *testing.T) {
	server := peertest.StartParley(t, peertest.ParleyOptions{Args: []string{"--admin=boss"}})
	server.AddUser("boss", "boss")
	server.AddUser("ann", "ann")
	ann := enter(t, server, "ann", "ann", "a")
	if got := execute(ann, "urn:xmpp:invite#create-account", "", ""); !strings.Contains(got, "<forbidden ") {
		t.Error(got)
	}
	boss := enter(t, server, "boss", "boss", "b")
	got := fill(boss, "urn:xmpp:invite#create-account", "", "username=juliet", "roster-subscription=1")
	uri, landing := field(t, got, "uri"), field(t, got, "landing-url")
	token := tokenOf(uri)
	if uri != "xmpp:juliet@localhost?register;preauth="+token || !strings.HasSuffix(landing, "/invite/"+token) {
		t.Fatalf("%s %s", uri, landing)
	}
	if got := fill(boss, "urn:xmpp:invite#create-account", "", "username=juliet"); !strings.Contains(got, "<conflict ") {
		t.Error(got)
	}
	server.Kill()
	server.Start()
	status, body := page(t, landing)
	if status != 200 || !strings.Contains(body, `href="`+html.EscapeString(uri)+`"`) || !strings.Contains(body, "juliet@localhost") {
		t.Errorf("%d %s", status, body)
	}
	boss = enter(t, server, "boss", "boss", "c")
	boss.Send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>")
	boss.Await("id='roster'")

	set := func(c *peertest.Client, name string) string {
		c.Send("<iq type='set' id='reg' to='localhost'><query xmlns='jabber:iq:register'><username>" + name + "</username><password>secret</password></query></iq>")
		return c.Await("id='reg'")
	}
	preauth := func(c *peertest.Client, token string) string {
		c.Send("<iq type='set' id='pre' to='localhost'><preauth xmlns='urn:xmpp:pars:0' token='" + token + "'/></iq>")
		return c.Await("id='pre'")
	}
	c := peertest.Dial(t, server.XMPP, "localhost")
	if f := c.Open(); !strings.Contains(f, "<register xmlns='urn:xmpp:ibr-token:0'/>") {
		t.Error(f)
	}
	if got := set(c, "juliet"); !strings.Contains(got, "<not-allowed ") {
		t.Error(got)
	}
	if got := preauth(c, "WRONG"); !strings.Contains(got, "<item-not-found ") {
		t.Error(got)
	}
	if got := preauth(c, token); !strings.Contains(got, "type='result'") {
		t.Fatal(got)
	}
	if got := set(c, "tybalt"); !strings.Contains(got, "<not-acceptable ") {
		t.Error(got)
	}
	if got := set(c, "juliet"); !strings.Contains(got, "type='result'") {
		t.Fatal(got)
	}
	boss.Await("type='set'", "<item jid='juliet@localhost' subscription='both'/>")
	if got := preauth(opened(peertest.Dial(t, server.XMPP, "localhost")), token); !strings.Contains(got, "<item-not-found ") {
		t.Errorf("used twice: %s", got)
	}
	if status, body := page(t, landing); status != 404 || strings.Contains(body, "juliet") {
		t.Errorf("the page of a used invitation: %d %s", status, body)
	}
	juliet := enter(t, server, "juliet", "secret", "j")
	juliet.Send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>")
	juliet.Await("id='roster'", "<item jid='boss@localhost' subscription='both'/>")
	boss.Send("<presence/>")
	juliet.Send("<presence/>")
	boss.Await("<presence", "from='juliet@localhost/j'")
}

// XEP-0379: somebody who has an account opens a link and is a contact without waiting, once; her inviter is away meanwhile.
func TestInvitationToBeAContact(t *testing.T) {
	server := peertest.StartParley(t, peertest.ParleyOptions{})
	for _, user := range []string{"ann", "bob", "eve"} {
		server.AddUser(user, user)
	}
	ann := enter(t, server, "ann", "ann", "a")
	got := execute(ann, "urn:xmpp:invite#invite", "", "")
	uri := field(t, got, "uri")
	token := tokenOf(uri)
	if uri != "xmpp:ann@localhost?roster;preauth="+token {
		t.Fatal(uri)
	}
	if status, body := page(t, field(t, got, "landing-url")); status != 200 || !strings.Contains(body, "<bdi>ann@localhost</bdi> invites you to chat") {
		t.Errorf("%d %s", status, body)
	}
	ann.Raw("</stream:stream>")
	ask := "<presence to='ann@localhost' type='subscribe'><preauth xmlns='urn:xmpp:pars:0' token='" + token + "'/></presence>"
	bob := enter(t, server, "bob", "bob", "b")
	bob.Send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>")
	bob.Await("id='roster'")
	bob.Send("<presence to='ann@localhost' type='subscribed'/>", ask)
	bob.Await("<item jid='ann@localhost' subscription='both'/>")
	eve := enter(t, server, "eve", "eve", "e")
	eve.Send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>")
	eve.Await("id='roster'")
	eve.Send(ask)
	eve.Ping()
	ann = enter(t, server, "ann", "ann", "a")
	ann.Send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>")
	if got := ann.Await("id='roster'"); !strings.Contains(got, "<item jid='bob@localhost' subscription='both'/>") || strings.Contains(got, "eve@") {
		t.Error(got)
	}
	ann.Send("<presence/>")
	ann.Await("type='subscribe'", "from='eve@localhost'") // a request like any other
}
