package netem

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// Sink takes packets that have arrived. It is called by the driver's goroutine, one packet at a time; the bytes are the
// driver's.
type Sink interface{ Deliver(packet []byte) }

// Driver carries packets along paths in real time. All paths that share a bottleneck belong to one driver.
type Driver struct {
	begin time.Time
	alarm *alarm

	mu   sync.Mutex // guards what follows, and all paths
	due  arrivals
	next uint64 // number of the next arrival
	free [][]byte
	late Lateness
}

// Lateness is how much later than they should have the packets were delivered: what the emulation did wrong.
type Lateness struct {
	Packets int
	counts  [lateSteps + 1]int
	Max     time.Duration
}

const (
	lateStep  = 50 * time.Microsecond
	lateSteps = 1000
)

func (l *Lateness) add(d time.Duration) {
	l.Packets++
	l.counts[min(max(int(d/lateStep), 0), lateSteps)]++
	l.Max = max(l.Max, d)
}

// Quantile is the lateness that this share of the packets did not exceed, to 50 µs and at most 50 ms.
func (l *Lateness) Quantile(q float64) time.Duration {
	rest := int(q * float64(l.Packets))
	for i, n := range l.counts {
		if rest -= n; rest < 0 {
			return min(time.Duration(i+1)*lateStep, l.Max)
		}
	}
	return l.Max
}

const (
	early    = 20 * time.Microsecond // a packet that is due so soon is delivered now
	longest  = time.Second           // sleep
	kept     = 4096                  // free buffers
	roomEach = 2048                  // bytes of one
)

// NewDriver returns a driver; its time begins now.
func NewDriver() (*Driver, error) {
	a, err := newAlarm()
	if err != nil {
		return nil, err
	}
	return &Driver{begin: time.Now(), alarm: a}, nil
}

// Now is the time of the paths.
func (d *Driver) Now() time.Duration { return time.Since(d.begin) }

// Begin is when the time of the paths was 0.
func (d *Driver) Begin() time.Time { return d.begin }

// With calls f while no packet moves: paths, bottlenecks and records are read and changed so.
func (d *Driver) With(f func(now time.Duration)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(d.Now())
}

// Lateness is that of the packets since the last call.
func (d *Driver) Lateness() Lateness {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.late
	d.late = Lateness{}
	return l
}

// Send lets a packet, which is copied, enter a path. Its size on the wire is that of the packet and some overhead. A nil
// sink takes packets that are there for their load alone. Any goroutine may call it.
func (d *Driver) Send(p *Path, packet []byte, overhead, class int, to Sink) {
	d.mu.Lock()
	f := p.Pass(d.Now(), len(packet)+overhead, class)
	ring := false
	for i := 0; i < f.Copies && to != nil; i++ {
		b := d.buffer(len(packet))
		copy(b, packet)
		if f.Mark {
			markL4S(b)
		}
		d.next++
		ring = d.due.push(arrival{f.Arrivals[i], d.next, b, to}) || ring
	}
	d.mu.Unlock()
	if ring {
		d.alarm.ring()
	}
}

// buffer returns memory for a packet. The caller holds mu.
func (d *Driver) buffer(n int) []byte {
	if n > roomEach {
		return make([]byte, n)
	}
	if last := len(d.free) - 1; last >= 0 {
		b := d.free[last]
		d.free = d.free[:last]
		return b[:n]
	}
	return make([]byte, n, roomEach)
}

// Run delivers packets at their times until ctx ends. It keeps a thread of its own, which sleeps to some 0.1 ms.
func (d *Driver) Run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	stop := context.AfterFunc(ctx, d.alarm.ring)
	defer d.alarm.close()
	defer stop()
	for ctx.Err() == nil {
		a, wait := d.take()
		if a.packet == nil {
			d.alarm.wait(wait)
			continue
		}
		a.to.Deliver(a.packet)
		d.mu.Lock()
		if cap(a.packet) == roomEach && len(d.free) < kept {
			d.free = append(d.free, a.packet)
		}
		d.mu.Unlock()
	}
	return nil
}

// take returns what is to be delivered now, or how long there is nothing.
func (d *Driver) take() (a arrival, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.due) == 0 {
		return a, longest
	}
	now := d.Now()
	if wait = d.due[0].at - now; wait > early {
		return a, min(wait, longest)
	}
	a = d.due.pop()
	d.late.add(now - a.at)
	return a, 0
}
