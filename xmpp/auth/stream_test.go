package auth

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"parley/internal/token"
	"parley/xmpp/wire"
)

const tokenSecret = "0123456789abcdef0123456789ABCDEF-auth"

// checker accepts tokens of the issuer "app" for the domain.
func checker(t testing.TB, change func(*token.Issuer)) *token.Checker {
	t.Helper()
	i := token.Issuer{Name: "app", Audiences: []string{"jitsi"}, Secrets: []string{tokenSecret}}
	if change != nil {
		change(&i)
	}
	cfg := token.DefaultConfig()
	cfg.Issuers = []token.Issuer{i}
	c, err := token.New(cfg, token.Options{Domains: []string{domain}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

var loopback = netip.MustParseAddr("127.0.0.1")

// The lists decide what may be tried, and are hashed: they are asked for whole.
func TestHA5WhatIsOffered(t *testing.T) {
	const scrams = "SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1"
	const plus = "SCRAM-SHA-512-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS"
	people := accounts(t, nil)
	for _, test := range []struct {
		name   string
		change func(*Config)
		people Accounts
		tokens bool
		ch     Channel
		want   string
	}{
		{"TLS", nil, people, true, tlsChannel, scrams + " OAUTHBEARER PLAIN ANONYMOUS"},
		{"TLS that ends here", nil, people, false, bound(alice), plus + " " + scrams + " PLAIN ANONYMOUS"},
		{"no TLS", nil, people, true, Channel{Source: alice}, scrams + " ANONYMOUS"},
		{"no TLS on loopback", nil, people, true, Channel{Source: loopback}, scrams + " ANONYMOUS"},
		{"no TLS on loopback in development", func(c *Config) { c.PlainInsecure = true }, people, true, Channel{Source: loopback},
			scrams + " OAUTHBEARER PLAIN ANONYMOUS"},
		{"the same by an IPv6 socket", func(c *Config) { c.PlainInsecure = true }, people, false,
			Channel{Source: netip.MustParseAddr("::ffff:127.0.0.1")}, scrams + " PLAIN ANONYMOUS"},
		{"development does not reach beyond loopback", func(c *Config) { c.PlainInsecure = true }, people, true, Channel{Source: alice},
			scrams + " ANONYMOUS"},
		{"an address that is not known", func(c *Config) { c.PlainInsecure = true }, people, false, Channel{}, scrams + " ANONYMOUS"},
		{"PLAIN turned off", func(c *Config) { c.Plain = false }, people, false, tlsChannel, scrams + " ANONYMOUS"},
		{"no guests", func(c *Config) { c.Guests = false }, people, false, tlsChannel, scrams + " PLAIN"},
		{"guests with a token", func(c *Config) { c.Guests = false }, people, true, tlsChannel, scrams + " OAUTHBEARER PLAIN ANONYMOUS"},
		{"no accounts", nil, nil, false, bound(alice), "ANONYMOUS"},
		{"nobody at all", func(c *Config) { c.Guests = false }, nil, false, tlsChannel, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := DefaultConfig()
			if test.change != nil {
				test.change(&cfg)
			}
			var tokens *token.Checker
			if test.tokens {
				tokens = checker(t, nil)
			}
			s := server(t, cfg, test.people, tokens, nil)
			offered := s.Stream(test.ch).Mechanisms()
			if got := strings.Join(offered, " "); got != test.want {
				t.Errorf("offers %q, want %q", got, test.want)
			}
			if types := s.Stream(test.ch).ChannelBindings(); (len(types) > 0) != strings.Contains(test.want, "PLUS") {
				t.Errorf("channel bindings %v", types)
			}
			// What is not offered cannot be had, whatever it is called.
			for _, m := range strings.Fields(plus + " " + scrams + " OAUTHBEARER PLAIN ANONYMOUS") {
				x, err := s.Stream(test.ch).Begin(m)
				if (err == nil) != slices.Contains(offered, m) || (x == nil) != (err != nil) {
					t.Errorf("%s can be begun: %v", m, err)
				}
			}
		})
	}
}

func TestHA5PlainWithoutTLS(t *testing.T) {
	rec, log, count := recorder()
	s := server(t, DefaultConfig(), accounts(t, map[string]string{"alice": "pencil"}), checker(t, nil), rec)
	for i, mechanism := range []string{"PLAIN", "OAUTHBEARER"} {
		x, err := s.Stream(Channel{Source: alice}).Begin(mechanism)
		if x != nil {
			t.Fatalf("%s was begun", mechanism)
		}
		wantFailure(t, asFailure(err), "encryption-required", "auth.plain")
		if count("auth.plain") != float64(i+1) {
			t.Errorf("counted %v times", count("auth.plain"))
		}
	}
	// Where TLS would not help, the mechanism is merely unknown.
	cfg := DefaultConfig()
	cfg.Plain = false
	_, err := server(t, cfg, accounts(t, nil), nil, nil).Stream(Channel{Source: alice}).Begin("PLAIN")
	wantFailure(t, asFailure(err), "invalid-mechanism", "auth.mechanism")
	if strings.Contains(log.String(), "pencil") {
		t.Error("the log holds the password")
	}
}

func TestHA6MechanismThatWasNotOffered(t *testing.T) {
	rec, _, count := recorder()
	cfg := DefaultConfig()
	cfg.Tries = 0
	s := server(t, cfg, accounts(t, map[string]string{"alice": "pencil"}), nil, rec)
	st := s.Stream(tlsChannel)
	names := []string{"", "X", "plain", "PLAIN ", "SCRAM-SHA-256-PLUS", "OAUTHBEARER", "EXTERNAL", "DIGEST-MD5", "SCRAM-SHA-1-PLUS-PLUS",
		"ANONYMOUS\x00", strings.Repeat("A", 10_000)}
	for _, name := range names {
		x, err := st.Begin(name)
		if x != nil {
			t.Errorf("%.20q was begun", name)
		}
		wantFailure(t, asFailure(err), "invalid-mechanism", "auth.mechanism")
	}
	if count("auth.mechanism") != float64(len(names)) {
		t.Errorf("counted %v times", count("auth.mechanism"))
	}
	if x, f := newClient("SCRAM-SHA-256", "alice", "pencil").run(t, st, "SCRAM-SHA-256"); f != nil || x.Identity().Addr == "" {
		t.Errorf("a client that tried others before is refused: %v", f)
	}
}

func TestHA6SecondLoginInAStream(t *testing.T) {
	rec, _, count := recorder()
	s := server(t, DefaultConfig(), accounts(t, map[string]string{"alice": "pencil", "bob": "pencil"}), nil, rec)
	st := s.Stream(tlsChannel)
	first, f := newClient("SCRAM-SHA-256", "alice", "pencil").run(t, st, "SCRAM-SHA-256")
	if f != nil {
		t.Fatal(f)
	}
	for i, mechanism := range []string{"SCRAM-SHA-256", "PLAIN", "ANONYMOUS", "X"} {
		x, err := st.Begin(mechanism)
		f := asFailure(err)
		if x != nil || !f.Close {
			t.Errorf("%s: exchange %v, stream ends %v", mechanism, x, f.Close)
		}
		wantFailure(t, f, "not-authorized", "auth.repeated")
		if count("auth.repeated") != float64(i+1) {
			t.Errorf("counted %v times", count("auth.repeated"))
		}
	}
	if first.Identity().Addr != "alice@"+domain {
		t.Errorf("the identity is %v now", first.Identity())
	}
}

func TestHA6TriesInAStream(t *testing.T) {
	s := alices(t)
	st := s.Stream(tlsChannel)
	for i := range 3 {
		_, f := newClient("SCRAM-SHA-256", "alice", "wrong").run(t, st, "SCRAM-SHA-256")
		wantFailure(t, f, "not-authorized", "auth.fail")
		if f.Close != (i == 2) {
			t.Errorf("try %d: stream ends %v", i+1, f.Close)
		}
	}
	_, f := newClient("SCRAM-SHA-256", "alice", "pencil").run(t, st, "SCRAM-SHA-256")
	wantFailure(t, f, "not-authorized", "auth.brute")
	if !f.Close {
		t.Error("the stream goes on")
	}
	// Beginnings count, whether they are followed through or not.
	st = s.Stream(tlsChannel)
	for range 3 {
		if _, err := st.Begin("SCRAM-SHA-256"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := st.Begin("PLAIN"); err == nil {
		t.Error("a fourth beginning")
	}
}

// A new beginning ends the exchange before it; neither its challenge nor its end works any more.
func TestHA6OneExchangeAtATime(t *testing.T) {
	ctx := context.Background()
	s := server(t, DefaultConfig(), accounts(t, map[string]string{"alice": "pencil", "bob": "pencil"}), nil, nil)
	st := s.Stream(tlsChannel)
	c := newClient("SCRAM-SHA-256", "alice", "pencil")
	old, _ := st.Begin("SCRAM-SHA-256")
	challenge, _, err := old.Step(ctx, c.start())
	if err != nil {
		t.Fatal(err)
	}
	now, _ := st.Begin("PLAIN")
	_, done, err := old.Step(ctx, c.answer(challenge))
	if done || old.Identity() != (Identity{}) {
		t.Fatal("the old exchange logs in")
	}
	wantFailure(t, asFailure(err), "malformed-request", "auth.malformed")
	if _, done, err := now.Step(ctx, []byte("\x00bob\x00pencil")); !done || now.Identity().Addr != "bob@"+domain {
		t.Errorf("the new exchange: %v %v", now.Identity(), err)
	}
	if old.Identity() != (Identity{}) {
		t.Error("the old exchange has an identity")
	}
}

func TestAbort(t *testing.T) {
	ctx := context.Background()
	st := alices(t).Stream(tlsChannel)
	x, _ := st.Begin("SCRAM-SHA-256")
	c := newClient("SCRAM-SHA-256", "alice", "pencil")
	challenge, _, _ := x.Step(ctx, c.start())
	wantFailure(t, x.Abort(), "aborted", "auth.aborted")
	if _, done, err := x.Step(ctx, c.answer(challenge)); done || err == nil {
		t.Error("goes on after the abort")
	}
	if _, f := c.run(t, st, "SCRAM-SHA-256"); f != nil {
		t.Errorf("the next exchange: %v", f)
	}
	if x.Abort(); st.current == nil || !st.done {
		t.Error("an abort of the past undoes the login")
	}
}

func TestClientSpeaksFirst(t *testing.T) {
	ctx := context.Background()
	s := alices(t)
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256"} {
		x, err := s.Stream(tlsChannel).Begin(mechanism)
		if err != nil {
			t.Fatal(err)
		}
		reply, done, err := x.StepText(ctx, nil) // <auth/> without text
		if err != nil || done || len(reply) != 0 {
			t.Errorf("%s: %q %v %v", mechanism, reply, done, err)
		}
		if _, done, err = x.StepText(ctx, nil); done || err == nil { // an empty <response/> is none
			t.Errorf("%s: an empty response: %v", mechanism, err)
		}
		x, _ = s.Stream(tlsChannel).Begin(mechanism)
		if _, done, err := x.StepText(ctx, []byte("=")); done || err == nil { // <auth>=</auth> is an empty response
			t.Errorf("%s: an empty initial response: %v", mechanism, err)
		}
	}
	x, _ := s.Stream(tlsChannel).Begin("PLAIN")
	x.StepText(ctx, nil)
	if _, done, err := x.StepText(ctx, []byte("AGFsaWNlAHBlbmNpbA==")); !done || x.Identity().Addr != "alice@"+domain {
		t.Errorf("PLAIN in two steps: %v", err)
	}
	x, _ = s.Stream(tlsChannel).Begin("ANONYMOUS")
	if _, done, err := x.StepText(ctx, nil); !done || !x.Identity().Anonymous {
		t.Errorf("ANONYMOUS: %v", err)
	}
}

func TestHP6ServersThatAreRefused(t *testing.T) {
	for _, name := range []string{"", "Meet.Example", "a@meet.example", "meet.example/x", "meet.example."} {
		if _, err := New(DefaultConfig(), wire.Addr(name), secret, nil, nil, nil); err == nil {
			t.Errorf("domain %q", name)
		}
	}
	if _, err := New(DefaultConfig(), domain, secret[:31], nil, nil, nil); err == nil || strings.Contains(err.Error(), string(secret[:8])) {
		t.Errorf("a short secret: %v", err)
	}
}
