package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"parley/internal/limit"
	"parley/muc"
	"parley/xmpp/wire"
)

// Development reports that only this machine can reach the server.
func (c *Config) Development() bool {
	for _, l := range c.Listen {
		if !l.Loopback() {
			return false
		}
	}
	return true
}

// PlainClients reports that clients may log in over TCP without TLS: where every xmpp listener is on loopback or
// +insecure.
func (c *Config) PlainClients() bool {
	for _, l := range c.Listen {
		if l.Scheme == "xmpp" && !l.Loopback() && !l.Insecure {
			return false
		}
	}
	return true
}

// Unlimited lifts rates and counts per source and user, for load tests.
func (c *Config) Unlimited() {
	lots := limit.Rate{PerSecond: 1e9, Burst: 1e9} // where no rate stands for the default
	c.C2S.Unlimited()
	c.HTTP.Unlimited()
	c.Auth.UserRate, c.Auth.StrangeRate, c.Auth.SourceRate, c.Auth.MaxDelay = limit.Rate{}, limit.Rate{}, limit.Rate{}, 0
	c.Rooms.Admission, c.Rooms.Rename, c.Rooms.Invites, c.Rooms.Guesses = lots, lots, lots, lots
	c.Rooms.Created, c.Rooms.Joined, c.Rooms.Occupants = 1e6, 1e6, 1e6
	c.TURN.Requests, c.TURN.ConnectionRate, c.TURN.Connections, c.TURN.Bandwidth = limit.Rate{}, limit.Rate{}, 0, 0
}

// Check says what is wrong with a configuration as a whole, and what to write instead.
func (c *Config) Check() error {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("config: "+format, args...))
		}
	}
	addr, err := wire.ParseAddr(c.Domain)
	wrong(err != nil || string(addr) != c.Domain || addr.Domain() != c.Domain, "domain = %q is not a domain name in lower case", c.Domain)
	wrong(len(c.Listen) == 0, `listen is empty: write at least listen = ["xmpp://127.0.0.1:5222", "http://127.0.0.1:8080"]`)
	media := 0
	for _, l := range c.Listen {
		if l.Scheme == "media" {
			media++
		}
		if l.Loopback() {
			continue
		}
		wrong(c.Domain == "localhost", `the listener %s can be reached from other machines: write domain = "your.domain", the name that people log in to`, l)
		wrong(c.Store == "", `the listener %s can be reached from other machines: write store = "sqlite:/var/lib/parley/parley.db" or "postgres://user:password@host/database", so that it is known where accounts are kept`, l)
		wrong(l.Scheme == "http" && !l.Insecure, `the listener %s would carry passwords and tokens in plain text beyond this machine: write https://%s, or http+insecure://%s if a proxy in front does TLS`, l, l.Address(), l.Address())
	}
	wrong(media > 1, "listen has %d media listeners: all media goes through one port; media://:10000 is every address of the machine", media)
	wrong((c.TLS.Certificate == "") != (c.TLS.Key == ""), "tls.certificate and tls.key go together")
	wrong(c.Log.Format != "text" && c.Log.Format != "json", `log.format = %q is neither "text" nor "json"`, c.Log.Format)
	wrong(!slices.Contains([]muc.Creators{"", muc.Anyone, muc.Accounts, muc.Moderators}, c.Rooms.Create),
		`rooms.create = %q is neither "anyone", "accounts" nor "moderators"`, c.Rooms.Create)
	wrong(!slices.Contains([]string{"first", "account", "all", "nobody"}, c.Focus.Owners),
		`focus.owners = %q is neither "first", "account", "all" nor "nobody"`, c.Focus.Owners)
	wrong(c.TURN.Secret != "" && len(c.TURN.Secret) < 32, "turn.secret has %d bytes and needs 32; leave it out and the server makes one", len(c.TURN.Secret))
	seen := make(map[bool]bool)
	for _, a := range c.Advertise {
		wrong(!a.IsValid() || a.IsUnspecified() || a.Zone() != "" || a.Is4In6() || seen[a.Is4()], "advertise: %v is not one address of each family that clients can reach", a)
		seen[a.Is4()] = true
	}
	for _, o := range append(append([]string(nil), c.HTTP.Origins...), c.HTTP.Frames...) {
		u, err := url.Parse(o)
		wrong(err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.String() != u.Scheme+"://"+u.Host || strings.ContainsAny(o, " ;,'*"),
			"%q is no origin such as https://meet.example.org", o)
	}
	wrong(c.HTTP.HeaderBytes < 8<<10 || c.HTTP.BodyBytes < 1<<10, "http.header_bytes must be at least 8192, http.body_bytes 1024")
	wrong(c.HTTP.HeaderTimeout <= 0 || c.HTTP.BodyTimeout <= 0 || c.HTTP.IdleTimeout <= 0, "the time limits of http must not be 0")
	wrong(c.Limits.Full <= 0 || c.Limits.Full > 1, "limits.full = %v is not a share between 0 and 1", c.Limits.Full)
	wrong(c.C2S.QueueBytes <= 0 || c.C2S.QueueStanzas <= 0 || c.C2S.LoginTimeout <= 0 || c.C2S.HandshakeTimeout <= 0,
		"the queues and the time limits of c2s must not be 0")
	wrong(2*c.Rooms.History > c.C2S.QueueStanzas, "rooms.history = %d is more than half of c2s.queue_stanzas = %d, so that newcomers would be cut off", c.Rooms.History, c.C2S.QueueStanzas)
	return errors.Join(errs...)
}
