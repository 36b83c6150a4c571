package rtp

import (
	"encoding/binary"
	"time"
)

const (
	arrivalsKept = 2048 // packets that are remembered for feedback
	reportedMax  = 512  // packets that one feedback is about
)

// Arrivals remembers when packets of one transport came, and builds transport-wide feedback of them.
type Arrivals struct {
	ticks  [arrivalsKept]int64 // by extended sequence number; negative: did not come
	order  Sequences
	from   int64 // first that was not reported
	number uint8 // of the next feedback packet
}

// Record takes the arrival of a packet, at a time since any moment that stays the same. A packet that comes after it was
// reported as missing is reported again, with all that came since.
func (a *Arrivals) Record(seq uint16, at time.Duration) {
	before, started := a.order.Newest()
	n := a.order.Extend(seq)
	switch {
	case !started:
		for i := range a.ticks {
			a.ticks[i] = -1
		}
		a.from = n
	case n > before:
		for gap := max(before+1, n-arrivalsKept+1); gap <= n; gap++ {
			a.ticks[gap&(arrivalsKept-1)] = -1
		}
		a.from = max(a.from, n-arrivalsKept+1)
	case n <= before-arrivalsKept:
		return
	default:
		if a.ticks[n&(arrivalsKept-1)] >= 0 {
			return
		}
		a.from = min(a.from, n)
	}
	a.ticks[n&(arrivalsKept-1)] = int64(max(at, 0) / tick)
}

// Append appends one feedback packet of at most size bytes (at least 32 are assumed) about what came since the last one. It
// is called until there is no more.
func (a *Arrivals) Append(dst []byte, sender, media uint32, size int) (out []byte, more bool) {
	newest, started := a.order.Newest()
	if !started || a.from > newest {
		return dst, false
	}
	var symbol [reportedMax]uint8
	var delta [reportedMax]int16
	first := a.from // that was received; the newest always was
	for a.ticks[first&(arrivalsKept-1)] < 0 {
		first++
	}
	base := a.ticks[first&(arrivalsKept-1)] / reference
	last := base * reference
	count, bytes := 0, 0
	size = max(size, 32) - 20 - 3 // the head and what the padding takes
	for n := a.from; n <= newest && count < reportedMax; n++ {
		s := notReceived
		if t := a.ticks[n&(arrivalsKept-1)]; t >= 0 {
			d := t - last
			if d != int64(int16(d)) {
				break
			}
			s = largeDelta
			if d >= 0 && d <= 255 {
				s = smallDelta
			}
			delta[count], last = int16(d), t
		}
		if bytes+s+2*(count/7+1) > size {
			break
		}
		symbol[count] = uint8(s)
		bytes += s
		count++
	}
	start := len(dst)
	dst = appendFeedback(dst, FormatTransportCC, TypeTransport, 5, sender, media)
	dst = binary.BigEndian.AppendUint16(dst, uint16(a.from))
	dst = binary.BigEndian.AppendUint16(dst, uint16(count))
	dst = binary.BigEndian.AppendUint32(dst, uint32(base)<<8|uint32(a.number))
	dst = appendChunks(dst, symbol[:count])
	for i, s := range symbol[:count] {
		switch s {
		case smallDelta:
			dst = append(dst, byte(delta[i]))
		case largeDelta:
			dst = binary.BigEndian.AppendUint16(dst, uint16(delta[i]))
		}
	}
	for (len(dst)-start)%4 != 0 {
		dst = append(dst, 0) // without the padding bit, which only the last packet of a compound may have
	}
	binary.BigEndian.PutUint16(dst[start+2:], uint16((len(dst)-start)/4-1))
	a.from += int64(count)
	a.number++
	return dst, a.from <= newest
}

// appendChunks appends the packet status chunks (§3.1.3, §3.1.4): runs where they are longer than a vector would be.
func appendChunks(dst []byte, symbols []uint8) []byte {
	for len(symbols) > 0 {
		run, narrow := 1, 0
		for run < len(symbols) && run < 0x1fff && symbols[run] == symbols[0] {
			run++
		}
		for narrow < min(len(symbols), 14) && symbols[narrow] < largeDelta {
			narrow++
		}
		var chunk uint16
		var n int
		switch {
		case run >= 14 || run == len(symbols) || symbols[0] == largeDelta && run >= 7:
			n = run
			chunk = uint16(symbols[0])<<13 | uint16(n)
		case narrow == min(len(symbols), 14):
			n = narrow
			chunk = 2 << 14
			for i, s := range symbols[:n] {
				chunk |= uint16(s) << (13 - i)
			}
		default:
			n = min(len(symbols), 7)
			chunk = 3 << 14
			for i, s := range symbols[:n] {
				chunk |= uint16(s) << (12 - 2*i)
			}
		}
		dst = binary.BigEndian.AppendUint16(dst, chunk)
		symbols = symbols[n:]
	}
	return dst
}
