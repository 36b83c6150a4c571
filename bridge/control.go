package bridge

import (
	"time"

	"parley/bridge/rtp"
	"parley/bridge/udp"
	"parley/internal/limit"
)

// What RTCP of one endpoint may cost (HB8).
var (
	controlRate = limit.Rate{PerSecond: 300, Burst: 300}       // compounds
	nackRate    = limit.Rate{PerSecond: 100, Burst: 100}       // NACKs about one SSRC: browsers look every 20 ms for what is missing
	toldRate    = limit.Rate{PerSecond: 20_000, Burst: 20_000} // packets that transport-wide feedback is about
	repairRate  = limit.Rate{PerSecond: 1000, Burst: 500}      // retransmissions
)

type controlBudget struct{ control, told, repair limit.Bucket }

func (c *controlBudget) reset() {
	c.control = limit.NewBucket(controlRate)
	c.told, c.repair = limit.NewBucket(toldRate), limit.NewBucket(repairRate)
}

// wildClock is by how much the time of a sender report may differ from that of the media (HB8).
const wildClock = 10 * time.Second

// RTCP takes a compound of the endpoint's client, decrypted and valid during the call. Goodbyes end
// here, as do receiver reports, which say how much audio is lost, and REMB, which is a limit to clients without transport-wide feedback.
func (e *Endpoint) RTCP(b *udp.Batch, compound []byte, at time.Time) {
	walk, err := rtp.ParseCompound(compound)
	e.out.mu.Lock()
	allowed := err == nil && e.out.budget.control.Allow(at, 1)
	e.out.mu.Unlock()
	if !allowed {
		e.drop(DropControl)
		return
	}
	e.heard.Store(int64(at.Sub(e.epoch)))
	var c rtp.Control
	for walk.Next(&c) {
		switch c.Type {
		case rtp.TypeSenderReport:
			if r, ok := c.SenderReport(); ok {
				e.senderReport(b, r, at)
			}
			e.reports(&c, at)
		case rtp.TypeReceiverReport:
			e.reports(&c, at)
		case rtp.TypeTransport:
			if c.Count == rtp.FormatNACK {
				e.nack(b, &c, at)
			}
			if f, ok := c.TransportCC(); ok {
				e.report(&f, at)
			}
		case rtp.TypePayload:
			if ssrc, ok := c.PLI(); ok {
				e.wantsKey(b, ssrc)
			}
			if r, ok := c.REMB(); ok {
				e.out.mu.Lock()
				e.out.downlink.remb = int64(min(r.Bitrate, downlinkMost))
				e.out.mu.Unlock()
			}
			for i := range c.FIRs() {
				if ssrc, _, ok := c.FIR(i); ok {
					e.wantsKey(b, ssrc)
				}
			}
		}
	}
}

// report takes transport-wide feedback. The rate is of the whole transport.
func (e *Endpoint) report(f *rtp.TransportFeedback, at time.Time) {
	out := &e.out
	out.mu.Lock()
	defer out.mu.Unlock()
	if !out.budget.told.Allow(at, float64(f.Count)) {
		e.drop(DropControl)
		return
	}
	d := &out.downlink
	d.report(f, at)
	out.pacer.rate = d.pace()
	if d.heard && out.pacer.probe.begin(d.state.Probe) {
		e.pace()
	}
}

// nack answers a NACK from the stores. They keep video only: NACK is not offered for audio, which is repaired by the codec's FEC
// or by RED, and of which a retransmission would come too late more often than not.
func (e *Endpoint) nack(b *udp.Batch, c *rtp.Control, at time.Time) {
	leg, d := e.ready()
	_, media, ok := c.Feedback()
	if leg == nil || !ok {
		return
	}
	out := &e.out
	out.mu.Lock()
	defer out.mu.Unlock()
	s := out.slots[media]
	if s == nil || !s.video || s.paused { // it goes on with a key frame
		return
	}
	if s.again == nil {
		s.again, s.nacks = new(again), limit.NewBucket(nackRate)
	}
	if !s.nacks.Allow(at, 1) {
		e.drop(DropControl)
		return
	}
	again, down := s.again, &out.downlink
	copies := 1
	if down.random() >= twiceLoss {
		copies = 2
	}
	nacks := c.Nacks()
	for seq, ok := nacks.Next(); ok; seq, ok = nacks.Next() {
		if !again.asked(seq, at, down.roundTrip()) {
			continue
		}
		for range copies {
			if !out.budget.repair.Allow(at, 1) {
				e.drop(DropControl)
				return
			}
			if !down.spare.take(at, down.rate(), down.random(), repairSize) {
				break
			}
			size := s.repair(b, leg, d, seq)
			if size == 0 {
				break
			}
			down.extra.take(at, 0, size)
		}
	}
}

// wantsKey takes a PLI or FIR for a slot.
func (e *Endpoint) wantsKey(b *udp.Batch, ssrc uint32) {
	e.out.mu.Lock()
	s := e.out.slots[ssrc]
	var src *source
	var index int
	if s != nil && s.video && s.source != nil && s.want.on {
		src, index = s.source, s.want.stream
		if s.current != nil {
			index = s.current.index
		}
	}
	e.out.mu.Unlock()
	if src == nil {
		return
	}
	src.request(b, index)
}

// senderReport remembers a report for our own, and passes it on, with the timestamp moved as that of the media.
func (e *Endpoint) senderReport(b *udp.Batch, r rtp.SenderReport, at time.Time) {
	in := &e.in
	in.mu.Lock()
	defer in.mu.Unlock()
	of, ok := in.table[r.SSRC]
	if !ok {
		e.drop(DropSource)
		return
	}
	s := of.stream
	if of.repair || !s.started || at.Sub(s.reported) < reportEvery {
		return
	}
	s.reported = at
	s.reception.lastSR, s.reception.lastSRAt = rtp.Compact(r.NTP), at
	if away := int64(int32(r.Timestamp - s.timestamp)); s.clock != 0 &&
		(away > int64(rtp.Ticks(wildClock, s.clock)) || away < -int64(rtp.Ticks(wildClock, s.clock))) {
		e.drop(DropControl)
		return
	}
	for _, to := range *s.source.slots.Load() {
		to.report(b, s.id, r)
	}
}

// report passes a sender report of a stream on to the slot's receiver.
func (s *slot) report(b *udp.Batch, id uint32, r rtp.SenderReport) {
	leg, d := s.receiver.ready()
	if leg == nil {
		return
	}
	out := &s.receiver.out
	out.mu.Lock()
	defer out.mu.Unlock()
	if s.current == nil || s.currentID != id || s.clock == 0 || out.closed {
		return
	}
	r.SSRC, r.Timestamp, r.Packets, r.Octets = s.ssrc, r.Timestamp+s.shift, s.packets, s.octets
	cname := s.source.owner.Member
	if d.single && !d.chosen {
		cname = s.own(&r, b.Now)
	}
	out.report = rtp.AppendSenderReport(out.report[:0], r, nil)
	out.report = rtp.AppendCNAME(out.report, s.ssrc, cname)
	leg.RTCP(b, out.report)
}
