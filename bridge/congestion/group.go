package congestion

import "time"

const (
	groupSpan   = 5 * time.Millisecond   // packets that left within it are one group (draft-ietf-rmcat-gcc-02 §5.2)
	burstGap    = 5 * time.Millisecond   // packets that come closer than that after a pause on the way are one group, too
	burstSpan   = 100 * time.Millisecond // at most
	clockJump   = 3 * time.Second        // more than that between two groups is no queue but another clock
	backwardMax = 3                      // groups that came before the one sent earlier; then it is the clock
)

// group is packets that left together. The zero group is empty.
type group struct {
	first, last  time.Duration // sent
	begun, ended time.Duration // arrived
	packets      int
}

// groups measures how the time between groups changes on the way.
type groups struct {
	before, now group
	backward    int
}

// add takes a packet that arrived, in order of sending. When it opens a group, the two before are compared: what lay between
// them when sent and when they came.
func (g *groups) add(sent, arrived time.Duration) (between, came time.Duration, ok bool) {
	switch {
	case g.now.packets == 0:
		g.now = group{first: sent, last: sent, begun: arrived, ended: arrived, packets: 1}
		return 0, 0, false
	case sent < g.now.first:
		return 0, 0, false
	case sent-g.now.first < groupSpan || g.burst(sent, arrived):
		g.now.last = max(g.now.last, sent)
		g.now.ended = max(g.now.ended, arrived)
		g.now.packets++
		return 0, 0, false
	}
	if g.before.packets > 0 {
		between, came, ok = g.now.last-g.before.last, g.now.ended-g.before.ended, true
		switch {
		case came-between > clockJump || between-came > clockJump:
			ok = false
			g.reset()
		case came < 0:
			ok = false
			if g.backward++; g.backward >= backwardMax {
				g.reset()
			}
		default:
			g.backward = 0
		}
	}
	g.before = g.now
	g.now = group{first: sent, last: sent, begun: arrived, ended: arrived, packets: 1}
	return between, came, ok
}

// burst says that a packet waited behind the group on the way, as behind a radio that pauses, and came out with it. Such
// packets tell nothing about a queue that grows.
func (g *groups) burst(sent, arrived time.Duration) bool {
	gap := arrived - g.now.ended
	return gap <= burstGap && gap < sent-g.now.last && arrived-g.now.begun < burstSpan
}

func (g *groups) reset() { *g = groups{} }
