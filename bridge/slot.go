package bridge

import (
	"time"

	"parley/bridge/rtp"
	"parley/bridge/rtp/codec"
	"parley/bridge/udp"
	"parley/internal/limit"
)

const (
	lookbackVideo = 1024 // packets that a slot can send again
	lookbackAudio = 64
	recentStreams = 8 // streams among which the origin of a sent packet is looked for
)

// slot is an SSRC towards one receiver that the bridge points at a source. egress.mu of the receiver guards it; what does not
// change is read without.
type slot struct {
	receiver  *Endpoint
	video     bool
	ssrc, rtx uint32
	mid       string // of a slot with one
	pooled    bool   // the bridge chose the SSRCs, and announces them

	source  *source // nil: at none
	used    uint64  // when it was turned off last, for the choice of the oldest
	want    wanted
	stage   bool         // its source is on stage
	paused  bool         // there is no room for it
	pick    rung         // what there is room for, while the budget is limited
	climbed [2]time.Time // when it was to go up with a key frame, last and before
	step    int          // scratch of spread: the rung, and how many there are
	steps   int

	announced time.Time // when the client was told of the source
	doubtful  bool      // and perhaps was not: nothing is sent until it is told again

	current   *stream // what it gets at present; nil: it waits for a key frame, or for the first packet of audio
	currentID uint32
	spatial   uint8 // layers that it gets
	temporal  uint8
	replay    *replay // what is kept since the last key frame is being sent

	order    *rtp.Continuity
	pictures codec.Pictures
	sequel   codec.Sequel
	shift    uint32 // outgoing timestamp less incoming one
	payload  uint8  // type of the newest packet
	clock    uint32 // and its clock rate; 0: nothing was sent since it turned to the stream
	sentAt   time.Time
	sent     bool // something, ever
	whole    bool // up to the end of a frame
	packets  uint32
	octets   uint32

	again   *again // nil: nothing was asked for yet
	nacks   limit.Bucket
	repairs uint16    // sequence number of the next retransmission
	void    uint16    // numbers before this may be of packets that were let go of while they waited
	voidAt  time.Time // when they were
	padded  bool      // the SSRC of retransmissions was used though no media was sent
	recent  [recentStreams]recent
	newest  int // of recent
}

// wanted is what a slot should get of its source.
type wanted struct {
	on       bool
	height   int     // at most, in pixels; below 0: any
	rate     float64 // frames per second at most; 0: any
	stream   int
	spatial  uint8
	temporal uint8
	thin     bool // without what packet.spare says
}

// recent is a stream that was forwarded.
type recent struct {
	id     uint32
	stream *stream
}

// newSlot makes a slot with SSRCs that no other one of the receiver has. The caller holds egress.mu.
func newSlot(receiver *Endpoint, video bool, ssrc, rtx uint32, mid string) *slot {
	lookback := lookbackAudio
	if video {
		lookback = lookbackVideo
	}
	s := &slot{receiver: receiver, video: video, ssrc: ssrc, rtx: rtx, mid: mid}
	// The first sequence number under new keys is below half a cycle: SRTP guesses the rollover counter (RFC 3711 §3.3.1).
	random := receiver.bridge().random
	next, newest := uint16(random()>>17), random()
	if t, ok := receiver.out.trails[ssrc]; ok {
		next, newest = t.next, t.newest
		s.sent, s.sentAt, s.packets, s.octets = true, t.at, t.packets, t.octets
	}
	s.order = rtp.NewContinuity(lookback, next, newest)
	s.repairs = uint16(random() >> 17)
	if t, ok := receiver.out.trails[rtx]; ok {
		s.repairs = t.next
	}
	return s
}

// point points the slot at a source, or at none.
func (s *slot) point(src *source) {
	if s.source == src {
		return
	}
	s.source, s.want, s.paused, s.steps = src, wanted{}, false, 0
	s.stop()
}

// stop ends what the slot gets; it goes on with a key frame.
func (s *slot) stop() { s.current, s.currentID, s.replay = nil, 0, nil }

// turn makes p's stream the one that the slot gets, from p on.
func (s *slot) turn(p *packet) {
	var advance uint32
	if s.sent {
		advance = max(rtp.Ticks(p.at.Sub(s.sentAt), p.clock), 1)
	}
	s.current, s.currentID, s.clock = p.stream, p.id, 0
	s.order.Switch(p.id, advance)
	s.pictures.Switch()
	s.sequel.Switch()
	s.newest = (s.newest + 1) % recentStreams
	s.recent[s.newest] = recent{p.id, p.stream}
	s.spatial, s.temporal = s.want.spatial, s.want.temporal
}

// origin finds a stream that the slot has got.
func (s *slot) origin(id uint32) *stream {
	for i := range s.recent {
		if s.recent[i].id == id {
			return s.recent[i].stream
		}
	}
	return nil
}

// forward gives a packet to the slot's receiver, if it should have it.
func (s *slot) forward(b *udp.Batch, p *packet) {
	e := s.receiver
	leg, d := e.ready()
	if leg == nil {
		return
	}
	e.out.mu.Lock()
	defer e.out.mu.Unlock()
	if s.source != p.stream.source || !s.want.on || s.replay != nil || e.out.closed {
		return
	}
	s.take(b, leg, d, p)
}

// take decides about a packet and sends it, or closes its place.
func (s *slot) take(b *udp.Batch, leg Leg, d *dialect, p *packet) {
	if s.current == nil || s.currentID != p.id {
		if !s.begins(p) {
			return
		}
		s.turn(p)
	}
	if len(p.Payload()) == 0 || s.video && !s.layered(p) {
		s.omit(p)
		return
	}
	s.send(b, leg, d, p)
}

// begins says that the slot turns to p's stream with p.
func (s *slot) begins(p *packet) bool {
	if !s.video {
		return p.newest && len(p.Payload()) > 0
	}
	return p.stream.index == s.want.stream && p.newest && p.starts()
}
