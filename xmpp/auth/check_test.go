package auth

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestPasswordOutsideOfSASL(t *testing.T) {
	rec, log, count := recorder()
	p := accounts(t, map[string]string{"alice": "pencil", "bob": "pencil"})
	disabled := p.all["bob@"+domain]
	disabled.Disabled = true
	p.all["bob@"+domain] = disabled
	s := server(t, DefaultConfig(), p, nil, rec)
	from := netip.MustParseAddr("198.51.100.7")
	for _, c := range []struct{ name, password, condition string }{
		{"alice", "pencil", ""}, {"ALICE", "pencil", ""}, {"alice@" + domain, "pencil", ""},
		{"alice", "Pencil", "not-authorized"}, {"alice", "", "not-authorized"}, {"", "pencil", "not-authorized"}, {"alice@other.example", "pencil", "not-authorized"},
		{"al\xc0\xafice", "pencil", "not-authorized"}, {strings.Repeat("a", 1024), "pencil", "not-authorized"}, {"alice", strings.Repeat("p", 1024), "not-authorized"},
		{"nobody", "pencil", "not-authorized"}, {"bob", "pencil", "account-disabled"}, {"bob", "wrong", "not-authorized"},
	} {
		addr, err := s.Password(context.Background(), from, c.name, c.password)
		switch {
		case c.condition == "":
			if err != nil || addr != "alice@"+domain {
				t.Errorf("%q: %q %v", c.name, addr, err)
			}
		case addr != "":
			t.Errorf("%.20q %.20q: %q", c.name, c.password, addr)
		default:
			f := asFailure(err)
			if f.Condition != c.condition {
				t.Errorf("%.20q %.20q: %v", c.name, c.password, err)
			}
		}
	}
	if count("auth.fail") == 0 || count("auth.disabled") != 1 {
		t.Errorf("counted %v %v", count("auth.fail"), count("auth.disabled"))
	}
	if strings.Contains(log.String(), "pencil") || strings.Contains(log.String(), "alice") {
		t.Error("the log tells who it was, or the password")
	}
	p.down = true
	if _, err := s.Password(context.Background(), from, "alice", "pencil"); asFailure(err).Condition != "temporary-auth-failure" {
		t.Errorf("without a store: %v", err)
	}
}

// Tries of SASL and of other doors come from one budget.
func TestHA2GuessesOfAllDoorsAreOne(t *testing.T) {
	s := alices(t)
	from := netip.MustParseAddr("198.51.100.7")
	for range int(s.cfg.UserRate.Burst) {
		plainLogin(s, Channel{Source: from, Secure: true}, "\x00alice\x00wrong")
	}
	_, err := s.Password(context.Background(), from, "alice", "pencil")
	f := asFailure(err)
	if f.Condition != "temporary-auth-failure" || f.Delay < time.Second {
		t.Errorf("%+v", f)
	}
	if _, err := s.Password(context.Background(), netip.MustParseAddr("203.0.113.1"), "alice", "pencil"); err != nil {
		t.Errorf("from elsewhere: %v", err)
	}
}

// HA1: who does not exist costs the same work as who has another password.
func TestHA1PasswordOfNobody(t *testing.T) {
	s := alices(t)
	work := func(name string) map[string]int {
		done := make(map[string]int)
		s.work = func(kind string, n int) { done[kind] += n }
		s.Password(context.Background(), alice, name, "wrong")
		return done
	}
	known, unknown := work("alice"), work("nobody")
	for kind, n := range known {
		if unknown[kind] != n {
			t.Errorf("%s: %d for who exists, %d for who does not", kind, n, unknown[kind])
		}
	}
	if known["pbkdf2"] == 0 {
		t.Error("nothing was measured")
	}
}
