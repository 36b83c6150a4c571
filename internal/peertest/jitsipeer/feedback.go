package jitsipeer

import (
	"math"
	"slices"
	"time"

	"github.com/pion/rtcp"
)

// What Chromium's receiver does: transport-wide feedback takes 5 % of the bitrate, and comes each 50 to 250 ms; a missing packet
// is asked for at once, unless packets were overtaken lately, and then once a round trip until a later frame could be decoded
// without it; a key frame is asked for when one is
// needed and none comes, or when nothing could be shown for 3 s.
const (
	feedbackLeast = 50 * time.Millisecond
	feedbackFirst = 100 * time.Millisecond // until the bitrate is known
	feedbackMost  = 250 * time.Millisecond
	feedbackSize  = 68   // bytes of a datagram, about
	feedbackShare = 0.05 // of the bitrate
	reportEvery   = time.Second
	roundTrip     = 100 * time.Millisecond // until one was measured
	askAgain      = 20 * time.Millisecond  // not sooner, however short the round trip is
	askMost       = 10                     // times
)

// feedbackEvery is the time from one transport-wide feedback to the next.
func feedbackEvery(rate float64) time.Duration {
	if rate <= 0 {
		return feedbackFirst
	}
	return min(max(time.Duration(float64(time.Second)*8*feedbackSize/(feedbackShare*rate)), feedbackLeast), feedbackMost)
}

// missing are the packets to ask for now. The caller holds mu.
func (r *receiver) missing(i *incoming, now time.Time) (ask []uint16) {
	for seq, h := range i.holes {
		switch {
		case h.times == 0 && i.highest < h.from,
			h.times > 0 && (seq < i.settled || now.Sub(h.asked) < max(r.count.RTT, askAgain)),
			h.times >= askMost:
			continue
		}
		h.asked = now
		h.times++
		i.holes[seq] = h
		ask = append(ask, uint16(seq))
	}
	if len(ask) > 0 {
		r.count.NACKs++
		r.count.Nacked += uint64(len(ask))
	}
	return ask
}

func (x *session) nack(media uint32, list []uint16) *rtcp.TransportLayerNack {
	slices.SortFunc(list, func(a, b uint16) int { return int(int16(a - b)) })
	return &rtcp.TransportLayerNack{SenderSSRC: x.own, MediaSSRC: media, Nacks: rtcp.NackPairsFromSequenceNumbers(list)}
}

// feedback tells the bridge what came and asks for what is missing.
func (x *session) feedback(now time.Time) {
	if out := x.peer.receiver.due(x, now); len(out) > 0 {
		x.control(out...)
	}
}

// due is what is to be said now.
func (r *receiver) due(x *session, now time.Time) (out []rtcp.Packet) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pending && now.Sub(r.told) >= feedbackEvery(r.series.rate(now)) {
		r.told, r.pending = now, false
		list := r.arrivals.BuildFeedbackPacket()
		r.count.Feedbacks += uint64(len(list))
		out = append(out, list...)
	}
	if r.limit > 0 && now.Sub(r.limited) >= reportEvery {
		r.limited = now
		estimate := &rtcp.ReceiverEstimatedMaximumBitrate{SenderSSRC: x.own, Bitrate: float32(r.limit)}
		for ssrc, i := range r.incoming {
			if i.of != nil && i.of.video {
				estimate.SSRCs = append(estimate.SSRCs, ssrc)
			}
		}
		out = append(out, estimate)
	}
	var reports []rtcp.ReceptionReport
	report := now.Sub(r.reported) >= reportEvery
	for _, i := range r.incoming {
		for seq, h := range i.holes {
			if now.Sub(h.since) > patience {
				delete(i.holes, seq)
				if i.of != nil {
					i.of.stats.Lost++
				}
			}
		}
		if i.of != nil && i.of.video {
			if x.nacks {
				if ask := r.missing(i, now); len(ask) > 0 {
					out = append(out, x.nack(i.ssrc, ask))
				}
			}
			if i.flooded {
				i.flooded = false
				i.of.keyless = true
			}
		}
		if report && len(reports) < 31 && i.report.received > 0 {
			reports = append(reports, i.report.block(i.ssrc, now))
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
			r.count.PLIs++
			out = append(out, &rtcp.PictureLossIndication{SenderSSRC: x.own, MediaSSRC: s.stats.SSRC})
		}
		s.expire(now)
		if s.sound != nil {
			s.sound.advance(now)
		}
	}
	for ssrc, at := range r.strange {
		if now.Sub(at.since) > patience {
			r.sources[at.source].stats.Foreign += at.n
			delete(r.strange, ssrc)
		}
	}
	return out
}

// reception is what a report block says of an SSRC (RFC 3550 §6.4.1, §A.3, §A.8). Retransmissions are of another SSRC and
// repair nothing here.
type reception struct {
	first, highest uint32 // extended sequence numbers
	received       uint32
	expectedBefore uint32 // at the last report
	receivedBefore uint32
	transit        uint32
	jitter         float64 // ticks
	last           uint32  // the middle of the NTP time of the newest sender report
	lastAt         time.Time
}

func (r *reception) take(seq, stamp, clock uint32, at time.Time) {
	transit := uint32(at.Unix())*clock + uint32(int64(at.Nanosecond())*int64(clock)/1e9) - stamp
	if r.received == 0 {
		r.first, r.highest = seq, seq
	} else {
		r.jitter += (math.Abs(float64(int32(transit-r.transit))) - r.jitter) / 16
	}
	r.highest = max(r.highest, seq)
	r.transit = transit
	r.received++
}

// block reports, once: the fraction is of what came since the last one.
func (r *reception) block(ssrc uint32, now time.Time) rtcp.ReceptionReport {
	expected := r.highest - r.first + 1
	b := rtcp.ReceptionReport{SSRC: ssrc, LastSequenceNumber: r.highest - 1<<16, Jitter: uint32(r.jitter)}
	if lost := int32(expected - r.received); lost > 0 {
		b.TotalLost = min(uint32(lost), 1<<23-1)
	}
	if span, lost := expected-r.expectedBefore, int32(expected-r.expectedBefore-(r.received-r.receivedBefore)); lost > 0 {
		b.FractionLost = uint8(min(uint32(lost)<<8/span, 255))
	}
	r.expectedBefore, r.receivedBefore = expected, r.received
	if !r.lastAt.IsZero() {
		b.LastSenderReport, b.Delay = r.last, uint32(now.Sub(r.lastAt)*(1<<16)/time.Second)
	}
	return b
}

// reports takes the sender reports of the bridge and what it says of our packets, for the round trip.
func (r *receiver) reports(sender *rtcp.SenderReport, of []rtcp.ReceptionReport, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if sender != nil {
		if i := r.incoming[sender.SSRC]; i != nil {
			i.report.last, i.report.lastAt = uint32(sender.NTPTime>>16), at
		}
	}
	for _, b := range of {
		if b.LastSenderReport == 0 {
			continue
		}
		trip := time.Duration(int32(uint32(ntp(at)>>16)-b.LastSenderReport-b.Delay)) * time.Second >> 16
		if trip = max(trip, 0); trip < 10*time.Second {
			if !r.measured {
				r.measured, r.count.RTT = true, trip
			}
			r.count.RTT += (trip - r.count.RTT) / 4
		}
	}
}
