package s2s

import (
	"parley/internal/ring"
	"parley/xmpp/wire"
)

// entry is a stanza on its way to another server.
type entry struct {
	o     *outbound
	to    wire.Addr
	tail  []byte
	kind  wire.Kind
	again bool // it was written to a stream that was lost
}

// queue holds the stanzas of one stream in order: first those that were written and are not acknowledged, then those that
// were not written.
type queue struct {
	ring.Ring[entry]
	sent  int // how many were written
	bytes int
}

// leastRing and keptRing are how many entries a queue begins with, and keeps the memory of when it is empty.
const (
	leastRing = 16
	keptRing  = 256
)

func (q *queue) push(e entry) {
	q.bytes += len(e.tail)
	q.Push(e, leastRing)
}

// pop forgets the first n entries.
func (q *queue) pop(n int) {
	for range n {
		q.bytes -= len(q.At(0).tail)
		q.Pop()
	}
	q.sent = max(q.sent-n, 0)
	q.Rest(keptRing)
}

// drain empties the queue. The first sent of the list were written.
func (q *queue) drain() (list []entry, sent int) {
	for i := range q.Len() {
		list = append(list, *q.At(i))
	}
	sent = q.sent
	*q = queue{}
	return list, sent
}
