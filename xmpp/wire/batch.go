package wire

// Flusher holds stanzas that wait to be written.
type Flusher interface {
	// Flush writes what waits, as far as that goes without waiting.
	Flush()
}

// Batch collects who has something to write while a number of packets is worked off, so that each of them is written to
// once at the end and not once a packet. A Batch belongs to one goroutine; a nil Batch collects nothing and the
// receiver flushes by itself.
type Batch struct{ waiting []Flusher }

// Add notes a receiver. A receiver adds itself when it goes from nothing waiting to something waiting.
func (b *Batch) Add(f Flusher) { b.waiting = append(b.waiting, f) }

// Flush writes to all that were noted and forgets them.
func (b *Batch) Flush() {
	for i, f := range b.waiting {
		f.Flush()
		b.waiting[i] = nil
	}
	b.waiting = b.waiting[:0]
}
