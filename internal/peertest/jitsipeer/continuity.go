package jitsipeer

import "encoding/binary"

// descriptors checks that what the bridge writes into payload descriptors is what one encoder could have written. Packets
// count in the order of their sequence numbers; those that come late are not looked at.
type descriptors struct {
	begun   bool
	seq     uint32 // of the newest packet
	stamp   uint32 // its RTP time
	picture uint16
	tl0     uint8
	hasTL0  bool
	number  uint16 // newest frame_number of the dependency descriptor
	offset  uint8  // template_id_offset of the structure
	layers  int    // of it; 0: none came
	ring    [256]uint32
}

// take looks at a packet of a source.
func (d *descriptors) take(s *received, seq uint32, codec Codec, p *packetView, st *stamp) {
	if d.begun && int32(seq-d.seq) < 0 {
		return
	}
	gap := d.begun && seq != d.seq+1
	again := d.begun && p.stamp == d.stamp
	switch codec {
	case VP8:
		d.vp8(s, p.body, gap, again)
	case VP9:
		d.vp9(s, p.body, gap, again)
	case AV1:
		d.dependency(s, p.descriptor, st)
	}
	d.begun, d.seq, d.stamp = true, seq, p.stamp
}

// vp8 wants picture ids that count up by one, and TL0PICIDX that counts the frames of the base layer (RFC 7741 §4.2).
func (d *descriptors) vp8(s *received, b []byte, gap, again bool) {
	if len(b) < 6 || b[0]&0x80 == 0 || b[1]&0xe0 != 0xe0 || b[2]&0x80 == 0 {
		s.fault("VP8: no descriptor with picture id and layers: %x", b[:min(len(b), 6)])
		return
	}
	d.pictures(s, "VP8", binary.BigEndian.Uint16(b[2:])&0x7fff, b[4], b[5]>>6, 1, gap, again)
}

// vp9 is the same for the non-flexible mode (RFC 9628 §4.2), but that picture ids of higher temporal layers that are left out
// stay out: a receiver finds by them where a picture stands in the group of pictures.
func (d *descriptors) vp9(s *received, b []byte, gap, again bool) {
	if len(b) < 5 || b[0]&0xb0 != 0xa0 || b[1]&0x80 == 0 {
		s.fault("VP9: no descriptor with picture id and layers: %x", b[:min(len(b), 5)])
		return
	}
	d.pictures(s, "VP9", binary.BigEndian.Uint16(b[1:])&0x7fff, b[4], b[3]>>5, templates, gap, again)
}

func (d *descriptors) pictures(s *received, codec string, picture uint16, tl0, temporal uint8, most uint16, gap, again bool) {
	if d.begun && !gap {
		switch step := (picture - d.picture) & 0x7fff; {
		case again && step != 0:
			s.fault("%s: picture id %d after %d in one picture", codec, picture, d.picture)
		case !again && (step == 0 || step > most):
			s.fault("%s: picture id %d after %d", codec, picture, d.picture)
		}
		want := d.tl0
		if !again && temporal == 0 {
			want++
		}
		if d.hasTL0 && tl0 != want {
			s.fault("%s: TL0PICIDX %d instead of %d", codec, tl0, want)
		}
	}
	d.picture, d.tl0, d.hasTL0 = picture, tl0, true
}

// dependency wants that frame numbers go up, that templates are those of a structure that came, and that a frame's number less
// the difference of its template is the number of the frame that it was predicted from.
func (d *descriptors) dependency(s *received, v []byte, st *stamp) {
	if len(v) < 3 {
		s.fault("AV1: no dependency descriptor")
		return
	}
	id, number := v[0]&63, binary.BigEndian.Uint16(v[1:])
	if len(v) > 4 && v[3]&0x80 != 0 {
		d.offset = (v[3]&7)<<3 | v[4]>>5
		d.layers = (int(v[4]&31) + 1) / 3
	}
	if d.layers == 0 {
		s.fault("AV1: no structure came before")
		return
	}
	if d.begun && int16(number-d.number) < 0 {
		s.fault("AV1: frame number %d after %d", number, d.number)
	}
	template := int((id - d.offset) & 63)
	if template >= d.layers*templates {
		s.fault("AV1: template %d of %d", template, d.layers*templates)
		return
	}
	back := templateOf(template/templates, template%templates, d.layers).back
	if st.refs == 1 && st.index == 0 {
		if want := d.ring[uint8(number-uint16(back))]; back == 0 || want != st.references[0] {
			s.fault("AV1: frame %d refers %d back to another than its reference", number, back)
		}
	}
	d.ring[uint8(number)] = st.frame
	d.number = number
}
