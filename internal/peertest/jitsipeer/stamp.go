package jitsipeer

import (
	"bytes"
	"encoding/binary"
)

// A stamp stands in the payload of every packet, behind what the payload format puts first, so that a receiver knows what it
// got whatever the bridge did to headers and descriptors:
//
//	magic (4) | packet (4) | stream (1) | spatial<<4 temporal (1) | key<<7 references (1) | height/8 (1) | frame (4) |
//	index (2) | count (2) | reference (4) × references | nanoseconds (8) | length of name (1) | name
//
// Audio with in-band FEC has a second one right behind the first, that of the frame before.
//
// Packets are counted per stream, frames too, those of audio in time also while it is muted; the streams of a source are those of its simulcast. Time is the wall clock of
// the sender: latency means something on one machine only.
type stamp struct {
	packet     uint32
	stream     uint8
	spatial    uint8
	temporal   uint8
	key        bool // needs no reference
	height     int  // pixels, a multiple of 8; 0 of audio
	frame      uint32
	index      uint16 // of the packet in its frame
	count      uint16 // packets of the frame
	references [2]uint32
	refs       int
	sent       int64
	name       []byte // of the source; where it was parsed from, valid as long as that
}

var magic = []byte("\xa7PJ\xd2")

const (
	stampFixed  = 29
	stampSearch = 640 // how far behind the RTP header a stamp may stand
	maxName     = 64
)

func (s *stamp) append(b []byte) []byte {
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint32(b, s.packet)
	flags := byte(s.refs)
	if s.key {
		flags |= 0x80
	}
	b = append(b, s.stream, s.spatial<<4|s.temporal, flags, byte(s.height/8))
	b = binary.BigEndian.AppendUint32(b, s.frame)
	b = binary.BigEndian.AppendUint16(b, s.index)
	b = binary.BigEndian.AppendUint16(b, s.count)
	for _, r := range s.references[:s.refs] {
		b = binary.BigEndian.AppendUint32(b, r)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(s.sent))
	return append(append(b, byte(len(s.name))), s.name...)
}

// parse finds a stamp in a payload; what is behind it may be the next one.
func (s *stamp) parse(payload []byte) (behind []byte, ok bool) {
	at := bytes.Index(payload[:min(len(payload), stampSearch)], magic)
	if at < 0 {
		return nil, false
	}
	b := payload[at:]
	if len(b) < stampFixed {
		return nil, false
	}
	*s = stamp{
		packet: binary.BigEndian.Uint32(b[4:]), stream: b[8], spatial: b[9] >> 4, temporal: b[9] & 15, key: b[10]&0x80 != 0,
		refs: int(b[10] & 0x7f), height: 8 * int(b[11]), frame: binary.BigEndian.Uint32(b[12:]),
		index: binary.BigEndian.Uint16(b[16:]), count: binary.BigEndian.Uint16(b[18:]),
	}
	b = b[20:]
	if s.refs > len(s.references) || len(b) < 4*s.refs+9 || s.count == 0 || s.index >= s.count {
		return nil, false
	}
	for i := range s.refs {
		s.references[i] = binary.BigEndian.Uint32(b[4*i:])
	}
	b = b[4*s.refs:]
	s.sent = int64(binary.BigEndian.Uint64(b))
	n := int(b[8])
	if n > maxName || len(b) < 9+n {
		return nil, false
	}
	s.name = b[9 : 9+n]
	return b[9+n:], true
}
