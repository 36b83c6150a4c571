package rtp

import "encoding/binary"

const (
	maxNacked  = 1024           // sequence numbers that are read of one NACK; a sender's history is not longer
	maxBitrate = 10_000_000_000 // bits/s; more is not believed of a REMB
)

// Feedback is the sender of a feedback packet and the source that it is about (RFC 4585 §6.1).
func (p *Control) Feedback() (sender, media uint32, ok bool) {
	if p.Type != TypeTransport && p.Type != TypePayload || len(p.body) < 8 {
		return 0, 0, false
	}
	return binary.BigEndian.Uint32(p.body), binary.BigEndian.Uint32(p.body[4:]), true
}

func (p *Control) is(kind, format uint8, size int) bool {
	return p.Type == kind && p.Count == format && len(p.body) >= size
}

// PLI is the source of which a picture loss indication wants a key frame.
func (p *Control) PLI() (media uint32, ok bool) {
	if !p.is(TypePayload, FormatPLI, 8) {
		return 0, false
	}
	return binary.BigEndian.Uint32(p.body[4:]), true
}

// FIRs is the number of entries of a full intra request, FIR the i-th: the source, and the number of the request, which a
// repetition does not change (RFC 5104 §4.3.1.1).
func (p *Control) FIRs() int {
	if !p.is(TypePayload, FormatFIR, 8) {
		return 0
	}
	return (len(p.body) - 8) / 8
}

func (p *Control) FIR(i int) (media uint32, number uint8, ok bool) {
	if i < 0 || i >= p.FIRs() {
		return 0, 0, false
	}
	entry := p.body[8+8*i:]
	return binary.BigEndian.Uint32(entry), entry[4], true
}

// Nacks walks over the sequence numbers of a NACK.
type Nacks struct {
	pairs []byte
	seq   uint16
	mask  uint16
	left  int
}

// Nacks is the walk over the sequence numbers that a NACK reports as lost (RFC 4585 §6.2.1): none of other packets, and the
// first 1,024 of a longer one (HB8).
func (p *Control) Nacks() Nacks {
	if !p.is(TypeTransport, FormatNACK, 12) {
		return Nacks{}
	}
	return Nacks{pairs: p.body[8:], left: maxNacked}
}

func (n *Nacks) Next() (seq uint16, ok bool) {
	if n.left == 0 {
		return 0, false
	}
	for n.mask != 0 {
		n.seq++
		lost := n.mask&1 != 0
		n.mask >>= 1
		if lost {
			n.left--
			return n.seq, true
		}
	}
	if len(n.pairs) < 4 {
		return 0, false
	}
	n.seq, n.mask = binary.BigEndian.Uint16(n.pairs), binary.BigEndian.Uint16(n.pairs[2:])
	n.pairs = n.pairs[4:]
	n.left--
	return n.seq, true
}

// Estimate is a REMB (draft-alvestrand-rmcat-remb-03 §2): what the receiver believes to be able to get.
type Estimate struct {
	Bitrate uint64 // bits/s, at most 10 Gbit/s (HB8)
	ssrcs   []byte
}

func (p *Control) REMB() (e Estimate, ok bool) {
	if !p.is(TypePayload, FormatApplication, 16) || string(p.body[8:12]) != "REMB" {
		return e, false
	}
	word := binary.BigEndian.Uint32(p.body[12:])
	e.Bitrate = maxBitrate
	exponent, mantissa := word>>18&0x3f, uint64(word&0x3ffff)
	if exponent < 46 { // 18 bits more do not overflow
		e.Bitrate = min(mantissa<<exponent, maxBitrate)
	} else if mantissa == 0 {
		e.Bitrate = 0
	}
	e.ssrcs = p.body[16:]
	e.ssrcs = e.ssrcs[:4*min(int(word>>24), len(e.ssrcs)/4)]
	return e, true
}

// SSRCs is the number of sources that the estimate is for, SSRC the i-th.
func (e *Estimate) SSRCs() int { return len(e.ssrcs) / 4 }

func (e *Estimate) SSRC(i int) (ssrc uint32, ok bool) {
	if i < 0 || i >= e.SSRCs() {
		return 0, false
	}
	return binary.BigEndian.Uint32(e.ssrcs[4*i:]), true
}
