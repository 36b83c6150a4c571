package rtp

import (
	"math/bits"
	"time"
)

const ntpUnix = 2208988800 // seconds from 1900 to 1970

// NTP is t as a 64-bit NTP timestamp (RFC 3550 §4).
func NTP(t time.Time) uint64 {
	seconds := uint64(t.Unix() + ntpUnix)
	return seconds<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}

// Compact is the middle 32 bits of an NTP timestamp, in units of 1/65536 s: what LSR holds (RFC 3550 §6.4.1).
func Compact(ntp uint64) uint32 { return uint32(ntp >> 16) }

// SendTime is t in the units of abs-send-time.
func SendTime(t time.Time) uint32 { return uint32(NTP(t)>>14) & 0xffffff }

// longestRoundTrip is what is believed at most of a report's round trip (HB8).
const longestRoundTrip = 10 * time.Second

// RoundTrip computes the round trip of a report block (RFC 3550 §6.4.1) that arrived at the compact time now. It answers
// false when the block has no LSR or when the times make no sense.
func (r ReportBlock) RoundTrip(now uint32) (time.Duration, bool) {
	if r.LastSR == 0 {
		return 0, false
	}
	trip := int64(int32(now - r.LastSR - r.Delay))
	if trip < 0 {
		// The clocks of two machines round differently: a little less than nothing is nothing.
		if trip > -66 {
			return 0, true
		}
		return 0, false
	}
	d := time.Duration(trip) * time.Second >> 16
	return d, d <= longestRoundTrip
}

// Ticks is a time in units of an RTP clock of so many ticks per second. It is cut at what 32 bits hold.
func Ticks(d time.Duration, clock uint32) uint32 {
	if d <= 0 {
		return 0
	}
	high, low := bits.Mul64(uint64(d), uint64(clock))
	if high >= uint64(time.Second) {
		return 1<<32 - 1
	}
	n, _ := bits.Div64(high, low, uint64(time.Second))
	return uint32(min(n, 1<<32-1))
}
