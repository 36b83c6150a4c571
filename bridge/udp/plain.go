package udp

import (
	"net/netip"
	"time"
)

// plain is a socket that takes and gives datagrams one by one, in the way that every system has. Unlike the better way of
// Linux, it waits while the send buffer is full.
type plain struct {
	*bound
	memory []byte // the reader's
}

func (l *plain) read(r *reader) error {
	if l.memory == nil {
		l.memory = make([]byte, 1<<16)
	}
	for {
		n, from, err := l.conn.ReadFromUDPAddrPort(l.memory)
		if err != nil {
			return err
		}
		r.failures = 0
		r.b.Now = time.Now()
		r.d.At = r.b.Now
		r.d.From = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		l.counts.received.Add(1)
		l.counts.receivedBytes.Add(uint64(n))
		l.counts.joined.Add(1)
		l.counts.reads.Add(1)
		r.take(l.memory[:n], n)
		r.settle(true)
	}
}

func (l *plain) path(to netip.AddrPort) path { return &plainPath{l, to} }

func (l *plain) send(packet []byte, to netip.AddrPort) {
	if _, err := l.conn.WriteToUDPAddrPort(packet, to); err != nil {
		l.counts.failed.Add(1)
		return
	}
	l.counts.packets.Add(1)
	l.counts.bytes.Add(uint64(len(packet)))
	l.counts.sends.Add(1)
}

type plainPath struct {
	link *plain
	to   netip.AddrPort
}

func (p *plainPath) send(w *waiting) {
	for i := range w.n {
		p.link.send(w.datagram(uint8(i)), p.to)
	}
}
