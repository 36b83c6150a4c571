package turn

import (
	"net/netip"
	"slices"
	"sync/atomic"
)

// scope says which ports of an address data may be relayed to and accepted from.
type scope uint8

const (
	noPort   scope = iota // not a peer
	ownPorts              // an address of this machine: relay sockets there and the ports that the configuration names
	anyPort
)

// policy decides which peers there are (hardening.md HT2). It denies what is not a public unicast address, and of this
// machine everything but relays and media; loopback is denied unless relays are there. It is safe for concurrent use.
type policy struct {
	allowed []netip.Prefix
	ports   []PortRange
	own     atomic.Pointer[map[netip.Addr]scope] // never changes once it is here
	named   []netip.Addr                         // own addresses that the configuration names
	relays  []Relay
	live    [2]ports // ports of relay sockets that are open, IPv4 and IPv6
}

// ports is a set of ports.
type ports [1 << 16 / 64]atomic.Uint64

func (p *ports) set(port uint16)      { p[port/64].Or(1 << (port % 64)) }
func (p *ports) clear(port uint16)    { p[port/64].And(^(uint64(1) << (port % 64))) }
func (p *ports) has(port uint16) bool { return p[port/64].Load()&(1<<(port%64)) != 0 }

// reserved are the networks that are not peers: the special registries of RFC 6890 and what IANA has added since. Of IPv6
// only 2000::/3 is in use at all.
var reserved = prefixes("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
	"192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"::/3", "4000::/2", "8000::/1", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")

func prefixes(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func newPolicy(cfg Config, own []netip.Addr) *policy {
	p := &policy{allowed: cfg.Peers, ports: cfg.PeerPorts, named: cfg.Own, relays: cfg.Relays}
	p.know(own)
	return p
}

// know sets the addresses of this machine: those given, and those that the configuration names.
func (p *policy) know(addrs []netip.Addr) {
	own := make(map[netip.Addr]scope)
	for _, a := range slices.Concat(addrs, p.named) {
		a = a.Unmap().WithZone("")
		own[a] = noPort
		if len(p.ports) > 0 && !a.IsLoopback() {
			own[a] = ownPorts
		}
	}
	for _, r := range p.relays {
		own[r.Public], own[r.Bind] = ownPorts, ownPorts
	}
	for _, none := range []netip.Addr{{}, netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		delete(own, none)
	}
	p.own.Store(&own)
}

// scope returns which ports of an address are peers.
func (p *policy) scope(a netip.Addr) scope {
	if s, ok := (*p.own.Load())[a]; ok {
		return s
	}
	listed := slices.ContainsFunc(p.allowed, func(n netip.Prefix) bool { return n.Contains(a) })
	if inner, ok := hidden(a); ok {
		// A form that hides an address is a peer only if both have been allowed.
		if !listed {
			return noPort
		}
		for _, i := range inner {
			if i.IsValid() && p.scope(i) != anyPort {
				return noPort
			}
		}
		return anyPort
	}
	if listed {
		return anyPort
	}
	if !a.IsValid() || a.Zone() != "" || slices.ContainsFunc(reserved, func(n netip.Prefix) bool { return n.Contains(a) }) {
		return noPort
	}
	return anyPort
}

// peer reports that an address and port are a peer.
func (p *policy) peer(a netip.AddrPort) bool { return p.within(p.scope(a.Addr()), a) }

// within is peer for an address whose scope is known already.
func (p *policy) within(s scope, a netip.AddrPort) bool {
	if a.Port() == 0 || s == noPort {
		return false
	}
	if s == anyPort {
		return true
	}
	for _, r := range p.relays {
		if (a.Addr() == r.Public || a.Addr() == r.Bind) && p.open(a) {
			return true
		}
	}
	return slices.ContainsFunc(p.ports, func(r PortRange) bool { return r.has(a.Port()) })
}

// open reports that the port belongs to a relay socket.
func (p *policy) open(a netip.AddrPort) bool { return p.family(a.Addr()).has(a.Port()) }

func (p *policy) family(a netip.Addr) *ports {
	if a.Is4() {
		return &p.live[0]
	}
	return &p.live[1]
}

// inward turns the public address of a relay of ours into the one that its socket is bound to, since an address
// translation in front of this machine need not lead back. All other addresses stay as they are.
func (p *policy) inward(a netip.AddrPort) netip.AddrPort {
	for _, r := range p.relays {
		if r.translated() && a.Addr() == r.Public && p.open(a) {
			return netip.AddrPortFrom(r.Bind, a.Port())
		}
	}
	return a
}

// outward is the inverse of inward.
func (p *policy) outward(a netip.AddrPort) netip.AddrPort {
	for _, r := range p.relays {
		if r.translated() && a.Addr() == r.Bind && p.open(a) {
			return netip.AddrPortFrom(r.Public, a.Port())
		}
	}
	return a
}

func (r Relay) translated() bool {
	return r.Bind.IsValid() && r.Bind != r.Public && !r.Bind.IsUnspecified()
}

// The forms in which an IPv6 address leads to an IPv4 one.
var (
	compatible = netip.MustParsePrefix("::/96")          // RFC 4291 §2.5.5.1
	nat64      = netip.MustParsePrefix("64:ff9b::/96")   // RFC 6052 §2.1
	nat64Local = netip.MustParsePrefix("64:ff9b:1::/48") // RFC 8215, cut into prefixes as the operator likes
	sixToFour  = netip.MustParsePrefix("2002::/16")      // RFC 3056 §2
	teredo     = netip.MustParsePrefix("2001::/32")      // RFC 4380 §4: the server, and the client inverted
)

// hidden reports that an address is of a form that leads to IPv4 addresses, and which these may be.
func hidden(a netip.Addr) (inner [2]netip.Addr, ok bool) {
	if !a.Is6() {
		return inner, false
	}
	b := a.As16()
	at := func(i, j, k, l int) netip.Addr { return netip.AddrFrom4([4]byte{b[i], b[j], b[k], b[l]}) }
	last := at(12, 13, 14, 15)
	switch {
	case a.Is4In6(), compatible.Contains(a), nat64.Contains(a):
		inner[0] = last
	case nat64Local.Contains(a):
		inner = [2]netip.Addr{at(6, 7, 9, 10), last} // RFC 6052 §2.2, for /48 and /96
	case sixToFour.Contains(a):
		inner[0] = at(2, 3, 4, 5)
	case teredo.Contains(a):
		inner = [2]netip.Addr{at(4, 5, 6, 7), netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]})}
	default:
		return inner, false
	}
	return inner, true
}
