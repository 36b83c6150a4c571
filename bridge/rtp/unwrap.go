package rtp

// Sequences extends sequence numbers of 16 bits to 64: the nearest to the newest so far is meant. The zero value is ready.
type Sequences struct {
	newest  int64
	started bool
}

// Extend takes the next sequence number in order of arrival. The first is returned as it is; one that comes before it can
// be negative.
func (s *Sequences) Extend(seq uint16) int64 {
	if !s.started {
		s.started, s.newest = true, int64(seq)
		return s.newest
	}
	n := s.newest + int64(int16(seq-uint16(s.newest)))
	s.newest = max(s.newest, n)
	return n
}

// Newest is the largest so far.
func (s *Sequences) Newest() (n int64, ok bool) { return s.newest, s.started }

// Timestamps does for RTP timestamps of 32 bits what Sequences does for sequence numbers.
type Timestamps struct {
	newest  int64
	started bool
}

// Extend takes the next timestamp in order of arrival.
func (t *Timestamps) Extend(ticks uint32) int64 {
	if !t.started {
		t.started, t.newest = true, int64(ticks)
		return t.newest
	}
	n := t.newest + int64(int32(ticks-uint32(t.newest)))
	t.newest = max(t.newest, n)
	return n
}

// Newer says that sequence number a comes after b (RFC 1982 arithmetic; half a cycle apart it is arbitrary but not both).
func Newer(a, b uint16) bool { d := a - b; return d != 0 && (d < 1<<15 || d == 1<<15 && a > b) }
