package main

import (
	"crypto/rand"
	"net/netip"
	"slices"
	"sync"
	"time"

	"parley/internal/config"
	"parley/internal/journal"
	"parley/turn"
	"parley/xmpp/im"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// ice tells sessions of the STUN and TURN services (XEP-0215) and ends their allocations with them. A session is a user
// of TURN under a random name, so that a credential says nothing of who has it.
type ice struct {
	*im.Host // who is told of sessions first
	registry *turn.Registry
	relay    relay // nil: services of others only
	ttl      time.Duration

	lives   func(wire.Addr) bool // reports that a session exists
	journal *journal.Journal     // nil: nothing is kept
	part    *journal.Part

	mu    sync.Mutex // guards users; records about them are appended with it held
	users map[wire.Addr]string

	visitors *visitors // nil: people of other servers are given no credentials
}

// relay ends a user's allocations, and refuses the user's credentials from then on.
type relay interface{ End(user string) }

func newICE(host *im.Host, registry *turn.Registry, relay relay, ttl time.Duration) *ice {
	i := &ice{Host: host, registry: registry, relay: relay, ttl: ttl, users: make(map[wire.Addr]string)}
	host.ServeServices(i.services)
	return i
}

// services are those that a session may use, with a credential of its own.
func (i *ice) services(s route.Sender) []im.Service {
	now := time.Now()
	user := i.user(s, now)
	var list []im.Service
	for _, v := range i.registry.Services(user, i.ttl, now) {
		if user == "" && v.Username != "" {
			continue
		}
		list = append(list, im.Service{Type: v.Type, Host: v.Host, Port: int(v.Port), Transport: v.Transport, Username: v.Username, Password: v.Password, Expires: v.Expires})
	}
	return list
}

// user returns as whom somebody uses the relay; "": not at all.
func (i *ice) user(s route.Sender, now time.Time) string {
	if r, ok := s.(interface{ Remote() bool }); ok && r.Remote() {
		return i.visitors.user(s.Addr().Bare(), now)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	user := i.users[s.Addr()]
	if user == "" {
		user = rand.Text()
		i.users[s.Addr()] = user
		i.note(s.Addr(), user)
	}
	return user
}

// Unbound implements route.Accounts: with the session, its relayed addresses end.
func (i *ice) Unbound(b *wire.Batch, s route.Sender, clean bool) {
	i.Host.Unbound(b, s, clean)
	i.end(s.Addr())
}

// end ends a session's allocations and credentials. If it asks again it gets new ones.
func (i *ice) end(addr wire.Addr) {
	i.mu.Lock()
	user := i.users[addr]
	if user != "" {
		delete(i.users, addr)
		i.note(addr, "")
	}
	i.mu.Unlock()
	if user != "" && i.relay != nil {
		i.relay.End(user)
	}
}

// offers are the services of our own listeners. TURN is offered by address, since a look-up would only cost time; over
// TLS by name, which is what the certificate is for.
func offers(cfg config.Config, listeners []*bound, secret string) []turn.Offer {
	list := cfg.ICE.Services
	add := func(kind, host string, port uint16, transport string) {
		list = append(list, turn.Offer{URI: turn.Service{Type: kind, Host: host, Port: port, Transport: transport}.URI(), Secret: secret})
	}
	for _, l := range listeners {
		port := l.at.Port()
		switch l.Scheme {
		case "turn":
			for _, a := range reachable(cfg, "turn", "turns") {
				add("stun", a.String(), port, "udp")
				add("turn", a.String(), port, "udp")
				add("turn", a.String(), port, "tcp")
			}
		case "turns":
			add("turns", cfg.Domain, port, "tcp")
		}
	}
	return list
}

// advertised are the addresses that clients are told to send media to, at most one of each family.
func advertised(cfg config.Config) []netip.Addr { return reachable(cfg, "turn", "turns", "media") }

// reachable are the addresses at which clients find the listeners of these schemes, at most one of each family.
func reachable(cfg config.Config, schemes ...string) (list []netip.Addr) {
	if len(cfg.Advertise) > 0 {
		return cfg.Advertise
	}
	have := make(map[bool]bool)
	take := func(a netip.Addr) {
		if a.IsValid() && !a.IsLinkLocalUnicast() && !have[a.Is4()] {
			have[a.Is4()] = true
			list = append(list, a)
		}
	}
	for _, l := range cfg.Listen {
		if !slices.Contains(schemes, l.Scheme) {
			continue
		}
		a, _ := netip.ParseAddr(l.Host)
		switch {
		case l.Host == "localhost":
			take(netip.MustParseAddr("127.0.0.1"))
		case !a.IsValid() || a.IsUnspecified():
			for _, own := range interfaceAddresses() {
				if !a.IsValid() || a.Is4() == own.Is4() {
					take(own)
				}
			}
		default:
			take(a)
		}
	}
	return list
}
