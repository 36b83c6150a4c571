package rtp

import "encoding/binary"

const (
	headerSize = 12    // RFC 3550 §5.1, without CSRCs
	packetSize = 65535 // no datagram is longer

	markerBit    = 0x80
	paddingBit   = 0x20
	extensionBit = 0x10
)

// Packet is a view of one RTP packet (RFC 3550 §5.1). It points into the bytes that it was parsed from; its setters change
// them. A Packet is readable only after Parse returned nil.
type Packet struct {
	raw     []byte
	payload uint16   // where it starts
	end     uint16   // where it ends and padding starts
	profile uint16   // "defined by profile" of the header extension; 0 without
	block   span     // the header extension without its own header
	table   [16]span // elements 1 to 15 by id; larger ids are looked for
}

// span is a part of a packet. A span of length 0 that starts at 0 is absent.
type span struct{ at, size uint16 }

// Parse checks b and makes p a view of it. It holds after success that CSRCs, header extension, payload and padding lie
// inside b and do not overlap. Padding may fill all the room of the payload: senders probe with such packets.
func (p *Packet) Parse(b []byte) error {
	if len(b) < headerSize || len(b) > packetSize {
		return ErrShort
	}
	if b[0]>>6 != 2 {
		return ErrVersion
	}
	at := headerSize + 4*int(b[0]&0x0f)
	if at > len(b) {
		return ErrShort
	}
	*p = Packet{raw: b}
	if b[0]&extensionBit != 0 {
		if at+4 > len(b) {
			return ErrExtension
		}
		p.profile = binary.BigEndian.Uint16(b[at:])
		size := 4 * int(binary.BigEndian.Uint16(b[at+2:]))
		at += 4
		if at+size > len(b) {
			return ErrExtension
		}
		p.block = span{uint16(at), uint16(size)}
		at += size
		if err := p.index(); err != nil {
			return err
		}
	}
	end := len(b)
	if b[0]&paddingBit != 0 {
		padding := int(b[len(b)-1])
		if padding == 0 || padding > end-at {
			return ErrPadding
		}
		end -= padding
	}
	p.payload, p.end = uint16(at), uint16(end)
	return nil
}

// Bytes is the whole packet.
func (p *Packet) Bytes() []byte { return p.raw }

// Payload is what lies between header and padding. It may be empty.
func (p *Packet) Payload() []byte { return p.raw[p.payload:p.end:p.end] }

// HeaderLen is the length in bytes of header, CSRCs and header extension.
func (p *Packet) HeaderLen() int { return int(p.payload) }

// Padding is the number of bytes of padding, its count included.
func (p *Packet) Padding() int { return len(p.raw) - int(p.end) }

func (p *Packet) Marker() bool       { return p.raw[1]&markerBit != 0 }
func (p *Packet) PayloadType() uint8 { return p.raw[1] &^ markerBit }
func (p *Packet) Sequence() uint16   { return binary.BigEndian.Uint16(p.raw[2:]) }
func (p *Packet) Timestamp() uint32  { return binary.BigEndian.Uint32(p.raw[4:]) }
func (p *Packet) SSRC() uint32       { return binary.BigEndian.Uint32(p.raw[8:]) }

// CSRCs is the number of contributing sources, 0 to 15.
func (p *Packet) CSRCs() int { return int(p.raw[0] & 0x0f) }

// CSRC is the i-th contributing source; 0 beyond the last.
func (p *Packet) CSRC(i int) uint32 {
	if i < 0 || i >= p.CSRCs() {
		return 0
	}
	return binary.BigEndian.Uint32(p.raw[headerSize+4*i:])
}

func (p *Packet) SetMarker(on bool) {
	p.raw[1] &^= markerBit
	if on {
		p.raw[1] |= markerBit
	}
}

// SetPayloadType takes the lower seven bits of pt.
func (p *Packet) SetPayloadType(pt uint8)   { p.raw[1] = p.raw[1]&markerBit | pt&^markerBit }
func (p *Packet) SetSequence(seq uint16)    { binary.BigEndian.PutUint16(p.raw[2:], seq) }
func (p *Packet) SetTimestamp(ticks uint32) { binary.BigEndian.PutUint32(p.raw[4:], ticks) }
func (p *Packet) SetSSRC(ssrc uint32)       { binary.BigEndian.PutUint32(p.raw[8:], ssrc) }
