package bridge

import (
	"time"

	"parley/bridge/congestion"
	"parley/bridge/rtp"
)

// reception is what a receiver report says of one incoming stream (RFC 3550 §6.4.1, §A.3, §A.8).
type reception struct {
	active           bool
	base, highest    int64
	received         int64
	expected, before int64 // expected and received at the last report
	jitter           int64 // ticks, 4 bits of fraction
	transit          int64
	anyTransit       bool
	delay            delay
	rows             int64 // packets that were missing in rows, when the one behind them came
	judged           tally // at the last judgement
	lastSR           uint32
	lastSRAt         time.Time
}

func (r *reception) begin(seq int64) {
	*r = reception{active: true, base: seq, highest: seq, lastSR: r.lastSR, lastSRAt: r.lastSRAt}
}

// take counts a packet that came at a time in ticks of the stream's clock.
func (r *reception) take(seq int64, timestamp uint32, arrival int64) {
	r.received++
	if gap := seq - r.highest - 1; gap >= congestion.RowLeast {
		r.rows += gap
	}
	r.highest = max(r.highest, seq)
	transit := arrival - int64(timestamp)
	if r.anyTransit {
		d := int64(int32(transit - r.transit))
		if d < 0 {
			d = -d
		}
		r.jitter += d - (r.jitter+8)>>4
	}
	r.transit, r.anyTransit = transit, true
	r.delay.take(int64(int32(transit)))
}

// tally counts what there was of the stream.
func (r *reception) tally() tally {
	total := r.highest - r.base + 1
	return tally{total, total - r.received, r.rows}
}

// block is the report since the last one.
func (r *reception) block(ssrc uint32, now time.Time) rtp.ReportBlock {
	total := r.highest - r.base + 1
	expected, received := total-r.expected, r.received-r.before
	r.expected, r.before = total, r.received
	b := rtp.ReportBlock{
		SSRC: ssrc, Highest: uint32(r.highest - 1<<16), Jitter: uint32(min(max(r.jitter>>4, 0), 1<<31)),
		Lost: int32(min(max(total-r.received, -1<<23), 1<<23-1)),
	}
	if lost := expected - received; expected > 0 && lost > 0 {
		b.Fraction = uint8(min(lost<<8/expected, 255))
	}
	if !r.lastSRAt.IsZero() {
		b.LastSR = r.lastSR
		b.Delay = uint32(now.Sub(r.lastSRAt) * 65536 / time.Second)
	}
	return b
}
