// Package app says what a client application is: what it may be called, what it may be allowed, and which pages speak for it. It
// keeps nothing; store.Apps does.
package app

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"parley/internal/store"
)

// Scope is one thing that somebody may be allowed to do by the API.
type Scope string

// Scopes.
const (
	IssueTokens Scope = "tokens:issue" // make and explain tokens of rooms, for anyone
	TURN        Scope = "turn"         // get credentials of the relay
	Meetings    Scope = "meetings"     // fix meetings, and invite people to them
	ReadRooms   Scope = "rooms:read"   // see rooms that are in use, and who is in them
	WriteRooms  Scope = "rooms:write"  // end rooms, and throw people out
	Admin       Scope = "admin"        // accounts, and applications: who may do this may do everything

	// Self is what people may do with their own login. No application has it.
	Self Scope = "self"
)

// Grantable are the scopes that an application can have, with what they allow.
var Grantable = map[Scope]string{
	IssueTokens: "make tokens that open rooms, and explain tokens",
	TURN:        "get credentials of STUN and TURN services",
	Meetings:    "fix meetings and invite people to them, as owners of the rooms too",
	ReadRooms:   "see the rooms in use and who is in them, with their addresses",
	WriteRooms:  "end rooms, and throw people out of them",
	Admin:       "administer accounts and applications",
}

// MostKeys is how many keys an application has at once: enough to replace one without a gap.
const MostKeys = 5

// Most entries of each list, and the longest name.
const (
	mostDomains = 50
	longestName = 64
)

// Check says what is wrong with an application, in words for who makes it. It brings the domains into the form in which they are
// compared.
func Check(a *store.App) error {
	if a.Name == "" || len(a.Name) > longestName || strings.Trim(a.Name, alphanumeric+"._-") != "" || !strings.Contains(alphanumeric, a.Name[:1]) || strings.Contains(a.Name, "..") {
		return fmt.Errorf("%.80q is no name of an application: letters, digits, points, dashes and underscores, at most %d, a letter or digit first", a.Name, longestName)
	}
	for i, s := range a.Scopes {
		if Grantable[Scope(s)] == "" {
			return fmt.Errorf("there is no scope %.80q", s)
		}
		if slices.Contains(a.Scopes[:i], s) {
			return fmt.Errorf("the scope %q stands twice", s)
		}
	}
	if len(a.Domains) > mostDomains {
		return fmt.Errorf("at most %d domains", mostDomains)
	}
	for i, d := range a.Domains {
		canonical, err := domain(d)
		if err != nil {
			return err
		}
		if slices.Contains(a.Domains[:i], canonical) {
			return fmt.Errorf("the domain %q stands twice", canonical)
		}
		a.Domains[i] = canonical
	}
	if !(a.Rate >= 0 && a.Rate <= 1e6 && a.Burst >= 0 && a.Burst <= 1e6) || (a.Rate == 0) != (a.Burst < 1) {
		return fmt.Errorf("the rate is a number of requests a second and how many may come at once, at least 1, or none of both")
	}
	return nil
}

const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// domain checks a domain that is to be bound: not one under which anyone gets a name (hardening HW2).
func domain(name string) (string, error) {
	ascii, err := idna.Lookup.ToASCII(strings.TrimSuffix(name, "."))
	if err != nil || ascii == "" || net.ParseIP(ascii) != nil || len(ascii) > 253 || strings.ContainsAny(ascii, "/:@*% ") {
		return "", fmt.Errorf("%.80q is no domain such as example.org", name)
	}
	if ascii == "localhost" {
		return ascii, nil
	}
	if suffix, _ := publicsuffix.PublicSuffix(ascii); suffix == ascii {
		return "", fmt.Errorf("%q is a suffix under which anyone may have a domain", ascii)
	}
	return ascii, nil
}

// Bound reports that the page of an origin, such as https://shop.example.org:8443, is at one of the domains or below it. Plain
// http is for localhost alone.
func Bound(domains []string, origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if u.Scheme == "http" && host != "localhost" {
		return false
	}
	return slices.ContainsFunc(domains, func(d string) bool { return host == d || strings.HasSuffix(host, "."+d) && d != "localhost" })
}

// May reports that the application has a scope.
func May(a *store.App, s Scope) bool { return slices.Contains(a.Scopes, string(s)) }
