package bridge

import (
	"time"

	"parley/bridge/udp"
)

const (
	stored      = 1024                    // packets kept of a stream, a power of two
	storedBytes = 2 << 20                 // and bytes of them
	storedFor   = 1500 * time.Millisecond // and how long: a retransmission later than that does not help
)

// store keeps the newest packets of one incoming stream, for all its receivers: for retransmission, and for those that begin
// at the last key frame. It holds a reference to each. Its stream's mutex guards it.
type store struct {
	ring   []kept // by extended sequence number
	bytes  int
	oldest int64 // first that may be there
	next   int64 // after the newest
	key    int64 // where the last key frame begins; meaningful with hasKey
	hasKey bool
}

type kept struct {
	seq    int64
	buffer *udp.Buffer // nil: none
	at     time.Time
}

// put takes a reference to a packet.
func (s *store) put(seq int64, buffer *udp.Buffer, at time.Time) {
	switch {
	case s.ring == nil:
		s.ring = make([]kept, stored)
		s.oldest, s.next = seq, seq
	case seq >= s.next+stored || s.oldest == s.next:
		s.clear()
		s.oldest, s.next = seq, seq
	case seq < s.oldest:
		return
	}
	for s.next <= seq {
		if s.next-s.oldest == stored {
			s.drop()
		}
		s.next++
	}
	k := &s.ring[seq&(stored-1)]
	if k.buffer != nil {
		return
	}
	buffer.Retain()
	*k = kept{seq, buffer, at}
	for s.bytes += len(buffer.Bytes); s.bytes > storedBytes && s.oldest < seq; {
		s.drop()
	}
}

// get finds a packet by its sequence number. The reference is the store's.
func (s *store) get(seq uint16) *udp.Buffer {
	if s.oldest == s.next {
		return nil
	}
	return s.at(s.next - 1 - int64(uint16(s.next-1)-seq))
}

// at finds a packet by its extended sequence number.
func (s *store) at(seq int64) *udp.Buffer {
	if seq < s.oldest || seq >= s.next {
		return nil
	}
	return s.ring[seq&(stored-1)].buffer
}

// begin says that a key frame begins with a packet.
func (s *store) begin(seq int64) {
	if !s.hasKey || seq > s.key {
		s.key, s.hasKey = seq, true
	}
}

// expire drops what is older than storedFor.
func (s *store) expire(now time.Time) {
	for s.oldest < s.next {
		if k := &s.ring[s.oldest&(stored-1)]; k.buffer != nil && now.Sub(k.at) < storedFor {
			return
		}
		s.drop()
	}
}

// drop forgets the oldest.
func (s *store) drop() {
	k := &s.ring[s.oldest&(stored-1)]
	if k.buffer != nil {
		s.bytes -= len(k.buffer.Bytes)
		k.buffer.Release()
		*k = kept{}
	}
	s.oldest++
}

func (s *store) clear() {
	for s.oldest < s.next {
		s.drop()
	}
	s.hasKey = false
}
