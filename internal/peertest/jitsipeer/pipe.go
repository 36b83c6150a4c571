package jitsipeer

import (
	"net"
	"os"
	"sync"
	"time"
)

// pipe is the net.PacketConn that DTLS reads and writes: datagrams of the leg's reader in, the ICE connection out.
type pipe struct {
	out    net.Conn
	in     chan []byte
	closed chan struct{}
	once   sync.Once

	mu      sync.Mutex    // guards what follows
	expired chan struct{} // closed when the read deadline has passed
	timer   *time.Timer
}

func newPipe(out net.Conn) *pipe {
	return &pipe{out: out, in: make(chan []byte, 64), closed: make(chan struct{}), expired: make(chan struct{})}
}

// push takes a datagram, which it copies; when nobody reads, it is dropped as by a network.
func (p *pipe) push(b []byte) {
	select {
	case p.in <- append([]byte(nil), b...):
	default:
	}
}

func (p *pipe) ReadFrom(b []byte) (int, net.Addr, error) {
	p.mu.Lock()
	expired := p.expired
	p.mu.Unlock()
	select {
	case d := <-p.in:
		return copy(b, d), p.out.RemoteAddr(), nil
	case <-expired:
		return 0, nil, os.ErrDeadlineExceeded
	case <-p.closed:
		return 0, nil, net.ErrClosed
	}
}

func (p *pipe) WriteTo(b []byte, _ net.Addr) (int, error) { return p.out.Write(b) }

func (p *pipe) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipe) LocalAddr() net.Addr                { return p.out.LocalAddr() }
func (p *pipe) SetDeadline(t time.Time) error      { return p.SetReadDeadline(t) }
func (p *pipe) SetWriteDeadline(_ time.Time) error { return nil }

func (p *pipe) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil && !p.timer.Stop() {
		<-p.expired // the timer has closed it, or is about to
	}
	p.timer = nil
	select {
	case <-p.expired:
		p.expired = make(chan struct{})
	default:
	}
	if t.IsZero() {
		return nil
	}
	if left := time.Until(t); left > 0 {
		expired := p.expired
		p.timer = time.AfterFunc(left, func() { close(expired) })
	} else {
		close(p.expired)
	}
	return nil
}
