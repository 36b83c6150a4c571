package bridge

import (
	"parley/bridge/rtp/codec"
	"parley/bridge/udp"
)

const (
	replayMost = 256 // packets since the key frame: what is further back costs more than another key frame

	// replayTick is how many bytes one receiver gets in one tick (16 Mbit/s): a burst would be lost on its way.
	replayTick = 40 << 10
)

// replay sends what is kept of a stream since its last key frame to a slot that waits for one, so that no other has to be
// asked for (a late joiner, a new mapping): the key frame and what depends on it, over a few ticks. Meanwhile live packets
// wait in the store.
type replay struct {
	stream     *stream
	id         uint32
	at         int64 // the next packet
	dependency codec.DependencySource
	sizes      codec.VP9Source
	timestamp  uint32
	started    bool
}

// newReplay returns nil when there is nothing to begin with.
func newReplay(st *stream) *replay {
	st.mu.Lock()
	defer st.mu.Unlock()
	k := &st.store
	if st.closed || !k.hasKey || k.next-k.key > replayMost || k.at(k.key) == nil {
		return nil
	}
	return &replay{stream: st, id: st.kept, at: k.key}
}

// next returns the next packet with a reference, nil for one that is missing; more is false after the newest, ok when the
// stream began anew.
func (r *replay) next() (buffer *udp.Buffer, more, ok bool) {
	st := r.stream
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.kept != r.id || st.closed || r.at < st.store.oldest {
		return nil, false, false
	}
	if r.at >= st.store.next {
		return nil, false, true
	}
	if buffer = st.store.at(r.at); buffer != nil {
		buffer.Retain()
	}
	r.at++
	return buffer, true, true
}

// resume goes on with the replay of a slot that waits, or begins one. It answers false when a key frame must be asked for.
// What it sends it takes from room, in bytes; without room the replay waits. The caller holds egress.mu of the receiver.
func (s *slot) resume(b *udp.Batch, leg Leg, d *dialect, room *int) bool {
	if s.replay == nil {
		if s.replay = newReplay(s.source.streams[s.want.stream]); s.replay == nil {
			return false
		}
	}
	r, p := s.replay, &s.receiver.out.again
	from := s.source.owner.dialect.Load()
	for *room > 0 {
		buffer, more, ok := r.next()
		if !ok {
			s.stop()
			return false
		}
		if !more {
			s.replay = nil
			return s.current != nil
		}
		if buffer == nil {
			continue
		}
		*room -= len(buffer.Bytes)
		if p.Parse(buffer.Bytes) == nil {
			p.stream, p.id, p.seq, p.newest, p.at = r.stream, r.id, r.at-1, true, b.Now
			p.from, p.payload = from.rewrite.IDs, p.PayloadType()
			p.kind, p.clock = from.kinds[p.payload], from.clock[p.payload]
			p.describe(&r.dependency, &r.sizes, !r.started || p.Timestamp() != r.timestamp)
			r.timestamp, r.started = p.Timestamp(), true
			s.take(b, leg, d, p)
		}
		buffer.Release()
		if s.current == nil {
			s.stop()
			return false
		}
	}
	return true
}
