package ice

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"log/slog"
	"parley/internal/event"
	"parley/internal/stun"
)

func TestHB2CandidatesAreFiltered(t *testing.T) {
	strict := Policy{Own: []netip.Prefix{netip.MustParsePrefix("8.8.8.8/32")}}
	private, loopback := Policy{AllowPrivate: true}, Policy{AllowLoopback: true}
	udp := Candidate{Component: 1, Protocol: "udp", Priority: 1, Address: "9.9.9.9", Port: 4000}
	with := func(edit func(*Candidate)) Candidate { c := udp; edit(&c); return c }
	at := func(a string) Candidate { return with(func(c *Candidate) { c.Address = a }) }
	relays := Policy{Own: append(strict.Own, netip.MustParsePrefix("10.1.2.3/32")), OwnPorts: [2]uint16{5000, 6000}}
	ours := func(p uint16) Candidate { return with(func(c *Candidate) { c.Address, c.Port = "8.8.8.8", p }) }
	port := func(p uint16) Candidate { return with(func(c *Candidate) { c.Port = p }) }
	for _, c := range []struct {
		name   string
		policy Policy
		c      Candidate
		want   string // empty for refused
	}{
		{"public", strict, udp, "9.9.9.9:4000"},
		{"public IPv6", strict, at("2600::1"), "[2600::1]:4000"},
		{"upper case", strict, with(func(c *Candidate) { c.Protocol = "UDP" }), "9.9.9.9:4000"},
		{"mapped", strict, at("::ffff:9.9.9.9"), "9.9.9.9:4000"},
		{"loopback", strict, at("127.0.0.1"), ""},
		{"loopback, mapped", private, at("::ffff:127.0.0.1"), ""},
		{"loopback IPv6", private, at("::1"), ""},
		{"loopback allowed", loopback, at("127.9.9.9"), "127.9.9.9:4000"},
		{"loopback IPv6 allowed", loopback, at("::1"), "[::1]:4000"},
		{"private", strict, at("10.1.2.3"), ""},
		{"private allowed", private, at("10.1.2.3"), "10.1.2.3:4000"},
		{"carrier NAT", loopback, at("100.64.0.1"), ""},
		{"unique local", strict, at("fd00::1"), ""},
		{"unique local allowed", private, at("fd00::1"), "[fd00::1]:4000"},
		{"link-local", private, at("169.254.169.254"), ""},
		{"link-local IPv6", private, at("fe80::1"), ""},
		{"zone", private, at("fe80::1%eth0"), ""},
		{"multicast", private, at("224.0.0.251"), ""},
		{"multicast IPv6", private, at("ff02::fb"), ""},
		{"broadcast", private, at("255.255.255.255"), ""},
		{"unspecified", loopback, at("0.0.0.0"), ""},
		{"unspecified IPv6", loopback, at("::"), ""},
		{"NAT64 of loopback", private, at("64:ff9b::7f00:1"), ""},
		{"6to4 of loopback", private, at("2002:7f00:1::"), ""},
		{"own", strict, at("8.8.8.8"), ""},
		{"own, mapped", strict, at("::ffff:8.8.8.8"), ""},
		{"own, below the relays", relays, ours(4999), ""},
		{"own, the first relay", relays, ours(5000), "8.8.8.8:5000"},
		{"own, the last relay", relays, ours(6000), "8.8.8.8:6000"},
		{"own, above the relays", relays, ours(6001), ""},
		{"own, private, a relay", relays, with(func(c *Candidate) { c.Address, c.Port = "10.1.2.3", 5000 }), ""},
		{"mDNS", private, at("a1b2c3d4-0000-4000-8000-000000000000.local"), ""},
		{"host name", private, at("localhost"), ""},
		{"nothing", private, at(""), ""},
		{"port 0", strict, port(0), ""},
		{"port 9", strict, port(9), ""},
		{"port 53", strict, port(53), ""},
		{"RTCP", strict, with(func(c *Candidate) { c.Component = 2 }), ""},
		{"TCP", strict, with(func(c *Candidate) { c.Protocol = "tcp"; c.TCPType = "active" }), ""},
		{"priority 0", strict, with(func(c *Candidate) { c.Priority = 0 }), ""},
		{"priority beyond", strict, with(func(c *Candidate) { c.Priority = 1 << 31 }), ""},
	} {
		a, err := c.policy.address(c.c)
		if (err == nil) != (c.want != "") || err == nil && a.String() != c.want || err != nil && !errors.Is(err, ErrFiltered) {
			t.Errorf("%s: %v, %v", c.name, a, err)
		}
	}
}

func TestHB2CandidatesAreBounded(t *testing.T) {
	registry := prometheus.NewRegistry()
	server := NewServer(Config{
		Local: []Local{{Base: netip.MustParseAddrPort(bridgeAddr)}}, Events: event.New(slog.New(slog.DiscardHandler), registry, false),
	})
	a := server.NewAgent(nil, true)
	var out Out
	now := epoch
	if err := a.SetRemote(Credentials{"peer", strings.Repeat("p", 22)}, now, &out); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for i := range 1000 {
		c := Candidate{Component: 1, Protocol: "udp", Priority: uint32(1000 + i), Address: fmt.Sprintf("9.9.%d.%d", i/250, i%250), Port: 4000}
		if a.AddRemote(c, now) != nil {
			refused++
		}
	}
	if refused != 900 || len(a.current.pairs) != maxPairs {
		t.Errorf("%d refused, %d pairs", refused, len(a.current.pairs))
	}
	const text = "# HELP parley_reject_total What was refused, dropped or limited, by event.\n# TYPE parley_reject_total counter\n" +
		"parley_reject_total{event=\"ice.filter\"} 900\n"
	if err := testutil.GatherAndCompare(registry, strings.NewReader(text)); err != nil {
		t.Error(err)
	}
	// What a peer makes us send to addresses that it names: a paced handful of checks, highest priority first.
	sent := make(map[netip.AddrPort]int)
	for range 60 * 100 {
		now = now.Add(10 * time.Millisecond)
		server.Tick(now, &out)
		for _, d := range out.Datagrams {
			sent[d.Path.Remote]++
		}
		if len(out.Datagrams) > 3 {
			t.Fatalf("%d checks at once", len(out.Datagrams))
		}
		out.Reset()
	}
	if len(sent) != maxPairs || sent[netip.MustParseAddrPort("9.9.0.99:4000")] == 0 {
		t.Errorf("checked %v", sent)
	}
	for to, n := range sent {
		if n > transmission {
			t.Errorf("%d checks to %v", n, to)
		}
	}
}

// TestHB3Strangers sends what strangers can send: nothing gets an answer or makes state.
func TestHB3Strangers(t *testing.T) {
	w, bridge, client := clientAndBridge(t, 1)
	connect(w, bridge, client)
	w.run(5*time.Second, nil)
	c, _ := bridge.agent.Local()
	peer := client.agent.current.local
	stranger := Path{UDP, netip.MustParseAddrPort(bridgeAddr), netip.MustParseAddrPort("6.6.6.6:666")}
	wrong := c
	wrong.Pwd = strings.Repeat("x", 24)
	other := c
	other.Ufrag = "nobody00"
	bare := check(c, peer.Ufrag, "bare", false, false)
	bare = bare[:len(bare)-8]
	binary.BigEndian.PutUint16(bare[2:], uint16(len(bare)-20))
	noName := stun.Write(nil, stun.Binding, stun.Request, stun.ID{1})
	noName.Integrity(stun.NewKey(c.Pwd))
	noName.Fingerprint()
	unsafe := stun.Write(nil, stun.Binding, stun.Request, stun.ID{2})
	unsafe.String(stun.Username, c.Ufrag+":"+peer.Ufrag)
	unsafe.Uint32(stun.Priority, 1)
	unsafe.Fingerprint()
	indication := stun.Write(nil, stun.Binding, stun.Indication, stun.ID{3})
	indication.Fingerprint()
	success := stun.Write(nil, stun.Binding, stun.Success, stun.ID{4})
	success.Addr(stun.XORMappedAddress, stranger.Remote)
	success.Integrity(stun.NewKey(peer.Pwd))
	success.Fingerprint()
	for _, x := range []struct {
		name string
		b    []byte
		what func(Counts) uint64
	}{
		{"nothing", nil, func(c Counts) uint64 { return c.Malformed }},
		{"RTP", append([]byte{0x80}, make([]byte, 30)...), func(c Counts) uint64 { return c.Malformed }},
		{"ClientHello", append([]byte{22, 0xFE, 0xFF}, make([]byte, 100)...), func(c Counts) uint64 { return c.Malformed }},
		{"a check of nobody", check(other, peer.Ufrag, "x", false, false), func(c Counts) uint64 { return c.Unknown }},
		{"a check with a wrong password", check(wrong, peer.Ufrag, "x", false, false), func(c Counts) uint64 { return c.Integrity }},
		{"a check with a wrong name of the peer", check(c, "someone", "x", false, false), func(c Counts) uint64 { return c.Integrity }},
		{"a check without fingerprint", bare, func(c Counts) uint64 { return c.Malformed }},
		{"a check without a name", noName.Buffer(), func(c Counts) uint64 { return c.Malformed }},
		{"a check without integrity", unsafe.Buffer(), func(c Counts) uint64 { return c.Malformed }},
		{"an indication", indication.Buffer(), nil},
		{"an answer to nothing", success.Buffer(), func(c Counts) uint64 { return c.Unsolicited }},
	} {
		before := bridge.server.Counts()
		var out Out
		bridge.server.Packet(stranger, x.b, w.now, &out)
		if len(out.Datagrams)+len(out.Events) != 0 || len(bridge.agent.current.pairs) != 1 || bridge.server.Lookup(UDP, stranger.Remote) != nil {
			t.Errorf("%s got something", x.name)
		}
		if x.what != nil && x.what(bridge.server.Counts()) != x.what(before)+1 {
			t.Errorf("%s is not counted", x.name)
		}
	}
	// A check that was overheard and is sent from elsewhere is answered, but the address has not shown that it is the peer's.
	var out Out
	bridge.server.Packet(stranger, check(c, peer.Ufrag, "overheard", false, false), w.now, &out)
	if len(out.Datagrams) != 2 || bridge.server.Lookup(UDP, stranger.Remote) != nil {
		t.Errorf("%d datagrams", len(out.Datagrams))
	}
	n := bridge.server.Counts().Foreign
	bridge.server.Lookup(UDP, stranger.Remote)
	if bridge.server.Counts().Foreign != n+1 {
		t.Error("not counted")
	}
	w.run(time.Minute, nil)
	if bridge.remote() != natAddr || len(bridge.events) != 1 {
		t.Error(bridge.log())
	}
}

// TestHB3TheProofIsThePeers: an answer with the right password from another address than was asked proves nothing.
func TestHB3TheProofIsThePeers(t *testing.T) {
	w := newWorld(t, 1)
	bridge := w.node("bridge", true, bridgeAddr)
	peer := Credentials{"peer", strings.Repeat("p", 22)}
	path := Path{UDP, netip.MustParseAddrPort(bridgeAddr), netip.MustParseAddrPort(natAddr)}
	elsewhere := path
	elsewhere.Remote = netip.MustParseAddrPort("6.6.6.6:666")
	var out Out
	bridge.agent.SetRemote(peer, w.now, &out)
	bridge.server.Packet(path, bridge.request(peer, "a", false), w.now, &out)
	if len(out.Datagrams) != 2 {
		t.Fatal(out)
	}
	var m stun.Message
	if err := m.Parse(out.Datagrams[1].Data, stun.ICE); err != nil || m.Class != stun.Request {
		t.Fatal(m, err)
	}
	bridge.server.Packet(elsewhere, answer(&m, peer, path), w.now, &out)
	for _, p := range []Path{path, elsewhere} {
		if bridge.server.Lookup(UDP, p.Remote) != nil {
			t.Errorf("%v is proven", p.Remote)
		}
	}
	if bridge.state() != Checking || len(out.Events) != 0 {
		t.Error(bridge.log())
	}
}

func TestErrorsOfAuthenticatedChecks(t *testing.T) {
	w, bridge, client := clientAndBridge(t, 1)
	connect(w, bridge, client)
	c, _ := bridge.agent.Local()
	path := Path{UDP, netip.MustParseAddrPort(bridgeAddr), netip.MustParseAddrPort("6.6.6.6:666")}
	send := func(edit func(*stun.Writer)) (m stun.Message, sent int) {
		t.Helper()
		r := stun.Write(nil, stun.Binding, stun.Request, stun.ID{9})
		r.String(stun.Username, c.Ufrag+":"+client.agent.current.local.Ufrag)
		edit(&r)
		r.Integrity(stun.NewKey(c.Pwd))
		r.Fingerprint()
		var out Out
		bridge.server.Packet(path, r.Buffer(), w.now, &out)
		if len(out.Datagrams) > 0 {
			d := out.Datagrams[0].Data
			if err := m.Parse(d, stun.ICE); err != nil || !stun.NewKey(c.Pwd).Made(&m) || !m.Has(stun.Fingerprint) || m.ID != (stun.ID{9}) {
				t.Errorf("answer %+v, %v", m, err)
			}
			if len(d) > len(r.Buffer()) {
				t.Errorf("%d bytes answer %d", len(d), len(r.Buffer()))
			}
		}
		return m, len(out.Datagrams)
	}
	if m, n := send(func(r *stun.Writer) { r.Uint32(stun.Priority, 1); r.Uint32(0x7001, 1) }); m.Code != 420 || n != 1 || !m.Has(stun.UnknownAttributes) {
		t.Errorf("an attribute that has to be understood: %+v", m)
	}
	if m, n := send(func(r *stun.Writer) { r.Uint64(stun.Controlled, 1) }); m.Code != 400 || n != 1 {
		t.Errorf("no priority: %+v", m)
	}
	if len(bridge.agent.current.pairs) != 1 {
		t.Error("a refused check made a pair")
	}
	if m, n := send(func(r *stun.Writer) { r.Uint32(stun.Priority, 1); r.Uint64(stun.Controlling, 0) }); m.Code != 487 || n != 2 || !bridge.controlling() {
		t.Errorf("our role: %+v", m)
	}
	w.run(time.Second, nil)
	if m, n := send(func(r *stun.Writer) { r.Uint32(stun.Priority, 1); r.Uint64(stun.Controlled, 1) }); m.Class != stun.Success || n != 2 || m.Mapped != path.Remote {
		t.Errorf("a check as it should be: %+v", m)
	}
}

// TestFloods has somebody who knows the credentials send checks from a million addresses.
func TestFloods(t *testing.T) {
	t.Run("of made-up addresses, with the password", func(t *testing.T) {
		w, bridge, client := clientAndBridge(t, 1)
		connect(w, bridge, client)
		c, _ := bridge.agent.Local()
		b := check(c, client.agent.current.local.Ufrag, "flood", false, false)
		var out Out
		sent := 0
		for i := range 100_000 {
			w.now = w.now.Add(100 * time.Microsecond) // ten seconds of it
			from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{6, byte(i >> 16), byte(i >> 8), byte(i)}), 666)
			bridge.server.Packet(Path{UDP, netip.MustParseAddrPort(bridgeAddr), from}, b, w.now, &out)
			sent += len(out.Datagrams)
			out.Reset()
			if i%1000 == 0 {
				w.run(0, nil)
			}
		}
		if sent > 2*(100+10*40)+10 {
			t.Errorf("%d datagrams for 100,000 checks", sent)
		}
		if l := bridge.server.Counts().Limited; l < 99_000 {
			t.Errorf("%d limited", l)
		}
		if n, m := len(bridge.agent.current.pairs), len(bridge.server.pending); n > maxPairs || m > maxPairs*remembered {
			t.Errorf("%d pairs, %d checks", n, m)
		}
		w.run(time.Minute, nil)
		if bridge.state() != Up || bridge.remote() != natAddr || len(bridge.events) != 1 {
			t.Error(bridge.log())
		}
		bridge.empty()
	})
	t.Run("of one source, without the password", func(t *testing.T) {
		w := newWorld(t, 1)
		bridge := w.node("bridge", true, bridgeAddr)
		c, _ := bridge.agent.Local()
		c.Pwd = strings.Repeat("x", 24)
		b := check(c, "peer", "flood", false, false)
		var out Out
		for i := range 100_000 { // in no time, from all ports
			bridge.server.Packet(Path{UDP, netip.MustParseAddrPort(bridgeAddr), netip.AddrPortFrom(netip.MustParseAddr("6.6.6.6"), uint16(i))}, b, w.now, &out)
		}
		n := bridge.server.Counts()
		if len(out.Datagrams) != 0 || n.Integrity > 100 || n.Integrity+n.Limited != 100_000 {
			t.Errorf("%+v", n)
		}
	})
	t.Run("does not lock out others", func(t *testing.T) {
		w, bridge, client := clientAndBridge(t, 1)
		bridge.server.strangers = newBudget(DefaultStrangers)
		var out Out
		for i := range 100_000 { // they do not know the name
			b := check(Credentials{fmt.Sprintf("n%07d", i), strings.Repeat("x", 24)}, "peer", "flood", false, false)
			bridge.server.Packet(Path{UDP, netip.MustParseAddrPort(bridgeAddr), netip.MustParseAddrPort("9.9.9.9:1")}, b, w.now, &out)
		}
		connect(w, bridge, client) // the same address
	})
	t.Run("of a proven address", func(t *testing.T) {
		w, bridge, client := clientAndBridge(t, 1)
		connect(w, bridge, client)
		c, _ := bridge.agent.Local()
		b := check(c, client.agent.current.local.Ufrag, "flood", false, false)
		var out Out
		for range 10_000 {
			bridge.server.Packet(Path{UDP, netip.MustParseAddrPort(bridgeAddr), netip.MustParseAddrPort(natAddr)}, b, w.now, &out)
		}
		if len(out.Datagrams) > 101 {
			t.Errorf("%d datagrams", len(out.Datagrams))
		}
	})
}

func TestValidPairsOutliveLearntOnes(t *testing.T) {
	w, bridge, client := clientAndBridge(t, 1)
	connect(w, bridge, client)
	c, _ := bridge.agent.Local()
	var out Out
	for i := range 50 {
		from := netip.AddrPortFrom(netip.MustParseAddr("6.6.6.6"), uint16(1000+i))
		bridge.server.Packet(Path{UDP, netip.MustParseAddrPort(bridgeAddr), from}, check(c, client.agent.current.local.Ufrag, "x", false, false), w.now, &out)
	}
	if len(bridge.agent.current.pairs) != maxPairs || bridge.agent.current.find(Path{UDP, netip.MustParseAddrPort(bridgeAddr), netip.MustParseAddrPort(natAddr)}) == nil {
		t.Error("the pair in use was pushed out")
	}
}

func TestCredentials(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		c := newCredentials()
		if len(c.Ufrag) != 8 || len(c.Pwd) != 24 || !c.valid() || seen[c.Ufrag] || seen[c.Pwd] {
			t.Fatal(c)
		}
		seen[c.Ufrag], seen[c.Pwd] = true, true
	}
	long := strings.Repeat("x", 22)
	for _, c := range []struct {
		ufrag, pwd string
		want       bool
	}{
		{"abcd", long, true}, {"abc", long, false}, {"abcd", long[1:], false}, {"ab:d", long, false}, {"ab d", long, false}, {"abcé", long, false},
		{"", "", false}, {strings.Repeat("x", 257), long, false}, {"abcd", strings.Repeat("x", 257), false}, {"abcd\n", long, false},
	} {
		if (Credentials{c.ufrag, c.pwd}).valid() != c.want {
			t.Errorf("%q %q", c.ufrag, c.pwd)
		}
	}
}

func TestCandidatesOfTheServer(t *testing.T) {
	s := NewServer(Config{Local: []Local{
		{Base: netip.MustParseAddrPort("10.0.0.1:10000"), Signalled: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:10000"), netip.MustParseAddrPort("8.8.8.8:10000")}},
		{Transport: TCP, Base: netip.MustParseAddrPort("[2600::1]:443")},
	}})
	c := s.Candidates()
	want := []Candidate{
		{"1", 1, "udp", 2130706431, "10.0.0.1", 10000, "host", ""},
		{"1", 1, "udp", 2130706431, "8.8.8.8", 10000, "host", ""},
		{"2", 1, "tcp", 99<<24 | 65534<<8 | 255, "2600::1", 443, "host", "passive"},
	}
	if fmt.Sprint(c) != fmt.Sprint(want) {
		t.Errorf("%+v", c)
	}
}
