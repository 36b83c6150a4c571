package ice

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Candidate is a candidate as signalling carries it (RFC 8839 §5.1, XEP-0176 §5.2).
type Candidate struct {
	Foundation string
	Component  int
	Protocol   string // "udp" or "tcp"
	Priority   uint32
	Address    string // an IP address; peers also write names, which are never resolved
	Port       uint16
	Type       string // host, srflx, prflx, relay
	TCPType    string // RFC 6544: active, passive, so
}

// Local is one base of the server: a socket that packets leave from (RFC 8445 §4).
type Local struct {
	Transport Transport
	// Base is what Path.Local says of packets of this socket. Where it is [::], it reaches IPv4 as well.
	Base netip.AddrPort
	// Signalled are the addresses that peers reach the base at: its own ones and those that a NAT maps to it. Empty stands
	// for the base. All are offered as host candidates: a peer treats both alike, and the private address stays unsaid.
	Signalled []netip.AddrPort
}

// reaches reports that packets can go from the base to the address.
func (l Local) reaches(a netip.Addr) bool {
	base := l.Base.Addr().Unmap()
	return base.Is4() == a.Is4() || base.Is6() && base.IsUnspecified()
}

// The type preferences of RFC 8445 §5.1.2.2. Over TCP they are lower (RFC 6544 §4.2).
const (
	hostPreference  = 126
	prflxPreference = 110
	tcpPenalty      = 27
)

// priority is RFC 8445 §5.1.2.1 for component 1 and the base with this index: earlier bases are preferred.
func priority(preference int, t Transport, index int) uint32 {
	if t == TCP {
		preference -= tcpPenalty
	}
	return uint32(preference)<<24 | uint32(65535-index)<<8 | 255
}

// pairPriority is RFC 8445 §6.1.2.3.
func pairPriority(controlling, controlled uint32) uint64 {
	p := uint64(min(controlling, controlled))<<32 + 2*uint64(max(controlling, controlled))
	if controlling > controlled {
		p++
	}
	return p
}

// Candidates returns what the server offers to every peer.
func (s *Server) Candidates() (out []Candidate) {
	for i, l := range s.local {
		for _, a := range l.Signalled {
			c := Candidate{
				Foundation: fmt.Sprint(i + 1), Component: 1, Protocol: l.Transport.String(), Priority: priority(hostPreference, l.Transport, i),
				Address: a.Addr().String(), Port: a.Port(), Type: "host",
			}
			if l.Transport == TCP {
				c.TCPType = "passive"
			}
			out = append(out, c)
		}
	}
	return out
}

// ErrFiltered says that a candidate of a peer is ignored (hardening HB2). The session goes on without it.
var ErrFiltered = errors.New("ice: candidate ignored")

// Policy says which candidates of peers are checked. A check goes where a stranger says, so that the zero Policy allows
// public addresses only. Peers behind a NAT or in the same network need no candidates: they are learnt from their checks.
type Policy struct {
	AllowLoopback bool
	AllowPrivate  bool // RFC 1918, RFC 6598, RFC 4193

	Own      []netip.Prefix // this machine's, which are refused: its services trust it
	OwnPorts [2]uint16      // but for these, first and last: those of its relays
}

// maxCandidates is how many candidates of a peer are looked at in one generation.
const maxCandidates = 100

func prefixes(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

var (
	private = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
	// never are the special networks of RFC 6890 that no peer is in. Of IPv6 only 2000::/3 is in use, and of that, what
	// hides an IPv4 address in it (Teredo, 6to4) would lead around the list.
	never = prefixes("0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "::/3", "4000::/2", "8000::/1", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)

// address returns the address to check for a candidate, or ErrFiltered with the reason.
func (p Policy) address(c Candidate) (netip.AddrPort, error) {
	refuse := func(why string) (netip.AddrPort, error) {
		return netip.AddrPort{}, fmt.Errorf("%w: %s", ErrFiltered, why)
	}
	switch {
	case c.Component != 1:
		return refuse("component")
	case !strings.EqualFold(c.Protocol, "udp"):
		return refuse("protocol") // TCP peers connect to us
	case c.Port == 0 || c.Port == 9 || c.Port == 53:
		return refuse("port")
	case c.Priority == 0 || c.Priority > 1<<31-1: // RFC 8445 §5.1.2
		return refuse("priority")
	}
	a, err := netip.ParseAddr(c.Address)
	if err != nil || a.Zone() != "" {
		return refuse("name")
	}
	a = a.Unmap()
	in := func(list []netip.Prefix) bool {
		return slices.ContainsFunc(list, func(n netip.Prefix) bool { return n.Contains(a) })
	}
	switch {
	case in(p.Own) && (c.Port < p.OwnPorts[0] || c.Port > p.OwnPorts[1]):
		return refuse("own address")
	case a.IsLoopback():
		if !p.AllowLoopback {
			return refuse("loopback")
		}
	case in(private):
		if !p.AllowPrivate {
			return refuse("private")
		}
	case in(never):
		return refuse("special network")
	}
	return netip.AddrPortFrom(a, c.Port), nil
}
