package s2s

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"parley/internal/limit"
	"parley/xmpp/wire"
)

// Policy is what other servers must show.
type Policy string

// The values of Policy.
const (
	Valid    Policy = "valid"    // a certificate for their domain
	Dialback Policy = "dialback" // that, or a key that the server of their domain confirms
)

// Config is what an administrator may set.
type Config struct {
	Certificates Policy         `help:"what other servers must show: valid (a certificate for their domain) or dialback (that, or a key that the server at their domain's address confirms)"`
	Roots        string         `help:"PEM file with the authorities whose certificates are valid; empty: the system's"`
	Allow        []string       `help:"domains that we federate with, their subdomains included; empty: all; read again at SIGHUP"`
	Block        []string       `help:"domains that we do not federate with, their subdomains included; read again at SIGHUP"`
	Hosts        []Host         `help:"servers that are not looked up in the DNS"`
	Networks     []netip.Prefix `help:"private networks in which servers may be; elsewhere, a name that leads to a private address leads nowhere"`

	Peer Budget `help:"what another server may send"`

	OpenPerSource    int           `help:"connections of one source that are not authenticated"`
	RatePerSource    limit.Rate    `help:"new connections of one source"`
	StreamsPerDomain int           `help:"streams that one domain may have open to us"`
	ChecksPerSource  int           `help:"dialback keys of one source that are being checked"`
	Dials            int           `help:"connections that are being opened at once"`
	Domains          int           `help:"pairs of a domain of ours and one of others between which something goes on"`
	QueueStanzas     int           `help:"stanzas that wait for one domain"`
	QueueBytes       int           `help:"bytes that wait for one domain"`
	HandshakeTimeout time.Duration `help:"time for the TLS handshake"`
	LoginTimeout     time.Duration `help:"from connecting to being authenticated"`
	DialTimeout      time.Duration `help:"from looking up a server to having a stream to it"`
	IdleTimeout      time.Duration `help:"silence after which a stream is closed, unless somebody is in a room over it"`
	ProbeInterval    time.Duration `help:"silence after which a server is asked whether it is there"`
	AttendInterval   time.Duration `help:"the same for a server whose people are in our rooms"`
	AnswerTimeout    time.Duration `help:"how long it may take to answer"`
	Patience         time.Duration `help:"how long a server that was there may be away before what waits for it goes back and its people leave our rooms"`
}

// Budget bounds what another server may send.
type Budget struct {
	XML     wire.Limits
	Bytes   limit.Rate
	Stanzas limit.Rate
}

// Host says where the server of a domain is.
type Host struct {
	Domain  string `help:"domain"`
	Address string `help:"address and port, such as 192.0.2.1:5269"`
	TLS     bool   `help:"connections begin with TLS (XEP-0368)"`
}

// Defaults are the limits of hardening.md §1, column s2s.
func Defaults() Config {
	xml := wire.AfterAuth
	xml.Size = 524_288
	return Config{
		Certificates: Dialback,

		Peer: Budget{XML: xml, Bytes: limit.Rate{PerSecond: 512 << 10, Burst: 2 << 20}, Stanzas: limit.Rate{PerSecond: 500, Burst: 3000}},

		OpenPerSource: 20, RatePerSource: limit.Rate{PerSecond: 20, Burst: 100}, StreamsPerDomain: 20, ChecksPerSource: 10,
		Dials: 50, Domains: 10_000, QueueStanzas: 20_000, QueueBytes: 8 << 20,
		HandshakeTimeout: 10 * time.Second, LoginTimeout: 60 * time.Second, DialTimeout: 30 * time.Second,
		IdleTimeout: 10 * time.Minute, ProbeInterval: 5 * time.Minute,
		AttendInterval: 12 * time.Second, AnswerTimeout: 12 * time.Second, Patience: 25 * time.Second,
	}
}

// Unlimited lifts the rates and the counts per source and domain, for load tests.
func (c *Config) Unlimited() {
	c.Peer.Bytes, c.Peer.Stanzas, c.RatePerSource = limit.Rate{}, limit.Rate{}, limit.Rate{}
	c.OpenPerSource, c.StreamsPerDomain = 0, 0
}

// Check says what is wrong.
func (c *Config) Check() error {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("federation."+format, args...))
		}
	}
	wrong(c.Certificates != Valid && c.Certificates != Dialback, `certificates = %q is neither "valid" nor "dialback"`, c.Certificates)
	for _, d := range slices.Concat(c.Allow, c.Block) {
		wrong(!isDomain(d), "allow and block: %q is not a domain name in lower case", d)
	}
	for _, h := range c.Hosts {
		wrong(!isDomain(h.Domain), "hosts: %q is not a domain name in lower case", h.Domain)
		_, err := netip.ParseAddrPort(h.Address)
		wrong(err != nil, `hosts: %q is not an address with a port, such as "192.0.2.1:5269"`, h.Address)
	}
	for _, n := range []int{c.ChecksPerSource, c.Dials, c.Domains, c.QueueStanzas, c.QueueBytes} {
		wrong(n <= 0, "checks_per_source, dials, domains, queue_stanzas and queue_bytes must not be 0")
	}
	for _, d := range []time.Duration{c.HandshakeTimeout, c.LoginTimeout, c.DialTimeout, c.IdleTimeout, c.ProbeInterval, c.AttendInterval, c.AnswerTimeout, c.Patience} {
		wrong(d <= 0, "its times must not be 0")
	}
	return errors.Join(errs...)
}

func isDomain(s string) bool {
	a, err := wire.ParseAddr(s)
	return err == nil && string(a) == s && a.Domain() == s
}

// authorities reads the PEM file; nil stands for those of the system.
func authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("s2s: roots: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("s2s: roots: %s holds no certificate", file)
	}
	return pool, nil
}

// lists are whom we federate with.
type lists struct{ allow, block []string }

func (l *lists) admits(domain string) bool {
	return !listed(l.block, domain) && (len(l.allow) == 0 || listed(l.allow, domain))
}

// listed reports that the domain or one that it is below is in the list.
func listed(list []string, domain string) bool {
	return slices.ContainsFunc(list, func(d string) bool {
		return domain == d || strings.HasSuffix(domain, "."+d)
	})
}
