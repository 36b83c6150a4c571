package main

import (
	"crypto/tls"
	"net"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/config"
	"parley/internal/event"
	"parley/internal/token"
	"parley/turn"
)

// storeURL is where the store is.
func storeURL(cfg config.Config, data *dataDir) string {
	if cfg.Store != "" {
		return cfg.Store
	}
	return "sqlite:" + data.file("parley.db")
}

// ownIssuer is the issuer whose secret the server makes itself.
const ownIssuer = "parley"

// issuers are those of the configuration and our own.
func issuers(cfg config.Config, s secrets) []token.Issuer {
	list := cfg.Token.Issuers
	for _, i := range list {
		if i.Name == ownIssuer {
			return list
		}
	}
	return append(list, token.Issuer{Name: ownIssuer, Audiences: []string{ownIssuer}, Secrets: []string{s.token()}})
}

// newTokens returns the checker of tokens.
func newTokens(cfg config.Config, s secrets, rec *event.Recorder) (*token.Checker, error) {
	c := cfg.Token
	c.Issuers = issuers(cfg, s)
	return token.New(c, token.Options{Domains: []string{cfg.Domain}, Development: cfg.Development(), Recorder: rec})
}

func tlsListener(l net.Listener, c *certificate) net.Listener { return tls.NewListener(l, c.config()) }

// relayAt is a relay at an advertised address. Behind an address translation the machine does not have the address, and
// the sockets are bound to every address of its family.
func relayAt(a netip.Addr) turn.Relay {
	r := turn.Relay{Public: a}
	if !a.IsLoopback() && !hasAddress(a) {
		r.Bind = netip.IPv4Unspecified()
		if a.Is6() {
			r.Bind = netip.IPv6Unspecified()
		}
	}
	return r
}

func hasAddress(a netip.Addr) bool {
	for _, own := range interfaceAddresses() {
		if own == a {
			return true
		}
	}
	return false
}

// gauges are metrics that are read when they are asked for.
func (s *server) gauges() []prometheus.Collector {
	gauge := func(name, help string, read func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read)
	}
	return []prometheus.Collector{
		gauge("parley_sessions", "XMPP sessions, those included whose client is away.", func() float64 { n, _ := s.clients.Sessions(); return float64(n) }),
		gauge("parley_sessions_away", "XMPP sessions that wait for their client to come back.", func() float64 { _, n := s.clients.Sessions(); return float64(n) }),
		gauge("parley_rooms", "Rooms in use.", func() float64 { return float64(s.rooms.Stats().Rooms) }),
		gauge("parley_occupants", "Sessions in rooms.", func() float64 { return float64(s.rooms.Stats().Occupants) }),
		gauge("parley_open_files", "File descriptors in use.", func() float64 { return float64(s.process.openFiles.Load()) }),
		gauge("parley_full", "1 while no new client is taken because the process is near a limit.", func() float64 {
			if s.process.full.Load() {
				return 1
			}
			return 0
		}),
	}
}
