package oidc

import (
	"context"
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/portal/oidc/oidctest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const back = "https://meet.example/portal"

// once notes what was spent.
type once struct {
	mu    sync.Mutex
	spent map[string]bool
}

func (o *once) spend(_ context.Context, key []byte, _ time.Time) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.spent[string(key)] {
		return false, nil
	}
	if o.spent == nil {
		o.spent = make(map[string]bool)
	}
	o.spent[string(key)] = true
	return true, nil
}

func open(t *testing.T, at *oidctest.Provider, change func(*Config)) *Provider {
	t.Helper()
	c := Defaults()
	c.Issuer, c.Client, c.Secret, c.Redirects = at.URL, oidctest.Client, oidctest.Secret, []string{back, "http://127.0.0.1:9/app"}
	if change != nil {
		change(&c)
	}
	p, err := New(c, []byte("a key of the server"), new(once).spend)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// login goes the whole way; change changes what comes back from the browser.
func login(t *testing.T, p *Provider, at *oidctest.Provider, change func(*Answer)) (Identity, error) {
	t.Helper()
	b, err := p.Begin(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	q := at.Consent(t, b.URL, "248289761001", "ann")
	a := Answer{b.Session, q.Get("code"), q.Get("state"), q.Get("iss")}
	if change != nil {
		change(&a)
	}
	return p.Finish(t.Context(), a)
}

func TestProviderSaysWhoItIs(t *testing.T) {
	for name, change := range map[string]func(*oidctest.Provider){
		"secret in the head": func(*oidctest.Provider) {}, "secret in the form": func(p *oidctest.Provider) { p.Form = true },
		"it names itself": func(p *oidctest.Provider) { p.NamesItself = true },
		"several audiences": func(p *oidctest.Provider) {
			p.Change = func(c map[string]any) { c["aud"], c["azp"] = []string{oidctest.Client, "y"}, oidctest.Client }
		},
	} {
		t.Run(name, func(t *testing.T) {
			at := oidctest.New(t)
			change(at)
			who, err := login(t, open(t, at, nil), at, nil)
			if err != nil || who != (Identity{at.URL, "248289761001", "ann"}) {
				t.Errorf("%+v %v", who, err)
			}
		})
	}
}

func TestAddressOfTheLogin(t *testing.T) {
	at := oidctest.New(t)
	p := open(t, at, nil)
	one, err := p.Begin(t.Context(), "http://127.0.0.1:9/app")
	if err != nil {
		t.Fatal(err)
	}
	two, _ := p.Begin(t.Context(), "")
	u, _ := url.Parse(one.URL)
	v, _ := url.Parse(two.URL)
	q := u.Query()
	if q.Get("scope") != "openid profile" || q.Get("redirect_uri") != "http://127.0.0.1:9/app" || v.Query().Get("redirect_uri") != back {
		t.Error(one.URL)
	}
	for _, field := range []string{"state", "nonce", "code_challenge"} {
		if len(q.Get(field)) != 43 || q.Get(field) == v.Query().Get(field) || strings.Contains(one.Session, q.Get(field)) {
			t.Errorf("%s: %s", field, q.Get(field))
		}
	}
	for _, bad := range []string{"https://meet.example/portal/", "https://meet.example/portal?x", "https://evil.example", "javascript:1", " "} {
		if _, err := p.Begin(t.Context(), bad); !errors.Is(err, ErrRedirect) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// Each answer in which one thing is wrong is refused (Core §3.1.3.7, RFC 9207, RFC 9700 §4).
func TestAnswersThatAreRefused(t *testing.T) {
	claim := func(name string, value any) func(*oidctest.Provider) {
		return func(p *oidctest.Provider) { p.Change = func(c map[string]any) { c[name] = value } }
	}
	without := func(name string) func(*oidctest.Provider) {
		return func(p *oidctest.Provider) { p.Change = func(c map[string]any) { delete(c, name) } }
	}
	for name, c := range map[string]struct {
		provider func(*oidctest.Provider)
		answer   func(*Answer)
		want     error
	}{
		"a wrong nonce":              {provider: claim("nonce", "x"), want: ErrRefused},
		"no nonce":                   {provider: without("nonce"), want: ErrRefused},
		"a wrong audience":           {provider: claim("aud", "another"), want: ErrRefused},
		"no audience":                {provider: without("aud"), want: ErrRefused},
		"several without a party":    {provider: claim("aud", []string{oidctest.Client, "y"}), want: ErrRefused},
		"another party":              {provider: claim("azp", "y"), want: ErrRefused},
		"expired":                    {provider: claim("exp", time.Now().Add(-time.Hour).Unix()), want: ErrRefused},
		"without an end":             {provider: without("exp"), want: ErrRefused},
		"another issuer in it":       {provider: claim("iss", "https://evil.example"), want: ErrRefused},
		"no subject":                 {provider: without("sub"), want: ErrRefused},
		"a subject of control marks": {provider: claim("sub", "a\nb"), want: ErrRefused},
		"a long subject":             {provider: claim("sub", strings.Repeat("x", 256)), want: ErrRefused},
		"a key of somebody else":     {provider: func(p *oidctest.Provider) { p.Foreign = true }, want: ErrRefused},
		"no signature":               {provider: func(p *oidctest.Provider) { p.Unsigned = true }, want: ErrRefused},
		"an unknown code":            {answer: func(a *Answer) { a.Code = "x" }, want: ErrRefused},
		"no code":                    {answer: func(a *Answer) { a.Code = "" }, want: ErrRefused},
		"another state":              {answer: func(a *Answer) { a.State = "x" }, want: ErrSession},
		"no state":                   {answer: func(a *Answer) { a.State = "" }, want: ErrSession},
		"no session":                 {answer: func(a *Answer) { a.Session = "" }, want: ErrSession},
		"a session that was changed": {answer: func(a *Answer) { a.Session = "A" + a.Session }, want: ErrSession},
		"mixed up: another issuer":   {answer: func(a *Answer) { a.Issuer = "https://evil.example" }, want: ErrRefused},
		"mixed up: no issuer": {
			provider: func(p *oidctest.Provider) { p.NamesItself = true }, answer: func(a *Answer) { a.Issuer = "" }, want: ErrRefused,
		},
	} {
		t.Run(name, func(t *testing.T) {
			at := oidctest.New(t)
			if c.provider != nil {
				c.provider(at)
			}
			who, err := login(t, open(t, at, nil), at, c.answer)
			if !errors.Is(err, c.want) || who != (Identity{}) {
				t.Errorf("%+v %v", who, err)
			}
		})
	}
}

// The session of one login does not end another, and none ends twice.
func TestSessionsAreGoodOnce(t *testing.T) {
	at := oidctest.New(t)
	p := open(t, at, nil)
	mine, _ := p.Begin(t.Context(), "")
	theirs, _ := p.Begin(t.Context(), "")
	q := at.Consent(t, theirs.URL, "1", "eve")
	if _, err := p.Finish(t.Context(), Answer{mine.Session, q.Get("code"), q.Get("state"), ""}); !errors.Is(err, ErrSession) {
		t.Errorf("somebody else's code: %v", err)
	}
	u, _ := url.Parse(mine.URL) // their code, with the state of mine: the verifier is another's
	if _, err := p.Finish(t.Context(), Answer{mine.Session, q.Get("code"), u.Query().Get("state"), ""}); !errors.Is(err, ErrRefused) {
		t.Errorf("somebody else's code with my state: %v", err)
	}
	asked := at.Asked
	q = at.Consent(t, mine.URL, "2", "ann")
	if _, err := p.Finish(t.Context(), Answer{mine.Session, q.Get("code"), q.Get("state"), ""}); !errors.Is(err, ErrSession) || at.Asked != asked {
		t.Errorf("replayed: %v, and the provider was asked %d times", err, at.Asked-asked)
	}
	late, _ := p.Begin(t.Context(), "")
	q = at.Consent(t, late.URL, "3", "ann")
	p.now = func() time.Time { return time.Now().Add(Life + time.Second) }
	if _, err := p.Finish(t.Context(), Answer{late.Session, q.Get("code"), q.Get("state"), ""}); !errors.Is(err, ErrSession) {
		t.Errorf("too late: %v", err)
	}
}

// A provider that cannot be asked is not waited for again and again.
func TestHF17ProviderThatIsAway(t *testing.T) {
	at := oidctest.New(t)
	at.Away = true
	p := open(t, at, nil)
	if _, err := p.Begin(t.Context(), ""); !errors.Is(err, ErrAway) {
		t.Error(err)
	}
	at.Away = false
	if _, err := p.Begin(t.Context(), ""); !errors.Is(err, ErrAway) {
		t.Errorf("it is asked again at once: %v", err)
	}
	p.now = func() time.Time { return time.Now().Add(rest) }
	if _, err := login(t, p, at, nil); err != nil {
		t.Errorf("when it is back: %v", err)
	}
	// What it said of itself stays good, and is asked for now and then.
	at.Away = true
	p.now = func() time.Time { return time.Now().Add(2 * fresh) }
	for range 2 {
		if _, err := p.Begin(t.Context(), ""); err != nil {
			t.Errorf("while it is away: %v", err)
		}
	}
	if p.failed.Load() == nil {
		t.Error("it was not asked")
	}
	at.Away = false
	if _, err := login(t, open(t, at, func(c *Config) { c.Secret = "another" }), at, nil); !errors.Is(err, ErrAway) {
		t.Errorf("with a wrong secret: %v", err)
	}
	if _, err := open(t, at, func(c *Config) { c.Issuer += "/" }).Begin(t.Context(), ""); !errors.Is(err, ErrAway) {
		t.Errorf("one that calls itself otherwise: %v", err)
	}
}

func TestSettings(t *testing.T) {
	good := Config{Issuer: "https://login.example", Client: "c", Redirects: []string{back}, Name: "sub"}
	for name, change := range map[string]func(*Config){
		"plain http": func(c *Config) { c.Issuer = "http://login.example" }, "no client": func(c *Config) { c.Client = "" }, "no page": func(c *Config) { c.Redirects = nil },
		"a plain page": func(c *Config) { c.Redirects[0] = "http://meet.example/" }, "a fragment": func(c *Config) { c.Redirects[0] += "#x" },
		"a scope of two": func(c *Config) { c.Scopes = []string{"a b"} }, "no claim": func(c *Config) { c.Name = "" }, "no issuer": func(c *Config) { c.Issuer = "" },
		"a password in it": func(c *Config) { c.Issuer = "https://a:b@login.example" },
	} {
		c := good
		c.Redirects = []string{back}
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
		if change(&c); c.Check() == nil {
			t.Errorf("%s is taken: %+v", name, c)
		}
	}
	if c := Defaults(); c.Check() != nil {
		t.Error("the defaults are refused")
	}
}

// Whatever is read as a session was made by the key, and is written as it was read.
func FuzzReadSession(f *testing.F) {
	key := []byte("k")
	made := newSession(key, back, time.Unix(1e9, 0))
	for _, seed := range []string{"", "x", made.text(), made.text() + "A", base64.RawURLEncoding.EncodeToString(make([]byte, headSize+32))} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, ok := readSession(key, text)
		if !ok {
			return
		}
		if s.text() != text || s.content != made.content || s.redirect != back || !s.expires.Equal(time.Unix(1e9, 0).Add(Life)) {
			t.Fatalf("%q is read as %+v", text, s)
		}
	})
}
