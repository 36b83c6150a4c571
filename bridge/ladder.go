package bridge

// rung is a choice of layers of a source.
type rung struct {
	index             int
	spatial, temporal uint8
	thin              bool // without every second picture of the highest temporal layer
	height            int  // pixels
	rate              int64
}

// same says that the picture is of the same size.
func (r *rung) same(as *rung) bool { return r.index == as.index && r.spatial == as.spatial }

// ladder are the choices of a source, from the cheapest to the best.
type ladder struct {
	rungs [maxStreams * (maxTemporal + 1)]rung
	n     int
}

// layerRates are what layers cost while that is not measured, by height: about what browsers send, in bits per second.
var layerRates = [...]struct {
	height int
	rate   int64
}{{180, 200_000}, {360, 600_000}, {720, 1_800_000}, {1080, 3_000_000}}

func typicalRate(height int) int64 {
	for _, r := range layerRates {
		if height <= r.height {
			return r.rate
		}
	}
	return layerRates[len(layerRates)-1].rate
}

// temporalShare is the part of a layer's rate that the temporal layers up to one need, in percent, while it is not measured.
var temporalShare = [maxTemporal]int64{50, 70, 100, 100}

// climb makes the ladder of a source: of its lowest layer all frame rates, of those up to 360 lines the second and above, of
// larger ones the full rate, or three quarters of it, since a larger picture that stutters is worse than a smaller one that does
// not. A screen is read: each layer comes with all frame rates.
func (l *levels) climb(screen bool) (out ladder) {
	first := true
	for i := range l.streams {
		st := &l.streams[i]
		if !st.alive {
			continue
		}
		for s := uint8(0); s <= st.spatial; s++ {
			h := st.size(i, s)
			top := st.temporals(s)
			for t := uint8(0); t <= top; t++ {
				if !screen && !first && (t < min(top, 1) || h > stageFirst && t < top) {
					continue
				}
				r := rung{index: i, spatial: s, temporal: t, height: h}
				if t == top && t > 0 {
					r.temporal = highest
					if r.thin = st.spare[s] > 0; r.thin {
						r.rate = st.cost(&r)
						out.add(r)
						r.thin = false
					}
				}
				r.rate = st.cost(&r)
				out.add(r)
			}
			first = false
		}
	}
	return out
}

// temporals is the highest temporal layer that is sent; two are assumed while that is not measured.
func (l *level) temporals(spatial uint8) uint8 {
	if !l.measured {
		return 2
	}
	top := uint8(0)
	for t := uint8(1); t < maxTemporal; t++ {
		if l.rates[spatial][t] > l.rates[spatial][t-1] {
			top = t
		}
	}
	return top
}

// cost is what a rung of the stream costs now, in bits per second.
func (l *level) cost(r *rung) int64 {
	bits := l.rate(r.height, r.spatial, r.temporal)
	if r.thin {
		bits -= int64(l.spare[r.spatial])
	}
	return bits
}

func (l *level) rate(height int, spatial, temporal uint8) int64 {
	if l.measured {
		if r := l.rates[spatial][min(temporal, maxTemporal-1)]; r > 0 {
			return int64(r)
		}
	}
	return typicalRate(height) * temporalShare[min(temporal, maxTemporal-1)] / 100
}

// add puts a rung on top. One that costs less than those beneath takes their place, if its picture is not smaller.
func (l *ladder) add(r rung) {
	for l.n > 0 && l.rungs[l.n-1].rate >= r.rate {
		l.n--
	}
	if l.n < len(l.rungs) {
		l.rungs[l.n] = r
		l.n++
	}
}

// upTo is how many rungs a receiver can use that wants no more than a height (below 0: any) and a temporal layer. The lowest
// fits always, as far as frames go.
func (l *ladder) upTo(height int, temporal uint8) int {
	n := 0
	for i := range l.n {
		r := &l.rungs[i]
		if (height < 0 || r.height <= height || r.height == l.rungs[0].height) && (r.temporal <= temporal || r.temporal == highest && temporal >= maxTemporal-1) {
			n = i + 1
		}
	}
	return max(n, min(l.n, 1))
}
