package bridge

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"parley/bridge/api"
	"parley/bridge/udp"
	"parley/internal/event"
)

// Period is how often Run lets time pass for the conferences.
const Period = 20 * time.Millisecond

// Leg is the way to one endpoint: its encrypted transport. It is safe for concurrent use.
type Leg interface {
	Reserve(n int) []byte                              // room for a packet of n bytes in the clear; nil: drop it, and no Commit
	Commit(b *udp.Batch, n int, ssrc uint32, end bool) // encrypts in place and queues; n bytes were written, 0 discards
	RTCP(b *udp.Batch, compound []byte)                // encrypts a copy and queues
	Ready() bool                                       // keys exist and a path is selected
}

// Transports opens and closes the transports of endpoints.
type Transports interface {
	// Open is called for a new endpoint and whenever what concerns the transport has changed: session, restart, the
	// client's side. It calls Endpoint.Attach when there is a Leg.
	Open(e *Endpoint, wish api.Endpoint)
	// Close is called when the endpoint is no longer wished.
	Close(e *Endpoint)
}

// Config is what a Bridge works with. The zero Config is usable: nobody opens transports then, and nothing is counted.
type Config struct {
	Transports Transports
	Recorder   *event.Recorder

	// Both may be nil, and are called once a second: Taken by Run, Relayed with the lock of the endpoint's conference held, so that it
	// must not call the bridge.
	Taken   func() Carried                         // the datagrams of the machine's media sockets
	Relayed func(e *Endpoint) (r Relayed, ok bool) // what the relay of this machine did for a client; false if that does not come over it
}

// Bridge holds all conferences. It is safe for concurrent use.
type Bridge struct {
	config   Config
	streams  atomic.Uint32 // numbers given to streams
	tell     atomic.Pointer[func(api.Event)]
	paced    paced
	lateness lateness
	listener listener
	held     udp.Pool      // what waits in pacers
	random   func() uint32 // of all; tests replace it

	applying sync.Mutex // one Apply after the other; held before all other locks

	mu          sync.Mutex // guards conferences; not held while one is changed
	conferences map[string]*Conference
}

// New returns a bridge without conferences.
func New(c Config) *Bridge {
	return &Bridge{config: c, conferences: make(map[string]*Conference), paced: paced{wake: make(chan struct{}, 1)}, listener: newListener(),
		random: rand.Uint32}
}

// Events sets who is told what becomes of conferences. The function must not wait, and must not call the bridge.
func (b *Bridge) Events(f func(api.Event)) { b.tell.Store(&f) }

func (b *Bridge) event(e api.Event) {
	if f := b.tell.Load(); f != nil {
		(*f)(e)
	}
}

// Apply makes a conference what is wished. A version older than the last one, or the same, changes nothing.
func (b *Bridge) Apply(wish api.Conference) {
	b.applying.Lock()
	defer b.applying.Unlock()
	b.mu.Lock()
	c := b.conferences[wish.ID]
	switch {
	case c == nil && len(wish.Endpoints) == 0:
		b.mu.Unlock()
		return
	case c == nil:
		c = newConference(b, wish.ID)
		b.conferences[wish.ID] = c
	}
	b.mu.Unlock()
	if c.apply(wish) {
		b.mu.Lock()
		if b.conferences[wish.ID] == c {
			delete(b.conferences, wish.ID)
		}
		b.mu.Unlock()
	}
}

// Conference returns a conference by its id; nil when there is none.
func (b *Bridge) Conference(id string) *Conference {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.conferences[id]
}

// Endpoint returns an endpoint of a conference; nil when there is none.
func (b *Bridge) Endpoint(conference, id string) *Endpoint {
	if c := b.Conference(conference); c != nil {
		return c.Endpoint(id)
	}
	return nil
}

// Snapshot returns the conferences that there are, with the version of each.
func (b *Bridge) Snapshot() map[string]uint64 {
	versions := make(map[string]uint64)
	for _, c := range b.all() {
		versions[c.ID] = c.Version()
	}
	return versions
}

// Run lets time pass for the conferences until ctx ends.
func (b *Bridge) Run(ctx context.Context) error {
	var beside sync.WaitGroup
	beside.Go(func() { b.runPacer(ctx.Done()) })
	beside.Go(func() { b.listener.run(ctx.Done()) })
	defer beside.Wait()
	ticker := time.NewTicker(Period)
	defer ticker.Stop()
	batch := udp.NewBatch(time.Now())
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			b.tick(time.Now())
			for _, c := range b.all() {
				batch.Now = now
				c.Tick(batch)
				batch.Done()
			}
		}
	}
}

func (b *Bridge) all() []*Conference {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]*Conference, 0, len(b.conferences))
	for _, c := range b.conferences {
		list = append(list, c)
	}
	return list
}
