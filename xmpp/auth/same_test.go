package auth

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"

	"parley/internal/store"
)

// counted runs f and returns how much work of each kind it took.
func counted(s *Server, f func()) map[string]int {
	work := make(map[string]int)
	s.work = func(kind string, n int) { work[kind] += n }
	f()
	s.work = nil
	return work
}

// An unknown user, a wrong password and an account without a credential for the mechanism get the same answers, of the
// same shape, after the same work.
func TestHA1UnknownUserLooksLikeAWrongPassword(t *testing.T) {
	people := accounts(t, map[string]string{"alice": "pencil", "gone": "pencil"})
	gone := people.all["gone@"+domain]
	gone.Disabled = true
	people.all["gone@"+domain] = gone
	people.all["old@"+domain] = store.Account{Credentials: nil}

	shape := regexp.MustCompile(`^r=[^,]+,s=([A-Za-z0-9+/]{22}==),i=10000,h=[^,]+$`)
	for _, h := range hashes {
		t.Run(h.name, func(t *testing.T) {
			type outcome struct {
				failure Failure
				work    map[string]int
			}
			var wrong outcome
			for _, name := range []string{"alice", "nobody", "gone", "old", "Ünknown"} {
				s := server(t, DefaultConfig(), people, nil, nil)
				c := newClient(h.name, name, "wrong")
				var f *Failure
				work := counted(s, func() { _, f = c.run(t, s.Stream(tlsChannel), h.name) })
				if !shape.MatchString(c.serverFirst) {
					t.Errorf("%s: challenge %q", name, c.serverFirst)
				}
				if f == nil {
					t.Fatalf("%s is logged in", name)
				}
				f.user = ""
				if name == "alice" {
					wrong = outcome{*f, work}
					if work["hmac"] == 0 || work["store"] != 1 {
						t.Errorf("nothing was counted: %v", work)
					}
				}
				if *f != wrong.failure || f.Condition != "not-authorized" {
					t.Errorf("%s: %+v, want %+v", name, *f, wrong.failure)
				}
				if !maps.Equal(work, wrong.work) {
					t.Errorf("%s: work %v, want %v", name, work, wrong.work)
				}
			}
		})
	}
	t.Run("PLAIN", func(t *testing.T) {
		var wrong Failure
		var usual map[string]int
		for _, name := range []string{"alice", "nobody", "gone", "old", "Ünknown"} {
			for _, password := range []string{"wrong", "\u0001", "pencil2"} {
				s := server(t, DefaultConfig(), people, nil, nil)
				var f *Failure
				work := counted(s, func() { _, f = plainLogin(s, tlsChannel, "\x00"+name+"\x00"+password) })
				if f == nil {
					t.Fatalf("%s is logged in", name)
				}
				f.user = ""
				if usual == nil {
					wrong, usual = *f, work
					if work["pbkdf2"] != iterations || work["hmac"] == 0 {
						t.Errorf("nothing was counted: %v", work)
					}
				}
				if *f != wrong || !maps.Equal(work, usual) {
					t.Errorf("%s: %+v after %v, want %+v after %v", name, *f, work, wrong, usual)
				}
			}
		}
	})
	t.Run("a disabled account is named to its owner only", func(t *testing.T) {
		s := server(t, DefaultConfig(), people, nil, nil)
		_, f := newClient("SCRAM-SHA-256", "gone", "pencil").run(t, s.Stream(tlsChannel), "SCRAM-SHA-256")
		wantFailure(t, f, "account-disabled", "auth.disabled")
		_, f = plainLogin(s, tlsChannel, "\x00gone\x00pencil")
		wantFailure(t, f, "account-disabled", "auth.disabled")
	})
}

func TestHA1FakeSaltIsStable(t *testing.T) {
	people := accounts(t, nil)
	salt := func(s *Server, mechanism, name string) string {
		x, err := s.Stream(tlsChannel).Begin(mechanism)
		if err != nil {
			t.Fatal(err)
		}
		challenge, _, err := x.Step(context.Background(), []byte("n,,n="+name+",r=x"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(string(challenge), ",")[1]
	}
	s := server(t, DefaultConfig(), people, nil, nil)
	restarted := server(t, DefaultConfig(), people, nil, nil)
	seen := make(map[string]string)
	for _, mechanism := range []string{"SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		for _, name := range []string{"nobody", "noone", "x y"} {
			got := salt(s, mechanism, name)
			if got != salt(s, mechanism, name) || got != salt(restarted, mechanism, name) {
				t.Errorf("%s %s: the salt changes", mechanism, name)
			}
			if other, ok := seen[got]; ok {
				t.Errorf("%s and %s %s share a salt", other, mechanism, name)
			}
			seen[got] = mechanism + name
		}
	}
	if salt(s, "SCRAM-SHA-1", "Nobody") != salt(s, "SCRAM-SHA-1", "nobody") {
		t.Error("spellings of one name have different salts, which those of an account have not")
	}
	other, err := New(DefaultConfig(), domain, []byte(strings.Repeat("x", 32)), people, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if salt(other, "SCRAM-SHA-1", "nobody") == salt(s, "SCRAM-SHA-1", "nobody") {
		t.Error("the salt does not depend on the server's secret")
	}
}

func TestLogNamesNobody(t *testing.T) {
	rec, log, count := recorder()
	s := server(t, DefaultConfig(), accounts(t, map[string]string{"alice": "pencil"}), nil, rec)
	for range 3 {
		plainLogin(s, tlsChannel, "\x00alice\x00hunter2")
	}
	newClient("SCRAM-SHA-256", "alice", "hunter2").run(t, s.Stream(tlsChannel), "SCRAM-SHA-256")
	if count("auth.fail") != 4 {
		t.Errorf("counted %v", count("auth.fail"))
	}
	if text := log.String(); !strings.Contains(text, "user=") || strings.Contains(text, "alice") || strings.Contains(text, "hunter2") {
		t.Errorf("log: %s", text)
	}
	if text := fmt.Sprint(s.Stream(tlsChannel).Mechanisms()); strings.Contains(text, "PLUS") {
		t.Errorf("-PLUS without channel binding: %s", text)
	}
}
