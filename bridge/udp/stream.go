package udp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	frameLargest = 4096             // bytes of a datagram that a stream takes; those of WebRTC are of 1,500 or less
	queueLargest = 128 << 10        // bytes that wait for a slow stream
	patience     = 10 * time.Second // for a stream that takes nothing
)

// ErrFrame is the error of Run for a frame that is larger than any datagram of use.
var ErrFrame = errors.New("udp: a frame of the stream is too large")

// Stream is a TCP connection that carries datagrams, each behind its length in two bytes (RFC 4571 §2):
//
//	 0                   1
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
//	+-------------------------------+-----------
//	|            LENGTH             | datagram ...
//	+-------------------------------+-----------
type Stream struct {
	conn     net.Conn
	from, to netip.AddrPort
	counts   counters

	mu      sync.Mutex // guards what follows
	queue   []byte     // frames that wait
	spare   []byte     // memory of frames that were written
	writing bool       // a goroutine empties the queue
	closed  bool
	failed  error // why the stream could not be written, if it could not
	writer  sync.WaitGroup
}

// NewStream takes over a TCP connection.
func NewStream(conn net.Conn) *Stream {
	s := &Stream{conn: conn}
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		s.from = unmap(a.AddrPort())
	}
	if a, ok := conn.LocalAddr().(*net.TCPAddr); ok {
		s.to = unmap(a.AddrPort())
	}
	return s
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// Addr returns the address of the peer.
func (s *Stream) Addr() netip.AddrPort { return s.from }

// Run reads and hands on until ctx ends or Close is called (both: nil), the peer closes (io.EOF), takes nothing for ten
// seconds, or the connection fails; the stream is closed then. An empty frame is no datagram. Run does not know who the peer is: who has accepted the
// connection closes it if it is not proven in time.
func (s *Stream) Run(ctx context.Context, h Handler) error {
	defer s.Close()
	stop := context.AfterFunc(ctx, s.shut)
	defer stop()
	b := NewBatch(time.Time{})
	defer b.Done()
	d := Datagram{From: s.from, To: s.to, Stream: s}
	memory := make([]byte, 4*(2+frameLargest))
	have := 0
	for {
		n, err := s.conn.Read(memory[have:])
		have += n
		b.Now = time.Now()
		d.At = b.Now
		used, bad := s.hand(memory[:have], b, &d, h)
		b.Done()
		have = copy(memory, memory[used:have])
		switch {
		case bad != nil:
			return bad
		case err != nil:
			return s.ended(err, have > 0)
		}
	}
}

// ended says why Run ends when reading has ended with err; partly, within a frame.
func (s *Stream) ended(err error, partly bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.failed != nil:
		return fmt.Errorf("udp: write stream: %w", s.failed)
	case s.closed:
		return nil
	case err == io.EOF && partly:
		return io.ErrUnexpectedEOF
	case err == io.EOF:
		return io.EOF
	}
	return fmt.Errorf("udp: read stream: %w", err)
}

// hand hands on the whole frames at the begin of p and returns their size.
func (s *Stream) hand(p []byte, b *Batch, d *Datagram, h Handler) (used int, err error) {
	var received, bytes uint64
	for rest := p; len(rest) >= 2; rest = p[used:] {
		n := int(binary.BigEndian.Uint16(rest))
		if n > frameLargest {
			err = ErrFrame
			break
		}
		if len(rest) < 2+n {
			break
		}
		used += 2 + n
		if n == 0 {
			continue
		}
		received++
		bytes += uint64(n)
		d.Bytes = rest[2:][:n:n]
		h(b, d)
	}
	d.Bytes = nil
	s.counts.received.Add(received)
	s.counts.receivedBytes.Add(bytes)
	s.counts.joined.Add(received)
	s.counts.reads.Add(1)
	return used, err
}

// Writer returns a new writer to the peer.
func (s *Stream) Writer() *Writer {
	return &Writer{path: s, to: s.from}
}

// Send sends one datagram at once.
func (s *Stream) Send(packet []byte) {
	if len(packet) == 0 || len(packet) > largest {
		return
	}
	s.mu.Lock()
	s.enqueue(packet)
	s.start()
	s.mu.Unlock()
}

// Stats returns the counts of the stream. Sends are writes.
func (s *Stream) Stats() Stats { return s.counts.stats() }

// Close closes the connection and waits for what writes to it. It may be called within a Handler of the stream.
func (s *Stream) Close() error {
	s.shut()
	s.writer.Wait()
	return nil
}

// shut closes the connection and forgets what waits.
func (s *Stream) shut() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.conn.Close()
}

// send makes the stream a path of writers.
func (s *Stream) send(w *waiting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range w.n {
		s.enqueue(w.datagram(uint8(i)))
	}
	s.start()
}

// enqueue adds a frame. Drop rule: a datagram for which the queue has no room is lost, whole; what waits before it may have
// left in part already. Called with mu held.
func (s *Stream) enqueue(packet []byte) {
	switch {
	case s.closed:
		s.counts.failed.Add(1)
	case len(s.queue)+2+len(packet) > queueLargest:
		s.counts.dropped.Add(1)
	default:
		s.queue = binary.BigEndian.AppendUint16(s.queue, uint16(len(packet)))
		s.queue = append(s.queue, packet...)
		s.counts.packets.Add(1)
		s.counts.bytes.Add(uint64(len(packet)))
	}
}

// start sees to it that somebody writes. Called with mu held.
func (s *Stream) start() {
	if s.writing || s.closed || len(s.queue) == 0 {
		return
	}
	s.writing = true
	s.writer.Go(s.drain)
}

// drain writes until nothing waits.
func (s *Stream) drain() {
	for {
		s.mu.Lock()
		if len(s.queue) == 0 || s.closed {
			s.writing = false
			s.mu.Unlock()
			return
		}
		b := s.queue
		s.queue, s.spare = s.spare[:0], nil
		s.mu.Unlock()

		s.conn.SetWriteDeadline(time.Now().Add(patience))
		_, err := s.conn.Write(b)
		s.counts.sends.Add(1)
		s.mu.Lock()
		s.spare = b
		if err != nil && !s.closed {
			s.failed = err
		}
		s.mu.Unlock()
		if err != nil {
			s.shut()
		}
	}
}
