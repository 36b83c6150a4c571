package bridge

import (
	"fmt"
	"testing"
	"time"

	"parley/bridge/api"
)

// brought has a member's client get a source in a transport of its own, and returns the way to it.
func (w *world) brought(member string, n int, source string, rate int64) *narrow {
	id := fmt.Sprintf("%s.%d", member, n)
	w.join(id, func(e *api.Endpoint) {
		e.Member = member
		e.Receive.Single, e.Receive.Chosen, e.Receive.Names = true, true, []string{source}
		e.Receive.AudioSSRC, e.Receive.VideoSSRC, e.Receive.RepairSSRC = 11, 12, 13
	})
	return w.narrow(id, rate)
}

// A client that is brought three streams over three transports has one way: together they fill it and do not overfill it, and the
// screen gets more of it than the cameras.
func TestOneWayOfSeveralTransports(t *testing.T) {
	w := newWorld(t)
	var cameras []camera3
	var ways []*narrow
	for n, id := range []string{"x", "y", "z"} {
		ssrc := uint32(2000 + 100*n)
		s := videoSource(id+"-v0", ssrc, 3)
		if id == "z" {
			s.VideoType = api.Desktop
		}
		w.join(id, nil, s)
		cameras = append(cameras, w.camera3(id, ssrc))
	}
	for n, id := range []string{"x", "y", "z"} {
		ways = append(ways, w.brought("b", n+1, id+"-v0", 0))
	}
	var free time.Time
	for _, step := range []struct{ rate, least, screen int }{ // kbit/s; what of it is used at least, and what the screen gets of that
		{10_000, 4500, 1500}, {1500, 1000, 600}, {800, 500, 250}, {3000, 2000, 1200}, {10_000, 4500, 1500},
	} {
		for _, n := range ways {
			n.rate, n.shared = int64(step.rate)*1000, &free
		}
		w.live(15*time.Second, ways, cameras...)
		for _, n := range ways {
			n.waited, n.lost, n.bytes = nil, 0, 0
		}
		w.live(10*time.Second, ways, cameras...)
		var waited []time.Duration
		var got []int
		sum, lost := 0, 0
		for _, n := range ways {
			waited = append(waited, n.waited...)
			got = append(got, n.bytes*8/10/1000)
			sum, lost = sum+n.bytes*8/10/1000, lost+n.lost
		}
		wait := quantile(waited, .95)
		t.Logf("of %d kbit/s: %v, queue p95 %v, %d lost", step.rate, got, wait.Round(time.Millisecond), lost)
		if sum < step.least || got[2] < step.screen || wait > 150*time.Millisecond || lost > 0 || got[0] == 0 || got[1] == 0 || sum < 4500 && (got[2] < got[0]*3/2 || got[2] < got[1]*3/2) {
			t.Errorf("of %d kbit/s: %v, the screen last; queue p95 %v, %d lost", step.rate, got, wait, lost)
		}
	}
}

// What is given out is what there is, by weight; what one does not need is the others'.
func TestDivision(t *testing.T) {
	for name, c := range map[string]struct {
		rates, needs, weights, want []int64
	}{
		"enough":            {[]int64{1000, 1000}, []int64{500, 1500}, []int64{1, 1}, nil},
		"one alone":         {[]int64{100}, []int64{500}, []int64{1}, nil},
		"by weight":         {[]int64{1032, 32}, []int64{5000, 5000}, []int64{4, 1}, []int64{832, 232}},
		"little is needed":  {[]int64{600, 600}, []int64{100, 5000}, []int64{4, 1}, []int64{100, 1100}},
		"nothing is needed": {[]int64{600, 600}, []int64{0, 5000}, []int64{4, 1}, []int64{32, 1168}},
		"there is nothing":  {[]int64{10, 10, 10}, []int64{500, 500, 500}, []int64{1, 2, 4}, []int64{32, 32, 32}},
	} {
		var list []portion
		for i := range c.rates {
			list = append(list, portion{rate: c.rates[i] * 1000, needs: c.needs[i] * 1000, weight: c.weights[i], of: &Endpoint{ID: fmt.Sprint(i)}})
		}
		short := divide(list)
		if short != (c.want != nil) {
			t.Errorf("%s: short is %t", name, short)
		}
		for _, p := range list {
			if i := int(p.of.ID[0] - '0'); short && p.grant != c.want[i]*1000 {
				t.Errorf("%s: %d gets %d kbit/s, not %d", name, i, p.grant/1000, c.want[i])
			}
		}
	}
}
