package c2s

import (
	"encoding/base64"
	"strings"
	"testing"

	"crypto/tls"

	"mellium.im/sasl"
)

// scramLogin logs in by SCRAM-SHA-256 with another project's client.
func scramLogin(p *peer, user string) {
	p.t.Helper()
	n := sasl.NewClient(sasl.ScramSha256, sasl.Credentials(func() ([]byte, []byte, []byte) { return []byte(user), []byte(user), nil }))
	_, first, err := n.Step(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	p.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>" + base64.StdEncoding.EncodeToString(first) + "</auth>")
	challenge := p.expect("<challenge")
	_, proof, err := n.Step(content(p.t, challenge))
	if err != nil {
		p.t.Fatal(err)
	}
	p.send("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" + base64.StdEncoding.EncodeToString(proof) + "</response>")
	if more, _, err := n.Step(content(p.t, p.expect("<success"))); err != nil || more {
		p.t.Fatal("the server's signature is wrong: ", err)
	}
}

func content(t *testing.T, element string) []byte {
	t.Helper()
	_, s, _ := strings.Cut(element, ">")
	s, _, _ = strings.Cut(s, "<")
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatalf("%s: %v", element, err)
	}
	return b
}

func TestLoginOverEveryDoor(t *testing.T) {
	w := newWorld(t, nil)
	doors := map[string]func() *peer{
		"plain":      func() *peer { return w.dial(w.plain) },
		"direct TLS": func() *peer { return w.dialTLS(tls.VersionTLS13) },
		"STARTTLS": func() *peer {
			p := w.dial(w.plain)
			if f := p.open(); !strings.Contains(f, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>") {
				t.Errorf("no STARTTLS in %s", f)
			}
			p.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
			p.expect("<proceed")
			p.secure(tls.VersionTLS12)
			return p
		},
		"WebSocket": func() *peer { return w.dialWS("?room=r1") },
	}
	for name, dial := range doors {
		for _, user := range []string{"ann", ""} {
			t.Run(name+" "+user, func(t *testing.T) {
				p := dial()
				p.t = t
				p.login(user)
				p.bind("")
				if user != "" && !strings.HasPrefix(p.jid, "ann@x.net/") {
					t.Errorf("bound as %s", p.jid)
				}
				p.send("<iq xmlns='jabber:client' to='x.net' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")
				p.expect("<iq ", "to='"+p.jid+"'", "from='x.net'", "id='1'", "type='result'")
				if p.ws {
					p.send("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>")
				} else {
					p.send("</stream:stream>")
				}
				p.expectEnd("")
			})
		}
	}
}

func TestFeatures(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Caps = "<c xmlns='caps'/>" })
	p := w.dial(w.plain)
	f := p.open()
	for _, want := range []string{"<mechanism>SCRAM-SHA-256</mechanism>", "<mechanism>ANONYMOUS</mechanism>", "<max-bytes>10000</max-bytes>", "urn:xmpp:stream-limits:0"} {
		if !strings.Contains(f, want) {
			t.Errorf("%s is missing in %s", want, f)
		}
	}
	if strings.Contains(f, "PLAIN<") || strings.Contains(f, "-PLUS") {
		t.Errorf("HA5 PLAIN or -PLUS without TLS: %s", f)
	}
	p = w.dialTLS(tls.VersionTLS13)
	f = p.open()
	for _, want := range []string{"<mechanism>SCRAM-SHA-256-PLUS</mechanism>", "<mechanism>PLAIN</mechanism>", "<channel-binding type='tls-exporter'/>", "<channel-binding type='tls-server-end-point'/>"} {
		if !strings.Contains(f, want) {
			t.Errorf("%s is missing in %s", want, f)
		}
	}
	p.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + b64("\x00ann\x00ann") + "</auth>")
	p.expect("<success")
	f = p.open()
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
	bob.login("bob")
	bob.bind("b")
	ann.send("<message to='bob@x.net/b' id='1'><body>over TCP</body></message>")
	bob.expect("<message xmlns='jabber:client' to='bob@x.net/b' from='ann@x.net/a' id='1'><body>over TCP</body></message>")
	bob.send("<message xmlns='jabber:client' to='ann@x.net/a' id='2'><body>over WebSocket</body></message>")
	ann.expect("<message to='ann@x.net/a' from='bob@x.net/b' id='2'><body>over WebSocket</body></message>")
	long := strings.Repeat("x", 100_000)
	ann.send("<message to='bob@x.net/b'><body>" + long + "</body></message>")
	bob.expect(long)
	bob.send("<message xmlns='jabber:client' to='ann@x.net/a'><body>" + long + "</body></message>")
	ann.expect(long)
}

func TestHA7ResourceConflict(t *testing.T) {
	w := newWorld(t, nil)
	first := w.client("ann", "a")
	second := w.client("ann", "a")
	first.expectEnd("conflict")
	second.send("<iq to='x.net' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")
	second.expect("type='result'")
	bob := w.client("bob", "a")
	bob.send("<message to='ann@x.net/a'/>")
	second.expect("from='bob@x.net/a'")
}
