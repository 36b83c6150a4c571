// Package commands has administrators and people execute commands of the binary, make accounts with invitations, and connects
// components to it (XEP-0050, XEP-0133, XEP-0379, XEP-0401, XEP-0445, XEP-0114).
package commands

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"parley/internal/peertest"
)

const admin = "http://jabber.org/protocol/admin"

// enter logs in, by TLS, and binds.
func enter(t testing.TB, server *peertest.Parley, user, password, resource string) *peertest.Client {
	t.Helper()
	p := peertest.Dial(t, server.XMPP, "localhost")
	p.StartTLS(tls.VersionTLS13)
	p.Login(user, password)
	return p.Bind(resource)
}

var number int

// execute sends a step of a command and returns the answer.
func execute(c *peertest.Client, node, session, content string) string {
	c.T.Helper()
	number++
	id := fmt.Sprintf("c%d", number)
	if session != "" {
		session = " sessionid='" + session + "'"
	}
	c.Send("<iq type='set' id='" + id + "' to='localhost'><command xmlns='http://jabber.org/protocol/commands' node='" + node + "'" + session + ">" + content + "</command></iq>")
	return c.Await("id='" + id + "'")
}

// fill executes a command with one form and returns the last answer.
func fill(c *peertest.Client, node, formType string, fields ...string) string {
	c.T.Helper()
	first := execute(c, node, "", "")
	_, session, ok := strings.Cut(first, "sessionid='")
	if !ok || !strings.Contains(first, "status='executing'") {
		return first
	}
	session, _, _ = strings.Cut(session, "'")
	x := "<x xmlns='jabber:x:data' type='submit'>"
	if formType != "" {
		x += "<field var='FORM_TYPE'><value>" + formType + "</value></field>"
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		x += "<field var='" + name + "'><value>" + value + "</value></field>"
	}
	return execute(c, node, session, x+"</x>")
}

// What outside conformance suites do with a fresh server: make accounts and remove them, as an administrator and as anybody.
func TestAdministrator(t *testing.T) {
	server := peertest.StartParley(t, peertest.ParleyOptions{Args: []string{"--dev-registration", "--admin=boss"}})
	stranger := peertest.Dial(t, server.XMPP, "localhost")
	if f := stranger.Open(); !strings.Contains(f, "http://jabber.org/features/iq-register") {
		t.Error(f)
	}
	// Nobody becomes an administrator by registering the name before its owner does.
	register := func(c *peertest.Client, name string) string {
		c.Send("<iq type='set' id='reg' to='localhost'><query xmlns='jabber:iq:register'><username>" + name + "</username><password>secret</password></query></iq>")
		return c.Await("id='reg'")
	}
	if got := register(stranger, "boss"); !strings.Contains(got, "<conflict ") {
		t.Fatal(got)
	}
	if got := register(stranger, "ann"); !strings.Contains(got, "type='result'") {
		t.Fatal(got)
	}
	server.AddUser("boss", "boss")
	boss := enter(t, server, "boss", "boss", "b")
	ann := enter(t, server, "ann", "secret", "a")

	boss.Send("<iq type='get' id='info' to='localhost'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
	boss.Await("id='info'", "<feature var='http://jabber.org/protocol/commands'/>")
	list := "<iq type='get' id='list' to='localhost'><query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'/></iq>"
	boss.Send(list)
	boss.Await("id='list'", "node='"+admin+"#add-user'", "node='"+admin+"#delete-user'")
	ann.Send(list)
	if got := ann.Await("id='list'"); strings.Contains(got, admin) || !strings.Contains(got, "urn:xmpp:invite#invite") {
		t.Errorf("somebody else is offered %s", got)
	}
	if got := execute(ann, admin+"#delete-user", "", ""); !strings.Contains(got, "<forbidden ") {
		t.Error(got)
	}

	if got := fill(boss, admin+"#add-user", admin, "accountjid=bob@localhost", "password=secret", "password-verify=secret"); !strings.Contains(got, "status='completed'") {
		t.Fatal(got)
	}
	bob := enter(t, server, "bob", "secret", "b")
	bob.Send("<presence/>")
	bob.Await("<presence")
	if got := fill(boss, admin+"#get-online-users-list", admin, "max_items=100"); !strings.Contains(got, "<value>ann@localhost</value><value>bob@localhost</value><value>boss@localhost</value>") {
		t.Error(got)
	}
	if got := fill(boss, admin+"#announce", admin, "announcement=tea is served"); !strings.Contains(got, "status='completed'") {
		t.Error(got)
	}
	bob.Await("<message", "from='localhost'", "<body>tea is served</body>")
	if got := fill(boss, admin+"#set-motd", admin, "motd=good day"); !strings.Contains(got, "status='completed'") {
		t.Error(got)
	}
	bob.Await("<message", "<body>good day</body>")
	if got := fill(boss, admin+"#end-user-session", admin, "accountjids=bob@localhost"); !strings.Contains(got, "status='completed'") {
		t.Error(got)
	}
	bob.Await("stream:error", "policy-violation")
	if got := fill(boss, admin+"#add-user", admin, "accountjid=carl@localhost", "password=secret"); !strings.Contains(got, "status='completed'") {
		t.Fatal(got)
	}
	server.Restart()
	carl := enter(t, server, "carl", "secret", "c")
	carl.Send("<presence/>")
	carl.Await("<message", "<body>good day</body>")

	boss = enter(t, server, "boss", "boss", "b")
	if got := fill(boss, admin+"#delete-user", admin, "accountjids=carl@localhost"); !strings.Contains(got, "status='completed'") {
		t.Error(got)
	}
	carl.Await("stream:error", "not-authorized")
	again := peertest.Dial(t, server.XMPP, "localhost")
	if got := register(opened(again), "carl"); !strings.Contains(got, "type='result'") {
		t.Errorf("the name is free again: %s", got)
	}
	if got := fill(boss, admin+"#delete-user", admin, "accountjids=boss@localhost"); !strings.Contains(got, "<not-allowed ") {
		t.Error(got)
	}
}

func opened(c *peertest.Client) *peertest.Client {
	c.Open()
	return c
}

// Without a name in the configuration there is no administrator, and commands are forbidden.
func TestNobodyIsAnAdministrator(t *testing.T) {
	server := peertest.StartParley(t, peertest.ParleyOptions{})
	server.AddUser("admin", "admin")
	c := enter(t, server, "admin", "admin", "a")
	if got := execute(c, admin+"#add-user", "", ""); !strings.Contains(got, "<forbidden ") {
		t.Error(got)
	}
	if _, err := server.Command("", "serve", "--data", t.TempDir(), "--admin", "ann@elsewhere.net"); err == nil || !strings.Contains(err.Error(), "elsewhere.net") {
		t.Errorf("an administrator of another server: %v", err)
	}
}
