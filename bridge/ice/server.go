package ice

import (
	"bytes"
	"container/heap"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/event"
	"parley/internal/limit"
	"parley/internal/stun"
)

// Config is what a server is made of.
type Config struct {
	Local  []Local
	Policy Policy

	// Strangers meters, by source, the requests that name an agent of ours and come from an address that is not proven. It
	// comes before their integrity is computed. The zero Rate stands for DefaultStrangers.
	Strangers limit.Rate

	Events *event.Recorder // counts what agents refuse; may be nil
}

// DefaultStrangers lets a school of several hundred people behind one address join at once.
var DefaultStrangers = limit.Rate{PerSecond: 500, Burst: 2000}

// Server is what the agents of one media port share: the tables that find the agent of a packet. Several sockets with
// SO_REUSEPORT share one server. It is safe for concurrent use.
type Server struct {
	local     []Local
	policy    Policy
	events    *event.Recorder
	proven    [2]table // by transport
	strangers *budget
	counts    counts
	random    func(n int64) int64 // of [0, n); tests replace it

	mu      sync.Mutex             // guards the rest; taken with an agent's lock held, never the other way round
	ufrags  map[string]*generation // by local ufrag
	pending map[stun.ID]*pair      // whose check has this id
	timers  timers
}

// NewServer returns a server without agents.
func NewServer(cfg Config) *Server {
	if cfg.Strangers == (limit.Rate{}) {
		cfg.Strangers = DefaultStrangers
	}
	s := &Server{
		local: slices.Clone(cfg.Local), policy: cfg.Policy, events: cfg.Events, strangers: newBudget(cfg.Strangers),
		ufrags: make(map[string]*generation), pending: make(map[stun.ID]*pair), random: rand.Int64N,
	}
	for i := range s.local {
		if l := &s.local[i]; len(l.Signalled) == 0 {
			l.Signalled = []netip.AddrPort{l.Base}
		}
	}
	return s
}

// Lookup returns the agent that the address is proven for, or nil, which is counted: then the packet is dropped before it
// reaches any state (hardening HB3). It takes no lock and no memory.
func (s *Server) Lookup(t Transport, from netip.AddrPort) *Agent {
	a := s.Find(t, from)
	if a == nil {
		s.counts.foreign.Add(1)
	}
	return a
}

// Find is Lookup for who has no packet of the address, and counts nothing.
func (s *Server) Find(t Transport, from netip.AddrPort) *Agent { return s.proven[t&1].get(plain(from)) }

// Packet takes a datagram, or a frame, that stun.Is says is STUN. The bytes are not kept and not changed.
func (s *Server) Packet(path Path, b []byte, now time.Time, out *Out) {
	path = path.plain()
	var m stun.Message
	if m.Parse(b, stun.ICE) != nil || m.Method != stun.Binding || path.Transport > TCP {
		s.counts.malformed.Add(1)
		return
	}
	switch m.Class {
	case stun.Request:
		s.request(path, &m, now, out)
	case stun.Success, stun.Failure:
		s.mu.Lock()
		p := s.pending[m.ID]
		s.mu.Unlock()
		if p == nil {
			s.counts.unsolicited.Add(1)
			return
		}
		p.gen.agent.response(p, path, &m, now, out)
	case stun.Indication: // keeps a binding of a NAT (RFC 8445 §11); nothing to do
	}
}

// request finds the agent of a check by the first half of its USERNAME (RFC 8445 §7.2.2) and leaves out everything that
// costs before it is known that there is one.
func (s *Server) request(path Path, m *stun.Message, now time.Time, out *Out) {
	ours, theirs, ok := bytes.Cut(m.Username, colon)
	if !ok || !m.Has(stun.MessageIntegrity) || !m.Has(stun.Fingerprint) {
		s.counts.malformed.Add(1)
		return
	}
	s.mu.Lock()
	g := s.ufrags[string(ours)]
	s.mu.Unlock()
	if g == nil {
		s.counts.unknown.Add(1)
		return
	}
	if s.proven[path.Transport].get(path.Remote) != g.agent && !s.strangers.allow(path.Remote.Addr(), now) {
		s.counts.limited.Add(1)
		return
	}
	g.agent.request(g, path, theirs, m, now, out)
}

var colon = []byte{':'}

// Tick does what is due for all agents and returns when to call again, the zero time if nothing is waiting. Any other call
// may bring that forward: see Deadline.
func (s *Server) Tick(now time.Time, out *Out) time.Time {
	for {
		s.mu.Lock()
		if len(s.timers) == 0 || s.timers[0].due.After(now) {
			next := s.deadline()
			s.mu.Unlock()
			return next
		}
		a := s.timers[0]
		s.unschedule(a)
		s.mu.Unlock()
		a.tick(now, out)
	}
}

// Deadline returns when Tick has something to do, the zero time if nothing is waiting. Ten milliseconds of delay do no
// harm, so that a caller that wakes that often anyway need not ask.
func (s *Server) Deadline() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deadline()
}

func (s *Server) deadline() time.Time {
	if len(s.timers) == 0 {
		return time.Time{}
	}
	return s.timers[0].due
}

// schedule sets when the agent's tick is due, never for the zero time.
func (s *Server) schedule(a *Agent, due time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if due.IsZero() {
		s.unschedule(a)
		return
	}
	a.due = due
	if a.place == 0 {
		heap.Push(&s.timers, a)
	} else {
		heap.Fix(&s.timers, a.place-1)
	}
}

// unschedule takes the agent out of the timers. Called with mu held.
func (s *Server) unschedule(a *Agent) {
	if a.place > 0 {
		heap.Remove(&s.timers, a.place-1)
	}
}

// timers is a heap of agents by what is due first. Agent.place is the index plus one, 0 outside.
type timers []*Agent

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].due.Before(t[j].due) }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].place, t[j].place = i+1, j+1
}
func (t *timers) Push(a any) {
	*t = append(*t, a.(*Agent))
	a.(*Agent).place = len(*t)
}
func (t *timers) Pop() any {
	last := len(*t) - 1
	a := (*t)[last]
	(*t)[last] = nil
	*t = (*t)[:last]
	a.place = 0
	return a
}

// register gives a new generation credentials whose ufrag nobody else has.
func (s *Server) register(g *generation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		g.local = newCredentials()
		if s.ufrags[g.local.Ufrag] == nil {
			s.ufrags[g.local.Ufrag] = g
			return
		}
	}
}

func (s *Server) unregister(g *generation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ufrags, g.local.Ufrag)
}

func (s *Server) await(id stun.ID, p *pair) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending[id] = p
}

func (s *Server) forget(id stun.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pending, id)
}

// counts are what strangers can cause: too often for an event.Recorder.
type counts struct {
	foreign, malformed, unknown, unsolicited, limited, integrity atomic.Uint64
}

// Counts says how many packets were dropped, and why.
type Counts struct {
	Foreign     uint64 // Lookup of an address that is not proven
	Malformed   uint64 // not STUN, or not a message of ICE
	Unknown     uint64 // a request that names no agent of ours
	Unsolicited uint64 // an answer to nothing
	Limited     uint64 // a request beyond the rates
	Integrity   uint64 // a message made with another password, or for another generation of the peer
}

// Counts returns the counters since the start.
func (s *Server) Counts() Counts {
	c := &s.counts
	return Counts{c.foreign.Load(), c.malformed.Load(), c.unknown.Load(), c.unsolicited.Load(), c.limited.Load(), c.integrity.Load()}
}
