// Package limit holds budgets: buckets that refill with time, and per-source counts of connections and attempts. A
// source is an IPv4 address or an IPv6 /64 network. Nothing here starts a goroutine or reads a clock: callers pass the
// time, and memory is bounded whatever the number of sources.
package limit

import (
	"net/netip"
	"sync"
	"time"
)

// Rate is a number of units per second with a burst. The zero Rate is no limit.
type Rate struct {
	PerSecond float64 `help:"units per second"`
	Burst     float64 `help:"units at once"`
}

// Bucket meters one peer. It is not safe for concurrent use.
type Bucket struct {
	rate Rate
	have float64
	last time.Time
}

// NewBucket returns a full bucket.
func NewBucket(rate Rate) Bucket { return Bucket{rate: rate, have: rate.Burst} }

// Take takes n units, going into debt if need be, and returns how long to wait until the debt is paid; 0 means go on.
func (b *Bucket) Take(now time.Time, n float64) time.Duration {
	if b.rate.PerSecond == 0 {
		return 0
	}
	b.refill(now)
	b.have -= n
	if b.have >= 0 {
		return 0
	}
	return time.Duration(-b.have / b.rate.PerSecond * float64(time.Second))
}

// Allow takes n units if they are there.
func (b *Bucket) Allow(now time.Time, n float64) bool {
	if b.rate.PerSecond == 0 {
		return true
	}
	b.refill(now)
	if b.have < n {
		return false
	}
	b.have -= n
	return true
}

func (b *Bucket) refill(now time.Time) {
	if !b.last.IsZero() {
		b.have = min(b.have+now.Sub(b.last).Seconds()*b.rate.PerSecond, b.rate.Burst)
	}
	b.last = now
}

// full reports that forgetting the bucket changes nothing.
func (b *Bucket) full(now time.Time) bool {
	return b.have+now.Sub(b.last).Seconds()*b.rate.PerSecond >= b.rate.Burst
}

// Source returns what limits count a peer's address as: the IPv4 address, also where it is mapped into IPv6, or the
// IPv6 /64 network.
func Source(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return addr
}

// Sources counts what is open per source and meters attempts per source. It is safe for concurrent use.
type Sources[K comparable] struct {
	open int
	rate Rate
	most int

	mu   sync.Mutex // guards seen
	seen map[K]*source
}

type source struct {
	open   int
	bucket Bucket
}

// NewSources allows each source maxOpen at once (0: any number) and attempts at the given rate, and remembers no more
// than most sources that have nothing open.
func NewSources[K comparable](maxOpen int, rate Rate, most int) *Sources[K] {
	return &Sources[K]{open: maxOpen, rate: rate, most: most, seen: make(map[K]*source)}
}

// Open counts one more for the source, to be given back by Close, and reports that it may be.
func (s *Sources[K]) Open(key K, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entry(key, now)
	if e == nil || !e.bucket.Allow(now, 1) || s.open > 0 && e.open >= s.open {
		return false
	}
	e.open++
	return true
}

// Close gives back one that Open counted.
func (s *Sources[K]) Close(key K) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.seen[key]; e != nil && e.open > 0 {
		e.open--
	}
}

// Allow meters an attempt of weight n without opening anything.
func (s *Sources[K]) Allow(key K, now time.Time, n float64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entry(key, now)
	return e != nil && e.bucket.Allow(now, n)
}

// entry finds or makes the source's entry; nil if too many sources are busy. Called with mu held.
func (s *Sources[K]) entry(key K, now time.Time) *source {
	e := s.seen[key]
	if e != nil {
		return e
	}
	if len(s.seen) >= s.most {
		for k, e := range s.seen {
			if e.open == 0 && e.bucket.full(now) {
				delete(s.seen, k)
			}
		}
		if len(s.seen) >= s.most {
			return nil
		}
	}
	e = &source{bucket: NewBucket(s.rate)}
	s.seen[key] = e
	return e
}
