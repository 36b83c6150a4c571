package bridge

import "time"

const (
	maxTemporal = 4 // temporal layers that are told apart

	meterSlices = 8
	meterSlice  = 125 * time.Millisecond
	meterLeast  = 300 * time.Millisecond // before, a rate says nothing
)

// meter measures what the layers of one stream cost, over about a second. Its stream's mutex guards it.
type meter struct {
	begun time.Time // of what is measured; zero: nothing
	at    time.Time // of the present slice
	slice int
	bytes [meterSlices]layerBytes
	usual usual
}

// layerBytes are bytes by spatial and temporal layer.
type layerBytes struct {
	spare [maxSpatial]uint32              // of pictures that a slot leaves out that gets every second one of the highest temporal layer
	own   [maxSpatial][maxTemporal]uint32 // of packets that the layer itself needs and those above do not
	above [maxSpatial][maxTemporal]uint32 // of packets that the spatial layers above need too
}

// take counts a packet. Above says that the spatial layers above need it too, spare that it can be left out (packet.spare).
func (m *meter) take(now time.Time, spatial, temporal uint8, above, spare bool, n int) {
	m.pass(now)
	if m.begun.IsZero() {
		m.begun, m.at = now, now
	}
	if spare {
		m.bytes[m.slice].spare[min(spatial, maxSpatial-1)] += uint32(n)
	}
	b := &m.bytes[m.slice].own
	if above {
		b = &m.bytes[m.slice].above
	}
	b[min(spatial, maxSpatial-1)][min(temporal, maxTemporal-1)] += uint32(n)
}

// usual is how large the pictures of the lowest temporal layer are that are no key frames.
type usual struct {
	stamp uint32 // timestamp of the newest one
	bytes int    // that came of it
	key   bool   // it is a key frame
	mean  int    // bytes; 0: not known
}

// count answers what a packet of such a picture counts for, which is all but where it makes a key frame larger than pictures are. A key
// frame is several of them at once, and the pacer spreads it; if it counted in full, the layer would be taken for too much for a
// second for those who have just got it, who would have to go back to another.
func (u *usual) count(stamp uint32, starts bool, n int) int {
	if stamp != u.stamp || u.bytes == 0 {
		switch {
		case u.bytes == 0 || u.key:
		case u.mean == 0:
			u.mean = u.bytes
		default:
			u.mean += (u.bytes - u.mean) / 4
		}
		u.stamp, u.bytes, u.key = stamp, 0, false
	}
	u.key = u.key || starts
	before := u.bytes
	u.bytes += n
	if !u.key || u.mean == 0 {
		return n
	}
	return min(n, max(u.mean-before, 0))
}

// pass begins new slices.
func (m *meter) pass(now time.Time) {
	if m.begun.IsZero() {
		return
	}
	if now.Sub(m.at) >= 2*meterSlices*meterSlice {
		*m = meter{usual: m.usual}
		return
	}
	for now.Sub(m.at) >= meterSlice {
		m.at = m.at.Add(meterSlice)
		m.slice = (m.slice + 1) % meterSlices
		m.bytes[m.slice] = layerBytes{}
	}
}

// rates are what a receiver of a spatial and temporal layer is sent, and how much of it can be left out, in bits per second. It
// answers false while that is not known.
func (m *meter) rates(now time.Time) (rates [maxSpatial][maxTemporal]uint32, spare [maxSpatial]uint32, ok bool) {
	m.pass(now)
	if m.begun.IsZero() {
		return rates, spare, false
	}
	over := min(now.Sub(m.at)+(meterSlices-1)*meterSlice, now.Sub(m.begun))
	if over < meterLeast {
		return rates, spare, false
	}
	perSecond := func(bytes uint64) uint32 { return uint32(min(bytes*8*uint64(time.Second)/uint64(over), 1<<32-1)) }
	var sum layerBytes
	for i := range m.bytes {
		for s := range maxSpatial {
			sum.spare[s] += m.bytes[i].spare[s]
			for t := range maxTemporal {
				sum.own[s][t] += m.bytes[i].own[s][t]
				sum.above[s][t] += m.bytes[i].above[s][t]
			}
		}
	}
	var below [maxTemporal]uint64 // that the layer needs of those beneath it
	for s := range maxSpatial {
		spare[s] = perSecond(uint64(sum.spare[s]))
		bytes := uint64(0)
		for t := range maxTemporal {
			below[t] += uint64(sum.above[s][t])
			bytes += uint64(sum.own[s][t]) + below[t]
			rates[s][t] = perSecond(bytes)
		}
	}
	return rates, spare, true
}
