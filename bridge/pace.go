package bridge

import (
	"sync"
	"time"

	"parley/bridge/udp"
)

// paced are the endpoints for which something waits.
type paced struct {
	mu   sync.Mutex // guards list; taken after egress.mu
	list []*Endpoint
	wake chan struct{} // of one
}

// pace has Bridge.Pace come by. The caller holds egress.mu.
func (e *Endpoint) pace() {
	if e.out.pacer.listed {
		return
	}
	e.out.pacer.listed = true
	p := &e.bridge().paced
	p.mu.Lock()
	p.list = append(p.list, e)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Pace lets packets leave that were held, and reports that others still wait: it is to be called again after paceTick.
func (b *Bridge) Pace(batch *udp.Batch) (more bool) {
	p := &b.paced
	p.mu.Lock()
	list := p.list
	p.list = nil
	p.mu.Unlock()
	for _, e := range list {
		more = e.letOut(batch) || more
	}
	return more
}

// letOut does what the rate allows, and reports that something is left.
func (e *Endpoint) letOut(b *udp.Batch) bool {
	leg, d := e.ready()
	o := &e.out
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pacer.listed = false
	if leg == nil || o.closed {
		o.pacer.purge(nil)
		o.pacer.probe.on = false
		return false
	}
	if o.pacer.probe.on {
		o.pacer.probe.tick(b.Now)
	}
	o.release(b, leg)
	if o.pacer.probe.on {
		o.fill(b, leg, d)
	}
	if !o.pacer.waits() {
		return false
	}
	e.pace()
	return true
}

// runPacer calls Pace while something waits, until done is closed.
func (b *Bridge) runPacer(done <-chan struct{}) {
	ticker := time.NewTicker(paceTick)
	defer ticker.Stop()
	batch := udp.NewBatch(time.Now())
	for {
		select {
		case <-done:
			return
		case <-b.paced.wake:
		}
		ticker.Reset(paceTick)
		for more := true; more; {
			select {
			case <-done:
				return
			case now := <-ticker.C:
				batch.Now = now
				more = b.Pace(batch)
				batch.Done()
			}
		}
		ticker.Stop()
	}
}
