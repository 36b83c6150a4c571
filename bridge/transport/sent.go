package transport

const (
	sentWindow = 1024   // packets back of the newest that may still be sent: places that were kept for what came late
	maxSent    = 10_000 // SSRCs that an endpoint is sent in the life of its keys
)

// sent remembers what was encrypted under one key. Two packets with one SSRC and index would have one keystream: whoever
// reads along could read both, and with GCM make others (RFC 3711 §9.1, RFC 7714 §8.4). That holds for a retransmission too,
// unless each of its bits is that of the first one, which header extensions never are.
type sent map[uint32]*indices

// indices are those of one SSRC.
type indices struct {
	highest int64                   // rollover counter and sequence number (RFC 3711 §3.3.1), as the context counts them
	seen    [sentWindow / 64]uint64 // a bit for each index, modulo sentWindow
}

// fresh notes a packet and reports that it may be encrypted.
func (s sent) fresh(ssrc uint32, seq uint16) bool {
	x := s[ssrc]
	if x == nil {
		if len(s) >= maxSent {
			return false
		}
		x = &indices{highest: int64(seq)}
		s[ssrc] = x
		return x.mark(x.highest)
	}
	ahead := int64(int16(seq - uint16(x.highest)))
	index := x.highest + ahead
	switch {
	case ahead <= -sentWindow, index < 0:
		return false
	case ahead >= sentWindow:
		x.seen = [sentWindow / 64]uint64{}
	default:
		for i := x.highest + 1; i <= index; i++ {
			x.seen[i/64%(sentWindow/64)] &^= 1 << (i % 64)
		}
	}
	x.highest = max(x.highest, index)
	return x.mark(index)
}

// mark notes an index and reports that it was not noted before.
func (x *indices) mark(index int64) bool {
	word, bit := &x.seen[index/64%(sentWindow/64)], uint64(1)<<(index%64)
	was := *word&bit != 0
	*word |= bit
	return !was
}
