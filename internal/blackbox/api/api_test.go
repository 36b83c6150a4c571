// Package api tests the API of the binary: the routes before it, and that what it makes opens the other doors.
package api

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"parley/internal/peertest"
)

// call sends a request to the API and returns the status and the object that came back.
func call(t *testing.T, p *peertest.Parley, method, path, key, body string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequest(method, "http://"+p.HTTP+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("X-Api-Key", key)
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	var o map[string]any
	json.Unmarshal(text, &o)
	if res.StatusCode >= 400 && (res.Header.Get("Content-Type") != "application/problem+json" || o["code"] == nil) {
		t.Errorf("%s %s: %s is no problem: %s", method, path, res.Status, text)
	}
	return res.StatusCode, o
}

// An application gets its key by the command, a token by the API, and with it into XMPP.
func TestFromTheCommandToTheRoom(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{})
	out, err := p.Command("", "app", "add", "--scope", "tokens:issue", "--scope", "turn", "shop")
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSpace(string(out))
	status, made := call(t, p, "POST", "/tokens/room", key, `{"room":"standup","user":{"name":"Ann"}}`)
	raw, _ := made["token"].(string)
	if status != http.StatusCreated || raw == "" {
		t.Fatal(status, made)
	}
	c := peertest.DialWS(t, p.HTTP, p.Domain, "/xmpp-websocket?room=standup&token="+raw)
	c.Login("", "")
	c.Bind("").Ping()
	if status, got := call(t, p, "GET", "/turn", key, ""); status != http.StatusOK || got["ice_servers"] == nil {
		t.Error(status, got)
	}
	if status, got := call(t, p, "GET", "/accounts", key, ""); status != http.StatusForbidden || got["code"] != "scope" {
		t.Error(status, got)
	}
	if _, err := p.Command("", "app", "remove", "shop"); err != nil {
		t.Fatal(err)
	}
	if status, got := call(t, p, "GET", "/turn", key, ""); status != http.StatusUnauthorized || got["code"] != "key.unknown" {
		t.Error(status, got)
	}
}

// An account that the API makes logs in by XMPP, and one that the command makes logs in by the API; what is refused before a
// route is found is a problem too.
func TestOneAccountForEveryDoor(t *testing.T) {
	p := peertest.StartParley(t, peertest.ParleyOptions{})
	out, err := p.Command("", "app", "add", "--scope", "admin", "ops")
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSpace(string(out))
	if status, got := call(t, p, "POST", "/accounts", key, `{"name":"carl","password":"secret"}`); status != http.StatusCreated {
		t.Fatal(status, got)
	}
	c := peertest.DialWS(t, p.HTTP, p.Domain, "/xmpp-websocket")
	c.Login("carl", "secret")
	c.Bind("").Ping()
	p.AddUser("dora", "secret")
	for _, name := range []string{"carl", "dora"} {
		status, login := call(t, p, "POST", "/auth/login", "", `{"user":"`+name+`","password":"secret"}`)
		if status != http.StatusOK {
			t.Fatal(status, login)
		}
		if status, me := call(t, p, "GET", "/me", login["access_token"].(string), ""); status != http.StatusOK || me["account"] != name+"@"+p.Domain {
			t.Error(status, me)
		}
	}
	for path, want := range map[string]int{"/../v1/me": 404, "/nowhere": 404, "/apps/%00": 404} {
		if status, _ := call(t, p, "GET", path, key, ""); status != want {
			t.Errorf("%s: %d", path, status)
		}
	}
	if status, _ := call(t, p, "POST", "/accounts", key, string(bytes.Repeat([]byte("a"), 70_000))); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body: %d", status)
	}
	res, err := http.Get("http://" + p.HTTP + "/api/v1")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if page, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK || !strings.Contains(string(page), "make-room-token") {
		t.Errorf("the page: %s", res.Status)
	}
}
