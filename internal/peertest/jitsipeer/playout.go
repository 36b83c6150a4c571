package jitsipeer

import "time"

// Played is what a listener hears of a source.
type Played struct {
	Frames    uint64        // of 20 ms, played from their own packets
	Redundant uint64        // from the copy in a later packet (RFC 2198)
	FEC       uint64        // from the in-band FEC of the packet behind (RFC 6716 §2.1.7)
	Concealed uint64        // times of 20 ms that there was nothing for
	Late      uint64        // frames that came, and were not played because their time was over
	Waiting   uint64        // times of 20 ms for which nothing has come by now: only the next packet says whether that is a pause
	Target    time.Duration // newest of the delay that the buffer aims at
	Delay     Latency       // from the microphone to the loudspeaker
}

// Ratio is the part of the time for which there was something to play; 1 of nothing.
func (p *Played) Ratio() float64 {
	n := p.Frames + p.Redundant + p.FEC
	if n+p.Concealed == 0 {
		return 1
	}
	return float64(n) / float64(n+p.Concealed)
}

// A voice is a frame of audio in a packet. The best that came of a frame is played.
type voice struct {
	frame uint32 // the sender's number
	media int64  // ticks after the first packet; as an argument: after its packet, so that copies are below 0
	sent  int64  // nanoseconds
	how   how
}

type how uint8

const (
	absent how = iota
	alone
	copied
	fec
)

const (
	opusClock   = 48000
	frameTicks  = 960
	voicesKept  = 128 // 2.5 s
	targetFirst = 80 * time.Millisecond
	targetLeast = 40 * time.Millisecond
	targetMost  = 400 * time.Millisecond
	stretch     = 3 * time.Millisecond // by which a frame is played longer or shorter, to come nearer to the target
	levelOf     = 32                   // packets
)

// playout is a jitter buffer in the manner of Chromium's (NetEq). It aims at keeping packets for a time by which few are later
// than the fastest, and comes near to it by playing a little faster or slower. A frame that is not there when its turn comes
// is concealed: if a newer one is there, it is lost, whether it comes later or not; if nothing is there, the buffer waits for
// what comes next, and plays late what is at most 400 ms behind the fastest packets. Where the sender made a pause (time went
// on further than sequence numbers), and where a source goes on with another SSRC, there was nothing to conceal.
//
// What happens behind the last packet is not counted until another comes.
type playout struct {
	count Played
	begun bool

	ssrc, seq, stamp uint32 // of the newest packet: extended sequence number, RTP time
	media            int64  // ticks from the first packet to it
	epoch            time.Time
	spread           spread

	ring      [voicesKept]voice
	last      uint32 // newest frame there
	next      uint32 // frame whose turn is next
	nextMedia int64
	due       time.Time     // when that is
	level     time.Duration // how long packets are kept, on an average of the last ones
	waited    uint64        // times of 20 ms that nothing at all was there
}

func duration(ticks int64) time.Duration {
	return time.Duration(ticks) * (time.Second / 1000) / (opusClock / 1000)
}

// take takes a packet that came for the first time; the last of its frames is its own.
func (p *playout) take(at time.Time, ssrc, seq, stamp uint32, frames []voice) {
	own := frames[len(frames)-1]
	if !p.begun || ssrc != p.ssrc {
		if p.begun {
			p.finish(0)
		}
		p.begun, p.ssrc, p.epoch, p.media = true, ssrc, at, 0
		p.spread.restart()
		p.spread.add(at, 0)
		p.seq, p.stamp = seq, stamp
		p.begin(own.frame, 0, at)
		p.put(0, frames[len(frames)-1:])
		return
	}
	p.advance(at)
	media := p.media + int64(int32(stamp-p.stamp))
	p.spread.add(at, at.Sub(p.epoch)-duration(media))
	if step := int32(seq - p.seq); step > 0 {
		paused := media-p.media > frameTicks*int64(step) || media <= p.media
		p.seq, p.stamp, p.media = seq, stamp, media
		if paused {
			p.finish(uint64(step) - 1)
			p.begin(own.frame, media, at)
			frames = frames[len(frames)-1:]
		}
	}
	if p.waited > 0 {
		p.resume(frames)
	}
	if ahead := int32(own.frame - p.next); ahead >= voicesKept { // an outage that is longer than the ring
		p.finish(uint64(ahead - max(int32(p.last-p.next)+1, 0)))
		p.begin(own.frame, media, at)
	}
	p.put(media, frames)
	kept := p.due.Sub(at) + time.Duration(int32(own.frame-p.next))*audioFrame
	p.level += (kept - p.level) / levelOf
}

// begin makes a frame the next one.
func (p *playout) begin(frame uint32, media int64, at time.Time) {
	p.next, p.nextMedia, p.last, p.waited = frame, media, frame-1, 0
	p.level = p.spread.aim()
	p.due = at.Add(max(p.level-(at.Sub(p.epoch)-duration(media)-p.spread.least()), 0))
}

// put keeps frames until their turn.
func (p *playout) put(media int64, frames []voice) {
	for _, v := range frames {
		ahead := int32(v.frame - p.next)
		switch {
		case ahead >= voicesKept:
			continue
		case ahead < 0:
			if v.how == alone {
				p.count.Late++
			}
			continue
		}
		v.media += media
		if at := &p.ring[v.frame%voicesKept]; at.frame != v.frame || at.how == absent || at.how > v.how {
			*at = v
		}
		if int32(v.frame-p.last) > 0 {
			p.last = v.frame
		}
	}
}

// resume ends a wait: the frames that it stood for will not be played any more.
func (p *playout) resume(frames []voice) {
	first := uint32(voicesKept)
	found := false
	for _, v := range frames {
		if ahead := v.frame - p.next; int32(ahead) >= 0 && (!found || ahead < first) {
			first, found = ahead, true
		}
	}
	if !found {
		return
	}
	over := min(uint64(first), p.waited)
	p.next += uint32(over)
	p.nextMedia += int64(over) * frameTicks
	p.count.Concealed += p.waited
	p.waited = 0
}

// finish plays what is there, as at the end of a talk, after which so many more were lost.
func (p *playout) finish(lost uint64) {
	for ; int32(p.last-p.next) >= 0; p.next++ {
		if v := &p.ring[p.next%voicesKept]; v.frame == p.next && v.how != absent {
			p.play(v)
		} else {
			p.count.Concealed++
		}
		p.due = p.due.Add(audioFrame)
	}
	p.count.Concealed += lost
	p.waited = 0
}

func (p *playout) play(v *voice) {
	switch v.how {
	case alone:
		p.count.Frames++
	case copied:
		p.count.Redundant++
	case fec:
		p.count.FEC++
	}
	if at := p.due.UnixNano(); at > v.sent {
		p.count.Delay.add(time.Duration(at - v.sent))
	}
}

// advance plays what was due before now.
func (p *playout) advance(now time.Time) {
	for p.begun && p.due.Before(now) {
		v := &p.ring[p.next%voicesKept]
		there := v.frame == p.next && v.how != absent
		if !there && int32(p.last-p.next) < 0 {
			p.waited++
			p.due = p.due.Add(audioFrame)
			continue
		}
		if there {
			p.nextMedia = v.media
		}
		behind := p.due.Sub(p.epoch) - duration(p.nextMedia) - p.spread.least()
		p.next++
		p.nextMedia += frameTicks
		switch {
		case behind > targetMost+stretch:
			if there {
				p.count.Late++
			}
			continue // its time was filled while the buffer waited
		case there:
			p.play(v)
		default:
			p.count.Concealed++
		}
		longer := min(max(p.spread.aim()-p.level, -stretch), stretch)
		p.due = p.due.Add(audioFrame + longer)
		p.level += longer
	}
	p.count.Target = p.spread.aim()
}

// spread says how much longer than the fastest of late packets take. The delay to aim at is what 95 of 100 intervals of half a
// second stay below, those of long ago counting less (NetEq's quantile, interval and forgetting).
type spread struct {
	low, before time.Duration // least transit times of this second and of the last
	lows        int           // how many of them there are
	second      time.Time     // end of this second
	most        time.Duration // longest of the interval, above the least
	interval    time.Time     // end of it
	share       [int(targetMost/audioFrame) + 1]float64
	n           int
	target      time.Duration
}

const (
	lowWindow      = time.Second
	spreadInterval = 500 * time.Millisecond
	quantile       = 0.95
	forget         = 0.983
)

// restart forgets what the least transit time is; how much packets differ stays true.
func (s *spread) restart() { s.lows, s.most, s.second, s.interval = 0, 0, time.Time{}, time.Time{} }

func (s *spread) least() time.Duration {
	if s.lows > 1 {
		return min(s.low, s.before)
	}
	return s.low
}

func (s *spread) aim() time.Duration {
	if s.n == 0 {
		return targetFirst
	}
	return s.target
}

// add takes the transit time of a packet: of any origin, that stays the same until restart.
func (s *spread) add(at time.Time, transit time.Duration) {
	switch {
	case s.lows == 0:
		s.low, s.lows, s.second, s.interval = transit, 1, at.Add(lowWindow), at.Add(spreadInterval)
	case !at.Before(s.second):
		s.before, s.low, s.lows, s.second = s.low, transit, 2, at.Add(lowWindow)
	}
	s.low = min(s.low, transit)
	if !at.Before(s.interval) {
		s.sample(s.most)
		s.most, s.interval = 0, at.Add(spreadInterval)
	}
	s.most = max(s.most, transit-s.least())
}

func (s *spread) sample(d time.Duration) {
	s.n++
	keep := min(forget, 1-2/float64(s.n+1)) // the first ones change more
	for i := range s.share {
		s.share[i] *= keep
	}
	s.share[min(int(d/audioFrame), len(s.share)-1)] += 1 - keep
	sum, at := 0.0, 0
	for at = range s.share {
		if sum += s.share[at]; sum >= quantile {
			break
		}
	}
	s.target = min(max(time.Duration(at+1)*audioFrame, targetLeast), targetMost)
}
