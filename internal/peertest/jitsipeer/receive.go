package jitsipeer

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"parley/jingle"

	"github.com/pion/interceptor/pkg/twcc"
)

// receiver measures what comes from the bridge.
type receiver struct {
	mu       sync.Mutex // guards what follows
	incoming map[uint32]*incoming
	sources  map[string]*received
	names    map[uint32]string // the source that an SSRC is said to be of
	repairs  map[uint32]uint32 // SSRC of retransmissions: of the media
	mids     map[uint32]string // of slots
	strange  map[uint32]*stranger
	unknown  uint64 // packets without stamp
	count    Transport
	series   series
	arrivals *twcc.Recorder
	epoch    time.Time
	pending  bool // arrivals were not reported
	told     time.Time
	reported time.Time
	measured bool   // the round trip
	limit    uint64 // of an old client, bits/s; 0: it has told none
	limited  time.Time
	blocks   [redMost]block
	voices   [redMost + 1]voice
}

// incoming is an SSRC of the bridge.
type incoming struct {
	ssrc    uint32
	begun   bool
	highest uint32             // extended sequence number
	stamp   uint32             // RTP time at highest
	holes   map[uint32]hole    // sequence numbers that are missing
	window  [windowSize]uint32 // extended sequence numbers that came, by their lowest bits, +1
	flooded bool               // more was missing than is kept
	settled uint32             // newest number of a frame that was decoded: what is missing before it is not asked for again
	of      *received          // source of the newest packet
	order   descriptors        // continuity of the descriptors
	report  reception
	late    [16]uint16 // by how many packets the last ones were too late that were not repeated
	lates   int
}

type hole struct {
	since, asked time.Time
	times        int
	from         uint32 // it is asked for when this number has come
}

// stranger is a source on an SSRC that was signalled for another. The map of a slot goes another way than the media: it may
// come a little later.
type stranger struct {
	source string
	since  time.Time
	n      uint64
}

const (
	windowSize = 2048
	holesMost  = 1000
	patience   = time.Second // until a missing packet is lost and an incomplete frame is given up
)

func newReceiver() *receiver {
	return &receiver{incoming: make(map[uint32]*incoming), sources: make(map[string]*received), names: make(map[uint32]string),
		repairs: make(map[uint32]uint32), mids: make(map[uint32]string), strange: make(map[uint32]*stranger), arrivals: twcc.NewRecorder(1), epoch: time.Now(),
		count: Transport{RTT: roundTrip}}
}

// anew begins a session: SSRCs of the last one mean nothing any more, the statistics go on.
func (r *receiver) anew(video uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.incoming)
	clear(r.names)
	clear(r.repairs)
	clear(r.mids)
	clear(r.strange)
	r.arrivals, r.pending = twcc.NewRecorder(video), false
	for _, s := range r.sources {
		s.restart()
	}
}

// learn takes signalled sources.
func (r *receiver) learn(s jingle.Sources) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, src := range append(s.Audio[:len(s.Audio):len(s.Audio)], s.Video...) {
		r.names[src.SSRC] = src.Name
	}
	for _, g := range s.VideoGroups {
		if g.Semantics == "FID" && len(g.SSRCs) == 2 {
			r.repairs[g.SSRCs[1]] = g.SSRCs[0]
		}
	}
}

// forget takes a source-remove.
func (r *receiver) forget(s jingle.Sources) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, src := range append(s.Audio[:len(s.Audio):len(s.Audio)], s.Video...) {
		delete(r.names, src.SSRC)
		delete(r.repairs, src.SSRC)
		delete(r.incoming, src.SSRC)
	}
}

// remap takes a mapping of a slot (jitsi.md §10.3).
func (r *receiver) remap(name string, ssrc, rtx uint32, mid string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names[ssrc] = name
	if at := r.strange[ssrc]; at != nil && at.source == name {
		delete(r.strange, ssrc)
	}
	if rtx != 0 {
		r.repairs[rtx] = ssrc
	}
	if mid != "" {
		r.mids[ssrc] = mid
	}
}

// rtp takes a packet of the bridge, and asks for those that it shows to be missing.
func (x *session) rtp(b []byte, at time.Time) {
	r := x.peer.receiver
	r.mu.Lock()
	i := r.take(x, b, at)
	var ask []uint16
	if i != nil && x.nacks && len(i.holes) > 0 && i.of != nil && i.of.video {
		ask = r.missing(i, at)
	}
	r.mu.Unlock()
	if len(ask) > 0 {
		x.control(x.nack(i.ssrc, ask))
	}
}

// take takes a packet and returns what it belongs to, nil when that is nothing. The caller holds mu.
func (r *receiver) take(x *session, b []byte, at time.Time) *incoming {
	r.count.Packets++
	r.count.Bytes += uint64(len(b))
	p, ok := split(b, &x.extensions)
	if !ok {
		return nil
	}
	if p.hasTCC {
		r.arrivals.Record(p.ssrc, p.tcc, at.Sub(r.epoch).Microseconds())
		r.pending = true
	}
	second, size := r.series.at(at), uint32(len(b))
	repaired := x.apt[p.payload] != 0
	if len(p.body) == 0 || repaired && len(p.body) <= 2 { // the number of nothing, or not even that
		r.count.Padding++
		r.count.PaddingBytes += uint64(size)
		second.Padding += size
	} else if repaired {
		r.count.Repairs++
		r.count.RepairBytes += uint64(size)
		second.Repairs += size
	} else {
		second.Media += size
	}
	if repaired {
		if len(p.body) <= 2 {
			return nil
		}
		p.payload, p.ssrc, p.sequence, p.body = x.apt[p.payload], r.repairs[p.ssrc], binary.BigEndian.Uint16(p.body), p.body[2:]
		if p.ssrc == 0 {
			r.unknown++
			return nil
		}
	}
	i := r.incoming[p.ssrc]
	if i == nil {
		i = &incoming{ssrc: p.ssrc, holes: make(map[uint32]hole)}
		r.incoming[p.ssrc] = i
	}
	seq, fresh, newest := i.number(p.sequence, at, repaired)
	if !repaired && fresh {
		clock := uint32(90000)
		if p.payload == x.opus || p.payload == x.red {
			clock = opusClock
		}
		i.report.take(seq, p.stamp, clock, at)
	}
	if len(p.body) == 0 {
		return i
	}
	var list []block
	if p.payload == x.red && x.red != 0 {
		if list, ok = splitRED(r.blocks[:], p.body); !ok {
			r.unknown++
			return i
		}
		p.payload, p.body = list[len(list)-1].payload, list[len(list)-1].data
		list = list[:len(list)-1]
	}
	var st stamp
	behind, ok := st.parse(p.body)
	if !ok {
		r.unknown++
		return i
	}
	s := r.sources[string(st.name)]
	if s == nil {
		s = &received{stats: Stats{Source: string(st.name), First: at}, keyless: true}
		r.sources[s.stats.Source] = s
	}
	i.of = s
	s.stats.SSRC = p.ssrc
	if r.names[p.ssrc] != s.stats.Source {
		who := r.strange[p.ssrc]
		if who == nil || who.source != s.stats.Source {
			who = &stranger{source: s.stats.Source, since: at}
			r.strange[p.ssrc] = who
		}
		who.n++
	} else if r.mids[p.ssrc] != string(p.mid) {
		s.fault("mid %q of a slot with mid %q", p.mid, r.mids[p.ssrc])
	}
	if at := s.series.at(at); repaired {
		at.Repairs += size
	} else {
		at.Media += size
	}
	if !fresh {
		s.stats.Duplicates++
		return i
	}
	s.stats.Packets++
	s.stats.Bytes += uint64(len(b))
	if repaired {
		s.stats.Repaired++
	}
	if at, sent := at.UnixNano(), st.sent; at > sent {
		s.stats.Latency.add(time.Duration(at - sent))
	}
	if newest {
		if i.begun && int32(p.stamp-i.stamp) < 0 {
			s.fault("a timestamp goes back")
		}
		i.stamp, i.begun = p.stamp, true
	}
	i.order.take(s, seq, x.codecs[p.payload], &p, &st)
	s.screen.trip = r.count.RTT
	s.take(&st, at, repaired)
	if s.done[st.stream&3].has(st.frame) {
		i.settled = max(i.settled, seq)
	}
	if st.height == 0 {
		if p.payload != x.opus {
			s.fault("audio of payload type %d", p.payload)
		}
		if s.sound == nil {
			s.sound = new(playout)
		}
		s.sound.take(at, p.ssrc, seq, p.stamp, r.heard(x, s, &st, list, behind))
	}
	return i
}

// keyed counts a key frame that the bridge asked for.
func (r *receiver) keyed() {
	r.mu.Lock()
	r.count.Keyed++
	r.mu.Unlock()
}

// heard are the frames of a packet of audio: the copies, that of in-band FEC, which is a stamp behind the first, and its own.
func (r *receiver) heard(x *session, s *received, own *stamp, copies []block, behind []byte) []voice {
	list := r.voices[:0]
	var st stamp
	for _, b := range copies {
		if _, ok := st.parse(b.data); !ok || string(st.name) != string(own.name) || b.payload != x.opus ||
			b.ago != int64(int32(own.frame-st.frame))*frameTicks {
			s.fault("RED: of payload type %d and %d ticks ago is frame %d of %s, in frame %d", b.payload, b.ago, st.frame, st.name, own.frame)
			continue
		}
		list = append(list, voice{frame: st.frame, media: -b.ago, sent: st.sent, how: copied})
	}
	if len(behind) >= len(magic) && string(behind[:len(magic)]) == string(magic) {
		if _, ok := st.parse(behind); ok && st.frame == own.frame-1 && string(st.name) == string(own.name) {
			list = append(list, voice{frame: st.frame, media: -frameTicks, sent: st.sent, how: fec})
		}
	}
	return append(list, voice{frame: own.frame, sent: own.sent, how: alone})
}

// number extends a sequence number and finds what is missing.
func (i *incoming) number(sequence uint16, at time.Time, repaired bool) (seq uint32, fresh, newest bool) {
	if i.highest == 0 {
		seq = 1<<16 + uint32(sequence)
		i.highest = seq
		i.window[seq%windowSize] = seq
		return seq, true, true
	}
	seq = i.highest + uint32(int32(int16(sequence-uint16(i.highest))))
	if i.window[seq%windowSize] == seq {
		return seq, false, false
	}
	i.window[seq%windowSize] = seq
	delete(i.holes, seq)
	if seq <= i.highest {
		if !repaired {
			i.late[i.lates%len(i.late)] = uint16(i.highest - seq)
			i.lates++
		}
		return seq, true, false
	}
	if seq > i.highest+1 {
		wait := i.reordering()
		for n := i.highest + 1; n < seq; n++ {
			if len(i.holes) >= holesMost {
				i.flooded = true
				break
			}
			i.holes[n] = hole{since: at, from: n + wait}
		}
	}
	i.highest = seq
	return seq, true, true
}

// reordering is the median of how many packets the last ones were too late, 0 when none was.
func (i *incoming) reordering() uint32 {
	late := i.late
	n := min(i.lates, len(late))
	slices.Sort(late[:n])
	return uint32(late[n/2])
}

// packetView is a packet taken apart.
type packetView struct {
	payload    uint8
	marker     bool
	sequence   uint16
	stamp      uint32
	ssrc       uint32
	hasTCC     bool
	tcc        uint16
	mid        []byte
	descriptor []byte
	body       []byte // without padding
}

// split takes a packet apart (RFC 3550 §5.1, RFC 8285).
func split(b []byte, ext *extensions) (p packetView, ok bool) {
	if len(b) < 12 || b[0]>>6 != 2 {
		return p, false
	}
	p.payload, p.marker = b[1]&0x7f, b[1]&0x80 != 0
	p.sequence, p.stamp, p.ssrc = binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	at := 12 + 4*int(b[0]&15)
	if b[0]&0x10 != 0 {
		if len(b) < at+4 {
			return p, false
		}
		profile, end := binary.BigEndian.Uint16(b[at:]), at+4+4*int(binary.BigEndian.Uint16(b[at+2:]))
		if len(b) < end {
			return p, false
		}
		list := b[at+4 : end]
		for len(list) > 0 {
			if list[0] == 0 {
				list = list[1:]
				continue
			}
			id, n, head := list[0]>>4, int(list[0]&15)+1, 1
			if profile != 0xbede {
				if len(list) < 2 {
					break
				}
				id, n, head = list[0], int(list[1]), 2
			}
			if len(list) < head+n {
				return p, false
			}
			v := list[head : head+n]
			list = list[head+n:]
			switch {
			case id == ext.tcc && n == 2:
				p.hasTCC, p.tcc = true, binary.BigEndian.Uint16(v)
			case id == ext.mid:
				p.mid = v
			case id == ext.descriptor:
				p.descriptor = v
			}
		}
		at = end
	}
	if len(b) < at {
		return p, false
	}
	p.body = b[at:]
	if b[0]&0x20 != 0 && len(p.body) > 0 {
		n := int(p.body[len(p.body)-1])
		if n == 0 || n > len(p.body) {
			return p, false
		}
		p.body = p.body[:len(p.body)-n]
	}
	return p, true
}
