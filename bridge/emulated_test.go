package bridge

import (
	"container/heap"
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"parley/bridge/channel"
	"parley/bridge/rtp"
	"parley/bridge/udp"
	"parley/internal/netem"
)

// network is a conference whose receivers are behind emulated paths, in a time of its own: some members send pictures in three
// sizes and voice, as those of the rig do (internal/bench/network), others receive them.
type network struct {
	w         *world
	now       time.Duration
	begun     time.Time
	events    deliveries
	order     int
	cameras   []*triple
	receivers []*remote
	down, up  *netem.Bottleneck
	uplinks   map[string]*netem.Path // of those who send; none: at once
	numbers   map[string]uint16      // transport-wide, of those who have one
	relays    map[string]*Carried    // of those whose path is a relay
	stopped   func() bool            // the bridge does nothing; nil: it always runs
}

// send lets a member send a packet.
func (n *network) send(id string, p in) {
	up := n.uplinks[id]
	if up == nil {
		n.w.send(id, p)
		return
	}
	n.numbers[id]++
	p.transport = int(n.numbers[id])
	f := up.Pass(n.now, len(p.body)+overhead+20, 0)
	if n.relays[id].carry(f); f.Copies > 0 {
		n.at(f.Arrivals[0], func() { n.w.send(id, p) })
	}
}

// carry takes what becomes of a packet for what a relay does to it, if that is one's.
func (c *Carried) carry(f netem.Fate) {
	switch {
	case c == nil:
	case f.Copies == 0:
		c.Dropped++
	default:
		c.Taken++
	}
}

// runs reports that the bridge does what is due.
func (n *network) runs() bool { return n.stopped == nil || !n.stopped() }

// delivery is something that happens at a time.
type delivery struct {
	at    time.Duration
	order int
	do    func()
}

type deliveries []delivery

func (d deliveries) Len() int { return len(d) }
func (d deliveries) Less(i, j int) bool {
	return d[i].at < d[j].at || d[i].at == d[j].at && d[i].order < d[j].order
}
func (d deliveries) Swap(i, j int) { d[i], d[j] = d[j], d[i] }
func (d *deliveries) Push(x any)   { *d = append(*d, x.(delivery)) }
func (d *deliveries) Pop() any {
	last := len(*d) - 1
	x := (*d)[last]
	*d = (*d)[:last]
	return x
}

func (n *network) at(at time.Duration, do func()) {
	n.order++
	heap.Push(&n.events, delivery{max(at, n.now), n.order, do})
}

func (n *network) every(first, d time.Duration, do func()) {
	n.at(first, func() { do(); n.every(n.now+d, d, do) })
}

func (n *network) run(until time.Duration) {
	for len(n.events) > 0 && n.events[0].at <= until {
		e := heap.Pop(&n.events).(delivery)
		n.now = e.at
		n.w.now = n.begun.Add(e.at)
		n.w.batch.Now = n.w.now
		e.do()
	}
	n.now = until
}

// triple is a camera of VP8 streams, of three temporal layers each if they are not flat.
type triple struct {
	id      string
	streams []encoded
}

type encoded struct {
	ssrc     uint32
	height   int
	size     int  // bytes of a picture
	key      int  // times that of a key frame
	flat     bool // no temporal layers
	seq      uint16
	stamp    uint32
	picture  uint16
	tl0      uint8
	position int
	wanted   bool
	keys     int
}

const (
	pictures25 = 40 * time.Millisecond
	payloadOf  = 1100 // bytes of a packet
)

// What cameras send: three sizes, or what benchmarks of bridges have for a camera.
var (
	inSizes = []encoded{{height: 184, size: 150_000 / 8 / 25, key: 6}, {height: 360, size: 500_000 / 8 / 25, key: 6}, {height: 720, size: 1_800_000 / 8 / 25, key: 6}}
	equal   = []encoded{{height: 720, size: 2_000_000 / 8 / 25, key: 1, flat: true}}
)

func (c *triple) frame(to *network) {
	for i := range c.streams {
		e := &c.streams[i]
		e.position = (e.position + 1) % 4
		key := e.wanted
		if key {
			e.wanted, e.position = false, 0
			e.keys++
		}
		tid := []byte{0, 2, 1, 2}[e.position]
		if e.flat {
			tid = 0
		}
		if tid == 0 {
			e.tl0++
		}
		sync := byte(0)
		if e.position != 3 {
			sync = 0x20
		}
		left := e.size
		if key {
			left *= e.key
		}
		for first := true; left > 0; first = false {
			n := min(left, payloadOf)
			left -= n
			flags := byte(0x80)
			if first {
				flags |= 0x10
			}
			if tid == 2 {
				flags |= 0x20 // nothing refers to it
			}
			body := []byte{flags, 0xe0, 0x80 | byte(e.picture>>8)&0x7f, byte(e.picture), e.tl0, tid<<6 | sync}
			if first {
				kind := byte(1)
				if key {
					kind = 0
				}
				width := e.height * 16 / 9
				body = append(body, kind, 0, 0, 0x9d, 1, 0x2a, byte(width), byte(width>>8), byte(e.height), byte(e.height>>8))
			}
			body = append(body, make([]byte, max(n-len(body), 8))...)
			binary.BigEndian.PutUint64(body[len(body)-8:], uint64(to.w.now.UnixNano()))
			to.send(c.id, in{ssrc: e.ssrc, timestamp: e.stamp, seq: e.seq, payload: 100, marker: left == 0, body: body})
			e.seq++
		}
		e.stamp += 3600
		e.picture = (e.picture + 1) & 0x7fff
	}
}

// remote is the leg to a receiver behind paths, and the receiver.
type remote struct {
	n        *network
	id       string
	down, up *netem.Path
	buffer   []byte

	arrivals     rtp.Arrivals
	told         time.Duration
	bytes        int // since
	rate         float64
	streams      map[uint32]*inflow
	voices       int
	nacked, plis int
	padding      int
	times        map[uint32][]time.Duration // from the camera to here, of each packet, by SSRC of video
	pictures     int                        // of which the last packet came
	views        map[uint32]*view           // by SSRC of video
}

// inflow is what comes with one SSRC.
type inflow struct {
	order   rtp.Sequences
	holes   map[int64]*hole
	keyless time.Duration // a key frame is needed since; 0: no
	asked   time.Duration
}

type hole struct {
	since, asked time.Duration
	times        int
}

func (r *remote) Reserve(n int) []byte {
	if cap(r.buffer) < n {
		r.buffer = make([]byte, n)
	}
	return r.buffer[:n]
}

func (r *remote) Commit(b *udp.Batch, n int, ssrc uint32, end bool) {
	if n == 0 {
		return
	}
	class := 1
	var p rtp.Packet
	if err := p.Parse(r.buffer[:n]); err != nil {
		r.n.w.t.Error(err)
		return
	}
	if p.PayloadType() == 96 {
		class = 2
	}
	f := r.down.Pass(r.n.now, n+overhead, class)
	if r.n.relays[r.id].carry(f); f.Copies == 0 {
		return
	}
	bytes := make([]byte, n)
	copy(bytes, r.buffer[:n])
	r.n.at(f.Arrivals[0], func() { r.take(bytes) })
}

func (r *remote) RTCP(b *udp.Batch, compound []byte) {}
func (r *remote) Ready() bool                        { return true }

func (r *remote) take(b []byte) {
	var p rtp.Packet
	p.Parse(b)
	r.bytes += len(b) + overhead
	if x := p.Extension(uint8(extensions[uriTransport])); len(x) == 2 {
		r.arrivals.Record(binary.BigEndian.Uint16(x), r.n.now+time.Hour)
	}
	ssrc, seq := p.SSRC(), p.Sequence()
	payload := p.Payload()
	switch p.PayloadType() {
	case 111:
		r.voices++
		return
	case 96:
		if len(payload) < 2 {
			r.padding += len(b)
			return
		}
		ssrc, seq, payload = ssrc-10, binary.BigEndian.Uint16(payload), payload[2:]
	}
	a := r.streams[ssrc]
	if a == nil {
		a = &inflow{holes: make(map[int64]*hole)}
		r.streams[ssrc] = a
	}
	before, started := a.order.Newest()
	if p.PayloadType() == 96 && !started {
		return
	}
	now := a.order.Extend(seq)
	_, missing := a.holes[now]
	if n := len(payload); n >= 8 && (!started || now > before || missing) {
		if p.Marker() {
			r.pictures++
		}
		r.times[ssrc] = append(r.times[ssrc], r.n.w.now.Sub(time.Unix(0, int64(binary.BigEndian.Uint64(payload[n-8:])))))
	}
	if v := r.views[ssrc]; v != nil && (!started || now > before || missing) {
		v.take(r.n.now, now, &p, payload)
	}
	delete(a.holes, now)
	if started {
		for m := max(before+1, now-200); m < now; m++ {
			a.holes[m] = &hole{since: r.n.now}
		}
	}
}

// late is the 95th percentile of the delay, from the camera to here, of the source of which it is the longest.
func (r *remote) late() (worst time.Duration) {
	for _, of := range r.times {
		slices.Sort(of)
		worst = max(worst, of[len(of)*95/100])
	}
	return worst
}

func (r *remote) tick() {
	n := r.n
	send := func(c []byte) {
		f := r.up.Pass(n.now, len(c)+overhead+14, 0)
		if f.Copies > 0 {
			n.at(f.Arrivals[0], func() { n.w.control(r.id, c) })
		}
	}
	every := 100 * time.Millisecond
	if r.rate > 0 {
		every = min(max(time.Duration(8*68/(0.05*r.rate)*1e9), 50*time.Millisecond), 250*time.Millisecond)
	}
	if passed := n.now - r.told; passed >= every && r.bytes > 0 {
		r.rate += (float64(r.bytes)*8/passed.Seconds() - r.rate) * 0.3
		r.told, r.bytes = n.now, 0
		for more := true; more; {
			var b []byte
			if b, more = r.arrivals.Append(nil, 1, 2, 1200); len(b) > 0 {
				send(b)
			}
		}
	}
	for _, ssrc := range slices.Sorted(maps.Keys(r.streams)) {
		a := r.streams[ssrc]
		var ask []uint16
		for _, seq := range slices.Sorted(maps.Keys(a.holes)) {
			h := a.holes[seq]
			if n.now-h.since > time.Second {
				delete(a.holes, seq)
				if a.keyless == 0 {
					a.keyless = n.now
				}
				continue
			}
			if h.times < 10 && (h.times == 0 || n.now-h.asked >= 110*time.Millisecond) {
				h.times, h.asked = h.times+1, n.now
				ask = append(ask, uint16(seq))
			}
		}
		if len(ask) > 0 {
			r.nacked += len(ask)
			send(rtp.AppendNACK(nil, 1, ssrc, ask))
		}
		if a.keyless > 0 && n.now-a.asked > 300*time.Millisecond {
			a.keyless, a.asked = 0, n.now
			r.plis++
			send(rtp.AppendPLI(nil, 1, ssrc))
		}
	}
}

// sender is the leg to a member that sends: it takes requests for key frames.
type sender struct {
	n      *network
	camera *triple
	buffer []byte
}

func (s *sender) Reserve(n int) []byte {
	if cap(s.buffer) < n {
		s.buffer = make([]byte, n)
	}
	return s.buffer[:n]
}
func (s *sender) Commit(*udp.Batch, int, uint32, bool) {}
func (s *sender) Ready() bool                          { return true }
func (s *sender) RTCP(b *udp.Batch, compound []byte) {
	walk, _ := rtp.ParseCompound(compound)
	var c rtp.Control
	for walk.Next(&c) {
		if media, ok := c.PLI(); ok {
			for i := range s.camera.streams {
				if e := &s.camera.streams[i]; e.ssrc == media {
					s.n.at(s.n.now+5*time.Millisecond, func() { e.wanted = true })
				}
			}
		}
	}
}

// ways are the paths of one receiver.
type ways struct {
	delay, start, pause, resume time.Duration
	jitter                      time.Duration
	loss                        float64 // part of the packets on the way down
	free                        bool    // it has no part in the bottlenecks, and is there from the beginning
}

func newNetwork(t testing.TB, seed uint64, senders int, down, up netem.Schedule, flows ...ways) *network {
	return newNetworkOf(t, seed, senders, inSizes, down, up, flows...)
}

func newNetworkOf(t testing.TB, seed uint64, senders int, sizes []encoded, down, up netem.Schedule, flows ...ways) *network {
	n := &network{w: newWorld(t), down: &netem.Bottleneck{Queue: netem.Queue{Time: 300 * time.Millisecond}}, up: &netem.Bottleneck{Queue: netem.Queue{Time: 300 * time.Millisecond}}}
	n.w.bridge.random = rand.New(rand.NewPCG(seed, 0)).Uint32
	for i := range senders {
		id := string(rune('a' + i))
		c := &triple{id: id, streams: slices.Clone(sizes)}
		base := uint32(1000 * (i + 2))
		for j := range c.streams {
			c.streams[j].ssrc, c.streams[j].wanted = base+uint32(j), true
		}
		n.cameras = append(n.cameras, c)
		video := videoSource(id+"-v0", base, len(sizes))
		if len(sizes) == 1 {
			video.SSRCs, video.Groups = video.SSRCs[:1], nil // there is nothing to send again with
		}
		e := n.w.join(id, nil, audioSource(id+"-a0", base+500), video)
		e.Attach(&sender{n: n, camera: c})
		seq, stamp := uint16(0), uint32(0)
		phase := time.Duration((seed*7919+uint64(i)*9973)%40) * time.Millisecond
		n.every(phase, pictures25, func() { c.frame(n) })
		n.every(phase/2, 20*time.Millisecond, func() {
			n.send(id, in{ssrc: base + 500, timestamp: stamp, seq: seq, payload: 111, level: 30 + 10*i, body: make([]byte, 80)})
			seq++
			stamp += 960
		})
	}
	for i, f := range flows {
		line := netem.Line{Delay: f.delay, Jitter: f.jitter}
		down, up := n.down, n.up
		if f.free {
			down, up = nil, nil
		}
		r := &remote{n: n, id: "r" + string(rune('0'+i)), down: netem.NewPath(down, line, seed*2+uint64(i)*100), up: netem.NewPath(up, line, seed*2+1+uint64(i)*100), streams: make(map[uint32]*inflow), times: make(map[uint32][]time.Duration)}
		r.down.Record = &netem.Record{}
		n.receivers = append(n.receivers, r)
		e := n.w.join(r.id, nil)
		e.Attach(r)
		n.every(time.Duration(i)*3*time.Millisecond, 10*time.Millisecond, r.tick)
		want := func(lastN int) {
			n.w.bridge.Endpoint("c", r.id).Receive(channel.ReceiverVideoConstraints{LastN: &lastN, DefaultConstraints: &channel.VideoConstraints{MaxHeight: -1, MaxFrameRate: -1}})
		}
		want(0)
		if f.free {
			n.at(warm/2, func() { want(-1) })
			continue
		}
		n.at(warm+f.start, func() { want(-1) })
		if f.resume > 0 {
			n.at(warm+f.pause, func() { want(0) })
			n.at(warm+f.resume, func() { want(-1) })
		}
	}
	n.every(Period, Period, func() {
		if n.runs() {
			n.w.bridge.tick(n.w.now)
			n.w.bridge.Conference("c").Tick(n.w.batch)
		}
	})
	n.every(paceTick, paceTick, func() {
		if n.runs() {
			n.w.bridge.Pace(n.w.batch)
		}
	})
	n.begun = n.w.bridge.Conference("c").epoch // so that the same seed is the same on any machine
	n.down.Schedule = down[:1]
	if up != nil {
		n.up.Schedule = up[:1]
	}
	n.at(warm, func() {
		n.down.Change(later(down), n.down.Queue, 0)
		n.up.Change(later(up), n.up.Queue, 0)
		for i, r := range n.receivers {
			r.down.Record.Reset(warm)
			r.down.Change(netem.Line{Delay: flows[i].delay, Loss: netem.Loss{Random: flows[i].loss}})
			r.times, r.pictures, r.views = make(map[uint32][]time.Duration), 0, make(map[uint32]*view)
			for _, c := range n.cameras {
				r.views[c.streams[0].ssrc] = &view{}
			}
		}
	})
	return n
}

const warm = 2 * time.Second

func later(s netem.Schedule) (out netem.Schedule) {
	for _, step := range s {
		out = append(out, netem.Step{At: step.At + warm, Rate: step.Rate})
	}
	return out
}
