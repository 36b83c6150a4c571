package udp

import (
	"net/netip"
	"time"
)

// Datagram is one that has arrived. It and its bytes belong to the handler while the handler runs, which may change the
// bytes, and to the reader again afterwards.
type Datagram struct {
	Bytes []byte // at least one
	From  netip.AddrPort
	To    netip.AddrPort // the address that the socket is bound to
	At    time.Time      // when the kernel had it, or had the first of those that it joined; with a monotonic reading
	Class uint8          // DSCP << 2 | ECN (RFC 2474, RFC 3168); 0 where the system does not tell

	Stream *Stream // the connection it came over, or nil: it came over UDP
}

// ECN returns the two bits of RFC 3168 §5: 0 not capable, 1 ECT(1), 2 ECT(0), 3 congestion experienced.
func (d *Datagram) ECN() uint8 { return d.Class & 3 }

// DSCP returns the code point of RFC 2474 §3.
func (d *Datagram) DSCP() uint8 { return d.Class >> 2 }

// Handler takes a datagram. It is called by the goroutine that reads, one call after another for each reader, and must
// not wait. What it sends in consequence it commits with b. It must not close the socket that it is called for.
type Handler func(b *Batch, d *Datagram)
