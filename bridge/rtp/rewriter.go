package rtp

import "encoding/binary"

// Rewriter writes packets towards one receiver. What a sender put into its header extension ends at the bridge: only audio
// level, video orientation and dependency descriptor are carried over, under the receiver's ids; abs-send-time, the transport
// sequence and the mid are the bridge's own. A forwarded mid breaks the receiver's demultiplexing.
type Rewriter struct {
	IDs IDs
	// Mixed says that the receiver takes the two-byte form in the same stream as the one-byte form (RFC 8285 §4.1.2,
	// extmap-allow-mixed). Without it, values that need the two-byte form are left out.
	Mixed bool
}

// Header is what the bridge decides about an outgoing packet.
type Header struct {
	PayloadType uint8
	Marker      bool
	Sequence    uint16
	Timestamp   uint32
	SSRC        uint32
	MID         string // of the receiver's slot; empty: none is sent
	AbsSendTime uint32 // 24 bits, see SendTime
	TransportCC uint16
	// Skip is how many bytes at the beginning of the payload are left out: what is before the primary block of RED.
	Skip int
	// Payload takes the place of the incoming payload when it is not nil.
	Payload []byte
	// Align, a power of two up to 128, pads the packet (RFC 3550 §5.1) to a size that it divides; 0: no padding.
	Align int
	// Descriptor takes the place of the incoming dependency descriptor when it is not nil. An empty one leaves it out.
	Descriptor []byte
}

// Written says where things are in a packet that was written. Stamps stand at their offset from the start of the packet, so
// that a pacer can stamp again when the packet leaves; 0: the packet has none.
type Written struct {
	Size        int
	Padding     int // bytes of it
	AbsSendTime int // three bytes
	TransportCC int // two bytes
}

// Write writes p, renamed as h says, with p's payload from h.Skip on and without its padding and CSRCs, to dst. The ids of p's header
// extensions are from. It fails with ErrSpace when dst is too small; dst must not overlap p.
func (r *Rewriter) Write(dst []byte, p *Packet, from IDs, h *Header) (Written, error) {
	w, err := r.header(dst, p, from, h)
	if err != nil {
		return w, err
	}
	payload := p.Payload()
	if h.Payload != nil {
		payload = h.Payload
	}
	payload = payload[min(max(h.Skip, 0), len(payload)):]
	padding := -(w.Size + len(payload)) & max(h.Align-1, 0)
	if padding > 0 {
		dst[0] |= paddingBit
	}
	return body(dst, w, nil, payload, uint8(padding))
}

// WriteRTX writes p as a retransmission (RFC 4588 §4): h has payload type, sequence and SSRC of the retransmission stream,
// and original is the sequence number under which the receiver missed p.
func (r *Rewriter) WriteRTX(dst []byte, p *Packet, from IDs, h *Header, original uint16) (Written, error) {
	w, err := r.header(dst, p, from, h)
	if err != nil {
		return w, err
	}
	var osn [2]byte
	binary.BigEndian.PutUint16(osn[:], original)
	return body(dst, w, osn[:], p.Payload(), 0)
}

// WritePadding writes a packet without payload and with that many bytes of padding, 1 to 255, for probing.
func (r *Rewriter) WritePadding(dst []byte, h *Header, padding uint8) (Written, error) {
	if padding == 0 {
		return Written{}, ErrPadding
	}
	w, err := r.header(dst, nil, IDs{}, h)
	if err != nil {
		return w, err
	}
	dst[0] |= paddingBit
	return body(dst, w, nil, nil, padding)
}

// body writes what follows the header.
func body(dst []byte, w Written, head, payload []byte, padding uint8) (Written, error) {
	if len(dst) < w.Size+len(head)+len(payload)+int(padding) {
		return Written{}, ErrSpace
	}
	w.Size += copy(dst[w.Size:], head)
	w.Size += copy(dst[w.Size:], payload)
	if padding > 0 {
		clear(dst[w.Size : w.Size+int(padding)])
		w.Size += int(padding)
		w.Padding = int(padding)
		dst[w.Size-1] = padding
	}
	return w, nil
}

// header writes the fixed header and the header extension. The packet may be nil: nothing is carried over then.
func (r *Rewriter) header(dst []byte, p *Packet, from IDs, h *Header) (Written, error) {
	if len(dst) < headerSize+4 { // the room for an extension's header is always asked for
		return Written{}, ErrSpace
	}
	dst[0] = 2 << 6
	dst[1] = h.PayloadType &^ markerBit
	if h.Marker {
		dst[1] |= markerBit
	}
	binary.BigEndian.PutUint16(dst[2:], h.Sequence)
	binary.BigEndian.PutUint32(dst[4:], h.Timestamp)
	binary.BigEndian.PutUint32(dst[8:], h.SSRC)

	var level, orientation []byte
	descriptor := h.Descriptor
	if p != nil {
		level, orientation = p.Extension(from.AudioLevel), p.Extension(from.VideoOrientation)
		if descriptor == nil {
			descriptor = p.Extension(from.DependencyDescriptor)
		}
	}
	ids := &r.IDs
	b := block{dst: dst, at: headerSize + 4}
	b.two = r.Mixed && (wide(ids.AudioLevel, len(level)) || wide(ids.VideoOrientation, len(orientation)) ||
		wide(ids.DependencyDescriptor, len(descriptor)) || wide(ids.AbsSendTime, 3) || wide(ids.TransportCC, 2) || wide(ids.MID, len(h.MID)))

	var w Written
	if at := b.element(ids.AbsSendTime, 3); at > 0 {
		PutAbsSendTime(dst[at:], h.AbsSendTime)
		w.AbsSendTime = at
	}
	if at := b.element(ids.TransportCC, 2); at > 0 {
		binary.BigEndian.PutUint16(dst[at:], h.TransportCC)
		w.TransportCC = at
	}
	if at := b.element(ids.AudioLevel, min(len(level), 1)); at > 0 {
		dst[at] = level[0]
	}
	if at := b.element(ids.VideoOrientation, min(len(orientation), 1)); at > 0 {
		dst[at] = orientation[0]
	}
	if at := b.element(ids.MID, len(h.MID)); at > 0 {
		copy(dst[at:], h.MID)
	}
	if at := b.element(ids.DependencyDescriptor, len(descriptor)); at > 0 {
		copy(dst[at:], descriptor)
	}
	var err error
	w.Size, err = b.close()
	return w, err
}

// block is a header extension that is being written into a packet.
type block struct {
	dst  []byte
	at   int
	two  bool
	full bool // something did not fit into dst
}

// wide says that an element cannot have the one-byte form.
func wide(id uint8, size int) bool { return id != 0 && size > 0 && (id > 14 || size > 16) }

// element makes room for a value and returns where it stands; 0 for an element that is not to be, or cannot be, written.
func (b *block) element(id uint8, size int) int {
	if id == 0 || size == 0 || size > 255 || !b.two && wide(id, size) {
		return 0
	}
	head := 1
	if b.two {
		head = 2
	}
	if b.at+head+size > len(b.dst) {
		b.full = true
		return 0
	}
	if b.two {
		b.dst[b.at], b.dst[b.at+1] = id, byte(size)
	} else {
		b.dst[b.at] = id<<4 | byte(size-1)
	}
	b.at += head + size
	return b.at - size
}

// close pads the extension, writes its header and returns the length of the packet's header.
func (b *block) close() (int, error) {
	const start = headerSize + 4
	if b.full {
		return 0, ErrSpace
	}
	if b.at == start {
		return headerSize, nil // no element, no extension
	}
	for b.at%4 != 0 {
		if b.at == len(b.dst) {
			return 0, ErrSpace
		}
		b.dst[b.at] = 0
		b.at++
	}
	profile := uint16(oneByteForm)
	if b.two {
		profile = twoByteForm
	}
	b.dst[0] |= extensionBit
	binary.BigEndian.PutUint16(b.dst[headerSize:], profile)
	binary.BigEndian.PutUint16(b.dst[headerSize+2:], uint16((b.at-start)/4))
	return b.at, nil
}
