// Package pep has accounts of the binary publish events, bookmarks, avatars and vCards, and looks at what their other sessions
// and their contacts see of them, also after the server was killed.
package pep

import (
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"parley/internal/peertest"
)

const (
	ns        = "http://jabber.org/protocol/pubsub"
	info      = "http://jabber.org/protocol/disco#info"
	tune      = "http://jabber.org/protocol/tune"
	bookmarks = "urn:xmpp:bookmarks:1"
	image     = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

// client is a session that says what it can do when it is asked, whatever the test waits for.
type client struct {
	*peertest.Client
	features []string
}

func connect(t testing.TB, s *peertest.Parley, user, resource string, nodes ...string) *client {
	t.Helper()
	p := peertest.Dial(t, s.XMPP, "localhost")
	p.StartTLS(tls.VersionTLS13)
	p.Login(user, user+"-password")
	c := &client{Client: p.Bind(resource), features: []string{info}}
	for _, n := range nodes {
		c.features = append(c.features, n+"+notify")
	}
	return c
}

// show sends presence with capabilities.
func (c *client) show(more string) {
	text := "client/pc//Test<" + strings.Join(c.features, "<") + "<" // the tests list them in order
	sum := sha1.Sum([]byte(text))
	c.Send("<presence>" + more + "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='http://test.example' ver='" +
		base64.StdEncoding.EncodeToString(sum[:]) + "'/></presence>")
}

// await reads until an element holds all of the parts.
func (c *client) await(parts ...string) string {
	c.T.Helper()
	for {
		got := c.Read()
		if got == "" {
			c.T.Fatalf("%s: the connection ended before %q came", c.JID, parts)
		}
		if strings.HasPrefix(got, "<iq") && strings.Contains(got, "type='get'") && strings.Contains(got, info) {
			answer := "<iq type='result' id='" + peertest.Attr(got, "id") + "' to='" + peertest.Attr(got, "from") + "'><query xmlns='" + info +
				"' node='" + peertest.Attr(got, "node") + "'><identity category='client' type='pc' name='Test'/>"
			for _, f := range c.features {
				answer += "<feature var='" + f + "'/>"
			}
			c.Send(answer + "</query></iq>")
			continue
		}
		missing := false
		for _, want := range parts {
			missing = missing || !strings.Contains(got, want)
		}
		if !missing {
			return got
		}
	}
}

// ask sends a request, which must succeed, and returns the answer.
func (c *client) ask(typ, to, payload string) string {
	c.T.Helper()
	if to != "" {
		to = " to='" + to + "'"
	}
	c.Send("<iq type='" + typ + "' id='ask'" + to + ">" + payload + "</iq>")
	got := c.await("<iq", "id='ask'")
	if !strings.Contains(got, "type='result'") {
		c.T.Fatalf("%s is answered %s", payload, got)
	}
	return got
}

func publish(node, id, payload string) string {
	return "<pubsub xmlns='" + ns + "'><publish node='" + node + "'><item id='" + id + "'>" + payload + "</item></publish></pubsub>"
}

func items(node string) string {
	return "<pubsub xmlns='" + ns + "'><items node='" + node + "'/></pubsub>"
}

// befriend has two sessions see each other's presence.
func befriend(a, b *client, addrA, addrB string) {
	a.T.Helper()
	for _, p := range []struct {
		from, to       *client
		fromAt, toAddr string
	}{{a, b, addrA, addrB}, {b, a, addrB, addrA}} {
		p.from.Send("<presence type='subscribe' to='" + p.toAddr + "'/>")
		p.to.await("<presence", "type='subscribe'", "from='"+p.fromAt+"'")
		p.to.Send("<presence type='subscribed' to='" + p.fromAt + "'/>")
		p.from.await("<presence", "type='subscribed'", "from='"+p.toAddr+"'")
	}
}

func TestPersonalEventing(t *testing.T) {
	s := peertest.StartParley(t, peertest.ParleyOptions{})
	for _, name := range []string{"juliet", "nurse"} {
		s.AddUser(name, name+"-password")
	}
	const julietAt, nurseAt = "juliet@localhost", "nurse@localhost"
	juliet := connect(t, s, "juliet", "balcony", tune)
	nurse := connect(t, s, "nurse", "chamber", tune, "urn:xmpp:avatar:metadata")
	if got := juliet.ask("get", julietAt, "<query xmlns='"+info+"'/>"); !strings.Contains(got, "category='pubsub' type='pep'") ||
		!strings.Contains(got, ns+"#publish-options") {
		t.Errorf("the account says %s", got)
	}
	for _, c := range []*client{juliet, nurse} {
		c.ask("get", "", "<query xmlns='jabber:iq:roster'/>") // who does not is not told of subscriptions
		c.show("")
	}
	befriend(juliet, nurse, julietAt, nurseAt)

	song := "<tune xmlns='" + tune + "'><title>Finale</title></tune>"
	juliet.ask("set", "", publish(tune, "1", song))
	event := "<items node='" + tune + "'><item id='1'>" + song + "</item></items>"
	juliet.await("<message", "from='"+julietAt+"'", "type='headline'", event)
	nurse.await("<message", "from='"+julietAt+"'", "type='headline'", event)
	late := connect(t, s, "nurse", "late", tune)
	late.show("")
	late.await("<message", "from='"+julietAt+"'", event, "<delay ")
	if got := nurse.ask("get", julietAt, "<query xmlns='http://jabber.org/protocol/disco#items'/>"); !strings.Contains(got, "node='"+tune+"'") {
		t.Errorf("the nurse sees %s", got)
	}

	// Bookmarks, in the form of old clients and in that of new ones.
	room := "<conference jid='orchard@muc.localhost' name='Orchard' autojoin='true'><nick>J</nick></conference>"
	juliet.ask("set", "", "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'>"+room+"</storage></query>")
	kept := "<item id='orchard@muc.localhost'><conference xmlns='" + bookmarks + "' name='Orchard' autojoin='true'><nick>J</nick></conference></item>"
	if got := juliet.ask("get", "", items(bookmarks)); !strings.Contains(got, kept) {
		t.Errorf("the bookmarks are %s", got)
	}
	nurse.Send("<iq type='get' id='spy' to='" + julietAt + "'>" + items(bookmarks) + "</iq>")
	nurse.await("id='spy'", "type='error'", "<closed-node ")

	// The photo of a vCard is the avatar; presence names it, also presence for a room.
	b, err := base64.StdEncoding.DecodeString(image)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha1.Sum(b)
	hash := hex.EncodeToString(sum[:])
	juliet.ask("set", "", "<vCard xmlns='vcard-temp'><FN>Juliet</FN><PHOTO><TYPE>image/png</TYPE><BINVAL>"+image+"</BINVAL></PHOTO></vCard>")
	nurse.await("<message", "<items node='urn:xmpp:avatar:metadata'><item id='"+hash+"'>")
	juliet.show("<show>away</show>")
	nurse.await("<presence", "from='"+julietAt+"/balcony'", "<x xmlns='vcard-temp:x:update'><photo>"+hash+"</photo></x>")
	juliet.Send("<presence to='orchard@muc.localhost/J'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
	juliet.await("<presence", "from='orchard@muc.localhost/J'", "<photo>"+hash+"</photo>")

	s.Kill()
	s.Restart()
	juliet = connect(t, s, "juliet", "again", tune)
	juliet.show("")
	juliet.await("<presence", "from='"+julietAt+"/again'", "<photo>"+hash+"</photo>")
	juliet.await("<message", "from='"+julietAt+"'", event)
	if got := juliet.ask("get", "", items(bookmarks)); !strings.Contains(got, kept) {
		t.Errorf("after the restart the bookmarks are %s", got)
	}
	nurse = connect(t, s, "nurse", "again")
	if got := nurse.ask("get", julietAt, "<vCard xmlns='vcard-temp'/>"); !strings.Contains(got, "<FN>Juliet</FN>") || !strings.Contains(got, image) {
		t.Errorf("the vCard is %s", got)
	}
}
