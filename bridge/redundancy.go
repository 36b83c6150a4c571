package bridge

import (
	"slices"
	"time"

	"parley/bridge/rtp"
	"parley/bridge/udp"
)

const (
	redundancyMost = 3                // packets of audio before one that it carries once more
	redundancySize = 1000             // bytes of a packet of audio with what is added to it
	redundancyFor  = 10 * time.Second // what was added stays so long after the loss
	redundancyPart = 2                // audio with what is added is no more than one part in so many of the way: people rather hear than see
	redundancySoon = 0.1              // of everything lost is known from transport-wide feedback before the client reports about audio
)

// redundancyAt is the loss, in packets of 256, from which so many packets more are carried.
var redundancyAt = [redundancyMost]uint8{5, 15, 30}

// redundancy is what a receiver with RED gets of audio in addition (RFC 2198): nothing while it loses nothing. egress.mu guards it.
type redundancy struct {
	count   int
	since   time.Time // when there was as much loss last
	earlier [redundancyMost]rtp.Earlier
	payload []byte
}

// lossy takes what a receiver lost, of 256 packets; room is what its way can carry and used what audio takes of it, in bits per
// second, 0 if that is not known.
func (r *redundancy) lossy(now time.Time, loss uint8, room, used int64) {
	count := 0
	for count < redundancyMost && loss >= redundancyAt[count] {
		count++
	}
	for count > 0 && room > 0 && used/int64(1+r.count)*int64(1+count)*redundancyPart > room {
		count--
	}
	if count >= r.count || now.Sub(r.since) >= redundancyFor {
		r.count, r.since = count, now
	}
}

// spoken are the newest packets of one stream of audio. Its stream's mutex guards it.
type spoken struct {
	ring [redundancyMost + 1]*udp.Buffer
	next int
}

func (s *spoken) put(buffer *udp.Buffer) {
	if old := s.ring[s.next]; old != nil {
		old.Release()
	}
	buffer.Retain()
	s.ring[s.next] = buffer
	s.next = (s.next + 1) % len(s.ring)
}

func (s *spoken) clear() {
	for i, b := range s.ring {
		if b != nil {
			b.Release()
			s.ring[i] = nil
		}
	}
}

// red writes p's payload with those before it, and returns nil when there are none.
func (r *redundancy) red(p *packet, payloadType uint8) []byte {
	st := p.stream
	st.mu.Lock()
	defer st.mu.Unlock()
	earlier := r.earlier[:0]
	room := redundancySize - len(p.Payload())
	for back := 1; back <= r.count; back++ {
		n := len(st.spoken.ring)
		buffer := st.spoken.ring[(st.spoken.next-1-back+2*n)%n] // the newest is p
		var old rtp.Packet
		if buffer == nil || old.Parse(buffer.Bytes) != nil || old.PayloadType() != p.payload {
			continue
		}
		if room -= len(old.Payload()); room < 0 {
			break
		}
		earlier = append(earlier, rtp.Earlier{Timestamp: old.Timestamp(), Data: old.Payload()})
	}
	slices.Reverse(earlier)
	if len(earlier) == 0 {
		return nil
	}
	r.payload = rtp.AppendRED(r.payload[:0], payloadType, p.Timestamp(), p.Payload(), earlier)
	return r.payload
}

// reports takes receiver reports about what the bridge sends. Those about audio say what is to be added to it.
func (e *Endpoint) reports(c *rtp.Control, at time.Time) {
	out := &e.out
	out.mu.Lock()
	defer out.mu.Unlock()
	worst, heard := uint8(0), false
	for i := range c.Reports() {
		r, ok := c.Report(i)
		if s := out.slots[r.SSRC]; ok && s != nil && !s.video && s.want.on {
			worst, heard = max(worst, r.Fraction), true
		}
	}
	if d := &out.downlink; heard {
		out.redundancy.lossy(at, max(worst, uint8(min(d.state.Loss*256, 255))), d.rate(), d.voice.rate(at))
	}
}
