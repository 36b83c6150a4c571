package api

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/peertest"
)

// An application that was away is told of everything that the store has, by whichever process comes after, and of nothing under
// two ids.
func TestWebhooksOutliveTheServer(t *testing.T) {
	var mu sync.Mutex
	away := true
	ids, joined := make(map[string]string), make(map[string]bool)
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var e struct {
			Type string
			Data struct{ Nick string }
		}
		json.Unmarshal(body, &e)
		mu.Lock()
		defer mu.Unlock()
		if away {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		ids[r.Header.Get("Webhook-Id")] = string(body)
		if e.Type == "member.joined" {
			joined[e.Data.Nick] = true
		}
	}))
	defer sink.Close()
	p := peertest.StartParley(t, peertest.ParleyOptions{Config: "[hooks]\nprivate = true\nretry = \"20ms\"\n"})
	out, err := p.Command("", "app", "add", "--scope", "admin", "ops")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{p, strings.TrimSpace(out)}
	if status, got := call(t, p, "POST", "/apps/ops/hooks", w.key, `{"url":"`+sink.URL+`","events":["room.created","member.joined"]}`); status != http.StatusCreated {
		t.Fatal(status, got)
	}
	stored := func(n int) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			var list []struct{ Waiting int }
			text := get(t, w, "/apps/ops/hooks")
			if json.Unmarshal([]byte(text), &list); len(list) == 1 && list[0].Waiting == n {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s, want %d to wait", text, n)
			}
		}
	}
	enter := func(nick string) {
		t.Helper()
		c := peertest.DialWS(t, p.HTTP, p.Domain, "/xmpp-websocket")
		c.Login("", "")
		c.Bind("")
		c.Send("<presence xmlns='jabber:client' to='" + nick + "@muc.localhost/" + nick + "'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
		c.Await("<presence", "code='110'")
	}
	enter("ann")
	enter("bob")
	stored(4) // from here on nothing is lost
	p.Kill()
	p.Start()
	enter("carl")
	stored(6)
	mu.Lock()
	away = false
	mu.Unlock()
	stored(0)
	mu.Lock()
	defer mu.Unlock()
	bodies := make(map[string]bool)
	for _, body := range ids {
		bodies[body] = true
	}
	if len(ids) != 6 || len(bodies) != 6 || !joined["ann"] || !joined["bob"] || !joined["carl"] {
		t.Errorf("%d messages, %d of them different, members %v", len(ids), len(bodies), joined)
	}
}

// get returns what a GET is answered with.
func get(t *testing.T, w *world, path string) string {
	t.Helper()
	r, err := http.NewRequest("GET", "http://"+w.HTTP+"/api/v1"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Api-Key", w.key)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return string(text)
}
