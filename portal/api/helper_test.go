package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"parley/internal/app"
	"parley/internal/event"
	"parley/internal/limit"
	"parley/internal/store"
	"parley/internal/store/sqlstore"
	"parley/internal/token"
	"parley/muc"
	"parley/portal/hook"
	"parley/portal/oidc/oidctest"
	"parley/turn"
	"parley/xmpp/auth"
	"parley/xmpp/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	domain = "meet.example"
	secret = "0123456789abcdef0123456789ABCDEF-test"
)

// world is an API on a store of its own, with the accounts ann, an administrator, and bob, whose passwords are "pencil".
type world struct {
	testing.TB
	*API
	store   store.Store
	log     *strings.Builder
	count   func(event string) float64
	mu      sync.Mutex
	revoked []wire.Addr
	ended   []string // users of the relay
	samples int      // that were made
	house   *house
	crowd   *crowd
	at      *oidctest.Provider // of the walks; nil: there is none
}

// pencil is made once: it is slow, by design.
var pencil = sync.OnceValue(func() []store.Credential {
	c, err := auth.NewCredentials("pencil")
	if err != nil {
		panic(err)
	}
	return c
})

func newWorld(t testing.TB, change func(*Config, *Parts)) *world {
	t.Helper()
	ctx := context.Background()
	w := &world{TB: t, log: new(strings.Builder), house: newHouse(), crowd: newCrowd()}
	var err error
	if w.store, err = sqlstore.Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "parley.db"), sqlstore.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.store.Close() })
	for _, name := range []string{"ann", "bob"} {
		if err := w.store.CreateAccount(ctx, store.Account{Addr: name + "@" + domain, Created: time.Now(), Credentials: pencil()}); err != nil {
			t.Fatal(err)
		}
	}
	reg := prometheus.NewRegistry()
	log := slog.New(slog.NewTextHandler(w.log, nil))
	rec := event.New(log, reg, false)
	w.count = func(name string) float64 {
		families, _ := reg.Gather()
		for _, f := range families {
			for _, m := range f.Metric {
				if m.Label[0].GetValue() == name {
					return m.Counter.GetValue()
				}
			}
		}
		return 0
	}
	tokens, err := token.New(token.Config{Leeway: time.Second, MaxLifetime: time.Hour, Issuers: []token.Issuer{{Name: "parley", Audiences: []string{"parley"}, Secrets: []string{secret}}}},
		token.Options{Domains: []string{domain}, Recorder: rec})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tokens.Close() })
	signer, err := token.NewSigner("", []byte(secret), domain)
	if err != nil {
		t.Fatal(err)
	}
	logins := auth.DefaultConfig()
	logins.MaxDelay = 0
	passwords, err := auth.New(logins, domain, []byte(secret), w.store, nil, rec)
	if err != nil {
		t.Fatal(err)
	}
	registry, err := turn.NewRegistry(turn.Offer{URI: "stun:192.0.2.1"}, turn.Offer{URI: "turn:192.0.2.1", Secret: secret}, turn.Offer{URI: "turn:192.0.2.1?transport=tcp", Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Defaults()
	cfg.Rate, cfg.StrangeRate = limit.Rate{}, limit.Rate{}
	parts := Parts{
		Domain: domain, Admins: []string{"ann@" + domain}, Store: w.store, Password: passwords.Password,
		Confidential: func(r *http.Request) bool { return !strings.HasPrefix(r.RemoteAddr, "203.0.113.99:") },
		Revoke: func(a wire.Addr) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.revoked = append(w.revoked, a)
		},
		Tokens: tokens, Signer: signer, Issuer: "parley", Audience: []string{"parley"},
		Services: func(user string) []turn.Service { return registry.Services(user, time.Hour, time.Now()) },
		EndRelay: func(user string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.ended = append(w.ended, user)
		},
		Rosters: w.crowd, Devices: w.crowd,
		Rooms: w.house, RoomsAt: "rooms.example", Door: func(o *muc.Occupant) string { return "by " + o.Nick },
		Call:  func(room wire.Addr) (Call, bool) { return Call{Gate: "sfu", Members: 2}, room == "d@rooms.example" },
		Calls: keptIn(t, w.store),
		Live: Live{
			Media:  w.house.media,
			Online: func() []Presence { return []Presence{{Address: "ann@meet.example/x", IP: "192.0.2.7"}} },
			Relays: func() []Relay { return []Relay{{URLs: []string{"stun:192.0.2.1:3478"}, Doors: "all"}} },
			Health: func() Health {
				return Health{Reason: "the store cannot be written", Version: "v", Parts: map[string]any{"rooms": map[string]int{"open": 3}}}
			},
		},
		Recorder: rec, Log: log,
	}
	if parts.Hooks, err = hook.New(hook.Defaults(), w.store, "n1", nil, rec, log); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&cfg, &parts)
	}
	w.API = New(cfg, parts)
	return w
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	text   string
	body   map[string]any // nil: no object
}

func (a answer) code() string { s, _ := a.body["code"].(string); return s }

// ask sends a request with a key or token, "" for none; each further pair of strings is a header.
func (w *world) ask(method, path, key, body string, header ...string) answer {
	w.Helper()
	r := httptest.NewRequest(method, "https://"+domain+"/", strings.NewReader(body))
	r.URL.Path, r.URL.RawQuery, _ = strings.Cut(Prefix+path, "?")
	r.RemoteAddr = "203.0.113.1:1000"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	for pair := range slices.Chunk(header, 2) {
		if pair[0] == "remote" {
			r.RemoteAddr = pair[1]
			continue
		}
		r.Header.Set(pair[0], pair[1])
	}
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	a := answer{status: rec.Code, header: rec.Header(), text: rec.Body.String()}
	json.Unmarshal(rec.Body.Bytes(), &a.body)
	if a.status >= 400 {
		if got := a.header.Get("Content-Type"); got != "application/problem+json" || a.code() == "" || a.body["status"] != float64(a.status) || a.body["title"] == "" {
			w.Errorf("%s %s: %d is no problem: %s %s", method, path, a.status, got, a.text)
		}
	}
	return a
}

// want sends a request that is answered with that status and, if it is one of failure, code.
func (w *world) want(status int, code, method, path, key, body string, header ...string) answer {
	w.Helper()
	a := w.ask(method, path, key, body, header...)
	if a.status != status || a.code() != code && status >= 400 {
		w.Errorf("%s %s: %d %q, want %d %q: %s", method, path, a.status, a.code(), status, code, a.text)
	}
	return a
}

// key makes an application with scopes and returns a key of it.
func (w *world) key(name string, scopes ...app.Scope) string {
	w.Helper()
	a := store.App{Name: name, Created: time.Now(), Domains: []string{"shop.example"}}
	for _, s := range scopes {
		a.Scopes = append(a.Scopes, string(s))
	}
	key, stored := NewKey(name, time.Now())
	if err := app.Check(&a); err != nil {
		w.Fatal(err)
	}
	if err := w.store.AddApp(context.Background(), a); err != nil {
		w.Fatal(err)
	}
	if err := w.store.AddAppKey(context.Background(), stored, 5); err != nil {
		w.Fatal(err)
	}
	return key
}

// login logs in with the password "pencil" and returns access and refresh token.
func (w *world) login(name string) (access, refresh string) {
	w.Helper()
	a := w.want(200, "", "POST", "/auth/login", "", `{"user":"`+name+`","password":"pencil"}`)
	access, _ = a.body["access_token"].(string)
	refresh, _ = a.body["refresh_token"].(string)
	return access, refresh
}
