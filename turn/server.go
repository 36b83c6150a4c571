package turn

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	pturn "github.com/pion/turn/v5"
	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/event"
	"parley/internal/limit"
)

// Listeners are the sockets to serve, bound by the caller and from then on the server's. A stream listener is TLS if its
// connections are, as tls.NewListener makes them. Socket buffers are the caller's choice.
type Listeners struct {
	Packets []net.PacketConn
	Streams []net.Listener
}

// Server is a running server. Its methods are safe for concurrent use.
type Server struct {
	cfg         Config
	policy      *policy
	nonces      *nonces
	events      *event.Recorder
	meter       meter
	pion        *pturn.Server
	listeners   []net.Listener
	bound       []netip.Addr // addresses of all listeners
	doors       []*door
	replies     *limit.Sources[netip.Addr]
	requests    *limit.Sources[string]
	connections *limit.Sources[netip.Addr]

	running sync.WaitGroup // doors, streams and relays

	mu      sync.Mutex // guards what follows; taken before the mutex of a door
	closing bool
	users   map[string][]*allocation
	relayed map[netip.AddrPort]*allocation
	ended   ended
	streams map[net.Conn]struct{}
	looked  time.Time // when interfaces was last called

	interfaces func() ([]net.Addr, error) // addresses of this machine

	logging sync.Mutex   // guards lines
	lines   limit.Bucket // lines that refuse may log
}

// door is one listening socket: the five-tuples that lead to it and pion behind it.
type door struct {
	*Server
	socket *socket // nil for streams
	back   *back
	taken  carried

	tuples      sync.RWMutex // guards allocations
	allocations map[netip.AddrPort]*allocation
}

// lookEvery is how old the knowledge of this machine's addresses gets.
const lookEvery = 10 * time.Second

// sources is how many sources of requests and users are remembered at a time.
const sources = 1 << 16

// New starts a server. When it returns an error the listeners are still the caller's. Events and reg may be nil; the
// metrics stay registered until Close.
func New(cfg Config, l Listeners, events *event.Recorder, reg prometheus.Registerer) (*Server, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if len(l.Packets)+len(l.Streams) == 0 {
		return nil, errors.New("turn: nothing to listen on")
	}
	bound, now := l.addresses(), time.Now()
	own, err := ownAddresses(bound, net.InterfaceAddrs)
	if err != nil {
		return nil, fmt.Errorf("turn: own addresses: %w", err)
	}
	s := &Server{
		cfg: cfg, policy: newPolicy(cfg, own), nonces: newNonces(), events: events, bound: bound, interfaces: net.InterfaceAddrs, looked: now,
		listeners:   l.Streams,
		replies:     limit.NewSources[netip.Addr](0, cfg.Replies, sources),
		requests:    limit.NewSources[string](0, cfg.Requests, sources),
		connections: limit.NewSources[netip.Addr](cfg.Connections, cfg.ConnectionRate, sources),
		users:       make(map[string][]*allocation), relayed: make(map[netip.AddrPort]*allocation), streams: make(map[net.Conn]struct{}),
		lines: limit.NewBucket(limit.Rate{PerSecond: 10, Burst: 50}),
	}
	for _, conn := range l.Packets {
		s.addDoor(conn.LocalAddr())
	}
	for _, listener := range l.Streams {
		s.addDoor(listener.Addr())
	}
	if err := s.meter.register(reg); err != nil {
		return nil, fmt.Errorf("turn: %w", err)
	}
	if s.pion, err = newPion(s); err != nil {
		s.meter.unregister()
		return nil, fmt.Errorf("turn: %w", err)
	}
	for i, conn := range l.Packets {
		d := s.doors[i]
		d.socket = newSocket(conn)
		s.running.Go(d.readDatagrams)
	}
	for i, listener := range l.Streams {
		d := s.doors[len(l.Packets)+i]
		s.running.Go(func() { d.accept(listener) })
	}
	return s, nil
}

func (s *Server) addDoor(local net.Addr) {
	d := &door{Server: s, allocations: make(map[netip.AddrPort]*allocation)}
	d.back = newBack(d, local)
	s.doors = append(s.doors, d)
}

// addresses returns the addresses that the listeners are bound to.
func (l Listeners) addresses() (bound []netip.Addr) {
	for _, c := range l.Packets {
		bound = append(bound, addrPort(c.LocalAddr()).Addr())
	}
	for _, c := range l.Streams {
		bound = append(bound, addrPort(c.Addr()).Addr())
	}
	return bound
}

// ownAddresses returns the given addresses and those of the interfaces.
func ownAddresses(bound []netip.Addr, interfaces func() ([]net.Addr, error)) ([]netip.Addr, error) {
	own := slices.Clone(bound)
	addrs, err := interfaces()
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, p.Addr())
		}
	}
	return own, err
}

// lookAround keeps the policy at the addresses that this machine has, which change while the server runs: with DHCP, and
// daily with the temporary addresses of IPv6 (RFC 8981).
func (s *Server) lookAround(now time.Time) {
	s.mu.Lock()
	due, interfaces := now.Sub(s.looked) >= lookEvery, s.interfaces
	if due {
		s.looked = now
	}
	s.mu.Unlock()
	if !due {
		return
	}
	if own, err := ownAddresses(s.bound, interfaces); err == nil {
		s.policy.know(own)
	}
}

// Allocations returns how many allocations there are.
func (s *Server) Allocations() int { return int(s.meter.now.Load()) }

// Carrying returns the users for whom an allocation that there is has carried so many bytes from peers: with more than the checks
// of ICE make, those whose media the relay carries.
func (s *Server) Carrying(bytes int64) (users []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for user, list := range s.users {
		if slices.ContainsFunc(list, func(a *allocation) bool { return a.carried.Load() >= bytes }) {
			users = append(users, user)
		}
	}
	return users
}

// End ends a user's participation (kick, leave): the allocations end before it returns, and the credentials that the user
// holds are refused from now on.
func (s *Server) End(user string) {
	s.mu.Lock()
	s.ended.add(user, time.Now())
	allocations := slices.Clone(s.users[user])
	s.mu.Unlock()
	for _, a := range allocations {
		a.end()
		a.path.end()
	}
}

// Close ends all allocations and returns when every socket is closed and everything that the server started has stopped.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		s.running.Wait()
		return nil
	}
	s.closing = true
	var allocations []*allocation
	for _, list := range s.users {
		allocations = append(allocations, list...)
	}
	streams := make([]net.Conn, 0, len(s.streams))
	for conn := range s.streams {
		streams = append(streams, conn)
	}
	s.mu.Unlock()

	var errs []error
	for _, d := range s.doors {
		if d.socket != nil {
			errs = append(errs, d.socket.Close())
		}
	}
	for _, l := range s.listeners {
		errs = append(errs, l.Close())
	}
	for _, conn := range streams {
		hangUp(conn)
	}
	for _, a := range allocations {
		a.end()
	}
	s.running.Wait() // pion is still needed, to forget the allocations
	errs = append(errs, s.pion.Close())
	s.meter.unregister()
	return errors.Join(errs...)
}

// find returns the allocation of a client, nil if there is none.
func (d *door) find(from netip.AddrPort) *allocation {
	d.tuples.RLock()
	defer d.tuples.RUnlock()
	return d.allocations[from]
}

// survive, deferred, keeps a panic while the data of one client is handled from ending the calls of all others
// (hardening.md HR6).
func (s *Server) survive(client netip.AddrPort) {
	if p := recover(); p != nil {
		s.events.Hurt("panic", client.Addr().String(), "panic", fmt.Sprint(p), "stack", stack(debug.Stack()))
	}
}

// stack is a log value that is not cut.
type stack string

// refuse counts what a client did wrong, and logs it unless strangers cause too many lines.
func (s *Server) refuse(event string, from netip.AddrPort, now time.Time, attrs ...any) {
	s.logging.Lock()
	line := s.lines.Allow(now, 1)
	s.logging.Unlock()
	if line {
		s.events.Reject(event, from.Addr().String(), attrs...)
	} else {
		s.events.Count(event)
	}
}
