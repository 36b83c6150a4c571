package main

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"parley/internal/config"
	"parley/turn"
)

func testSetup(t *testing.T, change func(*config.Config)) setup {
	t.Helper()
	cfg := config.Default()
	change(&cfg)
	s, err := newSetup(cfg, &certificate{certFile: "cert.pem", keyFile: "key.pem"}, strings.Repeat("secret", 10))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSetupOfTheBridge(t *testing.T) {
	s := testSetup(t, func(*config.Config) {})
	if len(s.Media) != 1 || len(s.Relay) != 2 || s.Certificate != "cert.pem" || len(s.TURN.Relays) != 1 || !s.TURN.Relays[0].Public.IsLoopback() {
		t.Errorf("%+v", s)
	}
	name := t.TempDir() + "/setup.json"
	if err := s.write(name); err != nil {
		t.Fatal(err)
	}
	read, err := readSetup(name)
	if err != nil || !reflect.DeepEqual(read, s) {
		t.Errorf("written %+v\nread %+v %v", s, read, err)
	}
	if text := string(s.announced()); strings.Contains(text, s.TURN.Secret) {
		t.Errorf("the secret is in %s", text)
	}
}

// A bridge that runs is taken over if it is as wished: any port will do where the system is to choose, and the level of the
// log can be changed.
func TestBridgeThatFits(t *testing.T) {
	running := testSetup(t, func(*config.Config) {})
	for name, c := range map[string]struct {
		change func(*config.Config)
		fits   bool
	}{
		"the same":                {func(*config.Config) {}, true},
		"ports left open":         {func(c *config.Config) { c.Listen[4].Port, c.Listen[5].Port = 0, 0 }, true},
		"level of the log":        {func(c *config.Config) { c.Log.Level.UnmarshalText([]byte("debug")) }, true},
		"listeners of the server": {func(c *config.Config) { c.Listen[0].Port = 1 }, true},
		"another port":            {func(c *config.Config) { c.Listen[4].Port = 10001 }, false},
		"another host":            {func(c *config.Config) { c.Listen[5].Host, c.Listen[5].Port = "127.0.0.2", 0 }, false},
		"no media":                {func(c *config.Config) { c.Listen = append(c.Listen[:4], c.Listen[5:]...) }, false},
		"no relay":                {func(c *config.Config) { c.Listen = c.Listen[:5] }, false},
		"quota":                   {func(c *config.Config) { c.TURN.Allocations++ }, false},
		"advertised":              {func(c *config.Config) { c.Advertise = []netip.Addr{netip.MustParseAddr("198.51.100.7")} }, false},
		"no TCP":                  {func(c *config.Config) { c.Media.TCP = false }, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := testSetup(t, c.change)
			if s.fits(running.announced()) != c.fits {
				t.Errorf("fits: %v", !c.fits)
			}
		})
	}
	other := running
	other.TURN.Secret += "x"
	if other.fits(running.announced()) {
		t.Error("a bridge with another secret fits")
	}
	for _, rubbish := range []string{"", "null", "{}", "7", `{"media": ["nonsense"]}`} {
		if running.fits(json.RawMessage(rubbish)) {
			t.Errorf("%q fits", rubbish)
		}
	}
}

func TestNoAddressToTellClients(t *testing.T) {
	for _, scheme := range []string{"media", "turn"} {
		cfg := config.Default()
		cfg.Listen = []config.Listener{{Scheme: scheme, Host: "fe80::1", Port: 1}} // which no client can reach
		_, err := newSetup(cfg, nil, "")
		if err == nil || !strings.Contains(err.Error(), scheme+"://[fe80::1]:1") || !strings.Contains(err.Error(), "write advertise") {
			t.Errorf("%s: %v", scheme, err)
		}
		cfg.Advertise = []netip.Addr{netip.MustParseAddr("2001:db8::1")}
		if _, err := newSetup(cfg, nil, ""); err != nil {
			t.Errorf("%s with an address: %v", scheme, err)
		}
	}
}

func TestWhereTheBridgeListens(t *testing.T) {
	v4, v6 := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8::7")
	for host, want := range map[string]struct {
		first string
		told  int
	}{"": {"::", 2}, "0.0.0.0": {"0.0.0.0", 1}, "localhost": {"127.0.0.1", 1}, "::1": {"::1", 1}, "192.0.2.1": {"192.0.2.1", 1}} {
		at := hosts(host)[0]
		if told := advertise([]netip.Addr{v4, v6}, at); at.String() != want.first || len(told) != want.told {
			t.Errorf("%q: %v, %v", host, at, told)
		}
	}
	for _, c := range []struct {
		host              string
		told              []netip.Addr
		loopback, private bool
	}{
		{"127.0.0.1", nil, true, false}, {"10.0.0.1", nil, false, true}, {"198.51.100.7", nil, false, false},
		{"0.0.0.0", []netip.Addr{v4}, false, false}, {"0.0.0.0", []netip.Addr{netip.MustParseAddr("192.168.0.1")}, false, true},
	} {
		p := candidatePolicy(netip.MustParseAddr(c.host), setup{Advertise: c.told})
		if p.AllowLoopback != c.loopback || p.AllowPrivate != c.private {
			t.Errorf("%s %v: %+v", c.host, c.told, p)
		}
	}
}

// A client that names an address of the bridge's machine as its own has nothing checked there but relays.
func TestHB2OwnAddressesAreChecked(t *testing.T) {
	v4, v6 := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8::7")
	relay := setup{Advertise: []netip.Addr{v4, v6}, Relay: []config.Listener{{Scheme: "turn"}}}
	relay.TURN.RelayPorts = turn.PortRange{First: 50000, Last: 50100}
	noRelay := relay
	noRelay.Relay = nil
	for _, c := range []struct {
		host  string
		s     setup
		own   []netip.Addr
		ports [2]uint16
	}{
		{"0.0.0.0", setup{Advertise: []netip.Addr{v4, v6}}, []netip.Addr{v4, v6}, [2]uint16{}},
		{"0.0.0.0", setup{}, interfaceAddresses(), [2]uint16{}},
		{"192.0.2.1", setup{Advertise: []netip.Addr{v4}}, []netip.Addr{v4, netip.MustParseAddr("192.0.2.1")}, [2]uint16{}},
		{"::ffff:192.0.2.1", setup{}, []netip.Addr{netip.MustParseAddr("192.0.2.1")}, [2]uint16{}},
		{"127.0.0.1", setup{}, nil, [2]uint16{}},
		{"::", relay, []netip.Addr{v4, v6}, [2]uint16{50000, 50100}},
		{"::", noRelay, []netip.Addr{v4, v6}, [2]uint16{}},
	} {
		p := candidatePolicy(netip.MustParseAddr(c.host), c.s)
		has := func(a netip.Addr) bool {
			return slices.ContainsFunc(p.Own, func(n netip.Prefix) bool { return n.Contains(a) })
		}
		for _, a := range c.own {
			if !has(a) {
				t.Errorf("%s: %v is not known as our own: %+v", c.host, a, p)
			}
		}
		if has(netip.MustParseAddr("127.0.0.1")) || has(netip.MustParseAddr("198.51.100.8")) || p.OwnPorts != c.ports {
			t.Errorf("%s: %+v", c.host, p)
		}
	}
}

func TestWhereClientsFindBridgeChannels(t *testing.T) {
	for list, want := range map[string]string{
		"http://127.0.0.1:8080": "ws://meet.example:8080",
		"http+admin://127.0.0.1:8081 https://:443 http://[::1]:80": "wss://meet.example",
		"https://:8443":                 "wss://meet.example:8443",
		"http+insecure://:8080":         "wss://meet.example", // clients come by way of a proxy that does TLS
		"http+admin://127.0.0.1:8081":   "",
		"xmpp://:5222 media://:10000":   "",
		"proxied http://127.0.0.1:8080": "wss://meet.example",
		"proxied https://:8443":         "wss://meet.example:8443",
	} {
		cfg := config.Config{Domain: "meet.example"}
		var listeners []*bound
		for _, uri := range strings.Fields(list) {
			if uri == "proxied" {
				cfg.HTTP.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
				continue
			}
			l, err := config.ParseListener(uri)
			if err != nil {
				t.Fatal(err)
			}
			listeners = append(listeners, &bound{Listener: l, at: address(l)})
		}
		if got := channelBase(cfg, listeners); got != want {
			t.Errorf("%s: %q, want %q", list, got, want)
		}
	}
}
