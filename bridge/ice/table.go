package ice

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/limit"
)

// table maps the addresses that are proven to their agents. A reader takes no lock: each shard is a map that never changes
// once it is published, and a writer publishes a copy. A shard is small, so the copy is too.
type table struct {
	shards [256]struct {
		now atomic.Pointer[map[netip.AddrPort]*Agent]
		mu  sync.Mutex // held to replace now
	}
}

// shard picks by port and the last bits of the address: many peers share an address (NAT) or a port (tests, servers).
func shard(a netip.AddrPort) uint8 {
	b := a.Addr().As16()
	return uint8(a.Port()) ^ uint8(a.Port()>>8)*31 ^ b[15]*17
}

// get returns the agent of an address, or nil.
func (t *table) get(a netip.AddrPort) *Agent {
	if m := t.shards[shard(a)].now.Load(); m != nil {
		return (*m)[a]
	}
	return nil
}

// put makes the address the agent's; the last one to prove it has it.
func (t *table) put(a netip.AddrPort, agent *Agent) {
	t.change(a, func(m map[netip.AddrPort]*Agent) { m[a] = agent })
}

// drop forgets the address if it is the agent's.
func (t *table) drop(a netip.AddrPort, agent *Agent) {
	t.change(a, func(m map[netip.AddrPort]*Agent) {
		if m[a] == agent {
			delete(m, a)
		}
	})
}

func (t *table) change(a netip.AddrPort, edit func(map[netip.AddrPort]*Agent)) {
	s := &t.shards[shard(a)]
	s.mu.Lock()
	defer s.mu.Unlock()
	next := make(map[netip.AddrPort]*Agent)
	if m := s.now.Load(); m != nil {
		for k, v := range *m {
			next[k] = v
		}
	}
	edit(next)
	s.now.Store(&next)
}

// size counts the addresses.
func (t *table) size() (n int) {
	for i := range t.shards {
		if m := t.shards[i].now.Load(); m != nil {
			n += len(*m)
		}
	}
	return n
}

// budget meters requests by source (an IPv4 address or an IPv6 /64). It is a fixed number of buckets that sources share
// by hash, so that a flood of made-up sources costs neither memory nor time; the seed is secret, so that nobody can aim.
type budget struct {
	seed    maphash.Seed
	mu      sync.Mutex // guards buckets
	buckets [4096]limit.Bucket
}

func newBudget(rate limit.Rate) *budget {
	b := &budget{seed: maphash.MakeSeed()}
	for i := range b.buckets {
		b.buckets[i] = limit.NewBucket(rate)
	}
	return b
}

// allow takes one request of the address.
func (b *budget) allow(a netip.Addr, now time.Time) bool {
	source := limit.Source(a).As16()
	i := maphash.Bytes(b.seed, source[:]) % uint64(len(b.buckets))
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buckets[i].Allow(now, 1)
}
