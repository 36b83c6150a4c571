package rtp

import "encoding/binary"

// redMax is the number of blocks read of one packet. Browsers send 2, at most 10.
const redMax = 16

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
