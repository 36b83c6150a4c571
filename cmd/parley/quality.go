package main

import (
	"cmp"
	"log/slog"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"parley/bridge/api"
)

// troubles knows whose media suffer at present, and where on their way, as the bridge says. It is safe for concurrent use.
type troubles struct {
	log    *slog.Logger
	counts *prometheus.CounterVec

	mu      sync.Mutex // guards present
	present map[member]api.Quality
}

type member struct{ conference, endpoint string }

func newTroubles(log *slog.Logger) *troubles {
	return &troubles{log: log, present: make(map[member]api.Quality), counts: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "parley_bridge_troubles_total", Help: "How often media of a member began to suffer, by the part of the way that is to blame.",
	}, []string{"part"})}
}

// take takes what a bridge says. A bridge that has just been reached says all of it again.
func (t *troubles) take(e api.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.Hello != nil {
		clear(t.present)
	}
	q := e.Quality
	if q == nil {
		return
	}
	of := member{q.Conference, q.Endpoint}
	before := t.present[of].Part
	if q.Part == before {
		return
	}
	if q.Part == "" {
		delete(t.present, of)
		t.log.Debug("media do not suffer any more", "room", q.Conference, "endpoint", q.Endpoint)
		return
	}
	t.present[of] = *q
	t.counts.WithLabelValues(q.Part).Inc()
	t.log.Info("media suffer", "room", q.Conference, "endpoint", q.Endpoint, "part", q.Part, "loss", q.Loss, "delay_ms", q.Delay, "bitrate", q.Rate, "relayed", q.Relayed)
}

// list is what suffers at present, by room and member.
func (t *troubles) list() []api.Quality {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]api.Quality, 0, len(t.present))
	for _, q := range t.present {
		list = append(list, q)
	}
	slices.SortFunc(list, func(a, b api.Quality) int {
		return cmp.Or(cmp.Compare(a.Conference, b.Conference), cmp.Compare(a.Endpoint, b.Endpoint))
	})
	return list
}
