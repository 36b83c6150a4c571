package auth

import (
	"strings"
	"testing"

	"parley/internal/store"
)

func TestHA3PlainWithTwoIdentities(t *testing.T) {
	rec, _, count := recorder()
	s := server(t, DefaultConfig(), accounts(t, map[string]string{"alice": "pencil", "bob": "pencil"}), nil, rec)
	for _, response := range []string{"bob@meet.example\x00alice\x00pencil", "bob\x00alice\x00pencil", "alice@meet.example/desk\x00alice\x00pencil"} {
		id, f := plainLogin(s, tlsChannel, response)
		wantFailure(t, f, "invalid-authzid", "auth.authzid")
		if id != (Identity{}) {
			t.Errorf("%q is logged in as %v", response, id)
		}
	}
	if count("auth.authzid") != 3 {
		t.Errorf("counted %v times", count("auth.authzid"))
	}
	for _, response := range []string{
		"", "\x00", "\x00\x00", "\x00alice", "alice\x00pencil", "\x00alice\x00", "\x00\x00pencil", "\x00alice\x00pencil\x00",
		"\x00alice\x00\x00pencil", "a\x00alice\x00bob\x00pencil", "\x00alice\x00pen\xffcil", "\x00al\xc0\xafice\x00pencil",
		"\x00" + strings.Repeat("a", 1024) + "\x00pencil", "\x00alice\x00" + strings.Repeat("p", 1024), strings.Repeat("a", 1024) + "\x00alice\x00pencil",
	} {
		id, f := plainLogin(s, tlsChannel, response)
		wantFailure(t, f, "malformed-request", "auth.malformed")
		if id != (Identity{}) {
			t.Errorf("%.20q is logged in as %v", response, id)
		}
	}
}

func TestPlain(t *testing.T) {
	s := server(t, DefaultConfig(), accounts(t, map[string]string{"alice": "pencil", "zoë": "pass\u00a0wörd ²"}), nil, nil)
	for response, want := range map[string]string{
		"\x00alice\x00pencil":                     "alice",
		"\x00ALICE\x00pencil":                     "alice",
		"\x00alice\x00Pencil":                     "",
		"\x00alice\x00pencil ":                    "",
		"\x00alice\x00pencil\n":                   "",
		"\x00alice@meet.example\x00pencil":        "",
		"\x00zoë\x00pass\u00a0wörd ²":             "zoë",
		"\x00zoe\u0308\x00pass wo\u0308rd ²":      "zoë", // other spellings of the same (RFC 8265 §4.2)
		"\x00zoë\x00pass wörd 2":                  "",
		"zoë@meet.example\x00zoë\x00pass wörd ²":  "zoë",
		"ZOË@MEET.EXAMPLE.\x00zoë\x00pass wörd ²": "zoë",
	} {
		id, f := plainLogin(s, tlsChannel, response)
		switch {
		case want == "":
			wantFailure(t, f, "not-authorized", "auth.fail")
		case f != nil || string(id.Addr) != want+"@"+domain || id.Anonymous || id.Bound || id.Mechanism != "PLAIN" || id.Claims != nil:
			t.Errorf("%q: %+v %v", response, id, f)
		}
	}
}

// An account that came from elsewhere may have one credential only.
func TestPlainWithAnyCredential(t *testing.T) {
	people := &people{all: make(map[string]store.Account)}
	for i, c := range credentials(t, "pencil") {
		addr := []string{"a", "b", "c"}[i] + "@" + domain
		people.all[addr] = store.Account{Addr: addr, Credentials: []store.Credential{c}}
	}
	s := server(t, DefaultConfig(), people, nil, nil)
	for _, name := range []string{"a", "b", "c"} {
		if _, f := plainLogin(s, tlsChannel, "\x00"+name+"\x00pencil"); f != nil {
			t.Errorf("%s: %v", name, f)
		}
		if _, f := plainLogin(s, tlsChannel, "\x00"+name+"\x00wrong"); f == nil {
			t.Errorf("%s is logged in", name)
		}
	}
}

// What the store holds may be damaged: nothing of it may log anybody in.
func TestDamagedCredentials(t *testing.T) {
	good := credentials(t, "pencil")
	people := &people{all: make(map[string]store.Account)}
	for name, change := range map[string]func(*store.Credential){
		"nothing": func(c *store.Credential) { *c = store.Credential{Mechanism: c.Mechanism} },
		"short":   func(c *store.Credential) { c.StoredKey = c.StoredKey[:8] },
		"long":    func(c *store.Credential) { c.ServerKey = append([]byte{1}, c.ServerKey...) },
		"zero":    func(c *store.Credential) { c.Iterations = 0 },
		"minus":   func(c *store.Credential) { c.Iterations = -1 },
	} {
		var list []store.Credential
		for _, c := range good {
			change(&c)
			list = append(list, c)
		}
		people.all[name+"@"+domain] = store.Account{Credentials: list}
	}
	s := server(t, DefaultConfig(), people, nil, nil)
	for addr := range people.all {
		name, _, _ := strings.Cut(addr, "@")
		_, f := plainLogin(s, tlsChannel, "\x00"+name+"\x00pencil")
		wantFailure(t, f, "not-authorized", "auth.fail")
		for _, h := range hashes {
			_, f := newClient(h.name, name, "pencil").run(t, s.Stream(tlsChannel), h.name)
			wantFailure(t, f, "not-authorized", "auth.fail")
		}
	}
}
