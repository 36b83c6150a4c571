package codec

// The limits of AV1 and of the dependency descriptor.
const (
	maxTemplates = 64
	maxTargets   = 32
	maxChains    = 32
	maxSpatial   = 4
	maxTemporal  = 8
	maxFdiffs    = 16 // a template's differences are 1 to 16
)

// Indication is what a frame is to a decode target (table A.1).
type Indication uint8

const (
	NotPresent Indication = iota
	Discardable
	Switch
	Required
)

// Indications are the indications of a frame for up to 32 decode targets.
type Indications uint64

// Of is the indication for a decode target; NotPresent for one that there is not.
func (i Indications) Of(target int) Indication {
	if target < 0 || target >= maxTargets {
		return NotPresent
	}
	return Indication(i>>(2*target)) & 3
}

func (i *Indications) set(target int, v Indication) { *i |= Indications(v) << (2 * target) }

// Structure is the frame dependency structure of a coded video sequence (A.8.2, template_dependency_structure).
type Structure struct {
	Offset  uint8 // template_id_offset
	Targets int   // decode targets, 1 to 32
	Chains  int   // 0 to 32

	count      int // templates
	templates  [maxTemplates]template
	protection [maxTargets]uint8 // decode_target_protected_by
	spatial    [maxTargets]uint8 // layers of the decode targets
	temporal   [maxTargets]uint8
	layers     int // spatial layers of the templates
	sized      bool
	widths     [maxSpatial]uint32 // up to 65,536
	heights    [maxSpatial]uint32
}

type template struct {
	spatial, temporal uint8
	indications       Indications
	fdiffs            uint16 // bit i: a difference of i+1
	chains            [maxChains]uint8
}

// Layer is the spatial and temporal layer of a decode target.
func (s *Structure) Layer(target int) (spatial, temporal uint8, ok bool) {
	if target < 0 || target >= s.Targets {
		return 0, 0, false
	}
	return s.spatial[target], s.temporal[target], true
}

// ProtectedBy is the chain that protects a decode target (A.5).
func (s *Structure) ProtectedBy(target int) (chain int, ok bool) {
	if target < 0 || target >= s.Targets || s.Chains == 0 {
		return 0, false
	}
	return int(s.protection[target]), true
}

// Target is the best decode target, of those in the bitmask active, that has no layer above the wished ones: of the highest
// spatial layer, and in that of the highest temporal one. It answers false when even the lowest is above.
func (s *Structure) Target(spatial, temporal uint8, active uint32) (target int, ok bool) {
	for i := range s.Targets {
		if active>>i&1 == 0 || s.spatial[i] > spatial || s.temporal[i] > temporal {
			continue
		}
		if !ok || s.spatial[i] > s.spatial[target] || s.spatial[i] == s.spatial[target] && s.temporal[i] > s.temporal[target] {
			target, ok = i, true
		}
	}
	return target, ok
}

// UpTo is the bitmask of the decode targets that have no layer above the given ones: what is left active when a bridge
// forwards no more.
func (s *Structure) UpTo(spatial, temporal uint8) uint32 {
	var mask uint32
	for i := range s.Targets {
		if s.spatial[i] <= spatial && s.temporal[i] <= temporal {
			mask |= 1 << i
		}
	}
	return mask
}

// Resolution is the size of a spatial layer's frames, when the structure tells it.
func (s *Structure) Resolution(spatial uint8) (width, height uint32, ok bool) {
	if !s.sized || int(spatial) >= s.layers {
		return 0, 0, false
	}
	return s.widths[spatial], s.heights[spatial], true
}

// read is template_dependency_structure().
func (s *Structure) read(r *bitReader) bool {
	s.Offset = uint8(r.read(6))
	s.Targets = int(r.read(5)) + 1
	if !s.readLayers(r) {
		return false
	}
	templates := s.templates[:s.count]
	for i := range templates { // template_dtis
		templates[i].indications = 0
		for target := range s.Targets {
			templates[i].indications.set(target, Indication(r.read(2)))
		}
	}
	for i := range templates { // template_fdiffs
		templates[i].fdiffs = 0
		for n := 0; r.flag(); n++ {
			if n == maxFdiffs {
				return false
			}
			templates[i].fdiffs |= 1 << r.read(4)
		}
	}
	s.Chains = int(r.nonSymmetric(uint32(s.Targets) + 1))
	if s.Chains > 0 { // template_chains
		for target := range s.Targets {
			s.protection[target] = uint8(r.nonSymmetric(uint32(s.Chains)))
		}
		for i := range templates {
			for chain := range s.Chains {
				templates[i].chains[chain] = uint8(r.read(4))
			}
		}
	}
	s.targetLayers()
	if s.sized = r.flag(); s.sized { // render_resolutions
		for i := range s.layers {
			s.widths[i], s.heights[i] = r.read(16)+1, r.read(16)+1
		}
	}
	return !r.short
}

// readLayers is template_layers().
func (s *Structure) readLayers(r *bitReader) bool {
	var spatial, temporal uint8
	for s.count = 0; s.count < maxTemplates; {
		s.templates[s.count].spatial, s.templates[s.count].temporal = spatial, temporal
		s.count++
		switch r.read(2) {
		case 1:
			temporal++
		case 2:
			temporal = 0
			spatial++
		case 3:
			s.layers = int(spatial) + 1
			return true
		}
		if r.short || spatial == maxSpatial || temporal == maxTemporal {
			return false
		}
	}
	return false
}

// targetLayers is decode_target_layers().
func (s *Structure) targetLayers() {
	for target := range s.Targets {
		var spatial, temporal uint8
		for i := range s.count {
			if t := &s.templates[i]; t.indications.Of(target) != NotPresent {
				spatial, temporal = max(spatial, t.spatial), max(temporal, t.temporal)
			}
		}
		s.spatial[target], s.temporal[target] = spatial, temporal
	}
}
