package codec

import "encoding/binary"

// VP8 is the payload descriptor of a VP8 packet (RFC 7741 §4.2), with what the payload header tells (§4.3).
type VP8 struct {
	NonReference bool  // N: the frame can be discarded
	Start        bool  // S: the packet starts a partition
	Partition    uint8 // PID, 0 to 7
	HasPicture   bool
	PictureBits  uint8  // 7 or 15
	Picture      uint16 // PictureID
	HasTL0       bool
	TL0          uint8 // TL0PICIDX
	HasTemporal  bool
	Temporal     uint8 // TID, 0 to 3
	Sync         bool  // Y: needs the base layer only
	HasKeyIndex  bool
	KeyIndex     uint8 // KEYIDX, 0 to 31
	Key          bool  // the packet starts a key frame
	Width        uint16
	Height       uint16 // of the key frame, when its header is whole in the packet
	Size         int    // bytes of the descriptor

	payload []byte
	picture uint8 // offset of PictureID, 0: none
	tl0     uint8
}

// Parse makes d a view of payload.
func (d *VP8) Parse(payload []byte) error {
	*d = VP8{}
	b := payload
	if len(b) == 0 {
		return ErrInvalid
	}
	v := VP8{payload: payload, NonReference: b[0]&0x20 != 0, Start: b[0]&0x10 != 0, Partition: b[0] & 0x07}
	at := 1
	if b[0]&0x80 != 0 {
		if len(b) < 2 {
			return ErrInvalid
		}
		x := b[1]
		at = 2
		if x&0x80 != 0 {
			if at >= len(b) {
				return ErrInvalid
			}
			v.HasPicture, v.PictureBits, v.Picture, v.picture = true, 7, uint16(b[at]&0x7f), uint8(at)
			if b[at]&0x80 != 0 {
				if at+1 >= len(b) {
					return ErrInvalid
				}
				v.PictureBits, v.Picture = 15, binary.BigEndian.Uint16(b[at:])&0x7fff
				at++
			}
			at++
		}
		if x&0x40 != 0 {
			if at >= len(b) {
				return ErrInvalid
			}
			v.HasTL0, v.TL0, v.tl0 = true, b[at], uint8(at)
			at++
		}
		if x&0x30 != 0 {
			if at >= len(b) {
				return ErrInvalid
			}
			if x&0x20 != 0 {
				v.HasTemporal, v.Temporal, v.Sync = true, b[at]>>6, b[at]&0x20 != 0
			}
			if x&0x10 != 0 {
				v.HasKeyIndex, v.KeyIndex = true, b[at]&0x1f
			}
			at++
		}
	}
	if at >= len(b) {
		return ErrInvalid // §4.1: the VP8 payload is at least one byte
	}
	v.Size = at
	if v.Start && v.Partition == 0 && b[at]&0x01 == 0 {
		h := b[at:]
		if len(h) >= 6 && (h[3] != 0x9d || h[4] != 0x01 || h[5] != 0x2a) {
			return ErrInvalid // RFC 6386 §9.1: no start code, no key frame
		}
		v.Key = true
		if len(h) >= 10 {
			v.Width = binary.LittleEndian.Uint16(h[6:]) & 0x3fff
			v.Height = binary.LittleEndian.Uint16(h[8:]) & 0x3fff
		}
	}
	*d = v
	return nil
}

// Frame describes the frame; marker is the packet's. Key is set on the first packet of a key frame only.
func (d *VP8) Frame(marker bool) Frame {
	if d.Size == 0 {
		return Frame{}
	}
	return Frame{
		Known: true, Key: d.Key, Start: d.Start && d.Partition == 0, End: marker, Discardable: d.NonReference,
		SwitchUp: d.Key, Sync: d.HasTemporal && d.Sync, Temporal: d.Temporal, Width: d.Width, Height: d.Height,
	}
}

// SetPicture writes the picture id in place, as many bits of it as the sender used; nothing when it sent none.
func (d *VP8) SetPicture(id uint16) {
	if !d.HasPicture {
		return
	}
	d.Picture = putPicture(d.payload[d.picture:], d.PictureBits, id)
}

// SetTL0 writes TL0PICIDX in place; nothing when the sender sent none.
func (d *VP8) SetTL0(index uint8) {
	if d.HasTL0 {
		d.payload[d.tl0], d.TL0 = index, index
	}
}

// putPicture writes a picture id of 7 or 15 bits with its M bit, the same in VP8 and VP9.
func putPicture(b []byte, bits uint8, id uint16) uint16 {
	if bits == 15 {
		id &= 0x7fff
		binary.BigEndian.PutUint16(b, id|0x8000)
	} else {
		id &= 0x7f
		b[0] = byte(id)
	}
	return id
}
