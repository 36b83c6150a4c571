package auth

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"hash"
	"strings"
	"testing"

	"mellium.im/sasl"

	"parley/internal/store"
)

func TestVectors(t *testing.T) {
	for _, v := range []struct {
		name, mechanism, salt                              string
		hash                                               func() hash.Hash
		serverNonce                                        string
		clientFirst, serverFirst, clientFinal, serverFinal string
	}{
		{"RFC 5802 §5", "SCRAM-SHA-1", "QSXCR+Q6sek8bf92", sha1.New, "3rfcNHYJY1ZVvWVs7j",
			"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
			"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
			"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
			"v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
		{"RFC 7677 §3", "SCRAM-SHA-256", "W22ZaJ0SNY7soEsUEjb6gQ==", sha256.New, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
			"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
			"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
			"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
			"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
	} {
		t.Run(v.name, func(t *testing.T) {
			salt, _ := base64.StdEncoding.DecodeString(v.salt)
			h := scramHash{v.mechanism, v.hash, v.hash().Size()}
			c, err := newCredential(&h, "pencil", salt, 4096)
			if err != nil {
				t.Fatal(err)
			}
			p := &people{all: map[string]store.Account{"user@" + domain: {Credentials: []store.Credential{c}}}}
			cfg := DefaultConfig()
			cfg.MechanismHash = false
			s := server(t, cfg, p, nil, nil)
			s.nonce = func() string { return v.serverNonce }
			x, err := s.Stream(tlsChannel).Begin(v.mechanism)
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := x.Step(context.Background(), []byte(v.clientFirst))
			if err != nil || string(got) != v.serverFirst {
				t.Fatalf("server-first %q, %v", got, err)
			}
			got, done, err := x.Step(context.Background(), []byte(v.clientFinal))
			if err != nil || !done || string(got) != v.serverFinal {
				t.Fatalf("server-final %q, %v", got, err)
			}
			if id := x.Identity(); id.Addr != "user@"+domain || id.Anonymous || id.Bound || id.Mechanism != v.mechanism {
				t.Errorf("identity %+v", id)
			}
		})
	}
}

// The example of XEP-0474 §5.3.
func TestMechanismHashVector(t *testing.T) {
	st := &Stream{server: alices(t), mechanisms: []string{"SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"}, channel: Channel{Bindings: []Binding{
		{Type: "tls-server-end-point"}, {Type: "tls-exporter"},
	}}}
	h := hashes[2]
	if got := base64.StdEncoding.EncodeToString(h.sum([]byte(st.offer()))); got != "G6k/rBLDqgOhRRaCuuatSDFkJ08=" {
		t.Errorf("h=%s of %q", got, st.offer())
	}
	st.channel.Bindings = nil
	if got := st.offer(); got != "SCRAM-SHA-1\x1eSCRAM-SHA-1-PLUS" {
		t.Errorf("without channel binding: %q", got)
	}
}

// An independent client: mellium.im/sasl.
func TestMelliumClient(t *testing.T) {
	s := alices(t)
	login := func(t *testing.T, m sasl.Mechanism, ch Channel, want bool, options ...sasl.Option) Identity {
		t.Helper()
		st := s.Stream(ch)
		options = append(options, sasl.Credentials(func() ([]byte, []byte, []byte) { return []byte("alice"), []byte("pencil"), nil }),
			sasl.RemoteMechanisms(st.Mechanisms()...))
		c := sasl.NewClient(m, options...)
		x, err := st.Begin(m.Name)
		if err != nil {
			t.Fatal(err)
		}
		_, response, err := c.Step(nil)
		for err == nil {
			challenge, done, serr := x.Step(context.Background(), response)
			if (serr == nil) != want && (serr != nil || done) {
				t.Fatalf("server: done %v, %v", done, serr)
			}
			if serr != nil {
				return Identity{}
			}
			if done && challenge == nil {
				break // PLAIN has no last word
			}
			if _, response, err = c.Step(challenge); done {
				break
			}
		}
		if err != nil {
			t.Fatalf("client: %v", err)
		}
		return x.Identity()
	}
	for name, m := range map[string]sasl.Mechanism{"SCRAM-SHA-1": sasl.ScramSha1, "SCRAM-SHA-256": sasl.ScramSha256, "PLAIN": sasl.Plain} {
		t.Run(name, func(t *testing.T) {
			if id := login(t, m, tlsChannel, true); id.Addr != "alice@"+domain || id.Bound {
				t.Errorf("identity %+v", id)
			}
		})
	}
	for name, m := range map[string]sasl.Mechanism{"SCRAM-SHA-1-PLUS": sasl.ScramSha1Plus, "SCRAM-SHA-256-PLUS": sasl.ScramSha256Plus} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(name+" on "+tls.VersionName(version), func(t *testing.T) {
				near, far, leaf := connection(t, version)
				ch := Channel{Source: alice, Secure: true, Bindings: Bindings(&far, leaf)}
				if id := login(t, m, ch, true, sasl.TLSState(near)); id.Addr != "alice@"+domain || !id.Bound {
					t.Errorf("identity %+v", id)
				}
				// Somebody in the middle: the client's connection is another one than ours.
				other, _, _ := connection(t, version)
				login(t, m, ch, false, sasl.TLSState(other))
			})
		}
	}
}

// bindingData is what a client finds on its own end of the connection.
func bindingData(t *testing.T, name string, cs tls.ConnectionState) string {
	t.Helper()
	switch name {
	case "tls-exporter":
		data, err := cs.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	case "tls-unique":
		return string(cs.TLSUnique)
	}
	sum := sha256.Sum256(cs.PeerCertificates[0].Raw) // ecdsa-with-SHA256
	return string(sum[:])
}

func TestHA4ChannelBindingOverTLS(t *testing.T) {
	s := alices(t)
	for _, test := range []struct {
		version uint16
		offered []string
	}{
		{tls.VersionTLS13, []string{"tls-exporter", "tls-server-end-point"}},
		{tls.VersionTLS12, []string{"tls-unique", "tls-server-end-point"}},
	} {
		near, far, leaf := connection(t, test.version)
		other, _, _ := connection(t, test.version)
		ch := Channel{Source: alice, Secure: true, Bindings: Bindings(&far, leaf)}
		if got := s.Stream(ch).ChannelBindings(); strings.Join(got, " ") != strings.Join(test.offered, " ") {
			t.Errorf("%s offers %v", tls.VersionName(test.version), got)
		}
		for _, h := range hashes {
			mechanism := h.name + "-PLUS"
			for _, binding := range test.offered {
				t.Run(tls.VersionName(test.version)+" "+mechanism+" "+binding, func(t *testing.T) {
					c := newClient(mechanism, "alice", "pencil")
					c.gs2, c.binding = "p="+binding+",,", bindingData(t, binding, near)
					x, f := c.run(t, s.Stream(ch), mechanism)
					if f != nil || !x.Identity().Bound || x.Identity().Addr != "alice@"+domain {
						t.Fatalf("%+v, %v", x.Identity(), f)
					}
					c.binding = bindingData(t, binding, other)
					_, f = c.run(t, s.Stream(ch), mechanism)
					wantFailure(t, f, "not-authorized", "auth.downgrade")
					c.binding = ""
					_, f = c.run(t, s.Stream(ch), mechanism)
					wantFailure(t, f, "not-authorized", "auth.downgrade")
				})
			}
		}
		t.Run(tls.VersionName(test.version)+" types that are not offered", func(t *testing.T) {
			for _, binding := range []string{"tls-unique", "tls-exporter", "tls-server-end-point", "x"} {
				if strings.Contains(strings.Join(test.offered, " "), binding) && binding != "x" {
					continue
				}
				c := newClient("SCRAM-SHA-256-PLUS", "alice", "pencil")
				c.gs2 = "p=" + binding + ",,"
				_, f := c.run(t, s.Stream(ch), "SCRAM-SHA-256-PLUS")
				wantFailure(t, f, "not-authorized", "auth.downgrade")
			}
		})
	}
}

// A client that knows no type of ours tries each -PLUS, then each without and says that there was none, then PLAIN (slixmpp 1.8 on
// TLS 1.3); a stream has that patience once.
func TestWrongBindingsAreNoGuesses(t *testing.T) {
	s := alices(t)
	_, far, leaf := connection(t, tls.VersionTLS13)
	st := s.Stream(Channel{Source: alice, Secure: true, Bindings: Bindings(&far, leaf)})
	try := func(mechanism, gs2 string) *Failure {
		t.Helper()
		c := newClient(mechanism, "alice", "pencil")
		c.gs2 = gs2
		_, f := c.run(t, st, mechanism)
		return f
	}
	for _, kind := range []struct{ suffix, gs2 string }{{"-PLUS", "p=tls-unique,,"}, {"", "y,,"}} {
		for _, h := range hashes {
			f := try(h.name+kind.suffix, kind.gs2)
			wantFailure(t, f, "not-authorized", "auth.downgrade")
			if f.Close {
				t.Fatalf("%s%s ends the stream", h.name, kind.suffix)
			}
		}
	}
	for i := range s.cfg.Tries {
		if f := try("SCRAM-SHA-256-PLUS", "p=tls-unique,,"); f == nil || f.Close != (i == s.cfg.Tries-1) {
			t.Fatalf("again, %d: %+v", i, f)
		}
	}
}

func TestEndPointHash(t *testing.T) {
	leaf := &x509.Certificate{Raw: []byte("certificate")}
	for algorithm, size := range map[x509.SignatureAlgorithm]int{
		x509.SHA1WithRSA: 32, x509.MD5WithRSA: 32, x509.SHA256WithRSA: 32, x509.ECDSAWithSHA384: 48, x509.SHA512WithRSAPSS: 64, x509.PureEd25519: 0,
	} {
		leaf.SignatureAlgorithm = algorithm
		if got, _ := endPoint(leaf); len(got) != size {
			t.Errorf("%v: %d bytes", algorithm, len(got))
		}
	}
	leaf.SignatureAlgorithm = x509.PureEd25519
	if list := Bindings(&tls.ConnectionState{Version: tls.VersionTLS12}, leaf); len(list) != 0 {
		t.Errorf("%d bindings where none is defined", len(list))
	}
}

func TestHA4Tampering(t *testing.T) {
	ok := func(c *client) {}
	for _, test := range []struct {
		name             string
		client           func(c *client)
		first            func(msg string) string // on its way to the server
		challenge        func(msg string) string // on its way to the client
		final            func(msg string) string
		condition, event string
	}{
		{name: "nothing"},
		{name: "optional extensions", client: func(c *client) { c.ext, c.finalExt = ",x=1,Y=2", ",z=é" }},

		{name: "wrong password", client: func(c *client) { c.password = "pencil2" }, condition: "not-authorized", event: "auth.fail"},
		{name: "nonce not extended", final: sub(cnonce, "other"), condition: "not-authorized", event: "auth.replay"},
		{name: "nonce cut to the client's", final: func(m string) string {
			return m[:strings.Index(m, cnonce)+len(cnonce)] + m[strings.Index(m, ",p="):]
		}, condition: "not-authorized", event: "auth.replay"},
		{name: "nonce with more", final: sub(",p=", "x,p="), condition: "not-authorized", event: "auth.replay"},
		{name: "client-first changed on the way", first: sub("r="+cnonce, "r="+cnonce+",x=1"), condition: "not-authorized", event: "auth.fail"},
		{name: "client-final changed on the way", final: sub(",p=", ",x=1,p="), condition: "not-authorized", event: "auth.fail"},
		{name: "iteration count lowered on the way", challenge: sub("i=10000", "i=1"), condition: "not-authorized", event: "auth.fail"},
		{name: "salt changed on the way", challenge: sub("s=", "s=AAAA"), condition: "not-authorized", event: "auth.fail"},
		{name: "mechanism hash removed on the way", challenge: func(m string) string { return m[:strings.Index(m, ",h=")] }, condition: "not-authorized", event: "auth.fail"},
		{name: "mechanism hash changed on the way", challenge: sub(",h=", ",h=A"), condition: "not-authorized", event: "auth.fail"},
		{name: "proof of zeros", final: func(m string) string {
			return m[:strings.Index(m, ",p=")] + ",p=" + base64.StdEncoding.EncodeToString(make([]byte, 32))
		}, condition: "not-authorized", event: "auth.fail"},
		{name: "empty proof", final: func(m string) string { return m[:strings.Index(m, ",p=")] + ",p=" }, condition: "malformed-request", event: "auth.malformed"},
		{name: "short proof", final: func(m string) string { return m[:strings.Index(m, ",p=")] + ",p=AAAA" }, condition: "malformed-request", event: "auth.malformed"},
		{name: "GS2 header in c= differs", client: func(c *client) { c.binding = "x" }, condition: "not-authorized", event: "auth.downgrade"},
		{name: "c= without GS2 header", final: sub("c=biws", "c="), condition: "not-authorized", event: "auth.downgrade"},
		{name: "bad base64 in c=", final: sub("c=biws", "c=bi*s"), condition: "malformed-request", event: "auth.malformed"},
		{name: "line end in c=", final: sub("c=biws", "c=bi\nws"), condition: "malformed-request", event: "auth.malformed"},
		{name: "bad base64 in p=", final: func(m string) string { return m + "=" }, condition: "malformed-request", event: "auth.malformed"},
		{name: "unused bits in p=", final: func(m string) string { // 32 bytes: the last letter has two
			i := len(m) - 2
			const set = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
			return m[:i] + string(set[strings.IndexByte(set, m[i])|1]) + "="
		}, condition: "malformed-request", event: "auth.malformed"},

		{name: "reserved m= first", first: sub("n=alice", "m=x,n=alice"), condition: "malformed-request", event: "auth.malformed"},
		{name: "reserved m= last", client: func(c *client) { c.ext = ",m=x" }, condition: "malformed-request", event: "auth.malformed"},
		{name: "reserved m= in client-final", client: func(c *client) { c.finalExt = ",m=x" }, condition: "malformed-request", event: "auth.malformed"},
		{name: "iteration count asked down", client: func(c *client) { c.ext = ",i=1" }, condition: "malformed-request", event: "auth.malformed"},
		{name: "iteration count asked down at the end", client: func(c *client) { c.finalExt = ",i=1" }, condition: "malformed-request", event: "auth.malformed"},
		{name: "salt chosen", client: func(c *client) { c.ext = ",s=AAAA" }, condition: "malformed-request", event: "auth.malformed"},
		{name: "two names", client: func(c *client) { c.ext = ",n=bob" }, condition: "malformed-request", event: "auth.malformed"},
		{name: "two nonces", client: func(c *client) { c.ext = ",r=x" }, condition: "malformed-request", event: "auth.malformed"},
		{name: "two proofs", client: func(c *client) { c.finalExt = ",p=AAAA" }, condition: "malformed-request", event: "auth.malformed"},
		{name: "empty extension", client: func(c *client) { c.ext = ",x=" }, condition: "malformed-request", event: "auth.malformed"},
		{name: "extension is no attribute", client: func(c *client) { c.ext = ",hello" }, condition: "malformed-request", event: "auth.malformed"},
		{name: "a hundred extensions", client: func(c *client) { c.ext = strings.Repeat(",x=1", 100) }, condition: "malformed-request", event: "auth.malformed"},

		{name: "empty", first: to(""), condition: "malformed-request", event: "auth.malformed"},
		{name: "no GS2 header", first: to("n=alice,r=" + cnonce), condition: "malformed-request", event: "auth.malformed"},
		{name: "unknown flag", first: to("z,,n=alice,r=" + cnonce), condition: "malformed-request", event: "auth.malformed"},
		{name: "flag p without -PLUS", first: to("p=tls-exporter,,n=alice,r=" + cnonce), condition: "malformed-request", event: "auth.malformed"},
		{name: "flag p without a type", first: to("p=,,n=alice,r=" + cnonce), condition: "malformed-request", event: "auth.malformed"},
		{name: "authzid is not one", first: to("n,b=alice,n=alice,r=" + cnonce), condition: "malformed-request", event: "auth.malformed"},
		{name: "no name", first: to("n,,r=" + cnonce), condition: "malformed-request", event: "auth.malformed"},
		{name: "empty name", first: to("n,,n=,r=" + cnonce), condition: "malformed-request", event: "auth.malformed"},
		{name: "nonce before name", first: to("n,,r=" + cnonce + ",n=alice"), condition: "malformed-request", event: "auth.malformed"},
		{name: "no nonce", first: to("n,,n=alice"), condition: "malformed-request", event: "auth.malformed"},
		{name: "empty nonce", first: to("n,,n=alice,r="), condition: "malformed-request", event: "auth.malformed"},
		{name: "nonce with a space", first: to("n,,n=alice,r=a b"), condition: "malformed-request", event: "auth.malformed"},
		{name: "giant nonce", first: to("n,,n=alice,r=" + strings.Repeat("r", 3000)), condition: "malformed-request", event: "auth.malformed"},
		{name: "giant message", first: to("n,,n=alice,r=x,x=" + strings.Repeat("r", 9000)), condition: "malformed-request", event: "auth.malformed"},
		{name: "larger than any", first: to(strings.Repeat("n", 11<<10)), condition: "malformed-request", event: "auth.malformed"},
		{name: "NUL", first: to("n,,n=alice\x00,r=x"), condition: "malformed-request", event: "auth.malformed"},
		{name: "not UTF-8", first: to("n,,n=\xff,r=x"), condition: "malformed-request", event: "auth.malformed"},
		{name: "name escaped wrongly", first: to("n,,n=al=ice,r=x"), condition: "malformed-request", event: "auth.malformed"},
		{name: "name escaped in lower case", first: to("n,,n=a=2cb,r=x"), condition: "malformed-request", event: "auth.malformed"},
		{name: "name escaped at its end", first: to("n,,n=alice=,r=x"), condition: "malformed-request", event: "auth.malformed"},
		{name: "final without nonce", final: to("c=biws,p=AAAA"), condition: "malformed-request", event: "auth.malformed"},
		{name: "final without proof", final: to("c=biws,r=x"), condition: "malformed-request", event: "auth.malformed"},
		{name: "proof not last", final: func(m string) string { return m + ",x=1" }, condition: "malformed-request", event: "auth.malformed"},
		{name: "first again", final: to("n,,n=alice,r=" + cnonce), condition: "malformed-request", event: "auth.malformed"},
		{name: "empty final", final: to(""), condition: "malformed-request", event: "auth.malformed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			rec, _, count := recorder()
			s := server(t, DefaultConfig(), accounts(t, map[string]string{"alice": "pencil"}), nil, rec)
			if test.client == nil {
				test.client = ok
			}
			c := newClient("SCRAM-SHA-256", "alice", "pencil")
			test.client(c)
			x, err := s.Stream(tlsChannel).Begin("SCRAM-SHA-256")
			if err != nil {
				t.Fatal(err)
			}
			msg := on(test.first, string(c.start()))
			challenge, done, err := x.Step(context.Background(), []byte(msg))
			if err == nil && !done {
				msg = on(test.final, string(c.answer([]byte(on(test.challenge, string(challenge))))))
				_, done, err = x.Step(context.Background(), []byte(msg))
			}
			if test.condition == "" {
				if err != nil || !done || x.Identity().Addr != "alice@"+domain {
					t.Fatalf("done %v, %v", done, err)
				}
				return
			}
			if done || x.Identity() != (Identity{}) {
				t.Fatal("logged in")
			}
			wantFailure(t, asFailure(err), test.condition, test.event)
			if count(test.event) != 1 {
				t.Errorf("%s counted %v times", test.event, count(test.event))
			}
			if _, done, err := x.Step(context.Background(), []byte(msg)); done || err == nil {
				t.Error("goes on after a failure")
			}
		})
	}
}

func sub(old, new string) func(string) string {
	return func(m string) string {
		if !strings.Contains(m, old) {
			panic("nothing to replace: " + old + " in " + m)
		}
		return strings.Replace(m, old, new, 1)
	}
}

func to(m string) func(string) string { return func(string) string { return m } }

func on(f func(string) string, m string) string {
	if f == nil {
		return m
	}
	return f(m)
}

func TestHA4Replay(t *testing.T) {
	s := alices(t)
	x, _ := s.Stream(tlsChannel).Begin("SCRAM-SHA-256")
	c := newClient("SCRAM-SHA-256", "alice", "pencil")
	first := c.start()
	challenge, _, _ := x.Step(context.Background(), first)
	final := c.answer(challenge)
	if _, done, err := x.Step(context.Background(), final); !done {
		t.Fatal(err)
	}
	if _, done, err := x.Step(context.Background(), final); done || err == nil {
		t.Error("the same exchange accepts it twice")
	}
	if x.Identity().Addr != "alice@"+domain {
		t.Error("identity was lost by a further response")
	}
	x, _ = s.Stream(tlsChannel).Begin("SCRAM-SHA-256")
	again, _, _ := x.Step(context.Background(), first)
	if bytes.Equal(again, challenge) {
		t.Fatal("the challenge repeats")
	}
	_, _, err := x.Step(context.Background(), final)
	wantFailure(t, asFailure(err), "not-authorized", "auth.replay")
}

func TestHA4FlagYWhereBindingWasOffered(t *testing.T) {
	s := alices(t)
	c := newClient("SCRAM-SHA-256", "alice", "pencil")
	c.gs2 = "y,,"
	_, f := c.run(t, s.Stream(bound(alice)), "SCRAM-SHA-256")
	wantFailure(t, f, "not-authorized", "auth.downgrade")
	if x, f := c.run(t, s.Stream(tlsChannel), "SCRAM-SHA-256"); f != nil || x.Identity().Bound {
		t.Errorf("refused where none was offered: %v", f)
	}
	c.gs2 = "n,,"
	if x, f := c.run(t, s.Stream(bound(alice)), "SCRAM-SHA-256"); f != nil || x.Identity().Bound {
		t.Errorf("a client that cannot bind is refused: %v", f)
	}
	for _, gs2 := range []string{"n,,", "y,,"} {
		c.gs2 = gs2
		_, f = c.run(t, s.Stream(bound(alice)), "SCRAM-SHA-256-PLUS")
		wantFailure(t, f, "malformed-request", "auth.malformed")
	}
}

func TestNames(t *testing.T) {
	s := server(t, DefaultConfig(), accounts(t, map[string]string{"alice": "pencil", "a,b=c": "pencil", "straße": "pencil"}), nil, nil)
	for sent, want := range map[string]string{
		"alice": "alice", "Alice": "alice", "ａｌｉｃｅ": "alice", "a=2Cb=3Dc": "a,b=c", "STRAßE": "straße",
		"alice@meet.example": "", "alice/x": "", "meet.example": "", "@": "", " alice": "", "alice ": "", "alice=2C": "",
		"alice@meet.example/x": "", "x@y/alice": "", "strasse": "", "a=3D2Cb=3Dc": "", strings.Repeat("a", 2000): "",
	} {
		for _, h := range hashes {
			c := newClient(h.name, sent, "pencil")
			x, f := c.run(t, s.Stream(tlsChannel), h.name)
			if want == "" {
				wantFailure(t, f, "not-authorized", "auth.fail")
			} else if f != nil || string(x.Identity().Addr) != want+"@"+domain {
				t.Errorf("%s as %q: %v, %v", h.name, sent, x.Identity(), f)
			}
		}
	}
	for sent, want := range map[string]string{"a,b=c": "a,b=c", "a=2Cb=3Dc": ""} { // PLAIN escapes nothing
		id, f := plainLogin(s, tlsChannel, "\x00"+sent+"\x00pencil")
		if (f == nil) != (want != "") || want != "" && string(id.Addr) != want+"@"+domain {
			t.Errorf("PLAIN as %q: %v %v", sent, id, f)
		}
	}
}

func TestHA3Authzid(t *testing.T) {
	s := server(t, DefaultConfig(), accounts(t, map[string]string{"alice": "pencil", "bob": "pencil", "a,b": "pencil"}), nil, nil)
	for authzid, want := range map[string]bool{
		"": true, "alice@meet.example": true, "Alice@MEET.example": true,
		"bob@meet.example": false, "alice": false, "alice@other.example": false, "alice@meet.example/x": false, "meet.example": false,
		"nobody@meet.example": false, "@": false,
	} {
		gs2 := "n,,"
		if authzid != "" {
			gs2 = "n,a=" + authzid + ","
		}
		c := newClient("SCRAM-SHA-256", "alice", "pencil")
		c.gs2 = gs2
		x, f := c.run(t, s.Stream(tlsChannel), "SCRAM-SHA-256")
		id, pf := plainLogin(s, tlsChannel, authzid+"\x00alice\x00pencil")
		if want {
			if f != nil || pf != nil || x.Identity().Addr != "alice@"+domain || id.Addr != "alice@"+domain {
				t.Errorf("%q: SCRAM %v %v, PLAIN %v %v", authzid, x.Identity(), f, id, pf)
			}
			continue
		}
		wantFailure(t, f, "invalid-authzid", "auth.authzid")
		wantFailure(t, pf, "invalid-authzid", "auth.authzid")
	}
	c := newClient("SCRAM-SHA-256", "a=2Cb", "pencil")
	c.gs2 = "n,a=a=2Cb@meet.example,"
	if x, f := c.run(t, s.Stream(tlsChannel), "SCRAM-SHA-256"); f != nil || x.Identity().Addr != "a,b@"+domain {
		t.Errorf("escaped authzid: %v", f)
	}
}
