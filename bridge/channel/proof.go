package channel

import (
	"sync"
	"time"
)

const (
	provePause = 250 * time.Millisecond // between two proofs: a client's pongs count among its messages
	roundTrip  = 2 * time.Second        // at most, from a message's departure to a sign of life that the client gave after it came
)

// proof is what is known of the arrival of source maps. Behind those that have left goes a ping, one at a time: with its pong
// they have arrived, since a WebSocket keeps the order (RFC 6455 §5.5.2).
type proof struct {
	end chan struct{} // closed at the end of the connection

	mu      sync.Mutex // guards what follows
	running bool
	left    time.Time // what was sent before has left, and is to be proved; zero: nothing is
	arrived time.Time // what was sent before has arrived
}

// prove takes when all that was sent before has left.
func (c *socket) prove(left time.Time) {
	p := &c.proof
	p.mu.Lock()
	begin := !p.running
	p.running, p.left = true, left
	p.mu.Unlock()
	if begin {
		c.life.spawn(c.proveAll)
	}
}

// proveAll pings until nothing is left to be proved, or the connection ends.
func (c *socket) proveAll() {
	p := &c.proof
	for {
		p.mu.Lock()
		left := p.left
		p.left = time.Time{}
		p.running = !left.IsZero()
		p.mu.Unlock()
		if left.IsZero() {
			return
		}
		if c.ping() == nil {
			p.mu.Lock()
			p.arrived = left
			p.mu.Unlock()
		}
		select {
		case <-time.After(provePause):
		case <-p.end:
			return
		}
	}
}

// arrived returns a time so that the source maps that were sent before have arrived: those that are proved, and those that left
// so long before the client was last heard that it would not have spoken without them.
func (c *socket) arrived() time.Time {
	c.proof.mu.Lock()
	defer c.proof.mu.Unlock()
	heard := c.start.Add(time.Duration(c.heard.Load()) - roundTrip)
	if c.proof.arrived.After(heard) {
		return c.proof.arrived
	}
	return heard
}
