package api

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/internal/app"
	"parley/internal/opaque"
	"parley/internal/store"
	"parley/internal/token"
	"parley/portal/oidc"
	"parley/xmpp/wire"
)

// described is the description as a client reads it.
type described struct {
	OpenAPI string
	Paths   map[string]map[string]struct {
		OperationID string
		Security    []map[string][]string
		Parameters  []struct{ Name, In string }
		RequestBody struct {
			Content map[string]struct{ Schema map[string]any }
		}
		Responses map[string]any
	}
	Components struct {
		Schemas         map[string]map[string]any
		SecuritySchemes map[string]any
	}
}

func (w *world) description() (d described) {
	w.Helper()
	a := w.want(200, "", "GET", "/openapi.json", "", "")
	if err := json.Unmarshal([]byte(a.text), &d); err != nil {
		w.Fatal(err)
	}
	return d
}

// samples are good requests, by operation. A ! stands for a name that is new each time.
var samples = map[string]struct{ path, body string }{
	"log-in":             {"/auth/login", `{"user":"bob","password":"pencil"}`},
	"refresh":            {"/auth/refresh", ``}, // filled in
	"log-out":            {"/auth/logout", ``},
	"who-am-i":           {"/me", ``},
	"list-logins":        {"/me/logins", ``},
	"end-login":          {"/me/logins/", ``}, // filled in
	"make-room-token":    {"/tokens/room", `{"room":"standup"}`},
	"revoke-token":       {"/tokens/revoke", ``}, // filled in
	"explain-token":      {"/tokens/explain", `{"token":"a.b.c"}`},
	"get-ice-servers":    {"/turn", ``},
	"list-applications":  {"/apps", ``},
	"add-application":    {"/apps", `{"name":"!","scopes":["turn"]}`},
	"get-application":    {"/apps/some", ``},
	"remove-application": {"/apps/gone-!", ``},
	"add-key":            {"/apps/some/keys", ``},
	"remove-key":         {"/apps/some/keys/", ``}, // filled in
	"list-rooms":         {"/rooms", ``},
	"get-room":           {"/rooms/some", ``},
	"end-room":           {"/rooms/gone-!/end", `{}`},
	"expel-member":       {"/rooms/some/expel", `{"nick":"ann"}`},
	"list-webhooks":      {"/apps/some/hooks", ``},
	"add-webhook":        {"/apps/some/hooks", `{"url":"https://hooks.example/x","events":["call.ended"]}`},
	"remove-webhook":     {"/apps/some/hooks/", ``}, // filled in
	"ping-webhook":       {"/apps/some/hooks/", ``}, // filled in
	"add-meeting":        {"/meetings", ``},         // filled in, as all of these
	"list-meetings":      {"/meetings", ``},
	"get-meeting":        {"/meetings/", ``},
	"remove-meeting":     {"/meetings/", ``},
	"invite":             {"/meetings/", `{"name":"Ann"}`},
	"remove-invitation":  {"/meetings/", ``},
	"use-invitation":     {"/invitations/token", ``},
	"begin-openid":       {"/auth/oidc/begin", `{}`},
	"finish-openid":      {"/auth/oidc/finish", ``}, // filled in, as the next
	"link-identity":      {"/me/identities", ``},
	"list-contacts":      {"/me/contacts", ``},
	"set-contact":        {"/me/contacts/carl@example.org", `{"name":"Carl","groups":["Friends"]}`},
	"remove-contact":     {"/me/contacts/", ``}, // filled in, as the next
	"end-device":         {"/me/devices/", ``},
	"list-devices":       {"/me/devices", ``},
	"list-identities":    {"/me/identities", ``},
	"unlink-identity":    {"/me/identities/", ``}, // filled in
	"list-accounts":      {"/accounts", ``},
	"add-account":        {"/accounts", `{"name":"!","password":"secret"}`},
	"get-account":        {"/accounts/carl", ``},
	"remove-account":     {"/accounts/gone-!", ``},
	"set-password":       {"/accounts/carl/password", `{"password":"other"}`},
	"set-state":          {"/accounts/carl/disabled", `{"disabled":true}`},
	"my-calls":           {"/me/calls", ``},
	"list-calls":         {"/calls", ``},
	"get-report":         {"/reports/2026-08-01", ``},
	"get-report-as":      {"/reports/2026-08-01/html", ``},
	"get-room-media":     {"/rooms/some/media", ``},
	"list-online":        {"/online", ``},
	"list-ice-servers":   {"/ice", ``},
	"get-health":         {"/health", ``},
}

// meeting makes one of whose key it is, or else of bob, and an invitation.
func (w *world) meeting(key string) (m store.Meeting, g store.Guest, secret string) {
	w.Helper()
	ctx := context.Background()
	now := time.Now()
	m = store.Meeting{ID: opaque.NewID(), Account: "bob@" + domain, Room: "r", Title: "t", Starts: now, Ends: now.Add(time.Hour), Created: now}
	switch kind, id, _ := opaque.Read(key); kind {
	case opaque.AppKey:
		if a, _, err := w.store.AppOfKey(ctx, id); err == nil {
			m.Account, m.App = "", a.Name
		}
	case opaque.Access:
		if l, err := w.store.Login(ctx, id); err == nil {
			m.Account = l.Addr
		}
	}
	if err := w.store.AddMeeting(ctx, m, 1000); err != nil {
		w.Fatal(err)
	}
	g = store.Guest{ID: opaque.NewID(), Meeting: m.ID, Created: now}
	secret, g.Digest = opaque.New(opaque.Invitation, g.ID)
	if err := w.store.AddGuest(ctx, g, 10); err != nil {
		w.Fatal(err)
	}
	return m, g, secret
}

// whose returns the account of an access token, or else bob's.
func (w *world) whose(key string) string {
	if kind, id, _ := opaque.Read(key); kind == opaque.Access {
		if l, err := w.store.Login(context.Background(), id); err == nil {
			return l.Addr
		}
	}
	return "bob@" + domain
}

// newWalk is a world with all operations that there are.
func newWalk(t *testing.T) *world {
	t.Helper()
	w, at := newOpenID(t, func(p *Parts) { p.MakeAccounts = true })
	w.at = at
	w.furnish()
	return w
}

// sample returns a good request for an operation by who has that key, and makes what it needs.
func (w *world) sample(operation, key string) (path, body string) {
	w.Helper()
	s, ok := samples[operation]
	if !ok {
		w.Fatalf("there is no sample for the operation %s", operation)
	}
	ctx := context.Background()
	w.samples++
	fresh := fmt.Sprintf("n%d", w.samples)
	path, body = strings.ReplaceAll(s.path, "!", fresh), strings.ReplaceAll(s.body, "!", fresh)
	must := func(err error) {
		if err != nil {
			w.Fatal(err)
		}
	}
	switch operation {
	case "refresh":
		_, refresh := w.login("bob")
		body = `{"refresh_token":"` + refresh + `"}`
	case "revoke-token":
		raw, err := w.parts.Signer.Sign(token.Claims{Issuer: "parley", Audience: []string{"parley"}, Room: "standup", Expires: time.Now().Add(time.Minute), User: token.User{ID: "bob"}})
		must(err)
		body = `{"token":"` + raw + `"}`
	case "end-login":
		access, _ := w.login("bob")
		path += access[3:29]
	case "add-webhook", "remove-webhook", "ping-webhook":
		hooks, err := w.store.ListHooks(ctx, "some")
		must(err)
		for _, h := range hooks {
			must(w.store.RemoveHook(ctx, "some", h.ID))
		}
		if operation != "add-webhook" {
			h := store.Hook{ID: opaque.NewID(), App: "some", URL: "https://hooks.example/", Secret: []byte("x"), Created: time.Now()}
			must(w.store.AddHook(ctx, h, 5))
			path += h.ID
		}
		if operation == "ping-webhook" {
			path += "/ping"
		}
	case "finish-openid", "link-identity":
		body = w.consented(w.at, fresh, "of-"+fresh)
	case "remove-contact":
		_, err := w.crowd.SetContact(ctx, wire.Addr(w.whose(key)), store.Contact{Addr: fresh + "@example.org"}, false)
		must(err)
		path += fresh + "@example.org"
	case "end-device":
		path += w.crowd.connect(wire.Addr(w.whose(key)))
	case "unlink-identity":
		who := oidc.Identity{Issuer: "https://login.example", Subject: fresh}
		must(w.store.LinkIdentity(ctx, store.Identity{ID: who.ID(), Addr: w.whose(key), Issuer: who.Issuer, Subject: fresh}, 1000))
		path += who.ID()
	case "add-meeting":
		body = meetingBody(0, time.Hour, "")
	case "get-meeting", "remove-meeting", "invite", "remove-invitation", "use-invitation":
		m, g, secret := w.meeting(key)
		switch operation {
		case "use-invitation":
			body = `{"invitation":"` + secret + `"}`
		case "invite":
			path += m.ID + "/invitations"
		case "remove-invitation":
			path += m.ID + "/invitations/" + g.ID
		default:
			path += m.ID
		}
	case "end-room":
		w.house.open("gone-"+fresh, "ann")
	case "remove-application":
		must(w.store.AddApp(ctx, store.App{Name: "gone-" + fresh}))
	case "remove-account":
		must(w.store.CreateAccount(ctx, store.Account{Addr: "gone-" + fresh + "@" + domain}))
	case "add-key", "remove-key":
		keys, err := w.store.AppKeys(ctx, "some")
		must(err)
		for _, k := range keys {
			must(w.store.RemoveAppKey(ctx, "some", k.ID))
		}
		if operation == "remove-key" {
			_, k := NewKey("some", time.Now())
			must(w.store.AddAppKey(ctx, k, 5))
			path += k.ID
		}
	}
	return path, body
}

func (w *world) furnish() {
	w.key("some")
	w.house.open("some", "ann")
	if err := w.store.CreateAccount(context.Background(), store.Account{Addr: "carl@" + domain, Credentials: pencil()}); err != nil {
		w.Fatal(err)
	}
}

// Every operation is refused without a key and with all scopes but the right one, and done with it.
func TestEveryRouteIsDeniedUnlessAScopeAllowsIt(t *testing.T) {
	w := newWalk(t)
	d := w.description()
	scopes := slices.Sorted(maps.Keys(app.Grantable))
	with := make(map[string]string)    // a key with one scope
	without := make(map[string]string) // a key with all others
	for i, s := range scopes {
		with[string(s)] = w.key(fmt.Sprintf("with-%d", i), s)
		without[string(s)] = w.key(fmt.Sprintf("without-%d", i), slices.DeleteFunc(slices.Clone(scopes), func(o app.Scope) bool { return o == s })...)
	}
	without[string(app.Self)] = w.key("everything", scopes...)
	stranger := "pk_" + strings.Repeat("A", 26) + "_" + strings.Repeat("B", 26)
	walked, openOnes := 0, []string{}
	for path, methods := range d.Paths {
		for method, op := range methods {
			t.Run(op.OperationID, func(t *testing.T) {
				w.TB = t
				walked++
				try := func(status int, code, key string) {
					t.Helper()
					path, body := w.sample(op.OperationID, key)
					a := w.ask(strings.ToUpper(method), path, key, body)
					if a.status/100 != status/100 || status/100 != 2 && (a.status != status || a.code() != code) {
						t.Errorf("%s %s: %d %s, want %d %s", method, path, a.status, a.text, status, code)
					}
					if _, said := op.Responses[fmt.Sprint(a.status)]; !said {
						t.Errorf("the status %d is not described", a.status)
					}
				}
				if len(op.Security) == 0 {
					openOnes = append(openOnes, op.OperationID)
					try(200, "", "")
					return
				}
				try(401, "key.missing", "")
				try(401, "key.unknown", stranger)
				try(401, "key.unknown", "x' OR '1'='1")
				scope := op.Security[0][byToken][0]
				try(403, "scope", without[scope])
				access, refresh := w.login("bob")
				try(401, "key.unknown", refresh)
				if scope == string(app.Self) {
					try(200, "", access)
					return
				}
				try(200, "", with[scope])
				if scope != string(app.IssueTokens) && scope != string(app.TURN) && scope != string(app.Meetings) {
					try(403, "scope", access)
					if op.OperationID != "set-state" && op.OperationID != "set-password" {
						admin, _ := w.login("ann")
						try(200, "", admin)
					}
				} else {
					try(200, "", access)
				}
			})
			w.TB = t
		}
		_ = path
	}
	slices.Sort(openOnes)
	if got := strings.Join(openOnes, " "); got != "begin-openid finish-openid log-in refresh use-invitation" {
		t.Errorf("open to everybody: %s", got)
	}
	if walked != len(samples) {
		t.Errorf("walked through %d operations, and there are %d samples", walked, len(samples))
	}
}

// An operation that names no scope is refused, whoever asks.
func TestWithoutAScopeThereIsNoWayIn(t *testing.T) {
	w := newWorld(t, nil)
	key := w.key("everything", slices.Collect(maps.Keys(app.Grantable))...)
	operation(w.API, "", operationAt("/forgotten"), func(context.Context, *struct{}) (*struct{}, error) { return nil, nil })
	w.want(403, "scope", "GET", "/forgotten", key, "")
	access, _ := w.login("ann")
	if a := w.ask("GET", "/forgotten", access, ""); a.status/100 == 2 && !(&principal{admin: true, login: &store.Login{}}).may("") {
		t.Errorf("%d", a.status)
	}
	w.want(403, "scope", "GET", "/forgotten", access, "")
}

// hostile are strings that mean something to somebody: a database, a browser, a shell, a file system, a parser.
func hostile() (list []string) {
	seeds := []string{
		"' OR '1'='1", "'; DROP TABLE account; --", "\" OR \"\"=\"", "1; SELECT pg_sleep(9)", "' UNION SELECT NULL,NULL--", "') OR 1=1#", "admin'--", "a'||(SELECT 1)||'", "%' AND 1=1 AND '%'='", "x\"; ATTACH DATABASE '/etc/x' AS y",
		"<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "javascript:alert(1)", "\"><svg/onload=alert(1)>", "'-alert(1)-'", "{{7*7}}", "${7*7}", "<%= 7*7 %>", "#{7*7}", "&lt;b&gt;",
		"../../../etc/passwd", "..\\..\\windows\\win.ini", "/etc/shadow", "file:///etc/passwd", "%2e%2e%2fetc%2fpasswd", "....//....//x", "a/../../b", "C:\\x", "\\\\host\\share", "..;/x", "..",
		"{\"$gt\":\"\"}", "[1,2,3]", "{\"a\":{\"b\":", "{\"__proto__\":{\"x\":1}}", "null,\"x\":1", "\"}],\"admin\":true", "{\"a\":1,\"a\":2}", "[[[[[[[[[[", "\\u0000", "1e999,",
		"$(id)", "`id`", "; cat /etc/passwd", "| nc x 1", "&& reboot", "a\nb", "a\r\nSet-Cookie: x=1", "a\tb", "a\x00b", "a\x1bb",
		"${jndi:ldap://x/y}", "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///x'>]>", "<?xml version='1.0'?>", "ann@evil.example", "ann@meet.example/x", "@", "a b", "*", "(|(uid=*))", "a&b=c",
	}
	for _, s := range seeds {
		list = append(list, s, "standup"+s, s+"standup", "x."+s+"'", s+s)
	}
	return list
}

// Three hundred of them, wherever a name or a choice is asked for, are refused and nothing else; in texts for people they are
// refused or stay what they are.
func TestHostileStringsAreRefused(t *testing.T) {
	w := newWalk(t)
	d := w.description()
	key := w.key("everything", slices.Collect(maps.Keys(app.Grantable))...)
	access, _ := w.login("ann")
	strs := hostile()
	if len(strs) < 300 {
		t.Fatalf("only %d", len(strs))
	}
	texts := []string{"password", "label", "id", "name", "email", "group", "reason", "title"} // for people, or never looked into
	tried := 0
	for path, methods := range d.Paths {
		for method, op := range methods {
			method = strings.ToUpper(method)
			who := key
			if len(op.Security) > 0 && op.Security[0][byToken][0] == string(app.Self) {
				who = access
			}
			refused := func(s, where string, a answer) {
				tried++
				if a.status < 400 || a.status > 499 {
					t.Errorf("%s: %q in %s: %d %s", op.OperationID, s, where, a.status, a.text)
				}
			}
			good, body := w.sample(op.OperationID, who)
			for _, s := range strs {
				for _, p := range op.Parameters {
					switch p.In {
					case "path":
						if _, err := contact(s); p.Name == "contact" && err == nil {
							continue // somebody's address, if a strange one
						}
						at := Prefix + strings.ReplaceAll(path, "{"+p.Name+"}", s)
						at = strings.NewReplacer("{app}", "some", "{key}", strings.Repeat("A", 26), "{hook}", strings.Repeat("A", 26), "{identity}", strings.Repeat("A", 26), "{device}", strings.Repeat("A", 26), "{meeting}", strings.Repeat("A", 26), "{guest}", strings.Repeat("A", 26)).Replace(at)
						refused(s, p.Name, w.ask(method, strings.TrimPrefix(at, Prefix), who, body))
					case "query":
						if p.Name != "after" { // any place in a list is one
							refused(s, p.Name, w.ask(method, good+"?"+p.Name+"="+escape(s), who, body))
						}
					}
				}
				if !strings.ContainsAny(s, "?#") {
					refused(s, "the way", w.ask(method, "/"+s, who, body))
				}
				if len(op.Security) > 0 {
					refused(s, "the key", w.ask(method, good, s, body))
				}
				if content, ok := op.RequestBody.Content["application/json"]; ok {
					refused(s, "the body", w.ask(method, good, who, s))
					for name := range d.members(content.Schema) {
						quoted, _ := json.Marshal(s)
						var with map[string]any
						json.Unmarshal([]byte(body), &with)
						with[name] = json.RawMessage(quoted)
						if slices.Contains(texts, name) && !(name == "name" && op.OperationID != "make-room-token" && op.OperationID != "invite" && op.OperationID != "set-contact") || name == "user" && op.OperationID == "log-in" {
							continue
						}
						if name == "room" && s == "*" && op.OperationID == "make-room-token" || name == "token" || name == "refresh_token" {
							continue // all rooms; and what explains tokens, and what compares them, takes any
						}
						text, _ := json.Marshal(with)
						refused(s, name, w.ask(method, good, who, string(text)))
					}
				}
			}
		}
	}
	if tried < 10_000 {
		t.Errorf("only %d were tried", tried)
	}
	for _, s := range strs { // what is no name stays what it is
		quoted, _ := json.Marshal(s)
		a := w.ask("POST", "/tokens/room", key, `{"room":"standup","user":{"name":`+string(quoted)+`}}`)
		if a.status == 201 {
			raw, _ := a.body["token"].(string)
			claims, err := w.parts.Tokens.Check(context.Background(), raw, "")
			if err != nil || claims.User.Name != s {
				t.Errorf("%q: %q %v", s, claims.User.Name, err)
			}
		} else if a.status < 400 || a.status > 499 {
			t.Errorf("%q: %d %s", s, a.status, a.text)
		}
		for _, body := range []string{`{"user":` + string(quoted) + `,"password":"pencil"}`, `{"user":"ann","password":` + string(quoted) + `}`} {
			if a := w.ask("POST", "/auth/login", "", body); a.status < 400 || a.status > 499 {
				t.Errorf("login with %q: %d %s", s, a.status, a.text)
			}
		}
		if a := w.ask("POST", "/auth/refresh", "", `{"refresh_token":`+string(quoted)+`}`); a.status != 401 && a.status != 422 {
			t.Errorf("refresh with %q: %d %s", s, a.status, a.text)
		}
		a = w.ask("POST", "/tokens/explain", key, `{"token":`+string(quoted)+`}`)
		if a.status == 200 && a.body["ok"] != false {
			t.Errorf("%q is explained as good", s)
		}
	}
	list, err := w.store.ListAccounts(context.Background(), "", 100)
	if err != nil || len(list) > 40 {
		t.Errorf("%d accounts %v", len(list), err)
	}
}

// members are those of a schema that is an object.
func (d *described) members(schema map[string]any) map[string]any {
	if ref, ok := schema["$ref"].(string); ok {
		schema = d.Components.Schemas[strings.TrimPrefix(ref, "#/components/schemas/")]
	}
	m, _ := schema["properties"].(map[string]any)
	return m
}
