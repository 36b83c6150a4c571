package rtp

import "encoding/binary"

// redMax is the number of blocks read of one packet. Browsers send 2, at most 10.
const redMax = 16

const (
	redAgo  = 1<<14 - 1 // ticks that the offset of a block can say (RFC 2198 §3)
	redSize = 1<<10 - 1 // bytes that its length can
)

// Block is a part of a RED payload.
type Block struct {
	PayloadType uint8
	Ago         uint16 // ticks by which its timestamp is before the packet's; 0 for the primary block
	Data        []byte // in the packet
}

// RED is a view of a redundant audio payload (RFC 2198 §3).
type RED struct {
	blocks [redMax]Block
	count  int
}

// Parse checks payload and makes r a view of it. It fails with ErrRED.
func (r *RED) Parse(payload []byte) error {
	r.count = 0
	at, count := 0, 0
	sizes := 0
	for {
		if at >= len(payload) || count == redMax {
			return ErrRED
		}
		if payload[at]&0x80 == 0 { // the primary block's header
			r.blocks[count] = Block{PayloadType: payload[at]}
			at++
			count++
			break
		}
		if at+4 > len(payload) {
			return ErrRED
		}
		h := binary.BigEndian.Uint32(payload[at:])
		size := int(h & 0x3ff)
		r.blocks[count] = Block{PayloadType: uint8(h>>24) & 0x7f, Ago: uint16(h>>10) & 0x3fff}
		sizes += size
		at += 4
		count++
	}
	if sizes > len(payload)-at {
		return ErrRED
	}
	for i := range count {
		size := len(payload) - at
		if i < count-1 {
			size = int(binary.BigEndian.Uint32(payload[4*i:]) & 0x3ff)
		}
		r.blocks[i].Data = payload[at : at+size : at+size]
		at += size
	}
	r.count = count
	return nil
}

// Blocks are the blocks from the oldest to the primary one. They are valid until the next Parse.
func (r *RED) Blocks() []Block { return r.blocks[:r.count] }

// Primary is the newest block, that which a packet without redundancy would hold. It is empty before Parse.
func (r *RED) Primary() Block {
	if r.count == 0 {
		return Block{}
	}
	return r.blocks[r.count-1]
}

// Earlier is a payload that was sent before, to be sent once more.
type Earlier struct {
	Timestamp uint32
	Data      []byte
}

// AppendRED appends a RED payload (RFC 2198 §3) to dst: the earlier payloads in the order that is given, then the primary one,
// all of one payload type. What RED cannot say is left out: an earlier payload without bytes or longer than 1,023, one that
// is not before the primary's timestamp or more than 16,383 ticks before it, and the first ones of more than fifteen. That
// the whole fits into a datagram is the caller's care.
func AppendRED(dst []byte, payloadType uint8, timestamp uint32, primary []byte, earlier []Earlier) []byte {
	earlier = earlier[max(len(earlier)-(redMax-1), 0):]
	payloadType &= 0x7f
	for _, e := range earlier {
		if ago, ok := e.before(timestamp); ok {
			dst = binary.BigEndian.AppendUint32(dst, 1<<31|uint32(payloadType)<<24|ago<<10|uint32(len(e.Data)))
		}
	}
	dst = append(dst, payloadType)
	for _, e := range earlier {
		if _, ok := e.before(timestamp); ok {
			dst = append(dst, e.Data...)
		}
	}
	return append(dst, primary...)
}

// before is how many ticks before a timestamp e is, if a block can hold it.
func (e *Earlier) before(timestamp uint32) (ago uint32, ok bool) {
	ago = timestamp - e.Timestamp
	return ago, ago > 0 && ago <= redAgo && len(e.Data) > 0 && len(e.Data) <= redSize
}
