package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/internal/store"
)

// drawer keeps tokens in memory, as store.FastTokens says.
type drawer struct {
	tokens []store.FastToken
	writes int
	down   bool
}

func (d *drawer) FastTokens(_ context.Context, addr, client string) (list []store.FastToken, err error) {
	if d.down {
		return nil, errors.New("database is down")
	}
	for _, fresh := range []bool{true, false} {
		for _, t := range d.tokens {
			if t.Addr == addr && t.Client == client && t.Fresh == fresh {
				list = append(list, t)
			}
		}
	}
	return list, nil
}

func (d *drawer) drop(match func(store.FastToken) bool) {
	d.tokens = slices.DeleteFunc(d.tokens, match)
}

func (d *drawer) AddFastToken(_ context.Context, t store.FastToken, _ int) error {
	if d.down {
		return errors.New("database is down")
	}
	d.writes++
	d.drop(func(o store.FastToken) bool { return o.Addr == t.Addr && o.Client == t.Client && o.Fresh })
	d.tokens = append(d.tokens, t)
	return nil
}

func (d *drawer) UseFastToken(_ context.Context, t store.FastToken, count int64) error {
	d.writes++
	i := slices.IndexFunc(d.tokens, func(o store.FastToken) bool { return string(o.Seed) == string(t.Seed) })
	if i < 0 || count != 0 && count <= d.tokens[i].Count {
		return store.ErrNotFound
	}
	used := d.tokens[i]
	if used.Fresh {
		d.drop(func(o store.FastToken) bool { return o.Addr == t.Addr && o.Client == t.Client })
		d.tokens = append(d.tokens, used)
		i = len(d.tokens) - 1
	}
	d.tokens[i].Fresh, d.tokens[i].Count = false, max(count, used.Count)
	return nil
}

func (d *drawer) DropFastTokens(_ context.Context, addr, client string) error {
	d.writes++
	d.drop(func(o store.FastToken) bool { return o.Addr == addr && o.Client == client })
	return nil
}

const agent = "d4565fa7-4d72-4749-b3d3-740edbf87770"

// fastServer is a server where alice has the password pencil, with a drawer for tokens.
func fastServer(t testing.TB, change func(*Config)) (*Server, *drawer) {
	cfg := DefaultConfig()
	if change != nil {
		change(&cfg)
	}
	s := server(t, cfg, accounts(t, map[string]string{"alice": "pencil", "bob": "pencil"}), nil, nil)
	d := &drawer{}
	s.Fast(d)
	return s, d
}

// get logs alice in with her password and asks for a token.
func get(t testing.TB, s *Server, ch Channel, mechanism string) FastToken {
	t.Helper()
	x, err := s.Stream(ch).Begin("PLAIN")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := x.Step(context.Background(), []byte("\x00alice\x00pencil")); err != nil {
		t.Fatal(err)
	}
	token, err := x.Token(context.Background(), agent, mechanism)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// message is what a client sends, written from draft-schmaus-kitten-sasl-ht.
func hashedMessage(user, token, binding string) []byte {
	m := hmac.New(sha256.New, []byte(token))
	m.Write([]byte("Initiator" + binding))
	return append([]byte(user+"\x00"), m.Sum(nil)...)
}

// use logs in with a token.
func use(s *Server, ch Channel, mechanism string, f Fast, message []byte) (*Exchange, []byte, *Failure) {
	x, err := s.Stream(ch).BeginFast(mechanism, f)
	if err != nil {
		return nil, nil, asFailure(err)
	}
	data, done, err := x.Step(context.Background(), message)
	if err != nil {
		return x, nil, asFailure(err)
	}
	if !done {
		panic("a token takes one step")
	}
	return x, data, nil
}

func TestFastTokenLogsIn(t *testing.T) {
	for _, c := range []struct {
		mechanism, binding string
		ch                 Channel
	}{
		{"HT-SHA-256-NONE", "", tlsChannel},
		{"HT-SHA-256-NONE", "", bound(alice)},
		{"HT-SHA-256-EXPR", "exported", bound(alice)},
		{"HT-SHA-256-ENDP", "hash", bound(alice)},
	} {
		s, d := fastServer(t, nil)
		token := get(t, s, c.ch, c.mechanism)
		if len(token.Text) < 40 || time.Until(token.Expires) < 20*24*time.Hour {
			t.Fatalf("%s: token %+v", c.mechanism, token)
		}
		for _, kept := range d.tokens {
			if strings.Contains(string(kept.Seed), token.Text) || strings.Contains(kept.Client, agent) {
				t.Error("the store has the token, or the client's id")
			}
		}
		for range 3 {
			x, data, f := use(s, c.ch, c.mechanism, Fast{Client: agent}, hashedMessage("alice", token.Text, c.binding))
			if f != nil {
				t.Fatalf("%s: %v", c.mechanism, f)
			}
			m := hmac.New(sha256.New, []byte(token.Text))
			m.Write([]byte("Responder" + c.binding))
			if !hmac.Equal(data, m.Sum(nil)) {
				t.Errorf("%s: the responder's hash is wrong", c.mechanism)
			}
			want := Identity{Addr: "alice@" + domain, Mechanism: c.mechanism, Bound: c.binding != ""}
			if x.Identity() != want {
				t.Errorf("%s: %+v", c.mechanism, x.Identity())
			}
		}
		if d.writes != 2 { // added, and used for the first time
			t.Errorf("%s: %d writes", c.mechanism, d.writes)
		}
		// After a restart the same secret makes the same tokens.
		again := server(t, DefaultConfig(), accounts(t, map[string]string{"alice": "pencil"}), nil, nil)
		again.Fast(d)
		if _, _, f := use(again, c.ch, c.mechanism, Fast{Client: agent}, hashedMessage("alice", token.Text, c.binding)); f != nil {
			t.Errorf("%s after a restart: %v", c.mechanism, f)
		}
	}
}

func TestFastTokenIsRefused(t *testing.T) {
	s, d := fastServer(t, nil)
	token := get(t, s, bound(alice), "HT-SHA-256-EXPR").Text
	good := hashedMessage("alice", token, "exported")
	for name, c := range map[string]struct {
		mechanism        string
		f                Fast
		message          []byte
		condition, event string
	}{
		"another mechanism":    {"HT-SHA-256-NONE", Fast{Client: agent}, hashedMessage("alice", token, ""), "not-authorized", "auth.fail"},
		"another binding":      {"HT-SHA-256-EXPR", Fast{Client: agent}, hashedMessage("alice", token, "other"), "not-authorized", "auth.fail"},
		"no binding":           {"HT-SHA-256-EXPR", Fast{Client: agent}, hashedMessage("alice", token, ""), "not-authorized", "auth.fail"},
		"another client":       {"HT-SHA-256-EXPR", Fast{Client: agent[1:]}, good, "not-authorized", "auth.fail"},
		"another user":         {"HT-SHA-256-EXPR", Fast{Client: agent}, hashedMessage("bob", token, "exported"), "not-authorized", "auth.fail"},
		"an unknown user":      {"HT-SHA-256-EXPR", Fast{Client: agent}, hashedMessage("nobody", token, "exported"), "not-authorized", "auth.fail"},
		"another token":        {"HT-SHA-256-EXPR", Fast{Client: agent}, hashedMessage("alice", token+"x", "exported"), "not-authorized", "auth.fail"},
		"no client":            {"HT-SHA-256-EXPR", Fast{}, good, "malformed-request", "auth.malformed"},
		"a long client":        {"HT-SHA-256-EXPR", Fast{Client: strings.Repeat("x", 129)}, good, "malformed-request", "auth.malformed"},
		"a mechanism not here": {"HT-SHA-256-UNIQ", Fast{Client: agent}, good, "invalid-mechanism", "auth.mechanism"},
		"SCRAM":                {"SCRAM-SHA-256", Fast{Client: agent}, good, "invalid-mechanism", "auth.mechanism"},
		"no NUL":               {"HT-SHA-256-EXPR", Fast{Client: agent}, []byte("alice"), "malformed-request", "auth.malformed"},
		"no user":              {"HT-SHA-256-EXPR", Fast{Client: agent}, good[5:], "malformed-request", "auth.malformed"},
		"a short hash":         {"HT-SHA-256-EXPR", Fast{Client: agent}, good[:len(good)-1], "malformed-request", "auth.malformed"},
		"a long hash":          {"HT-SHA-256-EXPR", Fast{Client: agent}, append(slices.Clone(good), 0), "malformed-request", "auth.malformed"},
	} {
		_, _, f := use(s, bound(alice), c.mechanism, c.f, c.message)
		if f == nil {
			t.Errorf("%s: logged in", name)
			continue
		}
		if f.Condition != c.condition || f.Event != c.event {
			t.Errorf("%s: %s (%s), want %s (%s)", name, f.Condition, f.Event, c.condition, c.event)
		}
	}
	if _, err := s.Stream(bound(alice)).Begin("HT-SHA-256-EXPR"); asFailure(err).Condition != "invalid-mechanism" {
		t.Errorf("without <fast/>: %v", err)
	}
	if _, _, f := use(s, bound(alice), "HT-SHA-256-EXPR", Fast{Client: agent}, good); f != nil {
		t.Errorf("the good one: %v", f)
	}
	d.tokens[0].Expires = time.Now().Add(-time.Second)
	_, _, f := use(s, bound(alice), "HT-SHA-256-EXPR", Fast{Client: agent}, good)
	wantFailure(t, f, "credentials-expired", "auth.expired")
	d.down = true
	_, _, f = use(s, bound(alice), "HT-SHA-256-EXPR", Fast{Client: agent}, good)
	wantFailure(t, f, "temporary-auth-failure", "auth.store")
}

func TestHA1FastTokenOfAnUnknownUserTakesTheSameWork(t *testing.T) {
	s, _ := fastServer(t, func(c *Config) { c.MaxDelay = 0 })
	get(t, s, tlsChannel, "HT-SHA-256-NONE")
	var usual map[string]int
	for _, name := range []string{"alice", "bob", "nobody"} {
		var f *Failure
		work := counted(s, func() {
			_, _, f = use(s, tlsChannel, "HT-SHA-256-NONE", Fast{Client: agent}, hashedMessage(name, "wrong", ""))
		})
		wantFailure(t, f, "not-authorized", "auth.fail")
		if usual == nil {
			usual = work
		}
		if work["hmac"] == 0 || work["store"] != 1 || !maps.Equal(work, usual) {
			t.Errorf("%s: work %v, of alice %v", name, work, usual)
		}
	}
}

// XEP-0484 §3.5, and the two slots of §5.1.
func TestFastTokenRotates(t *testing.T) {
	s, d := fastServer(t, nil)
	first := get(t, s, tlsChannel, "HT-SHA-256-NONE").Text
	log := func(what, token string, works bool) *Exchange {
		t.Helper()
		x, _, f := use(s, tlsChannel, "HT-SHA-256-NONE", Fast{Client: agent}, hashedMessage("alice", token, ""))
		if (f == nil) != works {
			t.Fatalf("%s: %v", what, f)
		}
		return x
	}
	renew := func(x *Exchange) string {
		t.Helper()
		token, err := x.Token(context.Background(), agent, "")
		if err != nil {
			t.Fatal(err)
		}
		return token.Text
	}
	if renew(log("young", first, true)) != "" {
		t.Error("a young token is replaced")
	}
	age := func() {
		for i := range d.tokens {
			d.tokens[i].Issued = time.Now().Add(-25 * time.Hour)
		}
	}
	age()
	lost := renew(log("old", first, true))
	if lost == "" || lost == first {
		t.Fatalf("an old token is replaced with %q", lost)
	}
	second := renew(log("the answer was lost", first, true))
	log("what was lost is replaced", lost, false)
	log("the new one", second, true)
	log("the one before", first, false)
	age()
	x, _, f := use(s, tlsChannel, "HT-SHA-256-NONE", Fast{Client: agent, Invalidate: true}, hashedMessage("alice", second, ""))
	if f != nil {
		t.Fatal(f)
	}
	if renew(x) != "" {
		t.Error("a token that was given up is replaced")
	}
	log("given up", second, false)
	if len(d.tokens) != 0 {
		t.Errorf("left: %+v", d.tokens)
	}
}

func TestFastTokenCounts(t *testing.T) {
	s, _ := fastServer(t, nil)
	token := get(t, s, tlsChannel, "HT-SHA-256-NONE").Text
	for _, c := range []struct {
		count int64
		works bool
	}{{1, true}, {1, false}, {5, true}, {5, false}, {4, false}, {0, true}, {6, true}} {
		_, _, f := use(s, tlsChannel, "HT-SHA-256-NONE", Fast{Client: agent, Count: c.count}, hashedMessage("alice", token, ""))
		if (f == nil) != c.works {
			t.Errorf("count %d: %v", c.count, f)
		}
		if f != nil {
			wantFailure(t, f, "not-authorized", "auth.replay")
		}
	}
}

func TestFastIsOfferedWhereATokenIsSafe(t *testing.T) {
	s, _ := fastServer(t, nil)
	for _, c := range []struct {
		ch   Channel
		want []string
	}{
		{Channel{Source: alice}, nil},
		{tlsChannel, []string{"HT-SHA-256-NONE"}},
		{bound(alice), []string{"HT-SHA-256-EXPR", "HT-SHA-256-ENDP", "HT-SHA-256-NONE"}},
	} {
		if got := s.Stream(c.ch).FastMechanisms(); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v", c.ch, got)
		}
		for _, m := range s.Stream(c.ch).Mechanisms() {
			if strings.HasPrefix(m, "HT-") {
				t.Errorf("%s is among the others", m)
			}
		}
	}
	off, _ := fastServer(t, func(c *Config) { c.TokenLife = 0 })
	if got := off.Stream(tlsChannel).FastMechanisms(); got != nil {
		t.Errorf("turned off: %v", got)
	}
	if got := alices(t).Stream(tlsChannel).FastMechanisms(); got != nil {
		t.Errorf("without a store: %v", got)
	}
	// A guest gets none, and neither who asks for what was not offered or does not say which client it is.
	x, _ := s.Stream(tlsChannel).Begin("ANONYMOUS")
	x.Step(context.Background(), nil)
	if token, err := x.Token(context.Background(), agent, "HT-SHA-256-NONE"); token.Text != "" || err != nil {
		t.Errorf("a guest: %+v %v", token, err)
	}
	if token := get(t, s, tlsChannel, "HT-SHA-256-EXPR"); token.Text != "" {
		t.Errorf("not offered: %+v", token)
	}
	x, _ = s.Stream(tlsChannel).Begin("PLAIN")
	if token, _ := x.Token(context.Background(), agent, "HT-SHA-256-NONE"); token.Text != "" {
		t.Errorf("before the login: %+v", token)
	}
	x.Step(context.Background(), []byte("\x00alice\x00pencil"))
	if token, _ := x.Token(context.Background(), "", "HT-SHA-256-NONE"); token.Text != "" {
		t.Errorf("without a client: %+v", token)
	}
}

// XEP-0388 §5.4.
func TestHA3HeaderNamesSomebodyElse(t *testing.T) {
	s, _ := fastServer(t, nil)
	for _, c := range []struct {
		from, message string
		works         bool
	}{
		{"", "alice@" + domain + "\x00alice\x00pencil", true},
		{"alice@" + domain, "alice@" + domain + "\x00alice\x00pencil", true},
		{"bob@" + domain, "\x00alice\x00pencil", true},
		{"bob@" + domain, "alice@" + domain + "\x00alice\x00pencil", false},
		{"bob@" + domain, "bob@" + domain + "\x00alice\x00pencil", false},
	} {
		st := s.Stream(tlsChannel)
		st.Claims(c.from)
		x, _ := st.Begin("PLAIN")
		_, _, err := x.Step(context.Background(), []byte(c.message))
		if (err == nil) != c.works {
			t.Errorf("%q %q: %v", c.from, c.message, err)
		}
		if err != nil {
			wantFailure(t, asFailure(err), "invalid-authzid", "auth.authzid")
		}
	}
}

func TestResourceIsStableForOneInstallation(t *testing.T) {
	s, _ := fastServer(t, nil)
	id := Identity{Addr: "alice@" + domain}
	first := s.Resource(id, agent, "App")
	if first != s.Resource(id, agent, "App") {
		t.Error("it changes")
	}
	for name, other := range map[string]string{
		"another client": s.Resource(id, agent+"x", "App"), "another tag": s.Resource(id, agent, "App2"),
		"another account": s.Resource(Identity{Addr: "bob@" + domain}, agent, "App"),
		"no client":       s.Resource(id, "", "App"), "no client again": s.Resource(id, "", "App"),
		"a guest": s.Resource(Identity{Addr: id.Addr, Anonymous: true}, agent, "App"),
	} {
		if other == first || other == "" || strings.Contains(other, agent) {
			t.Errorf("%s: %s", name, other)
		}
	}
}

// FuzzHashed: whatever is sent, nobody logs in without the token.
func FuzzHashed(f *testing.F) {
	f.Add(hashedMessage("alice", "token", ""))
	f.Add([]byte("alice\x00"))
	f.Add([]byte("\x00\x00"))
	f.Add(append([]byte("al\xffice\x00"), make([]byte, 32)...))
	s, _ := fastServer(f, func(c *Config) {
		c.UserRate.PerSecond, c.StrangeRate.PerSecond, c.SourceRate.PerSecond, c.MaxDelay = 0, 0, 0, 0
	})
	token := get(f, s, tlsChannel, "HT-SHA-256-NONE").Text
	good := string(hashedMessage("alice", token, ""))
	f.Fuzz(func(t *testing.T, message []byte) {
		x, _, failed := use(s, tlsChannel, "HT-SHA-256-NONE", Fast{Client: agent}, message)
		if failed == nil && string(message) != good {
			t.Fatalf("%q logs in as %v", message, x.Identity())
		}
	})
}
