// Package im has accounts of the binary make friends, talk and go away, on both stores, with servers that are killed in
// between (RFC 6121, XEP-0160, XEP-0191, XEP-0280).
package im

import (
	"crypto/tls"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"parley/internal/peertest"
)

// stores gives an empty store of each kind as flags of the binary.
var stores = map[string]func(testing.TB) string{
	"sqlite":   func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "im.db") },
	"postgres": func(t testing.TB) string { return peertest.Postgres(t).Database(t) },
}

// each runs a test on a server with each kind of store; ann, bob and eve have accounts.
func each(t *testing.T, test func(t *testing.T, server *peertest.Parley)) {
	for name, fresh := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := peertest.StartParley(t, peertest.ParleyOptions{Args: []string{"--limits=off", "--store=" + fresh(t)}})
			for _, user := range []string{"ann", "bob", "eve"} {
				server.AddUser(user, user)
			}
			test(t, server)
		})
	}
}

// enter logs in, by TLS, and binds.
func enter(t testing.TB, server *peertest.Parley, user, resource string) *peertest.Client {
	t.Helper()
	p := peertest.Dial(t, server.XMPP, "localhost")
	p.StartTLS(tls.VersionTLS13)
	p.Login(user, user)
	return p.Bind(resource)
}

// roster asks for the roster and returns it.
func roster(p *peertest.Client) string {
	p.T.Helper()
	p.Send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>")
	return p.Await("id='roster'", "type='result'")
}

func befriend(ann, bob *peertest.Client) {
	ann.T.Helper()
	ann.Send("<presence to='bob@localhost' type='subscribe'/>")
	bob.Await("type='subscribe'", "from='ann@localhost'")
	bob.Send("<presence to='ann@localhost' type='subscribed'/>", "<presence to='ann@localhost' type='subscribe'/>")
	ann.Await("type='subscribe'", "from='bob@localhost'")
	ann.Send("<presence to='bob@localhost' type='subscribed'/>")
	bob.Await("type='set'", "jid='ann@localhost'", "subscription='both'")
	bob.Await("<presence", "from='ann@localhost/a'")
}

func TestFriendsStayFriends(t *testing.T) {
	each(t, func(t *testing.T, server *peertest.Parley) {
		ann, bob := enter(t, server, "ann", "a"), enter(t, server, "bob", "b")
		for _, p := range []*peertest.Client{ann, bob} {
			roster(p)
			p.Send("<presence/>")
			p.Await("<presence", "from='"+p.JID+"'")
		}
		befriend(ann, bob)
		ann.Send("<iq type='set' id='name'><query xmlns='jabber:iq:roster'><item jid='bob@localhost' name='Bob'><group>Friends</group></item></query></iq>")
		ann.Await("id='name'", "type='result'")
		bob.Conn.Close()
		ann.Await("<presence", "from='bob@localhost/b'", "type='unavailable'")
		ann.Send("<enable xmlns='urn:xmpp:sm:3'/>")
		ann.Await("<enabled")
		for i := range 3 {
			ann.Send(fmt.Sprintf("<message to='bob@localhost' type='chat' id='m%d'><body>%d</body></message>", i, i))
		}
		ann.Send("<r xmlns='urn:xmpp:sm:3'/>")
		ann.Await("<a ", "h='3'") // what is acknowledged is stored
		server.Kill()
		server.Start()

		bob = enter(t, server, "bob", "b")
		if got := roster(bob); !strings.Contains(got, "<item jid='ann@localhost' subscription='both'/>") {
			t.Errorf("bob's roster is %s", got)
		}
		bob.Send("<presence/>")
		for i := range 3 {
			bob.Await("<message", fmt.Sprintf("id='m%d'", i), "<delay xmlns='urn:xmpp:delay'")
		}
		ann = enter(t, server, "ann", "a")
		if got := roster(ann); !strings.Contains(got, "<item jid='bob@localhost' name='Bob' subscription='both'><group>Friends</group></item>") {
			t.Errorf("ann's roster is %s", got)
		}
		ann.Send("<presence><show>chat</show></presence>")
		ann.Await("<presence", "from='bob@localhost/b'")
		bob.Await("<presence", "from='ann@localhost/a'", "<show>chat")
	})
}

func TestBlockedAndCopied(t *testing.T) {
	each(t, func(t *testing.T, server *peertest.Parley) {
		ann, phone, eve := enter(t, server, "ann", "a"), enter(t, server, "ann", "phone"), enter(t, server, "eve", "e")
		for _, p := range []*peertest.Client{ann, phone, eve} {
			p.Send("<presence/>", "<iq type='set' id='carbons'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
			p.Await("id='carbons'", "type='result'")
		}
		eve.Send("<message to='ann@localhost/a' type='chat' id='1'><body>hi</body></message>")
		ann.Await("id='1'", "<stanza-id xmlns='urn:xmpp:sid:0' by='ann@localhost'")
		phone.Await("<received xmlns='urn:xmpp:carbons:2'>", "id='1'")
		ann.Send("<message to='eve@localhost/e' type='chat' id='2'><body>ho</body></message>")
		eve.Await("id='2'")
		phone.Await("<sent xmlns='urn:xmpp:carbons:2'>", "id='2'")
		phone.Send("<iq type='set' id='block'><block xmlns='urn:xmpp:blocking'><item jid='eve@localhost'/></block></iq>")
		phone.Await("id='block'", "type='result'")
		server.Kill()
		server.Start()
		ann, eve = enter(t, server, "ann", "a"), enter(t, server, "eve", "e")
		ann.Send("<presence/>")
		eve.Send("<message to='ann@localhost/a' type='chat' id='3'><body>hi</body></message>")
		eve.Await("id='3'", "type='error'", "service-unavailable")
		ann.Send("<message to='eve@localhost/e' type='chat' id='4'><body>ho</body></message>")
		ann.Await("id='4'", "not-acceptable", "urn:xmpp:blocking:errors")
	})
}
