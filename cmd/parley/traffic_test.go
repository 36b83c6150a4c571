package main

import (
	"log/slog"
	"testing"

	"parley/internal/config"
)

// openTestSetup is a bridge on a free port of loopback, without a relay.
func openTestSetup(t *testing.T) setup {
	s := testSetup(t, func(*config.Config) {})
	for i := range s.Media {
		s.Media[i].Host, s.Media[i].Port = "127.0.0.1", 0
	}
	s.Relay = nil
	return s
}

func TestTrafficOfTheBridgeIsExported(t *testing.T) {
	c, err := openCarrier(t.TempDir(), openTestSetup(t), slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	families, err := c.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			values[f.GetName()] += m.GetCounter().GetValue()
		}
	}
	for _, name := range []string{"parley_bridge_received_packets_total", "parley_bridge_sent_packets_total", "parley_bridge_repeated_packets_total"} {
		if n, ok := values[name]; !ok || n != 0 {
			t.Errorf("%s: %v, there %v", name, n, ok)
		}
	}
}

// A bridge is killed when it hangs only if somebody listens to it.
func TestBridgeIsListenedTo(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	m, err := openMedia(openTestSetup(t), &dataDir{path: t.TempDir()}, log, nil, nil, true)
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	if m.child.Heard == nil {
		t.Error("nobody listens to the child")
	}
}
