// Package oidctest is a small OpenID provider for tests: it knows everybody, signs by RS256, and can be made to err in each of
// the ways that a client has to find out.
package oidctest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// Client and Secret are those that it has given to its one client.
const (
	Client = "parley-test"
	Secret = "s3cret/+ of the client"
)

// Provider is a provider that answers on loopback until the end of the test. Of its fields nothing may be changed while it is asked.
type Provider struct {
	*httptest.Server
	Away        bool                 // it fails
	NamesItself bool                 // it sends iss (RFC 9207)
	Form        bool                 // the client's secret is in the form
	Change      func(map[string]any) // what is done to the claims before they are signed; nil: nothing
	Foreign     bool                 // it signs by a key that it does not show
	Unsigned    bool                 // it does not sign

	mu    sync.Mutex // guards codes, Asked
	codes map[string]grant
	Asked int // requests for tokens

	key, other *rsa.PrivateKey
}

type grant struct{ nonce, challenge, redirect, subject, name string }

// keys are made once: it is slow.
var keys = sync.OnceValues(func() (*rsa.PrivateKey, *rsa.PrivateKey) {
	one, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	two, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return one, two
})

// New starts a provider.
func New(t testing.TB) *Provider {
	p := &Provider{codes: make(map[string]grant)}
	p.key, p.other = keys()
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

// ServeHTTP implements http.Handler.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p.Away {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	answer := any(nil)
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		methods := []string{"client_secret_basic"}
		if p.Form {
			methods = []string{"client_secret_post"}
		}
		answer = map[string]any{
			"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize?tenant=1", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
			"id_token_signing_alg_values_supported": []string{"RS256"}, "authorization_response_iss_parameter_supported": p.NamesItself,
			"token_endpoint_auth_methods_supported": methods,
		}
	case "/keys":
		answer = map[string]any{"keys": []any{map[string]string{
			"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "k1", "n": text(p.key.N.Bytes()), "e": text(big.NewInt(int64(p.key.E)).Bytes()),
		}}}
	case "/token":
		status, body := p.token(r)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(body)
		return
	default:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(answer)
}

// Consent is what a browser does with the address that a login has begun with: somebody says who they are, and is sent back with
// what is returned.
func (p *Provider) Consent(t testing.TB, address, subject, name string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	for field, want := range map[string]string{"response_type": "code", "client_id": Client, "code_challenge_method": "S256", "tenant": "1"} {
		if q.Get(field) != want {
			t.Errorf("%s is %q, want %q", field, q.Get(field), want)
		}
	}
	code := rand.Text()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.codes[code] = grant{q.Get("nonce"), q.Get("code_challenge"), q.Get("redirect_uri"), subject, name}
	back := url.Values{"code": {code}, "state": {q.Get("state")}}
	if p.NamesItself {
		back.Set("iss", p.URL)
	}
	return back
}

// token answers at the token endpoint (RFC 6749 §4.1.3, RFC 7636 §4.6).
func (p *Provider) token(r *http.Request) (int, any) {
	user, password, _ := r.BasicAuth()
	user, _ = url.QueryUnescape(user)
	password, _ = url.QueryUnescape(password)
	if p.Form {
		user, password = r.FormValue("client_id"), r.FormValue("client_secret")
	}
	if user != Client || password != Secret {
		return http.StatusUnauthorized, map[string]string{"error": "invalid_client"}
	}
	p.mu.Lock()
	p.Asked++
	g, ok := p.codes[r.FormValue("code")]
	delete(p.codes, r.FormValue("code"))
	p.mu.Unlock()
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if !ok || r.FormValue("grant_type") != "authorization_code" || r.FormValue("redirect_uri") != g.redirect || text(sum[:]) != g.challenge {
		return http.StatusBadRequest, map[string]string{"error": "invalid_grant"}
	}
	now := time.Now()
	claims := map[string]any{
		"iss": p.URL, "aud": Client, "sub": g.subject, "nonce": g.nonce, "preferred_username": g.name,
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
	if p.Change != nil {
		p.Change(claims)
	}
	return http.StatusOK, map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": p.sign(claims)}
}

// sign makes a JWT (RFC 7515).
func (p *Provider) sign(claims map[string]any) string {
	head, key := `{"alg":"RS256","kid":"k1"}`, p.key
	if p.Foreign {
		key = p.other
	}
	if p.Unsigned {
		head = `{"alg":"none"}`
	}
	body, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	input := text([]byte(head)) + "." + text(body)
	if p.Unsigned {
		return input + "."
	}
	sum := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return input + "." + text(signature)
}

func text(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
