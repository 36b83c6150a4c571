package turn

import (
	"bytes"
	"net"
	"testing"
	"time"

	"parley/internal/stun"
)

// stalling holds up whoever sends a datagram with the word "stall" until the channel is closed.
type stalling struct {
	net.PacketConn
	stalled chan struct{}
	release chan struct{}
}

func (s *stalling) WriteTo(b []byte, to net.Addr) (int, error) {
	if bytes.Contains(b, []byte("stall")) {
		s.stalled <- struct{}{}
		<-s.release
	}
	return s.PacketConn.WriteTo(b, to)
}

// TestAllocateAgain gives an allocation up and makes a new one from the same port while the relay of the old one is still
// busy: the end of the old relay must not take the new allocation with it.
func TestAllocateAgain(t *testing.T) {
	l, addrs := listen(t)
	door := &stalling{l.Packets[0], make(chan struct{}), make(chan struct{})}
	l.Packets[0] = door
	s := startOn(t, l, addrs, nil)
	c, peer := s.raw(t, "udp", "romeo"), s.raw(t, "udp", "juliet")
	old, other := c.allocate(), peer.allocate()
	c.must(stun.CreatePermission, withPeer(other.String()))
	peer.must(stun.ChannelBind, with32(stun.ChannelNumber, 0x4000<<16), withPeer(old.String()))
	peer.send(stun.AppendChannelData(nil, 0x4000, []byte("stall"), false))
	<-door.stalled
	c.must(stun.Refresh, with32(stun.Lifetime, 0))
	c.allocate()
	close(door.release)
	if b := c.receive(patience); !bytes.Contains(b, []byte("stall")) { // the old relay goes on
		t.Fatalf("got %q", b)
	}
	time.Sleep(silence)
	c.must(stun.Refresh)
	if n := s.Allocations(); n != 2 {
		t.Errorf("%d allocations, want 2", n)
	}
}

// TestManyTimes makes and ends allocations in every way that there is: nothing is left, and nothing is in the way of the
// next one.
func TestManyTimes(t *testing.T) {
	s := start(t, func(c *Config) { c.Requests.PerSecond, c.Requests.Burst = 1e6, 1e6 })
	c := s.raw(t, "udp", "romeo")
	for i := range 100 {
		c.allocate()
		c.must(stun.Refresh, with32(stun.Lifetime, 0))
		c.want(allocationMismatch, stun.Refresh)
		if i%10 == 0 {
			gone := s.raw(t, networks[1+i/10%2], "juliet")
			gone.allocate()
			gone.Close()
		}
	}
	eventually(t, "0 allocations", func() bool { return s.Allocations() == 0 && s.pion.AllocationCount() == 0 })
	for _, d := range s.doors {
		d.tuples.RLock()
		if len(d.allocations) != 0 {
			t.Errorf("%d five-tuples are left", len(d.allocations))
		}
		d.tuples.RUnlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.users) != 0 {
		t.Errorf("%d users are left", len(s.users))
	}
	for family := range s.policy.live {
		for port := range s.policy.live[family] {
			if s.policy.live[family][port].Load() != 0 {
				t.Errorf("ports about %d are still relays", port*64)
			}
		}
	}
}
