package turn

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"parley/internal/stun"
)

var networks = []string{"udp", "tcp", "tls"}

// TestCall relays between two pion clients by every pair of transports, with both ends on this machine.
func TestCall(t *testing.T) {
	s := start(t, nil)
	for _, one := range networks {
		for _, two := range networks {
			t.Run(one+" "+two, func(t *testing.T) {
				a, b := s.connect(t, one, "romeo"), s.connect(t, two, "juliet")
				call(t, a.relay, b.relay)
			})
		}
	}
	if up, down := s.metric(t, "parley_turn_relayed_bytes_total", "up"), s.metric(t, "parley_turn_relayed_bytes_total", "down"); up == 0 || up != down {
		t.Errorf("%v bytes up, %v down", up, down)
	}
	if n := s.metric(t, "parley_turn_allocations_total", ""); n != 18 {
		t.Errorf("%v allocations made", n)
	}
	eventually(t, "0 allocations", func() bool { return s.metric(t, "parley_turn_allocations", "") == 0 })
}

// call sends in both directions between two relayed addresses, first as indications and then by channels.
func call(t testing.TB, a, b net.PacketConn) {
	t.Helper()
	for i := range 4 {
		if i == 1 {
			time.Sleep(20 * time.Millisecond) // pion's client binds channels behind the first datagram
		}
		for _, way := range [][2]net.PacketConn{{a, b}, {b, a}} {
			text := fmt.Sprintf("message %d%s", i, bytes.Repeat([]byte("x"), i))
			if i == 0 { // the other side's permission
				if _, err := way[1].WriteTo(nil, way[0].LocalAddr()); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := way[0].WriteTo([]byte(text), way[1].LocalAddr()); err != nil {
				t.Fatal(err)
			}
			for {
				buf := make([]byte, 4096)
				way[1].SetReadDeadline(time.Now().Add(patience))
				n, from, err := way[1].ReadFrom(buf)
				if err != nil {
					t.Fatalf("%s from %v: %v", text, way[0].LocalAddr(), err)
				}
				if n == 0 {
					continue
				}
				if string(buf[:n]) != text || from.String() != way[0].LocalAddr().String() {
					t.Fatalf("got %q from %v, want %q from %v", buf[:n], from, text, way[0].LocalAddr())
				}
				break
			}
		}
	}
}

// TestStrangeSockets serves a packet connection that is no *net.UDPConn.
func TestStrangeSockets(t *testing.T) {
	l, addrs := listen(t)
	l.Packets[0] = struct{ net.PacketConn }{l.Packets[0]}
	s := startOn(t, l, addrs, nil)
	call(t, s.connect(t, "udp", "romeo").relay, s.connect(t, "udp", "juliet").relay)
}

func TestDualStackSocket(t *testing.T) {
	l, addrs := listen(t)
	wide, err := net.ListenPacket("udp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	l.Packets = append(l.Packets, wide)
	addrs["udp"] = netip.AddrPortFrom(loopback, addrPort(wide.LocalAddr()).Port())
	s := startOn(t, l, addrs, nil)
	call(t, s.connect(t, "udp", "romeo").relay, s.connect(t, "udp", "juliet").relay)
	c := s.raw(t, "udp", "mercutio")
	if m := c.ask(c.write(stun.Binding, stun.Request, newID()), patience); m.Mapped.String() != c.LocalAddr().String() {
		t.Errorf("mapped address %v, want %v", m.Mapped, c.LocalAddr())
	}
}

func TestIPv6(t *testing.T) {
	probe, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	probe.Close()
	s := start(t, func(c *Config) { c.Relays = append(c.Relays, Relay{Public: netip.MustParseAddr("::1")}) })
	a, b := s.raw(t, "udp", "romeo"), s.raw(t, "tcp", "juliet")
	six := with32(stun.RequestedAddressFamily, stun.IPv6<<24)
	relayA, relayB := a.allocate(six), b.allocate(six)
	if !relayA.Addr().Is6() {
		t.Fatalf("relayed address %v", relayA)
	}
	a.want(familyMismatch, stun.CreatePermission, withPeer("8.8.8.8:1"))
	a.must(stun.ChannelBind, with32(stun.ChannelNumber, 0x4000<<16), withPeer(relayB.String()))
	b.must(stun.CreatePermission, withPeer(relayA.String()))
	a.send(stun.AppendChannelData(nil, 0x4000, []byte("hello"), false))
	var m stun.Message
	if got := b.receive(patience); m.Parse(got, stun.TURN) != nil || m.Method != stun.DataIndication || string(m.Data) != "hello" || m.Peers[0] != relayA {
		t.Fatalf("got %x", got)
	}
	b.send(b.write(stun.Send, stun.Indication, newID(), withPeer(relayA.String()), with(stun.Data, []byte("back"))))
	if _, data, ok := stun.ChannelData(a.receive(patience)); !ok || string(data) != "back" {
		t.Fatalf("got %q", data)
	}
	none := start(t, nil).raw(t, "udp", "romeo")
	none.want(familyNotSupported, stun.Allocate, withUDP, six)
	none.want(familyNotSupported, stun.Allocate, withUDP, with32(stun.RequestedAddressFamily, 7<<24))
}

// TestTranslation gives relays a public address that is not this machine's: calls between two of them do not depend on the
// address translation leading back.
func TestTranslation(t *testing.T) {
	public := netip.MustParseAddr("192.0.2.7")
	s := start(t, func(c *Config) { c.Relays = []Relay{{Public: public, Bind: loopback}} })
	a, b := s.connect(t, "udp", "romeo"), s.connect(t, "udp", "juliet")
	if got := addrPort(a.relay.LocalAddr()).Addr(); got != public {
		t.Errorf("relayed address %v", got)
	}
	call(t, a.relay, b.relay)
}

// TestBursts sends datagrams of equal and of mixed sizes in quick succession, so that they come and go together, and
// compares all of them.
func TestBursts(t *testing.T) {
	s := start(t, func(c *Config) { c.Bandwidth, c.PeerPorts = 0, nil })
	for _, network := range networks {
		for _, channel := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s channel %v", network, channel), func(t *testing.T) {
				a, b := s.raw(t, network, "romeo"), s.raw(t, "udp", "juliet")
				relayA, relayB := a.allocate(), b.allocate()
				a.must(stun.CreatePermission, withPeer(relayB.String()))
				b.must(stun.ChannelBind, with32(stun.ChannelNumber, 0x4001<<16), withPeer(relayA.String()))
				if channel {
					a.must(stun.ChannelBind, with32(stun.ChannelNumber, 0x4002<<16), withPeer(relayB.String()))
				}
				r := rand.New(rand.NewPCG(1, 2))
				for range 20 {
					// A burst as a client with GSO sends it: equal sizes, the last one shorter, or any sizes.
					size, sent := 1+r.IntN(1400), [][]byte{}
					for range 1 + r.IntN(30) {
						data := make([]byte, size)
						if r.IntN(10) == 0 {
							data = data[:r.IntN(size)]
						}
						for i := range data {
							data[i] = byte(r.Uint32())
						}
						sent = append(sent, data)
					}
					for _, way := range []struct {
						from, to *rawClient
						channel  uint16
						peer     netip.AddrPort
					}{{a, b, 0x4002, relayB}, {b, a, 0x4001, relayA}} {
						burst(t, way.from, way.channel, way.from == b || channel, way.peer, sent)
						for i, want := range sent {
							got := way.to.receive(patience)
							var m stun.Message
							if _, data, ok := stun.ChannelData(got); ok {
								got = data
							} else if m.Parse(got, stun.TURN) == nil {
								got = m.Data
							}
							if !bytes.Equal(got, want) {
								t.Fatalf("datagram %d of %d: got %d bytes, want %d", i, len(sent), len(got), len(want))
							}
						}
					}
				}
			})
		}
	}
}

// burst sends data to a peer, in as few calls as there can be.
func burst(t testing.TB, c *rawClient, channel uint16, bound bool, peer netip.AddrPort, data [][]byte) {
	t.Helper()
	var all []byte
	size := 0
	flush := func() {
		if conn, ok := c.Conn.(*net.UDPConn); ok {
			together(conn, all, size, netip.AddrPort{})
		} else {
			c.send(all)
		}
		all = nil
	}
	for _, d := range data {
		var frame []byte
		if bound {
			frame = stun.AppendChannelData(nil, channel, d, c.stream)
		} else {
			frame = c.write(stun.Send, stun.Indication, newID(), withPeer(peer.String()), with(stun.Data, d))
		}
		if len(all) > 0 && (len(frame) > size || len(all)%size != 0 || len(all)+len(frame) > largest-64) {
			flush()
		}
		if all = append(all, frame...); len(all) == len(frame) {
			size = len(frame)
		}
	}
	flush()
}

func TestReservation(t *testing.T) {
	s := start(t, nil)
	a := s.raw(t, "udp", "romeo")
	code, answer := a.request(stun.Allocate, withUDP, with(stun.EvenPort, []byte{0x80}))
	if code != 0 || answer.Relayed.Port()%2 != 0 || len(answer.Token) != 8 {
		t.Fatalf("answer %d, relay %v, token %q", code, answer.Relayed, answer.Token)
	}
	token := bytes.Clone(answer.Token)
	b := s.raw(t, "udp", "romeo")
	if next := b.allocate(with(stun.ReservationToken, token)); next.Port() != answer.Relayed.Port()+1 {
		t.Errorf("relays at %v and %v", answer.Relayed, next)
	}
	c := s.raw(t, "udp", "romeo")
	c.want(insufficientCapacity, stun.Allocate, withUDP, with(stun.ReservationToken, []byte("unknown!")))
	c.want(badRequest, stun.Allocate, withUDP, with(stun.ReservationToken, token), with(stun.EvenPort, []byte{0}))
	c.want(badRequest, stun.Allocate, withUDP, with(stun.ReservationToken, token), with32(stun.RequestedAddressFamily, 1<<24))
}

func TestRelayPorts(t *testing.T) {
	free := peerSocket(t)
	port := addrPort(free.LocalAddr()).Port()
	free.Close()
	s := start(t, func(c *Config) { c.RelayPorts = PortRange{port, port} })
	a := s.raw(t, "udp", "romeo")
	if got := a.allocate(); got.Port() != port {
		t.Errorf("relay at %v, want port %d", got, port)
	}
	s.raw(t, "udp", "juliet").want(insufficientCapacity, stun.Allocate, withUDP)
	a.must(stun.Refresh, with32(stun.Lifetime, 0))
	s.raw(t, "udp", "juliet").allocate()
}

func TestAllocateErrors(t *testing.T) {
	s := start(t, nil)
	c := s.raw(t, "udp", "romeo")
	for _, k := range []struct {
		name   string
		code   int
		method stun.Method
		attrs  []attr
	}{
		{"no transport", badRequest, stun.Allocate, nil},
		{"TCP allocation", transportUnsupported, stun.Allocate, []attr{with32(stun.RequestedTransport, 6<<24)}},
		{"don't fragment", unknownAttribute, stun.Allocate, []attr{withUDP, with(0x001A, nil)}},
		{"unknown attributes", unknownAttribute, stun.Allocate, []attr{withUDP, with(0x7001, nil), with(0x7002, nil)}},
		{"refresh of nothing", allocationMismatch, stun.Refresh, nil},
		{"permission of nothing", allocationMismatch, stun.CreatePermission, []attr{withPeer("8.8.8.8:1")}},
		{"channel of nothing", allocationMismatch, stun.ChannelBind, []attr{withPeer("8.8.8.8:1"), with32(stun.ChannelNumber, 0x4000<<16)}},
		{"connect of nothing", allocationMismatch, stun.Connect, []attr{withPeer("8.8.8.8:1")}},
		{"allocate", 0, stun.Allocate, []attr{withUDP}},
		{"no peer", badRequest, stun.CreatePermission, nil},
		{"channel without number", badRequest, stun.ChannelBind, []attr{withPeer("8.8.8.8:1")}},
		{"channel without peer", badRequest, stun.ChannelBind, []attr{with32(stun.ChannelNumber, 0x4000<<16)}},
		{"channel number too low", badRequest, stun.ChannelBind, []attr{withPeer("8.8.8.8:1"), with32(stun.ChannelNumber, 0x3FFF<<16)}},
		{"channel number too high", badRequest, stun.ChannelBind, []attr{withPeer("8.8.8.8:1"), with32(stun.ChannelNumber, 0x5000<<16)}},
		{"channel", 0, stun.ChannelBind, []attr{withPeer("8.8.8.8:1"), with32(stun.ChannelNumber, 0x4000<<16)}},
		{"same channel again", 0, stun.ChannelBind, []attr{withPeer("8.8.8.8:1"), with32(stun.ChannelNumber, 0x4000<<16)}},
		{"channel of another peer", badRequest, stun.ChannelBind, []attr{withPeer("8.8.8.8:2"), with32(stun.ChannelNumber, 0x4000<<16)}},
		{"another channel for the peer", badRequest, stun.ChannelBind, []attr{withPeer("8.8.8.8:1"), with32(stun.ChannelNumber, 0x4001<<16)}},
		{"IPv6 peer", familyMismatch, stun.CreatePermission, []attr{withPeer("[2600::1]:1")}},
		{"refresh of another family", familyMismatch, stun.Refresh, []attr{with32(stun.RequestedAddressFamily, stun.IPv6<<24)}},
	} {
		got, answer := c.request(k.method, k.attrs...)
		if got != k.code {
			t.Errorf("%s: %d, want %d", k.name, got, k.code)
		}
		if got == unknownAttribute && !answer.Has(stun.UnknownAttributes) {
			t.Errorf("%s: the answer does not name the attributes", k.name)
		}
	}
}

// TestRetransmission repeats an Allocate request of which the answer was lost: the answer is the same.
func TestRetransmission(t *testing.T) {
	s := start(t, nil)
	c := s.raw(t, "udp", "romeo")
	c.want(allocationMismatch, stun.Refresh) // fetches a nonce
	b := c.write(stun.Allocate, stun.Request, newID(), withUDP)
	one, two := c.ask(b, patience), c.ask(b, patience)
	if one.Class != stun.Success || two.Class != stun.Success || one.Relayed != two.Relayed || s.Allocations() != 1 {
		t.Errorf("relays %v and %v, %d allocations", one.Relayed, two.Relayed, s.Allocations())
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *Config) { c.Lifetime, c.MaxLifetime = time.Second, 2*time.Second })
	c := s.raw(t, "udp", "romeo")
	relayed := c.allocate()
	eventually(t, "expired", func() bool { return s.Allocations() == 0 })
	if conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(relayed)); err != nil {
		t.Errorf("the port is not free: %v", err)
	} else {
		conn.Close()
	}
	if again := c.allocate(); again == relayed {
		t.Log("the same port again")
	}
}

func TestCloseEndsEverything(t *testing.T) {
	s := start(t, nil)
	var streams []*rawClient
	for i := range 5 {
		for _, network := range networks {
			c := s.raw(t, network, fmt.Sprint("user ", i))
			c.allocate()
			if c.stream {
				streams = append(streams, c)
			}
		}
	}
	half := s.dial(t, "tcp", "")
	half.Write([]byte{0, 1})
	began := time.Now()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s.Close() != nil || time.Since(began) > time.Second || s.Allocations() != 0 {
		t.Errorf("closing took %v and left %d allocations", time.Since(began), s.Allocations())
	}
	for _, c := range streams {
		c.wantClosed()
	}
	for _, addr := range s.addrs {
		conn, err := net.ListenPacket("udp4", addr.String())
		if err != nil {
			t.Errorf("%v is still in use: %v", addr, err)
			continue
		}
		conn.Close()
	}
}
