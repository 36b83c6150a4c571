package sqlstore

import (
	"sync"

	"parley/internal/store"
)

// Bounds of a batch: what is queued beyond them waits for the next one. What messages of many archives share in a large one,
// pages of the indexes foremost, is written once.
const (
	batchChanges = 4096
	batchBytes   = 4 << 20
)

// write waits to be committed: a change to a room, or messages for archives.
type write struct {
	change   store.Change
	appended []store.Appended // not nil: messages, or none, and no change
	done     func(error)
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
func (q *queue) add(c store.Change, done func(error)) { q.push(write{change: c, done: done}) }

// push queues a write.
func (q *queue) push(w write) {
	q.mu.Lock()
	closed := q.closed
	if !closed {
		q.waiting = append(q.waiting, w)
	}
	q.mu.Unlock()
	if closed {
		go w.done(store.ErrClosed) // the caller may hold what done needs
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
		size += q.waiting[n].bytes()
		n++
	}
	batch, q.waiting = q.waiting[:n:n], q.waiting[n:]
	if len(q.waiting) == 0 {
		q.waiting = nil
	}
	return batch, q.closed
}

// bytes returns roughly what a write weighs.
func (w *write) bytes() int {
	n := 0
	for _, a := range w.appended {
		n += len(a.Owner) + len(a.Message.Peer) + len(a.Message.Tail)
	}
	c := &w.change
	if c.Put != nil {
		n += len(c.Put.Config) + len(c.Put.Subject)
	}
	for _, a := range c.Affiliations {
		n += len(a.Addr) + len(a.Nick) + len(a.Reason)
	}
	for _, list := range [][]store.Message{c.Messages, c.Replace} {
		for _, m := range list {
			n += len(m.ID) + len(m.Sender) + len(m.Tail)
		}
	}
	return n
}
