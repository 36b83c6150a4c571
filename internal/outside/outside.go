// Package outside keeps requests that others cause within the public Internet: what an address written by somebody else resolves to
// is looked at when it is dialled, so that no name leads to this machine or the network behind it (hardening HN).
package outside

import (
	"errors"
	"net/netip"
	"syscall"
)

// ErrBlocked is what is dialled at an address that is not public.
var ErrBlocked = errors.New("address is not public")

// inner holds what netip's own predicates do not say: IPv4 networks that are not public, and the IPv6 networks that hide
// an IPv4 address or a tunnel.
var inner = func() (list []netip.Prefix) {
	for _, s := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "240.0.0.0/4", "::/96", "64:ff9b:1::/48", "100::/64", "2001::/32", "2001:db8::/32", "2002::/16",
		"fec0::/10",
	} {
		list = append(list, netip.MustParsePrefix(s))
	}
	return list
}()

var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// Public reports whether an address is one of the public Internet.
func Public(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	if nat64.Contains(addr) { // RFC 6052 §2.2: the IPv4 address stands in the last four bytes
		b := addr.As16()
		addr = netip.AddrFrom4([4]byte(b[12:]))
	}
	if !addr.IsGlobalUnicast() || addr.IsPrivate() {
		return false
	}
	for _, p := range inner {
		if p.Contains(addr) {
			return false
		}
	}
	return true
}

// Control is for net.Dialer.Control: it refuses what is not public.
func Control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !Public(at.Addr()) {
		return ErrBlocked
	}
	return nil
}
