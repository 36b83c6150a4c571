package bridge

import "time"

const (
	againMost  = 256
	againLeast = 30 * time.Millisecond
	repairSize = 1000 // bytes of a retransmission, about
	twiceLoss  = 0.04 // lost by chance; from there on a retransmission goes out twice, since asking again takes another round trip
)

// again remembers what was sent again lately: what is still on its way is not sent once more, however often it is asked for.
// egress.mu guards it.
type again [againMost]struct {
	seq uint16
	at  time.Time
}

// asked takes a request for a packet, and answers false if it was sent again less than a round trip ago.
func (a *again) asked(seq uint16, now time.Time, rtt time.Duration) bool {
	k := &a[int(seq)%againMost]
	if k.seq == seq && !k.at.IsZero() && now.Sub(k.at) < max(rtt, againLeast) {
		return false
	}
	k.seq, k.at = seq, now
	return true
}
