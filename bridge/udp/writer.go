package udp

import (
	"net/netip"
	"sync"
	"time"
)

// Writer collects datagrams for one receiver, in one way for UDP and TCP. It is safe for concurrent use.
//
// Between Reserve and Commit the caller holds the writer: nobody else commits, and nothing leaves. What has to be in the
// order of sending, such as the transport-wide sequence number and the state of SRTP, is therefore advanced there, and
// nothing that waits is done there.
type Writer struct {
	path path
	to   netip.AddrPort

	// mu guards the rest. It is held from Reserve to Commit, by the caller, and while the datagrams are handed to the
	// kernel, which takes them or does not but never waits.
	mu     sync.Mutex
	w      *waiting // nil: nothing waits
	room   int      // bytes reserved
	since  time.Time
	ripe   bool   // a frame is complete
	listed *Batch // the batch that will come back to this writer
	delay  time.Duration
	closed bool
}

// path is a way to a receiver.
type path interface {
	// send sends or drops what waits, and keeps nothing of it. It does not block.
	send(w *waiting)
}

// To returns the address of the receiver.
func (w *Writer) To() netip.AddrPort { return w.to }

// SetDelay sets how long a datagram may wait for others: 0, which is the first setting, for no longer than until the
// reader has handled what had arrived; about a millisecond for most receivers, and no more than five, for those that get
// many sources of a few packets each.
func (w *Writer) SetDelay(d time.Duration) {
	w.mu.Lock()
	w.delay = min(max(d, 0), longest)
	w.mu.Unlock()
}

// Reserve returns n bytes for a datagram, to be filled in before Commit, which must follow. They hold what was in them
// before. It returns nil, and Commit must not follow, if the writer is closed or n is none or too many (65,000).
func (w *Writer) Reserve(n int) []byte {
	if n <= 0 || n > largest {
		return nil
	}
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	if w.w != nil && (w.w.n == most || w.w.used+n > len(w.w.bytes)) {
		w.flush()
	}
	if w.w == nil {
		w.w = memory.Get().(*waiting)
	}
	w.room = n
	return w.w.bytes[w.w.used:][:n:n]
}

// Commit makes the first n reserved bytes a datagram; 0 makes none. Datagrams of one stream (for RTP, the SSRC) leave in
// the order of Commit; those of different streams may pass one another if they leave together. With end, the datagram
// completes what the receiver can use (the RTP marker of the last source), and does not wait for what has not arrived.
func (w *Writer) Commit(b *Batch, n int, stream uint32, end bool) {
	defer w.mu.Unlock()
	q := w.w
	if n < 0 || n > w.room {
		panic("udp: commit of what was not reserved")
	}
	w.room = 0
	if n == 0 {
		if q.n == 0 {
			w.w = nil
			q.free()
		}
		return
	}
	if q.n == 0 {
		w.since = b.Now
	}
	q.sizes[q.n], q.starts[q.n], q.streams[q.n] = uint16(n), uint16(q.used), stream
	q.n++
	q.used += n
	if end {
		w.ripe = true
	}
	// The batch that has the writer on its list comes back in time, except that it knows nothing of what has just become
	// ripe if it is another's.
	if w.listed == nil {
		w.listed = b
		b.list = append(b.list, w)
	} else if w.listed != b && (w.ripe || !b.returns) {
		b.list = append(b.list, w)
	}
}

// Write commits a copy of packet. It reports false if the writer is closed or the packet too large.
func (w *Writer) Write(b *Batch, packet []byte, stream uint32, end bool) bool {
	p := w.Reserve(len(packet))
	if p == nil {
		return false
	}
	w.Commit(b, copy(p, packet), stream, end)
	return true
}

// Close drops what waits, and everything later.
func (w *Writer) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.w != nil {
		w.w.free()
		w.w = nil
	}
}

// flush sends what waits. Called with mu held.
func (w *Writer) flush() {
	q := w.w
	w.w, w.ripe = nil, false
	w.path.send(q)
	q.free()
}

// settle sends what is due at now and reports when the writer has to be looked at again; the zero time is never. Drained
// says that everything that has arrived was handled.
func (w *Writer) settle(b *Batch, now time.Time, drained bool) (next time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.w != nil {
		due := w.since.Add(w.delay)
		if w.ripe || w.delay <= 0 {
			due = w.since.Add(overload)
			if drained {
				due = now
			}
		}
		if due.After(now) && b.returns {
			if w.listed == b || w.ripe {
				return due
			}
			return time.Time{} // the other batch comes back
		}
		w.flush()
	}
	if w.listed == b {
		w.listed = nil
	}
	return time.Time{}
}
