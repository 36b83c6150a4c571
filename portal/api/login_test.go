package api

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"parley/internal/app"
	"parley/internal/limit"
	"parley/internal/store"
)

func TestRefreshTokenIsGoodOnce(t *testing.T) {
	w := newWorld(t, nil)
	access, refresh := w.login("bob")
	other, _ := w.login("bob")
	if me := w.want(200, "", "GET", "/me", access, ""); me.body["account"] != "bob@"+domain || me.body["admin"] != false {
		t.Error(me.text)
	}
	next := w.want(200, "", "POST", "/auth/refresh", "", `{"refresh_token":"`+refresh+`"}`)
	access2, _ := next.body["access_token"].(string)
	refresh2, _ := next.body["refresh_token"].(string)
	if access2 == access || refresh2 == refresh || access2 == "" || refresh2 == "" {
		t.Fatal("the tokens are the same")
	}
	w.want(401, "key.unknown", "GET", "/me", access, "")
	w.want(200, "", "GET", "/me", access2, "")
	// Somebody has the first one too: nobody has the login any more, and another one stays.
	w.want(401, "refresh", "POST", "/auth/refresh", "", `{"refresh_token":"`+refresh+`"}`)
	w.want(401, "key.unknown", "GET", "/me", access2, "")
	w.want(401, "refresh", "POST", "/auth/refresh", "", `{"refresh_token":"`+refresh2+`"}`)
	w.want(200, "", "GET", "/me", other, "")
	if w.count("api.replay") != 1 || len(w.ended) != 1 {
		t.Errorf("counted %v, relays ended %v", w.count("api.replay"), w.ended)
	}
	w.want(401, "refresh", "POST", "/auth/refresh", "", `{"refresh_token":"`+other+`"}`)
}

func TestLogoutEndsOneLogin(t *testing.T) {
	w := newWorld(t, nil)
	access, refresh := w.login("bob")
	other, _ := w.login("bob")
	ann, _ := w.login("ann")
	w.want(404, "not-found", "DELETE", "/me/logins/"+access[3:29], ann, "")
	var list []loginView
	json.Unmarshal([]byte(w.want(200, "", "GET", "/me/logins", access, "").text), &list)
	if len(list) != 2 || list[0].Current == list[1].Current {
		t.Errorf("%+v", list)
	}
	w.want(204, "", "POST", "/auth/logout", access, "")
	w.want(401, "key.unknown", "GET", "/me", access, "")
	w.want(401, "refresh", "POST", "/auth/refresh", "", `{"refresh_token":"`+refresh+`"}`)
	w.want(200, "", "GET", "/me", other, "")
	w.want(204, "", "DELETE", "/me/logins/"+other[3:29], other, "")
	w.want(401, "key.unknown", "GET", "/me", other, "")
}

func TestTokensEndInTime(t *testing.T) {
	w := newWorld(t, func(c *Config, _ *Parts) { c.AccessLife, c.RefreshLife = -time.Second, time.Hour })
	access, refresh := w.login("bob")
	w.want(401, "key.expired", "GET", "/me", access, "")
	w.want(200, "", "POST", "/auth/refresh", "", `{"refresh_token":"`+refresh+`"}`)
	w = newWorld(t, func(c *Config, _ *Parts) { c.RefreshLife = -time.Second })
	_, refresh = w.login("bob")
	w.want(401, "refresh", "POST", "/auth/refresh", "", `{"refresh_token":"`+refresh+`"}`)
}

// HA8: who changes a password or disables an account ends its logins and sessions at once.
func TestHA8LoginsEndWithTheAccount(t *testing.T) {
	w := newWorld(t, nil)
	admin, _ := w.login("ann")
	for _, c := range []struct{ method, path, body string }{
		{"PUT", "/accounts/bob/password", `{"password":"pencil"}`}, {"PUT", "/accounts/bob/disabled", `{"disabled":true}`},
	} {
		access, _ := w.login("bob")
		w.want(204, "", c.method, c.path, admin, c.body)
		w.want(401, "key.unknown", "GET", "/me", access, "")
	}
	w.want(403, "disabled", "POST", "/auth/login", "", `{"user":"bob","password":"pencil"}`)
	w.want(204, "", "PUT", "/accounts/bob/disabled", admin, `{"disabled":false}`)
	access, _ := w.login("bob")
	w.want(204, "", "DELETE", "/accounts/bob", admin, "")
	w.want(401, "key.unknown", "GET", "/me", access, "")
	if len(w.revoked) != 3 || w.revoked[0] != "bob@"+domain {
		t.Errorf("sessions ended: %v", w.revoked)
	}
	w.want(200, "", "GET", "/me", admin, "")
}

// HA1: who does not exist is answered like who has another password; HA2: guessing ends.
func TestHA2GuessingAtTheAPI(t *testing.T) {
	w := newWorld(t, nil)
	nobody := w.want(401, "login", "POST", "/auth/login", "", `{"user":"nobody","password":"x"}`)
	bob := w.want(401, "login", "POST", "/auth/login", "", `{"user":"bob","password":"x"}`)
	if nobody.text != bob.text {
		t.Errorf("%s differs from %s", nobody.text, bob.text)
	}
	for range 9 {
		w.ask("POST", "/auth/login", "", `{"user":"bob","password":"x"}`)
	}
	a := w.want(429, "login.rate", "POST", "/auth/login", "", `{"user":"bob","password":"pencil"}`)
	if a.header.Get("Retry-After") == "" {
		t.Error("it is not said when to come again")
	}
	w.want(200, "", "POST", "/auth/login", "", `{"user":"bob","password":"pencil"}`, "remote", "198.51.100.1:1")
	if strings.Contains(w.log.String(), "pencil") || strings.Contains(w.log.String(), "pa_") || strings.Contains(w.log.String(), "pr_") {
		t.Error("the log holds a secret")
	}
}

func TestSecretsAreTakenOverTLSOnly(t *testing.T) {
	w := newWorld(t, nil)
	w.want(403, "encryption", "POST", "/auth/login", "", `{"user":"bob","password":"pencil"}`, "remote", "203.0.113.99:1")
	w.want(403, "encryption", "GET", "/turn", w.key("shop", app.TURN), "", "remote", "203.0.113.99:1")
}

func TestOldestLoginsMakeRoom(t *testing.T) {
	w := newWorld(t, func(c *Config, _ *Parts) { c.Logins = 2 })
	first, _ := w.login("bob")
	time.Sleep(2 * time.Millisecond) // the store keeps milliseconds
	second, _ := w.login("bob")
	time.Sleep(2 * time.Millisecond)
	third, _ := w.login("bob")
	w.want(401, "key.unknown", "GET", "/me", first, "")
	w.want(200, "", "GET", "/me", second, "")
	w.want(200, "", "GET", "/me", third, "")
}

func TestRatesOfApplicationsAndStrangers(t *testing.T) {
	w := newWorld(t, func(c *Config, _ *Parts) {
		c.Rate, c.StrangeRate = limit.Rate{PerSecond: 1e-6, Burst: 3}, limit.Rate{PerSecond: 1e-6, Burst: 2}
	})
	common, own := w.key("common", app.TURN), w.key("own", app.TURN)
	ctx := context.Background()
	_, k, _ := w.store.AppOfKey(ctx, own[3:29])
	if err := w.store.RemoveApp(ctx, "own"); err != nil {
		t.Fatal(err)
	}
	if err := w.store.AddApp(ctx, store.App{Name: "own", Scopes: []string{"turn"}, Rate: 1e-6, Burst: 5}); err != nil {
		t.Fatal(err)
	}
	if err := w.store.AddAppKey(ctx, k, 5); err != nil {
		t.Fatal(err)
	}
	for key, n := range map[string]int{common: 3, own: 5} {
		for range n {
			w.want(200, "", "GET", "/turn", key, "")
		}
		if a := w.want(429, "rate", "GET", "/turn", key, ""); a.header.Get("Retry-After") == "" {
			t.Error("it is not said when to come again")
		}
	}
	w.want(401, "key.missing", "GET", "/turn", "", "")
	w.want(401, "key.unknown", "GET", "/turn", "x", "")
	w.want(429, "rate", "GET", "/turn", "x", "")
	w.want(429, "rate", "POST", "/auth/login", "", `{"user":"bob","password":"pencil"}`)
	w.want(200, "", "POST", "/auth/login", "", `{"user":"bob","password":"pencil"}`, "remote", "198.51.100.1:1")
}

func TestKeysOfApplications(t *testing.T) {
	w := newWorld(t, nil)
	admin := w.key("ops", app.Admin)
	w.want(201, "", "POST", "/apps", admin, `{"name":"shop","scopes":["turn"],"domains":["Example.org"]}`)
	w.want(409, "exists", "POST", "/apps", admin, `{"name":"shop","scopes":["turn"]}`)
	w.want(422, "invalid", "POST", "/apps", admin, `{"name":"x","scopes":["self"]}`)
	made := w.want(201, "", "POST", "/apps/shop/keys", admin, "")
	key, _ := made.body["key"].(string)
	id, _ := made.body["id"].(string)
	w.want(200, "", "GET", "/turn", key, "")
	w.want(200, "", "GET", "/turn", "", "", "X-Api-Key", key)
	w.want(401, "key.missing", "GET", "/turn", key, "", "X-Api-Key", key)
	last := "2"
	if strings.HasSuffix(key, last) {
		last = "3"
	}
	w.want(401, "key.unknown", "GET", "/turn", key[:len(key)-1]+last, "")
	shown := w.want(200, "", "GET", "/apps/shop", admin, "")
	if !strings.Contains(shown.text, id) || strings.Contains(shown.text, key) || !strings.Contains(shown.text, `"example.org"`) {
		t.Error(shown.text)
	}
	for range 4 {
		w.want(201, "", "POST", "/apps/shop/keys", admin, "")
	}
	w.want(409, "full", "POST", "/apps/shop/keys", admin, "")
	w.want(204, "", "DELETE", "/apps/shop/keys/"+id, admin, "")
	w.want(401, "key.unknown", "GET", "/turn", key, "")
	w.want(204, "", "DELETE", "/apps/shop", admin, "")
	w.want(404, "not-found", "GET", "/apps/shop", admin, "")
	w.want(404, "not-found", "POST", "/apps/shop/keys", admin, "")
	if strings.Contains(w.log.String(), key) || strings.Contains(w.log.String(), admin) || !strings.Contains(w.log.String(), "application ops") {
		t.Error("the log holds a key, or not who did it")
	}
}

func TestHW2PagesSpeakForTheirApplicationOnly(t *testing.T) {
	w := newWorld(t, func(_ *Config, p *Parts) { p.Origins = []string{"https://portal.example"} })
	key := w.key("shop", app.TURN) // bound to shop.example
	for origin, ok := range map[string]bool{"https://shop.example": true, "https://www.shop.example": true, "https://portal.example": true, "https://" + domain: true, "https://evil.example": false, "null": false, "http://shop.example": false} {
		if ok {
			w.want(200, "", "GET", "/turn", key, "", "Origin", origin)
		} else {
			w.want(403, "origin", "GET", "/turn", key, "", "Origin", origin)
			w.want(403, "origin", "POST", "/auth/login", "", `{"user":"bob","password":"pencil"}`, "Origin", origin)
		}
	}
	a := w.want(204, "", "OPTIONS", "/turn", "", "", "Origin", "https://shop.example", "Access-Control-Request-Method", "GET")
	if a.header.Get("Access-Control-Allow-Origin") != "https://shop.example" || a.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Error(a.header)
	}
}
