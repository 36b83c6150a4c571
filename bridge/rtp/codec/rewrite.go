package codec

import "encoding/binary"

// Rewrite is what a bridge changes in a dependency descriptor on its way to one receiver.
type Rewrite struct {
	// Number is frame_number. References are differences of it, so all frames of one source are moved alike, and dropped
	// frames leave their holes.
	Number uint16
	Shift  uint8 // added to template ids and to the offset of structures, so that those of two sources do not overlap
	// Restrict says that Active is to be sent as the bitmask of active decode targets, be there one in the packet or not.
	Restrict bool
	Active   uint32
}

// DescriptorGrowth is by how many bytes Rewrite can make a descriptor longer: flags and the bitmask of 32 targets.
const DescriptorGrowth = 5

// Rewrite writes the changed descriptor to dst and returns its length; 0 when dst is too small or d was not parsed. The
// bytes that d was parsed from must be as they were, and dst must not overlap them.
func (d *Descriptor) Rewrite(dst []byte, w Rewrite) int {
	if d.targets == 0 || len(dst) < len(d.raw) {
		return 0
	}
	if !w.Restrict && !d.Attached { // nothing moves
		n := copy(dst, d.raw)
		d.mandatory(dst, w)
		return n
	}
	r := bitReader{b: d.raw, at: 24}
	out := bitWriter{b: dst, at: 24}
	d.mandatory(dst, w)
	hasActive := d.HasActive || w.Restrict
	if len(d.raw) > 3 {
		attached := r.read(2) & 2
		out.write(2, attached|b2u(hasActive))
		out.copy(&r, 3)
	} else {
		r.at += 5
		out.write(5, b2u(hasActive)<<3)
	}
	if d.Attached {
		out.write(6, (r.read(6)+uint32(w.Shift))&(maxTemplates-1))
	}
	out.copy(&r, d.active-r.at)
	if w.Restrict {
		out.write(d.targets, w.Active)
		if d.HasActive {
			r.at += d.targets
		}
	}
	out.copy(&r, d.consumed-r.at)
	if out.full {
		return 0
	}
	return out.bytes()
}

func (d *Descriptor) mandatory(dst []byte, w Rewrite) {
	dst[0] = d.raw[0]&0xc0 | (d.Template+w.Shift)&(maxTemplates-1)
	binary.BigEndian.PutUint16(dst[1:], w.Number)
}

func b2u(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}
