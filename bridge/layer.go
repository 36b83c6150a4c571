package bridge

import "parley/bridge/rtp/codec"

// highest is the temporal layer that is above all.
const highest = 7

// choose finds what of a source's streams fits a height (pixels of the smaller side, below 0: any): the stream, and the
// spatial layer in it. What is smallest fits always. It answers false when nothing is alive.
func (l *levels) choose(height int) (index int, spatial uint8, ok bool) {
	for i := range l.streams {
		s := &l.streams[i]
		if !s.alive {
			continue
		}
		if !ok {
			index, spatial, ok = i, s.fit(i, height), true
			continue
		}
		if h := s.size(i, 0); height < 0 || h <= height {
			index, spatial = i, s.fit(i, height)
		}
	}
	return index, spatial, ok
}

// size is the height of a spatial layer; where the traffic does not tell, what browsers send of 720p.
func (l *level) size(index int, spatial uint8) int {
	if h := l.heights[spatial]; h != 0 {
		return int(h)
	}
	return 180 << (uint8(index) + spatial)
}

// fit is the highest spatial layer of a stream that is not above a height.
func (l *level) fit(index int, height int) uint8 {
	fit := uint8(0)
	for s := uint8(1); s <= l.spatial; s++ {
		if height < 0 || l.size(index, s) <= height {
			fit = s
		}
	}
	return fit
}

// guess is the spatial layer to begin with in what is not known yet.
func guess(height int) uint8 {
	return (&level{spatial: maxSpatial - 1}).fit(0, height)
}

// temporalFor is the highest temporal layer for a frame rate, for three layers of 30 frames per second.
func temporalFor(rate float64) uint8 {
	switch {
	case rate <= 0 || rate >= 30:
		return highest
	case rate >= 15:
		return 1
	}
	return 0
}

// layered says that a packet belongs to the layers that the slot gets, and moves these towards the wanted ones where the
// frame allows it: spatial ones at a key picture, temporal ones at once downwards, and upwards where the codec says so.
func (s *slot) layered(p *packet) bool {
	f := &p.frame
	if !f.Known {
		return true // not ours to judge (HB10, HB11)
	}
	if f.Start && p.newest {
		if f.Key && f.Spatial == 0 {
			s.spatial, s.temporal = min(s.want.spatial, p.layers()), s.want.temporal
		}
		s.temporal = min(s.temporal, s.want.temporal)
		if f.Sync && f.Temporal > s.temporal && f.Temporal <= s.want.temporal {
			s.temporal = f.Temporal
		}
	}
	if s.want.thin && p.spare() {
		return false
	}
	if p.deps != nil {
		keep := false
		structure := p.deps.Structure()
		if target, ok := structure.Target(s.spatial, s.temporal, p.dep.Active); ok {
			keep = p.dep.Indications.Of(target) != codec.NotPresent
		}
		if keep && f.SwitchUp && f.End {
			s.temporal = s.want.temporal
		}
		return keep
	}
	if f.Spatial > s.spatial || f.Temporal > s.temporal {
		return false
	}
	if p.kind == vp9 && p.read && f.Spatial < s.spatial && p.vp9.NotUpper && p.vp9.Inter {
		return false // K-SVC: nothing above needs it
	}
	if f.SwitchUp && f.End && f.Spatial == s.spatial {
		s.temporal = s.want.temporal
	}
	return true
}

// layers is the highest spatial layer that a key frame announces.
func (p *packet) layers() uint8 {
	switch {
	case p.deps != nil:
		structure := p.deps.Structure()
		if target, ok := structure.Target(maxSpatial, highest, p.dep.Active); ok {
			spatial, _, _ := structure.Layer(target)
			return spatial
		}
	case p.kind == vp9 && p.read && p.vp9.HasStructure && p.vp9.Layers > 0:
		return uint8(p.vp9.Layers - 1)
	case p.kind == vp9:
		return maxSpatial
	}
	return 0
}

// last says that nothing of the picture follows a packet that the slot gets.
func (s *slot) last(p *packet) bool {
	return p.Marker() || p.frame.Known && p.frame.End && p.frame.Spatial == s.spatial && (p.deps != nil || p.kind == vp9)
}
