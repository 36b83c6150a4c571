package token

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Config says which tokens are accepted.
type Config struct {
	Leeway      time.Duration `help:"how much an issuer's clock may differ from ours, at most 60s"`
	MaxLifetime time.Duration `help:"how far in the future a token may expire; tokens that expire later are refused"`
	Issuers     []Issuer      `help:"who may issue tokens; without any, no token is accepted"`
}

// DefaultConfig accepts no token yet: it has no issuers.
func DefaultConfig() Config {
	return Config{Leeway: 30 * time.Second, MaxLifetime: 24 * time.Hour}
}

// Issuer is one application that issues tokens, with the keys that it signs with.
type Issuer struct {
	Name      string   `help:"the claim iss of its tokens (app id)"`
	Audiences []string `help:"accepted values of the claim aud; \"*\" accepts any, and none"`

	Secrets    []string      `help:"shared secrets for HS256, HS384 and HS512, each of at least 32 bytes; the first one signs"`
	PublicKeys []string      `help:"PEM files with RSA, EC or Ed25519 public keys"`
	JWKS       string        `help:"file or https URL of a JWK set"`
	KeyServer  string        `help:"https URL under which <sha256 of kid>.pem is found"`
	KeyIDs     []string      `help:"kid values that the key server is known to have; others are asked for at most once a minute"`
	Refresh    time.Duration `help:"how often fetched keys are fetched again; 0 means 1h"`
	Private    bool          `help:"the key URL may resolve to private and loopback addresses"`

	AnySubject   bool `help:"do not compare the claim sub with the room's tenant or domain"`
	RoomOptional bool `help:"accept tokens without the claim room, for any room"`
	Accounts     bool `help:"context.user.id of its tokens may log in as the account of that name"`
}

// How long fetched keys are used when they cannot be fetched again, and how often that is tried.
const (
	keepKeys   = 24 * time.Hour
	retryKeys  = time.Minute
	retryFirst = 10 * time.Second
	maxLeeway  = time.Minute
	minSecret  = 32 // bytes
	minRefresh = time.Minute
)

func (c Config) check() error {
	if c.Leeway < 0 || c.Leeway > maxLeeway {
		return fmt.Errorf("token: leeway %v is not between 0 and %v", c.Leeway, maxLeeway)
	}
	if c.MaxLifetime <= 0 {
		return fmt.Errorf("token: maximum lifetime %v is not positive", c.MaxLifetime)
	}
	seen := make(map[string]bool)
	for _, i := range c.Issuers {
		if i.Name == "" {
			return errors.New("token: an issuer has no name")
		}
		if seen[i.Name] {
			return fmt.Errorf("token: issuer %q stands twice", i.Name)
		}
		seen[i.Name] = true
		if len(i.Audiences) == 0 {
			return fmt.Errorf(`token: issuer %q: no audiences; "*" accepts any`, i.Name)
		}
		if i.JWKS != "" && i.KeyServer != "" {
			return fmt.Errorf("token: issuer %q: a JWK set or a key server, not both", i.Name)
		}
		if len(i.Secrets)+len(i.PublicKeys) == 0 && i.JWKS == "" && i.KeyServer == "" {
			return fmt.Errorf("token: issuer %q has no keys", i.Name)
		}
		if i.Refresh != 0 && i.Refresh < minRefresh {
			return fmt.Errorf("token: issuer %q: keys are fetched at most once in %v", i.Name, minRefresh)
		}
	}
	return nil
}

// checkSecret refuses secrets that can be guessed. In development short and well-known ones pass; an empty one never.
func checkSecret(secret string, development bool) error {
	if secret == "" {
		return errors.New("the secret is empty")
	}
	if development {
		return nil
	}
	if len(secret) < minSecret {
		return fmt.Errorf("the secret has %d bytes, and needs %d", len(secret), minSecret)
	}
	letters := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(secret))
	for _, known := range []string{"changeme", "replaceme", "yoursecret", "your256bitsecret", "stringsecretatleast", "defaultsecret", "examplesecret"} {
		if strings.Contains(letters, known) {
			return errors.New("the secret is a well-known placeholder")
		}
	}
	var seen [256]bool
	kinds := 0
	for _, b := range []byte(secret) {
		if !seen[b] {
			seen[b] = true
			kinds++
		}
	}
	if kinds < 8 {
		return errors.New("the secret has too few different bytes")
	}
	return nil
}

// keyURL parses the address of a key server. Keys decide who gets in, so the way to them must be authentic: https, or
// this machine.
func keyURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("the URL of the keys is not well-formed") // url's error shows it, with a password in it
	}
	if u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, fmt.Errorf("%q is not the address of a key server", u.Redacted())
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && isLoopbackName(u.Hostname())) {
		return nil, fmt.Errorf("%q is not https", u.Redacted())
	}
	return u, nil
}
