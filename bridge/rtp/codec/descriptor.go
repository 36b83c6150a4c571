package codec

import "encoding/binary"

// Descriptor is what the dependency descriptor of one packet says about its frame (A.8).
type Descriptor struct {
	Start, End  bool
	Template    uint8  // frame_dependency_template_id
	Number      uint16 // frame_number
	HasActive   bool   // the packet itself holds a bitmask of active decode targets
	Active      uint32 // the bitmask that is in force with this packet
	Attached    bool   // the packet holds a structure: a coded video sequence begins
	Spatial     uint8
	Temporal    uint8
	Indications Indications
	Fdiffs      [maxFdiffs]uint16 // of the first References: how many frames before this one
	References  int
	ChainFdiffs [maxChains]uint8 // of the structure's chains: the previous frame of the chain; 0: none is needed
	Key         bool             // the frame is of a picture that begins anew: it needs nothing before that picture
	Width       uint32
	Height      uint32 // 0 when the structure does not tell

	raw      []byte
	targets  int
	offset   uint8 // of the structure's template ids
	count    uint8 // of its templates
	active   int   // bit where the bitmask stands or would stand
	consumed int   // bits without padding
	layer    Indications
}

// DependencySource reads the descriptors of one source and remembers its structure. The zero value is ready. It is about
// 6 kB: two structures, so that one that turns out to be malformed replaces nothing.
type DependencySource struct {
	structures [2]Structure
	current    int
	known      bool
	active     uint32
	sequence   uint16 // of the packet that brought the structure
	changed    uint16 // of the packet that set active
	key        uint16 // frame number of the last frame of layer 0 without references
	keyed      bool
}

const lateness = 1024 // sequence numbers by which a packet may be late and still be known to be

// Structure is the structure in force; nil before the first.
func (s *DependencySource) Structure() *Structure {
	if !s.known {
		return nil
	}
	return &s.structures[s.current]
}

// Active is the bitmask of active decode targets in force.
func (s *DependencySource) Active() uint32 { return s.active }

// late says that a packet comes, in the order of sending, before the one that brought what is in force.
func late(seq, since uint16) bool { return since-seq != 0 && since-seq <= lateness }

// Parse reads the descriptor of the packet with this sequence number into d and takes over the structure and the bitmask
// that it brings, unless the packet is late. It fails with ErrInvalid also when the structure that the packet needs did not
// come; then nothing changes.
func (s *DependencySource) Parse(b []byte, seq uint16, d *Descriptor) error {
	*d = Descriptor{}
	if len(b) < 3 {
		return ErrInvalid
	}
	v := Descriptor{raw: b, Start: b[0]&0x80 != 0, End: b[0]&0x40 != 0, Template: b[0] & 0x3f, Number: binary.BigEndian.Uint16(b[1:])}
	r := bitReader{b: b, at: 24}
	structure := s.Structure()
	var dtis, fdiffs, chains bool
	if len(b) > 3 {
		v.Attached, v.HasActive = r.flag(), r.flag()
		dtis, fdiffs, chains = r.flag(), r.flag(), r.flag()
		if v.Attached {
			structure = &s.structures[1-s.current]
			if !structure.read(&r) {
				return ErrInvalid
			}
		}
	} else {
		r.at += 5 // where the flags would be: they are 0
	}
	if structure == nil {
		return ErrInvalid
	}
	v.targets, v.offset, v.count, v.active = structure.Targets, structure.Offset, uint8(structure.count), r.at
	v.Active = s.active
	if v.Attached {
		v.Active = uint32(1)<<structure.Targets - 1
	}
	if v.HasActive {
		v.Active = r.read(structure.Targets)
	}
	index := (v.Template - structure.Offset) & (maxTemplates - 1)
	if int(index) >= structure.count {
		return ErrInvalid
	}
	t := &structure.templates[index]
	v.Spatial, v.Temporal = t.spatial, t.temporal
	v.Indications, v.ChainFdiffs = t.indications, t.chains
	if dtis {
		v.Indications = 0
		for target := range structure.Targets {
			v.Indications.set(target, Indication(r.read(2)))
		}
	}
	if !v.readFdiffs(&r, t.fdiffs, fdiffs) {
		return ErrInvalid
	}
	if chains {
		for chain := range structure.Chains {
			v.ChainFdiffs[chain] = uint8(r.read(8))
		}
	}
	clear(v.ChainFdiffs[structure.Chains:])
	v.Width, v.Height, _ = structure.Resolution(v.Spatial)
	for target := range structure.Targets {
		if structure.spatial[target] == v.Spatial {
			v.layer |= 3 << (2 * target)
		}
	}
	if r.short && len(b) > 3 {
		return ErrInvalid
	}
	v.consumed = r.at
	// The frames of upper layers that follow at once are of the same picture: those of later pictures have larger numbers.
	v.Key = v.References == 0 || s.keyed && v.Spatial > 0 && v.Number-s.key == uint16(v.Spatial)
	s.take(&v, seq)
	*d = v
	return nil
}

func (d *Descriptor) readFdiffs(r *bitReader, template uint16, custom bool) bool {
	if !custom {
		for i := range maxFdiffs {
			if template>>i&1 != 0 {
				d.Fdiffs[d.References] = uint16(i + 1)
				d.References++
			}
		}
		return true
	}
	for size := r.read(2); size > 0; size = r.read(2) {
		if d.References == maxFdiffs {
			return false
		}
		d.Fdiffs[d.References] = uint16(r.read(int(4*size))) + 1
		d.References++
	}
	return true
}

// take makes what a descriptor brings the state of the source.
func (s *DependencySource) take(d *Descriptor, seq uint16) {
	if d.References == 0 && d.Spatial == 0 {
		s.key, s.keyed = d.Number, true
	}
	if d.Attached {
		if s.known && late(seq, s.sequence) {
			return
		}
		s.current = 1 - s.current
		s.known, s.sequence = true, seq
		s.active, s.changed = d.Active, seq
	} else if d.HasActive && !late(seq, s.changed) {
		s.active, s.changed = d.Active, seq
	}
}

// Frame describes the frame.
func (d *Descriptor) Frame() Frame {
	if d.targets == 0 {
		return Frame{}
	}
	f := Frame{
		Known: true, Key: d.Key, Start: d.Start, End: d.End, Spatial: d.Spatial, Temporal: d.Temporal,
		Width: uint16(min(d.Width, 65535)), Height: uint16(min(d.Height, 65535)),
	}
	const low = 0x5555555555555555 // the lower bits of all indications
	i := d.Indications
	// Present somewhere, and Discardable (01) wherever it is.
	f.Discardable = i != 0 && i&^low == 0
	// Switch (10) for a target of the frame's own spatial layer.
	f.SwitchUp = i>>1&^i&low&d.layer != 0
	return f
}
