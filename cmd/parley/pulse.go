package main

import (
	"context"
	"sync/atomic"
	"time"
)

// pulse knows when the locks that every stanza passes could last be had. A server that hangs there serves nobody.
type pulse struct {
	last atomic.Pointer[time.Time] // nil: nobody has asked yet
}

const (
	pulseEvery = time.Second
	pulseMost  = 15 * time.Second // without one nothing is served
)

// run feels it until ctx ends: turns returns when the locks could be had.
func (p *pulse) run(ctx context.Context, turns func()) {
	tick := time.NewTicker(pulseEvery)
	defer tick.Stop()
	for {
		turns()
		now := time.Now()
		p.last.Store(&now)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// still reports that there has been none for too long.
func (p *pulse) still(now time.Time) bool {
	last := p.last.Load()
	return last != nil && now.Sub(*last) > pulseMost
}
