package mediapeer

import (
	"net"
	"os"
	"sync"
	"time"
)

// pipe is the connection that DTLS sees: what is read is what the peer has pushed.
type pipe struct {
	*net.UDPConn
	in     chan []byte
	closed chan struct{}
	once   sync.Once

	mu       sync.Mutex // guards deadline
	deadline time.Time
}

func newPipe(conn *net.UDPConn) *pipe {
	return &pipe{UDPConn: conn, in: make(chan []byte, 32), closed: make(chan struct{})}
}

// push takes a copy; without room the datagram is lost, and DTLS sends it again.
func (p *pipe) push(b []byte) {
	select {
	case p.in <- append([]byte(nil), b...):
	default:
	}
}

func (p *pipe) ReadFrom(b []byte) (int, net.Addr, error) {
	p.mu.Lock()
	deadline := p.deadline
	p.mu.Unlock()
	var late <-chan time.Time
	if !deadline.IsZero() {
		t := time.NewTimer(time.Until(deadline))
		defer t.Stop()
		late = t.C
	}
	select {
	case d := <-p.in:
		return copy(b, d), p.RemoteAddr(), nil
	case <-p.closed:
		return 0, nil, net.ErrClosed
	case <-late:
		return 0, nil, os.ErrDeadlineExceeded
	}
}

func (p *pipe) WriteTo(b []byte, _ net.Addr) (int, error) { return p.Write(b) }

// SetReadDeadline holds for calls of ReadFrom that begin later: pion sets it before it reads, or in order to end.
func (p *pipe) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	p.deadline = t
	p.mu.Unlock()
	return nil
}

func (p *pipe) SetDeadline(t time.Time) error    { return p.SetReadDeadline(t) }
func (p *pipe) SetWriteDeadline(time.Time) error { return nil }

// Close ends reading; the socket is the peer's to close.
func (p *pipe) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}
