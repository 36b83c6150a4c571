package bridge

import (
	"encoding/binary"
	"time"

	"parley/bridge/rtp"
	"parley/bridge/udp"
)

const (
	paceTick  = 5 * time.Millisecond
	paceRate  = 110                    // percent of the estimate at which what waits goes out: more makes a queue on the way of each key frame,
	paceBurst = 250                    // and in one tick, of what came after a pause
	behindFor = 200 * time.Millisecond // of the rate: where more waits, less is to come
	debtMost  = 100 * time.Millisecond // of the rate
	heldFor   = time.Second            // of the estimate's rate: more than that would come too late
	heldLeast = 64 << 10               // bytes that are held at any rate
	heldMost  = 2 << 20                // and no more than that

	// overhead is what a packet has on its way around what the bridge writes: the tag of SRTP, UDP and IP.
	overhead = 16 + 8 + 20
)

// priority is who goes first, of what waits.
type priority uint8

const (
	urgent   priority = iota // audio, which never waits
	repaired                 // what was asked for again
	ordinary                 // video
	priorities
)

// pacer spreads over time what goes out to one receiver: a queue on the way that takes 32 packets loses nothing of a key frame.
// What the rate allows leaves at once; the rest is held in the clear, and gets its transport-wide number and its key stream when
// it leaves. egress.mu guards it.
type pacer struct {
	rate   int64 // that the way carries, in bits per second; 0: nothing is known, and nothing waits
	credit int64 // bits that may leave now; below 0 it is owed
	at     time.Time
	queues [priorities]fifo
	bytes  int  // of media held
	listed bool // Bridge.Pace comes by
	probe  probing
}

// held is a packet that waits.
type held struct {
	buffer  *udp.Buffer
	written rtp.Written
	slot    *slot
	ssrc    uint32
	end     bool
}

// fifo is a queue of packets.
type fifo struct {
	list []held
	head int
}

func (f *fifo) empty() bool { return f.head == len(f.list) }

func (f *fifo) push(h held) {
	if f.head > 64 && f.head > len(f.list)/2 {
		n := copy(f.list, f.list[f.head:])
		clear(f.list[n:])
		f.list, f.head = f.list[:n], 0
	}
	f.list = append(f.list, h)
}

func (f *fifo) pop() held {
	h := f.list[f.head]
	f.list[f.head] = held{}
	f.head++
	if f.empty() {
		f.list, f.head = f.list[:0], 0
	}
	return h
}

// allows reports that a packet may leave now, before what waits.
func (p *pacer) allows(now time.Time, class priority) bool {
	if class == urgent || p.rate == 0 {
		return true
	}
	if !p.queues[repaired].empty() || class == ordinary && !p.queues[ordinary].empty() {
		return false
	}
	if p.probe.on {
		return true
	}
	p.refill(now)
	return p.credit > 0
}

func (p *pacer) refill(now time.Time) {
	passed := min(now.Sub(p.at), time.Second)
	if p.at = now; passed > 0 {
		p.credit = min(p.credit+p.rate*paceRate/100*int64(passed)/int64(time.Second), p.rate*paceBurst/100*int64(paceTick)/int64(time.Second))
	}
}

// commit sends a packet that was written to room, which the leg has reserved, or holds it. The caller holds mu.
func (o *egress) commit(b *udp.Batch, leg Leg, s *slot, room []byte, w *rtp.Written, ssrc uint32, end bool, class priority) {
	p := &o.pacer
	if p.allows(b.Now, class) {
		o.depart(b, leg, w, ssrc, end)
		return
	}
	buffer := s.receiver.bridge().held.Copy(room[:w.Size])
	leg.Commit(b, 0, ssrc, false)
	p.queues[class].push(held{buffer, *w, s, ssrc, end})
	if class == ordinary {
		p.bytes += w.Size
		if most := min(max(p.rate*int64(heldFor)/int64(time.Second)/8, heldLeast), heldMost); int64(p.bytes) > most {
			o.shed(b.Now)
		}
	}
	s.receiver.pace()
}

// depart lets a packet leave whose stamps are right. The caller holds mu.
func (o *egress) depart(b *udp.Batch, leg Leg, w *rtp.Written, ssrc uint32, end bool) {
	bits := int64(w.Size+overhead) * 8
	if p := &o.pacer; p.rate > 0 { // audio is owed for a moment, and then forgiven
		p.refill(b.Now)
		p.credit = max(p.credit-bits, -p.rate*int64(debtMost)/int64(time.Second))
	}
	o.pacer.probe.credit -= bits
	if w.TransportCC != 0 {
		o.downlink.left(b.Now, o.sequence, w.Size+overhead, o.pacer.probe.mark(b.Now), o.share.wanted)
		o.sequence++
	}
	o.bytes += int64(w.Size)
	leg.Commit(b, w.Size, ssrc, end)
}

// release lets what waits leave, as far as the rate allows. The caller holds mu.
func (o *egress) release(b *udp.Batch, leg Leg) {
	p := &o.pacer
	p.refill(b.Now)
	for class := repaired; class < priorities; class++ {
		for q := &p.queues[class]; !q.empty() && (p.credit > 0 || p.probe.on && p.probe.credit > 0); {
			h := q.pop()
			if class == ordinary {
				p.bytes -= h.written.Size
			}
			o.send(b, leg, &h)
			h.buffer.Release()
		}
	}
}

// send lets a packet leave that was held.
func (o *egress) send(b *udp.Batch, leg Leg, h *held) {
	room := leg.Reserve(h.written.Size)
	if room == nil {
		h.slot.receiver.drop(DropRoom)
		return
	}
	copy(room, h.buffer.Bytes)
	if at := h.written.AbsSendTime; at != 0 {
		rtp.PutAbsSendTime(room[at:], rtp.SendTime(b.Now))
	}
	if at := h.written.TransportCC; at != 0 {
		binary.BigEndian.PutUint16(room[at:], o.sequence)
	}
	o.depart(b, leg, &h.written, h.ssrc, h.end)
}

// shed lets go of all media that wait: they would come too late. Their slots go on with a key frame, of a lower layer as soon as
// the budget is known.
func (o *egress) shed(now time.Time) {
	p := &o.pacer
	for q := &p.queues[ordinary]; !q.empty(); {
		h := q.pop()
		h.slot.receiver.drop(DropLate)
		h.slot.stop()
		h.slot.voids(now)
		h.buffer.Release()
	}
	p.bytes = 0
}

// purge lets go of what waits for a slot; for all of them if it is nil. It reports that something did.
func (p *pacer) purge(s *slot) (some bool) {
	for class := range p.queues {
		q := &p.queues[class]
		kept := q.list[:0]
		for _, h := range q.list[q.head:] {
			if s == nil || h.slot == s {
				if priority(class) == ordinary {
					p.bytes -= h.written.Size
				}
				some = true
				h.buffer.Release()
				continue
			}
			kept = append(kept, h)
		}
		clear(q.list[len(kept):])
		q.list, q.head = kept, 0
	}
	return some
}

// voids notes that packets were let go of that have their numbers already. The receiver asks for them, and gets none of them:
// the slot goes on with a key frame, and there was no room for what is before it.
func (s *slot) voids(now time.Time) { s.void, s.voidAt = s.order.Next(), now }

// isVoid says that a number is from before that. It is so for as long as streams keep packets.
func (s *slot) isVoid(seq uint16, now time.Time) bool {
	next := s.order.Next()
	return now.Sub(s.voidAt) < storedFor && next-seq > next-s.void
}

// behind says that so much waits that less is to come for a moment: of video, what can be left out.
func (p *pacer) behind() bool {
	return p.rate > 0 && int64(p.bytes)*8 > p.rate*int64(behindFor)/int64(time.Second)
}

// waits reports that something is still to be done in the next tick of Bridge.Pace.
func (p *pacer) waits() bool {
	return p.probe.on || !p.queues[repaired].empty() || !p.queues[ordinary].empty()
}
