package conform

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/internal/peertest"
)

// patience is how long a case waits for what must come; the machine may have much else to do.
const patience = 30 * time.Second

const password = "correct horse"

// scene is where a case plays: a server, reached over one transport.
type scene struct {
	*testing.T
	server    *peertest.Parley
	transport string
}

var serial atomic.Int64

// fresh returns a name that no other case has.
func fresh(name string) string { return fmt.Sprintf("%s-%d", name, serial.Add(1)) }

// client is a session that remembers what has come and was not asked for yet.
type client struct {
	*peertest.Client
	user     string
	account  string   // the bare address
	unread   []string // elements, in the order in which they came
	features []string // what it says of itself when it is asked; in order
}

// register makes an account on an open stream.
func register(c *peertest.Client, user string) {
	c.T.Helper()
	c.Send("<iq xmlns='jabber:client' type='set' id='reg' to='" + c.Host + "'><query xmlns='jabber:iq:register'><username>" + user +
		"</username><password>" + password + "</password></query></iq>")
	if got := c.ReadWithin(patience); !strings.Contains(got, "type='result'") {
		c.T.Fatalf("registration of %s: %s", user, got)
	}
}

// client makes an account and logs in. It has sent no presence.
func (s *scene) client(name string) *client {
	s.Helper()
	c := s.newcomer(name)
	c.Authenticate(c.user, password)
	c.Open()
	c.Bind("home")
	return c
}

// newcomer has an account and an open stream on which it has not logged in.
func (s *scene) newcomer(name string) *client {
	s.Helper()
	return newcomer(s.dial(), name)
}

// secured is a newcomer over TLS.
func (s *scene) secured(name string) *client {
	s.Helper()
	return newcomer(s.secure(), name)
}

func newcomer(over *peertest.Client, name string) *client {
	over.T.Helper()
	c := &client{Client: over, user: fresh(name)}
	c.account = c.user + "@" + c.Host
	c.Open()
	register(c.Client, c.user)
	return c
}

// guest logs in without an account.
func (s *scene) guest() *client {
	s.Helper()
	c := &client{Client: s.dial()}
	c.Login("", "")
	c.Bind("")
	c.account, _, _ = strings.Cut(c.JID, "/")
	return c
}

// again is another session of an account.
func (s *scene) again(of *client, resource string) *client {
	s.Helper()
	c := &client{Client: s.dial(), user: of.user, account: of.account}
	c.Login(of.user, password)
	c.Bind(resource)
	return c
}

// say sends elements; stanzas get the namespace that WebSocket and BOSH want.
func (c *client) say(elements ...string) {
	c.T.Helper()
	for _, e := range elements {
		for _, name := range []string{"<iq", "<message", "<presence"} {
			if rest, ok := strings.CutPrefix(e, name); ok {
				e = name + " xmlns='jabber:client'" + rest
			}
		}
		c.Send(e)
	}
}

// next reads one element and answers it if it asks what the client can do.
func (c *client) next() string {
	c.T.Helper()
	got := c.ReadWithin(patience)
	if got == "" {
		c.T.Fatalf("%s: the stream ended; unread: %q", c.JID, c.unread)
	}
	if len(c.features) > 0 && strings.HasPrefix(got, "<iq") && strings.Contains(got, "type='get'") && strings.Contains(got, nsInfo) {
		c.say("<iq type='result' id='" + peertest.Attr(got, "id") + "' to='" + peertest.Attr(got, "from") + "'><query xmlns='" + nsInfo +
			"' node='" + peertest.Attr(got, "node") + "'><identity category='client' type='pc' name='Test'/><feature var='" +
			strings.Join(c.features, "'/><feature var='") + "'/></query></iq>")
	}
	return got
}

func holds(element string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(element, p) {
			return false
		}
	}
	return true
}

// gets returns the first element that holds all of the parts, of those that were not returned yet.
func (c *client) gets(parts ...string) string {
	c.T.Helper()
	if i := slices.IndexFunc(c.unread, func(e string) bool { return holds(e, parts) }); i >= 0 {
		got := c.unread[i]
		c.unread = slices.Delete(c.unread, i, i+1)
		return got
	}
	for begin := time.Now(); ; {
		got := c.next()
		if holds(got, parts) {
			return got
		}
		c.unread = append(c.unread, got)
		if time.Since(begin) > patience {
			c.T.Fatalf("%s: %q does not come, but %q", c.JID, parts, c.unread)
		}
	}
}

// lacks wants that no such element has come behind what other said before this call.
func (c *client) lacks(other *client, parts ...string) {
	c.T.Helper()
	id := fresh("fence")
	other.say("<message to='" + c.JID + "' type='normal' id='" + id + "'><fence xmlns='urn:x:fence'/></message>")
	c.gets("id='" + id + "'")
	for _, e := range c.unread {
		if holds(e, parts) {
			c.T.Errorf("%s got %s", c.JID, e)
		}
	}
}

func (c *client) iq(typ, to, payload string) string {
	c.T.Helper()
	if to != "" {
		to = " to='" + to + "'"
	}
	id := fresh("q")
	c.say("<iq type='" + typ + "' id='" + id + "'" + to + ">" + payload + "</iq>")
	return c.gets("<iq", "id='"+id+"'")
}

func (c *client) asks(typ, to, payload string, parts ...string) string {
	c.T.Helper()
	got := c.iq(typ, to, payload)
	if parts = append(parts, "type='result'"); !holds(got, parts) {
		c.T.Fatalf("%s %s: wanted %q, got %s", typ, payload, parts, got)
	}
	return got
}

// get asks for something and wants an answer that holds the parts.
func (c *client) get(to, payload string, parts ...string) string {
	c.T.Helper()
	return c.asks("get", to, payload, parts...)
}

// set changes something and wants an answer that holds the parts.
func (c *client) set(to, payload string, parts ...string) string {
	c.T.Helper()
	return c.asks("set", to, payload, parts...)
}

// refused wants an error with this condition.
func (c *client) refused(typ, to, payload string, conditions ...string) {
	c.T.Helper()
	got := c.iq(typ, to, payload)
	parts := []string{"type='error'"}
	for _, condition := range conditions {
		parts = append(parts, "<"+condition+" ")
	}
	if !holds(got, parts) {
		c.T.Fatalf("%s %s: wanted %q, got %s", typ, payload, parts, got)
	}
}

// stores sends stanzas and waits until the server has taken responsibility for them (XEP-0198 §4): what is to be kept is kept.
func (c *client) stores(elements ...string) {
	c.T.Helper()
	c.Send("<enable xmlns='" + nsSM + "'/>")
	c.gets("<enabled xmlns='" + nsSM + "'")
	c.say(elements...)
	for c.Send("<r xmlns='" + nsSM + "'/>"); ; c.Send("<r xmlns='" + nsSM + "'/>") {
		if strings.Contains(c.gets("<a xmlns='"+nsSM+"'"), fmt.Sprintf("h='%d'", len(elements))) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// present sends the first presence and waits until it is back.
func (c *client) present() *client {
	c.T.Helper()
	c.say("<presence/>")
	c.gets("<presence", "from='"+c.JID+"'")
	return c
}

// notified is present with capabilities (XEP-0115) that want events of these nodes (XEP-0163 §4.3.1), which the server has asked for.
func (c *client) notified(nodes ...string) *client {
	c.T.Helper()
	c.features = []string{nsInfo, "urn:x:" + fresh("client")} // nobody else's, so that the server has to ask
	for _, n := range nodes {
		c.features = append(c.features, n+"+notify")
	}
	slices.Sort(c.features)
	sum := sha1.Sum([]byte("client/pc//Test<" + strings.Join(c.features, "<") + "<"))
	c.say("<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='http://test.example' ver='" + base64.StdEncoding.EncodeToString(sum[:]) + "'/></presence>")
	c.gets("<iq", "type='get'", nsInfo, "from='")
	c.get("", nsPing) // the answer is there
	return c
}

// leave ends the stream, and with it the session.
func (c *client) leave() {
	c.T.Helper()
	switch {
	case c.WS:
		c.Send("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>")
		c.gets("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'")
		return
	case c.Conn == nil:
		c.Terminate()
	default:
		c.Send("</stream:stream>")
	}
	c.gets("</stream:stream>")
}

// befriend has two people who are present see each other's presence (RFC 6121 §3.1).
func befriend(a, b *client) {
	a.T.Helper()
	for _, c := range []*client{a, b} {
		c.get("", item("")) // §2.2: who asks is told of changes
	}
	for _, p := range [][2]*client{{a, b}, {b, a}} {
		p[0].say("<presence type='subscribe' to='" + p[1].account + "'/>")
		p[1].gets("<presence", "type='subscribe'", "from='"+p[0].account+"'")
		p[1].say("<presence type='subscribed' to='" + p[0].account + "'/>")
		p[0].gets("<presence", "type='subscribed'", "from='"+p[1].account+"'")
	}
	a.gets("<iq", "type='set'", "jid='"+b.account+"'", "subscription='both'")
	b.gets("<iq", "type='set'", "jid='"+a.account+"'", "subscription='both'")
	a.gets("<presence", "from='"+b.JID+"'")
	b.gets("<presence", "from='"+a.JID+"'")
}

// attr is the value of an attribute that the element has somewhere.
func attr(t testing.TB, element, name string) string {
	t.Helper()
	v := peertest.Attr(element, name)
	if v == "" {
		t.Fatalf("no %s in %s", name, element)
	}
	return v
}

// between returns what stands between two texts.
func between(t testing.TB, text, from, to string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, from)
	v, _, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		t.Fatalf("no %s…%s in %s", from, to, text)
	}
	return v
}

// wants is an error for each part that is missing.
func wants(t testing.TB, got string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(got, p) {
			t.Errorf("%q is not in %s", p, got)
		}
	}
}
