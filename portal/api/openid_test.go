package api

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"parley/internal/store"
	"parley/portal/oidc"
	"parley/portal/oidc/oidctest"
)

// newOpenID is a world in which a provider vouches for people.
func newOpenID(t *testing.T, change func(*Parts)) (*world, *oidctest.Provider) {
	t.Helper()
	at := oidctest.New(t)
	w := newWorld(t, func(_ *Config, p *Parts) {
		p.OpenID = provider(t, at, p.Store.(store.SpentTokens))
		if change != nil {
			change(p)
		}
	})
	return w, at
}

// provider is the one at which the API asks.
func provider(t testing.TB, at *oidctest.Provider, spent store.SpentTokens) *oidc.Provider {
	t.Helper()
	c := oidc.Defaults()
	c.Issuer, c.Client, c.Secret, c.Redirects = at.URL, oidctest.Client, oidctest.Secret, []string{"https://" + domain + "/portal"}
	p, err := oidc.New(c, []byte(secret), spent.SpendToken)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// consented begins a login and returns the body that ends it.
func (w *world) consented(at *oidctest.Provider, subject, name string) string {
	w.Helper()
	begun := w.want(200, "", "POST", "/auth/oidc/begin", "", `{}`)
	address, _ := begun.body["url"].(string)
	session, _ := begun.body["session"].(string)
	q := at.Consent(w, address, subject, name)
	body, err := json.Marshal(map[string]string{"session": session, "code": q.Get("code"), "state": q.Get("state")})
	if err != nil {
		w.Fatal(err)
	}
	return string(body)
}

// A login by a provider is one like any other: its tokens are refreshed, and end with the account.
func TestOpenIDLoginIsALogin(t *testing.T) {
	w, at := newOpenID(t, func(p *Parts) { p.MakeAccounts = true })
	body := w.consented(at, "7", "Dora")
	a := w.want(200, "", "POST", "/auth/oidc/finish", "", strings.Replace(body, "{", `{"label":"browser",`, 1))
	access, _ := a.body["access_token"].(string)
	refresh, _ := a.body["refresh_token"].(string)
	if a.body["account"] != "dora@"+domain || a.body["token_type"] != "Bearer" {
		t.Error(a.text)
	}
	w.want(401, "oidc.session", "POST", "/auth/oidc/finish", "", body)
	if me := w.want(200, "", "GET", "/me", access, ""); me.body["account"] != "dora@"+domain || me.body["admin"] != false {
		t.Error(me.text)
	}
	if list := w.want(200, "", "GET", "/me/logins", access, ""); !strings.Contains(list.text, `"label":"browser"`) {
		t.Error(list.text)
	}
	next := w.want(200, "", "POST", "/auth/refresh", "", `{"refresh_token":"`+refresh+`"}`)
	w.want(401, "key.unknown", "GET", "/me", access, "")
	w.want(401, "refresh", "POST", "/auth/refresh", "", `{"refresh_token":"`+refresh+`"}`) // stolen: the login ends
	access, _ = next.body["access_token"].(string)
	w.want(401, "key.unknown", "GET", "/me", access, "")

	// The subject is who it is, whatever they are called by now.
	a = w.want(200, "", "POST", "/auth/oidc/finish", "", w.consented(at, "7", "bob"))
	access, _ = a.body["access_token"].(string)
	if a.body["account"] != "dora@"+domain {
		t.Error(a.text)
	}
	admin, _ := w.login("ann")
	w.want(204, "", "PUT", "/accounts/dora/disabled", admin, `{"disabled":true}`)
	w.want(401, "key.unknown", "GET", "/me", access, "")
	w.want(403, "disabled", "POST", "/auth/oidc/finish", "", w.consented(at, "7", "dora"))
	w.want(204, "", "DELETE", "/accounts/dora", admin, "")
	if a = w.want(200, "", "POST", "/auth/oidc/finish", "", w.consented(at, "7", "dora")); a.body["account"] != "dora@"+domain {
		t.Error("a new account cannot be made: " + a.text)
	}
	if w.count("oidc.session") != 1 || w.count("oidc.account") != 0 {
		t.Errorf("counted %v, %v", w.count("oidc.session"), w.count("oidc.account"))
	}
}

// A name decides nothing that the configuration does not let it decide, and nobody gets an administrator's account by one.
func TestOpenIDNamesTakeNoAccounts(t *testing.T) {
	finish := func(w *world, at *oidctest.Provider, subject, name, code string) {
		t.Helper()
		status := 403
		if code == "" {
			status = 200
		}
		w.want(status, code, "POST", "/auth/oidc/finish", "", w.consented(at, subject, name))
	}
	w, at := newOpenID(t, nil)
	finish(w, at, "1", "bob", "oidc.account")
	finish(w, at, "1", "dora", "oidc.account")

	w, at = newOpenID(t, func(p *Parts) {
		p.MakeAccounts = true
		p.Admins = append(p.Admins, "root@"+domain)
		p.Reserved = func(_ context.Context, addr string, _ time.Time) (bool, error) { return addr == "kept@"+domain, nil }
	})
	for name, code := range map[string]string{
		"bob": "oidc.taken", "BOB": "oidc.taken", "ann": "oidc.taken", "root": "oidc.taken", "kept": "oidc.taken",
		"": "oidc.name", "a/b": "oidc.name", "bob@evil.example": "oidc.name", "<b>": "oidc.name", "bob@" + domain + "/x": "oidc.name",
	} {
		finish(w, at, "of "+name, name, code)
	}
	if n := w.count("oidc.account"); n != 10 {
		t.Errorf("%v were counted", n)
	}
	finish(w, at, "1", "dora", "")
	finish(w, at, "2", "dora", "oidc.taken")

	w, at = newOpenID(t, func(p *Parts) { p.AdoptAccounts = true })
	finish(w, at, "1", "dora", "oidc.account")
	finish(w, at, "1", "ann", "oidc.taken") // an administrator
	finish(w, at, "1", "bob", "")
	finish(w, at, "2", "bob", "oidc.taken") // it is the other's
	finish(w, at, "1", "ann", "")           // who is bob for ever
}

func TestIdentitiesAreLinkedByTheirAccounts(t *testing.T) {
	w, at := newOpenID(t, nil)
	bob, _ := w.login("bob")
	ann, _ := w.login("ann")
	w.want(403, "oidc.account", "POST", "/auth/oidc/finish", "", w.consented(at, "5", "x"))
	made := w.want(201, "", "POST", "/me/identities", bob, w.consented(at, "5", "x"))
	id, _ := made.body["id"].(string)
	w.want(409, "exists", "POST", "/me/identities", ann, w.consented(at, "5", "x"))
	if a := w.want(200, "", "POST", "/auth/oidc/finish", "", w.consented(at, "5", "ann")); a.body["account"] != "bob@"+domain {
		t.Error(a.text)
	}
	if a := w.want(200, "", "GET", "/me/identities", bob, ""); !strings.Contains(a.text, `"subject":"5"`) || !strings.Contains(a.text, at.URL) {
		t.Error(a.text)
	}
	if a := w.want(200, "", "GET", "/me/identities", ann, ""); strings.TrimSpace(a.text) != "[]" {
		t.Error(a.text)
	}
	w.want(404, "not-found", "DELETE", "/me/identities/"+id, ann, "")
	w.want(204, "", "DELETE", "/me/identities/"+id, bob, "")
	w.want(403, "oidc.account", "POST", "/auth/oidc/finish", "", w.consented(at, "5", "x"))
}

// What a provider or somebody on the way does wrong is refused, counted, and told to nobody.
func TestOpenIDAnswersThatAreRefused(t *testing.T) {
	w, at := newOpenID(t, func(p *Parts) { p.MakeAccounts = true })
	at.Change = func(c map[string]any) { c["nonce"] = "another-nonce" }
	a := w.want(401, "oidc.refused", "POST", "/auth/oidc/finish", "", w.consented(at, "1", "dora"))
	if strings.Contains(a.text, "nonce") || a.header.Get("WWW-Authenticate") != "" {
		t.Error(a.text)
	}
	at.Change = func(c map[string]any) { c["iss"] = "https://evil.example" }
	w.want(401, "oidc.refused", "POST", "/auth/oidc/finish", "", w.consented(at, "1", "dora"))
	at.Change = nil
	w.want(401, "oidc.refused", "POST", "/auth/oidc/finish", "", strings.Replace(w.consented(at, "1", "dora"), "{", `{"iss":"https://evil.example",`, 1))
	w.want(401, "oidc.session", "POST", "/auth/oidc/finish", "", strings.Replace(w.consented(at, "1", "dora"), `"state":"`, `"state":"x`, 1))
	w.want(422, "oidc.redirect", "POST", "/auth/oidc/begin", "", `{"redirect_uri":"https://evil.example/"}`)
	if w.count("oidc.refused") != 3 || w.count("oidc.session") != 1 {
		t.Errorf("counted %v, %v", w.count("oidc.refused"), w.count("oidc.session"))
	}
	if begun := w.want(200, "", "POST", "/auth/oidc/begin", "", `{}`); !strings.HasPrefix(begun.body["url"].(string), at.URL) {
		t.Error(begun.text)
	} else if u, _ := url.Parse(begun.body["url"].(string)); u.Query().Get("redirect_uri") != "https://"+domain+"/portal" {
		t.Error(begun.text)
	}
	body := w.consented(at, "1", "dora")
	at.Away = true
	if a := w.want(503, "oidc.away", "POST", "/auth/oidc/finish", "", body); a.header.Get("Retry-After") == "" {
		t.Error("it is not said when to come again")
	}
	if list, _ := w.store.ListAccounts(t.Context(), "", 9); len(list) != 2 {
		t.Errorf("%+v", list)
	}
}
