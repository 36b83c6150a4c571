package rtp

import "math/bits"

// MaxGap is how many packets may be missing in a row and keep their places. Of a longer gap, which no retransmissions fill,
// one place is kept to show that something is missing. Else the numbers of one sender could drive an outgoing stream through
// cycle after cycle, so that a receiver who misses a moment of it guesses SRTP's rollover counter wrong (RFC 3711 §3.3.1) and
// never hears that SSRC again, which may be another sender's by then.
const MaxGap = 128

const (
	maxCredit = 256 // places for missing packets that can be kept at once; each packet that comes earns one

	maxDropout  = 3000 // sequence numbers that a stream may leave out (RFC 3550 §A.1)
	maxMisorder = 100  // and by which a packet may be late, whatever the length of the look-back
	restartFar  = 5    // packets in a row that are far away are a stream that began anew
	restartNear = 50   // when they are behind, and could be retransmissions
	restartHole = 16   // sequence numbers that may be missing in such a row

	epochs    = 16
	epochMask = 1<<14 - 1
)

// Verdict is what Continuity says of a packet.
type Verdict uint8

const (
	Forwarded Verdict = iota // it has its place in the outgoing stream
	Duplicate                // it was forwarded before
	Late                     // its place was closed: it was dropped, comes before the switch, or is too old
	Foreign                  // it is of another stream than the current one
	Wild                     // its sequence number is far from the stream's (HB9)
	Restarted                // several in a row were wild: the stream began anew; Switch to it when it can be decoded
)

func (v Verdict) String() string {
	return [...]string{"forwarded", "duplicate", "late", "foreign", "wild", "restarted"}[min(v, Restarted)]
}

// Continuity makes one outgoing stream of several incoming ones: sequence numbers without holes where packets are dropped on
// purpose, with holes where they are missing (they keep their place and can come late), timestamps that go on, and for each
// outgoing sequence number of the recent past the packet that has it, for retransmission. It holds eight bytes a packet.
type Continuity struct {
	ring   []place // by outgoing sequence number
	filled int     // places in use, the newest is next-1
	next   uint16  // outgoing sequence number

	epoch   uint16 // number of the current run of one stream, modulo 2^14
	table   [epochs]run
	stream  uint32 // the current stream
	chosen  bool   // there is a current stream
	open    bool   // and it was forwarded since the switch
	span    int    // places of the current run in the ring
	highest uint16 // newest sequence number of the current stream, forwarded or dropped
	advance uint32 // ticks between newest and the first packet after the switch

	newest uint32 // outgoing timestamp
	credit int    // places for missing packets that may be kept
	far    uint16 // wild sequence number that would be the next of a stream that began anew
	run    uint8  // of wild ones in a row
}

type run struct{ stream, shift uint32 }

type state uint16

const (
	missing state = iota // its place is kept
	sent
	dropped // came late and was dropped
	filler  // the bridge's own packet
)

type place struct {
	in   uint16
	mark uint16 // state<<14 | epoch
	note uint32
}

func (p place) state() state { return state(p.mark >> 14) }

// NewContinuity returns a Continuity that remembers size packets, rounded up to a power of two from 64 to 8192, and whose
// first packet has the given sequence number and timestamp (random ones: RFC 3550 §5.1).
func NewContinuity(size int, seq uint16, timestamp uint32) *Continuity {
	size = min(max(size, 64), 8192)
	return &Continuity{ring: make([]place, 1<<bits.Len(uint(size-1))), next: seq, newest: timestamp, credit: maxCredit}
}

// Switch makes stream, a number of the caller's choice, the current one. Its next packet will be the next of the outgoing
// stream, and its timestamp so many ticks after the newest one: the time since then, see Ticks, never 0 for another frame.
func (c *Continuity) Switch(stream, advance uint32) {
	c.stream, c.advance, c.chosen, c.open, c.run = stream, advance, true, false, 0
}

// Place is where a packet goes in the outgoing stream.
type Place struct {
	Sequence  uint16
	Timestamp uint32
}

// Forward gives a packet its place. The note is kept for Origin: what else was rewritten in
// the packet and must be so again in its retransmission (codec.Numbers fit in it).
func (c *Continuity) Forward(stream uint32, seq uint16, timestamp, note uint32) (Place, Verdict) {
	if !c.chosen || stream != c.stream {
		return Place{}, Foreign
	}
	if !c.open {
		c.begin(seq, timestamp)
	} else if ahead := seq - c.highest; ahead == 0 || ahead >= 1<<15 {
		return c.late(seq, timestamp, note)
	} else if ahead > maxDropout {
		return Place{}, c.wild(seq)
	} else {
		c.reserve(int(ahead) - 1)
	}
	c.run = 0
	c.highest = seq
	out := Place{c.next, timestamp + c.table[c.epoch%epochs].shift}
	c.push(sent, seq, note)
	if int32(out.Timestamp-c.newest) > 0 {
		c.newest = out.Timestamp
	}
	return out, Forwarded
}

// Drop says that a packet of the stream is not forwarded, so that no hole shows where it was. A packet whose place was kept
// because it was missing leaves its hole.
func (c *Continuity) Drop(stream uint32, seq uint16) {
	if !c.open || stream != c.stream {
		return
	}
	if ahead := seq - c.highest; ahead != 0 && ahead <= maxDropout {
		c.reserve(int(ahead) - 1)
		c.highest = seq
		c.run = 0
	} else if _, p := c.find(seq); p != nil && p.state() == missing {
		p.mark = uint16(dropped)<<14 | p.mark&epochMask
	}
}

// Fill takes a place for a packet of the bridge's own (padding), which must not stand within a frame.
func (c *Continuity) Fill() Place {
	out := Place{c.next, c.newest}
	c.push(filler, c.highest, 0)
	return out
}

// Origin is the packet behind an outgoing sequence number.
type Origin struct {
	Stream   uint32
	Sequence uint16
	Shift    uint32 // to add to the packet's timestamp
	Note     uint32
	// Sent is false for a packet that was missing when its place was kept and did not come through Forward: the note is 0.
	Sent bool
}

// Origin looks up who has an outgoing sequence number, for a NACK. It answers false for what was never given out, is
// forgotten, was dropped or was the bridge's own.
func (c *Continuity) Origin(out uint16) (Origin, bool) {
	back := int(c.next - out) // 1 is the newest
	if back == 0 || back > c.filled {
		return Origin{}, false
	}
	p := c.at(out)
	age := (c.epoch - p.mark) & epochMask
	if p.state() != sent && p.state() != missing || age >= epochs {
		return Origin{}, false
	}
	r := c.table[p.mark&epochMask%epochs]
	return Origin{Stream: r.stream, Sequence: p.in, Shift: r.shift, Note: p.note, Sent: p.state() == sent}, true
}

// Next is the sequence number that the next packet will have, Newest the largest timestamp given out.
func (c *Continuity) Next() uint16   { return c.next }
func (c *Continuity) Newest() uint32 { return c.newest }

// begin opens a new run at the first packet after a switch.
func (c *Continuity) begin(seq uint16, timestamp uint32) {
	c.epoch = (c.epoch + 1) & epochMask
	c.table[c.epoch%epochs] = run{c.stream, c.newest + c.advance - timestamp}
	c.open, c.span, c.highest = true, 0, seq
}

// reserve keeps places for the n packets after the highest; of those that are too many, for the last one.
func (c *Continuity) reserve(n int) {
	if n == 0 {
		c.credit = min(c.credit+1, maxCredit)
		return
	}
	first := c.highest + 1
	if n > MaxGap || n > c.credit {
		first, n = first+uint16(n-1), 1
	}
	c.credit = max(c.credit-n, 0)
	for i := range n {
		c.push(missing, first+uint16(i), 0)
	}
}

func (c *Continuity) push(s state, in uint16, note uint32) {
	*c.at(c.next) = place{in, uint16(s)<<14 | c.epoch, note}
	c.next++
	c.filled = min(c.filled+1, len(c.ring))
	c.span = min(c.span+1, len(c.ring))
}

func (c *Continuity) at(out uint16) *place { return &c.ring[int(out)&(len(c.ring)-1)] }

// find looks for a packet of the current run: its places are in the order of their incoming sequence numbers.
func (c *Continuity) find(seq uint16) (out uint16, p *place) {
	oldest, back := c.next-uint16(c.span), c.highest-seq
	low, high := 0, c.span
	for low < high {
		middle := (low + high) / 2
		if c.highest-c.at(oldest+uint16(middle)).in > back {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low == c.span || c.at(oldest+uint16(low)).in != seq {
		return 0, nil
	}
	return oldest + uint16(low), c.at(oldest + uint16(low))
}

// late places a packet that is not newer than the newest.
func (c *Continuity) late(seq uint16, timestamp, note uint32) (Place, Verdict) {
	back := c.highest - seq
	out, p := c.find(seq)
	if p == nil {
		if int(back) > max(len(c.ring), maxMisorder) {
			return Place{}, c.wild(seq)
		}
		return Place{}, Late
	}
	switch p.state() {
	case sent:
		return Place{}, Duplicate
	case missing:
		p.mark = uint16(sent)<<14 | p.mark&epochMask
		p.note = note
		return Place{out, timestamp + c.table[c.epoch%epochs].shift}, Forwarded
	}
	return Place{}, Late
}

// wild counts packets that are far away but follow one another (RFC 3550 §A.1, "bad_seq").
func (c *Continuity) wild(seq uint16) Verdict {
	if seq-c.far > restartHole {
		c.run = 0
	}
	c.run++
	c.far = seq + 1
	if c.run >= restartNear || c.run >= restartFar && c.highest-seq > maxDropout {
		c.run = 0
		return Restarted
	}
	return Wild
}
