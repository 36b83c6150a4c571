package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"parley/internal/acme"
	"parley/internal/limit"
	"parley/muc"
	"parley/xmpp/component"
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
	c.Federation.Unlimited()
	c.HTTP.Unlimited()
	c.API.Rate, c.API.StrangeRate = limit.Rate{}, limit.Rate{}
	c.Roomserver.Unlimited()
	c.Apprtc.Unlimited()
	c.Auth.UserRate, c.Auth.StrangeRate, c.Auth.SourceRate, c.Auth.MaxDelay = limit.Rate{}, limit.Rate{}, limit.Rate{}, 0
	c.Register.Rate, c.Upload.Rate = limit.Rate{}, limit.Rate{}
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
	for _, admin := range c.Admins {
		a, err := wire.ParseAddr(admin)
		wrong(err != nil || string(a) != admin || !a.IsBare() || a.Local() == "" || a.Domain() != c.Domain, "admins: %q is no account of this server, such as ann@%s", admin, c.Domain)
	}
	wrong(len(c.Listen) == 0, `listen is empty: write at least listen = ["xmpp://127.0.0.1:5222", "http://127.0.0.1:8080"]`)
	proxy := slices.ContainsFunc(c.Listen, func(l Listener) bool { return l.Proxy })
	wrong(proxy != (len(c.Balancers) > 0), `listeners with +proxy and balancers go together: balancers = ["10.0.0.11/32"] says whom the PROXY protocol is believed`)
	wrong(slices.ContainsFunc(c.Listen, func(l Listener) bool { return l.Proxy && l.Admin }), "the admin listener has no +proxy")
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
		wrong(l.Scheme == "component" && !l.Insecure, `the listener %s would carry stanzas in plain text beyond this machine: listen on loopback, or write component+insecure://%s if a tunnel encrypts`, l, l.Address())
		wrong(l.Scheme == "http" && !l.Insecure, `the listener %s would carry passwords and tokens in plain text beyond this machine: write https://%s, or http+insecure://%s if a proxy in front does TLS`, l, l.Address(), l.Address())
	}
	listens := slices.ContainsFunc(c.Listen, func(l Listener) bool { return l.Scheme == "component" })
	wrong(len(c.Component) > 0 && !listens, `there are components, but nowhere to connect: add "component://127.0.0.1:5347" to listen`)
	wrong(len(c.Component) == 0 && listens, "there is a component listener, but no component that may connect: write a block [[component]]")
	if err := component.Check(c.Component, c.Domain, c.RoomsDomain(), "focus."+c.Domain, "auth."+c.Domain, c.CallsDomain(), "upload."+c.Domain); err != nil {
		errs = append(errs, err)
	}
	wrong(len(c.Media.Name) > 32 || strings.Trim(c.Media.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "", "media.name = %q has more than 32 characters, or others than lower-case letters, digits and hyphens", c.Media.Name)
	wrong(media > 1, "listen has %d media listeners: all media goes through one port; media://:10000 is every address of the machine", media)
	wrong((c.TLS.Certificate == "") != (c.TLS.Key == ""), "tls.certificate and tls.key go together")
	wrong(c.TLS.ACME && c.TLS.Certificate != "", "tls.acme and tls.certificate exclude one another")
	wrong(c.TLS.ACME && c.Domain == "localhost", `tls.acme = true: no authority gives a certificate for localhost: write domain = "your.domain"`)
	wrong(c.TLS.ACME && !slices.ContainsFunc(c.Listen, func(l Listener) bool { return l.Scheme == "https" || l.Scheme == "http" && !l.Admin }),
		`tls.acme = true: no listener could answer the authority: add "https://:443", or "http+insecure://:80"`)
	if err := acme.Check(c.TLS.CA); err != nil {
		wrong(true, "tls.ca: %w", err)
	}
	wrong(c.Log.Format != "text" && c.Log.Format != "json", `log.format = %q is neither "text" nor "json"`, c.Log.Format)
	wrong(!slices.Contains([]muc.Creators{"", muc.Anyone, muc.Accounts, muc.Moderators}, c.Rooms.Create),
		`rooms.create = %q is neither "anyone", "accounts" nor "moderators"`, c.Rooms.Create)
	wrong(!slices.Contains([]string{"first", "account", "all", "nobody"}, c.Focus.Owners),
		`focus.owners = %q is neither "first", "account", "all" nor "nobody"`, c.Focus.Owners)
	wrong(c.TURN.Secret != "" && len(c.TURN.Secret) < 32, "turn.secret has %d bytes and needs 32; leave it out and the server makes one", len(c.TURN.Secret))
	wrong(c.DrainGrace < 0 || c.DrainGrace > 24*time.Hour, "drain_grace = %v is not a time of up to 24h", c.DrainGrace)
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
	wrong(c.API.AccessLife < time.Second || c.API.RefreshLife < c.API.AccessLife || c.API.TokenLife < time.Second || c.API.Logins < 1,
		"api: the lives must be a second at least, refresh_life not less than access_life, logins at least 1")
	wrong(c.API.TokenLife > c.Token.MaxLifetime, "api.token_life = %v is more than token.max_lifetime = %v, so that no token would be accepted", c.API.TokenLife, c.Token.MaxLifetime)
	if err := c.Invite.Check(); err != nil {
		errs = append(errs, err)
	}
	if err := c.Federation.Check(); err != nil {
		errs = append(errs, err)
	}
	wrong(2*c.Rooms.History > c.C2S.QueueStanzas, "rooms.history = %d is more than half of c2s.queue_stanzas = %d, so that newcomers would be cut off", c.Rooms.History, c.C2S.QueueStanzas)
	wrong(c.Accounts.Offline > c.C2S.QueueStanzas || c.Accounts.OfflineBytes > c.C2S.QueueBytes,
		"accounts.offline = %d and accounts.offline_bytes = %d do not fit into c2s.queue_stanzas = %d and c2s.queue_bytes = %d, so that who comes back would be cut off",
		c.Accounts.Offline, c.Accounts.OfflineBytes, c.C2S.QueueStanzas, c.C2S.QueueBytes)
	if err := c.Pubsub.Check(); err != nil {
		wrong(true, "%w", err)
	}
	if err := c.Archive.Check(); err != nil {
		wrong(true, "%w", err)
	}
	if err := c.Push.Check(); err != nil {
		wrong(true, "%w", err)
	}
	if err := c.Contact.Check(); err != nil {
		wrong(true, "%w", err)
	}
	if err := c.Roomserver.Check(); err != nil {
		wrong(true, "roomserver: %v", err)
	}
	if err := c.OIDC.Check(); err != nil {
		errs = append(errs, fmt.Errorf("config: %w", err))
	}
	if err := c.Records.Check(); err != nil {
		wrong(true, "%w", err)
	}
	if err := c.Alerts.Check(&c.Records.Report); err != nil {
		wrong(true, "%w", err)
	}
	if err := c.Apprtc.Check(); err != nil {
		wrong(true, "apprtc: %v", err)
	}
	if err := c.Upload.Check(); err != nil {
		wrong(true, "%w", err)
	}
	return errors.Join(errs...)
}
