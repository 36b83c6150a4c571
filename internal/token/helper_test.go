package token

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"parley/internal/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secret = "0123456789abcdef0123456789ABCDEF-test"
	domain = "meet.example"
)

var (
	rsaKey, _      = rsa.GenerateKey(rand.Reader, 2048)
	otherRSAKey, _ = rsa.GenerateKey(rand.Reader, 2048)
	ecKey, _       = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, edKey, _    = ed25519.GenerateKey(rand.Reader)
)

// The tokens of these tests are written and signed here, with the standard library alone, so that the checker is never
// held against its own minter.

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jws signs header and payload as they are.
func jws(t testing.TB, header, payload string, key any) string {
	t.Helper()
	signed := b64([]byte(header)) + "." + b64([]byte(payload))
	sum := sha256.Sum256([]byte(signed))
	var sig []byte
	var err error
	switch k := key.(type) {
	case nil:
	case string:
		m := hmac.New(sha256.New, []byte(k))
		m.Write([]byte(signed))
		sig = m.Sum(nil)
	case *rsa.PrivateKey:
		sig, err = rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
	case *ecdsa.PrivateKey:
		r, s, e := ecdsa.Sign(rand.Reader, k, sum[:])
		sig, err = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), e
	case ed25519.PrivateKey:
		sig = ed25519.Sign(k, []byte(signed))
	default:
		t.Fatalf("no way to sign with %T", key)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + b64(sig)
}

type fields map[string]any

// good is a payload that every checker of these tests accepts, with changes; a change to nil removes the claim.
func good(changes fields) string {
	f := fields{"iss": "app", "aud": "jitsi", "sub": domain, "room": "standup", "exp": time.Now().Add(time.Hour).Unix()}
	maps.Copy(f, changes)
	maps.DeleteFunc(f, func(_ string, v any) bool { return v == nil })
	b, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	return string(b)
}

const (
	headHS = `{"alg":"HS256","typ":"JWT"}`
	headRS = `{"alg":"RS256","typ":"JWT","kid":"rsa-1"}`
)

func hs(t testing.TB, changes fields) string {
	t.Helper()
	return jws(t, headHS, good(changes), secret)
}

// checker accepts tokens of the issuer "app" with the test's secret; change may say otherwise.
func checker(t testing.TB, change func(*Config, *Issuer, *Options)) *Checker {
	t.Helper()
	cfg, o := DefaultConfig(), Options{Domains: []string{domain}}
	i := Issuer{Name: "app", Audiences: []string{"jitsi"}, Secrets: []string{secret}}
	if change != nil {
		change(&cfg, &i, &o)
	}
	cfg.Issuers = append(cfg.Issuers, i)
	c, err := New(cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// wantCode checks the token and demands the refusal, or success where code is "".
func wantCode(t *testing.T, c *Checker, raw, code string) Claims {
	t.Helper()
	claims, err := c.Check(context.Background(), raw, "192.0.2.1")
	var e *Error
	switch {
	case code == "" && err != nil:
		t.Fatalf("refused: %v", err)
	case code == "":
	case !errors.As(err, &e):
		t.Fatalf("got %v, want %s", err, code)
	case e.Code != code:
		t.Fatalf("got %v, want %s", e, code)
	case e.Text == "":
		t.Fatal("no text to show")
	}
	return claims
}

func writePEM(t *testing.T, public any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(name, pemBytes(der), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func pemBytes(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func rsaJWK(id string, k *rsa.PublicKey) fields {
	return fields{"kty": "RSA", "use": "sig", "kid": id, "n": b64(k.N.Bytes()), "e": "AQAB"}
}

func ecJWK(id string, k *ecdsa.PublicKey) fields {
	raw, err := k.Bytes()
	if err != nil {
		panic(err)
	}
	return fields{"kty": "EC", "crv": "P-256", "kid": id, "x": b64(raw[1:33]), "y": b64(raw[33:])}
}

func edJWK(id string, k ed25519.PublicKey) fields {
	return fields{"kty": "OKP", "crv": "Ed25519", "kid": id, "x": b64(k)}
}

func jwks(keys ...fields) []byte {
	b, err := json.Marshal(fields{"keys": keys})
	if err != nil {
		panic(err)
	}
	return b
}

// recorder returns a recorder with its log and a way to read its counters.
func recorder() (*event.Recorder, *bytes.Buffer, func(name string) float64) {
	var log bytes.Buffer
	reg := prometheus.NewRegistry()
	r := event.New(slog.New(slog.NewTextHandler(&log, nil)), reg, false)
	return r, &log, func(name string) float64 {
		families, _ := reg.Gather()
		for _, f := range families {
			for _, m := range f.Metric {
				if m.Label[0].GetValue() == name {
					return m.Counter.GetValue()
				}
			}
		}
		return 0
	}
}
