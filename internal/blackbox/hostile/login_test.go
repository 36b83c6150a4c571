package hostile

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"parley/internal/peertest"
)

// TestSCRAMPlus is channel binding by a Go client: the exporter on TLS 1.3, the end point's certificate on TLS 1.2.
func TestSCRAMPlus(t *testing.T) {
	for _, hash := range []string{"1", "256", "512"} {
		for _, c := range []struct {
			name    string
			version uint16
			binding func(p *peertest.Client) []byte
		}{
			{"tls-exporter", tls.VersionTLS13, (*peertest.Client).Exporter},
			{"tls-server-end-point", tls.VersionTLS12, (*peertest.Client).EndPoint},
			{"tls-server-end-point", tls.VersionTLS13, (*peertest.Client).EndPoint},
		} {
			t.Run(fmt.Sprintf("SHA-%s %s %x", hash, c.name, c.version), func(t *testing.T) {
				mechanism := "SCRAM-SHA-" + hash + "-PLUS"
				open := func() *peertest.Client {
					p := peertest.DialFrom(t, source(), server.XMPPS, "localhost")
					p.Secure(c.version)
					f := p.Open()
					if !strings.Contains(f, "<mechanism>"+mechanism+"</mechanism>") || !strings.Contains(f, "<channel-binding type='"+c.name+"'/>") {
						t.Fatalf("not offered: %s", f)
					}
					return p
				}
				p := open()
				s := peertest.SCRAM{Mechanism: mechanism, User: "ann", Password: "ann-password", GS2: "p=" + c.name + ",,", Binding: c.binding(p)}
				if got := s.Run(p); !strings.HasPrefix(got, "<success") {
					t.Fatalf("refused: %s", got)
				}
				p.Open()
				p.Bind("")
				p.Ping()

				before := counted(t, "auth.downgrade")
				p = open() // the binding of another connection: somebody is in the middle
				s = peertest.SCRAM{Mechanism: mechanism, User: "ann", Password: "ann-password", GS2: "p=" + c.name + ",,", Binding: flipped(c.binding(p))}
				if got := s.Run(p); !strings.Contains(got, "<not-authorized/>") {
					t.Errorf("a wrong binding is answered %s", got)
				}
				if counted(t, "auth.downgrade") != before+1 {
					t.Error("not counted")
				}
			})
		}
	}
}

func flipped(b []byte) []byte {
	b[len(b)-1] ^= 1
	return b
}

func TestHA1UnknownUserLooksLikeWrongPassword(t *testing.T) {
	answer := func(user string) (challenge, refusal string) {
		p := dialTLS(t)
		p.Open()
		s := peertest.SCRAM{Mechanism: "SCRAM-SHA-256", User: user, Password: "wrong"}
		p.Auth(s.Mechanism, s.First())
		challenge = p.Content(p.Expect("<challenge"))
		nonce, salt, iterations, err := s.Challenge(challenge)
		if err != nil {
			t.Fatal(err)
		}
		p.Respond(s.Final(nonce, salt, iterations))
		return fmt.Sprintf("%x %d", salt, iterations), p.Read()
	}
	salt1, r1 := answer("nobody-ha1")
	salt2, r2 := answer("nobody-ha1")
	salt3, r3 := answer("ann")
	if salt1 != salt2 {
		t.Errorf("the salt of an unknown user changes: %s, %s", salt1, salt2)
	}
	if len(salt1) != len(salt3) || salt1[strings.Index(salt1, " "):] != salt3[strings.Index(salt3, " "):] {
		t.Errorf("unknown %s, known %s", salt1, salt3)
	}
	if r1 != r3 || r1 != r2 || !strings.Contains(r1, "<not-authorized/>") {
		t.Errorf("unknown %s, known %s", r1, r3)
	}
	for _, user := range []string{"ann", "nobody-ha1"} {
		p := dialTLS(t)
		p.Open()
		p.Auth("PLAIN", "\x00"+user+"\x00wrong")
		if got := p.Read(); got != r1 {
			t.Errorf("PLAIN of %s: %s", user, got)
		}
	}
}

// TestHA2BruteForce: one source that guesses is slowed down and refused; the user still gets in from where it was before.
func TestHA2BruteForce(t *testing.T) {
	home, thief := source(), source()
	at := func(source, password string) string {
		p := peertest.DialFrom(t, source, server.XMPPS, "localhost")
		p.Secure(tls.VersionTLS13)
		p.Open()
		p.Auth("PLAIN", "\x00carl\x00"+password)
		return p.Read()
	}
	if got := at(home, "carl-password"); !strings.HasPrefix(got, "<success") {
		t.Fatalf("the right password is answered %s", got)
	}
	before := counted(t, "auth.brute")
	refused := false
	for i := 0; i < 25 && !refused; i++ {
		refused = strings.Contains(at(thief, fmt.Sprint("guess", i)), "<temporary-auth-failure/>")
	}
	if !refused {
		t.Error("25 guesses are answered")
	}
	if got := at(thief, "carl-password"); strings.HasPrefix(got, "<success") {
		t.Error("the thief may go on guessing")
	}
	if counted(t, "auth.brute") <= before {
		t.Error("not counted")
	}
	if got := at(home, "carl-password"); !strings.HasPrefix(got, "<success") {
		t.Errorf("the user is locked out: %s", got)
	}
}

func TestHA3OtherIdentity(t *testing.T) {
	p := dialTLS(t)
	p.Open()
	p.Auth("PLAIN", "bob\x00ann\x00ann-password")
	p.Expect("<failure", "<invalid-authzid/>")
	p.Auth("PLAIN", "bob@localhost\x00ann\x00ann-password")
	p.Expect("<failure", "<invalid-authzid/>")
	p = dialTLS(t)
	p.Open()
	p.Auth("PLAIN", "ann@localhost\x00ann\x00ann-password")
	p.Expect("<success")
	p.Open()
	if p.Bind("x"); !strings.HasPrefix(p.JID, "ann@localhost/") {
		t.Errorf("bound as %s", p.JID)
	}
	before := counted(t, "auth.authzid")
	p = dialTLS(t)
	p.Open()
	s := peertest.SCRAM{Mechanism: "SCRAM-SHA-256", User: "ann", Password: "ann-password", GS2: "n,a=bob,"}
	if got := s.Run(p); !strings.Contains(got, "<invalid-authzid/>") {
		t.Errorf("got %s", got)
	}
	if counted(t, "auth.authzid") != before+1 {
		t.Error("not counted")
	}
}

func TestHA4BrokenSCRAM(t *testing.T) {
	open := func() *peertest.Client {
		p := dialTLS(t)
		p.Open()
		return p
	}
	final := func(change func(s *peertest.SCRAM, nonce string, salt []byte, iterations int) string) string {
		p := open()
		s := &peertest.SCRAM{Mechanism: "SCRAM-SHA-256", User: "ann", Password: "ann-password"}
		p.Auth(s.Mechanism, s.First())
		nonce, salt, iterations, err := s.Challenge(p.Content(p.Expect("<challenge")))
		if err != nil {
			t.Fatal(err)
		}
		p.Respond(change(s, nonce, salt, iterations))
		return p.Read()
	}
	for name, change := range map[string]func(s *peertest.SCRAM, nonce string, salt []byte, iterations int) string{
		"nonce not extended": func(s *peertest.SCRAM, _ string, salt []byte, i int) string { return s.Final(s.Nonce, salt, i) },
		"other nonce":        func(s *peertest.SCRAM, n string, salt []byte, i int) string { return s.Final(n+"x", salt, i) },
		"fewer iterations":   func(s *peertest.SCRAM, n string, salt []byte, _ int) string { return s.Final(n, salt, 1) },
		"other flag": func(s *peertest.SCRAM, n string, salt []byte, i int) string {
			s.GS2 = "y,,"
			return s.Final(n, salt, i)
		},
	} {
		if got := final(change); !strings.Contains(got, "<not-authorized/>") {
			t.Errorf("%s: %s", name, got)
		}
	}
	var replay string
	final(func(s *peertest.SCRAM, n string, salt []byte, i int) string {
		replay = s.Final(n, salt, i)
		return replay
	})
	if got := final(func(*peertest.SCRAM, string, []byte, int) string { return replay }); !strings.Contains(got, "<not-authorized/>") {
		t.Errorf("replay: %s", got)
	}
	for name, text := range map[string]string{"no proof": "c=biws,r=x", "nothing": "", "bad base64 inside": "c=biws,r=x,p=%%%"} {
		got := final(func(*peertest.SCRAM, string, []byte, int) string { return text })
		if !strings.Contains(got, "<malformed-request/>") && !strings.Contains(got, "<not-authorized/>") {
			t.Errorf("%s: %s", name, got)
		}
	}
	before := counted(t, "auth.downgrade")
	p := open()
	s := peertest.SCRAM{Mechanism: "SCRAM-SHA-256", User: "ann", Password: "ann-password", GS2: "y,,"}
	if got := s.Run(p); !strings.Contains(got, "<not-authorized/>") { // -PLUS was offered and taken away on the way
		t.Errorf("the flag y: %s", got)
	}
	if counted(t, "auth.downgrade") != before+1 {
		t.Error("not counted")
	}
	for name, first := range map[string]string{"reserved m": "n,,m=x,n=ann,r=abc", "no nonce": "n,,n=ann", "no user": "n,,r=abc", "bad flag": "z,,n=ann,r=abc", "bad escape": "n,,n=a=1,r=abc"} {
		p := open()
		p.Auth("SCRAM-SHA-256", first)
		if got := p.Read(); !strings.Contains(got, "<malformed-request/>") {
			t.Errorf("%s: %s", name, got)
		}
	}
	for _, text := range []string{"%%%", "biwsbj1hbm4scj1hYmM=!", "=", "bi"} {
		p := open()
		p.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>" + text + "</auth>")
		if got := p.Read(); !strings.Contains(got, "<incorrect-encoding/>") && !strings.Contains(got, "<malformed-request/>") {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func TestHA6Sequence(t *testing.T) {
	p := dialTLS(t)
	p.Open()
	p.Auth("CRAM-MD5", "x")
	p.Expect("<failure", "<invalid-mechanism/>")
	p.Auth("ANONYMOUS", "")
	p.Expect("<success")
	p.Open()
	p.Auth("ANONYMOUS", "")
	p.ExpectEnd("policy-violation")

	p = user(t, dialTLS(t), "ann")
	p.Auth("PLAIN", "\x00bob\x00bob-password")
	p.ExpectEnd("policy-violation")

	p = dialTLS(t) // three tries in a stream
	p.Open()
	for range 2 {
		p.Auth("PLAIN", "\x00nobody-ha6\x00x")
		p.Expect("<failure", "<not-authorized/>")
	}
	p.Auth("PLAIN", "\x00nobody-ha6\x00x")
	p.Expect("<failure")
	p.ExpectEnd("policy-violation")
}

func TestHA7Conflict(t *testing.T) {
	a := dialTLS(t)
	login(t, a, "ann")
	a.Bind("same")
	b := dialTLS(t)
	login(t, b, "bob")
	b.Bind("same") // another user's resource of the same name is not the same address
	a.Ping()
	c := dialTLS(t)
	login(t, c, "ann")
	c.Bind("same")
	a.ExpectEnd("conflict")
	b.Ping()
	c.Ping()
}

// TestHA5PlainWithoutTLS: neither offered nor taken, and counted.
func TestHA5PlainWithoutTLS(t *testing.T) {
	before := counted(t, "auth.plain")
	p := dial(t)
	if f := p.Open(); strings.Contains(f, "<mechanism>PLAIN</mechanism>") || strings.Contains(f, "OAUTHBEARER") {
		t.Errorf("offered without TLS: %s", f)
	}
	p.Auth("PLAIN", "\x00ann\x00ann-password")
	p.Expect("<failure", "<encryption-required/>")
	if counted(t, "auth.plain") != before+1 {
		t.Error("not counted")
	}
}
