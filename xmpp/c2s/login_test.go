package c2s

import (
	"crypto/tls"
	"strings"
	"testing"

	"parley/internal/peertest"
)

func TestLoginOverEveryDoor(t *testing.T) {
	w := newWorld(t, nil)
	doors := map[string]func() *peertest.Client{
		"plain":      func() *peertest.Client { return w.dial(w.plain) },
		"direct TLS": func() *peertest.Client { return w.dialTLS(tls.VersionTLS13) },
		"STARTTLS": func() *peertest.Client {
			p := w.dial(w.plain)
			if f := p.Open(); !strings.Contains(f, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>") {
				t.Errorf("no STARTTLS in %s", f)
			}
			p.Send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
			p.Expect("<proceed")
			p.Secure(tls.VersionTLS12)
			return p
		},
		"WebSocket": func() *peertest.Client { return w.dialWS("?room=r1") },
	}
	for name, dial := range doors {
		for _, user := range []string{"ann", ""} {
			t.Run(name+" "+user, func(t *testing.T) {
				p := dial()
				p.T = t
				p.Login(user, user)
				p.Bind("")
				if user != "" && !strings.HasPrefix(p.JID, "ann@x.net/") {
					t.Errorf("bound as %s", p.JID)
				}
				p.Send("<iq xmlns='jabber:client' to='x.net' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")
				p.Expect("<iq ", "to='"+p.JID+"'", "from='x.net'", "id='1'", "type='result'")
				if p.WS {
					p.Send("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>")
				} else {
					p.Send("</stream:stream>")
				}
				p.ExpectEnd("")
			})
		}
	}
}

func TestFeatures(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Caps = "<c xmlns='caps'/>" })
	p := w.dial(w.plain)
	f := p.Open()
	for _, want := range []string{"<mechanism>SCRAM-SHA-256</mechanism>", "<mechanism>ANONYMOUS</mechanism>", "<max-bytes>10000</max-bytes>", "urn:xmpp:stream-limits:0"} {
		if !strings.Contains(f, want) {
			t.Errorf("%s is missing in %s", want, f)
		}
	}
	if strings.Contains(f, "PLAIN<") || strings.Contains(f, "-PLUS") {
		t.Errorf("HA5 PLAIN or -PLUS without TLS: %s", f)
	}
	p = w.dialTLS(tls.VersionTLS13)
	f = p.Open()
	for _, want := range []string{"<mechanism>SCRAM-SHA-256-PLUS</mechanism>", "<mechanism>PLAIN</mechanism>", "<channel-binding type='tls-exporter'/>", "<channel-binding type='tls-server-end-point'/>"} {
		if !strings.Contains(f, want) {
			t.Errorf("%s is missing in %s", want, f)
		}
	}
	p.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + b64("\x00ann\x00ann") + "</auth>")
	p.Expect("<success")
	f = p.Open()
	for _, want := range []string{"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'", "<sm xmlns='urn:xmpp:sm:3'/>", "<csi xmlns='urn:xmpp:csi:0'/>", "<c xmlns='caps'/>", "<max-bytes>262144</max-bytes>"} {
		if !strings.Contains(f, want) {
			t.Errorf("%s is missing in %s", want, f)
		}
	}
}

func TestMessageBetweenDoors(t *testing.T) {
	w := newWorld(t, nil)
	ann := w.client("ann", "a")
	bob := w.dialWS("")
	bob.Login("bob", "bob")
	bob.Bind("b")
	ann.Send("<message to='bob@x.net/b' id='1'><body>over TCP</body></message>")
	bob.Expect("<message xmlns='jabber:client' to='bob@x.net/b' from='ann@x.net/a' id='1'><body>over TCP</body></message>")
	bob.Send("<message xmlns='jabber:client' to='ann@x.net/a' id='2'><body>over WebSocket</body></message>")
	ann.Expect("<message to='ann@x.net/a' from='bob@x.net/b' id='2'><body>over WebSocket</body></message>")
	long := strings.Repeat("x", 100_000)
	ann.Send("<message to='bob@x.net/b'><body>" + long + "</body></message>")
	bob.Expect(long)
	bob.Send("<message xmlns='jabber:client' to='ann@x.net/a'><body>" + long + "</body></message>")
	ann.Expect(long)
}

func TestHA7ResourceConflict(t *testing.T) {
	w := newWorld(t, nil)
	first := w.client("ann", "a")
	second := w.client("ann", "a")
	first.ExpectEnd("conflict")
	second.Send("<iq to='x.net' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")
	second.Expect("type='result'")
	bob := w.client("bob", "a")
	bob.Send("<message to='ann@x.net/a'/>")
	second.Expect("from='bob@x.net/a'")
}
