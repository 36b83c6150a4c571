package netem

import (
	"math/rand/v2"
	"time"
)

// Line is what a path does to packets behind its bottleneck: those that it loses have used the bottleneck.
type Line struct {
	Delay  time.Duration // propagation
	Jitter time.Duration // each packet takes up to so much longer, uniformly distributed
	Shifts []Shift       // delay that comes and goes, in order
	Loose  bool          // jitter or a shift may change the order of packets; else a packet waits for those before it
	Loss   Loss

	Reorder   float64       // share of packets that are held back, so that later ones overtake them
	ReorderBy time.Duration // how long
	Duplicate float64       // share of packets that come twice
}

// Shift is how much longer packets take that reach the line from a time on.
type Shift struct{ At, By time.Duration }

// shift is that of a time.
func (l *Line) shift(at time.Duration) (by time.Duration) {
	for _, s := range l.Shifts {
		if s.At > at {
			break
		}
		by = s.By
	}
	return by
}

// Path is one direction of one flow. Bottleneck may be nil, and may be that of other paths too. Record may be nil.
type Path struct {
	Bottleneck *Bottleneck
	Record     *Record

	line   Line
	losses losses
	random *rand.Rand
	last   time.Duration // when the newest packet arrives that was not held back
}

// NewPath returns a path whose random numbers come from a seed.
func NewPath(b *Bottleneck, l Line, seed uint64) *Path {
	p := &Path{Bottleneck: b, random: rand.New(rand.NewPCG(seed, 0x6e6574656d))}
	p.Change(l)
	return p
}

// Change gives the path another line. What is on the way arrives as it would have.
func (p *Path) Change(l Line) { p.line, p.losses = l, losses{Loss: l.Loss} }

// Fate is what becomes of a packet: when it arrives, not at all, once or twice.
type Fate struct {
	Arrivals [2]time.Duration
	Copies   int
	Mark     bool // set CE, if the packet is of an L4S flow
}

// Pass says what becomes of a packet that enters at a time. The class is for the record alone.
func (p *Path) Pass(now time.Duration, size, class int) (f Fate) {
	at, wait := now, time.Duration(0)
	if b := p.Bottleneck; b != nil {
		var ok bool
		if wait, at, ok = b.take(now, size); !ok {
			p.Record.drop(now, size, wait)
			return f
		}
		f.Mark = b.Mark > 0 && wait > b.Mark
	}
	// Each kind of fate draws its number whether it is needed or not, so that one packet's does not change the next one's.
	lost := p.losses.takes(p.random)
	jitter, held, twice := p.random.Float64(), p.random.Float64(), p.random.Float64()
	p.Record.pass(now, size, class, wait, lost, f.Mark)
	if lost {
		return f
	}
	at += p.line.shift(at) + p.line.Delay + time.Duration(jitter*float64(p.line.Jitter))
	if held < p.line.Reorder {
		at += p.line.ReorderBy
	} else {
		if !p.line.Loose {
			at = max(at, p.last)
		}
		p.last = max(at, p.last)
	}
	f.Arrivals[0], f.Copies = at, 1
	if twice < p.line.Duplicate {
		f.Arrivals[1], f.Copies = at, 2
	}
	for range f.Copies {
		p.Record.arrive(at, size)
	}
	return f
}
