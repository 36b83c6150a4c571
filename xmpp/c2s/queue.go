package c2s

import (
	"bytes"

	"parley/internal/ring"
	"parley/xmpp/wire"
)

// entry is a stanza on its way to the client.
type entry struct {
	tail []byte
	kind wire.Kind
	self bool // the start tag names the session's own address; if not, the tail has the attribute to
}

// queue holds stanzas in order: first those that were written and are not acknowledged (XEP-0198), then those that were
// not written. A tail is shared with other receivers; its bytes count in full, for it is this queue that may be the last
// to hold it.
type queue struct {
	ring.Ring[entry]
	sent  int // how many were written
	bytes int
}

// leastRing and keptRing are how many entries a queue begins with, and keeps the memory of when it is empty, for the next burst;
// rest takes that too.
const (
	leastRing = 4
	keptRing  = 32
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

// rest gives up the memory of an empty queue.
func (q *queue) rest() { q.Rest(0) }

// coalesce drops, among what was not written, each stanza that can wait and that a later one of the same sender replaces.
// It reports that there was one.
func (q *queue) coalesce() bool {
	type origin struct {
		kind wire.Kind
		from string
	}
	latest := make(map[origin]bool)
	keep := q.Len()
	for i := q.Len() - 1; i >= q.sent; i-- {
		e := q.At(i)
		if canWait(e.kind, e.tail) {
			o := origin{e.kind, string(senderOf(e.tail))}
			if latest[o] {
				q.bytes -= len(e.tail)
				continue
			}
			latest[o] = true
		}
		keep--
		*q.At(keep) = *e
	}
	// What stays is now at keep..len; move it up to the written ones.
	dropped := keep - q.sent
	if dropped == 0 {
		return false
	}
	for i := keep; i < q.Len(); i++ {
		*q.At(i - dropped) = *q.At(i)
	}
	q.Cut(q.Len() - dropped)
	return true
}

// senderOf returns the attribute from, which comes first in a tail, as it is written.
func senderOf(tail []byte) []byte {
	const start = " from='"
	if !bytes.HasPrefix(tail, []byte(start)) {
		return tail // a sender of its own
	}
	tail = tail[len(start):]
	if i := bytes.IndexByte(tail, '\''); i >= 0 {
		return tail[:i]
	}
	return tail
}
