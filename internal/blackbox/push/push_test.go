// Package push has clients of the binary go away, and looks at what their app servers are told: one that is a client of the same
// server, and one of another server.
package push

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"parley/internal/peertest"
)

const ns = "urn:xmpp:push:0"

// patience is how long something is waited for that does happen.
const patience = 30 * time.Second

func login(t testing.TB, s *peertest.Parley, user, resource string) *peertest.Client {
	t.Helper()
	p := peertest.Dial(t, s.XMPP, s.Domain)
	p.StartTLS(tls.VersionTLS13)
	p.Login(user, user+"-password")
	p.Bind(resource)
	p.Send("<presence/>")
	p.Await("<presence", "from='"+p.JID+"'")
	return p
}

// phone is a client that may come back, and has an app server told.
func phone(t testing.TB, s *peertest.Parley, service, node string) *peertest.Client {
	t.Helper()
	p := login(t, s, "ann", "phone")
	p.Send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
	p.Await("<enabled")
	p.Send("<iq type='set' id='push'><enable xmlns='" + ns + "' jid='" + service + "' node='" + node + "'>" +
		"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/pubsub#publish-options</value></field><field var='secret'><value>s3</value></field></x></enable></iq>")
	p.Await("id='push'", "type='result'")
	return p
}

func say(from *peertest.Client, to, body string) {
	from.Send("<message type='chat' to='" + to + "'><body>" + body + "</body></message>")
	from.Ping()
}

// eventually waits for a metric.
func eventually(s *peertest.Parley, metric string, want float64) {
	s.T.Helper()
	for end := time.Now().Add(patience); s.Metric(metric, "") != want; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.T.Fatalf("%s is %v, want %v", metric, s.Metric(metric, ""), want)
		}
	}
}

// notified reads a notification and returns its id.
func notified(app *peertest.Client, domain, node string, count int) (id string) {
	app.T.Helper()
	got := app.Await("<iq", "type='set'", "<notification xmlns='"+ns+"'>")
	for _, want := range []string{" from='" + domain + "'", "<publish node='" + node + "'>", fmt.Sprintf("<field var='message-count'><value>%d</value></field>", count),
		"<value>New message</value>", "<field var='secret'><value>s3</value></field>"} {
		if !strings.Contains(got, want) {
			app.T.Errorf("no %s in %s", want, got)
		}
	}
	if strings.Contains(got, "bob") || strings.Contains(got, "first") {
		app.T.Errorf("it says who or what: %s", got)
	}
	return peertest.Attr(got, "id")
}

func TestAppServerIsToldOfAClientThatIsAway(t *testing.T) {
	s := peertest.StartParley(t, peertest.ParleyOptions{})
	for _, user := range []string{"ann", "bob", "app"} {
		s.AddUser(user, user+"-password")
	}
	ann, bob, app := phone(t, s, "app@localhost/server", "n1"), login(t, s, "bob", "desk"), login(t, s, "app", "server")
	ann.Send("<iq type='get' id='info'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>")
	ann.Await("id='info'", "<feature var='"+ns+"'/>")
	say(bob, "ann@localhost", "while she is there")
	ann.Await("while she is there")
	ann.Send("<a xmlns='urn:xmpp:sm:3' h='3'/>") // two answers and the message
	ann.Ping()
	if n := s.Metric("parley_pushes_total", ""); n != 0 {
		t.Errorf("%v notifications while the client is there", n)
	}
	ann.Conn.Close()
	eventually(s, "parley_sessions_away", 1)
	say(bob, "ann@localhost", "first")
	id := notified(app, "localhost", "n1", 1)
	say(bob, "ann@localhost", "second")
	bob.Send("<message type='chat' to='ann@localhost'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>")
	say(bob, "ann@localhost", "third")
	app.Send("<iq type='result' to='localhost' id='" + id + "'/>")
	id = notified(app, "localhost", "n1", 3)
	app.Send("<iq type='result' to='localhost' id='" + id + "'/>")
	app.Ping()

	s.Kill()
	s.Start()
	bob, app = login(t, s, "bob", "desk"), login(t, s, "app", "server")
	if n := s.Metric("parley_push_nodes", ""); n != 1 {
		t.Fatalf("%v nodes after a new start", n)
	}
	say(bob, "ann@localhost", "fourth")
	got := app.Await("<notification", "node='n1'")
	app.Send("<iq type='error' to='localhost' id='" + peertest.Attr(got, "id") + "'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
	eventually(s, "parley_push_nodes", 0)
	sent := s.Metric("parley_pushes_total", "")
	say(bob, "ann@localhost", "fifth")
	if n := s.Metric("parley_pushes_total", ""); n != sent {
		t.Errorf("%v notifications to a node that is gone", n-sent)
	}
}

func TestAppServerIsToldOfAClientWithoutSession(t *testing.T) {
	s := peertest.StartParley(t, peertest.ParleyOptions{Config: "[archive]\nenabled = false\n"})
	for _, user := range []string{"ann", "bob", "app"} {
		s.AddUser(user, user+"-password")
	}
	ann, bob, app := phone(t, s, "app@localhost/server", "n1"), login(t, s, "bob", "desk"), login(t, s, "app", "server")
	ann.Send("</stream:stream>")
	eventually(s, "parley_sessions", 2)
	say(bob, "ann@localhost", "first")
	app.Send("<iq type='result' to='localhost' id='" + notified(app, "localhost", "n1", 1) + "'/>")
	desk := login(t, s, "ann", "desk")
	say(bob, "ann@localhost", "on the desk")
	desk.Await("on the desk")
	app.Send("<iq type='result' to='localhost' id='" + notified(app, "localhost", "n1", 2) + "'/>")
	desk.Send("<iq type='set' id='off'><disable xmlns='" + ns + "' jid='app@localhost/server'/></iq>")
	desk.Await("id='off'", "type='result'")
	eventually(s, "parley_push_nodes", 0)
}

func TestAppServerOfAnotherServerIsTold(t *testing.T) {
	at := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().String()
	}
	const ours, theirs = "ours.test", "theirs.test"
	places := map[string]string{ours: at(), theirs: at()}
	start := func(domain, other string, users ...string) *peertest.Parley {
		s := peertest.StartParley(t, peertest.ParleyOptions{
			Config: fmt.Sprintf("domain = %q\n[[federation.hosts]]\ndomain = %q\naddress = %q\n", domain, other, places[other]),
			Listen: []string{"xmpp://127.0.0.1:0", "s2s://" + places[domain], "http+admin://127.0.0.1:0"},
		})
		for _, user := range users {
			s.AddUser(user, user+"-password")
		}
		return s
	}
	s, other := start(ours, theirs, "ann", "bob"), start(theirs, ours, "app")
	ann, bob, app := phone(t, s, "app@theirs.test/server", "n1"), login(t, s, "bob", "desk"), login(t, other, "app", "server")
	ann.Conn.Close()
	eventually(s, "parley_sessions_away", 1)
	say(bob, "ann@ours.test", "first")
	id := notified(app, ours, "n1", 1)
	app.Send("<iq type='error' to='ours.test' id='" + id + "'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
	eventually(s, "parley_push_nodes", 0)
}
