package sqlstore

import (
	"sync"

	"parley/internal/store"
)

// Bounds of a batch: what is queued beyond them waits for the next one.
const (
	batchChanges = 512
	batchBytes   = 4 << 20
)

// write is a change that waits to be committed.
type write struct {
	change store.Change
	done   func(error)
}

// queue holds the changes and runs the goroutine that commits them, batch by batch, in order. While one batch is being
// committed the next one grows: under load a transaction serves many writers.
type queue struct {
	commit func([]write) []error // returns one error, or nil, for each write

	mu      sync.Mutex // guards waiting and closed
	waiting []write
	closed  bool

	wake  chan struct{} // holds a token when there is something to look at
	ended chan struct{}
}

func newQueue(commit func([]write) []error) *queue {
	q := &queue{commit: commit, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go q.run()
	return q
}

// add queues a change.
func (q *queue) add(c store.Change, done func(error)) {
	q.mu.Lock()
	closed := q.closed
	if !closed {
		q.waiting = append(q.waiting, write{c, done})
	}
	q.mu.Unlock()
	if closed {
		go done(store.ErrClosed) // the caller may hold what done needs
		return
	}
	q.nudge()
}

// close lets no more changes in and waits until all that are queued are done with.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.nudge()
	<-q.ended
}

func (q *queue) nudge() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) run() {
	defer close(q.ended)
	for {
		batch, closed := q.take()
		switch {
		case len(batch) > 0:
			for i, err := range q.commit(batch) {
				batch[i].done(err)
			}
			clear(batch) // the array may live on below what is waiting
		case closed:
			return
		default:
			<-q.wake
		}
	}
}

// take takes the next batch off the queue.
func (q *queue) take() (batch []write, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, size := 0, 0
	for n < len(q.waiting) && n < batchChanges && size < batchBytes {
		size += bytes(q.waiting[n].change)
		n++
	}
	batch, q.waiting = q.waiting[:n:n], q.waiting[n:]
	if len(q.waiting) == 0 {
		q.waiting = nil
	}
	return batch, q.closed
}

// bytes returns roughly what a change weighs.
func bytes(c store.Change) int {
	n := 0
	if c.Put != nil {
		n += len(c.Put.Config) + len(c.Put.Subject)
	}
	for _, a := range c.Affiliations {
		n += len(a.Addr) + len(a.Nick) + len(a.Reason)
	}
	for _, m := range c.Messages {
		n += len(m.ID) + len(m.Sender) + len(m.Tail)
	}
	return n
}
