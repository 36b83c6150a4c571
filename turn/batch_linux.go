package turn

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batch takes and sends several datagrams in one system call. It holds no memory between the calls.
type batch struct {
	conn *net.UDPConn
	raw  syscall.RawConn
	gso  atomic.Bool // sending together works

	overflow atomic.Uint64 // datagrams that the kernel had no room for
	counted  uint32        // of them, as the kernel counts; the reader's
}

// newBatch returns nil if the socket is of a kind that does not let us. It only looks: see gather.
func newBatch(conn *net.UDPConn) *batch {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil
	}
	b := &batch{conn: conn, raw: raw}
	err = raw.Control(func(fd uintptr) {
		_, none := unix.GetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT)
		b.gso.Store(none == nil)
	})
	if err != nil {
		return nil
	}
	return b
}

// gather lets datagrams come together. It is called before anybody is told of the socket: what the kernel has queued
// until then comes one by one.
func (b *batch) gather() {
	b.raw.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1) // older kernels give one by one
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1)
	})
}

// read calls take with what arrives until an error. While it waits and while the kernel copies it has the socket, while
// take runs it has not, so that closing the socket never waits for take.
func (b *batch) read(take func(b []byte, size int, from netip.AddrPort)) error {
	var r struct {
		memory *buffer
		n      int
		size   int
		from   netip.AddrPort
		err    error
	}
	receive := func(fd uintptr) bool {
		r.memory = buffers.Get().(*buffer)
		r.n, r.size, r.from, r.err = r.memory.receive(fd, r.memory.bytes[:])
		if r.err == unix.EAGAIN {
			buffers.Put(r.memory)
			r.memory = nil
			return false
		}
		return true
	}
	for {
		if err := b.raw.Read(receive); err != nil {
			return err
		}
		if r.err == nil && r.memory.lost != b.counted && r.memory.noted {
			b.overflow.Add(uint64(r.memory.lost - b.counted)) // the kernel's count wraps
			b.counted = r.memory.lost
		}
		if r.err == nil && (r.size > 0 || r.n == 0) {
			take(r.memory.bytes[:r.n], r.size, r.from)
		}
		buffers.Put(r.memory)
		r.memory = nil
		if r.err != nil && r.err != unix.EINTR {
			return r.err
		}
	}
}

// arrival is what the kernel fills in when it is asked for datagrams. The wrapper of the system call in package unix takes
// memory for each one and asks for the protocol of the socket besides.
type arrival struct {
	header  unix.Msghdr
	vector  unix.Iovec
	from    unix.RawSockaddrInet6 // or RawSockaddrInet4, which is smaller
	control [64]byte

	noted bool   // the kernel said
	lost  uint32 // how many datagrams it has had no room for, up to the newest here
}

// receive makes one system call, which does not wait: it returns how many bytes came, the size of each datagram, and from
// where they are. Datagrams that were cut have size 0.
func (a *arrival) receive(fd uintptr, b []byte) (n, size int, from netip.AddrPort, err error) {
	a.vector.Base = &b[0]
	a.vector.SetLen(len(b))
	a.header = unix.Msghdr{Name: (*byte)(unsafe.Pointer(&a.from)), Namelen: uint32(unsafe.Sizeof(a.from)), Iov: &a.vector, Control: &a.control[0]}
	a.header.SetIovlen(1)
	a.header.SetControllen(len(a.control))
	r, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&a.header)), unix.MSG_DONTWAIT)
	if errno != 0 {
		return 0, 0, from, errno
	}
	port := func(p *uint16) uint16 { return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(p))[:]) }
	switch a.from.Family {
	case unix.AF_INET:
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&a.from))
		from = netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), port(&v4.Port))
	case unix.AF_INET6:
		ip := netip.AddrFrom16(a.from.Addr)
		if a.from.Scope_id != 0 {
			ip = ip.WithZone(strconv.Itoa(int(a.from.Scope_id)))
		}
		from = netip.AddrPortFrom(ip, port(&a.from.Port))
	}
	n = int(r)
	size = a.notes(a.control[:a.header.Controllen])
	if a.header.Flags&unix.MSG_TRUNC != 0 {
		return n, 0, from, nil
	}
	if size == 0 || size > n {
		size = n
	}
	return n, size, from, nil
}

// notes reads what the kernel says of datagrams: how many it has had no room for (SO_RXQ_OVFL, socket(7)), and the size of those
// that came together, 0 if there is only one (UDP_GRO with an int, linux/udp.h).
func (a *arrival) notes(control []byte) (size int) {
	a.noted = false
	for len(control) >= unix.SizeofCmsghdr {
		h, data, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			break
		}
		switch {
		case len(data) < 4:
		case h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO:
			size = int(binary.NativeEndian.Uint32(data))
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_RXQ_OVFL:
			a.noted, a.lost = true, binary.NativeEndian.Uint32(data)
		}
		control = rest
	}
	return size
}

// send sends datagrams of size bytes, of which the last may be shorter, and reports that it did. It does not if the
// kernel refuses to cut the bytes for this way: no checksum offload, or datagrams larger than a packet of it.
func (b *batch) send(p []byte, size int, to netip.AddrPort) bool {
	if !b.gso.Load() {
		return false
	}
	control := struct {
		unix.Cmsghdr
		size uint16
		_    [6]byte
	}{size: uint16(size)}
	control.Level, control.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	control.SetLen(unix.CmsgLen(2))
	_, _, err := b.conn.WriteMsgUDPAddrPort(p, unsafe.Slice((*byte)(unsafe.Pointer(&control)), unix.CmsgSpace(2)), to)
	if errors.Is(err, unix.EIO) {
		b.gso.Store(false)
	}
	return err == nil || !errors.Is(err, unix.EIO) && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EMSGSIZE)
}
