package codec

import "encoding/binary"

// VP9 is the payload descriptor of a VP9 packet (RFC 9628 §4.2).
type VP9 struct {
	HasPicture  bool
	PictureBits uint8  // 7 or 15
	Picture     uint16 // picture id
	Inter       bool   // P: predicted from earlier pictures
	HasLayers   bool   // L
	Flexible    bool   // F
	Start       bool   // B: first packet of the layer frame
	End         bool   // E: last packet of the layer frame
	NotUpper    bool   // Z: not a reference of higher spatial layers
	Temporal    uint8  // 0 to 7
	SwitchUp    bool   // U
	Spatial     uint8  // 0 to 7
	InterLayer  bool   // D: predicted from the spatial layer below
	HasTL0      bool   // non-flexible mode only
	TL0         uint8
	References  int // P_DIFFs of flexible mode, 0 to 3
	Differences [3]uint8

	HasStructure bool // V
	Layers       int  // spatial layers of the structure, 1 to 8
	Resolutions  bool
	Widths       [8]uint16
	Heights      [8]uint16
	Pictures     int // in a picture group, 0 when it is not described

	Size int // bytes of the descriptor

	payload []byte
	picture uint8
	tl0     uint8
}

// Parse makes d a view of payload.
func (d *VP9) Parse(payload []byte) error {
	*d = VP9{}
	b := payload
	if len(b) == 0 {
		return ErrInvalid
	}
	at := 1
	v := VP9{
		payload: payload, HasPicture: b[0]&0x80 != 0, Inter: b[0]&0x40 != 0, HasLayers: b[0]&0x20 != 0, Flexible: b[0]&0x10 != 0,
		Start: b[0]&0x08 != 0, End: b[0]&0x04 != 0, HasStructure: b[0]&0x02 != 0, NotUpper: b[0]&0x01 != 0,
	}
	if v.Flexible && !v.HasPicture {
		return ErrInvalid // §4.2: F=1 requires I=1
	}
	if v.HasPicture {
		if at >= len(b) {
			return ErrInvalid
		}
		v.PictureBits, v.Picture, v.picture = 7, uint16(b[at]&0x7f), uint8(at)
		if b[at]&0x80 != 0 {
			if at+1 >= len(b) {
				return ErrInvalid
			}
			v.PictureBits, v.Picture = 15, binary.BigEndian.Uint16(b[at:])&0x7fff
			at++
		}
		at++
	}
	if v.HasLayers {
		if at >= len(b) {
			return ErrInvalid
		}
		v.Temporal, v.SwitchUp, v.Spatial, v.InterLayer = b[at]>>5, b[at]&0x10 != 0, b[at]>>1&0x07, b[at]&0x01 != 0
		at++
		if v.Spatial == 0 && v.InterLayer {
			return ErrInvalid // there is no layer below
		}
		if !v.Flexible {
			if at >= len(b) {
				return ErrInvalid
			}
			v.HasTL0, v.TL0, v.tl0 = true, b[at], uint8(at)
			at++
		}
	}
	if v.Flexible && v.Inter {
		for more := true; more; at++ {
			if at >= len(b) || v.References == len(v.Differences) {
				return ErrInvalid
			}
			v.Differences[v.References], more = b[at]>>1, b[at]&0x01 != 0
			v.References++
		}
	}
	if v.HasStructure {
		n := v.structure(b[at:])
		if n == 0 {
			return ErrInvalid
		}
		at += n
	}
	if at >= len(b) {
		return ErrInvalid // a descriptor and no picture
	}
	v.Size = at
	*d = v
	return nil
}

// structure reads the scalability structure (§4.2.1) and returns its length; 0 when it is malformed.
func (d *VP9) structure(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	d.Layers, d.Resolutions = int(b[0]>>5)+1, b[0]&0x10 != 0
	group := b[0]&0x08 != 0
	at := 1
	if d.Resolutions {
		if at+4*d.Layers > len(b) {
			return 0
		}
		for i := range d.Layers {
			d.Widths[i], d.Heights[i] = binary.BigEndian.Uint16(b[at:]), binary.BigEndian.Uint16(b[at+2:])
			at += 4
		}
	}
	if !group {
		return at
	}
	if at >= len(b) {
		return 0
	}
	d.Pictures = int(b[at])
	at++
	for range d.Pictures {
		if at >= len(b) {
			return 0
		}
		at += 1 + int(b[at]>>2&0x03) // R reference differences follow
	}
	if at > len(b) {
		return 0
	}
	return at
}

// Frame describes the layer frame. Its size is known in packets that hold a structure; a VP9Source knows it in others.
func (d *VP9) Frame() Frame {
	if d.Size == 0 {
		return Frame{}
	}
	f := Frame{
		Known: true, Key: !d.Inter, Start: d.Start, End: d.End, SwitchUp: !d.Inter || d.SwitchUp,
		Spatial: d.Spatial, Temporal: d.Temporal,
	}
	if d.Resolutions && int(d.Spatial) < d.Layers {
		f.Width, f.Height = d.Widths[d.Spatial], d.Heights[d.Spatial]
	}
	return f
}

// SetPicture writes the picture id in place, as many bits of it as the sender used; nothing when it sent none.
func (d *VP9) SetPicture(id uint16) {
	if !d.HasPicture {
		return
	}
	d.Picture = putPicture(d.payload[d.picture:], d.PictureBits, id)
}

// SetTL0 writes TL0PICIDX in place; nothing when the sender sent none.
func (d *VP9) SetTL0(index uint8) {
	if d.HasTL0 {
		d.payload[d.tl0], d.TL0 = index, index
	}
}

// VP9Source remembers the sizes of a source's layers, which come with key pictures only. The zero value is ready.
type VP9Source struct{ widths, heights [8]uint16 }

// Frame describes the layer frame of d, the next packet of the source.
func (s *VP9Source) Frame(d *VP9) Frame {
	if d.Resolutions {
		s.widths, s.heights = d.Widths, d.Heights
	}
	f := d.Frame()
	if f.Known {
		f.Width, f.Height = s.widths[f.Spatial], s.heights[f.Spatial]
	}
	return f
}
