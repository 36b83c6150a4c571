package congestion

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

const ms = time.Millisecond

// event is something that happens in the simulated network.
type event struct {
	at    time.Duration
	order int
	do    func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	*e = (*e)[:last]
	return x
}

// world is a network with a clock of its own.
type world struct {
	now    time.Duration
	events events
	order  int
	random *rand.Rand
}

func newWorld(seed uint64) *world { return &world{random: rand.New(rand.NewPCG(seed, 1))} }

func (w *world) at(at time.Duration, do func()) {
	w.order++
	heap.Push(&w.events, event{max(at, w.now), w.order, do})
}

func (w *world) after(d time.Duration, do func()) { w.at(w.now+d, do) }

func (w *world) every(d time.Duration, do func()) {
	w.after(d, func() { do(); w.every(d, do) })
}

func (w *world) run(until time.Duration) {
	for len(w.events) > 0 && w.events[0].at <= until {
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		e.do()
	}
	w.now = until
}

// step is a rate (bit/s) from a time on.
type step struct {
	at   time.Duration
	rate float64
}

func rateAt(steps []step, at time.Duration) float64 {
	rate := steps[0].rate
	for _, s := range steps {
		if s.at <= at {
			rate = s.rate
		}
	}
	return rate
}

// waiting is a packet in a queue.
type waiting struct {
	size int
	came time.Duration
	out  func(queued time.Duration) // it has left the queue
	lost func()
}

// link is a bottleneck: a drop-tail queue that is emptied at a rate.
type link struct {
	w       *world
	rate    []step
	bytes   int           // that the queue holds
	packets int           // that the queue holds; 0: any number
	loss    float64       // random part
	burst   int           // packets that are lost together; 0: one
	stalls  time.Duration // a pause that often; 0: none
	pause   time.Duration // its length
	gone    int           // left of the burst
	queue   []waiting
	held    int
	busy    bool
}

func (l *link) send(p waiting) {
	if l.gone > 0 {
		l.gone--
		p.lost()
		return
	}
	if l.loss > 0 && l.w.random.Float64() < l.loss/float64(max(l.burst, 1)) {
		l.gone = max(l.burst, 1) - 1
		p.lost()
		return
	}
	if l.held+p.size > l.bytes || l.packets > 0 && len(l.queue) >= l.packets {
		p.lost()
		return
	}
	p.came = l.w.now
	l.queue = append(l.queue, p)
	l.held += p.size
	if !l.busy {
		l.serve()
	}
}

func (l *link) serve() {
	l.busy = true
	p := l.queue[0]
	d := time.Duration(float64(p.size) * 8 / rateAt(l.rate, l.w.now) * 1e9)
	if l.stalls > 0 && l.w.now%l.stalls < l.pause && l.w.now > l.stalls {
		d += l.pause - l.w.now%l.stalls
	}
	l.w.after(d, func() {
		l.queue = l.queue[1:]
		l.held -= p.size
		p.out(l.w.now - p.came)
		if l.busy = len(l.queue) > 0; l.busy {
			l.serve()
		}
	})
}

// carried is what the link could carry between two times, in bits.
func (l *link) carried(from, to time.Duration, most float64) (bits float64) {
	for t := from; t < to; t += 100 * ms {
		bits += min(rateAt(l.rate, t), most) / 10
	}
	return bits
}
