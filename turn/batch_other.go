//go:build !linux

package turn

import (
	"net"
	"net/netip"
	"sync/atomic"
)

// batch is for systems that take and send several datagrams in one call.
type batch struct{ overflow atomic.Uint64 }

// arrival is what such a system fills in.
type arrival struct{}

func newBatch(*net.UDPConn) *batch { return nil }

func (*batch) gather() {}

func (*batch) read(func([]byte, int, netip.AddrPort)) error { return nil }

func (*batch) send([]byte, int, netip.AddrPort) bool { return false }
