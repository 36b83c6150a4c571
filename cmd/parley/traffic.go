package main

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
)

// traffic tells what a bridge has taken, sent and dropped, and how much it has to do.
type traffic struct{ *carrier }

var (
	bridgeReceived = prometheus.NewDesc("parley_bridge_received_packets_total", "Datagrams that have come.", nil, nil)
	bridgeReads    = prometheus.NewDesc("parley_bridge_reads_total", "Calls that took datagrams in.", nil, nil)
	bridgeOverflow = prometheus.NewDesc("parley_bridge_overflow_packets_total", "Datagrams lost because the receive buffer was full.", nil, nil)
	bridgeRefused  = prometheus.NewDesc("parley_bridge_refused_packets_total", "Datagrams that have come and were not taken, by reason.", []string{"reason"}, nil)
	bridgeSent     = prometheus.NewDesc("parley_bridge_sent_packets_total", "Datagrams that have left.", nil, nil)
	bridgeSends    = prometheus.NewDesc("parley_bridge_sends_total", "Calls that they left in; datagrams divided by these are the packets per send.", nil, nil)
	bridgeDropped  = prometheus.NewDesc("parley_bridge_dropped_packets_total", "Datagrams that the kernel did not take.", nil, nil)
	bridgeRepeated = prometheus.NewDesc("parley_bridge_repeated_packets_total", "Media that was not sent because its sequence number was used before; anything above 0 is a fault of the bridge.", nil, nil)

	bridgePerSend     = prometheus.NewDesc("parley_bridge_packets_per_send", "Datagrams that have left per call, since the start.", nil, nil)
	bridgeStress      = prometheus.NewDesc("parley_bridge_stress", "Packets received and sent, as a share of what the bridge can do.", nil, nil)
	bridgeEndpoints   = prometheus.NewDesc("parley_bridge_endpoints", "Members of conferences that have a transport.", nil, nil)
	bridgeConferences = prometheus.NewDesc("parley_bridge_conferences", "Conferences.", nil, nil)
	bridgeBuffers     = prometheus.NewDesc("parley_bridge_buffers", "Packets that are kept, to be sent again.", nil, nil)
	bridgeGoroutines  = prometheus.NewDesc("parley_bridge_goroutines", "Goroutines of the bridge process.", nil, nil)
)

// Describe implements prometheus.Collector.
func (t traffic) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(t, ch) }

// Collect implements prometheus.Collector.
func (t traffic) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(bridgeGoroutines, prometheus.GaugeValue, float64(runtime.NumGoroutine()))
	if t.port == nil {
		return
	}
	s, c := t.port.Stats(), t.port.Counts()
	for desc, n := range map[*prometheus.Desc]uint64{
		bridgeReceived: s.Received, bridgeReads: s.Reads, bridgeOverflow: s.Overflow,
		bridgeSent: s.Packets, bridgeSends: s.Sends, bridgeDropped: s.Dropped + s.Failed,
		bridgeRepeated: c.Repeated,
	} {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n))
	}
	for reason, n := range map[string]uint64{
		"foreign": c.Foreign, "other": c.Other, "early": c.Early, "forged": c.Forged, "crowd": c.Crowd,
		"ice.malformed": c.ICE.Malformed, "ice.unknown": c.ICE.Unknown, "ice.unsolicited": c.ICE.Unsolicited,
		"ice.limited": c.ICE.Limited, "ice.integrity": c.ICE.Integrity,
	} {
		ch <- prometheus.MustNewConstMetric(bridgeRefused, prometheus.CounterValue, float64(n), reason)
	}
	for desc, v := range map[*prometheus.Desc]float64{
		bridgePerSend: s.PacketsPerSend(), bridgeStress: t.stress.get(), bridgeEndpoints: float64(t.legs.count()),
		bridgeConferences: float64(len(t.bridge.Snapshot())), bridgeBuffers: float64(t.port.Lent()),
	} {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v)
	}
}
