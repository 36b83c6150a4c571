package udp

import (
	"sync"
	"sync/atomic"
)

// The two sizes of pooled memory: voice and feedback, and everything that fits into a frame of Ethernet.
const (
	small  = 256
	medium = 1536
)

// Pool lends Buffers. The zero Pool is ready; it is safe for concurrent use.
type Pool struct {
	small, medium sync.Pool
	lent          atomic.Int64
}

// Buffer is a packet that several keep, such as the retransmission stores of a source and whoever is about to send it. It
// goes back to its pool when the last one has released it.
type Buffer struct {
	Bytes []byte // its length may be changed by who got it, until it is shared

	refs atomic.Int32
	pool *Pool
	home *sync.Pool // nil: too large to be kept
}

// Get returns a Buffer of n bytes with one reference. The bytes hold what was in them before.
func (p *Pool) Get(n int) *Buffer {
	home, size := &p.small, small
	switch {
	case n > medium:
		home, size = nil, n
	case n > small:
		home, size = &p.medium, medium
	}
	var b *Buffer
	if home != nil {
		b, _ = home.Get().(*Buffer)
	}
	if b == nil {
		b = &Buffer{Bytes: make([]byte, size), pool: p, home: home}
	}
	b.Bytes = b.Bytes[:n]
	b.refs.Store(1)
	p.lent.Add(1)
	return b
}

// Copy returns a Buffer that holds a copy of packet.
func (p *Pool) Copy(packet []byte) *Buffer {
	b := p.Get(len(packet))
	copy(b.Bytes, packet)
	return b
}

// Lent returns how many Buffers have not come back.
func (p *Pool) Lent() int64 { return p.lent.Load() }

// Retain adds a reference. Only who holds one may call it.
func (b *Buffer) Retain() {
	if b.refs.Add(1) < 2 {
		panic("udp: a released buffer is retained")
	}
}

// Release gives a reference back. Who has called it does not touch the bytes again.
func (b *Buffer) Release() {
	switch refs := b.refs.Add(-1); {
	case refs > 0:
		return
	case refs < 0:
		panic("udp: a buffer is released twice")
	}
	b.pool.lent.Add(-1)
	if b.home != nil {
		b.Bytes = b.Bytes[:0]
		b.home.Put(b)
	}
}
