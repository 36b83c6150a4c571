package turn

import (
	"net/netip"
	"sync/atomic"

	"parley/internal/stun"
)

// Carried counts datagrams since a begin: those that were taken on, and those that were dropped, at a limit of ours or because
// we did not take them from the kernel in time.
type Carried struct{ Taken, Dropped uint64 }

// Way is what the way over a relayed address did to what went over it. What waits in a TCP or TLS connection, or is held back
// at our limit there, is in none of these: what fills such a queue is the client's link.
type Way struct {
	Up, Down Carried // from the client, and from its peers
	Door     Carried // what all clients send to the socket that this one sends to
}

// Way returns what became of what went over a relayed address, which peers may see as the outer or the inner one; false if there
// is none.
func (s *Server) Way(at netip.AddrPort) (w Way, ok bool) {
	if _, own := (*s.policy.own.Load())[at.Addr().Unmap()]; !own || !s.policy.family(at.Addr().Unmap()).has(at.Port()) {
		return w, false // without a lock: most that ask have none
	}
	family := byte(stun.IPv6)
	if at.Addr().Unmap().Is4() {
		family = stun.IPv4
	}
	relay, _ := s.relay(family)
	s.mu.Lock()
	a := s.relayed[netip.AddrPortFrom(relay.Public, at.Port())]
	s.mu.Unlock()
	if a == nil {
		return w, false
	}
	w.Up, w.Down, w.Door = a.upward.now(), a.downward.now(), a.door.taken.now()
	if !a.path.stream() {
		w.Down.Dropped += a.socket.overflow()
		w.Door.Dropped += a.door.socket.overflow()
	}
	return w, true
}

// carried is a Carried that is being counted.
type carried struct{ taken, dropped atomic.Uint64 }

func (c *carried) add(taken, dropped int) {
	c.taken.Add(uint64(taken))
	if dropped > 0 {
		c.dropped.Add(uint64(dropped))
	}
}

func (c *carried) now() Carried { return Carried{c.taken.Load(), c.dropped.Load()} }

// overflow is how many datagrams the kernel had no room for at the socket, where it says so.
func (s *socket) overflow() uint64 {
	if s == nil || s.batch == nil {
		return 0
	}
	return s.batch.overflow.Load()
}

// pieces is how many datagrams of a size there are in some bytes.
func pieces(b []byte, size int) int {
	if len(b) > size {
		return (len(b) + size - 1) / size
	}
	return 1
}
