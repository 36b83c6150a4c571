package codec

const picturesKept = 64 // frames by which a packet may be late: 2 s at 30 a second

// Numbers are the numbers of a VP8 or VP9 frame that go on from frame to frame.
type Numbers struct {
	Picture uint16 // 15 bits
	TL0     uint8
}

// Note packs the numbers for a look-back of sent packets, Noted gets them out again.
func (n Numbers) Note() uint32 { return uint32(n.Picture)<<8 | uint32(n.TL0) }

func Noted(note uint32) Numbers { return Numbers{uint16(note>>8) & 0x7fff, uint8(note)} }

// Pictures makes the picture ids and TL0PICIDXs of several VP8 or VP9 sources go on as if they were one: without holes where
// frames are dropped on purpose, with holes where they are missing. The zero value is ready; its first frame keeps its numbers.
//
// VP9 refers to earlier pictures by the difference of their ids (P_DIFF), which must stay as they are: for VP9, Drop is never
// called, and dropped pictures leave their holes.
type Pictures struct {
	ring    [picturesKept]pictured // by incoming picture id
	run     uint8                  // number of the current source, modulo 256
	open    bool                   // a frame of it was seen
	any     bool                   // a frame was ever forwarded
	highest uint16                 // incoming
	next    uint16                 // outgoing
	shift   uint8                  // of TL0
	tl0     uint8                  // newest outgoing one
}

// pictured is a frame's entry.
type pictured struct {
	in, out uint16
	run     uint8
	fate    fate
}

type fate uint8

const (
	unseen fate = iota
	expected
	forwarded
	refused
)

// Switch says that the next frame is of another source, or of another run of the same.
func (p *Pictures) Switch() {
	if p.open {
		p.run++
		p.open = false
	}
}

// Map gives the numbers under which a frame goes out, the same for each of its packets. Bits is the length of the sender's
// picture id, 7 or 15. It answers false for a frame that was dropped, is before the switch or is too late.
func (p *Pictures) Map(bits uint8, n Numbers) (Numbers, bool) {
	if bits != 7 && bits != 15 {
		return Numbers{}, false
	}
	if !p.open {
		p.begin(n)
	} else if ahead := (n.Picture - p.highest) & distance(bits); ahead == 0 || ahead >= half(bits) {
		e := p.find(n.Picture)
		if e == nil || e.fate == refused {
			return Numbers{}, false
		}
		e.fate = forwarded
		return Numbers{e.out, n.TL0 + p.shift}, true
	} else {
		p.reserve(ahead-1, bits)
		p.highest = n.Picture
		p.push(forwarded)
	}
	out := Numbers{p.slot().out, n.TL0 + p.shift}
	if int8(out.TL0-p.tl0) > 0 {
		p.tl0 = out.TL0
	}
	return out, true
}

// Drop says that a VP8 frame is not forwarded. It changes nothing for a frame of which a packet was.
func (p *Pictures) Drop(bits uint8, n Numbers) {
	if bits != 7 && bits != 15 || !p.open {
		return
	}
	if ahead := (n.Picture - p.highest) & distance(bits); ahead != 0 && ahead < half(bits) {
		p.reserve(ahead-1, bits)
		p.highest = n.Picture
		*p.slot() = pictured{in: n.Picture, run: p.run, fate: refused}
	} else if e := p.find(n.Picture); e != nil && e.fate == expected {
		e.fate = refused
	}
}

func (p *Pictures) begin(n Numbers) {
	if !p.any {
		p.any, p.next, p.tl0 = true, n.Picture, n.TL0-1
	}
	p.open, p.highest = true, n.Picture
	p.shift = p.tl0 + 1 - n.TL0
	p.push(forwarded)
}

// push gives the highest frame the next outgoing id.
func (p *Pictures) push(f fate) {
	*p.slot() = pictured{p.highest, p.next, p.run, f}
	p.next = (p.next + 1) & 0x7fff
}

// reserve keeps ids for n missing frames after the highest.
func (p *Pictures) reserve(n uint16, bits uint8) {
	if skip := n - min(n, picturesKept); skip > 0 { // those are too late when they come
		p.next = (p.next + skip) & 0x7fff
		p.highest = (p.highest + skip) & distance(bits)
		n -= skip
	}
	for range n {
		p.highest = (p.highest + 1) & distance(bits)
		p.push(expected)
	}
}

// find is the entry of a frame of the current source.
func (p *Pictures) find(in uint16) *pictured {
	e := &p.ring[in%picturesKept]
	if e.fate == unseen || e.run != p.run || e.in != in {
		return nil
	}
	return e
}

func (p *Pictures) slot() *pictured { return &p.ring[p.highest%picturesKept] }

// distance is the largest picture id of so many bits, half of how many ids count as newer.
func distance(bits uint8) uint16 { return 1<<bits - 1 }
func half(bits uint8) uint16     { return 1 << (bits - 1) }
