package bridge

import "time"

// Who speaks is found from the audio levels that clients send with their packets (RFC 6464), in three windows as in Volfin
// and Cohen, "Dominant speaker identification for multipoint videoconferencing" (2012): the present (immediate), the last
// half second (medium) and the last second (long). Somebody else becomes the dominant speaker who is ahead in all three. Time
// is counted in blocks, and a block in which at least half of the packets are loud is speech: a cough of 100 ms fills at
// most two, of which the medium window wants four. Packets that were held up on their way would make a cough last, so the
// medium window wants loud packets of some length by their timestamps too.
const (
	block        = 100 * time.Millisecond
	mediumBlocks = 5
	longBlocks   = 10
	mediumLeast  = 4 // blocks of speech in the medium window to become the dominant speaker
	mediumLoud   = 200 * time.Millisecond
	ring         = 16

	margin     = 10              // dB above the noise that is loud
	quiet      = 40              // and at least this: 127 − 40 dB below the loudest possible
	firstNoise = 25              // what is taken for noise at first
	silentFor  = 3 * time.Second // without speech there is silence
)

// voice are the levels of one endpoint. ingress.mu guards it.
type voice struct {
	blocks [ring]heard
	newest int64
	noise  int // what is heard in the breaks, in dB above −127 dBov; 0: nothing was heard yet
	risen  int64
}

type heard struct {
	packets, loud uint16
	length        time.Duration // of the loud ones
}

const (
	packetLength = 20 * time.Millisecond  // what is usual
	packetMost   = 120 * time.Millisecond // the longest that Opus has (RFC 6716 §2.1.4)
)

// hear takes the level of a packet (minus dBov), which came at a time after the conference's epoch. Its timestamp is step after
// that of the packet before, in ticks of a clock in Hz.
func (v *voice) hear(at time.Duration, level uint8, step, clock uint32) {
	v.pass(at)
	n := v.newest
	loudness := 127 - int(level&127)
	switch {
	case v.noise == 0:
		v.noise, v.risen = firstNoise, n
	case loudness < v.noise:
		v.noise = max(loudness, 1)
	case n-v.risen >= 10: // 1 dB a second: a hum is noise in the end
		v.noise, v.risen = v.noise+1, n
	}
	h := &v.blocks[n%ring]
	h.packets++
	if loudness >= quiet && loudness >= v.noise+margin {
		h.loud++
		length := packetLength
		if clock != 0 {
			if l := time.Duration(step) * time.Second / time.Duration(clock); l > 0 && l <= packetMost {
				length = l
			}
		}
		h.length += length
	}
}

// pass lets time pass.
func (v *voice) pass(at time.Duration) {
	n := int64(at / block)
	for v.newest < n {
		if n-v.newest > ring {
			v.newest = n - ring
		}
		v.newest++
		v.blocks[v.newest%ring] = heard{}
	}
}

// speech is what the windows of an endpoint say: whether its present or last block was speech, and how many blocks of the
// others were.
type speech struct {
	immediate    int
	medium, long int
	loud         time.Duration // in the medium window
	last         time.Duration // when it was heard to speak
}

// speech looks at the blocks before the present one.
func (v *voice) speech(at time.Duration) (s speech) {
	v.pass(at)
	for back := int64(1); back <= longBlocks && back <= v.newest; back++ {
		h := v.blocks[(v.newest-back)%ring]
		if back <= mediumBlocks {
			s.loud += h.length
		}
		if h.loud == 0 || 2*h.loud < h.packets {
			continue
		}
		s.long++
		if back <= mediumBlocks {
			s.medium++
		}
		if back <= 2 {
			s.immediate++
		}
	}
	return s
}

// speaker is who speaks in a conference. Conference.mu guards it.
type speaker struct {
	recent  []string // endpoints, the dominant speaker first
	silence bool
	decided time.Duration
}

const recentMost = 11 // the dominant speaker and ten before

// decide compares the windows, at most once in each block. It answers true when something is to be told.
func (s *speaker) decide(at time.Duration, endpoints []*Endpoint) (changed bool) {
	if at-s.decided < block {
		return false
	}
	s.decided = at
	var dominant, challenger *Endpoint
	spoken := time.Duration(-1)
	for _, e := range endpoints {
		e.in.mu.Lock()
		now := e.in.voice.speech(at)
		e.in.mu.Unlock()
		now.last = e.speech.last
		if now.immediate > 0 && now.medium > 1 {
			now.last = at
		}
		e.speech = now
		if now.last > 0 {
			spoken = max(spoken, now.last)
		}
		if len(s.recent) > 0 && s.recent[0] == e.Member && (dominant == nil || e.speech.louder(dominant.speech)) {
			dominant = e // of several transports of one member that over which it speaks
		}
	}
	for _, e := range endpoints {
		if (dominant == nil || e.Member != dominant.Member) && e.speech.immediate > 0 && e.speech.medium >= mediumLeast && e.speech.loud >= mediumLoud &&
			(challenger == nil || e.speech.louder(challenger.speech)) {
			challenger = e
		}
	}
	if challenger != nil && (dominant == nil || challenger.speech.louder(dominant.speech)) {
		s.move(challenger.Member)
		changed = true
	}
	if silence := len(s.recent) > 0 && (spoken < 0 || at-spoken > silentFor); silence != s.silence {
		s.silence, changed = silence, true
	}
	return changed
}

// louder says that s is ahead of o in all windows, and in one of them truly.
func (s speech) louder(o speech) bool {
	return s.immediate >= o.immediate && s.medium > o.medium && s.long >= o.long
}

// move puts an endpoint before all others.
func (s *speaker) move(id string) {
	s.forget(id)
	s.recent = append([]string{id}, s.recent...)
	s.recent = s.recent[:min(len(s.recent), recentMost)]
}

// forget takes an endpoint out; it reports whether it was there.
func (s *speaker) forget(id string) bool {
	for i, o := range s.recent {
		if o == id {
			s.recent = append(s.recent[:i:i], s.recent[i+1:]...)
			return true
		}
	}
	return false
}

// rank is the place of an endpoint among the recent speakers; those who are not come last.
func (s *speaker) rank(id string) int {
	for i, o := range s.recent {
		if o == id {
			return i
		}
	}
	return len(s.recent)
}
