package turn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"parley/internal/stun"
)

// TestHT1Datagrams sends what is no message, before and after authentication: strangers hear nothing, users 400 or 420,
// and allocations work on.
func TestHT1Datagrams(t *testing.T) {
	s := start(t, nil)
	victim, peer := s.connect(t, "udp", "romeo"), s.connect(t, "udp", "juliet")
	c := s.raw(t, "udp", "mercutio")
	whole := c.write(stun.Binding, stun.Request, newID())
	spoilt := func(i int, v byte) []byte {
		b := bytes.Clone(whole)
		b[i] = v
		return b
	}
	plain := func(b ...byte) attr {
		return func(m []byte) []byte {
			m = append(m, b...)
			m[2], m[3] = byte((len(m)-20)>>8), byte(len(m)-20)
			return m
		}
	}
	thousand := make([]byte, 4000) // of the type 0, without a value
	c.allocate()
	for _, k := range []struct {
		name string
		b    []byte
	}{
		{"nothing", nil},
		{"one byte", []byte{0}},
		{"half a header", whole[:19]},
		{"wrong cookie", spoilt(4, 0)},
		{"length beyond the datagram", spoilt(3, 4)},
		{"odd length", spoilt(3, 3)},
		{"bytes behind the message", append(bytes.Clone(whole), 0, 0, 0, 0)},
		{"attribute past the end", c.write(stun.Send, stun.Indication, newID(), plain(0, 0x12, 0, 8, 0, 1, 0, 0))},
		{"empty peer address", c.write(stun.Send, stun.Indication, newID(), plain(0, 0x13, 0, 0), plain(0, 0x12, 0, 0))},
		{"short peer address", c.write(stun.Send, stun.Indication, newID(), plain(0, 0x12, 0, 4, 0, 1, 0, 1))},
		{"empty peer address, signed", c.write(stun.CreatePermission, stun.Request, newID(), plain(0, 0x12, 0, 0))},
		{"IPv6 address of 8 bytes, signed", c.write(stun.CreatePermission, stun.Request, newID(), plain(0, 0x12, 0, 8, 0, 2, 0, 1, 1, 2, 3, 4))},
		{"empty lifetime, signed", c.write(stun.Refresh, stun.Request, newID(), plain(0, 0x0D, 0, 0))},
		{"odd padding, signed", c.write(stun.Refresh, stun.Request, newID(), plain(0x80, 0x22, 0, 3, 1, 2, 3))},
		{"1,000 attributes", c.write(stun.Binding, stun.Request, newID(), plain(thousand[:1900]...))},
		{"4,000 bytes", c.write(stun.Binding, stun.Request, newID(), plain(thousand...))},
		{"unknown method", c.write(0x0FF, stun.Request, newID())},
		{"unknown attribute of a stranger", with(0x7001, []byte("x"))(begin(stun.Binding, stun.Request, newID()))},
	} {
		before := s.counted(t, "stun.bad")
		c.send(k.b)
		if k.b == nil || len(k.b) > stun.MaxMessage { // a write of nothing sends nothing; what is too large is cut by the socket
			continue
		}
		eventually(t, k.name+" counted as stun.bad", func() bool { return s.counted(t, "stun.bad") > before })
	}
	if b := c.receive(silence); b != nil {
		t.Errorf("answered: %x", b)
	}
	c.want(badRequest, stun.CreatePermission)
	c.want(unknownAttribute, stun.CreatePermission, withPeer("8.8.8.8:1"), with(0x7001, nil))
	if code, m := c.request(stun.Refresh, with(0x7002, []byte("abc"))); code != unknownAttribute || !m.Has(stun.UnknownAttributes) {
		t.Errorf("unknown attribute of a user: %d", code)
	}
	c.must(stun.Refresh)
	call(t, victim.relay, peer.relay)
}

// TestHT1AnyBytes sends random bytes and messages with random changes, signed and not, while others are in a call.
func TestHT1AnyBytes(t *testing.T) {
	s := start(t, nil)
	victim, peer := s.connect(t, "udp", "romeo"), s.connect(t, "tcp", "juliet")
	c := s.raw(t, "udp", "mercutio")
	c.allocate()
	r := rand.New(rand.NewPCG(7, 7))
	seeds := [][]byte{
		c.write(stun.Allocate, stun.Request, newID(), withUDP), c.write(stun.Refresh, stun.Request, newID()),
		c.write(stun.CreatePermission, stun.Request, newID(), withPeer("8.8.8.8:1"), withPeer("[2600::1]:1")),
		c.write(stun.ChannelBind, stun.Request, newID(), with32(stun.ChannelNumber, 0x4000<<16), withPeer("8.8.8.8:1")),
		c.write(stun.Send, stun.Indication, newID(), withPeer("8.8.8.8:1"), with(stun.Data, []byte("data"))),
		stun.AppendChannelData(nil, 0x4000, []byte("data"), false),
	}
	for i := range 20000 {
		b := bytes.Clone(seeds[i%len(seeds)])
		for range 1 + r.IntN(4) {
			b[r.IntN(len(b))] = byte(r.Uint32())
		}
		c.Write(b[:1+r.IntN(len(b))])
	}
	call(t, victim.relay, peer.relay)
	if n := s.metric(t, "parley_reject_total", "panic"); n != 0 {
		t.Errorf("%v panics", n)
	}
}

// TestHT2Peers asks for peers that are none by every message that can name one.
func TestHT2Peers(t *testing.T) {
	s := start(t, nil)
	c := s.raw(t, "udp", "romeo")
	c.allocate()
	number := uint32(0x4000)
	for _, peer := range []string{
		"0.0.0.0:1", "127.0.0.2:1", "10.0.0.1:1", "172.16.0.1:1", "192.168.0.1:1", "169.254.169.254:80", "100.64.0.1:1", "192.0.0.1:1",
		"198.18.0.1:1", "224.0.0.1:1", "240.0.0.1:1", "255.255.255.255:1", "[::]:1", "[::1]:1", "[fe80::1]:1", "[fc00::1]:1", "[ff02::1]:1",
		"[::ffff:127.0.0.1]:1", "[::ffff:8.8.8.8]:1", "[::127.0.0.1]:1", "[64:ff9b::127.0.0.1]:1", "[64:ff9b:1:7f00:0:100::]:1", "[2002:7f00:1::]:1",
		"[2001:0:808:808:0:0:80ff:fffe]:1",
	} {
		before := s.counted(t, "turn.peer")
		c.want(forbidden, stun.CreatePermission, withPeer(peer))
		c.want(forbidden, stun.CreatePermission, withPeer("8.8.8.8:1"), withPeer(peer)) // all or none
		c.want(forbidden, stun.ChannelBind, with32(stun.ChannelNumber, number<<16), withPeer(peer))
		c.want(forbidden, stun.Connect, withPeer(peer))
		if n := s.counted(t, "turn.peer") - before; n != 3 {
			t.Errorf("%s: turn.peer counted %d times, want 3", peer, n)
		}
		number++
	}
	for _, d := range s.doors {
		for _, a := range d.allocations {
			if n := len(a.table.Load().permissions); n != 0 {
				t.Errorf("%d permissions", n)
			}
		}
	}
	c.must(stun.Refresh)
}

// TestHT2Loopback has the relays on loopback, as the server without a configuration has. From there the relays can be
// reached and the media port, and no other port: neither of the server itself nor of anybody else on this machine.
func TestHT2Loopback(t *testing.T) {
	t.Parallel()
	media, service := peerSocket(t), peerSocket(t)
	s := start(t, func(c *Config) {
		port := addrPort(media.LocalAddr()).Port()
		c.PeerPorts = []PortRange{{port, port}}
	})
	for _, network := range networks {
		t.Run(network, func(t *testing.T) {
			a, b := s.connect(t, network, "romeo"), s.connect(t, "udp", "juliet")
			call(t, a.relay, b.relay)

			c := s.raw(t, network, "mercutio")
			relayed := c.allocate()
			closed := netip.AddrPortFrom(loopback, 1)
			for _, peer := range []netip.AddrPort{addrPort(service.LocalAddr()), s.addrs["udp"], s.addrs["tcp"], closed, netip.AddrPortFrom(loopback, 0)} {
				c.want(forbidden, stun.ChannelBind, with32(stun.ChannelNumber, 0x4000<<16), withPeer(peer.String()))
			}
			// A permission names no port, so it cannot be refused: the data is.
			c.must(stun.CreatePermission, withPeer(service.LocalAddr().String()))
			before := s.counted(t, "turn.peer")
			c.indicate(service.LocalAddr(), "from a relay")
			if _, err := service.WriteTo([]byte("to a relay"), net.UDPAddrFromAddrPort(relayed)); err != nil {
				t.Fatal(err)
			}
			eventually(t, "two datagrams refused", func() bool { return s.counted(t, "turn.peer") >= before+2 })
			expectNothing(t, service)
			if got := c.receive(silence); got != nil {
				t.Errorf("the client got %x", got)
			}
			// The media port is reached both ways.
			c.must(stun.ChannelBind, with32(stun.ChannelNumber, 0x4001<<16), withPeer(media.LocalAddr().String()))
			c.send(stun.AppendChannelData(nil, 0x4001, []byte("offer"), c.stream))
			from := expect(t, media, "offer")
			if addrPort(from) != relayed {
				t.Errorf("from %v, want %v", from, relayed)
			}
			if _, err := media.WriteTo([]byte("answer"), from); err != nil {
				t.Fatal(err)
			}
			if _, data, ok := stun.ChannelData(c.receive(patience)); !ok || string(data) != "answer" {
				t.Errorf("the client got %q", data)
			}
		})
	}
}

// TestHT2PeerEnds has a channel to a relay that ends: the port is no peer from then on, though the channel is still there.
func TestHT2PeerEnds(t *testing.T) {
	s := start(t, nil)
	a, b := s.raw(t, "udp", "romeo"), s.raw(t, "udp", "juliet")
	a.allocate()
	relayB := b.allocate()
	a.must(stun.ChannelBind, with32(stun.ChannelNumber, 0x4000<<16), withPeer(relayB.String()))
	b.must(stun.Refresh, with32(stun.Lifetime, 0))
	next, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(relayB)) // something else takes the port
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	before := s.counted(t, "turn.peer")
	a.send(stun.AppendChannelData(nil, 0x4000, []byte("hello"), false))
	eventually(t, "refused", func() bool { return s.counted(t, "turn.peer") > before })
	expectNothing(t, next)
}

// TestHT2NewAddress gives the machine an address while the server runs: it is no peer from then on.
func TestHT2NewAddress(t *testing.T) {
	s := start(t, nil)
	c := s.raw(t, "udp", "romeo")
	c.allocate()
	c.must(stun.CreatePermission, withPeer("8.8.8.8:22"))
	s.mu.Lock()
	s.interfaces = func() ([]net.Addr, error) {
		return []net.Addr{&net.IPNet{IP: net.IPv4(8, 8, 8, 8), Mask: net.CIDRMask(24, 32)}}, nil
	}
	s.looked = s.looked.Add(-lookEvery)
	s.mu.Unlock()
	c.want(forbidden, stun.CreatePermission, withPeer("8.8.8.8:22"))
	c.want(forbidden, stun.ChannelBind, withPeer("8.8.8.8:22"), with32(stun.ChannelNumber, 0x4000<<16))
	c.must(stun.CreatePermission, withPeer("8.8.4.4:22"))
	c.must(stun.CreatePermission, withPeer("127.0.0.1:22")) // where the relays are
	c.want(forbidden, stun.ChannelBind, withPeer("127.0.0.1:22"), with32(stun.ChannelNumber, 0x4000<<16))
}

// TestHT3Flood sends many requests of a stranger: few answers come, they are small and say little, other sources do not
// notice, and a nonce is good only where it was sent.
func TestHT3Flood(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for _, k := range []struct {
		name string
		from string
		b    func(c *rawClient) []byte
	}{
		{"Allocate", "127.0.1.1", func(c *rawClient) []byte { return c.write(stun.Allocate, stun.Request, newID()) }},
		{"Refresh", "127.0.1.2", func(c *rawClient) []byte { return c.write(stun.Refresh, stun.Request, newID()) }},
		{"Binding", "127.0.1.3", func(c *rawClient) []byte { return c.write(stun.Binding, stun.Request, newID()) }},
		{"no nonce", "127.0.1.4", func(c *rawClient) []byte {
			w := stun.Write(nil, stun.Allocate, stun.Request, newID())
			w.Integrity(stun.NewKey("key"))
			return w.Buffer()
		}},
		{"wrong proof", "127.0.1.5", func(c *rawClient) []byte {
			c.nonce, c.realm, c.password = s.nonces.make(netip.MustParseAddr("127.0.1.5"), time.Now()), testRealm, "wrong"
			return c.write(stun.Allocate, stun.Request, newID(), withUDP)
		}},
	} {
		t.Run(k.name, func(t *testing.T) {
			c := s.rawFrom(t, "udp", "romeo", k.from)
			began := time.Now()
			for range 600 {
				b := k.b(c)
				c.send(b)
				if rand.IntN(100) == 0 {
					time.Sleep(time.Millisecond)
				}
			}
			size, answers := len(k.b(c)), 0
			for got := c.receive(silence); got != nil; got = c.receive(silence) {
				answers++
				if 28+len(got) > 2*(28+size) {
					t.Fatalf("%d bytes are answered by %d", size, len(got))
				}
				checkReticent(t, got)
			}
			// 100 in the first second, and 80 in any other.
			if most := 100 + int(80*time.Since(began).Seconds()); answers == 0 || answers > most {
				t.Errorf("%d answers, want 1 to %d", answers, most)
			}
			other := s.rawFrom(t, "udp", "juliet", "127.0.2.1")
			if m := other.ask(other.write(stun.Binding, stun.Request, newID()), patience); m.Class != stun.Success {
				t.Error("another source gets no answer")
			}
		})
	}
	if s.counted(t, "turn.flood") == 0 {
		t.Error("turn.flood is not counted")
	}
	one, two := s.rawFrom(t, "udp", "romeo", "127.0.3.1"), s.rawFrom(t, "udp", "romeo", "127.0.3.2")
	one.allocate()
	two.nonce, two.realm = one.nonce, one.realm
	if m := two.ask(two.write(stun.Allocate, stun.Request, newID(), withUDP), patience); m.Code != staleNonce {
		t.Errorf("the nonce of another address: %d", m.Code)
	}
	two.allocate()
}

// checkReticent reports attributes that make an answer to a stranger longer than it has to be.
func checkReticent(t testing.TB, b []byte) {
	t.Helper()
	for at := 20; at+4 <= len(b); {
		typ, n := stun.Attr(uint16(b[at])<<8|uint16(b[at+1])), int(b[at+2])<<8|int(b[at+3])
		switch typ {
		case stun.Realm, stun.Nonce, stun.XORMappedAddress:
		case stun.ErrorCode:
			if n != 4 {
				t.Errorf("a reason of %d bytes", n-4)
			}
		default:
			t.Errorf("attribute %#x", typ)
		}
		at += 4 + (n+3)&^3
	}
}

// TestHT3Requests has a user of whom more requests come than anybody needs: they get no answer, others do.
func TestHT3Requests(t *testing.T) {
	s := start(t, func(c *Config) { c.Requests.PerSecond, c.Requests.Burst = 1, 10 })
	c, other := s.raw(t, "udp", "romeo"), s.raw(t, "udp", "juliet")
	c.allocate()
	for range 50 {
		c.send(c.write(stun.Refresh, stun.Request, newID()))
	}
	answers := 0
	for c.receive(silence) != nil {
		answers++
	}
	if answers == 0 || answers > 11 {
		t.Errorf("%d answers, want 1 to 11", answers)
	}
	other.allocate()
}

// TestHT4Allocations reaches the quota of a user and the capacity of the server.
func TestHT4Allocations(t *testing.T) {
	s := start(t, func(c *Config) { c.Allocations, c.Capacity = 3, 5 })
	var romeo []*rawClient
	for i := range 3 {
		c := s.raw(t, networks[i], "romeo")
		c.allocate()
		romeo = append(romeo, c)
	}
	s.raw(t, "udp", "romeo").want(quotaReached, stun.Allocate, withUDP)
	s.raw(t, "tcp", "romeo").want(quotaReached, stun.Allocate, withUDP)
	if n := s.counted(t, "turn.quota"); n != 2 {
		t.Errorf("turn.quota counted %d times", n)
	}
	s.raw(t, "udp", "juliet").allocate()
	s.raw(t, "udp", "juliet").allocate()
	s.raw(t, "udp", "mercutio").want(insufficientCapacity, stun.Allocate, withUDP)
	romeo[0].must(stun.Refresh, with32(stun.Lifetime, 0))
	s.raw(t, "udp", "mercutio").allocate()
}

// TestHT4Permissions reaches the quotas of permissions and channels, which count over all allocations of a user. What has
// been given stays, and can be refreshed.
func TestHT4Permissions(t *testing.T) {
	s := start(t, func(c *Config) { c.Permissions, c.Channels = 5, 3 })
	a, b, other := s.raw(t, "udp", "romeo"), s.raw(t, "tcp", "romeo"), s.raw(t, "udp", "juliet")
	for _, c := range []*rawClient{a, b, other} {
		c.allocate()
	}
	peer := func(i int) attr { return withPeer(fmt.Sprintf("8.8.8.%d:1", i)) }
	number := func(i uint32) attr { return with32(stun.ChannelNumber, (0x4000+i)<<16) }
	a.must(stun.CreatePermission, peer(1), peer(2), peer(3))
	b.want(quotaReached, stun.CreatePermission, peer(4), peer(5), peer(6))
	b.must(stun.ChannelBind, number(1), peer(4))
	b.must(stun.ChannelBind, number(2), peer(5))
	b.want(quotaReached, stun.ChannelBind, number(3), peer(6))
	a.must(stun.ChannelBind, number(1), peer(1)) // no new permission
	a.want(quotaReached, stun.ChannelBind, number(2), peer(2))
	a.want(quotaReached, stun.CreatePermission, peer(7))
	a.must(stun.CreatePermission, peer(1), peer(2), peer(3))
	b.must(stun.ChannelBind, number(2), peer(5))
	other.must(stun.CreatePermission, peer(1), peer(2), peer(3), peer(4), peer(5))
	b.must(stun.Refresh, with32(stun.Lifetime, 0))
	a.must(stun.CreatePermission, peer(6), peer(7))
}

func TestHT4Lifetime(t *testing.T) {
	if cfg := Default(); cfg.Lifetime != 10*time.Minute || cfg.MaxLifetime != time.Hour {
		t.Errorf("lifetimes from %v to %v", cfg.Lifetime, cfg.MaxLifetime)
	}
	s := start(t, func(c *Config) { c.MaxLifetime = 30 * time.Minute })
	c := s.raw(t, "udp", "romeo")
	for _, k := range []struct{ asked, want uint32 }{{1, 600}, {600, 600}, {1000, 1000}, {1800, 1800}, {1801, 1800}, {1 << 31, 1800}, {1<<32 - 1, 1800}} {
		_, answer := c.request(stun.Allocate, withUDP, with32(stun.Lifetime, k.asked))
		if answer.Lifetime != k.want {
			t.Errorf("allocate %d: %d, want %d", k.asked, answer.Lifetime, k.want)
		}
		if answer = c.must(stun.Refresh, with32(stun.Lifetime, k.asked)); answer.Lifetime != k.want {
			t.Errorf("refresh %d: %d, want %d", k.asked, answer.Lifetime, k.want)
		}
		if answer = c.must(stun.Refresh, with32(stun.Lifetime, 0)); answer.Lifetime != 0 {
			t.Errorf("refresh 0: %d", answer.Lifetime)
		}
	}
	if answer := c.must(stun.Allocate, withUDP); answer.Lifetime != 600 {
		t.Errorf("nothing asked: %d", answer.Lifetime)
	}
}

// TestHT4Bandwidth sends more than the bandwidth in each direction. The rest is dropped, in a stream held back, and
// another user does not notice.
func TestHT4Bandwidth(t *testing.T) {
	const (
		rate   = 800_000 // bits a second
		size   = 1000
		sent   = 300 // 2.4 Mbit
		window = 700 * time.Millisecond
	)
	for _, network := range []string{"udp", "tcp"} {
		for _, direction := range []string{"up", "down"} {
			t.Run(network+" "+direction, func(t *testing.T) {
				t.Parallel()
				media := peerSocket(t)
				port := addrPort(media.LocalAddr()).Port()
				s := start(t, func(c *Config) { c.Bandwidth, c.PeerPorts = rate, []PortRange{{port, port}} })
				c := s.raw(t, network, "romeo")
				relayed := c.allocate()
				c.must(stun.ChannelBind, with32(stun.ChannelNumber, 0x4000<<16), withPeer(media.LocalAddr().String()))
				began := time.Now()
				data := bytes.Repeat([]byte("x"), size)
				go func() {
					for i := range sent {
						if direction == "up" {
							c.Write(stun.AppendChannelData(nil, 0x4000, data, c.stream))
						} else {
							media.WriteTo(data, net.UDPAddrFromAddrPort(relayed))
						}
						if i%10 == 0 {
							time.Sleep(time.Millisecond)
						}
					}
				}()
				const least = 10 // a part of what may come at once
				got, b := 0, make([]byte, 4096)
				for passed := time.Duration(0); passed < window || got < least && passed < patience; passed = time.Since(began) {
					media.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
					if direction == "up" {
						if _, _, err := media.ReadFrom(b); err == nil {
							got++
						}
					} else if c.receive(50*time.Millisecond) != nil {
						got++
					}
				}
				// What the rate allows in that time, and a quarter of a second at once.
				most := int(rate*time.Since(began).Seconds()+rate/4) / (8 * (size + 28))
				if got < least || got > most+1 {
					t.Errorf("%d datagrams came, want %d to %d", got, least, most+1)
				}
				if network == "udp" || direction == "down" {
					eventually(t, "counted as turn.shaped", func() bool { return s.counted(t, "turn.shaped") > 0 })
				} else if n := s.counted(t, "turn.shaped"); n > 0 {
					t.Errorf("%d datagrams of a stream were dropped", n)
				}
				one, two := s.connect(t, "udp", "juliet"), s.connect(t, "udp", "nurse")
				call(t, one.relay, two.relay)
			})
		}
	}
}

// TestHT6FiveTuple allocates twice from the same port.
func TestHT6FiveTuple(t *testing.T) {
	s := start(t, nil)
	for _, network := range networks {
		c := s.raw(t, network, "romeo")
		relayed := c.allocate()
		c.want(allocationMismatch, stun.Allocate, withUDP)
		c.username, c.password = Credentials(testSecret, "juliet", time.Hour, time.Now())
		c.want(allocationMismatch, stun.Allocate, withUDP)
		if !relayed.IsValid() {
			t.Errorf("%s: no relayed address", network)
		}
	}
	if n := s.Allocations(); n != len(networks) {
		t.Errorf("%d allocations", n)
	}
}

// TestHT6Framing cuts a stream between any two bytes, and joins all of it into one write.
func TestHT6Framing(t *testing.T) {
	s := start(t, nil)
	for _, network := range []string{"tcp", "tls"} {
		c, peer := s.raw(t, network, "romeo"), s.raw(t, "udp", "juliet")
		relayed, other := c.allocate(), peer.allocate()
		peer.must(stun.CreatePermission, withPeer(relayed.String()))
		bind := c.write(stun.ChannelBind, stun.Request, newID(), with32(stun.ChannelNumber, 0x4000<<16), withPeer(other.String()))
		all := slices.Concat(bind, stun.AppendChannelData(nil, 0x4000, []byte("one"), true), stun.AppendChannelData(nil, 0x4000, []byte("two.."), true),
			c.write(stun.Refresh, stun.Request, newID()))
		for _, step := range []int{1, 7, len(all)} {
			for b := range slices.Chunk(all, step) {
				c.send(b)
			}
			var m stun.Message
			for range 2 {
				if b := c.receive(patience); m.Parse(b, stun.TURN) != nil || m.Class != stun.Success {
					t.Fatalf("%s by %d: got %x", network, step, b)
				}
			}
			for _, want := range []string{"one", "two.."} {
				if b := peer.receive(patience); m.Parse(b, stun.TURN) != nil || string(m.Data) != want {
					t.Fatalf("%s by %d: got %x, want %q", network, step, b, want)
				}
			}
		}
	}
}

// TestHT6Streams breaks the framing, or says nothing: the connection is closed, and with it the allocation.
func TestHT6Streams(t *testing.T) {
	const limit = 500 * time.Millisecond
	short := func(c *Config) { c.Idle, c.Handshake = limit, limit }
	for _, k := range []struct {
		name     string
		allocate bool
		b        []byte
		event    string
	}{
		{"silence", false, nil, "conn.timeout"},
		{"half a message", false, []byte{0, 1, 0}, "conn.timeout"},
		{"half a message of a user", true, []byte{0, 1, 0}, "conn.timeout"},
		{"half of ChannelData of a user", true, []byte{0x40, 0, 0, 8, 1}, "conn.timeout"},
		{"giant message", true, []byte{0, 1, 0xFF, 0xFC, 0x21, 0x12, 0xA4, 0x42}, "stun.bad"},
		{"giant ChannelData", true, []byte{0x40, 0, 0xFF, 0xFF}, "stun.bad"},
		{"HTTP", false, []byte("GET / HTTP/1.1\r\n\r\n"), "stun.bad"},
		{"odd length", true, []byte{0, 1, 0, 3, 0x21, 0x12, 0xA4, 0x42}, "stun.bad"},
	} {
		for _, network := range []string{"tcp", "tls"} {
			t.Run(network+" "+k.name, func(t *testing.T) {
				t.Parallel()
				s := start(t, short)
				c := s.raw(t, network, "romeo")
				if k.allocate {
					c.allocate()
				} else if network == "tls" {
					c.send(c.write(stun.Binding, stun.Request, newID())) // the handshake
					c.receive(patience)
				}
				if k.b != nil {
					c.send(k.b)
				}
				c.wantClosed()
				eventually(t, "the allocation and the connection ended", func() bool {
					return s.Allocations() == 0 && s.metric(t, "parley_turn_streams", "") == 0
				})
				if n := s.counted(t, k.event); n != 1 {
					t.Errorf("%s counted %d times", k.event, n)
				}
			})
		}
	}
	t.Run("no handshake", func(t *testing.T) {
		t.Parallel()
		s := start(t, short)
		mute, err := net.Dial("tcp", s.addrs["tls"].String())
		if err != nil {
			t.Fatal(err)
		}
		defer mute.Close()
		mute.SetReadDeadline(time.Now().Add(patience))
		if n, err := mute.Read(make([]byte, 100)); n > 0 || !errors.Is(err, io.EOF) {
			t.Errorf("%d bytes, %v", n, err)
		}
		eventually(t, "no connection left", func() bool { return s.metric(t, "parley_turn_streams", "") == 0 })
	})
	t.Run("silence of a user with an allocation", func(t *testing.T) {
		t.Parallel()
		s := start(t, short)
		c := s.raw(t, "tcp", "romeo")
		c.allocate()
		time.Sleep(5 * limit / 2)
		c.must(stun.Refresh)
	})
}

// TestHT6Connections opens more connections from one source than it may have.
func TestHT6Connections(t *testing.T) {
	s := start(t, func(c *Config) { c.Connections = 3 })
	open := func(from string) bool {
		c := s.rawFrom(t, "tcp", "romeo", from)
		c.Write(c.write(stun.Binding, stun.Request, newID()))
		return c.receive(patience) != nil
	}
	for i := range 5 {
		if got := open("127.0.1.1"); got != (i < 3) {
			t.Errorf("connection %d: %v", i, got)
		}
	}
	if !open("127.0.1.2") {
		t.Error("another source gets no connection")
	}
	if n := s.counted(t, "limit.conn"); n != 2 {
		t.Errorf("limit.conn counted %d times", n)
	}
}

// TestHT6SlowReader takes nothing of what a peer sends: that ends the connection after a while, and holds up nobody.
func TestHT6SlowReader(t *testing.T) {
	media := peerSocket(t)
	port := addrPort(media.LocalAddr()).Port()
	s := start(t, func(c *Config) { c.Bandwidth, c.PeerPorts = 0, []PortRange{{port, port}} })
	c := s.raw(t, "tcp", "romeo")
	relayed := c.allocate()
	c.must(stun.CreatePermission, withPeer(media.LocalAddr().String()))
	data := make([]byte, 1400)
	for range 20000 {
		media.WriteTo(data, net.UDPAddrFromAddrPort(relayed))
	}
	one, two := s.connect(t, "tcp", "juliet"), s.connect(t, "udp", "nurse")
	call(t, one.relay, two.relay)
	began := time.Now()
	s.End("romeo")
	if took := time.Since(began); took > time.Second || s.Allocations() != 2 {
		t.Errorf("the end took %v and left %d allocations", took, s.Allocations())
	}
}

// TestHT7ChannelData sends ChannelData that leads nowhere: it is dropped and counted.
func TestHT7ChannelData(t *testing.T) {
	media := peerSocket(t)
	port := addrPort(media.LocalAddr()).Port()
	s := start(t, func(c *Config) { c.PeerPorts = []PortRange{{port, port}} })
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			c := s.raw(t, network, "romeo")
			frame := func(n uint16, data string) []byte { return stun.AppendChannelData(nil, n, []byte(data), c.stream) }
			dropped := func(event string, b []byte) {
				t.Helper()
				before := s.counted(t, event)
				c.send(b)
				eventually(t, "counted as "+event, func() bool { return s.counted(t, event) > before })
			}
			dropped("turn.unbound", frame(0x4000, "without an allocation"))
			c.allocate()
			dropped("turn.unbound", frame(0x4000, "not bound"))
			c.must(stun.ChannelBind, with32(stun.ChannelNumber, 0x4000<<16), withPeer(media.LocalAddr().String()))
			dropped("turn.unbound", frame(0x4001, "another number"))
			dropped("turn.unbound", frame(0x4FFF, "the last number"))
			if network == "udp" {
				beyond := frame(0x4000, "length beyond the packet")
				beyond[3]++
				dropped("stun.bad", beyond)
				dropped("stun.bad", append(frame(0x4000, "bytes behind it"), 1, 2, 3, 4))
				dropped("stun.bad", []byte{0x40, 0})
				dropped("stun.bad", []byte{0x50, 0, 0, 0}) // not a channel
			}
			other := s.raw(t, "udp", "juliet") // the number of somebody else
			other.allocate()
			before := s.counted(t, "turn.unbound")
			other.send(stun.AppendChannelData(nil, 0x4000, []byte("not mine"), false))
			eventually(t, "counted", func() bool { return s.counted(t, "turn.unbound") > before })
			expectNothing(t, media)
			c.send(frame(0x4000, "right"))
			expect(t, media, "right")
		})
	}
}
