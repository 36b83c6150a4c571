//go:build !linux

package mediapeer

import (
	"errors"
	"net"
	"time"
)

// read takes what comes until the socket is closed.
func (p *Peer) read() {
	defer close(p.done)
	b := make([]byte, 1<<16)
	for {
		n, err := p.conn.Read(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n == 0 {
			continue
		}
		p.mu.Lock()
		p.count.Reads++
		p.take(b[:n], time.Now())
		p.mu.Unlock()
	}
}
