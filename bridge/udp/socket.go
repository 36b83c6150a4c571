package udp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Config is how a Socket is opened. The zero Config is usable.
type Config struct {
	Readers int // sockets that share the port, each with a reader (SO_REUSEPORT, Linux); 0 is 1
	Buffer  int // bytes asked for each of the two buffers of each socket; 0 is 8 MiB

	// Warn is told that a buffer is smaller than asked: on Linux, net.core.rmem_max and wmem_max bound it. It may be nil.
	Warn func(Shortage)

	plain bool // the way of systems that have no better one
}

// Shortage is a socket buffer of fewer bytes than were asked for.
type Shortage struct {
	Buffer     string // "receive" or "send"
	Asked, Got int
}

// Socket is one UDP port.
type Socket struct {
	addr   netip.AddrPort
	links  []link
	next   atomic.Uint32 // the link of the next writer
	closed atomic.Bool
	runs   sync.Mutex // held by Run
}

// link is one of the sockets that share the port.
type link interface {
	// read hands what arrives to r until the socket is closed or fails.
	read(r *reader) error
	path(to netip.AddrPort) path
	// send sends one datagram, which is not in a writer.
	send(packet []byte, to netip.AddrPort)
	socket() *bound
}

// bound is what all links have.
type bound struct {
	conn   *net.UDPConn
	local  netip.AddrPort
	counts counters
}

func (b *bound) socket() *bound { return b }

// Listen binds a socket to an address; [::] is all addresses of both IPs. A host with several addresses is served by one Socket for each of them: from an
// unspecified address, datagrams leave from the one that the route prefers, not from the one that the peer knows.
func Listen(addr netip.AddrPort, c Config) (*Socket, error) {
	readers, size := max(c.Readers, 1), c.Buffer
	if size <= 0 {
		size = 8 << 20
	}
	s := &Socket{addr: addr}
	for range readers {
		// Port 0 is what the first one gets.
		config, network := net.ListenConfig{}, "udp"
		if readers > 1 {
			config.Control = share
		}
		if addr.Addr().Is4() {
			network = "udp4" // else all addresses means those of IPv6 too
		}
		conn, err := config.ListenPacket(context.Background(), network, s.addr.String())
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("udp: listen: %w", err)
		}
		udp := conn.(*net.UDPConn)
		local := udp.LocalAddr().(*net.UDPAddr).AddrPort()
		s.addr = netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
		s.links = append(s.links, open(&bound{conn: udp, local: s.addr}, c.plain))
		for _, short := range enlarge(udp, size) {
			if c.Warn != nil {
				c.Warn(short)
			}
		}
	}
	return s, nil
}

// Addr returns the address that the socket is bound to.
func (s *Socket) Addr() netip.AddrPort { return s.addr }

// Run reads and hands on until ctx ends, Close is called (both: nil) or a reader fails. It is called once. With several
// readers, h is called by several goroutines.
func (s *Socket) Run(ctx context.Context, h Handler) error {
	s.runs.Lock()
	defer s.runs.Unlock()
	stop := context.AfterFunc(ctx, s.shut)
	defer stop()
	failed := make(chan error, len(s.links))
	for _, l := range s.links {
		go func() {
			r := &reader{bound: l.socket(), h: h, shut: &s.closed}
			r.b.returns = true
			err := r.run(l)
			s.shut() // all or none
			failed <- err
		}()
	}
	var err error
	for range s.links {
		err = errors.Join(err, <-failed)
	}
	return err
}

// Close closes the socket and waits for Run. What the writers of it send later is lost and counted.
func (s *Socket) Close() error {
	s.shut()
	s.runs.Lock()
	defer s.runs.Unlock()
	return nil
}

func (s *Socket) shut() {
	if s.closed.Swap(true) {
		return
	}
	for _, l := range s.links {
		l.socket().conn.Close()
	}
}

// Writer returns a new writer to an address. Several writers may have one address.
func (s *Socket) Writer(to netip.AddrPort) *Writer {
	l := s.links[int(s.next.Add(1))%len(s.links)]
	return &Writer{path: l.path(to), to: to}
}

// Send sends one datagram at once, for what has no writer yet: answers to connectivity checks. What the kernel does not
// take is dropped and counted.
func (s *Socket) Send(packet []byte, to netip.AddrPort) {
	if len(packet) == 0 || len(packet) > largest {
		return
	}
	s.links[0].send(packet, to)
}

// Stats returns the sum of the counts of all sockets of the port.
func (s *Socket) Stats() Stats {
	var sum Stats
	for _, l := range s.links {
		sum.Add(l.socket().counts.stats())
	}
	return sum
}

// reader is what reads a link has, whichever kind of link it is.
type reader struct {
	*bound
	h        Handler
	b        Batch
	d        Datagram
	shut     *atomic.Bool
	deadline time.Time // of the connection; the zero time is none
	failures int       // since something arrived
}

// run reads until the socket is closed, or has failed for a second.
func (r *reader) run(l link) error {
	r.d.To = r.local
	defer func() { // nobody else comes back to these writers
		r.b.returns = false
		r.b.Done()
	}()
	for {
		err := l.read(r)
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			r.b.Now = time.Now()
			r.settle(true)
		case r.failures == 100:
			return fmt.Errorf("udp: read: %w", err)
		default:
			r.failures++
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// take hands on b, which are datagrams of size bytes, the last of which may be shorter.
func (r *reader) take(b []byte, size int) {
	for len(b) > 0 {
		n := min(size, len(b))
		r.d.Bytes = b[:n:n]
		r.h(&r.b, &r.d)
		b = b[n:]
	}
	r.d.Bytes = nil
}

// settle sends what is due and sees to it that the reader wakes up when the next is, and not before: to wake up for nothing
// costs more than a hundred deadlines.
func (r *reader) settle(drained bool) {
	if next := r.b.settle(drained); next != r.deadline {
		r.deadline = next
		r.conn.SetReadDeadline(next)
	}
}
