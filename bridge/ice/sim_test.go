package ice

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"parley/internal/stun"
)

// world is a network in simulated time: two or more servers, and between them loss, delay and NATs.
type world struct {
	t     tb
	now   time.Time
	r     *rand.Rand
	nodes map[netip.AddrPort]*node // by address of a base
	all   []*node
	nat   map[netip.AddrPort]netip.AddrPort
	wire  wire
	n     int

	loss     float64
	min, max time.Duration
	cut      map[netip.AddrPort]bool // addresses, as seen from outside, that nothing comes from or gets to
	seen     func(from, to netip.AddrPort, m *stun.Message)
}

// node is a server with one agent.
type node struct {
	w      *world
	name   string
	server *Server
	agent  *Agent
	events []noted
	last   uint64
}

type noted struct {
	Event
	at time.Duration
}

var epoch = time.Unix(1e9, 0)

func newWorld(t tb, seed uint64) *world {
	return &world{
		t: t, now: epoch, r: rand.New(rand.NewPCG(seed, 1)), nodes: make(map[netip.AddrPort]*node), nat: make(map[netip.AddrPort]netip.AddrPort),
		cut: make(map[netip.AddrPort]bool), min: 10 * time.Millisecond, max: 10 * time.Millisecond,
	}
}

var testPolicy = Policy{AllowPrivate: true}

// node adds a node with bases; "tcp:" before one makes it TCP.
func (w *world) node(name string, controlling bool, bases ...string) *node {
	n := &node{w: w, name: name}
	var cfg Config
	for _, b := range bases {
		l := Local{Base: netip.MustParseAddrPort(b)}
		cfg.Local = append(cfg.Local, l)
		w.nodes[l.Base] = n
	}
	cfg.Policy = testPolicy
	n.server = NewServer(cfg)
	n.server.random = w.r.Int64N
	n.agent = n.server.NewAgent(n, controlling)
	n.agent.tieBreaker = w.r.Uint64()
	w.all = append(w.all, n)
	return n
}

// flight is a datagram on its way.
type flight struct {
	at       time.Time
	n        int
	tr       Transport
	from, to netip.AddrPort
	data     []byte
}

type wire []flight

func (w wire) Len() int { return len(w) }
func (w wire) Less(i, j int) bool {
	return w[i].at.Before(w[j].at) || w[i].at.Equal(w[j].at) && w[i].n < w[j].n
}
func (w wire) Swap(i, j int) { w[i], w[j] = w[j], w[i] }
func (w *wire) Push(x any)   { *w = append(*w, x.(flight)) }
func (w *wire) Pop() any     { l := len(*w) - 1; f := (*w)[l]; *w = (*w)[:l]; return f }

// do runs a call on the node and takes what it wants done.
func (n *node) do(call func(out *Out)) {
	var out Out
	call(&out)
	n.take(&out)
}

func (n *node) take(out *Out) {
	w := n.w
	for _, e := range out.Events {
		if e.Agent == n.agent {
			if e.N != n.last+1 {
				w.t.Errorf("%s: event %d after %d", n.name, e.N, n.last)
			}
			n.last = e.N
		}
		n.events = append(n.events, noted{e, w.now.Sub(epoch)})
	}
	for _, d := range out.Datagrams {
		from, to := d.Path.Local, d.Path.Remote
		if outside, ok := w.nat[from]; ok {
			from = outside
		}
		if w.seen != nil {
			var m stun.Message
			if err := m.Parse(d.Data, stun.ICE); err != nil {
				w.t.Fatalf("%s sends what is not STUN: %v", n.name, err)
			}
			w.seen(from, to, &m)
		}
		if w.cut[from] || w.cut[to] || d.Path.Transport == UDP && w.r.Float64() < w.loss {
			continue
		}
		delay := w.min
		if w.max > w.min {
			delay += time.Duration(w.r.Int64N(int64(w.max - w.min)))
		}
		w.n++
		heap.Push(&w.wire, flight{w.now.Add(delay), w.n, d.Path.Transport, from, to, append([]byte(nil), d.Data...)})
	}
}

// run lets time go by until something holds, and at most for d. It reports that it holds.
func (w *world) run(d time.Duration, until func() bool) bool {
	end := w.now.Add(d)
	for !(until != nil && until()) {
		next := end
		if len(w.wire) > 0 && w.wire[0].at.Before(next) {
			next = w.wire[0].at
		}
		for _, n := range w.all {
			if t := n.server.Deadline(); !t.IsZero() && t.Before(next) {
				next = t
			}
		}
		if next.After(w.now) {
			w.now = next
		}
		for len(w.wire) > 0 && !w.wire[0].at.After(w.now) {
			w.deliver(heap.Pop(&w.wire).(flight))
		}
		for _, n := range w.all {
			n.do(func(out *Out) { n.server.Tick(w.now, out) })
		}
		if !w.now.Before(end) {
			return until != nil && until()
		}
	}
	return true
}

func (w *world) deliver(f flight) {
	to := f.to
	for inside, outside := range w.nat {
		if outside == to {
			to = inside
		}
	}
	n := w.nodes[to]
	if _, hidden := w.nat[f.to]; n == nil || hidden {
		return
	}
	n.do(func(out *Out) { n.server.Packet(Path{f.tr, to, f.from}, f.data, w.now, out) })
}

// signal tells b the credentials of a, and its candidates if asked to.
func (w *world) signal(a, b *node, candidates bool) {
	c, _ := a.agent.Local()
	b.do(func(out *Out) {
		if err := b.agent.SetRemote(c, w.now, out); err != nil {
			w.t.Fatal(err)
		}
	})
	if candidates {
		for _, c := range a.server.Candidates() {
			b.agent.AddRemote(c, w.now)
		}
	}
}

func (n *node) state() State { s, _, _ := n.agent.State(); return s }

func (n *node) controlling() bool { _, _, c := n.agent.State(); return c }

// count counts events of a kind.
func (n *node) count(k EventKind) (c int) {
	for _, e := range n.events {
		if e.Kind == k {
			c++
		}
	}
	return c
}

// remote returns the remote address of the selected path.
func (n *node) remote() string {
	p, ok := n.agent.Selected()
	if !ok {
		return "none"
	}
	return p.Remote.String()
}

func (n *node) log() (s string) {
	for _, e := range n.events {
		s += fmt.Sprintf("%v %v %v %v; ", n.name, e.at, e.Kind, e.Path)
	}
	return s
}

// empty checks that nothing is left in the server of an agent that is closed.
func (n *node) empty() {
	n.w.t.Helper()
	n.agent.Close()
	n.agent.Close()
	s := n.server
	if len(s.ufrags) != 0 || len(s.pending) != 0 || len(s.timers) != 0 || s.proven[UDP].size() != 0 || s.proven[TCP].size() != 0 {
		n.w.t.Errorf("%s: left over are %d names, %d checks, %d timers, %d addresses", n.name, len(s.ufrags), len(s.pending), len(s.timers), s.proven[UDP].size()+s.proven[TCP].size())
	}
	if _, ok := n.agent.Selected(); ok || n.state() != Closed {
		n.w.t.Errorf("%s: closed, and yet there is a path", n.name)
	}
}

// pair makes a bridge that controls and a client behind a NAT, as in a Jitsi call: the client knows the bridge's
// candidates, the bridge none of the client's.
func clientAndBridge(t tb, seed uint64) (w *world, bridge, client *node) {
	w = newWorld(t, seed)
	bridge = w.node("bridge", true, bridgeAddr)
	client = w.node("client", false, clientAddr)
	w.nat[netip.MustParseAddrPort(clientAddr)] = netip.MustParseAddrPort(natAddr)
	return w, bridge, client
}

const (
	bridgeAddr = "8.8.8.8:10000"
	clientAddr = "10.0.0.5:5000"
	natAddr    = "9.9.9.9:40000"
)

func connect(w *world, bridge, client *node) {
	w.t.Helper()
	w.signal(bridge, client, true)
	w.signal(client, bridge, false)
	if !w.run(10*time.Second, func() bool { return bridge.state() == Up && client.state() == Up }) {
		w.t.Fatalf("not connected: %s %s", bridge.log(), client.log())
	}
}
