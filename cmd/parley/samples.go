package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/bridge/link"
	"parley/internal/event"
)

// The metrics of the bridge process are asked for by the server over the bridge's HTTP socket when somebody asks the
// server for its own, and appear among these.

// sample is the value of a counter or gauge.
type sample struct {
	Name   string            `json:"name"`
	Help   string            `json:"help"`
	Gauge  bool              `json:"gauge,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	Value  float64           `json:"value"`
}

const (
	samplesPath    = "/samples"
	samplesTimeout = 2 * time.Second
	ownMetrics     = "parley_" // how the names of our metrics begin
)

// samples are those of one bridge.
type samples struct {
	Bridge string   `json:"bridge"` // random at each start
	List   []sample `json:"list"`
}

// writeSamples answers with the counters and gauges of a bridge.
func writeSamples(w http.ResponseWriter, bridge string, registry prometheus.Gatherer) {
	families, err := registry.Gather()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	var list []sample
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), ownMetrics) {
			continue
		}
		for _, m := range f.GetMetric() {
			s := sample{Name: f.GetName(), Help: f.GetHelp()}
			switch {
			case m.GetCounter() != nil:
				s.Value = m.GetCounter().GetValue()
			case m.GetGauge() != nil:
				s.Value, s.Gauge = m.GetGauge().GetValue(), true
			default:
				continue
			}
			for _, l := range m.GetLabel() {
				if s.Labels == nil {
					s.Labels = make(map[string]string)
				}
				s.Labels[l.GetName()] = l.GetValue()
			}
			list = append(list, s)
		}
	}
	json.NewEncoder(w).Encode(samples{bridge, list})
}

// bridgeMetrics are the bridge's metrics as a part of ours. What it has refused is added to our own counters.
type bridgeMetrics struct {
	client *http.Client
	events *event.Recorder

	mu      sync.Mutex // guards what follows
	told    samples    // by the bridge, when it was asked last
	there   bool       // it has answered
	counted map[string]float64
}

var bridgeUp = prometheus.NewDesc("parley_bridge_up", "1 if the bridge process has told its metrics.", nil, nil)

func newBridgeMetrics(data string, events *event.Recorder) *bridgeMetrics {
	return &bridgeMetrics{client: link.HTTP(data), events: events}
}

// pull asks the bridge.
func (b *bridgeMetrics) pull() {
	told, err := b.ask()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.there = err == nil
	if err != nil {
		b.told.List = nil
		return
	}
	if told.Bridge != b.told.Bridge {
		b.counted = make(map[string]float64)
	}
	b.told = told
	for _, s := range told.List {
		if name := s.Labels["event"]; s.Name == event.Metric {
			b.events.Add(name, s.Value-b.counted[name])
			b.counted[name] = max(s.Value, b.counted[name]) // of two that ask at once, the earlier answer may come last
		}
	}
}

func (b *bridgeMetrics) ask() (told samples, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), samplesTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, link.URL+samplesPath, nil)
	if err != nil {
		return told, err
	}
	res, err := b.client.Do(r)
	if err != nil {
		return told, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return told, fmt.Errorf("the bridge's metrics: %s", res.Status)
	}
	return told, json.NewDecoder(io.LimitReader(res.Body, 8<<20)).Decode(&told)
}

// Describe implements prometheus.Collector: what there is is known when it is asked for.
func (*bridgeMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector, with what was pulled last.
func (b *bridgeMetrics) Collect(ch chan<- prometheus.Metric) {
	b.mu.Lock()
	defer b.mu.Unlock()
	up := 0.0
	if b.there {
		up = 1
	}
	ch <- prometheus.MustNewConstMetric(bridgeUp, prometheus.GaugeValue, up)
	for _, s := range b.told.List {
		if s.Name == event.Metric {
			continue
		}
		var names, values []string
		for n, v := range s.Labels {
			names, values = append(names, n), append(values, v)
		}
		kind := prometheus.CounterValue
		if s.Gauge {
			kind = prometheus.GaugeValue
		}
		if m, err := prometheus.NewConstMetric(prometheus.NewDesc(s.Name, s.Help, names, nil), kind, s.Value, values...); err == nil {
			ch <- m
		}
	}
}

// after does one thing before each call of another.
func after[T any](first func(), then func() (T, error)) func() (T, error) {
	return func() (T, error) {
		first()
		return then()
	}
}
