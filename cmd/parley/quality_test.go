package main

import (
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"parley/bridge/api"
)

func TestTroublesAreThoseOfThePresent(t *testing.T) {
	tr := newTroubles(slog.New(slog.DiscardHandler))
	say := func(endpoint, part string) {
		tr.take(api.Event{Quality: &api.Quality{Conference: "r@muc.x", Endpoint: endpoint, Part: part}})
	}
	expect := func(want ...string) {
		t.Helper()
		var got []string
		for _, q := range tr.list() {
			got = append(got, q.Endpoint+" "+q.Part)
		}
		if len(got) != len(want) {
			t.Fatalf("%v, want %v", got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%v, want %v", got, want)
			}
		}
	}
	say("b", api.Uplink)
	say("a", api.Downlink)
	say("a", api.Downlink)
	expect("a downlink", "b uplink")
	say("a", api.Uplink)
	say("c", "")
	tr.take(api.Event{Stress: &api.Stress{}})
	expect("a uplink", "b uplink")
	say("b", "")
	expect("a uplink")
	if n := testutil.ToFloat64(tr.counts.WithLabelValues(api.Uplink)); n != 2 {
		t.Errorf("%v troubles of uplinks", n)
	}
	tr.take(api.Event{Hello: &api.Hello{}})
	expect()
}
