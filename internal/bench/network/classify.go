package network

// Classes of packets in records.
const (
	classOther = iota
	classMedia
	classRepair // retransmissions, and padding in their streams
)

// repairs are the payload types of retransmission streams.
type repairs [128]bool

// udp looks at a datagram (RFC 7983, RFC 5761 §4): the head of SRTP is in the clear.
func (r *repairs) udp(b []byte) int {
	if len(b) < 12 || b[0]>>6 != 2 || b[1] >= 192 && b[1] <= 223 {
		return classOther
	}
	if r[b[1]&0x7f] {
		return classRepair
	}
	return classMedia
}

// ip looks at an IPv4 packet.
func (r *repairs) ip(b []byte) int {
	const udp = 17
	if len(b) < 28 || b[0]>>4 != 4 || b[9] != udp {
		return classOther
	}
	head := int(b[0]&15)*4 + 8
	if head < 28 || len(b) < head {
		return classOther
	}
	return r.udp(b[head:])
}
