package oidc

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// Errors of a login.
var (
	ErrRedirect = errors.New("oidc: the provider may not send anybody to that page")
	ErrSession  = errors.New("oidc: the login has not begun here, is over, or took too long")
	ErrRefused  = errors.New("oidc: the provider does not vouch for anybody")
	ErrAway     = errors.New("oidc: the provider cannot be asked")
)

// Identity is somebody whom the provider knows. Issuer and Subject name them for ever; Name is what they are called now.
type Identity struct {
	Issuer  string
	Subject string
	Name    string
}

// Begun is a login that has begun.
type Begun struct {
	URL     string // where the provider asks who it is
	Session string // a secret of the client, with which it ends the login
	Expires time.Time
}

// Answer is what the provider has sent the browser back with, and the session.
type Answer struct {
	Session string
	Code    string
	State   string
	Issuer  string // the parameter iss (RFC 9207), "" if there was none
}

// Provider asks one provider. It is safe for concurrent use.
type Provider struct {
	cfg    Config
	key    []byte
	spend  func(ctx context.Context, key []byte, until time.Time) (first bool, err error)
	client *http.Client
	now    func() time.Time
	about  atomic.Pointer[metadata]
	failed atomic.Pointer[failure]
}

// failure is that the provider could not be asked.
type failure struct {
	err error
	at  time.Time
}

// metadata is what the provider says of itself (OpenID Connect Discovery 1.0 §3).
type metadata struct {
	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	Keys          string   `json:"jwks_uri"`
	Methods       []string `json:"token_endpoint_auth_methods_supported"`
	NamesItself   bool     `json:"authorization_response_iss_parameter_supported"`

	provider *oidc.Provider
	read     time.Time
}

const (
	fresh      = time.Hour       // for which metadata is believed
	askTime    = 5 * time.Second // (hardening.md HF17)
	rest       = 5 * time.Second // after which one that could not be asked is asked again
	mostAnswer = 256 << 10       // bytes
)

// New returns a provider. The key is a secret of the server, the same on all that share a store; spend notes in the store that a login
// has ended, and reports whether it had not before.
func New(cfg Config, key []byte, spend func(ctx context.Context, key []byte, until time.Time) (bool, error)) (*Provider, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true // logins are rare
	return &Provider{cfg: cfg, key: key, spend: spend, now: time.Now, client: &http.Client{
		Transport: bounded{transport}, Timeout: askTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // secrets go nowhere else
	}}, nil
}

// bounded cuts what answers are too large.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	a, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		a.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(a.Body, mostAnswer), a.Body}
	}
	return a, err
}

// discover returns the provider's metadata. That of before stays good while the provider is away, which is then asked now and then only:
// nobody waits for it who could not be helped.
func (p *Provider) discover(ctx context.Context) (*metadata, error) {
	known := p.about.Load()
	if known != nil && p.now().Sub(known.read) < fresh {
		return known, nil
	}
	last := p.failed.Load()
	if last == nil || p.now().Sub(last.at) >= rest {
		found, err := p.ask(ctx)
		if err == nil {
			p.about.Store(found)
			p.failed.Store(nil)
			return found, nil
		}
		last = &failure{fmt.Errorf("%w: %w", ErrAway, err), p.now()}
		if ctx.Err() == nil { // or nobody waited for it any more
			p.failed.Store(last)
		}
	}
	if known == nil {
		return nil, last.err
	}
	return known, nil
}

func (p *Provider) ask(ctx context.Context) (*metadata, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.cfg.Issuer) // compares the issuer (Discovery §4.3)
	if err != nil {
		return nil, err
	}
	m := &metadata{provider: provider, read: p.now()}
	if err := provider.Claims(m); err != nil {
		return nil, err
	}
	for _, address := range []string{m.Authorization, m.Token, m.Keys} {
		if _, err := safe(address); err != nil {
			return nil, fmt.Errorf("%q: %w", address, err)
		}
	}
	return m, nil
}

// Begin begins a login that comes back to one of the pages of the configuration, the first of them for "". Errors are ErrRedirect and
// ErrAway.
func (p *Provider) Begin(ctx context.Context, redirect string) (Begun, error) {
	if redirect == "" {
		redirect = p.cfg.Redirects[0]
	}
	if !slices.Contains(p.cfg.Redirects, redirect) {
		return Begun{}, ErrRedirect
	}
	about, err := p.discover(ctx)
	if err != nil {
		return Begun{}, err
	}
	s := newSession(p.key, redirect, p.now())
	u, err := safe(about.Authorization)
	if err != nil {
		return Begun{}, err
	}
	q := u.Query()
	for name, value := range map[string]string{
		"response_type": "code", "client_id": p.cfg.Client, "redirect_uri": redirect,
		"scope": strings.Join(append([]string{oidc.ScopeOpenID}, p.cfg.Scopes...), " "),
		"state": s.derive("state"), "nonce": s.derive("nonce"), "code_challenge": s.challenge(), "code_challenge_method": "S256",
	} {
		q.Set(name, value)
	}
	u.RawQuery = q.Encode()
	return Begun{u.String(), s.text(), s.expires}, nil
}

// Finish ends a login, and says who it is. Errors are ErrSession, ErrRefused, ErrAway, and those of the store. Whatever comes of it, the
// session is spent once its state was right.
func (p *Provider) Finish(ctx context.Context, a Answer) (Identity, error) {
	s, ok := readSession(p.key, a.Session)
	switch {
	case !ok || !p.now().Before(s.expires) || !slices.Contains(p.cfg.Redirects, s.redirect):
		return Identity{}, ErrSession
	case subtle.ConstantTimeCompare([]byte(a.State), []byte(s.derive("state"))) != 1:
		return Identity{}, fmt.Errorf("%w: the state is another's", ErrSession)
	}
	about, err := p.discover(ctx)
	if err != nil {
		return Identity{}, err
	}
	if a.Issuer != p.cfg.Issuer && (a.Issuer != "" || about.NamesItself) { // RFC 9207 §2.4
		return Identity{}, fmt.Errorf("%w: another provider has answered", ErrRefused)
	}
	key := sha256.Sum256([]byte("oidc\x00" + s.content))
	switch first, err := p.spend(ctx, key[:], s.expires); {
	case err != nil:
		return Identity{}, err
	case !first:
		return Identity{}, fmt.Errorf("%w: it has ended before", ErrSession)
	}
	raw, err := p.exchange(ctx, about, &s, a.Code)
	if err != nil {
		return Identity{}, err
	}
	return p.verify(ctx, about, &s, raw)
}

// exchange gets the ID token for a code (Core §3.1.3.1).
func (p *Provider) exchange(ctx context.Context, about *metadata, s *session, code string) (string, error) {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {s.redirect}, "code_verifier": {s.derive("verifier")}}
	inForm := len(about.Methods) > 0 && !slices.Contains(about.Methods, "client_secret_basic")
	if p.cfg.Secret == "" || inForm {
		form.Set("client_id", p.cfg.Client)
	}
	if p.cfg.Secret != "" && inForm {
		form.Set("client_secret", p.cfg.Secret)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, about.Token, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	if p.cfg.Secret != "" && !inForm {
		r.SetBasicAuth(url.QueryEscape(p.cfg.Client), url.QueryEscape(p.cfg.Secret)) // RFC 6749 §2.3.1
	}
	answer, err := p.client.Do(r)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrAway, err)
	}
	defer answer.Body.Close()
	var got struct {
		Token string `json:"id_token"`
		Error string `json:"error"`
	}
	err = json.NewDecoder(answer.Body).Decode(&got)
	switch {
	case answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests:
		return "", fmt.Errorf("%w: status %d", ErrAway, answer.StatusCode)
	case answer.StatusCode == http.StatusOK && err == nil && got.Token != "":
		return got.Token, nil
	case got.Error == "invalid_client": // not whoever logs in, but we are not known there
		return "", fmt.Errorf("%w: it does not know oidc.client, or has another oidc.secret", ErrAway)
	}
	return "", fmt.Errorf("%w: status %d, %.60q", ErrRefused, answer.StatusCode, got.Error)
}

// longestSubject is that of Core §2.
const longestSubject = 255

// verify checks an ID token by the steps of Core §3.1.3.7: issuer (2), audience (3), signature (6, 7) and time (9) are the library's.
func (p *Provider) verify(ctx context.Context, about *metadata, s *session, raw string) (Identity, error) {
	t, err := about.provider.VerifierContext(oidc.ClientContext(ctx, p.client), &oidc.Config{ClientID: p.cfg.Client, Now: p.now}).Verify(ctx, raw)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	claims := make(map[string]any)
	if err := t.Claims(&claims); err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	party, named := claims["azp"]
	switch {
	case len(t.Audience) > 1 && !named, named && party != p.cfg.Client: // 4, 5
		err = errors.New("it is for another party")
	case subtle.ConstantTimeCompare([]byte(t.Nonce), []byte(s.derive("nonce"))) != 1: // 11
		err = errors.New("the nonce is another's")
	case t.Subject == "" || len(t.Subject) > longestSubject || strings.ContainsFunc(t.Subject, func(c rune) bool { return c < ' ' || c > '~' }):
		err = errors.New("the subject is none")
	}
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	name, _ := claims[p.cfg.Name].(string)
	return Identity{t.Issuer, t.Subject, name}, nil
}

// ID stands for issuer and subject: 26 letters and digits of base32, for keys and paths.
func (i Identity) ID() string {
	sum := sha256.Sum256([]byte(i.Issuer + "\x00" + i.Subject))
	return base32.StdEncoding.EncodeToString(sum[:])[:26]
}
