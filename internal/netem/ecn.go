package netem

import "encoding/binary"

// Bits of the ECN field (RFC 3168 §5, RFC 9331 §4.1).
const (
	ectL4S = 1
	ce     = 3
)

// markL4S sets CE in an IPv4 packet that carries ECT(1), and corrects the checksum of its header (RFC 1624 §3). It leaves
// anything else alone.
func markL4S(b []byte) {
	if len(b) < 20 || b[0]>>4 != 4 || b[1]&3 != ectL4S {
		return
	}
	old := binary.BigEndian.Uint16(b)
	b[1] |= ce
	sum := uint32(^binary.BigEndian.Uint16(b[10:])) + uint32(^old) + uint32(binary.BigEndian.Uint16(b))
	sum = sum>>16 + sum&0xffff
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum))
}
