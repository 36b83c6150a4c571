package rtp

import "encoding/binary"

// Packet types of RTCP (RFC 3550 §12.1, RFC 4585 §6.1).
const (
	TypeSenderReport   = 200
	TypeReceiverReport = 201
	TypeDescription    = 202
	TypeGoodbye        = 203
	TypeApplication    = 204
	TypeTransport      = 205 // transport-layer feedback
	TypePayload        = 206 // payload-specific feedback
)

// Formats of feedback packets.
const (
	FormatNACK        = 1  // transport: RFC 4585 §6.2.1
	FormatTransportCC = 15 // transport: draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1
	FormatPLI         = 1  // payload: RFC 4585 §6.3.1
	FormatFIR         = 4  // payload: RFC 5104 §4.3.1
	FormatApplication = 15 // payload: RFC 4585 §6.4; REMB is one
)

// Compound walks over the packets of a compound RTCP packet. Compounds of reduced size (RFC 5506) are taken, and padding in
// any packet, since senders put it there.
type Compound struct{ rest []byte }

// ParseCompound checks the whole of b before anything of it is used (RFC 3550 §A.2): versions, and lengths that add up.
func ParseCompound(b []byte) (Compound, error) {
	if len(b) < 4 || len(b) > packetSize {
		return Compound{}, ErrShort
	}
	for at := 0; at < len(b); {
		if at+4 > len(b) {
			return Compound{}, ErrControl
		}
		if b[at]>>6 != 2 {
			return Compound{}, ErrVersion
		}
		end := at + 4*(int(binary.BigEndian.Uint16(b[at+2:]))+1)
		if end > len(b) {
			return Compound{}, ErrControl
		}
		if b[at]&paddingBit != 0 {
			if padding := int(b[end-1]); padding == 0 || padding > end-at-4 {
				return Compound{}, ErrPadding
			}
		}
		at = end
	}
	return Compound{b}, nil
}

// Next sets p to the next packet; false at the end.
func (c *Compound) Next(p *Control) bool {
	if len(c.rest) == 0 {
		return false
	}
	end := 4 * (int(binary.BigEndian.Uint16(c.rest[2:])) + 1)
	raw := c.rest[:end:end]
	c.rest = c.rest[end:]
	*p = Control{Type: raw[1], Count: raw[0] & 0x1f, body: raw[4:]}
	if raw[0]&paddingBit != 0 {
		p.body = p.body[:len(p.body)-int(raw[end-1])]
	}
	return true
}

// Control is a view of one packet of a compound. What it holds is read with the method of its type, which answers false
// when the packet is of another type or too short: the counts of a packet are never believed.
type Control struct {
	Type  uint8
	Count uint8  // reports, sources, or the format of feedback
	body  []byte // without header and padding
}

// Sender is the SSRC of the packet's sender, which all types but source description and goodbye begin with.
func (p *Control) Sender() (ssrc uint32, ok bool) {
	if len(p.body) < 4 || p.Type == TypeDescription || p.Type == TypeGoodbye {
		return 0, false
	}
	return binary.BigEndian.Uint32(p.body), true
}

// SenderReport is RFC 3550 §6.4.1 without report blocks.
type SenderReport struct {
	SSRC      uint32
	NTP       uint64
	Timestamp uint32
	Packets   uint32
	Octets    uint32
}

func (p *Control) SenderReport() (r SenderReport, ok bool) {
	if p.Type != TypeSenderReport || len(p.body) < 24 {
		return r, false
	}
	b := p.body
	return SenderReport{binary.BigEndian.Uint32(b), binary.BigEndian.Uint64(b[4:]), binary.BigEndian.Uint32(b[12:]),
		binary.BigEndian.Uint32(b[16:]), binary.BigEndian.Uint32(b[20:])}, true
}

// ReportBlock is a reception report (RFC 3550 §6.4.1).
type ReportBlock struct {
	SSRC     uint32
	Fraction uint8 // lost, of 256
	Lost     int32 // 24 bits; below 0 when there were duplicates
	Highest  uint32
	Jitter   uint32 // ticks
	LastSR   uint32 // see Compact
	Delay    uint32 // since LastSR, 1/65536 s
}

const reportSize = 24

// Reports is the number of whole report blocks of a sender or receiver report.
func (p *Control) Reports() int {
	return min(int(p.Count), len(p.reports())/reportSize)
}

func (p *Control) reports() []byte {
	switch {
	case p.Type == TypeSenderReport && len(p.body) >= 24:
		return p.body[24:]
	case p.Type == TypeReceiverReport && len(p.body) >= 4:
		return p.body[4:]
	}
	return nil
}

// Report is the i-th report block, of Reports.
func (p *Control) Report(i int) (r ReportBlock, ok bool) {
	if i < 0 || i >= p.Reports() {
		return r, false
	}
	b := p.reports()[reportSize*i:]
	return ReportBlock{
		SSRC: binary.BigEndian.Uint32(b), Fraction: b[4],
		Lost:    int32(binary.BigEndian.Uint32(b[4:])<<8) >> 8,
		Highest: binary.BigEndian.Uint32(b[8:]), Jitter: binary.BigEndian.Uint32(b[12:]),
		LastSR: binary.BigEndian.Uint32(b[16:]), Delay: binary.BigEndian.Uint32(b[20:]),
	}, true
}

// Goodbyes is the number of sources that a goodbye names, Goodbye the i-th of them (RFC 3550 §6.6). Who may say so is the
// caller's to check (HB8).
func (p *Control) Goodbyes() int {
	if p.Type != TypeGoodbye {
		return 0
	}
	return min(int(p.Count), len(p.body)/4)
}

func (p *Control) Goodbye(i int) (ssrc uint32, ok bool) {
	if i < 0 || i >= p.Goodbyes() {
		return 0, false
	}
	return binary.BigEndian.Uint32(p.body[4*i:]), true
}
