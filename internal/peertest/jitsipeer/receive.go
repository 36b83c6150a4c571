package jitsipeer

import (
	"encoding/binary"
	"sync"
	"time"

	"parley/jingle"

	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/rtcp"
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
	padding  uint64 // packets without payload
	packets  uint64
	bytes    uint64
	arrivals *twcc.Recorder
	epoch    time.Time
	pending  bool // arrivals were not reported
	told     time.Time
	reported time.Time
}

// incoming is an SSRC of the bridge.
type incoming struct {
	ssrc    uint32
	begun   bool
	highest uint32             // extended sequence number
	stamp   uint32             // RTP time at highest
	holes   map[uint32]hole    // sequence numbers that are missing
	window  [windowSize]uint32 // extended sequence numbers that came, by their lowest bits, +1
	of      *received          // source of the newest packet
	order   descriptors        // continuity of the descriptors
}

type hole struct {
	since, asked time.Time
	times        int
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
	holesMost  = 512
	patience   = time.Second // until a missing packet is lost and an incomplete frame is given up
	askAgain   = 60 * time.Millisecond
	reorder    = 10 * time.Millisecond // until a missing packet is asked for
)

func newReceiver() *receiver {
	return &receiver{incoming: make(map[uint32]*incoming), sources: make(map[string]*received), names: make(map[uint32]string),
		repairs: make(map[uint32]uint32), mids: make(map[uint32]string), strange: make(map[uint32]*stranger), arrivals: twcc.NewRecorder(1), epoch: time.Now()}
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

// rtp takes a packet of the bridge.
func (x *session) rtp(b []byte, at time.Time) {
	r := x.peer.receiver
	r.mu.Lock()
	defer r.mu.Unlock()
	r.packets++
	r.bytes += uint64(len(b))
	p, ok := split(b, &x.extensions)
	if !ok {
		return
	}
	if p.hasTCC {
		r.arrivals.Record(p.ssrc, p.tcc, at.Sub(r.epoch).Microseconds())
		r.pending = true
	}
	repaired := false
	if x.apt[p.payload] != 0 {
		if len(p.body) < 2 {
			r.padding++
			return
		}
		p.payload, p.ssrc, p.sequence, p.body = x.apt[p.payload], r.repairs[p.ssrc], binary.BigEndian.Uint16(p.body), p.body[2:]
		if repaired = true; p.ssrc == 0 {
			r.unknown++
			return
		}
	}
	i := r.incoming[p.ssrc]
	if i == nil {
		i = &incoming{ssrc: p.ssrc, holes: make(map[uint32]hole)}
		r.incoming[p.ssrc] = i
	}
	seq, fresh, newest := i.number(p.sequence, at)
	if len(p.body) == 0 {
		r.padding++
		return
	}
	var st stamp
	if !st.parse(p.body) {
		r.unknown++
		return
	}
	s := r.sources[string(st.name)]
	if s == nil {
		s = &received{stats: Stats{Source: string(st.name), First: at}}
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
	if !fresh {
		s.stats.Duplicates++
		return
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
	s.take(&st, at)
}

// number extends a sequence number and finds what is missing.
func (i *incoming) number(sequence uint16, at time.Time) (seq uint32, fresh, newest bool) {
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
		return seq, true, false
	}
	for n := i.highest + 1; n < seq && len(i.holes) < holesMost; n++ {
		i.holes[n] = hole{since: at}
	}
	i.highest = seq
	return seq, true, true
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

const (
	feedbackEvery = 100 * time.Millisecond
	reportEvery   = time.Second
)

// feedback tells the bridge what came and asks for what is missing.
func (x *session) feedback(now time.Time) {
	r := x.peer.receiver
	var out []rtcp.Packet
	r.mu.Lock()
	if r.pending && now.Sub(r.told) >= feedbackEvery {
		r.told, r.pending = now, false
		out = append(out, r.arrivals.BuildFeedbackPacket()...)
	}
	var reports []rtcp.ReceptionReport
	report := now.Sub(r.reported) >= reportEvery
	for _, i := range r.incoming {
		var ask []uint16
		for seq, h := range i.holes {
			switch {
			case now.Sub(h.since) > patience:
				delete(i.holes, seq)
				if i.of != nil {
					i.of.stats.Lost++
				}
			case now.Sub(h.since) >= reorder && now.Sub(h.asked) >= askAgain && h.times < 8 && x.nacks:
				h.asked = now
				h.times++
				i.holes[seq] = h
				ask = append(ask, uint16(seq))
			}
		}
		if len(ask) > 0 && i.of != nil && i.of.video {
			out = append(out, &rtcp.TransportLayerNack{SenderSSRC: x.own, MediaSSRC: i.ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers(ask)})
		}
		if report && len(reports) < 31 {
			reports = append(reports, rtcp.ReceptionReport{SSRC: i.ssrc, LastSequenceNumber: i.highest})
		}
	}
	if report {
		r.reported = now
		if len(reports) > 0 {
			out = append([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: x.own, Reports: reports}}, out...)
		}
	}
	for _, s := range r.sources {
		if s.stuck(now) {
			out = append(out, &rtcp.PictureLossIndication{SenderSSRC: x.own, MediaSSRC: s.stats.SSRC})
		}
		s.expire(now)
	}
	for ssrc, at := range r.strange {
		if now.Sub(at.since) > patience {
			r.sources[at.source].stats.Foreign += at.n
			delete(r.strange, ssrc)
		}
	}
	r.mu.Unlock()
	if len(out) > 0 {
		x.control(out...)
	}
}
