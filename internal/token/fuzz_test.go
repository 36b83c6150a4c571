package token

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// FuzzCheck (Z15): any string. What is accepted is signed by us, in the eyes of another reader too, and holds nothing
// that XML could not carry.
func FuzzCheck(f *testing.F) {
	cfg := DefaultConfig()
	cfg.Issuers = []Issuer{{Name: "app", Audiences: []string{"jitsi"}, Secrets: []string{secret}}}
	c, err := New(cfg, Options{Domains: []string{domain}})
	if err != nil {
		f.Fatal(err)
	}
	for _, raw := range []string{
		"", "..", hs(f, nil), hs(f, fields{"room": "*", "context": fields{"user": fields{"name": "é"}, "features": fields{"a": "true"}}}),
		hs(f, fields{"exp": 1}), jws(f, headRS, good(nil), rsaKey), jws(f, `{"alg":"none"}`, good(nil), nil),
		jws(f, `{"alg":"HS256","kid":"../x","jku":"http://127.0.0.1"}`, good(nil), secret),
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		claims, err := c.Check(context.Background(), raw, "")
		if err != nil {
			if claims.Room != "" || !reflect.DeepEqual(claims, Claims{}) {
				t.Fatal("claims of a token that was refused")
			}
			return
		}
		if _, err := jwt.Parse(raw, func(*jwt.Token) (any, error) { return []byte(secret), nil },
			jwt.WithValidMethods([]string{"HS256", "HS384", "HS512"}), jwt.WithLeeway(time.Minute)); err != nil {
			t.Fatalf("accepted, but not by another reader: %v", err)
		}
	})
}

// FuzzClaims signs any payload rightly, so that the fuzzer gets behind the signature.
func FuzzClaims(f *testing.F) {
	cfg := DefaultConfig()
	cfg.Issuers = []Issuer{{Name: "app", Audiences: []string{Any}, Secrets: []string{secret}, AnySubject: true, RoomOptional: true}}
	c, err := New(cfg, Options{})
	if err != nil {
		f.Fatal(err)
	}
	for _, changes := range []fields{
		nil, {"room": "*"}, {"aud": []string{"a", "b"}}, {"exp": 1e300}, {"nbf": "x"},
		{"context": fields{"user": fields{"id": "1", "avatar": "https://x/y", "moderator": "true"}, "group": "g", "features": fields{"f": true}}},
	} {
		f.Add(good(changes))
	}
	f.Fuzz(func(t *testing.T, payload string) {
		claims, err := c.Check(context.Background(), jws(t, headHS, payload, secret), "")
		if err != nil {
			return
		}
		var loose map[string]any
		if err := json.Unmarshal([]byte(payload), &loose); err != nil {
			t.Fatalf("accepted what is not JSON: %v", err)
		}
		if room, there := loose["room"]; there && room != claims.Room {
			t.Fatalf("room %q read as %q", room, claims.Room)
		}
		for _, s := range []string{claims.Issuer, claims.ID, claims.Room, claims.Door, claims.Group, claims.User.ID, claims.User.Name, claims.User.Email, claims.User.Avatar} {
			if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0xFFFE || r == 0xFFFF }) {
				t.Fatalf("%q in the claims", s)
			}
		}
		claims.Allows("standup", "")
		if !claims.Expires.After(time.Now().Add(-cfg.Leeway - time.Second)) {
			t.Fatal("expired")
		}
	})
}

// FuzzKeys feeds the two readers of fetched keys. A key that they accept belongs to at least one algorithm.
func FuzzKeys(f *testing.F) {
	f.Add(jwks(rsaJWK("a", &rsaKey.PublicKey), ecJWK("b", &ecKey.PublicKey), edJWK("c", edPublic())))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA"},1,null,{}]}`))
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, _ := parseSet(data)
		if k, err := parsePEM("id", data); err == nil {
			keys = append(keys, k)
		}
		for _, k := range keys {
			if len(k.algs) == 0 || k.allows("HS256") || k.material == nil {
				t.Fatalf("accepted %+v", k)
			}
		}
	})
}
