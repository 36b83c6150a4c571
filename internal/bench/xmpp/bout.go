package xmpp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/bench"
)

// Figure is one measured value.
type Figure struct {
	Row    string  `json:"row"`
	Unit   string  `json:"unit"`
	Value  float64 `json:"value"`
	Higher bool    `json:"higher_is_better"`
	Heap   string  `json:"heap"` // fresh: just started; aged: churned and full of idle sessions; found: started by others

	Work int64         `json:"work,omitempty"` // what was counted, e.g. deliveries
	User time.Duration `json:"user_ns,omitempty"`
	Sys  time.Duration `json:"sys_ns,omitempty"`
	Wall time.Duration `json:"wall_ns,omitempty"`
	Lost int64         `json:"lost"` // what was sent and never came
}

// bout is one workload on one server in one round.
type bout struct {
	ctx  context.Context
	o    *Options
	srv  *bench.Server
	heap string

	clients []*client // in use
	made    int       // sessions made so far: the next one is of the next account
	figures []Figure

	once   sync.Once
	failed chan struct{} // closed at the first fault
	fault  error
}

func newBout(ctx context.Context, o *Options, srv *bench.Server) *bout {
	b := &bout{ctx: ctx, o: o, srv: srv, heap: "found", failed: make(chan struct{})}
	if srv.Owned() {
		b.heap = "fresh"
	}
	return b
}

// fail ends the bout. Any goroutine may call it.
func (b *bout) fail(err error) {
	b.once.Do(func() { b.fault = err; close(b.failed) })
}

// sleep waits, and no longer than the bout goes well.
func (b *bout) sleep(d time.Duration) error {
	select {
	case <-b.failed:
		return b.fault
	case <-b.ctx.Done():
		return b.ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// until waits for the condition, which it asks for every few milliseconds; false is that it did not come about in time.
func (b *bout) until(limit time.Duration, cond func() bool) (bool, error) {
	for deadline := time.Now().Add(limit); !cond(); {
		if time.Now().After(deadline) {
			return false, nil
		}
		if err := b.sleep(5 * time.Millisecond); err != nil {
			return false, err
		}
	}
	return true, nil
}

// common is a mechanism that every server has.
const common = "SCRAM-SHA-1"

// manner is how a session is made.
type manner int

const (
	plain     manner = iota
	overTLS          // over TLS
	resumable        // plain, and the client may come back (XEP-0198 §5)
)

// sessions logs n sessions in. They are closed with the bout.
func (b *bout) sessions(n int, as manner) ([]*client, error) {
	const atOnce = 16
	out := make([]*client, n)
	base := b.made
	b.made += n
	var next atomic.Int64
	var group sync.WaitGroup
	var mu sync.Mutex
	var first error
	for range min(atOnce, n) {
		group.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				c, err := login(b.ctx, b.srv, base+i, as == overTLS, common)
				if err == nil && as == resumable {
					if err = c.enable(); err != nil {
						c.close()
					}
				}
				if err != nil {
					next.Add(int64(n)) // the others stop
					mu.Lock()
					first = errors.Join(first, err)
					mu.Unlock()
					return
				}
				out[i] = c
			}
		})
	}
	group.Wait()
	for _, c := range out {
		if c != nil {
			b.clients = append(b.clients, c)
		}
	}
	if first != nil {
		return nil, first
	}
	return out, nil
}

// attend sets who is told what comes to the client, and starts its goroutine if it has none.
func (b *bout) attend(c *client, h *handler) {
	if c.on.Load() != nil {
		c.handle(h)
	} else {
		c.listen(h, b.fail)
	}
}

// drop closes sessions and waits until their goroutines are gone.
func (b *bout) drop(clients []*client) {
	var group sync.WaitGroup
	limit := make(chan struct{}, 64)
	for _, c := range clients {
		limit <- struct{}{}
		group.Go(func() { c.close(); <-limit })
	}
	group.Wait()
	for _, c := range clients {
		if c.on.Load() != nil {
			<-c.over
		}
	}
}

func (b *bout) close() {
	b.drop(b.clients)
	b.clients = nil
}

// span is what the server used while something was counted.
type span struct {
	work int64
	cpu  bench.CPU
	wall time.Duration
}

// spend measures the server while f runs.
func (b *bout) spend(f func() error) (span, error) {
	before, err := bench.ReadCPU(b.srv.PID)
	if err != nil {
		return span{}, err
	}
	start := time.Now()
	if err := f(); err != nil {
		return span{}, err
	}
	wall := time.Since(start)
	after, err := bench.ReadCPU(b.srv.PID)
	return span{0, after.Sub(before), wall}, err
}

// steady measures a load that is running already: after the warm-up, for the duration, or longer where nothing has
// arrived by then, as on a machine that is busy with other things.
func (b *bout) steady(count func() int64) (span, error) {
	if err := b.sleep(b.o.Warm); err != nil {
		return span{}, err
	}
	start := count()
	s, err := b.spend(func() error {
		if err := b.sleep(b.o.Duration); err != nil {
			return err
		}
		_, err := b.until(b.o.Patience, func() bool { return count() > start })
		return err
	})
	s.work = count() - start
	if err == nil && s.work == 0 {
		err = errors.New("nothing arrived while it was measured")
	}
	return s, err
}

// perSecond notes a rate per second of the server's processor time.
func (b *bout) perSecond(row, unit string, s span, lost int64) {
	f := b.of(row, unit+"/CPU-s", s)
	f.Higher, f.Lost = true, lost
	// The clock of /proc ticks at 10 ms; a server that used less than a tick is counted as one.
	f.Value = float64(s.work) / max(s.cpu.Total(), 10*time.Millisecond).Seconds()
	b.figures = append(b.figures, f)
}

// perUnit notes the server's processor time in milliseconds per piece of work.
func (b *bout) perUnit(row string, s span, lost int64) {
	f := b.of(row, "CPU ms", s)
	f.Lost = lost
	f.Value = milliseconds(s.cpu.Total()) / float64(max(s.work, 1))
	b.figures = append(b.figures, f)
}

// value notes what is no share of processor time.
func (b *bout) value(row, unit string, v float64) {
	f := b.of(row, unit, span{})
	f.Value = v
	b.figures = append(b.figures, f)
}

func (b *bout) of(row, unit string, s span) Figure {
	return Figure{Row: row, Unit: unit, Heap: b.heap, Work: s.work, User: s.cpu.User, Sys: s.cpu.Sys, Wall: s.wall}
}

// settled waits until nothing is missing any more, and returns how much has not come. It gives up when nothing came for a
// while in which the server did not work either, for some work long before they send anything, and on a busy machine
// longer; or when nothing came for six times that long.
func (b *bout) settled(missing func() int64) (int64, error) {
	left, silence := missing(), 0
	for left > 0 {
		s, err := b.spend(func() error {
			_, err := b.until(b.o.Patience, func() bool { return missing() < left })
			return err
		})
		now := missing()
		if err != nil {
			return now, err
		}
		if silence++; now < left {
			silence = 0
		} else if s.cpu.Total() < b.o.Patience/200 || silence == 6 {
			return now, nil
		}
		left = now
	}
	return 0, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func wrong(c *client, el *element) error {
	return fmt.Errorf("%s got what it did not expect: %.300q", c.jid, el.raw)
}
