package bridge

import (
	"sync"
	"sync/atomic"
	"time"

	"parley/bridge/rtp"
	"parley/bridge/rtp/codec"
	"parley/bridge/udp"
)

const (
	maxStreams = 4 // of one source
	maxSpatial = 4 // spatial layers that are told apart

	maxJump     = 3000 // sequence numbers by which a packet may be ahead or behind (RFC 3550 §A.1, HB9)
	restartRun  = 5    // packets in a row elsewhere: the stream began anew
	aliveFor    = time.Second
	stillFor    = 2500 * time.Millisecond // of a screen on which nothing moves browsers send a picture a second
	reportEvery = 100 * time.Millisecond  // sender reports are forwarded no more often (HB8)
)

// stream is one incoming SSRC with media, and its retransmission's SSRC.
type stream struct {
	source *source
	index  int           // in its source
	ssrc   atomic.Uint32 // 0: it was not signalled, and none was found yet
	rtx    uint32        // 0 also where it was not signalled

	// Guarded by ingress.mu of the owner.
	id         uint32 // for Continuity; another one when it began anew
	started    bool
	highest    int64 // extended sequence number of the newest packet
	far        uint16
	run        int
	timestamp  uint32 // of the newest packet, and the clock of its payload type
	clock      uint32
	dependency codec.DependencySource
	sizes      codec.VP9Source
	missing    missing
	reception  reception
	reported   time.Time // when the last sender report was forwarded

	mu     sync.Mutex // guards what follows
	store  store
	kept   uint32                // id of the stream that the store is of
	seen   [maxSpatial]time.Time // when a packet of a spatial layer came
	height [maxSpatial]uint16    // the smaller side of its frames
	meter  meter
	spoken spoken
	closed bool
}

func newStream(s *source, index int, ssrc, rtx uint32) *stream {
	st := &stream{source: s, index: index, rtx: rtx, id: s.owner.bridge().streams.Add(1)}
	st.ssrc.Store(ssrc)
	return st
}

// number extends the sequence number of a packet, and says whether it is the newest. It answers false for one that is far
// away (HB9), until several follow one another: then the stream began anew.
func (s *stream) number(seq uint16) (extended int64, newest, ok bool) {
	if !s.started {
		s.begin(seq)
		return s.highest, true, true
	}
	ahead := int64(int16(seq - uint16(s.highest)))
	if ahead > maxJump || ahead < -maxJump {
		if seq != s.far {
			s.run = 0
		}
		s.far = seq + 1
		if s.run++; s.run < restartRun {
			return 0, false, false
		}
		s.restart()
		s.begin(seq)
		return s.highest, true, true
	}
	s.run = 0
	return s.highest + ahead, ahead > 0, true
}

// begin takes the first packet. Extended numbers start one cycle up, so that one that comes before is not negative.
func (s *stream) begin(seq uint16) {
	s.started, s.highest, s.run = true, 1<<16+int64(seq), 0
	s.reception.begin(s.highest)
}

// restart forgets what was known of the stream.
func (s *stream) restart() {
	s.id = s.source.owner.bridge().streams.Add(1)
	s.missing.clear()
	s.dependency, s.sizes, s.reception = codec.DependencySource{}, codec.VP9Source{}, reception{}
	s.mu.Lock()
	s.store.clear()
	s.spoken.clear()
	s.meter = meter{}
	s.mu.Unlock()
}

// keep puts a packet into the store and notes what it tells of layers.
func (s *stream) keep(p *packet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.kept = p.id
	s.store.put(p.seq, p.buffer, p.at)
	f := &p.frame
	if !f.Known || f.Spatial >= maxSpatial {
		s.seen[0] = p.at
		s.meter.take(p.at, 0, 0, false, false, len(p.Bytes()))
		return
	}
	size := len(p.Bytes())
	if f.Temporal == 0 && p.newest {
		size = s.meter.usual.count(p.Timestamp(), p.starts(), size)
	}
	s.meter.take(p.at, f.Spatial, f.Temporal, p.above(), p.spare(), size)
	s.seen[f.Spatial] = p.at
	if h := min(f.Width, f.Height); h != 0 {
		s.height[f.Spatial] = h
	}
	if p.starts() {
		s.store.begin(p.seq)
	}
}

// speak keeps a packet of audio.
func (s *stream) speak(p *packet) {
	s.mu.Lock()
	if !s.closed {
		s.spoken.put(p.buffer)
	}
	s.mu.Unlock()
}

// level says what the stream sends.
func (s *stream) level(now time.Time) (l level) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.expire(now)
	for i, at := range s.seen {
		if !at.IsZero() && now.Sub(at) < aliveFor {
			l.alive, l.spatial = true, uint8(i)
		}
		l.still = l.still || !at.IsZero() && now.Sub(at) < stillFor
	}
	l.heights = s.height
	l.rates, l.spare, l.measured = s.meter.rates(now)
	return l
}

// packet is an incoming packet with what is known of it. There is one for each endpoint, used again for each packet.
type packet struct {
	rtp.Packet
	stream  *stream
	id      uint32 // of the stream
	buffer  *udp.Buffer
	from    rtp.IDs
	kind    kind
	payload uint8 // type
	clock   uint32
	seq     int64
	newest  bool
	at      time.Time

	frame codec.Frame
	read  bool // what the payload itself says was read: vp8, vp9, av1 or h264 is valid
	vp8   codec.VP8
	vp9   codec.VP9
	av1   codec.AV1
	h264  codec.H264
	dep   codec.Descriptor
	deps  *codec.DependencySource // nil: dep was not read
	skip  int                     // of RED: bytes before the primary block, which is Opus; 0: there is none such
}

// primary finds the primary block of a RED payload.
func (p *packet) primary(r *rtp.RED, d *dialect) {
	p.skip = 0
	if p.kind != red || r.Parse(p.Payload()) != nil {
		return
	}
	if b := r.Primary(); d.kinds[b.PayloadType&0x7f] == opus && len(b.Data) > 0 {
		p.skip = len(p.Payload()) - len(b.Data)
	}
}

// numbered says that the payload itself numbers its pictures.
func (p *packet) numbered() bool {
	return p.read && (p.kind == vp8 && p.vp8.HasPicture || p.kind == vp9 && p.vp9.HasPicture)
}

// describe reads what the payload and the dependency descriptor say about the frame; first says that the packet before it
// had another timestamp.
func (p *packet) describe(deps *codec.DependencySource, sizes *codec.VP9Source, first bool) {
	p.frame, p.deps, p.read = codec.Frame{}, nil, false
	payload := p.Payload()
	switch p.kind {
	case vp8:
		if p.read = p.vp8.Parse(payload) == nil; p.read {
			p.frame = p.vp8.Frame(p.Marker())
		}
	case vp9:
		if p.read = p.vp9.Parse(payload) == nil; p.read {
			p.frame = sizes.Frame(&p.vp9)
		}
	case av1:
		if p.read = p.av1.Parse(payload) == nil; p.read {
			p.frame = p.av1.Frame(first, p.Marker())
		}
	case h264:
		if p.read = p.h264.Parse(payload) == nil; p.read {
			p.frame = p.h264.Frame(first, p.Marker())
		}
	}
	if d := p.Extension(p.from.DependencyDescriptor); d != nil {
		if deps.Parse(d, p.Sequence(), &p.dep) == nil {
			plain := p.frame
			p.frame, p.deps = p.dep.Frame(), deps
			if p.frame.Width == 0 {
				p.frame.Width, p.frame.Height = plain.Width, plain.Height
			}
			p.frame.Sync = plain.Sync
		}
	}
}

// above says that higher spatial layers need the packet too.
func (p *packet) above() bool {
	switch {
	case p.deps != nil:
		structure := p.deps.Structure()
		target, ok := structure.Target(maxSpatial, highest, p.dep.Active)
		if !ok {
			return false
		}
		spatial, _, _ := structure.Layer(target)
		return spatial > p.frame.Spatial && p.dep.Indications.Of(target) != codec.NotPresent
	case p.kind == vp9 && p.read:
		return !p.vp9.NotUpper || !p.vp9.Inter
	}
	return false
}

// spare says that the packet's picture is one of every second that a slot can leave out, beyond whole temporal layers: nothing
// refers to it. In the pattern T0 T2 T1 T2 it is the T2 behind T1.
func (p *packet) spare() bool {
	if !p.frame.Discardable || p.frame.Temporal == 0 {
		return false
	}
	switch {
	case p.kind == vp8 && p.read && p.vp8.HasPicture:
		return p.vp8.Picture&2 != 0
	case p.deps != nil: // a picture has a frame for each spatial layer
		return p.dep.Number/(uint16(p.layers())+1)&2 != 0
	}
	return false
}

// starts says that a receiver that has nothing can begin with the packet. Where receivers go by the dependency descriptor,
// it has the structure.
func (p *packet) starts() bool {
	f := &p.frame
	return f.Known && f.Key && f.Start && f.Spatial == 0 && (p.deps == nil || p.numbered() || p.dep.Attached)
}
