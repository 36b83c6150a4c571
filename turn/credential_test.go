package turn

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"parley/internal/stun"
)

// TestHT5Credentials proves wrongly who the client is, in every part of the proof. The answers do not tell which part was
// wrong.
func TestHT5Credentials(t *testing.T) {
	s := start(t, nil)
	now := time.Now()
	good, password := Credentials(testSecret, "romeo", time.Hour, now)
	signed := func(username string) [2]string { return [2]string{username, restPassword(testSecret, username)} }
	stamp := func(d time.Duration) string { return fmt.Sprint(now.Add(d).Unix()) }
	for i, k := range []struct {
		name       string
		code       int
		credential [2]string
		realm      string
		nonce      string
	}{
		{name: "wrong password", code: unauthorized, credential: [2]string{good, "wrong"}},
		{name: "password of another user", code: unauthorized, credential: [2]string{stamp(time.Hour) + ":juliet", password}},
		{name: "password of another secret", code: unauthorized, credential: [2]string{good, restPassword(testSecret+"!", good)}},
		{name: "wrong realm", code: unauthorized, credential: signed(good), realm: "other.example"},
		{name: "wrong nonce", code: staleNonce, credential: signed(good), nonce: "AAAAAAAAAAAAAAAA"},
		{name: "short nonce", code: staleNonce, credential: signed(good), nonce: "A"},
		{name: "expired a second ago", code: unauthorized, credential: signed(stamp(-time.Second) + ":romeo")},
		{name: "good for longer than there is", code: unauthorized, credential: signed(stamp(MaxTTL+2*leeway) + ":romeo")},
		{name: "no time", code: unauthorized, credential: signed("romeo")},
		{name: "no user", code: unauthorized, credential: signed(stamp(time.Hour) + ":")},
		{name: "negative time", code: unauthorized, credential: signed("-1:romeo")},
		{name: "time that is no number", code: unauthorized, credential: signed("soon:romeo")},
		{name: "time of 30 digits", code: unauthorized, credential: signed(strings.Repeat("9", 30) + ":romeo")},
		{name: "right", credential: signed(good)},
		{name: "right, with colons", credential: signed(stamp(time.Minute) + ":room:romeo:1")},
	} {
		t.Run(k.name, func(t *testing.T) {
			c := s.rawFrom(t, "udp", "romeo", fmt.Sprintf("127.0.4.%d", i+1))
			c.username, c.password = k.credential[0], k.credential[1]
			first := c.ask(c.write(stun.Allocate, stun.Request, newID(), withUDP), patience)
			if first.Code != unauthorized || string(first.Realm) != testRealm {
				t.Fatalf("without a proof: %d, realm %q", first.Code, first.Realm)
			}
			c.realm, c.nonce = string(first.Realm), string(first.Nonce)
			if k.realm != "" {
				c.realm = k.realm
			}
			if k.nonce != "" {
				c.nonce = k.nonce
			}
			before := s.counted(t, "turn.auth")
			answer := c.ask(c.write(stun.Allocate, stun.Request, newID(), withUDP), patience)
			if answer.Code != k.code || (k.code == 0) != (answer.Class == stun.Success) {
				t.Errorf("%d, want %d", answer.Code, k.code)
			}
			if counted := s.counted(t, "turn.auth") > before; counted != (k.code == unauthorized) {
				t.Errorf("turn.auth counted: %v", counted)
			}
			if k.code != 0 && len(answer.Nonce) != nonceSize {
				t.Errorf("no nonce to try again with: %q", answer.Nonce)
			}
		})
	}
	c := s.raw(t, "udp", "romeo")
	c.want(allocationMismatch, stun.Refresh)
	b := sign(withUDP(begin(stun.Allocate, stun.Request, newID())), c.username, "other.example", c.nonce, c.key())
	if m := c.ask(b, patience); m.Code != unauthorized {
		t.Errorf("another realm than the proof is for: %d, want %d", m.Code, unauthorized)
	}
	w := stun.Write(nil, stun.Allocate, stun.Request, newID())
	w.String(stun.Username, c.username)
	w.Integrity(stun.NewKey(c.key()))
	if m := c.ask(w.Buffer(), patience); m.Code != badRequest {
		t.Errorf("without realm and nonce: %d, want %d", m.Code, badRequest)
	}
}

// TestHT5OtherUser uses the allocation of one user with the credential of another.
func TestHT5OtherUser(t *testing.T) {
	s := start(t, nil)
	c := s.raw(t, "tcp", "romeo")
	c.allocate()
	c.username, c.password = Credentials(testSecret, "juliet", time.Hour, time.Now())
	c.want(wrongCredentials, stun.Refresh, with32(stun.Lifetime, 0))
	c.want(wrongCredentials, stun.CreatePermission, withPeer("8.8.8.8:1"))
	c.want(wrongCredentials, stun.ChannelBind, withPeer("8.8.8.8:1"), with32(stun.ChannelNumber, 0x4000<<16))
	c.username, c.password = Credentials(testSecret, "romeo", time.Hour/2, time.Now()) // a newer one of the same user
	c.must(stun.Refresh)
}

// TestHT5Expiry has a credential that ends during a call: what was allocated with it goes on, until the allocation is too
// old; nothing new begins.
func TestHT5Expiry(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *Config) { c.Lifetime, c.MaxLifetime, c.MaxAge = time.Second, time.Second, 2500*time.Millisecond })
	began := time.Now()
	c := s.raw(t, "udp", "romeo")
	c.username, c.password = Credentials(testSecret, "romeo", 2*time.Second, began) // the time is cut to seconds
	c.allocate()
	for time.Since(began) < 2100*time.Millisecond {
		c.must(stun.Refresh)
		time.Sleep(100 * time.Millisecond)
	}
	late := s.raw(t, "udp", "romeo")
	late.username, late.password = c.username, c.password
	late.want(unauthorized, stun.Allocate, withUDP)
	eventually(t, "refused for its age", func() bool {
		time.Sleep(100 * time.Millisecond)
		code, _ := c.request(stun.Refresh)
		return code == unauthorized
	})
	eventually(t, "ended", func() bool { return s.Allocations() == 0 })
}

// TestHT5End ends the participation of one user: at once its relayed addresses and connections are gone, and its
// credentials are refused; nobody else notices.
func TestHT5End(t *testing.T) {
	s := start(t, nil)
	one, two := s.connect(t, "udp", "juliet"), s.connect(t, "tls", "nurse")
	var kicked []*rawClient
	var relays []netip.AddrPort
	for _, network := range networks {
		c := s.raw(t, network, "romeo")
		relays = append(relays, c.allocate())
		c.must(stun.CreatePermission, withPeer(one.relay.LocalAddr().String()))
		kicked = append(kicked, c)
	}
	s.End("romeo")
	if n := s.Allocations(); n != 2 {
		t.Fatalf("%d allocations, want 2", n)
	}
	for _, relay := range relays {
		conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(relay))
		if err != nil {
			t.Errorf("%v is still bound: %v", relay, err)
			continue
		}
		conn.Close()
	}
	for _, c := range kicked {
		if c.stream {
			c.wantClosed()
			continue
		}
		c.want(unauthorized, stun.Refresh)
		c.want(unauthorized, stun.Allocate, withUDP)
	}
	again := s.raw(t, "tcp", "romeo") // another credential of the same user, from elsewhere
	again.want(unauthorized, stun.Allocate, withUDP)
	call(t, one.relay, two.relay)
	s.End("romeo")
	s.End("nobody")
	call(t, one.relay, two.relay)
}

// TestHT5EndDuringAllocate ends a user while it allocates all the time: nothing is left.
func TestHT5EndDuringAllocate(t *testing.T) {
	s := start(t, nil)
	var clients []*rawClient
	for range 5 {
		c := s.raw(t, "udp", "romeo")
		c.want(allocationMismatch, stun.Refresh)
		clients = append(clients, c)
	}
	for _, c := range clients {
		c.send(c.write(stun.Allocate, stun.Request, newID(), withUDP))
	}
	s.End("romeo")
	for _, c := range clients {
		c.want(unauthorized, stun.Allocate, withUDP)
	}
	if n := s.Allocations(); n != 0 {
		t.Errorf("%d allocations", n)
	}
}

// TestEndedAreForgotten ends very many users: those whose credentials have expired anyway are not remembered.
func TestEndedAreForgotten(t *testing.T) {
	s := start(t, nil)
	now := time.Now()
	s.mu.Lock()
	for i := range 10_000 {
		s.ended.add(fmt.Sprint("old ", i), now.Add(-2*time.Hour))
	}
	s.mu.Unlock()
	for i := range 10_000 {
		s.End(fmt.Sprint("new ", i))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.ended.until); n > 12_000 {
		t.Errorf("%d users are remembered", n)
	}
	for i := range 10_000 {
		if !s.ended.has(fmt.Sprint("new ", i), now.Add(MaxTTL)) {
			t.Fatalf("user %d is forgotten", i)
		}
	}
}

// TestCredentials compares with the scheme as coturn has it; openssl made the value.
func TestCredentials(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	username, password := Credentials("north", "romeo", 10*time.Minute, now)
	// printf 1800000600:romeo | openssl dgst -sha1 -hmac north -binary | base64
	if username != "1800000600:romeo" || password != "bgTR4UJLDBYdwChhBHcCniO3h7c=" {
		t.Errorf("%s %s", username, password)
	}
	if username, _ := Credentials("north", "romeo", 24*time.Hour, now); username != "1800003600:romeo" {
		t.Errorf("a day becomes %s", username)
	}
	if a, b := NewSecret(), NewSecret(); a == b || len(a) < 32 {
		t.Errorf("secrets %q, %q", a, b)
	}
}

func TestNonces(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	here, there := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	n := newNonces()
	nonce := n.make(here, now)
	if len(nonce) != nonceSize || !n.valid([]byte(nonce), here, now) || !n.valid([]byte(nonce), here, now.Add(nonceLife)) {
		t.Errorf("nonce %q is not valid", nonce)
	}
	for name, valid := range map[string]bool{
		"elsewhere":         n.valid([]byte(nonce), there, now),
		"an hour later":     n.valid([]byte(nonce), here, now.Add(nonceLife+time.Second)),
		"before its time":   n.valid([]byte(nonce), here, now.Add(-time.Second)),
		"of another server": newNonces().valid([]byte(nonce), here, now),
		"with one more":     n.valid([]byte(nonce+"A"), here, now),
		"cut":               n.valid([]byte(nonce[1:]), here, now),
		"not base64":        n.valid([]byte("****************"), here, now),
		"nothing":           n.valid(nil, here, now),
	} {
		if valid {
			t.Errorf("a nonce is valid %s", name)
		}
	}
}

// FuzzUsername says of any username: what is read is what was written, and nothing else is taken for it.
func FuzzUsername(f *testing.F) {
	for _, s := range []string{"1800000600:romeo", "0:a:b", ":", "romeo", "-1:x", "99999999999999999999:x", "1:", "+5:x", "١:x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		user, expiry, ok := parseUsername(s)
		if !ok {
			return
		}
		if user == "" || !strings.HasSuffix(s, ":"+user) || expiry.Unix() < 0 {
			t.Fatalf("%q: user %q, expiry %v", s, user, expiry)
		}
		written, _ := Credentials("north", user, 0, expiry)
		again, same, ok := parseUsername(written)
		if !ok || again != user || !same.Equal(expiry) {
			t.Fatalf("%q was written as %q", s, written)
		}
	})
}

// FuzzNonce says of any bytes that they are no nonce of ours.
func FuzzNonce(f *testing.F) {
	n, now, here := newNonces(), time.Unix(1_800_000_000, 0), netip.MustParseAddr("192.0.2.1")
	f.Add([]byte(newNonces().make(here, now)))
	f.Add([]byte("AAAAAAAAAAAAAAAA"))
	f.Add([]byte("\n\n\n\nAAAAAAAAAAAA"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n.valid(b, here, now) {
			t.Fatalf("%q is valid", b)
		}
	})
}
