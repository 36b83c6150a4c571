package main

import (
	"net"
	"net/netip"
	"slices"
)

// interfaceAddresses are the machine's addresses, public ones first, loopback not among them.
func interfaceAddresses() (list []netip.Addr) {
	all, _ := net.InterfaceAddrs()
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().IsGlobalUnicast() {
			list = append(list, p.Addr().Unmap())
		}
	}
	slices.SortStableFunc(list, func(a, b netip.Addr) int {
		switch {
		case a.IsPrivate() == b.IsPrivate():
			return 0
		case a.IsPrivate():
			return 1
		}
		return -1
	})
	return list
}
