package transport

import (
	"encoding/binary"
	"net"
	"os"
	"sync"
	"time"
)

// What DTLS of one endpoint may hold (hardening HB4). A whole handshake with a browser takes 3 to 5 KiB each way, and a few
// retransmissions of that.
const (
	handshakeLargest = 64 << 10 // bytes of datagrams until the handshake has ended, and once more for the rest of its life
	queueLargest     = 64 << 10 // bytes that wait to be read
	queueLongest     = 128      // datagrams
)

// pipe is the connection that DTLS sees: what the demultiplexer pushes is read from it, and what is written leaves on the
// path that ICE has selected, or is lost. It is a net.PacketConn.
type pipe struct {
	send func(datagram []byte)

	mu          sync.Mutex // guards the rest
	changed     *sync.Cond
	queue       [][]byte
	size        int // bytes of queue
	spent       int // bytes of handshakeLargest
	established bool
	closed      bool
	deadline    time.Time
	alarm       *time.Timer
}

func newPipe(send func([]byte)) *pipe {
	p := &pipe{send: send}
	p.changed = sync.NewCond(&p.mu)
	return p
}

// push takes a copy of a datagram. It answers false when a peer has sent more than a handshake can need, which ends it.
//
// Once there are keys, a stranger who sends with the peer's address must not be able to end the connection or to fill
// memory. Of records that nothing protects (epoch 0), only the retransmission of the last flight is of use then.
func (p *pipe) push(datagram []byte) (ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return true
	}
	handshake, useful := records(datagram, p.established)
	if !useful {
		return true
	}
	if !p.established || handshake {
		if p.spent+len(datagram) > handshakeLargest {
			return p.established
		}
		p.spent += len(datagram)
	}
	if len(p.queue) == queueLongest || p.size+len(datagram) > queueLargest {
		return true // lost, as in any network
	}
	p.queue = append(p.queue, append([]byte(nil), datagram...))
	p.size += len(datagram)
	p.changed.Broadcast()
	return true
}

// Content types of records (RFC 5246 §6.2.1).
const (
	changeCipherSpec = 20
	handshakeRecord  = 22
	recordHeader     = 13
)

// records looks at the headers of the records of a datagram (RFC 6347 §4.1): whether there is one of the handshake, or
// without protection, and whether there is any use in it.
func records(b []byte, established bool) (handshake, useful bool) {
	for len(b) >= recordHeader {
		kind, epoch, n := b[0], binary.BigEndian.Uint16(b[3:]), recordHeader+int(binary.BigEndian.Uint16(b[11:]))
		if n > len(b) {
			return handshake, false
		}
		if epoch == 0 && established && kind != handshakeRecord && kind != changeCipherSpec {
			return handshake, false
		}
		handshake = handshake || epoch == 0 || kind == handshakeRecord
		useful = true
		b = b[n:]
	}
	return handshake, useful && len(b) == 0
}

// establish says that the handshake has ended.
func (p *pipe) establish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.established, p.spent = true, 0
}

func (p *pipe) ReadFrom(b []byte) (int, net.Addr, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.closed:
			return 0, peer{}, net.ErrClosed
		case !p.deadline.IsZero() && !time.Now().Before(p.deadline):
			return 0, peer{}, os.ErrDeadlineExceeded
		case len(p.queue) > 0:
			n := copy(b, p.queue[0])
			p.size -= len(p.queue[0])
			p.queue[0] = nil
			p.queue = p.queue[1:]
			return n, peer{}, nil
		}
		p.queue = nil
		p.changed.Wait()
	}
}

func (p *pipe) WriteTo(b []byte, _ net.Addr) (int, error) {
	p.mu.Lock()
	closed := p.closed
	p.mu.Unlock()
	if closed {
		return 0, net.ErrClosed
	}
	p.send(b)
	return len(b), nil
}

func (p *pipe) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed, p.queue, p.size = true, nil, 0
	if p.alarm != nil {
		p.alarm.Stop()
	}
	p.changed.Broadcast()
	return nil
}

func (p *pipe) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = t
	if p.alarm != nil {
		p.alarm.Stop()
		p.alarm = nil
	}
	if wait := time.Until(t); !t.IsZero() && wait > 0 && !p.closed {
		p.alarm = time.AfterFunc(wait, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.changed.Broadcast()
		})
	}
	p.changed.Broadcast()
	return nil
}

func (p *pipe) SetDeadline(t time.Time) error    { return p.SetReadDeadline(t) }
func (p *pipe) SetWriteDeadline(time.Time) error { return nil } // writing does not wait
func (p *pipe) LocalAddr() net.Addr              { return peer{} }

// peer stands for the address of an endpoint, which changes: DTLS asks for one and has no use for it.
type peer struct{}

func (peer) Network() string { return "ice" }
func (peer) String() string  { return "peer" }
