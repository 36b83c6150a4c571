package turn

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestCheck(t *testing.T) {
	if err := testConfig().Check(); err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddr
	for _, k := range []struct {
		wrong string // part of the error
		edit  func(*Config)
	}{
		{"realm", func(c *Config) { c.Realm = "" }},
		{"realm", func(c *Config) { c.Realm = "seventeen.example" }},
		{"secret", func(c *Config) { c.Secret = "short" }},
		{"no relay", func(c *Config) { c.Relays = nil }},
		{"none that clients can be told", func(c *Config) { c.Relays = []Relay{{}} }},
		{"none that clients can be told", func(c *Config) { c.Relays = []Relay{{Public: addr("0.0.0.0")}} }},
		{"none that clients can be told", func(c *Config) { c.Relays = []Relay{{Public: addr("fe80::1%eth0")}} }},
		{"none that clients can be told", func(c *Config) { c.Relays = []Relay{{Public: addr("::ffff:8.8.8.8")}} }},
		{"two families", func(c *Config) { c.Relays = []Relay{{Public: addr("8.8.8.8"), Bind: addr("::1")}} }},
		{"two relay addresses", func(c *Config) { c.Relays = []Relay{{Public: addr("8.8.8.8")}, {Public: addr("8.8.4.4")}} }},
		{"port range", func(c *Config) { c.RelayPorts = PortRange{2, 1} }},
		{"port range", func(c *Config) { c.PeerPorts = []PortRange{{0, 1}} }},
		{"quota", func(c *Config) { c.Capacity = 0 }},
		{"quota", func(c *Config) { c.Channels = -1 }},
		{"bandwidth", func(c *Config) { c.Bandwidth = 1000 }},
		{"lifetimes", func(c *Config) { c.Lifetime = 0 }},
		{"lifetimes", func(c *Config) { c.MaxLifetime = 2 * time.Hour }},
		{"lifetimes", func(c *Config) { c.MaxAge = time.Minute }},
		{"strangers", func(c *Config) { c.Replies.PerSecond = 0 }},
		{"strangers", func(c *Config) { c.Replies.PerSecond, c.Replies.Burst = 80, 21 }},
		{"time limit", func(c *Config) { c.Idle = 0 }},
		{"time limit", func(c *Config) { c.Handshake = 0 }},
		{"negative", func(c *Config) { c.Connections = -1 }},
	} {
		cfg := testConfig()
		k.edit(&cfg)
		if err := cfg.Check(); err == nil || !strings.Contains(err.Error(), k.wrong) || !strings.HasPrefix(err.Error(), "turn: ") {
			t.Errorf("%s: %v", k.wrong, err)
		}
	}
}

// TestNewFails gives the listeners back, and the metrics.
func TestNewFails(t *testing.T) {
	l, addrs := listen(t)
	taken := prometheus.NewRegistry()
	taken.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "parley_turn_allocations_total", Help: "Something else."}))
	if _, err := New(Config{}, l, nil, nil); err == nil {
		t.Error("an empty configuration is taken")
	}
	if _, err := New(testConfig(), Listeners{}, nil, nil); err == nil {
		t.Error("no listeners are taken")
	}
	if _, err := New(testConfig(), l, nil, taken); err == nil {
		t.Error("metrics are registered twice")
	}
	if families, err := taken.Gather(); err != nil || len(families) != 1 {
		t.Errorf("%d metrics are left, %v", len(families), err)
	}
	s := startOn(t, l, addrs, nil)
	call(t, s.connect(t, "udp", "romeo").relay, s.connect(t, "tls", "juliet").relay)
}

// TestRestart closes a server and starts another one with the same registry, and without one.
func TestRestart(t *testing.T) {
	reg := prometheus.NewRegistry()
	for _, reg := range []prometheus.Registerer{reg, reg, nil} {
		udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s, err := New(testConfig(), Listeners{Packets: []net.PacketConn{udp}}, nil, reg)
		if err != nil {
			t.Fatal(err)
		}
		c := &testServer{Server: s, addrs: map[string]netip.AddrPort{"udp": addrPort(udp.LocalAddr())}}
		call(t, c.connect(t, "udp", "romeo").relay, c.connect(t, "udp", "juliet").relay)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if families, err := reg.Gather(); err != nil || len(families) != 0 {
		t.Errorf("%d metrics are left, %v", len(families), err)
	}
}
