package channel

import (
	"slices"
	"sync"
	"time"

	"parley/internal/event"
)

// What waits for one connection. Messages that may be lost get half of it, so that others cannot fill a slow receiver's
// queue to the point where it is closed.
const (
	mostBytes    = 256 << 10
	mostMessages = 1024
)

// outbox is the sending half that both kinds of Conn have: a bounded queue that a goroutine works off, which runs only
// while there is something in it.
type outbox struct {
	write func(text []byte) error    // sends one message; may block
	start func(run func()) bool      // runs run in a goroutine, unless the connection is at its end
	fail  func(code int, why string) // ends the connection; must not block
	lost  func()                     // counts a message that was lost
	left  func(before time.Time)     // all that was put before has left, messages among them that are to be proved; nil: nobody proves

	mu      sync.Mutex // guards what follows
	queue   []waiting
	bytes   int
	running bool
	closed  bool
	unsure  bool // a message has left, or is in the queue, that is to be proved
}

type waiting struct {
	class string
	sort  sort
	text  []byte
}

// put queues a message. A newer state goes to the end of the queue, behind what was said before it, and the older one
// is taken out.
func (o *outbox) put(m Message) {
	w := waiting{m.Class(), m.sort(), encode(m)}
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return
	}
	if w.sort.keep == state {
		if i := slices.IndexFunc(o.queue, func(old waiting) bool { return old.class == w.class && old.sort == w.sort }); i >= 0 {
			o.remove(i)
		}
	}
	bytes, messages := mostBytes, mostMessages
	if w.sort.keep == passing {
		bytes, messages = bytes/2, messages/2
	}
	if o.bytes+len(w.text) > bytes || len(o.queue) >= messages {
		full := w.sort.keep != passing
		if full {
			o.empty()
		}
		o.mu.Unlock()
		o.lost()
		if full {
			o.fail(CloseSlow, "too slow")
		}
		return
	}
	o.queue = append(o.queue, w)
	o.bytes += len(w.text)
	o.unsure = o.unsure || w.sort.prove
	begin := !o.running
	o.running = true
	o.mu.Unlock()
	if begin && !o.start(o.run) {
		o.close()
	}
}

// remove is called with the lock held.
func (o *outbox) remove(i int) {
	o.bytes -= len(o.queue[i].text)
	o.queue = slices.Delete(o.queue, i, i+1)
}

// empty is called with the lock held. Nothing is sent from now on.
func (o *outbox) empty() {
	o.closed, o.queue, o.bytes = true, nil, 0
}

func (o *outbox) close() {
	o.mu.Lock()
	o.empty()
	o.mu.Unlock()
}

func (o *outbox) run() {
	for {
		o.mu.Lock()
		if len(o.queue) == 0 {
			o.running = false
			if cap(o.queue) > 16 {
				o.queue = nil
			}
			unsure, now := o.unsure, time.Now()
			o.unsure = false
			o.mu.Unlock()
			if unsure && o.left != nil {
				o.left(now)
			}
			return
		}
		text := o.queue[0].text
		o.remove(0)
		o.mu.Unlock()
		if err := o.write(text); err != nil {
			o.close()
			o.fail(0, "")
			return
		}
	}
}

// lostTo returns what counts a message that an endpoint lost.
func lostTo(events *event.Recorder, remote, endpoint string) func() {
	return func() { events.Reject(eventSlow, remote, "endpoint", endpoint) }
}
