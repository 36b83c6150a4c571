package auth

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"parley/internal/token"
)

// mint signs a token for the room standup, with changes.
func mint(t testing.TB, change func(*token.Claims)) string {
	t.Helper()
	s, err := token.NewSigner("", []byte(tokenSecret), domain)
	if err != nil {
		t.Fatal(err)
	}
	c := token.Claims{Issuer: "app", Audience: []string{"jitsi"}, Room: "standup", Expires: time.Now().Add(time.Hour),
		User: token.User{ID: "alice", Name: "Alice"}}
	if change != nil {
		change(&c)
	}
	raw, err := s.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// bear runs OAUTHBEARER, with the client's acknowledgement of a refusal.
func bear(t testing.TB, s *Server, response string) (Identity, string, *Failure) {
	t.Helper()
	x, err := s.Stream(tlsChannel).Begin("OAUTHBEARER")
	if err != nil {
		t.Fatal(err)
	}
	challenge, done, err := x.Step(context.Background(), []byte(response))
	if err == nil && !done {
		_, done, err = x.Step(context.Background(), []byte(kvsep))
	}
	if err == nil && !done {
		t.Fatal("neither done nor failed")
	}
	if err != nil {
		return x.Identity(), string(challenge), asFailure(err)
	}
	return x.Identity(), string(challenge), nil
}

var madeUp = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}@meet\.example$`)

func TestBearer(t *testing.T) {
	people := accounts(t, map[string]string{"alice": "pencil", "gone": "pencil"})
	gone := people.all["gone@"+domain]
	gone.Disabled = true
	people.all["gone@"+domain] = gone
	stranger := server(t, DefaultConfig(), people, checker(t, nil), nil)
	trusted := server(t, DefaultConfig(), people, checker(t, func(i *token.Issuer) { i.Accounts = true }), nil)
	as := func(id string) string { return mint(t, func(c *token.Claims) { c.User.ID = id }) }
	for _, test := range []struct {
		name     string
		server   *Server
		authzid  string
		raw      string
		want     string // "" for a guest
		refusedA string // condition
	}{
		{"a guest with a name", stranger, "", mint(t, nil), "", ""},
		{"who names an account is a guest all the same", stranger, "", as("alice@meet.example"), "", ""},
		{"HA3 and cannot ask for the account", stranger, "alice@meet.example", as("alice"), "", "invalid-authzid"},
		{"a trusted issuer", trusted, "", as("alice"), "alice", ""},
		{"in another spelling", trusted, "", as("ALICE@Meet.Example"), "alice", ""},
		{"asking for what they get", trusted, "alice@meet.example", as("alice"), "alice", ""},
		{"HA3 asking for another", trusted, "gone@meet.example", as("alice"), "", "invalid-authzid"},
		{"an account that is not there", trusted, "", as("nobody"), "", ""},
		{"an account of another host", trusted, "", as("alice@other.example"), "", ""},
		{"a full address", trusted, "", as("alice@meet.example/x"), "", ""},
		{"an issuer that names nobody", trusted, "", as(""), "", ""},
		{"a disabled account", trusted, "", as("gone"), "", "account-disabled"},
	} {
		t.Run(test.name, func(t *testing.T) {
			header := "n,,"
			if test.authzid != "" {
				header = "n,a=" + test.authzid + ","
			}
			id, _, f := bear(t, test.server, header+kvsep+"auth=Bearer "+test.raw+kvsep+kvsep)
			switch {
			case test.refusedA != "":
				if f == nil || f.Condition != test.refusedA || id != (Identity{}) {
					t.Fatalf("%+v %v", id, f)
				}
			case f != nil:
				t.Fatal(f)
			case test.want != "":
				if string(id.Addr) != test.want+"@"+domain || id.Anonymous || id.Claims == nil {
					t.Errorf("%+v", id)
				}
			case !madeUp.MatchString(string(id.Addr)) || !id.Anonymous || id.Claims == nil || id.Claims.Room != "standup":
				t.Errorf("%+v", id)
			}
		})
	}
	t.Run("the store is away", func(t *testing.T) {
		people.mu.Lock()
		people.down = true
		people.mu.Unlock()
		_, _, f := bear(t, trusted, "n,,"+kvsep+"auth=Bearer "+as("alice")+kvsep+kvsep)
		wantFailure(t, f, "temporary-auth-failure", "auth.store")
	})
}

// A token that is refused is answered as RFC 7628 §3.2.2 wants it, with the checker's code, and counted once.
func TestHP1HP3HP4RefusedTokens(t *testing.T) {
	forged := mint(t, nil)
	forged = forged[:strings.LastIndexByte(forged, '.')+1] + strings.Repeat("A", 43)
	for name, test := range map[string]struct {
		raw, code, event string
	}{
		"HP1 alg none":       {"eyJhbGciOiJub25lIn0.e30.", token.CodeAlg, "token.reject"},
		"HP3 expired":        {mint(t, func(c *token.Claims) { c.Expires = time.Now().Add(-time.Hour) }), token.CodeExpired, "token.reject"},
		"HP4 other issuer":   {mint(t, func(c *token.Claims) { c.Issuer = "other" }), token.CodeScope, "token.scope"},
		"HP4 other audience": {mint(t, func(c *token.Claims) { c.Audience = []string{"x"} }), token.CodeScope, "token.scope"},
		"HP4 other door":     {mint(t, func(c *token.Claims) { c.Door = "whip" }), token.CodeScope, "token.scope"},
		"HP7 no token":       {"x", token.CodeSize, "token.size"},
		"HP7 large":          {strings.Repeat("x", 9<<10), token.CodeSize, "token.size"},
		"signature":          {forged, token.CodeReject, "token.reject"},
	} {
		t.Run(name, func(t *testing.T) {
			rec, log, count := recorder()
			cfg := token.DefaultConfig()
			cfg.Issuers = []token.Issuer{{Name: "app", Audiences: []string{"jitsi"}, Secrets: []string{tokenSecret}}}
			tokens, err := token.New(cfg, token.Options{Domains: []string{domain}, Recorder: rec})
			if err != nil {
				t.Fatal(err)
			}
			s := server(t, DefaultConfig(), accounts(t, nil), tokens, rec)
			id, challenge, f := bear(t, s, "n,,"+kvsep+"auth=Bearer "+test.raw+kvsep+kvsep)
			wantFailure(t, f, "not-authorized", test.event)
			if f.Code != test.code || !strings.HasPrefix(f.Text, test.code+": ") || challenge != `{"status":"invalid_token"}` || id != (Identity{}) {
				t.Errorf("%+v, challenge %q, %v", f, challenge, id)
			}
			if count(test.event) != 1 {
				t.Errorf("%s counted %v times", test.event, count(test.event))
			}
			if len(test.raw) > 40 && strings.Contains(log.String(), test.raw[len(test.raw)-20:]) {
				t.Error("the log holds the token")
			}
			// The same token out of band: Jitsi clients show not-allowed.
			_, f = guestLogin(s, Channel{Source: alice, Secure: true, Token: test.raw}, "")
			wantFailure(t, f, "not-allowed", test.event)
			if f.Code != test.code || count(test.event) != 2 {
				t.Errorf("%+v, counted %v times", f, count(test.event))
			}
		})
	}
}

// A token that may be used once lets one in; one that is for another door is not used up by trying.
func TestHP5TokenIsUsedOnce(t *testing.T) {
	s := server(t, DefaultConfig(), accounts(t, nil), checker(t, nil), nil)
	raw := mint(t, func(c *token.Claims) { c.Once = true })
	id, _, f := bear(t, s, "n,,"+kvsep+"auth=Bearer "+raw+kvsep+kvsep)
	if f != nil || id.Claims == nil || !id.Claims.Once {
		t.Fatal(f, id)
	}
	_, _, f = bear(t, s, "n,,"+kvsep+"auth=Bearer "+raw+kvsep+kvsep)
	wantFailure(t, f, "not-authorized", token.CodeReplay)
	_, f = guestLogin(s, Channel{Source: alice, Secure: true, Token: raw}, "")
	wantFailure(t, f, "not-allowed", token.CodeReplay)
	for range 2 {
		_, _, f = bear(t, s, "n,,"+kvsep+"auth=Bearer "+mint(t, func(c *token.Claims) { c.Once, c.ID, c.Door = true, "whip", "whip" })+kvsep+kvsep)
		wantFailure(t, f, "not-authorized", token.CodeScope)
	}
}

func TestMalformedBearer(t *testing.T) {
	s := server(t, DefaultConfig(), accounts(t, nil), checker(t, nil), nil)
	good := mint(t, nil)
	for _, response := range []string{
		"", "n,,", "n,," + kvsep, "n,," + kvsep + kvsep, "n,," + kvsep + kvsep + kvsep, good,
		"n,," + kvsep + "auth=Bearer " + good, "n,," + kvsep + "auth=Bearer " + good + kvsep,
		kvsep + "auth=Bearer " + good + kvsep + kvsep, "n," + kvsep + "auth=Bearer " + good + kvsep + kvsep,
		"n,,x" + kvsep + "auth=Bearer " + good + kvsep + kvsep, "p=tls-exporter,," + kvsep + "auth=Bearer " + good + kvsep + kvsep,
		"n,b=x," + kvsep + "auth=Bearer " + good + kvsep + kvsep, "n,a=," + kvsep + "auth=Bearer " + good + kvsep + kvsep,
		"n,," + kvsep + "auth=Basic " + good + kvsep + kvsep, "n,," + kvsep + "auth=" + good + kvsep + kvsep,
		"n,," + kvsep + "auth=Bearer " + kvsep + kvsep, "n,," + kvsep + "host=x" + kvsep + kvsep, "n,," + kvsep + "=x" + kvsep + "auth=Bearer " + good + kvsep + kvsep,
		"n,," + kvsep + "auth=Bearer " + good + kvsep + "auth=Bearer " + good + kvsep + kvsep,
	} {
		_, _, f := bear(t, s, response)
		wantFailure(t, f, "malformed-request", "auth.malformed")
	}
	for _, response := range []string{
		"y,," + kvsep + "auth=bearer " + good + kvsep + kvsep,
		"n,," + kvsep + "host=meet.example" + kvsep + "port=5222" + kvsep + "auth=Bearer " + good + kvsep + kvsep,
	} {
		if _, _, f := bear(t, s, response); f != nil {
			t.Errorf("%.30q: %v", response, f)
		}
	}
}

// guestLogin tries ANONYMOUS.
func guestLogin(s *Server, ch Channel, trace string) (Identity, *Failure) {
	x, err := s.Stream(ch).Begin("ANONYMOUS")
	if err == nil {
		_, _, err = x.Step(context.Background(), []byte(trace))
	}
	if err != nil {
		return Identity{}, asFailure(err)
	}
	return x.Identity(), nil
}

func TestGuests(t *testing.T) {
	open := server(t, DefaultConfig(), accounts(t, nil), checker(t, nil), nil)
	cfg := DefaultConfig()
	cfg.Guests = false
	closed := server(t, cfg, accounts(t, nil), checker(t, nil), nil)
	seen := make(map[string]bool)
	for _, trace := range []string{"", "alice@meet.example", strings.Repeat("é", 255)} {
		id, f := guestLogin(open, tlsChannel, trace)
		if f != nil || !id.Anonymous || id.Claims != nil || !madeUp.MatchString(string(id.Addr)) || seen[string(id.Addr)] {
			t.Errorf("%.20q: %+v %v", trace, id, f)
		}
		seen[string(id.Addr)] = true
	}
	for _, trace := range []string{strings.Repeat("é", 256), "\xff"} {
		_, f := guestLogin(open, tlsChannel, trace)
		wantFailure(t, f, "malformed-request", "auth.malformed")
	}
	_, f := guestLogin(closed, tlsChannel, "")
	wantFailure(t, f, "not-allowed", "auth.token")
	for _, s := range []*Server{open, closed} {
		id, f := guestLogin(s, Channel{Source: alice, Token: mint(t, nil)}, "")
		if f != nil || !id.Anonymous || id.Claims == nil || id.Claims.User.Name != "Alice" {
			t.Errorf("with a token: %+v %v", id, f)
		}
		// A token that is refused is not overlooked, though guests need none.
		_, f = guestLogin(s, Channel{Source: alice, Token: "x"}, "")
		wantFailure(t, f, "not-allowed", "token.size")
	}
}
