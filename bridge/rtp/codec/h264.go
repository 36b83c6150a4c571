package codec

import "encoding/binary"

// NAL unit types (RFC 6184 §5.2, ITU-T H.264 table 7-1).
const (
	nalSlice     = 1
	nalIDR       = 5
	nalSPS       = 7
	nalPPS       = 8
	nalSingleMax = 23
	nalSTAPA     = 24
	nalFUA       = 28
)

// H264 is what a packet of H264 in packetization mode 0 or 1 holds (RFC 6184): a NAL unit, several (STAP-A) or a part of
// one (FU-A). The aggregates and fragments of mode 2 are not read.
type H264 struct {
	Type     uint8 // of the packet: of its NAL unit, 24 for STAP-A, 28 for FU-A
	IDR      bool  // holds an IDR slice, or the start of one
	SPS, PPS bool  // holds a sequence or a picture parameter set
	Slice    bool  // holds a slice or a part of one
	Begins   bool  // its first NAL unit begins in it
	Ends     bool  // its last NAL unit ends in it
	// Unreferenced says that all of its slices have nal_ref_idc 0: no frame needs them.
	Unreferenced bool
	Width        uint16 // told by a sequence parameter set
	Height       uint16

	referenced bool
	valid      bool
}

// Parse reads payload.
func (h *H264) Parse(payload []byte) error {
	*h = H264{}
	b := payload
	if len(b) < 2 || b[0]&0x80 != 0 {
		return ErrInvalid // §1.3: F is set where a unit has errors
	}
	v := H264{Type: b[0] & 0x1f, Begins: true, Ends: true}
	switch {
	case v.Type >= 1 && v.Type <= nalSingleMax:
		v.unit(b, true)
	case v.Type == nalSTAPA:
		units := 0
		for rest := b[1:]; len(rest) > 0; units++ {
			if len(rest) < 2 {
				return ErrInvalid
			}
			size := int(binary.BigEndian.Uint16(rest))
			if size == 0 || size > len(rest)-2 {
				return ErrInvalid
			}
			unit := rest[2 : 2+size]
			if t := unit[0] & 0x1f; unit[0]&0x80 != 0 || t == 0 || t > nalSingleMax {
				return ErrInvalid // §5.7: nothing is aggregated twice
			}
			v.unit(unit, true)
			rest = rest[2+size:]
		}
		if units == 0 {
			return ErrInvalid
		}
	case v.Type == nalFUA:
		start, end := b[1]&0x80 != 0, b[1]&0x40 != 0
		if start && end || len(b) < 3 || b[1]&0x1f == 0 || b[1]&0x1f > nalSingleMax {
			return ErrInvalid // §5.8
		}
		v.Begins, v.Ends = start, end
		v.fragment(b[0]&0x60|b[1]&0x1f, start)
	default:
		return ErrInvalid
	}
	v.Unreferenced = v.Slice && !v.referenced
	v.valid = true
	*h = v
	return nil
}

// unit takes a whole NAL unit.
func (h *H264) unit(b []byte, start bool) {
	h.fragment(b[0], start)
	if b[0]&0x1f == nalSPS {
		if width, height, ok := sequenceSize(b[1:]); ok {
			h.Width, h.Height = width, height
		}
	}
}

// fragment takes the header of a NAL unit.
func (h *H264) fragment(head byte, start bool) {
	switch t := head & 0x1f; {
	case t == nalIDR:
		h.IDR = h.IDR || start
		fallthrough
	case t >= nalSlice && t <= 4:
		h.Slice = true
		h.referenced = h.referenced || head&0x60 != 0
	case t == nalSPS:
		h.SPS = h.SPS || start
	case t == nalPPS:
		h.PPS = h.PPS || start
	}
}

// Frame describes the frame; first says that the packet before it had another timestamp, marker is the packet's. A key frame
// is Key in the packets that hold its parameter sets and in those where its slices begin.
func (h *H264) Frame(first, marker bool) Frame {
	if !h.valid {
		return Frame{}
	}
	key := h.IDR || h.SPS
	return Frame{Known: true, Key: key, Start: first && h.Begins, End: marker && h.Ends, Discardable: h.Unreferenced,
		SwitchUp: key, Width: h.Width, Height: h.Height}
}
