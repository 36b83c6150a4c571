package congestion

import (
	"math"
	"testing"
	"time"
)

func TestHistoryGrowsUntilFeedbackCanBeMatched(t *testing.T) {
	var h history
	for i := range 3000 { // 1,500 a second, feedback two seconds late
		h.add(Packet{Number: uint16(60_000 + i), At: time.Duration(i) * second / 1500, Size: 100})
	}
	for i := range 3000 {
		p := h.find(h.number(uint16(60_000 + i)))
		if p == nil || p.at != time.Duration(i)*second/1500 || p.total != uint32(100*(i+1)) {
			t.Fatalf("packet %d is %+v", i, p)
		}
	}
	if len(h.packets) != 4096 {
		t.Errorf("%d kept", len(h.packets))
	}
	for i := range 100_000 { // never more than the most
		h.add(Packet{Number: uint16(60_000 + 3000 + i), At: 2 * second, Size: 100})
	}
	if len(h.packets) != mostKept {
		t.Errorf("%d kept", len(h.packets))
	}
}

func TestHistoryOfFewPacketsStaysSmall(t *testing.T) {
	var h history
	for i := range 10_000 {
		h.add(Packet{Number: uint16(i), At: time.Duration(i) * 20 * ms, Size: 100})
	}
	if len(h.packets) != leastKept {
		t.Errorf("%d kept", len(h.packets))
	}
}

func TestHistoryDoesNotFindWhatWasNotSent(t *testing.T) {
	var h history
	if h.find(0) != nil {
		t.Error("found in an empty history")
	}
	h.add(Packet{Number: 100, At: ms, Size: 10})
	h.add(Packet{Number: 105, At: 2 * ms, Size: 10})
	for _, n := range []int64{0, 99, 101, 104, 106, 100 - leastKept, 1 << 40} {
		if p := h.find(n); p != nil {
			t.Errorf("found %d: %+v", n, p)
		}
	}
	if h.add(Packet{Number: 105, At: 3 * ms, Size: 10}) || h.add(Packet{Number: 90, At: 3 * ms, Size: 10}) {
		t.Error("took a number twice, or one that goes back")
	}
	h.add(Packet{Number: 105 + 20_000, At: 4 * ms, Size: 10})
	if h.find(105) != nil || h.find(20_105) == nil {
		t.Error("a leap in the numbers keeps what was before")
	}
}

func TestGroups(t *testing.T) {
	type packet struct{ sent, arrived time.Duration }
	for _, c := range []struct {
		name    string
		packets []packet
		between []time.Duration
		came    []time.Duration
	}{
		{"packets within 5 ms are one", []packet{{0, 10}, {2, 12}, {4, 14}, {10, 20}, {20, 31}, {30, 40}}, []time.Duration{6, 10}, []time.Duration{6, 11}},
		{"what waited behind a pause is one", []packet{{0, 10}, {10, 20}, {20, 200}, {30, 201}, {40, 202}, {50, 210}, {60, 220}}, []time.Duration{10, 30, 10}, []time.Duration{10, 182, 8}},
		{"what was sent before is no group", []packet{{0, 10}, {10, 20}, {5, 21}, {20, 30}, {30, 40}}, []time.Duration{10, 10}, []time.Duration{10, 10}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var g groups
			var between, came []time.Duration
			for _, p := range c.packets {
				if b, a, ok := g.add(p.sent*ms, p.arrived*ms); ok {
					between, came = append(between, b/ms), append(came, a/ms)
				}
			}
			if len(between) != len(c.between) {
				t.Fatalf("between %v came %v", between, came)
			}
			for i := range between {
				if between[i] != c.between[i] || came[i] != c.came[i] {
					t.Errorf("between %v came %v, want %v %v", between, came, c.between, c.came)
				}
			}
		})
	}
}

func TestGroupsBeginAnewWithAnotherClock(t *testing.T) {
	var g groups
	g.add(0, 0)
	g.add(10*ms, 10*ms)
	g.add(20*ms, 10*second)
	if b, a, ok := g.add(30*ms, 10*second+10*ms); ok {
		t.Errorf("%v %v", b, a)
	}
}

func TestTrend(t *testing.T) {
	run := func(tr *trend, n int, growth time.Duration) (u usage) {
		for range n {
			u = tr.add(10*ms, 10*ms+growth)
		}
		return u
	}
	var tr trend
	if u := run(&tr, 100, 0); u != normal {
		t.Errorf("even: %v", u)
	}
	if u := run(&tr, 40, ms); u != overuse {
		t.Errorf("a tenth more is sent than carried: %v", u)
	}
	if u := run(&tr, 40, -ms); u != underuse {
		t.Errorf("the queue empties: %v", u)
	}
	if u := run(&tr, 100, 0); u != normal {
		t.Errorf("even again: %v", u)
	}
	// A threshold that others have raised stays up while they are there.
	held := tr
	tr.threshold, held.threshold, held.contested = 60, 60, true
	run(&tr, 50, 0)
	run(&held, 50, 0)
	if tr.threshold > 10 || held.threshold < 3*tr.threshold {
		t.Errorf("thresholds %v and %v", tr.threshold, held.threshold)
	}
}

func TestThroughput(t *testing.T) {
	var th throughput
	if _, ok := th.rate(); ok {
		t.Error("a rate of nothing")
	}
	for i := range 2000 {
		th.add(time.Duration(i)*ms, 125) // 1 Mbit/s
		if r, ok := th.rate(); i > 300 && (!ok || math.Abs(r-1e6) > 1e4) {
			t.Fatalf("at %d ms: %v %v", i, r, ok)
		}
	}
	for i := range 250 { // soon the new rate alone
		th.add(2*second+time.Duration(i)*4*ms, 125)
	}
	if r, ok := th.rate(); !ok || math.Abs(r-250e3) > 1e4 {
		t.Errorf("after a change: %v", r)
	}
	th.fill(3200*ms, 5000) // 40 kbit in the 200 ms since
	th.add(3200*ms, 125)
	if r, _ := th.rate(); math.Abs(r-200e3) > 60e3 {
		t.Errorf("with what is assumed: %v", r)
	}
	th.add(time.Hour, 100)
	if _, ok := th.rate(); ok {
		t.Error("a rate after a leap")
	}
}

func TestCapacityIsWhatArrivesUnderOveruse(t *testing.T) {
	c := control{rate: 1e6}
	c.update(normal, 1e6, 100*ms, second, true)
	c.update(normal, 1e6, 100*ms, 2*second, true)
	if math.Abs(c.rate-1.08e6) > 1e3 {
		t.Errorf("grew to %v in a second, want 8 %%", c.rate)
	}
	c.update(overuse, 1e6, 100*ms, 2100*ms, true)
	if c.rate != 0.92e6 || c.capacity.rate != 1e6 {
		t.Errorf("cut to %v, capacity %v", c.rate, c.capacity.rate)
	}
	c.update(overuse, 0.9e6, 100*ms, 2150*ms, true)
	if c.rate != 0.92e6 {
		t.Errorf("cut again before a round trip: %v", c.rate)
	}
	c.update(overuse, 0.4e6, 100*ms, 2160*ms, true)
	if math.Abs(c.rate-0.34e6) > 1 {
		t.Errorf("not cut though less than half arrives: %v", c.rate)
	}
	c = control{rate: 0.85e6, capacity: capacity{rate: 1e6, variance: varianceLeast}}
	c.update(normal, 0.85e6, 100*ms, 3*second, true)
	c.update(normal, 0.85e6, 100*ms, 4*second, true)
	if grown := c.rate - 0.85e6; grown < 30e3 || grown > 50e3 {
		t.Errorf("near the capacity grew by %v in a second", grown)
	}
	c.update(normal, 1.2e6, 100*ms, 5*second, true)
	if c.capacity.rate != 0 {
		t.Error("keeps a capacity that was surpassed")
	}
	before := c.rate
	c.update(normal, 1.2e6, 100*ms, 6*second, false)
	if c.rate != before {
		t.Error("grew though not all was used")
	}
}

// What a path carried when it was full is remembered for some seconds, whatever looks like a full path meanwhile.
func TestFullPathIsRemembered(t *testing.T) {
	c := control{rate: 3e5}
	c.update(overuse, 3e5, 100*ms, second, true)
	c.update(overuse, 2.5e5, 100*ms, 5*second, true)
	for at, want := range map[time.Duration]float64{5 * second: 3e5, 10 * second: 3e5, 12 * second: 0} {
		if got := c.full.value(at); got != want {
			t.Errorf("after %v: %v, want %v", at, got, want)
		}
	}
	c.update(overuse, 2.6e5, 100*ms, 12*second, true)
	c.update(overuse, 2.7e5, 100*ms, 13*second, true)
	if got := c.full.value(14 * second); got != 2.7e5 {
		t.Errorf("what was carried since: %v", got)
	}
}

// observations feeds the loss model with the rates and the parts lost of quarters of a second, 100 packets each.
// What was sent before an experiment says nothing about it.
// What came of a cluster tells of it where feedback about the rest was lost. Where too little did, it is sent again at once, but
// not for ever.
// A cluster that comes at one moment proves its rate and not more.
func TestLeastForgetsSlowly(t *testing.T) {
	var l least
	l.add(10*ms, 0, leastFor)
	for at := second; at < 14*second; at += second {
		l.add(50*ms, at, leastFor)
	}
	if l.value() != 10*ms {
		t.Errorf("%v", l.value())
	}
	for at := 14 * second; at < 50*second; at += second {
		l.add(50*ms, at, leastFor)
	}
	if l.value() != 50*ms {
		t.Errorf("%v", l.value())
	}
}

// Losses that may be those of a full path do not lower the rate, but end its rise.
// A probe of a path that was full of late is believed half, until the next says the same.
