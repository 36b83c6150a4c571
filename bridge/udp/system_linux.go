package udp

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernel is a socket that takes and gives several datagrams in one call.
type kernel struct {
	*bound
	raw syscall.RawConn
	six bool        // the socket is of AF_INET6, and may carry IPv4 as mapped addresses
	gso atomic.Bool // the kernel cuts

	arrivals *arrivals                                   // the reader's
	sendmsg  func(fd uintptr, h *unix.Msghdr) unix.Errno // sendmsg(2) without waiting
}

// open prepares the socket. What an older kernel does not know, it does without.
func open(b *bound, simple bool) link {
	raw, err := b.conn.SyscallConn()
	if simple || err != nil {
		return &plain{bound: b}
	}
	l := &kernel{bound: b, raw: raw, sendmsg: sendmsg}
	raw.Control(func(fd uintptr) {
		domain, _ := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
		l.six = domain == unix.AF_INET6
		_, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT)
		l.gso.Store(err == nil)
		for _, o := range []struct{ level, name int }{
			{unix.IPPROTO_UDP, unix.UDP_GRO},
			{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS},
			{unix.SOL_SOCKET, unix.SO_RXQ_OVFL},
			{unix.IPPROTO_IP, unix.IP_RECVTOS},
			{unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS},
		} {
			unix.SetsockoptInt(int(fd), o.level, o.name, 1)
		}
	})
	return l
}

// share lets several sockets bind one port. The kernel gives all datagrams of one source to one of them.
func share(_, _ string, raw syscall.RawConn) error {
	var refused error
	err := raw.Control(func(fd uintptr) {
		refused = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	})
	if err != nil {
		return err
	}
	return refused
}

// enlarge asks for buffers of size bytes, beyond the system's bounds if the process may (CAP_NET_ADMIN), and reports those
// that are smaller. The kernel takes, and reports, twice of what is asked, for its own needs (socket(7)).
func enlarge(conn *net.UDPConn, size int) []Shortage {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil
	}
	var short []Shortage
	raw.Control(func(fd uintptr) {
		for _, o := range []struct {
			buffer      string
			name, force int
		}{
			{"receive", unix.SO_RCVBUF, unix.SO_RCVBUFFORCE},
			{"send", unix.SO_SNDBUF, unix.SO_SNDBUFFORCE},
		} {
			if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, o.force, size) != nil {
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, o.name, size)
			}
			if got, _ := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, o.name); got/2 < size {
				short = append(short, Shortage{o.buffer, size, got / 2})
			}
		}
	})
	return short
}

// sockaddr is an address as the kernel has it: a RawSockaddrInet6, or a RawSockaddrInet4, which is smaller.
type sockaddr struct {
	raw  unix.RawSockaddrInet6
	size uint32
}

// set fills in an address for a socket of AF_INET6 (six) or AF_INET. The kernel refuses one that its socket cannot reach.
func (a *sockaddr) set(to netip.AddrPort, six bool) {
	addr := to.Addr()
	if !six && addr.Unmap().Is4() {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&a.raw))
		*v4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: addr.Unmap().As4()}
		binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&v4.Port))[:], to.Port())
		a.size = unix.SizeofSockaddrInet4
		return
	}
	a.raw = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: addr.As16(), Scope_id: scope(addr.Zone())}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&a.raw.Port))[:], to.Port())
	a.size = unix.SizeofSockaddrInet6
}

// get returns the address, IPv4 never as a mapped one.
func (a *sockaddr) get() netip.AddrPort {
	if a.raw.Family == unix.AF_INET {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&a.raw))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&v4.Port))[:]))
	}
	addr := netip.AddrFrom16(a.raw.Addr).Unmap()
	if a.raw.Scope_id != 0 {
		addr = addr.WithZone(strconv.FormatUint(uint64(a.raw.Scope_id), 10))
	}
	return netip.AddrPortFrom(addr, binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&a.raw.Port))[:]))
}

// scope returns the number of a zone, which is that number or the name of an interface (RFC 4007 §11.2).
func scope(zone string) uint32 {
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	if zone != "" {
		if i, err := net.InterfaceByName(zone); err == nil {
			return uint32(i.Index)
		}
	}
	return 0
}
