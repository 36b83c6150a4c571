package jitsipeer

// The dependency descriptor (AV1 RTP specification, appendix A) of L1T3 to L3T3_KEY. Each spatial layer has five templates:
// key, T0, T1, T2 before it and T2 behind it.

type bitWriter struct {
	b   []byte
	bit int
}

func (w *bitWriter) put(v uint32, n int) {
	for i := n - 1; i >= 0; i-- {
		if w.bit%8 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[w.bit/8] |= byte(v>>i&1) << (7 - w.bit%8)
		w.bit++
	}
}

// nonSymmetric writes a value below n (A.8.3).
func (w *bitWriter) nonSymmetric(v, n uint32) {
	bits := 0
	for x := n; x != 0; x >>= 1 {
		bits++
	}
	m := uint32(1)<<bits - n
	if v < m {
		w.put(v, bits-1)
	} else {
		w.put(v+m, bits)
	}
}

func (w *bitWriter) flag(v bool) {
	if v {
		w.put(1, 1)
	} else {
		w.put(0, 1)
	}
}

// Templates of a spatial layer, by the position of a delta frame in the temporal pattern.
const (
	templateKey = iota
	templateT0
	templateT1
	templateT2First
	templateT2Last
	templates
)

var templateAt = [4]int{templateT0, templateT2First, templateT1, templateT2Last}

// template describes one.
type template struct {
	spatial, temporal uint8
	back              int // frames back to the reference, 0 for none
	units             int // temporal units since T0, 4 of T0 itself
}

func templateOf(spatial, kind, layers int) template {
	t := template{spatial: uint8(spatial)}
	switch kind {
	case templateKey:
		t.back = min(spatial, 1)
	case templateT0:
		t.back, t.units = 4*layers, 4
	case templateT2First:
		t.temporal, t.back, t.units = 2, layers, 1
	case templateT1:
		t.temporal, t.back, t.units = 1, 2*layers, 2
	case templateT2Last:
		t.temporal, t.back, t.units = 2, layers, 3
	}
	return t
}

// indication says what a frame is to the decode target of a spatial and temporal layer: not present, discardable, switch or
// required (A.8.3.4).
func (t template) indication(spatial, temporal int) uint32 {
	const absent, discardable, switching = 0, 1, 2
	switch {
	case int(t.temporal) > temporal, t.units > 0 && int(t.spatial) != spatial, int(t.spatial) > spatial:
		return absent
	case t.temporal == 2 || t.temporal == 1 && temporal == 1:
		return discardable
	}
	return switching
}

// chain is how many frames back the last frame of a spatial layer's chain is: of its key frame and its T0.
func (t template) chain(spatial, layers int) uint32 {
	s := int(t.spatial)
	if t.units == 0 { // key: S0 is in every chain, S1 in those of S1 and S2
		switch {
		case s == 0:
			return 0
		case spatial >= s:
			return 1
		}
		return uint32(s - spatial)
	}
	n := t.units*layers + s - spatial
	if t.units == 4 && spatial < s {
		n = s - spatial
	}
	return uint32(n)
}

// appendDescriptor appends the descriptor of a packet.
func (p *picture) appendDescriptor(dst []byte) []byte {
	kind := templateAt[p.position]
	if p.intra {
		kind = templateKey
	}
	w := bitWriter{b: dst, bit: 8 * len(dst)}
	w.flag(p.index == 0)
	w.flag(p.index == p.count-1)
	w.put(uint32(int(p.spatial)*templates+kind), 6)
	w.put(uint32(p.number), 16)
	if p.key && p.index == 0 {
		w.put(1<<4, 5) // the structure alone
		p.structure(&w)
	}
	return w.b
}

// structure writes template_dependency_structure (A.8.2).
func (p *picture) structure(w *bitWriter) {
	layers := p.layers
	w.put(0, 6) // template_id_offset
	w.put(uint32(3*layers-1), 5)
	all := make([]template, 0, maxLayers*templates)
	for s := range layers {
		for kind := range templates {
			all = append(all, templateOf(s, kind, layers))
		}
	}
	// The order of templates is by spatial, then by temporal layer; the same layer may repeat.
	for i := range all {
		switch {
		case i == len(all)-1:
			w.put(3, 2)
		case all[i+1].spatial != all[i].spatial:
			w.put(2, 2)
		case all[i+1].temporal != all[i].temporal:
			w.put(1, 2)
		default:
			w.put(0, 2)
		}
	}
	for _, t := range all {
		for target := range 3 * layers {
			w.put(t.indication(target/3, target%3), 2)
		}
	}
	for _, t := range all {
		if t.back > 0 {
			w.flag(true)
			w.put(uint32(t.back-1), 4)
		}
		w.flag(false)
	}
	w.nonSymmetric(uint32(layers), uint32(3*layers+1)) // chain_cnt
	for target := range 3 * layers {
		w.nonSymmetric(uint32(target/3), uint32(layers))
	}
	for _, t := range all {
		for chain := range layers {
			w.put(t.chain(chain, layers), 4)
		}
	}
	w.flag(true) // resolutions_present_flag
	for _, h := range p.heights[:layers] {
		w.put(uint32(h*16/9-1), 16)
		w.put(uint32(h-1), 16)
	}
}
