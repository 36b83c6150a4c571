package auth

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/limit"
)

// guess tries a wrong proof by SCRAM, which costs the server little, and returns the failure.
func guess(t *testing.T, s *Server, from netip.Addr, name string) *Failure {
	t.Helper()
	ctx := context.Background()
	x, err := s.Stream(Channel{Source: from, Secure: true}).Begin("SCRAM-SHA-256")
	if err != nil {
		t.Fatal(err)
	}
	challenge, done, err := x.Step(ctx, []byte("n,,n="+name+",r=x"))
	if err == nil {
		nonce, _, _ := strings.Cut(string(challenge), ",")
		_, done, err = x.Step(ctx, []byte("c=biws,"+nonce+",p="+strings.Repeat("A", 43)+"="))
	}
	if err == nil || done {
		t.Fatalf("%s is logged in as %v", name, x.Identity())
	}
	return asFailure(err)
}

// enter tries the right password.
func enter(s *Server, from netip.Addr, name string) *Failure {
	_, f := plainLogin(s, Channel{Source: from, Secure: true}, "\x00"+name+"\x00pencil")
	return f
}

func TestHA2OneUserFromOneSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, name := range []string{"alice", "nobody"} { // a user that is not there is guarded alike
			s := alices(t)
			for i, seconds := range []int{0, 1, 2, 4, 8, 16, 30, 30, 30, 30} {
				f := guess(t, s, alice, name)
				wantFailure(t, f, "not-authorized", "auth.fail")
				if f.Delay != time.Duration(seconds)*time.Second {
					t.Errorf("%s: failure %d is answered after %v, want %d s", name, i+1, f.Delay, seconds)
				}
			}
			for range 3 {
				f := guess(t, s, alice, name)
				wantFailure(t, f, "temporary-auth-failure", "auth.brute")
				if f.Delay != 30*time.Second {
					t.Errorf("%s: refused after %v", name, f.Delay)
				}
			}
			if name == "alice" { // and the right password tells nothing either
				wantFailure(t, enter(s, alice, name), "temporary-auth-failure", "auth.brute")
			}
			work := counted(s, func() { guess(t, s, alice, name) })
			if len(work) != 1 || work["hmac"] != 1 {
				t.Errorf("%s: a refused try costs %v", name, work)
			}
			time.Sleep(7 * time.Second) // 10 a minute come back
			wantFailure(t, guess(t, s, alice, name), "not-authorized", "auth.fail")
			wantFailure(t, guess(t, s, alice, name), "temporary-auth-failure", "auth.brute")
			time.Sleep(forgiven + time.Second)
			if f := guess(t, s, alice, name); f.Delay != 0 {
				t.Errorf("%s: after %v without a failure the delay is %v", name, forgiven, f.Delay)
			}
		}
	})
}

func TestHA2PlainIsGuardedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := alices(t)
		for i := range 10 {
			_, f := plainLogin(s, tlsChannel, "\x00alice\x00wrong")
			wantFailure(t, f, "not-authorized", "auth.fail")
			if (f.Delay > 0) != (i > 0) {
				t.Errorf("failure %d is answered after %v", i+1, f.Delay)
			}
		}
		_, f := newClient("SCRAM-SHA-1", "alice", "pencil").run(t, s.Stream(tlsChannel), "SCRAM-SHA-1")
		wantFailure(t, f, "temporary-auth-failure", "auth.brute")
		work := counted(s, func() { _, f = plainLogin(s, tlsChannel, "\x00alice\x00pencil") })
		wantFailure(t, f, "temporary-auth-failure", "auth.brute")
		if work["pbkdf2"] != 0 || work["store"] != 0 {
			t.Errorf("a refused try costs %v", work)
		}
	})
}

func TestHA2OneUserFromManySources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := alices(t)
		home := netip.MustParseAddr("203.0.113.7")
		if f := enter(s, home, "alice"); f != nil {
			t.Fatal(f)
		}
		right, refused := 0, 0
		for i := range 100 {
			switch f := guess(t, s, nth(i), "alice"); f.Condition {
			case "not-authorized":
				right++
			case "temporary-auth-failure":
				refused++
			}
		}
		if right != 30 || refused != 70 {
			t.Errorf("%d guesses were looked at, %d were refused", right, refused)
		}
		wantFailure(t, enter(s, nth(200), "alice"), "temporary-auth-failure", "auth.brute")
		// The user is not locked out from where they are known, even after a mistake of their own.
		for range 20 {
			if f := guess(t, s, home, "alice"); f.Condition != "not-authorized" {
				t.Fatalf("locked out at home: %v", f)
			}
			if f := enter(s, home, "alice"); f != nil {
				t.Fatalf("locked out at home: %v", f)
			}
		}
		// A wrong password is delayed there all the same.
		var last time.Duration
		for range 8 {
			last = guess(t, s, home, "alice").Delay
		}
		if last != 30*time.Second {
			t.Errorf("the eighth failure at home is answered after %v", last)
		}
		// Known is one user at one source, not the source.
		wantFailure(t, enter(s, home, "bob"), "not-authorized", "auth.fail")
	})
}

func TestHA2ManyUsersFromOneSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(t, DefaultConfig(), accounts(t, map[string]string{"alice": "pencil", "bob": "pencil"}), nil, nil)
		if f := enter(s, alice, "bob"); f != nil {
			t.Fatal(f)
		}
		for i := range 100 {
			wantFailure(t, guess(t, s, alice, fmt.Sprint("u", i)), "not-authorized", "auth.fail")
		}
		wantFailure(t, guess(t, s, alice, "u100"), "temporary-auth-failure", "auth.brute")
		wantFailure(t, enter(s, alice, "alice"), "temporary-auth-failure", "auth.brute")
		if f := enter(s, alice, "bob"); f != nil { // who shares the address, and was there before
			t.Errorf("bob is locked out: %v", f)
		}
		if f := enter(s, nth(1), "alice"); f != nil {
			t.Errorf("another source is locked out: %v", f)
		}
	})
}

func TestHA2SourcesOfIPv6AreNetworks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := alices(t)
		for i := range 10 {
			guess(t, s, netip.MustParseAddr(fmt.Sprintf("2001:db8:1:2::%x", i+1)), "alice")
		}
		wantFailure(t, guess(t, s, netip.MustParseAddr("2001:db8:1:2:ffff::1"), "alice"), "temporary-auth-failure", "auth.brute")
		wantFailure(t, guess(t, s, netip.MustParseAddr("2001:db8:1:3::1"), "alice"), "not-authorized", "auth.fail")
		for range 5 {
			guess(t, s, netip.MustParseAddr("192.0.2.9"), "alice")
			guess(t, s, netip.MustParseAddr("::ffff:192.0.2.9"), "alice")
		}
		wantFailure(t, guess(t, s, netip.MustParseAddr("192.0.2.9"), "alice"), "temporary-auth-failure", "auth.brute")
	})
}

// Many people behind one address log in at once: success costs the budgets nothing.
func TestSuccessTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := alices(t)
		g := s.guard
		for i := range 1000 {
			key := userKey{byte(i), byte(i >> 8)}
			if _, ok := g.admit(alice, key, time.Now()); !ok {
				t.Fatalf("user %d is refused", i)
			}
			g.succeeded(alice, key, time.Now())
		}
		if f := enter(s, alice, "alice"); f != nil {
			t.Error(f)
		}
	})
}

// While the store is away, tries are answered temporary-auth-failure and cost nobody anything.
func TestHF7StoreAwayLocksNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec, _, count := recorder()
		people := accounts(t, map[string]string{"alice": "pencil"})
		s := server(t, DefaultConfig(), people, nil, rec)
		people.down = true
		for range 200 {
			wantFailure(t, enter(s, alice, "alice"), "temporary-auth-failure", "auth.store")
		}
		if count("auth.store") != 200 || count("auth.brute") != 0 {
			t.Errorf("counted %v and %v", count("auth.store"), count("auth.brute"))
		}
		people.down = false
		for i := range 10 {
			if f := guess(t, s, alice, "alice"); f.Condition != "not-authorized" {
				t.Fatalf("try %d afterwards: %v", i+1, f)
			}
		}
		wantFailure(t, enter(s, alice, "alice"), "temporary-auth-failure", "auth.brute")
	})
}

// Whatever strangers try, memory is bounded, and who is known stays known.
func TestHA2MemoryIsBounded(t *testing.T) {
	g := newGuard(limit.Rate{PerSecond: 1, Burst: 10}, limit.Rate{PerSecond: 1, Burst: 30}, limit.Rate{PerSecond: 1, Burst: 100}, time.Second)
	now := time.Now()
	bob := userKey{1}
	g.succeeded(alice, bob, now)
	for i := range 3 * remembered {
		from := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		key := userKey{2, byte(i >> 16), byte(i >> 8), byte(i)}
		g.admit(from, key, now)
		g.failed(from, key, now)
	}
	for what, n := range map[string]int{"tries": len(g.tries.at), "users": len(g.users.at), "sources": len(g.sources.at), "known": len(g.known.at)} {
		if n > remembered {
			t.Errorf("%d %s are remembered", n, what)
		}
	}
	for range 100 {
		if _, ok := g.admit(alice, bob, now); !ok {
			t.Fatal("who was known is forgotten")
		}
	}
}
