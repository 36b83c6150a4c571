package turn

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"parley/internal/stun"
)

// socket is a UDP socket that takes and sends several datagrams of one size in one call where the system can (UDP GRO and
// GSO of Linux), and one by one where it cannot.
type socket struct {
	datagrams
	batch *batch // nil: one by one
}

// datagrams is what is used of a *net.UDPConn.
type datagrams interface {
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error)
	Close() error
}

const (
	largest = 1 << 16 // bytes of the largest datagram, and of datagrams that come together
	most    = 64      // datagrams that are sent together (UDP_MAX_SEGMENTS of Linux)
)

// buffer is memory for datagrams that come or go together.
type buffer struct {
	arrival
	bytes [largest]byte
}

// buffers holds what is not in use. Nobody keeps a buffer while waiting for a datagram.
var buffers = sync.Pool{New: func() any { return new(buffer) }}

// newSocket takes over a socket.
func newSocket(conn net.PacketConn) *socket {
	if udp, ok := conn.(*net.UDPConn); ok {
		batch := newBatch(udp)
		if batch != nil {
			batch.gather()
		}
		return &socket{udp, batch}
	}
	if d, ok := conn.(datagrams); ok {
		return &socket{d, nil}
	}
	return &socket{packets{conn}, nil}
}

// run calls take with what arrives until the socket is closed or has failed for a second, and returns why. The bytes are
// one or more datagrams of size bytes, of which only the last may be shorter; take must not keep them.
func (s *socket) run(take func(b []byte, size int, from netip.AddrPort)) error {
	read := s.each
	if s.batch != nil {
		read = s.batch.read
	}
	for failures := 0; ; failures++ {
		err := read(func(b []byte, size int, from netip.AddrPort) {
			failures = 0
			take(b, size, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
		})
		if errors.Is(err, net.ErrClosed) || failures == 100 {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// each reads one by one until an error. A datagram that fills the memory is larger than anything of use.
func (s *socket) each(take func(b []byte, size int, from netip.AddrPort)) error {
	b := make([]byte, stun.MaxMessage+1)
	for {
		n, from, err := s.ReadFromUDPAddrPort(b)
		if err != nil {
			return err
		}
		if n < len(b) {
			take(b[:n], n, from)
		}
	}
}

// send sends datagrams of size bytes, of which the last may be shorter. What cannot be sent is lost, as datagrams are.
func (s *socket) send(b []byte, size int, to netip.AddrPort) {
	for s.batch != nil && len(b) > size {
		n := min(len(b), size*min(most, (largest-64)/size))
		if n <= size || !s.batch.send(b[:n], size, to) {
			break
		}
		b = b[n:]
		if len(b) == 0 {
			return
		}
	}
	for len(b) > size {
		s.WriteToUDPAddrPort(b[:size], to)
		b = b[size:]
	}
	s.WriteToUDPAddrPort(b, to)
}

// packets makes datagrams of any packet connection.
type packets struct{ net.PacketConn }

func (p packets) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	n, addr, err := p.ReadFrom(b)
	if err != nil {
		return n, netip.AddrPort{}, err
	}
	return n, addrPort(addr), nil
}

func (p packets) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	return p.WriteTo(b, net.UDPAddrFromAddrPort(to))
}

// addrPort returns the address and port of an address, invalid if it has none.
func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.UDPAddr:
		ap = a.AddrPort()
	case *net.TCPAddr:
		ap = a.AddrPort()
	case nil:
	default:
		ap, _ = netip.ParseAddrPort(a.String())
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
