package udp

import "time"

const (
	longest  = 5 * time.Millisecond // of a writer's delay
	overload = time.Millisecond     // complete frames wait no longer while a reader is given more without an end
)

// Batch is the list of writers that one goroutine has touched. A reader makes its own, hands it to its Handler and settles
// it after each round of reading. Any other goroutine makes one with NewBatch, sets Now, commits, and calls Done. A Batch
// is not safe for concurrent use.
type Batch struct {
	Now     time.Time // when this round began, with a monotonic reading
	returns bool      // a reader's: comes back when a writer is due
	list    []*Writer
}

// NewBatch returns an empty batch for a goroutine that is no reader.
func NewBatch(now time.Time) *Batch { return &Batch{Now: now} }

// Done sends everything that waits in the writers that were touched since the last call, each in one go. A handler does
// not call it.
func (b *Batch) Done() {
	if !b.returns {
		b.settle(true)
	}
}

// settle sends what is due and returns when the next is; the zero time is never.
func (b *Batch) settle(drained bool) (next time.Time) {
	kept := 0
	for _, w := range b.list {
		due := w.settle(b, b.Now, drained)
		if due.IsZero() {
			continue
		}
		b.list[kept] = w
		kept++
		if next.IsZero() || due.Before(next) {
			next = due
		}
	}
	clear(b.list[kept:])
	b.list = b.list[:kept]
	return next
}
