package turn

import (
	"bytes"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"parley/internal/stun"
)

// What a relayed address took and dropped is known for each direction, as long as it lives.
func TestTheWayOverARelayIsCounted(t *testing.T) {
	media := peerSocket(t)
	port := addrPort(media.LocalAddr()).Port()
	s := start(t, func(c *Config) { c.Bandwidth, c.PeerPorts = leastBandwidth, []PortRange{{port, port}} })
	c := s.raw(t, "udp", "romeo")
	relayed := c.allocate()
	c.must(stun.ChannelBind, with32(stun.ChannelNumber, 0x4000<<16), withPeer(media.LocalAddr().String()))
	const sent, size = 40, 1000 // 320 kbit
	way := func() Way {
		w, ok := s.Way(relayed)
		if !ok {
			t.Fatal("the relayed address is not known")
		}
		return w
	}
	if w := way(); w.Up != (Carried{}) || w.Down != (Carried{}) || w.Door.Taken == 0 {
		t.Errorf("before anything was sent: %+v", w)
	}
	data := bytes.Repeat([]byte("x"), size)
	for range sent {
		c.Write(stun.AppendChannelData(nil, 0x4000, data, false))
	}
	eventually(t, "all that came up is counted", func() bool { w := way(); return w.Up.Taken+w.Up.Dropped+w.Door.Dropped == sent })
	if w := way(); w.Up.Taken == 0 || w.Up.Dropped < sent/2 || w.Down != (Carried{}) {
		t.Errorf("up: %+v", w)
	}
	for range sent {
		media.WriteTo(data, net.UDPAddrFromAddrPort(relayed))
	}
	eventually(t, "all that came down is counted", func() bool { w := way(); return w.Down.Taken+w.Down.Dropped == sent })
	if w := way(); w.Down.Taken == 0 || w.Down.Dropped < sent/2 {
		t.Errorf("down: %+v", w)
	}
	for _, other := range []netip.AddrPort{{}, addrPort(media.LocalAddr()), addrPort(c.LocalAddr()), netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), relayed.Port())} {
		if w, ok := s.Way(other); ok {
			t.Errorf("%v: %+v", other, w)
		}
	}
	c.must(stun.Refresh, with32(stun.Lifetime, 0))
	eventually(t, "what has ended is not known", func() bool { _, ok := s.Way(relayed); return !ok })
}

// What the kernel has no room for is counted.
func TestASocketOverflows(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("Linux alone says so")
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadBuffer(1)
	s := newSocket(conn)
	from, err := net.Dial("udp4", conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	const before = 500
	for range before {
		from.Write(make([]byte, 1000))
	}
	got := make(chan int, 10*before)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.run(func(b []byte, size int, _ netip.AddrPort) { got <- pieces(b, size) })
	}()
	came, sent := <-got, before
	eventually(t, "all is counted", func() bool { // the kernel says it with the next one that it has room for
		from.Write(make([]byte, 1000))
		sent++
		for {
			select {
			case n := <-got:
				came += n
				continue
			case <-time.After(20 * time.Millisecond):
			}
			return uint64(came)+s.overflow() == uint64(sent) && s.overflow() > before/2
		}
	})
	conn.Close()
	<-done
}
