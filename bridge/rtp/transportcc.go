package rtp

import (
	"encoding/binary"
	"time"
)

// Transport-wide feedback, draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1.

const (
	maxStatuses = 8192                   // packets that one feedback may be about (HB8); run lengths could name 65,535
	tick        = 250 * time.Microsecond // of receive deltas
	reference   = 256                    // ticks (64 ms) of the reference time
)

// Statuses of a packet.
const (
	notReceived = iota
	smallDelta  // one byte, unsigned
	largeDelta  // two bytes, signed
)

// TransportFeedback is a view of transport-wide feedback, and the walk over its packets.
type TransportFeedback struct {
	Base      uint16 // first packet that it is about
	Count     int    // packets that it is about
	Reference uint32 // 24 bits, units of 64 ms; see Since
	Number    uint8  // of the feedback packet

	chunks []byte
	deltas []byte
	done   int
	left   int // statuses left in chunk
	chunk  uint16
	at     int64 // ticks since the reference
}

// TransportCC is the transport-wide feedback that p holds. It answers false for other packets, and unless chunks and deltas
// are there for all packets that it says to be about.
func (p *Control) TransportCC() (f TransportFeedback, ok bool) {
	if !p.is(TypeTransport, FormatTransportCC, 16) {
		return f, false
	}
	b := p.body
	f = TransportFeedback{Base: binary.BigEndian.Uint16(b[8:]), Count: int(binary.BigEndian.Uint16(b[10:])),
		Reference: binary.BigEndian.Uint32(b[12:]) >> 8, Number: b[15]}
	if f.Count == 0 || f.Count > maxStatuses {
		return TransportFeedback{}, false
	}
	b = b[16:]
	at, bytes := 0, 0
	for left := f.Count; left > 0; at += 2 {
		if at+2 > len(b) {
			return TransportFeedback{}, false
		}
		chunk := binary.BigEndian.Uint16(b[at:])
		n := min(statuses(chunk), left)
		if chunk&0x8000 == 0 { // a run: all of one status
			s := status(chunk, 0)
			if s > largeDelta {
				return TransportFeedback{}, false
			}
			bytes += s * n
		} else {
			for i := range n {
				s := status(chunk, i)
				if s > largeDelta {
					return TransportFeedback{}, false
				}
				bytes += s
			}
		}
		if n == 0 {
			return TransportFeedback{}, false // an empty run leads nowhere
		}
		left -= n
	}
	if bytes > len(b)-at {
		return TransportFeedback{}, false
	}
	f.chunks, f.deltas = b[:at], b[at:]
	return f, true
}

// statuses is the number of packets that a chunk is about.
func statuses(chunk uint16) int {
	switch chunk >> 14 {
	case 2: // vector of one-bit symbols
		return 14
	case 3: // vector of two-bit symbols
		return 7
	}
	return int(chunk & 0x1fff)
}

// status is the i-th status of a chunk; it is also the number of bytes of the delta.
func status(chunk uint16, i int) int {
	switch chunk >> 14 {
	case 2:
		return int(chunk>>(13-i)) & 1
	case 3:
		return int(chunk>>(12-2*i)) & 3
	}
	return int(chunk>>13) & 3
}

// Arrival is what feedback says of one packet.
type Arrival struct {
	Sequence uint16
	Received bool
	At       time.Duration // after the reference; meaningful when received
}

// Next returns the next packet; false after Count packets.
func (f *TransportFeedback) Next() (a Arrival, ok bool) {
	if f.done == f.Count {
		return a, false
	}
	if f.left == 0 {
		f.chunk = binary.BigEndian.Uint16(f.chunks)
		f.chunks = f.chunks[2:]
		f.left = statuses(f.chunk)
	}
	s := status(f.chunk, statuses(f.chunk)-f.left)
	a = Arrival{Sequence: f.Base + uint16(f.done), Received: s != notReceived}
	f.left--
	f.done++
	switch s {
	case smallDelta:
		f.at += int64(f.deltas[0])
	case largeDelta:
		f.at += int64(int16(binary.BigEndian.Uint16(f.deltas)))
	}
	f.deltas = f.deltas[s:]
	a.At = time.Duration(f.at) * tick
	return a, true
}

// Since is the time from the reference of an earlier feedback packet to f's. References wrap after 12 days.
func (f *TransportFeedback) Since(earlier uint32) time.Duration {
	return time.Duration(int32((f.Reference-earlier)<<8)>>8) * reference * tick
}
