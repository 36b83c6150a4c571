package bridge

import "time"

// mostTrails is how many SSRCs whose slots have gone are remembered for one receiver. The oldest is forgotten first: if
// it comes back after all, the transport refuses what would repeat a sequence number.
const mostTrails = 1024

// trail is where an SSRC towards one receiver stood when its slot went. When it comes back within the session of the transport
// it goes on there, as a screen share does that Chromium ends and begins again: a sequence number that was used twice under one
// key would have one keystream twice (RFC 3711 §9.1, RFC 7714 §8.4), and a receiver drops what seems to lie behind.
type trail struct {
	next            uint16 // sequence number
	newest          uint32 // timestamp; not of a retransmission's SSRC, nor what follows
	at              time.Time
	packets, octets uint32
	left            uint64 // when, in egress.uses
}

// leave takes a slot away. The caller holds mu.
func (o *egress) leave(s *slot) {
	s.point(nil)
	o.pacer.purge(s)
	delete(o.slots, s.ssrc)
	if s.sent {
		o.remember(s.ssrc, trail{next: s.order.Next(), newest: s.order.Newest(), at: s.sentAt, packets: s.packets, octets: s.octets})
	}
	if s.rtx != 0 && (s.sent || s.padded) {
		o.remember(s.rtx, trail{next: s.repairs})
	}
}

func (o *egress) remember(ssrc uint32, t trail) {
	o.uses++
	t.left = o.uses
	o.trails[ssrc] = t
	if len(o.trails) <= mostTrails {
		return
	}
	for other, old := range o.trails {
		if old.left < t.left {
			ssrc, t = other, old
		}
	}
	delete(o.trails, ssrc)
}
