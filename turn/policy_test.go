package turn

import (
	"net/netip"
	"strings"
	"testing"
)

// testPolicy is that of a machine with the addresses 198.18.0.9 (relays), 8.8.4.4 and 2600::9 (relays), and with a relay
// socket open at port 50000 of each family.
func testPolicy(allowed ...string) *policy {
	cfg := Config{
		Relays:    []Relay{{Public: netip.MustParseAddr("198.18.0.9")}, {Public: netip.MustParseAddr("2600::9")}},
		PeerPorts: []PortRange{{10000, 10001}},
		Peers:     prefixes(allowed...),
	}
	p := newPolicy(cfg, []netip.Addr{netip.MustParseAddr("8.8.4.4"), netip.MustParseAddr("0.0.0.0"), netip.MustParseAddr("::ffff:8.8.4.5")})
	p.live[0].set(50000)
	p.live[1].set(50000)
	return p
}

func TestHT2Addresses(t *testing.T) {
	denied := `0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.254 169.254.169.254
		172.16.0.1 172.31.255.255 192.0.0.8 192.0.2.1 192.88.99.1 192.168.0.1 192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.1
		203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
		:: ::1 ::2 fe80::1 febf::1 fc00::1 fdff::1 ff00::1 ff02::1 fec0::1 100::1 1000::1 4000::1 5f00::1 2001:db8::1 2001:2::1 2001:10::1 3fff::1
		::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:8.8.8.8 ::ffff:0.0.0.0 ::ffff:198.18.0.9
		::127.0.0.1 ::10.0.0.1 ::8.8.8.8
		64:ff9b::127.0.0.1 64:ff9b::10.0.0.1 64:ff9b::8.8.8.8 64:ff9b::169.254.169.254
		64:ff9b:1:7f00:0:100:: 64:ff9b:1::127.0.0.1 64:ff9b:1:808:8:800::
		2002:7f00:1:: 2002:a00:1::1 2002:808:808::1 2002:a9fe:a9fe::1
		2001:0:808:808:0:0:80ff:fffe 2001:0:7f00:1::f7f7:f7f7`
	allowed := `1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.1.1 172.15.255.255 172.32.0.0
		192.0.1.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255
		2000::1 2600::1 2606:4700:4700::1111 2a00:1450::1 2001:200::1 2001:4860:4860::8888 3ffe::1`
	p := testPolicy()
	for _, a := range strings.Fields(denied) {
		for _, port := range []uint16{1, 3478, 10000, 50000} {
			if p.peer(netip.AddrPortFrom(netip.MustParseAddr(a), port)) {
				t.Errorf("%s port %d is a peer", a, port)
			}
		}
	}
	for _, a := range strings.Fields(allowed) {
		if !p.peer(netip.AddrPortFrom(netip.MustParseAddr(a), 1)) || p.peer(netip.AddrPortFrom(netip.MustParseAddr(a), 0)) {
			t.Errorf("%s is no peer, or port 0 of it is", a)
		}
	}
	if p.peer(netip.MustParseAddrPort("[2600::1%eth0]:1")) || p.peer(netip.AddrPort{}) {
		t.Error("an address with a zone, or none at all, is a peer")
	}
}

func TestHT2OwnAddresses(t *testing.T) {
	p := testPolicy("198.18.0.0/16", "::ffff:0:0/96", "2600::/16")
	for addr, want := range map[string]bool{
		"198.18.0.9:50000": true,  // a relay
		"198.18.0.9:50001": false, // none
		"198.18.0.9:3478":  false,
		"198.18.0.9:10000": true, // media
		"198.18.0.9:10001": true,
		"198.18.0.9:10002": false,
		"198.18.0.8:22":    true, // not own, and listed
		"8.8.4.4:10000":    true,
		"8.8.4.4:50000":    false, // relays are not at this address
		"8.8.4.4:53":       false,
		"8.8.4.5:53":       false,
		"0.0.0.0:10000":    false,
		"[2600::9]:50000":  true,
		"[2600::9]:22":     false,
		"[2600::8]:22":     true,
	} {
		if got := p.peer(netip.MustParseAddrPort(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
	p.live[0].clear(50000)
	if p.peer(netip.MustParseAddrPort("198.18.0.9:50000")) {
		t.Error("a relay that has ended is a peer")
	}
}

func TestHT2AllowedForms(t *testing.T) {
	p := testPolicy("10.1.0.0/16", "64:ff9b::/96", "2002::/16", "64:ff9b:1::/48", "2001::/32", "::/96")
	for addr, want := range map[string]bool{
		"10.1.2.3": true, "10.2.0.1": false,
		"64:ff9b::8.8.8.8": true, "64:ff9b::127.0.0.1": false, "64:ff9b::10.1.2.3": true, "64:ff9b::198.18.0.9": false, "64:ff9b::8.8.4.4": false,
		"2002:808:808::1": true, "2002:7f00:1::": false,
		"64:ff9b:1:808:8:800:808:808": true, "64:ff9b:1:808:8:800::": false, "64:ff9b:1:7f00:0:100:808:808": false,
		"2001:0:808:808:0:0:f7f7:f7f7": true, "2001:0:808:808:0:0:80ff:fffe": false, "2001:0:7f00:1:0:0:f7f7:f7f7": false,
		"::8.8.8.8": true, "::": false, "::1": false,
		"::ffff:8.8.8.8": false,
	} {
		if got := p.scope(netip.MustParseAddr(addr)) != noPort; got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
}

func TestTranslatedRelay(t *testing.T) {
	p := testPolicy()
	p.relays = []Relay{{Public: netip.MustParseAddr("8.8.8.8"), Bind: netip.MustParseAddr("10.0.0.5")}}
	for public, bound := range map[string]string{"8.8.8.8:50000": "10.0.0.5:50000"} {
		if got := p.inward(netip.MustParseAddrPort(public)); got.String() != bound {
			t.Errorf("inward: %v", got)
		}
		if got := p.outward(netip.MustParseAddrPort(bound)); got.String() != public {
			t.Errorf("outward: %v", got)
		}
	}
	for _, same := range []string{"8.8.8.8:50001", "10.0.0.5:50001", "9.9.9.9:50000"} {
		a := netip.MustParseAddrPort(same)
		if p.inward(a) != a || p.outward(a) != a {
			t.Errorf("%v is turned into %v and %v", a, p.inward(a), p.outward(a))
		}
	}
}

// FuzzPolicy says of any address: what is taken for a peer is a global unicast address by the standard library's tables
// too, and so is every IPv4 address that its bits can hide; and allowing other networks changes nothing for it.
func FuzzPolicy(f *testing.F) {
	for _, a := range []string{"127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2600::1", "1.1.1.1", "2001:0:1::1", "64:ff9b:1:7f00:0:100::"} {
		f.Add(netip.MustParseAddr(a).AsSlice(), uint16(53))
	}
	p, other := testPolicy(), testPolicy("10.1.0.0/16", "fd00::/8")
	f.Fuzz(func(t *testing.T, b []byte, port uint16) {
		a, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		ap := netip.AddrPortFrom(a, port)
		if !p.peer(ap) {
			return
		}
		if !other.peer(ap) {
			t.Fatalf("%v is a peer only while others are none", ap)
		}
		if (*p.own.Load())[a] == ownPorts {
			if port != 50000 && port != 10000 && port != 10001 {
				t.Fatalf("own port %v is a peer", ap)
			}
			return
		}
		if port == 0 || !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.Is4In6() {
			t.Fatalf("%v is a peer", ap)
		}
		if a.Is6() && (b[0]>>5 != 1 || b[0] == 0x20 && b[1] == 2 || b[0] == 0x20 && b[1] == 1 && b[2] < 2) {
			t.Fatalf("%v is a peer and is not native", ap)
		}
	})
}
