package jitsipeer

import (
	"fmt"
	"slices"
	"time"
)

// received is a source as a decoder sees it.
type received struct {
	stats   Stats
	series  series
	sound   *playout // of audio; nil before there was any
	screen  screen
	video   bool
	keyless bool        // nothing can be shown before a key frame
	asked   time.Time   // for a key frame
	keyed   time.Time   // when a packet of one came that was no retransmission
	keySent int64       // when that one was taken
	pending []*assembly // frames that are not decoded yet, in the order of their first packets
	free    []*assembly
	done    [4]doneFrames // by stream
	highest [4]uint32
	height  int   // of the unit that is being decoded
	unit    int64 // its time
}

// assembly is a frame that is being put together.
type assembly struct {
	stamp
	since    time.Time
	complete time.Time
	repaired bool      // a packet was a retransmission
	got      [8]uint64 // bits of the packets
	n        uint16
}

// doneFrames remembers which frames were decoded.
type doneFrames struct {
	ring [256]uint32
}

func (d *doneFrames) add(frame uint32)      { d.ring[frame%256] = frame }
func (d *doneFrames) has(frame uint32) bool { return d.ring[frame%256] == frame && frame != 0 }

const assembliesMost = 256

// restart begins a new session: nothing of before can be referred to.
func (s *received) restart() {
	s.pending = s.pending[:0]
	s.done = [4]doneFrames{}
	s.highest = [4]uint32{}
	s.keyless = true
}

func (s *received) fault(format string, args ...any) {
	s.stats.Faults++
	s.stats.Fault = fmt.Sprintf(format, args...)
}

// take takes a packet, which is a retransmission or is not.
func (s *received) take(st *stamp, at time.Time, repaired bool) {
	if st.stream > 3 || int(st.count) > 64*len(assembly{}.got) {
		return
	}
	// Packets are counted by gaps, and taken back when they come late.
	if high := s.highest[st.stream]; high == 0 || int32(st.packet-high) > 0 {
		if gap := st.packet - high - 1; high != 0 {
			s.stats.Missing += uint64(gap)
		}
		s.highest[st.stream] = st.packet
	} else if s.stats.Missing > 0 {
		s.stats.Missing--
	}
	s.video = s.video || st.height > 0
	if !s.video {
		s.shown(st, at, at, false)
		return
	}
	if !repaired && (st.key || st.sent == s.keySent) {
		s.keyed, s.keySent = at, st.sent
	}
	if s.done[st.stream].has(st.frame) {
		return
	}
	at0 := slices.IndexFunc(s.pending, func(a *assembly) bool { return a.frame == st.frame && a.stream == st.stream })
	var a *assembly
	if at0 >= 0 {
		a = s.pending[at0]
	} else {
		if n := len(s.free); n > 0 {
			a, s.free = s.free[n-1], s.free[:n-1]
		} else {
			a = new(assembly)
		}
		*a = assembly{stamp: *st, since: at}
		a.name = nil
		if len(s.pending) == assembliesMost {
			s.giveUp(0)
		}
		s.pending = append(s.pending, a)
	}
	a.repaired = a.repaired || repaired
	if bit := uint64(1) << (st.index % 64); a.got[st.index/64]&bit == 0 {
		a.got[st.index/64] |= bit
		a.n++
	}
	if a.n == a.count {
		if a.complete.IsZero() {
			a.complete = at
		}
		s.decode(at)
	}
}

// decode decodes what can be.
func (s *received) decode(at time.Time) {
	for again := true; again; {
		again = false
		for i := 0; i < len(s.pending); i++ {
			a := s.pending[i]
			if a.n != a.count || !s.decodable(a) {
				continue
			}
			s.pending = slices.Delete(s.pending, i, i+1)
			s.free = append(s.free, a)
			s.done[a.stream].add(a.frame)
			s.shown(&a.stamp, a.complete, at, a.repaired)
			again = true
			i--
		}
	}
}

func (s *received) decodable(a *assembly) bool {
	for _, r := range a.references[:a.refs] {
		if !s.done[a.stream].has(r) {
			return false
		}
	}
	return a.refs > 0 || a.key
}

// shown counts a frame that was decoded.
func (s *received) shown(st *stamp, complete, at time.Time, repaired bool) {
	n := &s.stats
	n.Frames++
	if st.key && st.height > 0 {
		n.KeyFrames++
	}
	if st.sent != s.unit {
		s.unit, s.height = st.sent, 0
	}
	if s.height = max(s.height, st.height); s.height > 0 {
		n.Height = s.height
	}
	if n.Decoded.IsZero() {
		n.Decoded = at
	}
	if !n.Last.IsZero() {
		n.Gap = max(n.Gap, at.Sub(n.Last))
	}
	n.Last = at
	s.keyless = false
	if st.height > 0 {
		before := s.screen.count.Frames
		s.screen.show(st.sent, complete, at, repaired)
		second := s.series.at(at)
		second.Frames += uint32(s.screen.count.Frames - before)
		second.Height = max(second.Height, uint32(s.height))
	}
}

// stuck says that a decoder would ask for a key frame now: it needs one and none is on its way, or frames come and nothing can
// be decoded.
func (s *received) stuck(now time.Time) bool {
	if !s.video || len(s.pending) == 0 {
		return false
	}
	if now.Sub(s.keyed) < keyless {
		return false
	}
	if s.keyless {
		if now.Sub(s.pending[0].since) < keyless || now.Sub(s.asked) < keyless {
			return false
		}
	} else if now.Sub(s.stats.Last) < stall || now.Sub(s.pending[0].since) < keyless {
		return false
	}
	s.asked, s.keyless = now, true
	return true
}

// How long Chromium's receiver waits for a key frame, also after the newest packet of one, and for anything that it can show.
const (
	keyless = 200 * time.Millisecond
	stall   = 3 * time.Second
)

// expire gives up frames that waited too long.
func (s *received) expire(now time.Time) {
	for len(s.pending) > 0 && now.Sub(s.pending[0].since) > patience {
		s.giveUp(0)
	}
}

func (s *received) giveUp(i int) {
	if a := s.pending[i]; a.n == a.count {
		s.stats.Broken++
	} else {
		s.stats.Incomplete++
	}
	s.free = append(s.free, s.pending[i])
	s.pending = slices.Delete(s.pending, i, i+1)
}
