package congestion

import (
	"time"

	"parley/bridge/rtp"
)

const (
	leastKept = 256             // packets that a history starts with room for
	mostKept  = 8192            // no feedback is about more (HB8)
	keptFor   = 2 * time.Second // a packet that old makes room before the history grows
)

// fate is what feedback said of a packet.
type fate uint8

const (
	unreported fate = iota
	missing         // reported as not received; may still be reported as received
	assumed         // between reports: its report was lost, and it is taken to have come
	received
)

// sent is a packet that left. 16 bytes, as a receiver has some thousands.
type sent struct {
	at    time.Duration
	total uint32 // bytes sent up to and with it, modulo 2³²
	size  uint16
	probe uint8
	fate  fate
}

// history remembers the packets that lately left, by sequence number.
type history struct {
	packets []sent // a power of two of them
	order   rtp.Sequences
	first   int64 // number of the first packet
	total   uint32
	covered int64 // the newest that feedback was about; first-1 before
}

// add takes a packet that left. A number that goes back is not taken.
func (h *history) add(p Packet) bool {
	before, started := h.order.Newest()
	if h.packets == nil {
		h.packets = make([]sent, leastKept)
	}
	n := h.order.Extend(p.Number)
	switch {
	case !started:
		h.first, h.covered = n, n-1
	case n <= before:
		return false
	case n-before > mostKept: // not a gap: the numbers began anew
		h.first, h.covered = n, n-1
		clear(h.packets)
	default:
		for gap := max(before+1, n-int64(len(h.packets))+1); gap < n; gap++ {
			*h.slot(gap) = sent{}
		}
	}
	if old := h.slot(n); old.size != 0 && old.fate == unreported && p.At-old.at < keptFor && len(h.packets) < mostKept {
		h.grow(n)
	}
	size := min(max(p.Size, 1), 1<<16-1)
	h.total += uint32(size)
	*h.slot(n) = sent{at: p.At, total: h.total, size: uint16(size), probe: p.Probe}
	return true
}

func (h *history) slot(n int64) *sent { return &h.packets[n&int64(len(h.packets)-1)] }

// grow doubles the room before packet n is taken.
func (h *history) grow(n int64) {
	old := *h
	h.packets = make([]sent, 2*len(old.packets))
	for i := max(n-int64(len(old.packets)), h.first); i < n; i++ {
		*h.slot(i) = *old.slot(i)
	}
}

// number extends one of feedback: the nearest to the newest that was sent.
func (h *history) number(seq uint16) int64 {
	newest, _ := h.order.Newest()
	return newest + int64(int16(seq-uint16(newest)))
}

// find is the n-th packet, nil when it was not sent or is forgotten.
func (h *history) find(n int64) *sent {
	newest, ok := h.order.Newest()
	if !ok || n > newest || n < h.first || n <= newest-int64(len(h.packets)) {
		return nil
	}
	if p := h.slot(n); p.size != 0 {
		return p
	}
	return nil
}

// waiting is when the oldest packet left that is newer than all that feedback was about; false when there is none.
func (h *history) waiting() (at time.Duration, ok bool) {
	newest, started := h.order.Newest()
	if !started || h.covered >= newest {
		return 0, false
	}
	for n := max(h.covered+1, newest-int64(len(h.packets))+1); n <= newest; n++ {
		if p := h.slot(n); p.size != 0 {
			return p.at, true
		}
	}
	return 0, false
}

// told is when the newest packet left that feedback was about.
func (h *history) told() time.Duration {
	if p := h.find(h.covered); p != nil {
		return p.at
	}
	return 0
}
