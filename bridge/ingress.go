package bridge

import (
	"sync"
	"time"

	"parley/bridge/rtp"
	"parley/bridge/rtp/codec"
	"parley/bridge/udp"
	"parley/internal/limit"
)

// packetRate is what one endpoint may send (HB9).
var packetRate = limit.Rate{PerSecond: 5000, Burst: 5000}

// ingress is what comes in from one endpoint.
type ingress struct {
	mu       sync.Mutex // guards what follows, and the streams of the endpoint
	table    map[uint32]entry
	budget   limit.Bucket
	packet   packet
	red      rtp.RED
	arrivals *rtp.Arrivals // nil before the first packet with a transport-wide sequence number
	pending  bool          // some were not reported
	reported time.Time     // last transport-wide feedback
	summary  time.Time     // last receiver report
	voice    voice
	sounds   limit.Bucket // what is listened to of the endpoint
	rows     rows
	bytes    int64 // of all that was RTP

	unsignalled []finding
	out         []byte // scratch for RTCP
	blocks      []rtp.ReportBlock
}

// entry is whose an SSRC is.
type entry struct {
	stream *stream
	repair bool // it is the stream's retransmission
}

func (i *ingress) reset() {
	i.table = make(map[uint32]entry)
	i.budget = limit.NewBucket(packetRate)
	i.sounds = limit.NewBucket(soundRate)
}

// RTP takes a packet of the endpoint's client, decrypted, which came at a time with a monotonic reading. It keeps a
// reference to the buffer if it needs one, and then its bytes do not change any more.
func (e *Endpoint) RTP(b *udp.Batch, buffer *udp.Buffer, at time.Time) {
	in := &e.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.budget.Allow(at, 1) {
		e.drop(DropBudget)
		return
	}
	p := &in.packet
	if p.Parse(buffer.Bytes) != nil {
		e.drop(DropMalformed)
		return
	}
	in.bytes += int64(len(buffer.Bytes))
	since := at.Sub(e.epoch)
	e.heard.Store(int64(since))
	d := e.dialect.Load()
	p.from = d.rewrite.IDs
	if n, ok := rtp.TransportSequence(p.Extension(p.from.TransportCC)); ok && p.from.TransportCC != 0 {
		if in.arrivals == nil {
			in.arrivals = new(rtp.Arrivals)
		}
		in.arrivals.Record(n, since)
		in.rows.take(n)
		in.pending = true
	}
	of, ok := in.table[p.SSRC()]
	if !ok {
		if of, ok = in.find(p, d, at); !ok {
			e.drop(DropSource)
			return
		}
	}
	s := of.stream
	if of.repair {
		apt := d.apt[p.PayloadType()]
		if apt == 0 {
			e.drop(DropRepair)
			return
		}
		if p.Unwrap(apt, s.ssrc.Load()) != nil {
			e.drop(DropProbe)
			return
		}
		buffer.Bytes = buffer.Bytes[:copy(buffer.Bytes, p.Bytes())]
		if p.Parse(buffer.Bytes) != nil {
			e.drop(DropRepair)
			return
		}
	}
	p.payload = p.PayloadType()
	p.kind, p.clock = d.kinds[p.payload], d.clock[p.payload]
	if p.kind.video() != s.source.video || p.kind == unknown || p.kind == rtx {
		e.drop(DropPayload)
		return
	}
	e.ingest(b, s, buffer, at, of.repair)
}

// ingest takes a packet of a stream, and hands it to the slots of its source. The caller holds in.mu.
func (e *Endpoint) ingest(b *udp.Batch, s *stream, buffer *udp.Buffer, at time.Time, repair bool) {
	in, src := &e.in, s.source
	p := &in.packet
	seq, newest, ok := s.number(p.Sequence())
	if !ok {
		e.drop(DropSequence)
		return
	}
	p.stream, p.id, p.buffer, p.seq, p.newest, p.at = s, s.id, buffer, seq, newest, at
	if !repair {
		s.reception.take(seq, p.Timestamp(), int64(rtp.Ticks(at.Sub(e.epoch), p.clock)))
	}
	first := false
	step := p.Timestamp() - s.timestamp
	if newest {
		first = seq == s.highest || p.Timestamp() != s.timestamp
		if src.video && seq > s.highest+1 && !s.missing.lost(s.highest+1, seq, at) {
			src.request(b, s.index)
		}
		s.highest, s.timestamp, s.clock = seq, p.Timestamp(), p.clock
	} else if src.video && !s.missing.came(seq) && repair {
		e.drop(DropProbe)
		return
	}
	if src.forbid.Load() {
		e.drop(DropMuted)
		return
	}
	p.frame, p.deps, p.read = codec.Frame{}, nil, false // of the packet before, which was perhaps of another source
	if len(p.Payload()) == 0 {
		// A probe: it keeps its place in the sequence, and is not sent on.
	} else if src.video {
		p.describe(&s.dependency, &s.sizes, first)
		if p.starts() {
			src.arrived(s.index)
		}
		s.keep(p)
	} else {
		p.primary(&in.red, e.dialect.Load())
		if level, _, ok := rtp.AudioLevel(p.Extension(p.from.AudioLevel)); ok {
			in.voice.hear(at.Sub(e.epoch), level, step, p.clock)
		} else if newest {
			e.listen(p, step)
		}
		if newest {
			s.speak(p)
		}
	}
	for _, to := range *src.slots.Load() {
		to.forward(b, p)
	}
}
