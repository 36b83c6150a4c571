package turn

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// meter counts what the metrics show.
type meter struct {
	made    atomic.Uint64 // allocations
	now     atomic.Int64  // allocations
	up      flow          // from clients to peers
	down    flow          // from peers to clients
	streams atomic.Int64  // TCP and TLS connections

	registry   prometheus.Registerer
	registered []prometheus.Collector
}

type flow struct{ packets, bytes atomic.Uint64 }

func (f *flow) add(packets, bytes int) {
	f.packets.Add(uint64(packets))
	f.bytes.Add(uint64(bytes))
}

// register registers the metrics, all of them or none; reg may be nil. What was refused is counted by event.Recorder.
func (m *meter) register(reg prometheus.Registerer) error {
	if reg == nil {
		return nil
	}
	m.registry = reg
	counter := func(name, help, direction string, v *atomic.Uint64) prometheus.Collector {
		opts := prometheus.CounterOpts{Name: name, Help: help}
		if direction != "" {
			opts.ConstLabels = prometheus.Labels{"direction": direction}
		}
		return prometheus.NewCounterFunc(opts, func() float64 { return float64(v.Load()) })
	}
	gauge := func(name, help string, v *atomic.Int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(v.Load()) })
	}
	const (
		bytes   = "Payload bytes relayed."
		packets = "Datagrams relayed."
	)
	for _, c := range []prometheus.Collector{
		gauge("parley_turn_allocations", "TURN allocations that exist.", &m.now),
		gauge("parley_turn_streams", "TCP and TLS connections to the TURN server.", &m.streams),
		counter("parley_turn_allocations_total", "TURN allocations made.", "", &m.made),
		counter("parley_turn_relayed_bytes_total", bytes, "up", &m.up.bytes),
		counter("parley_turn_relayed_bytes_total", bytes, "down", &m.down.bytes),
		counter("parley_turn_relayed_packets_total", packets, "up", &m.up.packets),
		counter("parley_turn_relayed_packets_total", packets, "down", &m.down.packets),
	} {
		if err := reg.Register(c); err != nil {
			m.unregister()
			return err
		}
		m.registered = append(m.registered, c)
	}
	return nil
}

// unregister takes back what register has done, so that another server can be started.
func (m *meter) unregister() {
	for _, c := range m.registered {
		m.registry.Unregister(c)
	}
	m.registered = nil
}
