// Package oidc asks an OpenID provider who somebody is (OpenID Connect Core 1.0), by the authorization code flow with PKCE (RFC 7636),
// state and nonce. It knows no accounts and keeps nothing: what a login that has begun needs until its end is made, by a key of the
// server, of a session that the client holds, and that is good once.
//
//	client           server                     provider
//	  │ Begin           │                           │
//	  │────────────────▶│ session; url with state,  │
//	  │◀────────────────│ nonce, challenge          │
//	  │ url             │                           │
//	  │────────────────────────────────────────────▶│ who are you?
//	  │◀────────────────────────────────────────────│ redirect?code&state&iss
//	  │ session, code.. │                           │
//	  │────────────────▶│ code, verifier ──────────▶│
//	  │                 │◀────────────── ID token   │
//
// The state is not the session: who sees the address that the browser is sent back to cannot finish the login, and who gives
// somebody else the code of a login of their own does not have that one's session (RFC 9700 §4.7).
package oidc

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Config says which provider is asked, and what becomes of those whom it knows.
type Config struct {
	Issuer    string   `help:"OpenID provider by which people may log in to the API, such as https://login.example.org; empty: none"`
	Client    string   `help:"id that the provider has given to this server"`
	Secret    string   `help:"secret that goes with it; empty: the provider wants none"`
	Redirects []string `help:"pages to which the provider may send people back, each as the provider has it"`
	Scopes    []string `help:"what the provider is asked for besides who it is"`
	Name      string   `help:"claim that names the account of somebody who logs in for the first time"`
	Make      bool     `help:"make the account if there is none of that name. Without, people link their accounts to the provider themselves, after they have logged in with a password"`
	Adopt     bool     `help:"an account that exists already is that of whom the provider calls so: only where nobody can choose that claim. Accounts of administrators are never taken so"`
}

// Defaults are the defaults.
func Defaults() Config { return Config{Scopes: []string{"profile"}, Name: "preferred_username"} }

// Check reports what cannot be.
func (c *Config) Check() error {
	if c.Issuer == "" {
		if c.Client != "" || c.Secret != "" || len(c.Redirects) > 0 || c.Make || c.Adopt {
			return errors.New("oidc: there are settings of a provider, and no oidc.issuer")
		}
		return nil
	}
	if u, err := safe(c.Issuer); err != nil || u.RawQuery != "" {
		return fmt.Errorf("oidc.issuer = %q is no address such as https://login.example.org", c.Issuer)
	}
	switch {
	case c.Client == "":
		return errors.New("oidc.client is empty: the provider gives it to whom it knows")
	case c.Name == "":
		return errors.New("oidc.name is empty: preferred_username is usual")
	case len(c.Redirects) == 0:
		return errors.New(`oidc.redirects is empty: write the pages that people come back to, such as ["https://meet.example.org/"]`)
	}
	for _, r := range c.Redirects {
		if _, err := safe(r); err != nil || len(r) > longestRedirect {
			return fmt.Errorf("oidc.redirects: %q is no address such as https://meet.example.org/", r)
		}
	}
	if i := slices.IndexFunc(c.Scopes, func(s string) bool { return s == "" || strings.ContainsAny(s, " \"\\\r\n") }); i >= 0 {
		return fmt.Errorf("oidc.scopes: %q is no scope", c.Scopes[i])
	}
	return nil
}

// safe parses an address to which secrets may go: https, or on this machine.
func safe(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, err
	}
	ip, _ := netip.ParseAddr(u.Hostname())
	if u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && !(u.Scheme == "http" && (ip.IsLoopback() || u.Hostname() == "localhost")) {
		return nil, errors.New("neither https nor on this machine")
	}
	return u, nil
}
