package codec

// AV1 is the aggregation header of an AV1 packet (RTP Payload Format for AV1 §4.4). What it says of frames is little; the
// dependency descriptor says more.
type AV1 struct {
	Continues bool  // Z: the first OBU element continues one of the packet before
	Unended   bool  // Y: the last OBU element goes on in the next packet
	Elements  uint8 // W: OBU elements, 0 when they are not counted
	Sequence  bool  // N: first packet of a coded video sequence

	valid bool
}

// Parse reads payload, and checks that the lengths of its OBU elements lie inside (§4.5).
func (a *AV1) Parse(payload []byte) error {
	*a = AV1{}
	if len(payload) < 2 {
		return ErrInvalid
	}
	b := payload[0]
	v := AV1{Continues: b&0x80 != 0, Unended: b&0x40 != 0, Elements: b >> 4 & 3, Sequence: b&0x08 != 0, valid: true}
	if v.Sequence && v.Continues {
		return ErrInvalid
	}
	rest := payload[1:]
	for n := uint8(1); len(rest) > 0; n++ {
		if n == v.Elements { // the last of those that are counted has no length
			rest = nil
			break
		}
		size, head := leb128(rest)
		if head == 0 || size > uint64(len(rest)-head) {
			return ErrInvalid
		}
		rest = rest[head+int(size):]
		if len(rest) == 0 && v.Elements != 0 {
			return ErrInvalid // fewer than counted
		}
		if n == 255 {
			return ErrInvalid
		}
	}
	*a = v
	return nil
}

// leb128 reads an unsigned number of at most eight bytes and returns how many it has; 0 when it is malformed.
func leb128(b []byte) (v uint64, size int) {
	for i := range min(len(b), 8) {
		v |= uint64(b[i]&0x7f) << (7 * i)
		if b[i]&0x80 == 0 {
			return v, i + 1
		}
	}
	return 0, 0
}

// Frame describes the frame of a packet without dependency descriptor; first says that the packet before it had another
// timestamp, marker is the packet's.
func (a *AV1) Frame(first, marker bool) Frame {
	if !a.valid {
		return Frame{}
	}
	return Frame{Known: true, Key: a.Sequence, Start: first && !a.Continues, End: marker, SwitchUp: a.Sequence}
}
