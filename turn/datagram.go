package turn

import (
	"net/netip"
	"time"

	"parley/internal/stun"
)

// readDatagrams serves a UDP socket until it is closed.
func (d *door) readDatagrams() {
	k := desk{door: d, out: make([]byte, 0, stun.MaxMessage)}
	err := d.socket.run(func(b []byte, size int, from netip.AddrPort) {
		defer d.survive(from)
		k.from, k.path, k.now = from, datagramPath{d.socket, from}, time.Now()
		d.taken.add(pieces(b, size), 0)
		k.receive(b, size)
	})
	d.mu.Lock()
	closing := d.closing
	d.mu.Unlock()
	if !closing {
		d.events.Hurt("turn.listener", d.back.local.String(), "err", err.Error())
	}
}

// datagramPath leads back over the socket of the door.
type datagramPath struct {
	socket *socket
	to     netip.AddrPort
}

func (p datagramPath) send(b []byte, size int) { p.socket.send(b, size, p.to) }
func (p datagramPath) stream() bool            { return false }
func (p datagramPath) end()                    {}
