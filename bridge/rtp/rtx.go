package rtp

import "encoding/binary"

// Unwrap turns p, a packet of a retransmission stream (RFC 4588 §4), into the packet that it carries, in place: it gives it
// back its sequence number and the payload type and SSRC of the original stream. It fails with ErrRTX when the packet carries
// none: senders probe with such packets. Then p is as it was.
//
// The header moves by two bytes towards the payload; slices taken from p before are void.
func (p *Packet) Unwrap(payloadType uint8, ssrc uint32) error {
	payload := p.Payload()
	if len(payload) <= 2 {
		return ErrRTX
	}
	original := binary.BigEndian.Uint16(payload)
	copy(p.raw[2:], p.raw[:p.payload])
	p.raw = p.raw[2:]
	p.end -= 2
	p.SetPayloadType(payloadType)
	p.SetSequence(original)
	p.SetSSRC(ssrc)
	return nil
}
