package hostile

import (
	"bytes"
	"fmt"
	mrand "math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v4"

	"parley/internal/peertest"
)

// bystanders are two people in a call through the relay and in a room; what happens in a test must not touch them.
type bystanders struct {
	ann, bob *peertest.Client
	room     string
	a, b     relayed
	panics   float64
}

func bystand(t testing.TB) *bystanders {
	t.Helper()
	s := &bystanders{ann: user(t, dial(t), "ann"), bob: guest(t), panics: counted(t, "panic")}
	s.room = open(t, s.ann)
	comeIn(t, s.bob, s.room, "bob")
	s.a, s.b = relay(t, server, "udp", relayCredential(t, s.ann)), relay(t, server, "tls", relayCredential(t, s.bob))
	call(t, s.a, s.b, "before")
	return s
}

func (s *bystanders) noticeNothing(t testing.TB) {
	t.Helper()
	call(t, s.a, s.b, "after")
	s.bob.Send("<message to='" + s.room + "' type='groupchat' id='after'><body>still here</body></message>")
	s.ann.Await("<message", "id='after'", "still here")
	if n := counted(t, "panic"); n != s.panics {
		t.Errorf("%v panics", n-s.panics)
	}
}

// rubbish are datagrams that are no message, and messages with attributes that are none, some with a user's signature.
func rubbish(c *relayClient) map[string][]byte {
	whole := newMessage(bindingMethod, request, newID())
	spoilt := func(i int, v byte) []byte {
		b := bytes.Clone(whole)
		b[i] = v
		return b
	}
	many := make([]attribute, 1000)
	for i := range many {
		many[i] = plain(0x8022)
	}
	// raw puts bytes behind the header as they are.
	raw := func(method, class uint16, tail ...byte) []byte {
		b := append(newMessage(method, class, newID()), tail...)
		b[2], b[3] = byte((len(b)-20)>>8), byte(len(b)-20)
		return b
	}
	return map[string][]byte{
		"one byte":                      {0},
		"three bytes":                   {0, 1, 0},
		"half a header":                 whole[:19],
		"wrong cookie":                  spoilt(4, 0),
		"no cookie (RFC 3489)":          append(whole[:4:4], make([]byte, 16)...),
		"length beyond the datagram":    spoilt(3, 4),
		"odd length":                    spoilt(3, 3),
		"bytes behind the message":      append(bytes.Clone(whole), 0, 0, 0, 0),
		"attribute past the end":        raw(sendMethod, indication, 0, 0x12, 0, 8, 0, 1, 0, 0),
		"giant attribute":               raw(sendMethod, indication, 0, 0x13, 0xFF, 0xFF),
		"half an attribute's header":    raw(bindingMethod, request, 0, 0x13),
		"empty peer address":            newMessage(sendMethod, indication, newID(), plain(peerAddress), plain(dataAttr)),
		"short peer address":            newMessage(sendMethod, indication, newID(), plain(peerAddress, 0, 1, 0, 1), plain(dataAttr, 'x')),
		"IPv6 address of 4 bytes":       newMessage(sendMethod, indication, newID(), plain(peerAddress, 0, 2, 0, 1, 1, 2, 3, 4), plain(dataAttr, 'x')),
		"unknown family":                newMessage(sendMethod, indication, newID(), plain(peerAddress, 0, 9, 0, 1, 1, 2, 3, 4), plain(dataAttr, 'x')),
		"Send without peer":             newMessage(sendMethod, indication, newID(), plain(dataAttr, 'x')),
		"Send without data":             newMessage(sendMethod, indication, newID(), toward(netip.MustParseAddrPort("8.8.8.8:1"))),
		"short lifetime":                c.signed(refresh, newID(), plain(lifetime, 0, 1)),
		"empty peer address, signed":    c.signed(permission, newID(), plain(peerAddress)),
		"short peer address, signed":    c.signed(permission, newID(), plain(peerAddress, 0, 1, 0, 1)),
		"short channel number, signed":  c.signed(channelBind, newID(), plain(channelNumber, 0x40), toward(netip.MustParseAddrPort("8.8.8.8:1"))),
		"bytes behind it, signed":       append(c.signed(refresh, newID()), 0, 0, 0, 0),
		"cut in its padding, signed":    c.signed(refresh, newID(), plain(0x8022, 1, 2, 3))[:27],
		"1,000 attributes":              newMessage(bindingMethod, request, newID(), many...),
		"unknown method":                newMessage(0x0FF&0x7F, request, newID()),
		"unknown required attribute":    newMessage(bindingMethod, request, newID(), plain(0x7001, 'x')),
		"ChannelData longer than it is": {0x40, 0, 0, 9, 1},
		"ChannelData, half a header":    {0x40, 0, 0},
		"DTLS":                          append([]byte{0x16, 0xFE, 0xFD}, make([]byte, 60)...),
		"RTP":                           append([]byte{0x80, 0x60}, make([]byte, 60)...),
		"of type 0xC000":                append([]byte{0xC0, 0}, make([]byte, 60)...),
	}
}

// TestHT1Rubbish: strangers and users who send rubbish are not answered, their rubbish is counted, and a user who sends a
// well-formed message with what is wrong in it is told so.
func TestHT1Rubbish(t *testing.T) {
	others := bystand(t)
	stranger := dialRelay(t, server, "udp", credential{})
	mallory := dialRelay(t, server, "udp", relayCredential(t, guest(t)))
	mallory.allocate()
	for _, c := range []*relayClient{stranger, mallory} {
		for what, b := range rubbish(mallory) {
			before := counted(t, "stun.bad") + counted(t, "turn.unbound")
			c.send(b)
			eventually(t, what+" is not counted", func() bool { return counted(t, "stun.bad")+counted(t, "turn.unbound") > before })
		}
		// The answer to a good message is the first that comes.
		good := newMessage(bindingMethod, request, newID())
		c.send(good)
		if got := c.receive(peertest.Patience); got == nil || !bytes.Equal(got[8:20], good[8:20]) {
			t.Errorf("rubbish is answered with %x", got)
		}
	}
	r := mrand.New(mrand.NewPCG(1, 2))
	seeds := [][]byte{
		mallory.signed(allocate, newID(), overUDP), mallory.signed(refresh, newID()), mallory.signed(permission, newID(), toward(netip.MustParseAddrPort("8.8.8.8:1"))),
		mallory.signed(channelBind, newID(), channel(0x4000), toward(netip.MustParseAddrPort("[2600::1]:1"))), mallory.channelData(0x4000, "data"),
		newMessage(sendMethod, indication, newID(), toward(netip.MustParseAddrPort("8.8.8.8:1")), plain(dataAttr, 'x')),
	}
	for i := range 5000 {
		b := bytes.Clone(seeds[i%len(seeds)])
		for range 1 + r.IntN(4) {
			b[r.IntN(len(b))] = byte(r.Uint32())
		}
		mallory.Write(b[:1+r.IntN(len(b))])
	}
	others.noticeNothing(t)

	mallory = dialRelay(t, server, "udp", relayCredential(t, guest(t)))
	mallory.allocate()
	mallory.want(400, permission)
	mallory.want(400, channelBind, channel(0x4000))
	mallory.want(400, channelBind, channel(0x3FFF), toward(netip.MustParseAddrPort("8.8.8.8:1")))
	mallory.want(420, permission, toward(netip.MustParseAddrPort("8.8.8.8:1")), plain(0x7001))
	if m := mallory.want(420, refresh, plain(0x7002, 1, 2, 3)); !m.Contains(stun.AttrUnknownAttributes) {
		t.Error("what is unknown is not named")
	}
	mallory.want(0, refresh)
}

// refusedPeers are the networks of row HT2, an address of each, and all disguises of an IPv4 address that is none.
func refusedPeers() (list []netip.Addr) {
	for _, s := range []string{
		"0.0.0.0", "0.1.2.3", "127.0.0.2", "127.255.255.255", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254", "100.64.0.1", "100.127.0.1",
		"192.0.0.1", "198.18.0.1", "198.19.255.255", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "fe80::1", "febf::1", "fc00::7", "fd00::1", "ff02::1", "100::1", "fec0::1",
	} {
		list = append(list, netip.MustParseAddr(s))
	}
	for _, hidden := range []string{"127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0"} {
		v := netip.MustParseAddr(hidden).As4()
		for _, form := range []string{"::ffff:0:0", "::", "64:ff9b::", "64:ff9b:1::"} { // the last 32 bits
			b := netip.MustParseAddr(form).As16()
			copy(b[12:], v[:])
			list = append(list, netip.AddrFrom16(b))
		}
		b := netip.MustParseAddr("64:ff9b:1::").As16() // RFC 6052 §2.2, a prefix of 48 bits
		b[6], b[7], b[9], b[10] = v[0], v[1], v[2], v[3]
		list = append(list, netip.AddrFrom16(b))
		b = netip.MustParseAddr("2002::").As16() // 6to4
		copy(b[2:], v[:])
		list = append(list, netip.AddrFrom16(b))
		b = netip.MustParseAddr("2001::").As16() // Teredo: the client, inverted, and the server
		copy(b[4:], []byte{8, 8, 8, 8})
		for i := range v {
			b[12+i] = ^v[i]
		}
		list = append(list, netip.AddrFrom16(b))
		b = netip.MustParseAddr("2001::").As16()
		copy(b[4:], v[:])
		list = append(list, netip.AddrFrom16(b))
	}
	return list
}

func TestHT2RefusedPeers(t *testing.T) {
	others := bystand(t)
	for _, door := range relayDoors {
		t.Run(door, func(t *testing.T) {
			var c *relayClient
			before, want := counted(t, "turn.peer"), 0.0
			for i, a := range refusedPeers() {
				if i%20 == 0 { // within the rate of one user's requests
					c = dialRelay(t, server, door, relayCredential(t, guest(t)))
					c.allocate()
				}
				peer, public := netip.AddrPortFrom(a, 80), netip.MustParseAddrPort("8.8.8.8:80")
				c.want(403, permission, toward(peer))
				c.want(403, permission, toward(public), toward(peer)) // all or none
				c.want(403, channelBind, channel(0x4000+uint16(i)), toward(peer))
				c.want(403, connect, toward(peer))
				want += 3
				// Neither of them left anything behind.
				unbound := counted(t, "turn.unbound")
				c.indicate(peer, "x")
				c.indicate(public, "x")
				c.send(c.channelData(0x4000+uint16(i), "x"))
				eventually(t, fmt.Sprint(a, ": what is sent there is not dropped"), func() bool { return counted(t, "turn.unbound") >= unbound+3 })
			}
			if n := counted(t, "turn.peer") - before; n < want {
				t.Errorf("%v of %v were counted", n, want)
			}
			c.want(0, refresh)
		})
	}
	others.noticeNothing(t)
}

// TestHT2Loopback: the relays are on the loopback address here, and nothing else that is there can be reached through
// them or reaches through them: no service of this machine, and no port of the server itself.
func TestHT2Loopback(t *testing.T) {
	others := bystand(t)
	local, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	echo := local.LocalAddr().(*net.UDPAddr).AddrPort()
	nothing := func(t testing.TB) {
		t.Helper()
		local.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if n, from, err := local.ReadFrom(make([]byte, 2048)); err == nil {
			t.Errorf("%d bytes from %v reach a service of this machine", n, from)
		}
	}
	for _, door := range relayDoors {
		t.Run(door, func(t *testing.T) {
			c := dialRelay(t, server, door, relayCredential(t, guest(t)))
			address := c.allocate()
			if !address.Addr().IsLoopback() {
				t.Fatalf("the relay is at %v: this test proves nothing", address)
			}
			ports := []netip.AddrPort{echo, netip.AddrPortFrom(echo.Addr(), 0), netip.AddrPortFrom(echo.Addr(), 1), netip.MustParseAddrPort(server.TURN), netip.MustParseAddrPort(server.XMPP)}
			for _, p := range ports {
				c.want(403, channelBind, channel(0x4000), toward(p))
			}
			// A permission names no port. What is sent under it is refused by its port.
			c.want(0, permission, toward(echo))
			for _, p := range ports {
				before := counted(t, "turn.peer")
				c.indicate(p, "from a relay")
				eventually(t, fmt.Sprint("what is sent to ", p, " is not refused"), func() bool { return counted(t, "turn.peer") > before })
			}
			nothing(t)
			before := counted(t, "turn.peer")
			if _, err := local.WriteTo([]byte("to a relay"), net.UDPAddrFromAddrPort(address)); err != nil {
				t.Fatal(err)
			}
			eventually(t, "what comes from a service of this machine is not refused", func() bool { return counted(t, "turn.peer") > before })
			id := newID()
			c.send(c.signed(refresh, id))
			if got := c.receive(peertest.Patience); got == nil || !bytes.Equal(got[8:20], id) {
				t.Errorf("the client got %x", got)
			}
			// Another relay can be reached, from the same allocation.
			other := dialRelay(t, server, "udp", relayCredential(t, guest(t)))
			there := other.allocate()
			other.want(0, permission, toward(address))
			c.want(0, channelBind, channel(0x4001), toward(there))
			var got []byte
			for end := time.Now().Add(peertest.Patience); got == nil && time.Now().Before(end); {
				c.send(c.channelData(0x4001, "to another relay"))
				got = other.receive(time.Second)
			}
			if data := dataIn(got); data != "to another relay" {
				t.Errorf("the other relay got %q", data)
			}
			// When that relay is gone, whoever has its port is no peer.
			other.want(0, refresh, number(lifetime, 0))
			next, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(there))
			if err != nil {
				t.Fatal(err)
			}
			defer next.Close()
			before = counted(t, "turn.peer")
			c.send(c.channelData(0x4001, "to the next"))
			eventually(t, "the port of a relay that is gone is still a peer", func() bool { return counted(t, "turn.peer") > before })
			next.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			if n, _, err := next.ReadFrom(make([]byte, 2048)); err == nil {
				t.Errorf("%d bytes reach who has the port now", n)
			}
		})
	}
	others.noticeNothing(t)
}

// TestHT3Flood: whoever writes another's address into many requests does not make the server a weapon: few answers come,
// they are small and say little, and another source does not notice.
func TestHT3Flood(t *testing.T) {
	others := bystand(t)
	for what, write := range map[string]func(c *relayClient) []byte{
		"Binding":  func(*relayClient) []byte { return newMessage(bindingMethod, request, newID()) },
		"Allocate": func(*relayClient) []byte { return newMessage(allocate, request, newID()) },
		"Allocate with transport": func(*relayClient) []byte {
			return newMessage(allocate, request, newID(), overUDP)
		},
		"Refresh": func(*relayClient) []byte { return newMessage(refresh, request, newID()) },
		"signed by nobody": func(*relayClient) []byte {
			return newMessage(allocate, request, newID(), plain(0x0006, []byte("1:x")...), plain(0x0014, []byte("parley")...), plain(0x0015, []byte("0123456789abcdef")...), plain(0x0008, make([]byte, 20)...))
		},
		"signed without nonce": func(*relayClient) []byte {
			return newMessage(allocate, request, newID(), plain(0x0008, make([]byte, 20)...))
		},
		"a stolen nonce": func(c *relayClient) []byte { return c.signed(allocate, newID(), overUDP) },
	} {
		t.Run(what, func(t *testing.T) {
			victim := dialRelay(t, server, "udp", credential{"1:x", "y"})
			if what == "a stolen nonce" { // one that another address was given
				thief := dialRelay(t, server, "udp", relayCredential(t, guest(t)))
				thief.allocate()
				victim.realm, victim.nonce = thief.realm, thief.nonce
			}
			before := counted(t, "turn.flood")
			began, answers, size := time.Now(), 0, 0
			const flood = 300
			for range flood {
				b := write(victim)
				size = len(b)
				victim.send(b)
			}
			// Each of them is answered, or counted.
			for end := time.Now().Add(peertest.Patience); answers+int(counted(t, "turn.flood")-before) < flood; {
				got := victim.receive(100 * time.Millisecond)
				if got == nil && time.Now().After(end) {
					t.Fatalf("%d answered and %v counted of %d", answers, counted(t, "turn.flood")-before, flood)
				}
				if got == nil {
					continue
				}
				answers++
				if 28+len(got) > 2*(28+size) {
					t.Fatalf("%d bytes are answered by %d", size, len(got))
				}
				m := &stun.Message{Raw: got}
				if m.Decode() != nil {
					t.Fatalf("the answer is %x", got)
				}
				for _, a := range m.Attributes {
					if !slices.Contains([]stun.AttrType{stun.AttrRealm, stun.AttrNonce, stun.AttrXORMappedAddress, stun.AttrErrorCode}, a.Type) || a.Type == stun.AttrErrorCode && a.Length != 4 {
						t.Errorf("the answer says %s", a)
					}
				}
			}
			// A hundred in the first second, eighty in any other.
			if most := 100 + int(80*time.Since(began).Seconds()); answers == 0 || answers > most {
				t.Errorf("%d of %d requests were answered within %v", answers, flood, time.Since(began))
			}
		})
	}
	others.noticeNothing(t)
}

func TestHT4Quotas(t *testing.T) {
	others := bystand(t)
	who := relayCredential(t, guest(t))
	before := counted(t, "turn.quota")
	var mine []*relayClient
	for i := range 10 {
		c := dialRelay(t, server, relayDoors[i%3], who)
		c.allocate()
		mine = append(mine, c)
	}
	for _, door := range relayDoors {
		dialRelay(t, server, door, who).want(486, allocate, overUDP)
	}
	if n := counted(t, "turn.quota") - before; n < 3 {
		t.Errorf("%v of 3 were counted", n)
	}
	mine[0].want(0, refresh, number(lifetime, 0))
	dialRelay(t, server, "udp", who).allocate()

	// Permissions and channels count over all allocations of a user.
	who = relayCredential(t, guest(t))
	a, b := dialRelay(t, server, "udp", who), dialRelay(t, server, "tcp", who)
	a.allocate()
	b.allocate()
	peer := func(i int) attribute {
		return toward(netip.AddrPortFrom(netip.AddrFrom4([4]byte{8, 8, byte(i >> 8), byte(i)}), 9))
	}
	var thirty, twenty []attribute
	for i := range 30 {
		thirty = append(thirty, peer(i))
		if i < 20 {
			twenty = append(twenty, peer(100+i))
		}
	}
	a.want(0, permission, thirty...)
	b.want(0, permission, twenty...)
	a.want(486, permission, peer(200))
	b.want(486, permission, peer(201))
	b.want(486, channelBind, channel(0x4000), peer(202))
	a.want(0, permission, thirty...) // what there is can be refreshed
	bound := 0
	for i := range 30 {
		if code, _ := a.ask(channelBind, channel(0x4000+uint16(i)), peer(i)); code == 0 {
			bound++
		}
	}
	for i := range 20 {
		if code, _ := b.ask(channelBind, channel(0x4000+uint16(i)), peer(100+i)); code == 0 {
			bound++
		}
	}
	if bound != 50 {
		t.Errorf("%d of 50 channels could be bound", bound)
	}
	other := dialRelay(t, server, "udp", relayCredential(t, guest(t)))
	other.allocate()
	other.want(0, permission, peer(200))
	for _, asked := range []uint32{0xFFFFFFFF, 3601, 1} {
		m := other.want(0, refresh, number(lifetime, asked))
		got, err := m.Get(stun.AttrLifetime)
		if err != nil || len(got) != 4 {
			t.Fatalf("no lifetime: %v", err)
		}
		if n := uint32(got[0])<<24 | uint32(got[1])<<16 | uint32(got[2])<<8 | uint32(got[3]); n > 3600 || n < 600 {
			t.Errorf("asked for %d s, got %d s", asked, n)
		}
	}
	others.noticeNothing(t)
}

// TestHT4Bandwidth: more than the bandwidth of an allocation does not pass.
func TestHT4Bandwidth(t *testing.T) {
	t.Parallel()
	const rate, size, sent = 400_000, 1000, 1000 // bits a second; bytes; packets
	at := peertest.StartParley(t, peertest.ParleyOptions{Config: "[turn]\nbandwidth = '400 kbit/s'\n"})
	person := func() credential {
		p := peertest.DialFrom(t, source(), at.XMPP, "localhost")
		p.Login("", "")
		return relayCredential(t, p.Bind(""))
	}
	a, b := dialRelay(t, at, "udp", person()), dialRelay(t, at, "tcp", person())
	here, there := a.allocate(), b.allocate()
	a.want(0, channelBind, channel(0x4000), toward(there))
	b.want(0, channelBind, channel(0x4000), toward(here))
	began, data := time.Now(), strings.Repeat("x", size)
	for range sent {
		a.send(a.channelData(0x4000, data))
	}
	got := 0
	for m := b.receive(peertest.Patience); m != nil; m = b.receive(time.Second) {
		got++
	}
	// No more than one second's worth at once.
	if most := rate * (1 + time.Since(began).Seconds()) / (8 * size); got == 0 || float64(got) > most {
		t.Errorf("%d packets of %d passed in %v, at most %.0f may", got, sent, time.Since(began), most)
	}
	if countedAt(t, at, "turn.shaped") == 0 {
		t.Error("what was dropped was not counted")
	}
}

func TestHT5Credentials(t *testing.T) {
	others := bystand(t)
	session := guest(t)
	good := relayCredential(t, session)
	stamp, name, _ := strings.Cut(good.user, ":")
	foreign := relayCredential(t, guest(t))
	for what, bad := range map[string]credential{
		"wrong password":           {good.user, "wrong"},
		"empty password":           {good.user, ""},
		"another's password":       {good.user, foreign.password},
		"another's name":           {stamp + ":" + "AAAAAAAAAAAAAAAAAAAAAAAAAA", good.password},
		"a later end":              {"9999999999:" + name, good.password},
		"an earlier start":         {"1:" + name, good.password},
		"no end":                   {name, good.password},
		"no name":                  {stamp + ":", good.password},
		"an account of the server": {"ann", "ann-password"},
		"an account's address":     {"ann@localhost", "ann-password"},
	} {
		for _, door := range relayDoors {
			before := counted(t, "turn.auth")
			dialRelay(t, server, door, bad).want(401, allocate, overUDP)
			if counted(t, "turn.auth") == before {
				t.Errorf("%s over %s is not counted", what, door)
			}
		}
	}
	c := dialRelay(t, server, "udp", good)
	c.allocate()
	realm, nonce := c.realm, c.nonce
	c.realm = "other"
	c.want(401, refresh)
	c.realm = realm
	for _, wrong := range []string{"0123456789abcdef", nonce[:15], nonce + "x", strings.ToLower(nonce) + " "} {
		c.nonce = wrong
		c.want(438, refresh)
	}
	c.nonce = nonce
	c.want(0, refresh)
	c.credential = foreign // true, but of somebody else
	c.want(441, refresh)
	c.want(441, permission, toward(netip.MustParseAddrPort("8.8.8.8:1")))
	c.credential = good
	other := dialRelay(t, server, "udp", good) // the nonce belongs to the address
	other.realm, other.nonce = c.realm, c.nonce
	other.want(438, allocate, overUDP)

	// With the session end its allocations and its credential.
	gone := func(t testing.TB, c *relayClient, old credential) {
		t.Helper()
		eventually(t, "the allocation outlives its user", func() bool {
			code, _ := c.ask(refresh)
			return code == 401 || code == 437
		})
		c.want(401, allocate, overUDP)
		dialRelay(t, server, "udp", old).want(401, allocate, overUDP)
	}
	session.Send("</stream:stream>")
	session.Await("</stream:stream>")
	gone(t, c, good)
	// And with being thrown out of a room, though the session goes on.
	ann, kicked := user(t, dial(t), "ann"), guest(t)
	room := open(t, ann)
	comeIn(t, kicked, room, "kicked")
	old := relayCredential(t, kicked)
	c = dialRelay(t, server, "udp", old)
	c.allocate()
	ask(t, ann, "set", room, item("role", "none", "nick", "kicked"))
	gone(t, c, old)
	others.noticeNothing(t)
}

// TestHT5Expiry: a credential is good until it ends.
func TestHT5Expiry(t *testing.T) {
	t.Parallel()
	at := peertest.StartParley(t, peertest.ParleyOptions{Config: "[ice]\nttl = '3s'\n"})
	p := peertest.DialFrom(t, source(), at.XMPP, "localhost")
	p.Login("", "")
	who := relayCredential(t, p.Bind(""))
	ended := time.Now().Add(3 * time.Second)
	for {
		asked := time.Now()
		code, _ := dialRelay(t, at, "udp", who).ask(allocate, overUDP)
		if code == 401 && time.Now().Add(time.Second).After(ended) { // its end is written in seconds
			return
		}
		if code != 0 && code != 486 || asked.After(ended) {
			t.Fatalf("%v after it was given a credential of 3 s is answered %d", asked.Sub(ended)+3*time.Second, code)
		}
		time.Sleep(300 * time.Millisecond)
	}
}

// TestHT6Framing cuts a stream into single bytes, joins several messages into one write, and breaks the framing.
func TestHT6Framing(t *testing.T) {
	others := bystand(t)
	for _, door := range []string{"tcp", "tls"} {
		c, other := dialRelay(t, server, door, relayCredential(t, guest(t))), dialRelay(t, server, "tcp", relayCredential(t, guest(t)))
		here, there := c.allocate(), other.allocate()
		other.want(0, permission, toward(here))
		c.want(0, channelBind, channel(0x4000), toward(there))
		for _, step := range []int{1, 5, 1 << 16} {
			first, last := newID(), newID()
			all := slices.Concat(c.signed(refresh, first), c.channelData(0x4000, "one"), c.channelData(0x4000, "two.."), c.signed(refresh, last))
			for part := range slices.Chunk(all, step) {
				c.send(part)
			}
			for _, id := range [][]byte{first, last} {
				if got := c.receive(peertest.Patience); got == nil || !bytes.Equal(got[8:20], id) {
					t.Fatalf("%s in pieces of %d: got %x", door, step, got)
				}
			}
			for _, want := range []string{"one", "two.."} {
				if data := dataIn(other.receive(peertest.Patience)); data != want {
					t.Fatalf("%s in pieces of %d: got %q, want %q", door, step, data, want)
				}
			}
		}
		for what, b := range map[string][]byte{
			"giant message":     {0, 1, 0xFF, 0xFC, 0x21, 0x12, 0xA4, 0x42},
			"giant ChannelData": {0x40, 0, 0xFF, 0xFF},
			"odd length":        {0, 1, 0, 3, 0x21, 0x12, 0xA4, 0x42},
			"HTTP":              []byte("GET / HTTP/1.1\r\n\r\n"),
			"type 0xC000":       {0xC0, 0, 0, 4, 0, 0, 0, 0},
		} {
			before := counted(t, "stun.bad")
			bad := dialRelay(t, server, door, relayCredential(t, guest(t)))
			bad.allocate()
			bad.send(b)
			if !bad.ended() {
				t.Errorf("%s over %s: the connection stays open", what, door)
			}
			if counted(t, "stun.bad") == before {
				t.Errorf("%s over %s is not counted", what, door)
			}
		}
	}
	others.noticeNothing(t)
}

// TestHT6FiveTuple allocates twice from one address and port.
func TestHT6FiveTuple(t *testing.T) {
	for _, door := range relayDoors {
		c := dialRelay(t, server, door, relayCredential(t, guest(t)))
		address := c.allocate()
		c.want(437, allocate, overUDP)
		c.credential = relayCredential(t, guest(t))
		if code, _ := c.ask(allocate, overUDP); code != 437 && code != 441 {
			t.Errorf("another user on the same port is answered %d", code)
		}
		if !address.IsValid() {
			t.Error("no relayed address")
		}
	}
}

// TestHT6Idle: a connection without allocation, and one with half a message, is closed.
func TestHT6Idle(t *testing.T) {
	t.Parallel()
	at := peertest.StartParley(t, peertest.ParleyOptions{Config: "[turn]\nidle = '1s'\nhandshake = '1s'\n"})
	p := peertest.DialFrom(t, source(), at.XMPP, "localhost")
	p.Login("", "")
	who := relayCredential(t, p.Bind(""))
	user := dialRelay(t, at, "tcp", who)
	user.allocate()
	half := dialRelay(t, at, "tls", who)
	half.allocate()
	half.send([]byte{0, 1, 0})
	silent, spoke := dialRelay(t, at, "tcp", who), dialRelay(t, at, "tls", who)
	spoke.answerTo(newMessage(bindingMethod, request, newID()))
	mute, err := net.Dial("tcp", at.TURNS) // and no handshake
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	for what, c := range map[string]*relayClient{
		"silence": silent, "half a message of a user": half, "silence after a message": spoke, "no handshake": {Conn: mute, t: t, stream: true},
	} {
		if !c.ended() {
			t.Errorf("%s: the connection stays open", what)
		}
	}
	user.want(0, refresh) // who has an allocation may be silent
}

// TestHT7ChannelData: data for a channel that is not bound is dropped, for another's as well, and so is data that is not
// there.
func TestHT7ChannelData(t *testing.T) {
	others := bystand(t)
	c, other := dialRelay(t, server, "udp", relayCredential(t, guest(t))), dialRelay(t, server, "udp", relayCredential(t, guest(t)))
	here, there := c.allocate(), other.allocate()
	other.want(0, permission, toward(here))
	c.want(0, channelBind, channel(0x4000), toward(there))
	stranger := dialRelay(t, server, "udp", credential{})
	for what, k := range map[string]struct {
		from  *relayClient
		b     []byte
		event string
	}{
		"a stranger's":          {stranger, c.channelData(0x4000, "bad"), "turn.unbound"},
		"not bound":             {c, c.channelData(0x4001, "bad"), "turn.unbound"},
		"the highest":           {c, c.channelData(0x4FFF, "bad"), "turn.unbound"},
		"of another user":       {other, c.channelData(0x4000, "bad"), "turn.unbound"},
		"beyond the packet":     {c, append([]byte{0x40, 0, 0, 200}, "bad"...), "stun.bad"},
		"far beyond the packet": {c, append([]byte{0x40, 0, 0xFF, 0xFF}, "bad"...), "stun.bad"},
		"a reserved number":     {c, append([]byte{0x50, 0, 0, 3}, "bad"...), "stun.bad"},
	} {
		before := counted(t, "stun.bad") + counted(t, "turn.unbound")
		k.from.send(k.b)
		eventually(t, what+": "+k.event+" is not counted", func() bool { return counted(t, "stun.bad")+counted(t, "turn.unbound") > before })
	}
	for end := time.Now().Add(peertest.Patience); ; {
		c.send(c.channelData(0x4000, "good"))
		got := other.receive(time.Second)
		if bytes.Contains(got, []byte("bad")) {
			t.Fatalf("what was to be dropped has come: %x", got)
		}
		if bytes.Contains(got, []byte("good")) {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the bound channel is dead")
		}
	}
	others.noticeNothing(t)
}
