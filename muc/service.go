package muc

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/event"
	"parley/internal/limit"
	"parley/internal/store"
	"parley/internal/token"
	"parley/xmpp/wire"
)

// Sender is who sent a packet: what it says was established when it logged in.
type Sender interface {
	Addr() wire.Addr
	// Deliver queues a stanza without blocking. An empty to stands for Addr.
	Deliver(b *wire.Batch, to wire.Addr, s wire.Stanza)
	Guest() bool           // logged in without an account
	Source() netip.Addr    // what limits count it as
	Claims() *token.Claims // nil if it has no token
	// Hold delays the acknowledgement of the packet that is being handled until release is called.
	Hold() (release func())
}

// isRemote reports a sender whose account is at another server, as it says itself: it may join, but what needs an account here
// is not for it.
func isRemote(s Sender) bool {
	r, ok := s.(interface{ Remote() bool })
	return ok && r.Remote()
}

// Out takes stanzas to sessions.
type Out interface {
	Deliver(b *wire.Batch, to wire.Addr, s wire.Stanza)
}

// Service is all rooms of a domain. It is safe for concurrent use.
type Service struct {
	config Config
	focus  wire.Addr
	out    Out
	store  store.Rooms
	rec    *event.Recorder

	index     *index
	directory *directory
	guesses   *limit.Sources[netip.Addr]
	listings  *limit.Sources[netip.Addr]
	births    *limit.Sources[netip.Addr]

	mu     sync.Mutex // guards cells, pauses, makers, made, closing
	cells  map[wire.Addr]*cell
	pauses map[netip.Addr]time.Time
	makers map[wire.Addr]wire.Addr // who created a room
	made   map[wire.Addr]int       // how many rooms somebody has created

	archive    Archive      // nil: none can be read
	reading    atomic.Int64 // answers from the archive that are on their way
	closing    atomic.Bool
	draining   atomic.Bool
	observers  atomic.Pointer[[]func(Event)]
	journal    Journal // nil: none
	lives      func(session wire.Addr) bool
	rebuilding sync.Mutex              // guards replayed and coming
	replayed   map[wire.Addr]*replayed // by the journal, and not in use yet
	coming     map[wire.Addr]*replayed // what is to take its place, of which not all was said
	running    tally                   // runners, writes, listings
	rooms      atomic.Int64
	occupants  atomic.Int64
}

// New returns the service of a domain. Rooms are read from the store when they are first asked for.
func New(config Config, out Out, rooms store.Rooms, rec *event.Recorder) (*Service, error) {
	if err := config.check(); err != nil {
		return nil, err
	}
	const sources = 100_000
	s := &Service{
		config: config, focus: wire.Addr(config.Focus), out: out, store: rooms, rec: rec,
		index: newIndex(), directory: newDirectory(),
		guesses:  limit.NewSources[netip.Addr](0, config.Limits.Guesses, sources),
		births:   limit.NewSources[netip.Addr](0, birth, sources),
		listings: limit.NewSources[netip.Addr](0, limit.Rate{PerSecond: 5, Burst: 50}, sources),
		cells:    make(map[wire.Addr]*cell), pauses: make(map[netip.Addr]time.Time),
		makers: make(map[wire.Addr]wire.Addr), made: make(map[wire.Addr]int),
	}
	s.observers.Store(new([]func(Event)))
	return s, nil
}

// Observe has f called with every event of every room, in the order of the room's words, from its runner. It must not
// block; it may post through a Seat.
func (s *Service) Observe(f func(Event)) {
	for {
		old := s.observers.Load()
		next := append((*old)[:len(*old):len(*old)], f)
		if s.observers.CompareAndSwap(old, &next) {
			return
		}
	}
}

// Describe adds identities and features, as they are written, to what every room says of itself (XEP-0045 §6.4). It is called before
// there are rooms.
func (s *Service) Describe(also []byte) { s.config.Limits.Also = also }

// Stats is how much there is.
type Stats struct {
	Rooms     int // in use
	Occupants int // sessions in rooms, without the focus
}

// Stats returns how much there is now.
func (s *Service) Stats() Stats {
	return Stats{Rooms: int(s.rooms.Load()), Occupants: int(s.occupants.Load())}
}

// Handle takes a packet for the domain. The packet lives only during the call.
func (s *Service) Handle(b *wire.Batch, from Sender, to wire.Addr, p *wire.Packet) {
	typ := string(p.Type())
	if to.Local() == "" {
		s.host(b, from, to, p)
		return
	}
	in := &input{to: to, from: from.Addr(), guest: from.Guest(), remote: isRemote(from), source: from.Source(), claims: from.Claims()}
	in.parting = p.Kind == wire.Presence && typ != "" || typ == "error" || p.Kind == wire.IQ && typ == "result"
	room := to.Bare()
	present := s.index.in(in.from, room)
	if why := s.refuses(in, p, room, present); why != nil {
		s.answer(b, from, to, p, why)
		return
	}
	if !present && in.parting {
		return // to whom it is dear he never was
	}
	in.packet = p.Clone()
	in.release = from.Hold()
	switch s.post(room, in) {
	case posted:
		return
	case crowded:
		s.answer(b, from, to, p, &errBusy)
	}
	in.release()
	if in.joins {
		s.index.leave(in.from, room)
	}
}

// refuses says why a packet does not even reach its room. It counts attempts to join.
func (s *Service) refuses(in *input, p *wire.Packet, room wire.Addr, present bool) *refusal {
	l := &s.config.Limits
	switch {
	case s.closing.Load() && !in.parting:
		return &errClosing
	case in.from == s.focus: // it speaks through its seats only
		return &errNickReserved
	case !present && !in.parting && s.blocked(in.source):
		return &errGuesses
	}
	if p.Kind != wire.Presence || string(p.Type()) != "" {
		return nil
	}
	if len(p.Raw()) > l.Presence {
		return &errPresenceSize
	}
	n, join := 0, false
	for it := p.Elem().Children(); it.Next(); {
		if n++; n > l.Children {
			return &errPresenceSize
		}
		join = join || it.Elem.Is("x", NSMUC)
	}
	if !join || in.to.IsBare() {
		return nil
	}
	if !s.index.enter(in.from, room, l.Joined) {
		return &errTooMany
	}
	in.joins = true
	return nil
}

// answer refuses a packet at once.
func (s *Service) answer(b *wire.Batch, from Sender, to wire.Addr, p *wire.Packet, why *refusal) {
	if why.event != "" {
		s.rec.Reject(why.event, from.Source().String(), "jid", string(from.Addr()), "room", string(to.Bare()), "text", why.Text)
	}
	if typ := string(p.Type()); typ == "error" || p.Kind == wire.IQ && typ == "result" {
		return
	}
	words := why.Error
	words.By, words.Echo = to.Bare(), echo(p)
	from.Deliver(b, "", words.ErrorTo(p, to))
}

// post puts the input into its room's mailbox; if there is no cell there will be one.
func (s *Service) post(room wire.Addr, in *input) outcome {
	for {
		s.mu.Lock()
		c := s.cells[room]
		if c == nil {
			c = &cell{service: s, addr: room}
			s.cells[room] = c
		}
		s.mu.Unlock()
		if o := c.post(in); o != departed {
			return o
		}
		s.forget(c)
	}
}

// forget drops a dead cell.
func (s *Service) forget(c *cell) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cells[c.addr] == c {
		delete(s.cells, c.addr)
	}
}

// Gone tells the session's rooms that it has ended without goodbye.
func (s *Service) Gone(addr wire.Addr) {
	for _, room := range s.index.rooms(addr) {
		s.post(room, &input{gone: addr})
	}
}

// notice keeps the count of who created what, and tells the observers.
func (s *Service) notice(e Event) {
	switch e := e.(type) {
	case RoomCreated:
		s.adopt(e.Room, e.Maker)
	case RoomDestroyed:
		s.mu.Lock()
		if by, ok := s.makers[e.Room]; ok {
			delete(s.makers, e.Room)
			if s.made[by]--; s.made[by] == 0 {
				delete(s.made, by)
			}
		}
		s.mu.Unlock()
	}
	for _, f := range *s.observers.Load() {
		f(e)
	}
}

// unreachable says why there can be no room at an address.
func (s *Service) unreachable(room wire.Addr) *refusal {
	switch {
	case s.closing.Load():
		return &errClosing
	case room.Local() == "" || !room.IsBare() || room.Domain() != s.config.Domain:
		return &errNotAddress
	}
	return nil
}

// Close takes no more packets, tells all occupants that the service stops (status 332), and waits until every room has
// worked off what it has and the store has answered.
func (s *Service) Close(ctx context.Context) error {
	if !s.closing.CompareAndSwap(false, true) {
		return nil
	}
	s.mu.Lock()
	var all []*cell
	for _, c := range s.cells {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		c.post(&input{do: func(r *room, in *input, fx *effects) { r.shutDown(fx) }, fail: func(*refusal) {}})
	}
	return s.running.wait(ctx)
}
