package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"maps"
	"reflect"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestMintedTokensComeBack(t *testing.T) {
	c := everyKey(t)
	whole := Claims{
		Issuer: "app", Audience: []string{"jitsi", "x"}, ID: "j1", Room: "standup", Tenant: "acme", Door: "whip", Group: "g", Moderator: true,
		Expires: time.Now().Add(time.Hour).Truncate(time.Second), NotBefore: time.Unix(1, 0), IssuedAt: time.Unix(2, 0),
		User:     User{ID: "u1", Name: "Romeo <b>", Email: "r@example", Avatar: "https://example/r.png", HiddenFromRecorder: true},
		Features: map[string]bool{"recording": true, "dial": false},
	}
	for name, k := range map[string]struct {
		kid string
		key any
	}{
		"HMAC": {"", []byte(secret)}, "RSA": {"rsa-1", rsaKey}, "EC": {"", ecKey}, "Ed25519": {"", edKey},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := NewSigner(k.kid, k.key, domain)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := s.Sign(whole)
			if err != nil {
				t.Fatal(err)
			}
			got := wantCode(t, c, raw, "")
			got.Leeway = 0
			if !reflect.DeepEqual(got, whole) {
				t.Errorf("got  %+v\nwant %+v", got, whole)
			}
			raw, err = s.Sign(Claims{Issuer: "app", Audience: []string{"jitsi"}, Room: "r", Expires: time.Now().Add(time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			if got := wantCode(t, c, raw, ""); got.Tenant != "" || len(got.ID) != 22 || got.IssuedAt.IsZero() || got.Moderator {
				t.Errorf("got %+v", got)
			}
		})
	}
	if _, err := NewSigner("", nil, domain); err == nil {
		t.Error("signs without a key")
	}
	if _, err := NewSigner("", []byte(nil), domain); err == nil {
		t.Error("signs with an empty secret")
	}
	if p224, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader); true {
		if _, err := NewSigner("", p224, domain); err == nil {
			t.Error("signs with a curve that is not accepted")
		}
	}
	s, _ := NewSigner("", []byte(secret), domain)
	if _, err := s.Sign(Claims{Issuer: "app"}); err == nil {
		t.Error("signs without an end")
	}
}

// The layout is Jitsi's: what another library reads is where Jitsi's own code looks for it.
func TestMintedLayout(t *testing.T) {
	s, _ := NewSigner("k1", []byte(secret), domain)
	raw, err := s.Sign(Claims{Issuer: "app", Audience: []string{"jitsi"}, Room: "r", Moderator: true, User: User{ID: "u", Name: "n"}, Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	var m jwt.MapClaims
	tok, err := jwt.ParseWithClaims(raw, &m, func(*jwt.Token) (any, error) { return []byte(secret), nil })
	if err != nil || tok.Header["kid"] != "k1" || tok.Header["alg"] != "HS256" {
		t.Fatalf("%v %v", tok.Header, err)
	}
	user := m["context"].(map[string]any)["user"]
	if want := map[string]any{"id": "u", "name": "n", "moderator": true}; !maps.Equal(user.(map[string]any), want) {
		t.Errorf("user %v", user)
	}
	if m["sub"] != domain || m["room"] != "r" || m["aud"] != "jitsi" || m["moderator"] != true {
		t.Errorf("claims %v", m)
	}
}
