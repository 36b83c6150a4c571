package udp

// Limits of one call that sends several datagrams (UDP_MAX_SEGMENTS of older kernels; an IPv4 packet with its headers).
const (
	most    = 64
	largest = 65000 // bytes
)

// plan says in which calls the waiting datagrams leave. Those of one stream keep their order, since receivers take a
// change of order for a loss; those of different streams may pass one another, which is where groups come from.
type plan struct {
	n      int // groups
	groups [most]group

	next [most]uint8 // the datagram after this one in its group; its own index at the end
	in   [most]uint8 // the group that a datagram is in
}

// group is what one call sends: datagrams of one size, after which one shorter may follow.
type group struct {
	size, bytes, count int
	first, last        uint8
	closed             bool // a shorter one is at the end
}

// make fills the plan for n datagrams. Those larger than limit go alone. Every choice is the first that fits: with few
// datagrams, which is usual, it is nearly always the best.
func (p *plan) make(sizes []uint16, streams []uint32, limit int) {
	p.n = 0
	for i := range sizes {
		p.place(uint8(i), sizes, streams, limit)
	}
	if limit > 0 && p.n > 1 {
		p.tails(streams, limit)
	}
}

// place adds datagram i to the first group of its size that does not lie before others of its stream.
func (p *plan) place(i uint8, sizes []uint16, streams []uint32, limit int) {
	size, k := int(sizes[i]), 0
	p.next[i] = i
	if size > limit {
		k = p.n
	} else {
		for j := int(i) - 1; j >= 0; j-- {
			if streams[j] == streams[i] {
				k = int(p.in[j])
				break
			}
		}
	}
	for ; k < p.n; k++ {
		if g := &p.groups[k]; g.size == size && g.bytes+size <= largest {
			p.append(k, i, size)
			return
		}
	}
	p.groups[k] = group{size: size, bytes: size, count: 1, first: i, last: i}
	p.in[i] = uint8(k)
	p.n++
}

func (p *plan) append(k int, i uint8, size int) {
	g := &p.groups[k]
	p.next[g.last] = i
	p.next[i] = i
	p.in[i] = uint8(k)
	g.last = i
	g.count++
	g.bytes += size
}

// tails makes datagrams that are alone the shorter last ones of other groups.
func (p *plan) tails(streams []uint32, limit int) {
	for j := 0; j < p.n; j++ {
		if g := &p.groups[j]; g.count != 1 || g.size > limit {
			continue
		}
		k := p.host(j, streams, limit)
		if k < 0 {
			continue
		}
		g := p.groups[j]
		p.groups[k].closed = true
		p.append(k, g.first, g.size)
		p.groups[j].count = 0
	}
	n := 0
	for _, g := range p.groups[:p.n] {
		if g.count > 0 {
			p.groups[n] = g
			n++
		}
	}
	p.n = n
}

// host finds a group that the only datagram of group j can end, without passing others of its stream; -1 is none.
func (p *plan) host(j int, streams []uint32, limit int) int {
	alone := &p.groups[j]
	stream := streams[alone.first]
	fits := func(g *group) bool {
		return g.count > 0 && g.count < most && !g.closed && g.size > alone.size && g.size <= limit && g.bytes+alone.size <= largest
	}
	for k := j - 1; k >= 0; k-- { // to leave earlier: behind what its stream has in that group
		if fits(&p.groups[k]) {
			return k
		}
		if p.holds(k, stream, streams) {
			break
		}
	}
	for k := j + 1; k < p.n && !p.holds(k, stream, streams); k++ { // to leave later
		if fits(&p.groups[k]) {
			return k
		}
	}
	return -1
}

func (p *plan) holds(k int, stream uint32, streams []uint32) bool {
	g := &p.groups[k]
	if g.count == 0 {
		return false
	}
	for i := g.first; ; i = p.next[i] {
		if streams[i] == stream {
			return true
		}
		if i == g.last {
			return false
		}
	}
}
