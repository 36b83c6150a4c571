package turn

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"time"

	"parley/internal/limit"
	"parley/internal/stun"
)

// relay relays what peers send until the allocation ends. If it was not pion that ended it, pion is told to forget it.
func (a *allocation) relay() {
	a.socket.run(a.fromPeer)
	a.end()
	if !a.forgotten.Load() {
		a.door.back.forget(a)
	}
}

// An allocation is the net.PacketConn that pion would read a relayed address from. It never does.

// ReadFrom ends the goroutine that pion has for each allocation, and with it the memory it would read into. To return an
// error would make pion delete whatever allocation the client has by then, which may be a new one.
func (a *allocation) ReadFrom([]byte) (int, net.Addr, error) {
	runtime.Goexit()
	return 0, nil, errRefused
}

// Close is how pion ends the allocation: at its expiry and when a client gives it up.
func (a *allocation) Close() error {
	a.forgotten.Store(true)
	return a.end()
}

// fromPeer relays datagrams of one size that a peer has sent (RFC 8656 §11.3, §12.7).
func (a *allocation) fromPeer(b []byte, size int, from netip.AddrPort) {
	d, now := a.door, time.Now()
	defer d.survive(a.from)
	from = d.policy.outward(from)
	t := a.table.Load()
	p := t.permission(from.Addr(), now)
	if p == nil {
		d.events.Count("turn.unbound")
		return
	}
	if !d.policy.within(p.scope, from) {
		d.refuse("turn.peer", a.from, now, "peer", from.String())
		return
	}
	if size > stun.MaxMessage-indication {
		d.events.Count("turn.large")
		return
	}
	n := fit(&a.down, now, b, size)
	a.downward.add(n, pieces(b, size)-n)
	if n == 0 {
		d.events.Count("turn.shaped")
		return
	}
	b = b[:min(n*size, len(b))]
	d.meter.down.add(n, len(b))
	a.carried.Add(int64(len(b)))

	out := buffers.Get().(*buffer)
	defer buffers.Put(out)
	o, first := out.bytes[:0], 0
	c := t.peer(from, now)
	for range n {
		data := b[:min(size, len(b))]
		b = b[len(data):]
		if c != nil {
			o = stun.AppendChannelData(o, c.number, data, a.path.stream())
		} else {
			o = appendIndication(o, from, data)
		}
		if first == 0 {
			first = len(o)
		}
	}
	a.path.send(o, first)
}

// toPeer relays datagrams of one size to a peer of the given scope (RFC 8656 §11.2, §12.6). Only the goroutine that reads
// from the client may call it.
func (a *allocation) toPeer(b []byte, size int, peer netip.AddrPort, s scope, now time.Time) {
	d, n := a.door, 1
	if a.path.stream() {
		time.Sleep(a.up.Take(time.Now(), weight(len(b), 1)))
	} else {
		n = fit(&a.up, now, b, size)
		if a.upward.add(n, pieces(b, size)-n); n == 0 {
			d.events.Count("turn.shaped")
			return
		}
	}
	if !d.policy.within(s, peer) {
		d.refuse("turn.peer", a.from, now, "peer", peer.String())
		return
	}
	b = b[:min(n*size, len(b))]
	d.meter.up.add(n, len(b))
	a.socket.send(b, size, d.policy.inward(peer))
}

// weight is what n datagrams with so many bytes in all cost a shaper: bits, with those of the IPv4 and UDP headers.
func weight(bytes, n int) float64 { return float64(8 * (bytes + 28*n)) }

// fit takes datagrams of one size out of a shaper and returns how many of them it has room for.
func fit(shaper *limit.Bucket, now time.Time, b []byte, size int) int {
	n := pieces(b, size)
	for n > 0 && !shaper.Allow(now, weight(min(n*size, len(b)), n)) {
		n--
	}
	return n
}

// indication is how many bytes a Data indication has beyond its data, with an IPv6 peer and the longest padding.
const indication = 20 + 24 + 4 + 3

// appendIndication appends a Data indication (RFC 8656 §11.3).
func appendIndication(b []byte, from netip.AddrPort, data []byte) []byte {
	var id stun.ID
	binary.NativeEndian.PutUint64(id[:], rand.Uint64())
	binary.NativeEndian.PutUint32(id[8:], rand.Uint32())
	w := stun.Write(b, stun.DataIndication, stun.Indication, id)
	w.Addr(stun.XORPeerAddress, from)
	w.Bytes(stun.Data, data)
	return w.Buffer()
}

// What else a net.PacketConn has. Pion writes nothing and sets no deadlines.

func (a *allocation) WriteTo([]byte, net.Addr) (int, error) { return 0, errRefused }
func (a *allocation) LocalAddr() net.Addr                   { return net.UDPAddrFromAddrPort(a.relayed) }
func (a *allocation) SetDeadline(time.Time) error           { return nil }
func (a *allocation) SetReadDeadline(time.Time) error       { return nil }
func (a *allocation) SetWriteDeadline(time.Time) error      { return nil }
