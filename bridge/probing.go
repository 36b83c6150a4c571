package bridge

import (
	"cmp"
	"time"

	"parley/bridge/congestion"
	"parley/bridge/rtp"
	"parley/bridge/udp"
)

const (
	probeFor    = 200 * time.Millisecond // a probe takes no longer
	paddingMost = 255                    // bytes of RFC 3550 §5.1
	paddingSeen = 64                     // packets back that are sent again to probe
)

// probing is a probe that is being sent: the rate is raised for a moment, by what waits, by what was sent before, and by padding.
type probing struct {
	on      bool
	ask     congestion.Probe
	done    uint8 // ID of the last one
	begun   time.Time
	at      time.Time
	credit  int64 // bits that may leave now
	packets int   // that have left, the first and the last at
	first   time.Time
	last    time.Time
}

// mark takes a packet that leaves and returns what it is marked with.
func (p *probing) mark(now time.Time) uint8 {
	if !p.on {
		return 0
	}
	if p.packets++; p.packets == 1 {
		p.first = now
	}
	p.last = now
	return p.ask.ID
}

// begin takes what the estimator asks for, and reports that it is a new probe.
func (p *probing) begin(ask congestion.Probe) bool {
	if ask.ID == 0 || ask.ID == p.done || p.on && ask.ID == p.ask.ID {
		return false
	}
	*p = probing{on: true, ask: ask, done: p.done}
	return true
}

// tick gives out what may leave in this tick, and ends the probe when it has done its work.
func (p *probing) tick(now time.Time) {
	if p.begun.IsZero() {
		p.begun, p.at = now.Add(-paceTick), now.Add(-paceTick)
	}
	p.credit = min(p.credit+int64(p.ask.Rate)*int64(now.Sub(p.at))/int64(time.Second), 2*int64(p.ask.Rate)*int64(paceTick)/int64(time.Second))
	p.at = now
	if p.last.Sub(p.first) >= p.ask.For && p.packets >= p.ask.Packets || now.Sub(p.begun) > probeFor {
		p.on, p.done = false, p.ask.ID
	}
}

// fill sends again what was sent, and padding, until the probe has what it needs in this tick. The caller holds mu.
func (o *egress) fill(b *udp.Batch, leg Leg, d *dialect) {
	p := &o.pacer.probe
	s := o.filler()
	if s == nil {
		for n := 0; p.credit > 0 && n < paddingSeen; n++ {
			if !o.blank(b, leg, d) {
				p.on, p.done = false, p.ask.ID // there is nothing to probe with
				return
			}
		}
		return
	}
	for back := uint16(1); s.rtx != 0 && p.credit > 0 && back < paddingSeen; back++ {
		if size := s.repair(b, leg, d, s.order.Next()-back); size > 0 {
			o.downlink.probes.take(b.Now, size)
		}
	}
	for n := 0; p.credit > 0 && n < paddingSeen && s.pad(b, leg, d); n++ {
	}
}

// blank sends a packet of padding on the bridge's own SSRC of video, which receivers know that choose no SSRCs for it, as JVB does
// before it has sent them any media.
func (o *egress) blank(b *udp.Batch, leg Leg, d *dialect) bool {
	payload := cmp.Or(d.payload[vp8], d.payload[vp9], d.payload[av1], d.payload[h264])
	if d.single || d.videoSSRC == 0 || o.slots[d.videoSSRC] != nil || payload == 0 {
		return false
	}
	room := leg.Reserve(paddingMost + growth)
	if room == nil {
		return false
	}
	h := &o.header
	*h = rtp.Header{PayloadType: payload, SSRC: d.videoSSRC, Descriptor: noDescriptor, AbsSendTime: rtp.SendTime(b.Now),
		Sequence: o.blanks, TransportCC: o.sequence}
	w, err := d.rewrite.WritePadding(room, h, paddingMost)
	if err != nil {
		leg.Commit(b, 0, h.SSRC, false)
		return false
	}
	o.blanks++
	o.depart(b, leg, &w, h.SSRC, true)
	return true
}

// filler is a slot whose packets can be sent again, or at least one that has sent something, or else one on whose SSRC of
// retransmissions padding can go: the first picture may be what there is to be found room for.
func (o *egress) filler() (best *slot) {
	var fresh *slot
	for _, s := range o.video {
		switch {
		case !s.sent:
			if fresh == nil && s.rtx != 0 && s.source != nil && s.want.on && !s.doubtful {
				fresh = s
			}
		case s.current != nil && s.rtx != 0:
			return s
		case best == nil || best.rtx == 0 && s.rtx != 0 || best.rtx == 0 && s.whole && !best.whole:
			best = s
		}
	}
	if best == nil {
		best = fresh
	}
	return best
}

// pad sends a packet of padding: on the SSRC of the slot's retransmissions, or where there is none in between two frames.
func (s *slot) pad(b *udp.Batch, leg Leg, d *dialect) bool {
	out, h := &s.receiver.out, &s.receiver.out.header
	again := d.rtx[s.payload]
	if !s.sent {
		again = d.padding
	}
	*h = rtp.Header{PayloadType: again, SSRC: s.rtx, MID: s.mid, Descriptor: noDescriptor, AbsSendTime: rtp.SendTime(b.Now),
		Sequence: s.repairs, Timestamp: s.order.Newest(), TransportCC: out.sequence}
	media := s.rtx == 0 || h.PayloadType == 0
	if media && (!s.whole || s.payload == 0) {
		return false
	}
	room := leg.Reserve(paddingMost + growth)
	if room == nil {
		return false
	}
	if media {
		place := s.order.Fill()
		h.PayloadType, h.SSRC, h.Sequence, h.Timestamp = s.payload, s.ssrc, place.Sequence, place.Timestamp
	} else {
		s.repairs++
		s.padded = s.padded || !s.sent
	}
	w, err := d.rewrite.WritePadding(room, h, paddingMost)
	if err != nil {
		leg.Commit(b, 0, h.SSRC, false)
		return false
	}
	out.depart(b, leg, &w, h.SSRC, true)
	return true
}
