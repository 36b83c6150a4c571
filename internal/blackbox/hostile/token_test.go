package hostile

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"parley/internal/peertest"
)

// outside holds the keys of an application that issues tokens and is not this server.
var outside = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// tokenServer trusts an outside key by a set of keys (JWKS), and a shared secret.
var tokenServer = func(t *testing.T) *peertest.Parley {
	t.Helper()
	pub := outside().PublicKey
	set, err := json.Marshal(map[string]any{"keys": []any{map[string]string{
		"kty": "RSA", "kid": "key-1", "use": "sig", "alg": "RS256",
		"n": base64.RawURLEncoding.EncodeToString(pub.N.Bytes()),
		"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(pub.E)).Bytes()),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, set, 0o600); err != nil {
		t.Fatal(err)
	}
	return peertest.StartParley(t, peertest.ParleyOptions{Config: config + `
[[token.issuers]]
name = "keys"
audiences = ["jitsi"]
jwks = "` + file + `"
`})
}

func claims(change map[string]any) jwt.MapClaims {
	c := jwt.MapClaims{
		"iss": "keys", "aud": "jitsi", "sub": "localhost", "room": "standup", "exp": time.Now().Add(time.Hour).Unix(),
		"context": map[string]any{"user": map[string]any{"id": "u1", "name": "Ann"}},
	}
	for k, v := range change {
		if v == nil {
			delete(c, k)
		} else {
			c[k] = v
		}
	}
	return c
}

func mint(t *testing.T, header map[string]any, change map[string]any) string {
	t.Helper()
	j := jwt.NewWithClaims(jwt.SigningMethodRS256, claims(change))
	j.Header["kid"] = "key-1"
	for k, v := range header {
		if v == nil {
			delete(j.Header, k)
		} else {
			j.Header[k] = v
		}
	}
	raw, err := j.SignedString(outside())
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// enter logs in over WebSocket with a token and returns the answer to <auth/>.
func enter(t *testing.T, server *peertest.Parley, raw string) (*peertest.Client, string) {
	t.Helper()
	p := peertest.DialFrom(t, source(), server.HTTP, "localhost")
	p.WS = true
	if res := p.Upgrade("/xmpp-websocket?room=standup&token=" + url.QueryEscape(raw)); res.StatusCode != 101 {
		return nil, res.Status
	}
	p.Open()
	p.Send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>")
	return p, p.Read()
}

func TestTokens(t *testing.T) {
	server := tokenServer(t)
	shared, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims(map[string]any{"iss": "outside"})).SignedString([]byte(tokenSecret))
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string]string{
		"a key of a set, by kid": mint(t, nil, nil),
		"a shared secret":        shared,
		"any room":               mint(t, nil, map[string]any{"room": "*"}),
		"list of audiences":      mint(t, nil, map[string]any{"aud": []string{"other", "jitsi"}}),
	} {
		t.Run(name, func(t *testing.T) {
			p, got := enter(t, server, raw)
			if !strings.HasPrefix(got, "<success") {
				t.Fatalf("refused: %s", got)
			}
			p.Open()
			p.Bind("")
			p.Send("<presence xmlns='jabber:client' to='standup@muc.localhost/" + p.JID[:8] + "'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
			p.Await("<presence", "code='110'")
			p.Send("<presence xmlns='jabber:client' to='standup@muc.localhost/" + p.JID[:8] + "' type='unavailable'/>")
			p.Await("type='unavailable'", "code='110'")
			// OAUTHBEARER over TLS.
			p = peertest.DialFrom(t, source(), server.XMPPS, "localhost")
			p.Secure(0x0304)
			p.Open()
			p.Auth("OAUTHBEARER", "n,,\x01auth=Bearer "+raw+"\x01\x01")
			p.Expect("<success")
			p.Open()
			p.Bind("")
			p.Ping()
		})
	}
}

func TestHPTokensThatAreRefused(t *testing.T) {
	server := tokenServer(t)
	now := time.Now()
	pub, err := x509.MarshalPKIXPublicKey(&outside().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub})
	segment := func(v any) string {
		b, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(b)
	}
	signed := func(alg string, secret []byte) string {
		in := segment(map[string]string{"alg": alg, "typ": "JWT", "kid": "key-1"}) + "." + segment(claims(nil))
		m := hmac.New(sha256.New, secret)
		m.Write([]byte(in))
		return in + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
	}
	doubled := func() string {
		in := segment(map[string]string{"alg": "HS256"}) + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"outside","iss":"outside","aud":"jitsi","sub":"localhost","room":"*","exp":`+big.NewInt(now.Add(time.Hour).Unix()).String()+`}`))
		m := hmac.New(sha256.New, []byte(tokenSecret))
		m.Write([]byte(in))
		return in + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
	}
	for _, c := range []struct{ name, raw, event string }{
		{"HP1 alg none", segment(map[string]string{"alg": "none"}) + "." + segment(claims(nil)) + ".", "token.reject"},
		{"HP1 unknown alg", signed("XX99", []byte(tokenSecret)), "token.reject"},
		{"HP1 HMAC with the public key", signed("HS256", publicPEM), "token.reject"},
		{"HP1 wrong signature", mint(t, nil, nil)[:100] + "A" + mint(t, nil, nil)[101:], "token."},
		{"HP2 kid with a path", mint(t, map[string]any{"kid": "../../../etc/passwd"}, nil), "token.kid"},
		{"HP2 kid that is an URL", mint(t, map[string]any{"kid": "http://127.0.0.1:1/k"}, nil), "token.kid"},
		{"HP2 kid with SQL", mint(t, map[string]any{"kid": "' OR 1=1 --"}, nil), "token.kid"},
		{"HP2 unknown kid", mint(t, map[string]any{"kid": "key-2"}, nil), "token.kid"},
		{"HP2 jku", mint(t, map[string]any{"jku": "http://127.0.0.1:1/k"}, nil), "token."},
		{"HP2 jwk", mint(t, map[string]any{"jwk": map[string]string{"kty": "oct", "k": "AA"}}, nil), "token."},
		{"HP3 no exp", mint(t, nil, map[string]any{"exp": nil}), "token.reject"},
		{"HP3 expired", mint(t, nil, map[string]any{"exp": now.Add(-time.Hour).Unix()}), "token.reject"},
		{"HP3 not yet valid", mint(t, nil, map[string]any{"nbf": now.Add(time.Hour).Unix()}), "token.reject"},
		{"HP3 far future", mint(t, nil, map[string]any{"exp": now.Add(10000 * time.Hour).Unix()}), "token.reject"},
		{"HP3 issued in the future", mint(t, nil, map[string]any{"iat": now.Add(time.Hour).Unix()}), "token.reject"},
		{"HP4 other issuer", mint(t, nil, map[string]any{"iss": "evil"}), "token.scope"},
		{"HP4 other audience", mint(t, nil, map[string]any{"aud": "else"}), "token.scope"},
		{"HP7 duplicate claim", doubled(), "token.size"},
		{"HP7 deep JSON", segment(map[string]string{"alg": "HS256"}) + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("[", 3000)+strings.Repeat("]", 3000))) + ".AAAA", "token."},
		{"HP7 dots", strings.Repeat(".", 5000), "token."},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := countedAt(t, server, c.event)
			p, got := enter(t, server, c.raw)
			if !strings.HasPrefix(got, "<failure") || !strings.Contains(got, "<not-allowed/>") && !strings.Contains(got, "<not-authorized/>") {
				t.Errorf("answered %s", got)
			}
			if n := countedAt(t, server, c.event); n <= before {
				t.Errorf("%s counted %v, then %v", c.event, before, n)
			}
			if strings.Contains(server.Log(), c.raw[:min(len(c.raw), 40)]+"x") || len(c.raw) > 60 && strings.Contains(server.Log(), c.raw) {
				t.Error("the token is in the log")
			}
			if p != nil {
				p.Auth("ANONYMOUS", "") // a refused token is not forgotten at the second try
				if got := p.Read(); strings.HasPrefix(got, "<success") {
					t.Error("the second try without a good token gets in")
				}
			}
		})
	}
	t.Run("HP7 1 MB token", func(t *testing.T) {
		_, got := enter(t, server, strings.Repeat("A", 1<<20))
		if !strings.HasPrefix(got, "431") && !strings.HasPrefix(got, "414") && !strings.HasPrefix(got, "400") {
			t.Errorf("answered %s", got)
		}
	})
	t.Run("HP4 other rooms", func(t *testing.T) {
		before := countedAt(t, server, "token.scope")
		for _, c := range []struct {
			room  string
			claim string
			in    bool
		}{
			{"standup", "standup", true}, {"standup", "StandUp", true}, {"other", "standup", false}, {"standup2", "standup", false},
			{"standup", "stand.*", false}, {"standup", "stand%", false}, {"st\u0430ndup", "standup", false}, {"other", "", false},
		} {
			p, got := enter(t, server, mint(t, nil, map[string]any{"room": c.claim}))
			if !strings.HasPrefix(got, "<success") {
				if c.in {
					t.Errorf("room %q by %q: login refused: %s", c.room, c.claim, got)
				}
				continue
			}
			p.Open()
			p.Bind("")
			p.Send("<presence xmlns='jabber:client' to='" + c.room + "@muc.localhost/" + p.JID[:8] + "'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
			for {
				got = p.Read()
				if strings.Contains(got, "type='error'") || strings.Contains(got, "code='110'") {
					break
				}
			}
			if in := strings.Contains(got, "code='110'"); in != c.in {
				t.Errorf("room %q by %q: %s", c.room, c.claim, got)
			}
			if !c.in && !strings.Contains(got, "<not-allowed ") {
				t.Errorf("room %q by %q: %s", c.room, c.claim, got)
			}
			if c.in { // the room ends with its only occupant
				p.Send("<presence xmlns='jabber:client' to='" + c.room + "@muc.localhost/" + p.JID[:8] + "' type='unavailable'/>")
				p.Await("type='unavailable'", "code='110'")
			}
		}
		if countedAt(t, server, "token.scope") <= before {
			t.Error("not counted")
		}
	})
}
