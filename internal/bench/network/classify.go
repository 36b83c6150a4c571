package network

// Classes of packets in records.
const (
	classOther = iota
	classMedia
	classRepair // retransmissions, and padding in their streams
)

// repairs are the payload types of retransmission streams in the offers of the focus, and of Jicofo's.
var repairs = [128]bool{42: true, 96: true, 97: true, 99: true}

// classifyUDP looks at a datagram (RFC 7983, RFC 5761 §4): the head of SRTP is in the clear.
func classifyUDP(b []byte) int {
	if len(b) < 12 || b[0]>>6 != 2 || b[1] >= 192 && b[1] <= 223 {
		return classOther
	}
	if repairs[b[1]&0x7f] {
		return classRepair
	}
	return classMedia
}

// classifyIP looks at an IPv4 packet.
func classifyIP(b []byte) int {
	const udp = 17
	if len(b) < 28 || b[0]>>4 != 4 || b[9] != udp {
		return classOther
	}
	head := int(b[0]&15)*4 + 8
	if head < 28 || len(b) < head {
		return classOther
	}
	return classifyUDP(b[head:])
}
