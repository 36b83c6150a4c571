package api

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"parley/internal/app"
)

func TestRoomTokens(t *testing.T) {
	w := newWorld(t, nil)
	key := w.key("shop", app.IssueTokens)
	bob, _ := w.login("bob")
	check := func(a answer) (claims map[string]any) {
		t.Helper()
		raw, _ := a.body["token"].(string)
		c, err := w.parts.Tokens.Check(context.Background(), raw, "")
		if err != nil {
			t.Fatal(err)
		}
		if life := time.Until(c.Expires); life > 5*time.Minute || life < 0 || c.ID == "" || c.ID != a.body["id"] {
			t.Errorf("good for %v, id %q", life, c.ID)
		}
		text, _ := json.Marshal(c)
		json.Unmarshal(text, &claims)
		return claims
	}
	c := check(w.want(201, "", "POST", "/tokens/room", key, `{"room":"standup","tenant":"acme","door":"whip","moderator":true,"group":"g","features":{"recording":true},"user":{"id":"u1","name":"O'Brien <b>","avatar":"https://x.example/a.png"},"expires_in":86400}`))
	if c["Room"] != "standup" || c["Tenant"] != "acme" || c["Door"] != "whip" || c["Moderator"] != true || c["Group"] != "g" || c["User"].(map[string]any)["Name"] != "O'Brien <b>" {
		t.Error(c)
	}
	c = check(w.want(201, "", "POST", "/tokens/room", bob, `{"room":"standup"}`))
	if c["Moderator"] != false || c["User"].(map[string]any)["ID"] != "bob" || c["Accounts"] != false {
		t.Error(c)
	}
	short := w.want(201, "", "POST", "/tokens/room", key, `{"room":"*","expires_in":2}`)
	if at, err := time.Parse(time.RFC3339, short.body["expires"].(string)); err != nil || time.Until(at) > 3*time.Second {
		t.Error(short.text)
	}
	// Who they are comes from their login, and they are no more than that.
	for _, more := range []string{`"moderator":true`, `"user":{"id":"ann"}`, `"user":{"name":"Ann"}`, `"group":"x"`, `"features":{"recording":true}`, `"room":"*"`} {
		body := `{"room":"standup",` + more + `}`
		if strings.HasPrefix(more, `"room"`) {
			body = `{` + more + `}`
		}
		w.want(403, "scope", "POST", "/tokens/room", bob, body)
	}
	w.want(400, "invalid", "POST", "/tokens/room", key, `{"room":"a","room":"b"}`)
	w.want(422, "invalid", "POST", "/tokens/room", key, `{"Room":"a"}`)
	w.want(422, "invalid", "POST", "/tokens/room", key, `{"room":"a","extra":1}`)
	w.want(422, "invalid", "POST", "/tokens/room", key, `{"room":"a","user":{"name":"a\u202eb"}}`)
	w.want(422, "invalid", "POST", "/tokens/room", key, `{"room":"a","user":{"avatar":"javascript:x"}}`)
	w.want(415, "media-type", "POST", "/tokens/room", key, `{"room":"a"}`, "Content-Type", "text/plain")
	w.want(404, "not-found", "GET", "/nowhere", key, "")
	if a := w.want(405, "method", "PUT", "/tokens/room", key, ""); a.header.Get("Allow") != "POST" {
		t.Error(a.header)
	}
}

func TestExplainOverHTTP(t *testing.T) {
	w := newWorld(t, nil)
	key := w.key("shop", app.IssueTokens)
	raw, _ := w.want(201, "", "POST", "/tokens/room", key, `{"room":"standup","door":"xmpp"}`).body["token"].(string)
	for body, bad := range map[string]string{
		`{"token":"` + raw + `","room":"standup","door":"xmpp"}`: "",
		`{"token":"` + raw + `","room":"kitchen"}`:               "room kitchen token.scope",
		`{"token":"` + raw + `","door":"whip"}`:                  "door whip token.scope",
		`{"token":"` + raw[:len(raw)-4] + `AAAA"}`:               "signature token.reject",
		`{"token":"x"}`: "form token.size",
	} {
		var e explanation
		json.Unmarshal([]byte(w.want(200, "", "POST", "/tokens/explain", key, body).text), &e)
		got := ""
		for _, f := range e.Findings {
			if !f.OK {
				got += f.Check + " " + f.Code
			}
		}
		if got != bad || e.OK != (bad == "") {
			t.Errorf("%s: %q, want %q", body, got, bad)
		}
	}
}

func TestICEServersAreOfTheOneWhoAsks(t *testing.T) {
	w := newWorld(t, nil)
	key := w.key("shop", app.TURN)
	bob, _ := w.login("bob")
	get := func(who string) iceServers {
		var i iceServers
		json.Unmarshal([]byte(w.want(200, "", "GET", "/turn", who, "").text), &i)
		if len(i.Servers) != 2 || i.Servers[0].URLs[0] != "stun:192.0.2.1:3478" || len(i.Servers[1].URLs) != 2 || i.Servers[1].Credential == "" || i.Expires == nil {
			t.Fatalf("%+v", i)
		}
		return i
	}
	user := func(i iceServers) string {
		_, name, _ := strings.Cut(i.Servers[1].Username, ":")
		return name
	}
	first, again := user(get(bob)), user(get(bob))
	one, other := user(get(key)), user(get(key))
	if first != again || one == other || strings.Contains(get(bob).Servers[1].Username, "bob") {
		t.Error("users of the relay")
	}
	name := user(get(bob))
	w.want(204, "", "POST", "/auth/logout", bob, "")
	if len(w.ended) != 1 || w.ended[0] != name {
		t.Errorf("ended %v, not %s", w.ended, name)
	}
}

// The description is what OpenAPI 3.1 asks for, in both forms, and the page loads nothing from elsewhere.
func TestDescription(t *testing.T) {
	w := newWorld(t, nil)
	d := w.description()
	if !strings.HasPrefix(d.OpenAPI, "3.1.") || len(d.Paths) == 0 || d.Components.SecuritySchemes[byKey] == nil || d.Components.SecuritySchemes[byToken] == nil {
		t.Errorf("%+v", d)
	}
	ids := make(map[string]bool)
	for path, methods := range d.Paths {
		for method, op := range methods {
			if op.OperationID == "" || ids[op.OperationID] || len(op.Responses) < 2 {
				t.Errorf("%s %s: %q", method, path, op.OperationID)
			}
			ids[op.OperationID] = true
			in := make(map[string]bool)
			for _, p := range op.Parameters {
				in[p.Name] = true
			}
			for _, part := range strings.Split(path, "/") {
				if name, ok := strings.CutPrefix(part, "{"); ok && !in[strings.TrimSuffix(name, "}")] {
					t.Errorf("%s %s: the parameter %s is not described", method, path, part)
				}
			}
		}
	}
	whole := w.want(200, "", "GET", "/openapi.json", "", "").text
	for _, ref := range strings.Split(whole, `"$ref": "#/components/schemas/`)[1:] {
		if name, _, _ := strings.Cut(ref, `"`); d.Components.Schemas[name] == nil {
			t.Errorf("there is no schema %s", name)
		}
	}
	if y := w.want(200, "", "GET", "/openapi.yaml", "", "").text; !strings.Contains(y, "openapi: ") || !strings.Contains(y, "make-room-token") {
		t.Errorf("yaml: %.200s", y)
	}
	for _, path := range []string{"", "/"} {
		page := w.want(200, "", "GET", path, "", "").text
		for id := range ids {
			if !strings.Contains(page, `id="`+id+`"`) {
				t.Errorf("the page does not say what %s is", id)
			}
		}
		if strings.Contains(page, "<script") || strings.Contains(page, "style=") || strings.Contains(page, `"http`) || strings.Contains(page, "//") && strings.Contains(page, `src=`) {
			t.Error("the page loads something, or breaks our content policy")
		}
	}
	w.want(200, "", "GET", "/description.css", "", "")
}

func BenchmarkRoomToken(b *testing.B) {
	w := newWorld(b, nil)
	key := w.key("shop", app.IssueTokens)
	b.ReportAllocs()
	for b.Loop() {
		w.ask("POST", "/tokens/room", key, `{"room":"standup","user":{"name":"Ann"}}`)
	}
}
