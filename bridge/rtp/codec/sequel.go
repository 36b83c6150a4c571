package codec

// Sequel makes the dependency descriptors of several sources go on as if they were of one: frame numbers rise, and the template
// ids of a source do not overlap those of the source before (A.8.3, template_id_offset), so that a late packet is not taken
// for one of the new source. The zero value is ready; its first source keeps its numbers.
type Sequel struct {
	any      bool   // there was a source
	open     bool   // the current source began
	shift    uint16 // of its frame numbers
	template uint8  // of its template ids
	newest   uint16 // outgoing frame number
	end      uint8  // outgoing template id after the last of the structure
}

// Switch says that the next descriptor is of another source, or of the same after a pause.
func (s *Sequel) Switch() { s.open = false }

// Map says how to rewrite a descriptor. It answers false until a source begins, which it does with a structure.
func (s *Sequel) Map(d *Descriptor) (Rewrite, bool) {
	if d.targets == 0 || !s.open && !d.Attached {
		return Rewrite{}, false
	}
	if !s.open {
		s.open = true
		if s.any {
			s.shift, s.template = s.newest+1-d.Number, s.end-d.offset
			s.newest = d.Number + s.shift
		} else {
			s.any, s.newest = true, d.Number
		}
	}
	if d.Attached {
		s.end = d.offset + d.count + s.template
	}
	number := d.Number + s.shift
	if int16(number-s.newest) > 0 {
		s.newest = number
	}
	return Rewrite{Number: number, Shift: s.template & (maxTemplates - 1)}, true
}
