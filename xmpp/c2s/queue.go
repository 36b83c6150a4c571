package c2s

import (
	"bytes"

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
	ring  []entry // the length is a power of two, or 0
	head  int
	len   int
	sent  int // how many were written
	bytes int
}

func (q *queue) at(i int) *entry { return &q.ring[(q.head+i)&(len(q.ring)-1)] }

func (q *queue) push(e entry) {
	if q.len == len(q.ring) {
		ring := make([]entry, max(4, 2*len(q.ring)))
		for i := range q.len {
			ring[i] = *q.at(i)
		}
		q.ring, q.head = ring, 0
	}
	q.len++
	q.bytes += len(e.tail)
	*q.at(q.len - 1) = e
}

// pop forgets the first n entries.
func (q *queue) pop(n int) {
	for range n {
		e := q.at(0)
		q.bytes -= len(e.tail)
		*e = entry{}
		q.head = (q.head + 1) & (len(q.ring) - 1)
		q.len--
	}
	q.sent = max(q.sent-n, 0)
	if q.len == 0 && len(q.ring) > keptRing {
		q.ring, q.head = nil, 0
	}
}

// keptRing is how many entries an empty queue keeps the memory of, for the next burst; rest takes that too.
const keptRing = 32

// rest gives up the memory of an empty queue.
func (q *queue) rest() {
	if q.len == 0 {
		q.ring, q.head = nil, 0
	}
}

// coalesce drops, among what was not written, each presence that a later one of the same sender replaces. It reports
// that there was one.
func (q *queue) coalesce() bool {
	latest := make(map[string]bool)
	keep := q.len
	for i := q.len - 1; i >= q.sent; i-- {
		e := q.at(i)
		if e.kind == wire.Presence {
			from := string(senderOf(e.tail))
			if latest[from] {
				q.bytes -= len(e.tail)
				continue
			}
			latest[from] = true
		}
		keep--
		*q.at(keep) = *e
	}
	// What stays is now at keep..len; move it up to the written ones.
	dropped := keep - q.sent
	if dropped == 0 {
		return false
	}
	for i := keep; i < q.len; i++ {
		*q.at(i - dropped) = *q.at(i)
	}
	for i := q.len - dropped; i < q.len; i++ {
		*q.at(i) = entry{}
	}
	q.len -= dropped
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
