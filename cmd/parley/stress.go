package main

import (
	"context"
	"math"
	"runtime"
	"sync/atomic"
	"time"

	"parley/bridge/api"
)

const (
	stressEvery = 2 * time.Second

	// processorPackets is what a processor is taken to do, received and sent packets together: somewhat more than half of
	// what it forwards in a benchmark, since it has more to do than that.
	processorPackets = 100_000 // a second
)

// gauge is a float that one goroutine writes and others read.
type gauge struct{ bits atomic.Uint64 }

func (g *gauge) set(v float64) { g.bits.Store(math.Float64bits(v)) }
func (g *gauge) get() float64  { return math.Float64frombits(g.bits.Load()) }

// tellStress tells the focus how much the bridge does until ctx ends.
func (c *carrier) tellStress(ctx context.Context) error {
	if c.port == nil {
		<-ctx.Done()
		return nil
	}
	capacity := float64(c.setup.Capacity)
	if capacity == 0 {
		capacity = float64(processorPackets * runtime.GOMAXPROCS(0))
	}
	tick := time.NewTicker(stressEvery)
	defer tick.Stop()
	last, at := c.port.Stats(), time.Now()
	c.legs.tell(api.Event{Stress: &api.Stress{}}) // what there is at the beginning
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			s, took := c.port.Stats(), now.Sub(at).Seconds()
			in, out := float64(s.Received-last.Received)/took, float64(s.Packets-last.Packets)/took
			last, at = s, now
			c.stress.set((in + out) / capacity)
			c.legs.tell(api.Event{Stress: &api.Stress{Stress: (in + out) / capacity, Endpoints: c.legs.count(), PacketsIn: in}})
		}
	}
}
