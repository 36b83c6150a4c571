package s2s

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// neighbours are two places that know each other.
func neighbours(t *testing.T, a, b setting) (*place, *place) {
	t.Helper()
	p, q := newPlace(t, "a.example", a), newPlace(t, "b.example", b)
	p.knows("b.example", q.addr())
	q.knows("a.example", p.addr())
	return p, q
}

// alone is a server of ours, which believes an authority.
func alone(t testing.TB, change ...func(*Config)) (*place, *authority) {
	t.Helper()
	ca := newAuthority(t)
	return newPlace(t, "a.example", setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca, change...)}), ca
}

// facing is a server of ours with somebody on it, and a place to which it connects when b.example is meant.
func facing(t testing.TB, change ...func(*Config)) (*place, *spot, *person) {
	t.Helper()
	a, ca := alone(t, change...)
	b := newSpot(t, ca.issue(t, []string{"b.example"}))
	a.knows("b.example", b.addr())
	return a, b, a.person("ann")
}

func of(ca *authority, change ...func(*Config)) func(*Config) {
	return func(c *Config) {
		c.Roots = ca.file
		for _, f := range change {
			f(c)
		}
	}
}

func demanding(c *Config) { c.Certificates = Valid }

// TestMessagesBetweenServers: there and back, however the two show who they are.
func TestMessagesBetweenServers(t *testing.T) {
	ca := newAuthority(t)
	good := func(t *testing.T, domain string) tls.Certificate { return ca.issue(t, []string{domain}) }
	alone := func(t *testing.T, domain string) tls.Certificate { return (*authority)(nil).issue(t, []string{domain}) }
	for name, c := range map[string]struct {
		a, b   func(*testing.T, string) tls.Certificate
		policy func(*Config)
		direct bool
	}{
		"certificates":                  {good, good, demanding, false},
		"certificates over direct TLS":  {good, good, demanding, true},
		"dialback":                      {alone, alone, func(*Config) {}, false},
		"dialback over direct TLS":      {alone, alone, func(*Config) {}, true},
		"one certificate, one dialback": {good, alone, func(*Config) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := neighbours(t, setting{cert: c.a(t, "a.example"), config: of(ca, c.policy), direct: c.direct}, setting{cert: c.b(t, "b.example"), config: of(ca, c.policy), direct: c.direct})
			ann, bob := a.person("ann"), b.person("bob")
			for i := range 20 {
				ann.says(fmt.Sprintf("<message to='bob@b.example/x' id='%d'><body xmlns='jabber:client'>&lt;hi&gt;</body></message>", i))
			}
			for i := range 20 {
				if got := bob.hears(fmt.Sprintf("id='%d'", i)); got != fmt.Sprintf("<message to='bob@b.example/x' from='ann@a.example/x' id='%d'><body>&lt;hi&gt;</body></message>", i) {
					t.Fatal(got)
				}
			}
			bob.says("<message to='ann@a.example/x' id='back'><body>ho</body></message>")
			ann.hears("from='bob@b.example/x'", "id='back'", "<body>ho</body>")
			bob.says("<iq to='a.example' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
			bob.hears("id='p'", "type='result'", "from='a.example'")
			// Dialback checks a key over a stream of its own, which may not have ended yet.
			var ours, theirs int
			for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(2 * time.Millisecond) {
				if ours, theirs = a.srv.Streams(); ours == 1 && theirs == 0 {
					return
				}
			}
			t.Fatalf("%d streams that a opened and %d that b did; want 1 and 0", ours, theirs)
		})
	}
}

// TestHS2CertificateDemanded: where valid certificates are demanded, nothing goes out and nothing comes in without.
func TestHS2CertificateDemanded(t *testing.T) {
	ca := newAuthority(t)
	for name, cert := range map[string]func() tls.Certificate{
		"expired":     func() tls.Certificate { return ca.issue(t, []string{"b.example"}, expired) },
		"wrong name":  func() tls.Certificate { return ca.issue(t, []string{"c.example"}) },
		"self-signed": func() tls.Certificate { return (*authority)(nil).issue(t, []string{"b.example"}) },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := neighbours(t, setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca, demanding)}, setting{cert: cert(), config: of(ca)})
			ann, bob := a.person("ann"), b.person("bob")
			ann.says("<message to='bob@b.example/x' id='out'/>")
			ann.hears("id='out'", "type='error'", "from='bob@b.example/x'", "<remote-server-timeout ")
			bob.says("<message to='ann@a.example/x' id='in'/>")
			bob.hears("id='in'", "type='error'", "<remote-server-")
			ann.hearsNothing()
			bob.hearsNothing()
			if a.counted("s2s.cert") < 2 {
				t.Error("not counted: ", a.counted("s2s.cert"))
			}
		})
	}
}

// TestHS2ExternalOfAnother: a certificate is good for the domain that it names, and for no other.
func TestHS2ExternalOfAnother(t *testing.T) {
	ca := newAuthority(t)
	a := newPlace(t, "a.example", setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca)})
	mallory := ca.issue(t, []string{"mallory.example"})
	auth := func(p *peer, claim string) {
		p.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>" + claim + "</auth>")
	}
	p := dialPeer(t, a)
	if f := p.secure("b.example", "a.example", mallory); strings.Contains(f, "EXTERNAL") || !strings.Contains(f, "urn:xmpp:features:dialback") {
		t.Fatal(f)
	}
	auth(p, "=")
	p.expect("<failure", "<not-authorized/>")
	p = dialPeer(t, a)
	p.secure("mallory.example", "a.example", mallory)
	auth(p, "Yi5leGFtcGxl") // b.example
	p.expect("<failure", "<invalid-authzid/>")
	auth(p, "!")
	p.expect("<failure", "<incorrect-encoding/>")
	p.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>")
	p.expect("<failure", "<invalid-mechanism/>")
	p.ends("policy-violation")
	p = dialPeer(t, a)
	p.secure("", "a.example", mallory)
	auth(p, "bWFsbG9yeS5leGFtcGxl") // itself, but the header does not say so
	p.expect("<failure", "<invalid-authzid/>")
	// After the login the header may not name another domain.
	p = dialPeer(t, a)
	p.secure("mallory.example", "a.example", mallory)
	auth(p, "=")
	p.expect("<success")
	p.say(header("b.example", "a.example", ""))
	p.expect("<stream:stream")
	p.ends("invalid-from")
}

func TestStreamsThatDoNotBegin(t *testing.T) {
	ca := newAuthority(t)
	a := newPlace(t, "a.example", setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca)})
	a.srv.SetLists(nil, []string{"blocked.example"})
	for name, c := range map[string]struct{ says, condition string }{
		"no host":         {header("b.example", "c.example", ""), "host-unknown"},
		"nobody":          {header("b.example", "", ""), "improper-addressing"},
		"an account":      {header("b.example", "ann@a.example", ""), "host-unknown"},
		"from an account": {header("bob@b.example", "a.example", ""), "invalid-from"},
		"from ourselves":  {header("a.example", "a.example", ""), "invalid-from"},
		"from our rooms":  {header("muc.a.example", "a.example", ""), "invalid-from"},
		"blocked":         {header("blocked.example", "a.example", ""), "policy-violation"},
		"below a blocked": {header("muc.blocked.example", "a.example", ""), "policy-violation"},
		"a client":        {strings.Replace(header("b.example", "a.example", ""), "jabber:server'", "jabber:client'", 1), "invalid-namespace"},
		"old":             {strings.Replace(header("b.example", "a.example", ""), "streams' version='1.0'", "streams'", 1), "unsupported-version"},
		"version 0.9":     {strings.Replace(header("b.example", "a.example", ""), "streams' version='1.0'", "streams' version='0.9'", 1), "unsupported-version"},
		"not XMPP":        {"GET / HTTP/1.1\r\n\r\n", "bad-format"},
		"a stanza first":  {header("b.example", "a.example", "") + "<message from='x@b.example' to='ann@a.example'/>", "policy-violation"},
		"dialback first":  {header("b.example", "a.example", "") + "<db:result from='b.example' to='a.example'>key</db:result>", "policy-violation"},
		"login first":     {header("b.example", "a.example", "") + "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>", "policy-violation"},
		"injection":       {header("b.example", "a.example", "") + "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><db:result/>", "policy-violation"},
		"too long":        {header("b.example", "a.example", "") + "<x a='" + strings.Repeat("a", 20_000), "policy-violation"},
		"a comment":       {header("b.example", "a.example", "") + "<!-- -->", "restricted-xml"},
	} {
		t.Run(name, func(t *testing.T) {
			p := dialPeer(t, a)
			p.say(c.says)
			p.expect("<stream:stream", "xmlns='jabber:server'")
			p.ends(c.condition)
		})
	}
}

// TestHS1Spoof: a stanza is believed from the domains that the stream was authenticated for, and taken for ours.
func TestHS1Spoof(t *testing.T) {
	ca := newAuthority(t)
	a := newPlace(t, "a.example", setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca)})
	ann := a.person("ann")
	for stanza, condition := range map[string]string{
		"<message from='x@c.example/y' to='ann@a.example/x'/>":                       "invalid-from",
		"<message from='x@sub.b.example/y' to='ann@a.example/x'/>":                   "invalid-from",
		"<message from='ann@a.example/x' to='ann@a.example/x'/>":                     "invalid-from",
		"<message from='a.example' to='ann@a.example/x'/>":                           "invalid-from",
		"<message from='b.example@c.example/b.example' to='ann@a.example/x'/>":       "invalid-from",
		"<message from='@b.example' to='ann@a.example/x'/>":                          "invalid-from",
		"<message to='ann@a.example/x'/>":                                            "improper-addressing",
		"<message from='x@b.example/y'/>":                                            "improper-addressing",
		"<message from='x@b.example/y' to='ann@c.example/x'/>":                       "host-unknown",
		"<message from='x@b.example/y' to='ann@sub.a.example/x'/>":                   "host-unknown",
		"<message xmlns='jabber:client' from='x@b.example/y' to='ann@a.example/x'/>": "invalid-namespace",
		"<stream:features/>": "unsupported-stanza-type",
	} {
		p := trusted(t, a, ca, "b.example")
		p.say(stanza)
		p.ends(condition)
		ann.hearsNothing()
	}
	if n := a.counted("s2s.spoof"); n < 10 {
		t.Errorf("counted %v times", n)
	}
	// Others go on.
	p := trusted(t, a, ca, "b.example")
	p.say("<message from='x@b.example/y' to='ann@a.example/x' xmlns='jabber:server'><body xmlns='jabber:server'>hi</body></message>")
	if got := ann.hears(); got != "<message to='ann@a.example/x' from='x@b.example/y'><body>hi</body></message>" {
		t.Error(got)
	}
	p.say("<message from='X@B.example/y' to='ANN@a.example/x' id='2'/>")
	ann.hears("from='x@b.example/y'", "id='2'")
	p.say("<message from='x@b.example/y' to='@a.example' id='3'/><iq from='x@b.example/y' to='a.example' type='get' id='4'/>")
	ann.hearsNothing()
}

// TestGuestsStayHere: who has no account reaches nobody at another server, nor is reached.
func TestGuestsStayHere(t *testing.T) {
	ca := newAuthority(t)
	a, b := neighbours(t, setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca)}, setting{cert: ca.issue(t, []string{"b.example"}), config: of(ca)})
	guest, bob := a.person("guest"), b.person("bob")
	guest.guest = true
	guest.says("<message to='bob@b.example/x' id='1'/>")
	guest.hears("type='error'", "<forbidden ")
	bob.says("<message to='guest@a.example/x' id='2'/>")
	bob.hears("id='2'", "type='error'", "<service-unavailable ")
	guest.hearsNothing()
}

// TestNobodyThere: what cannot be delivered comes back, and the next ones at once.
func TestNobodyThere(t *testing.T) {
	ca := newAuthority(t)
	a := newPlace(t, "a.example", setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca)})
	a.knows("b.example", "127.0.0.1:1")
	ann := a.person("ann")
	for _, c := range []struct{ stanza, want string }{
		{"<message to='bob@b.example' id='1'><body>hi</body></message>", "<remote-server-timeout "},
		{"<iq to='b.example' type='get' id='2'><ping xmlns='urn:xmpp:ping'/></iq>", "<remote-server-timeout "},
		{"<presence to='r@muc.b.example/ann' id='3'/>", "<remote-server-timeout "},
		{"<message to='bob@c.example' id='4'/>", "<remote-server-not-found "},
	} {
		ann.says(c.stanza)
		ann.hears(c.want, "id='"+string(c.stanza[strings.Index(c.stanza, "id='")+4])+"'", "type='error'")
	}
	for _, stanza := range []string{
		"<iq to='b.example' type='result' id='5'/>", "<message to='bob@b.example' type='error' id='6'/>", "<presence to='bob@b.example' type='unavailable' id='7'/>",
	} {
		ann.says(stanza)
	}
	ann.hearsNothing()
	if a.counted("s2s.undelivered") != 3 {
		t.Error(a.counted("s2s.undelivered"))
	}
}

// TestStampsAreOurs: what a service says in a name that is not ours goes nowhere.
func TestStampsAreOurs(t *testing.T) {
	ca := newAuthority(t)
	a, b := neighbours(t, setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca)}, setting{cert: ca.issue(t, []string{"b.example"}), config: of(ca)})
	bob := b.person("bob")
	for _, tail := range []string{" from='x@c.example'/>", " id='1'/>", " from='x@focus.a.example'/>"} {
		a.router.Deliver(nil, bob.addr, wire.Stanza{Kind: wire.Message, Tail: []byte(tail)})
	}
	bob.hearsNothing()
	if a.counted("s2s.unaddressed") != 3 {
		t.Error(a.counted("s2s.unaddressed"))
	}
}

// TestIdleStreamsEnd: and come back when there is something to say.
func TestIdleStreamsEnd(t *testing.T) {
	ca := newAuthority(t)
	idle := func(c *Config) { c.IdleTimeout = 200 * time.Millisecond }
	a, b := neighbours(t, setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca, idle)}, setting{cert: ca.issue(t, []string{"b.example"}), config: of(ca)})
	ann, bob := a.person("ann"), b.person("bob")
	ann.says("<message to='bob@b.example/x' id='1'/>")
	bob.hears("id='1'")
	eventually(t, "the stream stays", func() bool { ours, _ := a.srv.Streams(); _, theirs := b.srv.Streams(); return ours == 0 && theirs == 0 })
	ann.says("<message to='bob@b.example/x' id='2'/>")
	bob.hears("id='2'")
	ann.hearsNothing()
}

// trap is a service that panics.
type trap struct{ route.Service }

// TestHF13PanicEndsOneStream: others stay.
func TestHF13PanicEndsOneStream(t *testing.T) {
	ca := newAuthority(t)
	a := newPlace(t, "a.example", setting{cert: ca.issue(t, []string{"a.example"}), config: of(ca)})
	ann := a.person("ann")
	bad, good := trusted(t, a, ca, "b.example"), trusted(t, a, ca, "c.example")
	a.router.Serve("muc.a.example", trap{})
	bad.say("<message from='x@b.example/y' to='r@muc.a.example'/>")
	bad.ends("internal-server-error")
	good.say("<message from='x@c.example/y' to='ann@a.example/x' id='1'/>")
	ann.hears("id='1'")
}
