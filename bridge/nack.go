package bridge

import (
	"slices"
	"time"

	"parley/bridge/rtp"
)

const (
	missingKept = 256                    // packets of a stream that are asked for at the same time
	missingGap  = rtp.MaxGap             // more than so many lost at once: a key frame costs less
	missingFor  = time.Second            // a packet is asked for so long
	missingWait = 100 * time.Millisecond // and so often
)

// missing are the packets of one incoming stream that did not come, in order, to be asked for (RFC 4585 §6.2.1). One request
// leaves in each tick at most, so there are no more than 50 a second.
type missing struct {
	list []gap
	out  []uint16
}

type gap struct {
	seq         int64
	since, last time.Time // last is zero when it was not yet asked for
}

func (m *missing) clear() { m.list = m.list[:0] }

// lost notes that the packets from up to, but without, to did not come. It answers false when they are too many.
func (m *missing) lost(from, to int64, now time.Time) bool {
	if to-from > missingGap || len(m.list)+int(to-from) > missingKept {
		m.clear()
		return false
	}
	for ; from < to; from++ {
		m.list = append(m.list, gap{seq: from, since: now})
	}
	return true
}

// came notes that a packet came after all; it answers false when it was not missed.
func (m *missing) came(seq int64) bool {
	i, found := slices.BinarySearchFunc(m.list, seq, func(g gap, seq int64) int { return int(g.seq - seq) })
	if found {
		m.list = slices.Delete(m.list, i, i+1)
	}
	return found
}

// due are the sequence numbers to ask for now. They are valid until the next call.
func (m *missing) due(now time.Time) []uint16 {
	m.out = m.out[:0]
	m.list = slices.DeleteFunc(m.list, func(g gap) bool { return now.Sub(g.since) >= missingFor })
	for i := range m.list {
		if g := &m.list[i]; g.last.IsZero() || now.Sub(g.last) >= missingWait {
			g.last = now
			m.out = append(m.out, uint16(g.seq))
		}
	}
	return m.out
}
