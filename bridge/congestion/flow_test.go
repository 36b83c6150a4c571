package congestion

import (
	"math"
	"time"

	"parley/bridge/rtp"
)

// flow is a sender with a pacer, its receiver, and the paths between them.
type flow struct {
	w       *world
	link    *link
	reverse *link         // of feedback; nil: it is not congested
	from    time.Duration // when it begins
	delay   time.Duration
	jitter  time.Duration
	e       *GCC
	most    float64 // bit/s of media
	active  func(time.Duration) bool
	every   time.Duration // feedback
	deaf    float64       // part of feedback that is lost
	silent  func(time.Duration) bool
	frames  bool      // media comes as frames, 30 a second
	layers  []float64 // that the media has, of which the first is sent always; nil: any rate

	pacer  int // bytes that wait
	state  State
	probe  Probe
	probed struct {
		first   time.Duration
		packets int
	}
	number   uint16
	arrivals rtp.Arrivals
	arrived  time.Duration
	clock    time.Duration // of the receiver, ahead of the world's
	padding  int

	sent, got []int // bytes by 100 ms
	queued    []sample
	rates     []float64 // by 100 ms
}

type sample struct{ at, queued time.Duration }

func (f *flow) start(at time.Duration) *flow {
	if f.every == 0 {
		f.every = 100 * ms
	}
	if f.e == nil {
		f.e = NewGCC(Config{})
	}
	f.number = 65_000                   // so that sequence numbers wrap,
	f.clock = (1<<24)*64*ms - 30*second // and the reference time
	f.state = f.e.State()
	f.w.at(at, func() {
		f.w.every(5*ms, f.tick)
		f.w.every(time.Second/30, f.frame)
		f.w.every(20*ms, func() {
			if !f.frames && f.on() {
				f.pacer += int(f.media() * 0.02 / 8)
			}
		})
		f.w.every(f.every, f.feedback)
	})
	f.w.every(100*ms, func() { f.rates = append(f.rates, float64(f.state.Rate)) })
	return f
}

func (f *flow) on() bool { return f.active == nil || f.active(f.w.now) }

// media is the rate that the sources have now.
func (f *flow) media() float64 {
	rate := min(float64(f.state.Rate), f.most)
	if f.layers != nil {
		best := f.layers[0]
		for _, l := range f.layers {
			if l <= rate {
				best = l
			}
		}
		return best
	}
	return rate
}

func (f *flow) frame() {
	if f.frames && f.on() {
		size := f.media() / 30 / 8 * (1 + 0.25*min(max(f.w.random.NormFloat64(), -2), 2))
		f.pacer += int(size)
	}
}

func (f *flow) tick() {
	f.e.Demand(Bitrate(f.most))
	if !f.on() {
		f.pacer = 0
		return
	}
	f.state = f.e.Tick(f.w.now)
	if f.state.Probe.ID != 0 && f.state.Probe.ID != f.probe.ID {
		f.probe, f.probed.packets = f.state.Probe, 0
	}
	rate := float64(f.state.Rate)
	budget := int(2.5 * rate * 0.005 / 8)
	var id uint8
	if p := f.probe; p.ID != 0 && (f.probed.packets < p.Packets || f.w.now-f.probed.first < p.For+5*ms) {
		id = p.ID
		budget = int(float64(p.Rate) * 0.005 / 8)
		if f.probed.packets == 0 {
			f.probed.first = f.w.now
		}
	}
	f.pacer = min(f.pacer, int(rate*0.5/8)) // what is older than half a second is not worth sending
	n := 0
	for f.pacer > 0 && (budget > 0 || n == 0 && budget > -1200) {
		size := min(f.pacer, 1200) // overhead included
		f.pacer -= size
		budget -= max(size, 100)
		f.send(max(size, 100), id)
		n++
	}
	for id != 0 && budget > 0 {
		size := min(max(budget, 100), 1200)
		budget -= size
		f.padding += size
		f.send(size, id)
	}
}

func (f *flow) note(bins *[]int, size int) {
	i := int(f.w.now / (100 * ms))
	for len(*bins) <= i {
		*bins = append(*bins, 0)
	}
	(*bins)[i] += size
}

func (f *flow) send(size int, probe uint8) {
	f.number++
	n := f.number
	f.e.Sent(Packet{Number: n, At: f.w.now, Size: size, Probe: probe})
	f.note(&f.sent, size)
	if probe != 0 {
		f.probed.packets++
	}
	f.link.send(waiting{size: size, lost: func() {}, out: func(queued time.Duration) {
		f.queued = append(f.queued, sample{f.w.now, queued})
		f.note(&f.got, size)
		wait := f.delay
		if f.jitter > 0 { // never so that packets overtake
			wait += min(time.Duration(math.Abs(f.w.random.NormFloat64())*float64(f.jitter)/3), f.jitter)
		}
		f.arrived = max(f.arrived, f.w.now+wait)
		f.w.at(f.arrived, func() { f.arrivals.Record(n, f.w.now+f.clock) })
	}})
}

func (f *flow) feedback() {
	for more := true; more; {
		var b []byte
		b, more = f.arrivals.Append(nil, 1, 2, 1200)
		if len(b) == 0 {
			return
		}
		if f.w.random.Float64() < f.deaf || f.silent != nil && f.silent(f.w.now) {
			continue
		}
		deliver := func() {
			f.w.after(f.delay, func() { f.state = f.e.Report(parse(b), f.w.now) })
		}
		if f.reverse != nil {
			f.reverse.send(waiting{size: len(b) + 28, lost: func() {}, out: func(time.Duration) { deliver() }})
			continue
		}
		deliver()
	}
}

// parse reads feedback.
func parse(b []byte) *rtp.TransportFeedback {
	c, err := rtp.ParseCompound(b)
	var p rtp.Control
	if err != nil || !c.Next(&p) {
		return nil
	}
	f, ok := p.TransportCC()
	if !ok {
		return nil
	}
	return &f
}
