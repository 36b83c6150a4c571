package turn

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"parley/internal/limit"
	"parley/internal/stun"
)

// allocation is one relayed address (RFC 8656 §3.2). To pion it is the relay socket: see relay.go.
type allocation struct {
	door    *door
	from    netip.AddrPort // the client
	path    path
	user    string
	born    time.Time
	relayed netip.AddrPort // as clients are told
	socket  *socket
	closed  atomic.Bool

	forgotten atomic.Bool  // pion has deleted it
	carried   atomic.Int64 // bytes from peers

	table atomic.Pointer[table] // replaced with Server.mu held
	up    limit.Bucket          // only the goroutine that reads from the client
	down  limit.Bucket          // only the goroutine that reads from the peers

	upward, downward carried
}

// Error codes that we choose ourselves (RFC 8489 §14.8, RFC 8656 §19).
const (
	badRequest           = 400
	unauthorized         = 401
	forbidden            = 403
	unknownAttribute     = 420
	allocationMismatch   = 437
	staleNonce           = 438
	familyNotSupported   = 440
	wrongCredentials     = 441
	transportUnsupported = 442
	familyMismatch       = 443
	quotaReached         = 486
	insufficientCapacity = 508
)

var errRefused = errors.New("turn: no relay for this request")

// open makes the relay socket for an Allocate request. Where it makes none, request.code says why.
func (d *door) open(r *request, family byte, port uint16) (*allocation, error) {
	now := time.Now()
	d.mu.Lock()
	r.code = d.admit(r.user, now)
	d.mu.Unlock()
	if r.code != 0 {
		return nil, errRefused
	}
	r.code = insufficientCapacity
	relay, ok := d.relay(family)
	if !ok {
		return nil, errRefused
	}
	conn, err := d.listen(relay, port, false)
	if err != nil {
		d.events.Hurt("turn.socket", r.from.Addr().String(), "err", err.Error())
		return nil, err
	}
	port = addrPort(conn.LocalAddr()).Port()
	a := &allocation{
		door: d, from: r.from, path: r.path, user: r.user, born: now, socket: newSocket(conn),
		relayed: netip.AddrPortFrom(relay.Public, port),
		up:      shaper(d.cfg.Bandwidth), down: shaper(d.cfg.Bandwidth),
	}
	a.table.Store(new(table))
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.code = d.admit(r.user, now); r.code != 0 {
		conn.Close()
		return nil, errRefused
	}
	d.users[a.user] = append(d.users[a.user], a)
	d.relayed[a.relayed] = a
	d.meter.made.Add(1)
	d.meter.now.Add(1)
	d.policy.family(a.relayed.Addr()).set(a.relayed.Port())
	d.tuples.Lock()
	d.allocations[a.from] = a
	d.tuples.Unlock()
	d.running.Go(a.relay)
	return a, nil
}

// admit returns 0 if a user may have one more allocation, or the error code. Called with mu held.
func (s *Server) admit(user string, now time.Time) int {
	switch {
	case s.closing || s.Allocations() >= s.cfg.Capacity:
		return insufficientCapacity
	case len(s.users[user]) >= s.cfg.Allocations:
		return quotaReached
	case s.ended.has(user, now):
		return unauthorized
	}
	return 0
}

// end ends the allocation: the relayed address is gone when it returns. It may be called more than once.
func (a *allocation) end() error {
	if a.closed.Swap(true) {
		return nil
	}
	d := a.door
	d.policy.family(a.relayed.Addr()).clear(a.relayed.Port())
	d.mu.Lock()
	list := d.users[a.user]
	if i := slices.Index(list, a); i >= 0 {
		list = slices.Delete(list, i, i+1)
	}
	if len(list) == 0 {
		delete(d.users, a.user)
	} else {
		d.users[a.user] = list
	}
	if d.relayed[a.relayed] == a {
		delete(d.relayed, a.relayed)
	}
	d.tuples.Lock()
	if d.allocations[a.from] == a {
		delete(d.allocations, a.from)
	}
	d.tuples.Unlock()
	d.mu.Unlock()
	err := a.socket.Close()
	d.meter.now.Add(-1)
	return err
}

// change replaces the table of an allocation by what edit makes of a copy of it, unless edit returns an error code or the
// user would have more permissions or channels than allowed.
func (s *Server) change(a *allocation, now time.Time, edit func(*table) (code int)) (code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := a.table.Load().fresh(now)
	had := [2]int{len(t.permissions), len(t.channels)}
	if code := edit(t); code != 0 {
		return code
	}
	permissions, channels := len(t.permissions), len(t.channels)
	more := permissions > had[0] || channels > had[1]
	for _, other := range s.users[a.user] {
		if more && other != a {
			o := other.table.Load().fresh(now)
			permissions += len(o.permissions)
			channels += len(o.channels)
		}
	}
	if more && (permissions > s.cfg.Permissions || channels > s.cfg.Channels) {
		return quotaReached
	}
	a.table.Store(t)
	return 0
}

// relay returns the relay address of a family.
func (s *Server) relay(family byte) (Relay, bool) {
	for _, r := range s.cfg.Relays {
		if r.Public.Is4() == (family == stun.IPv4) {
			return r, true
		}
	}
	return Relay{}, false
}

// listen binds a relay socket: to the port if it is not 0, else to a random one of the range, an even one if asked.
func (s *Server) listen(r Relay, port uint16, even bool) (*net.UDPConn, error) {
	bind, network := r.Bind, "udp4"
	if !bind.IsValid() {
		bind = r.Public
	}
	if bind.Is6() {
		network = "udp6"
	}
	try := func(port uint16) (*net.UDPConn, error) {
		return net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(bind, port)))
	}
	ports := s.cfg.RelayPorts
	if port != 0 && ports != (PortRange{}) && !ports.has(port) {
		return nil, errRefused
	}
	if port != 0 || ports == (PortRange{}) && !even {
		return try(port)
	}
	if ports == (PortRange{}) {
		ports = Default().RelayPorts
	}
	n := int(ports.Last-ports.First) + 1
	start := rand.IntN(n)
	err := errRefused
	for i := range min(n, 512) {
		port := ports.First + uint16((start+i)%n)
		if even && port%2 != 0 || s.policy.family(bind).has(port) {
			continue
		}
		conn, e := try(port)
		if e == nil || !errors.Is(e, syscall.EADDRINUSE) {
			return conn, e
		}
		err = e
	}
	return nil, err
}

// shaper returns the bucket of one direction of an allocation: it counts bits, and a quarter of a second may come at once.
func shaper(b Bitrate) limit.Bucket {
	if b == 0 {
		return limit.Bucket{}
	}
	return limit.NewBucket(limit.Rate{PerSecond: float64(b), Burst: max(float64(b)/4, 8*2*stun.MaxMessage)})
}
