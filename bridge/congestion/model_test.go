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
	if c.rate != 0.85e6 || c.capacity.rate != 1e6 {
		t.Errorf("cut to %v, capacity %v", c.rate, c.capacity.rate)
	}
	c.update(overuse, 0.9e6, 100*ms, 2150*ms, true)
	if c.rate != 0.85e6 {
		t.Errorf("cut again before a round trip: %v", c.rate)
	}
	c.update(overuse, 0.4e6, 100*ms, 2160*ms, true)
	if c.rate != 0.34e6 {
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
	c.contested = true
	c.update(overuse, before, 100*ms, 7*second, true)
	if c.rate != gentle*before {
		t.Errorf("against others cut from %v to %v", before, c.rate)
	}
}

// observations feeds the loss model with the rates and the parts lost of quarters of a second, 100 packets each.
func observations(l *losses, at *time.Duration, of ...[2]float64) (v verdict) {
	for _, o := range of {
		*at += windowSpan
		v = l.observe(observation{at: *at, lost: 100 * o[1], total: 100, rate: o[0]}, o[0])
	}
	return v
}

func TestLossThatFollowsTheRateBoundsIt(t *testing.T) {
	var l losses
	at := second
	for range 3 { // a path that carries 1 Mbit/s
		observations(&l, &at, [2]float64{0.9e6, 0}, [2]float64{1e6, 0}, [2]float64{1.05e6, 0.05}, [2]float64{1.1e6, 0.09})
	}
	if l.bound < 0.9e6 || l.bound > 1.05e6 || l.inherent > 0.01 {
		t.Errorf("bound %v, inherent %v", l.bound, l.inherent)
	}
	for range 60 {
		observations(&l, &at, [2]float64{0.9e6, 0})
	}
	if l.room() < 1e9 {
		t.Errorf("bound by %v, in doubt at %v though nothing is lost", l.bound, l.doubt)
	}
}

func TestLossAtAnyRateDoesNotBoundIt(t *testing.T) {
	for _, part := range []float64{0.01, 0.02, 0.05, 0.10, 0.20, 0.40} {
		var l losses
		l.inherent = part
		at := second
		for range 10 {
			observations(&l, &at, [2]float64{0.8e6, part}, [2]float64{1e6, part}, [2]float64{1.2e6, part})
			if l.room() < 1e9 {
				t.Fatalf("%v lost: bound %v, doubt %v", part, l.bound, l.doubt)
			}
		}
		if math.Abs(l.inherent-part) > 0.005 {
			t.Errorf("%v lost: inherent %v", part, l.inherent)
		}
	}
}

func TestSuddenLossIsTried(t *testing.T) {
	for _, c := range []struct {
		name  string
		after float64 // part lost at the lower rate
		want  verdict
	}{{"it was the rate", 0, lower}, {"it was not", 0.3, restore}} {
		t.Run(c.name, func(t *testing.T) {
			var l losses
			at := second
			observations(&l, &at, [2]float64{1e6, 0}, [2]float64{1e6, 0}, [2]float64{1e6, 0}, [2]float64{1e6, 0})
			if v := observations(&l, &at, [2]float64{1e6, 0.3}); v != lower || l.bound < 0.5e6 || l.bound > 0.7e6 {
				t.Fatalf("verdict %v, bound %v", v, l.bound)
			}
			low := [2]float64{l.bound, c.after}
			if v := observations(&l, &at, low, low); v != c.want {
				t.Errorf("verdict %v, bound %v", v, l.bound)
			}
			if (l.bound > 0) != (c.want == lower) || c.want == lower && (l.bound < 0.55e6 || l.bound > 0.85e6) || l.before != 1e6 {
				t.Errorf("bound %v, before %v", l.bound, l.before)
			}
		})
	}
}

func TestWhatComesLateIsTakenBackFromTheLosses(t *testing.T) {
	var l losses
	total := uint32(0)
	for i := range 200 {
		total += 625
		late := i%3 == 1
		l.add(&sent{at: time.Duration(i) * 5 * ms, total: total, size: 625}, late, 1e6, second)
		if late {
			l.found()
		}
	}
	for i := range l.kept() {
		if o := l.back(i); o.lost > 1 { // the one that closes an observation is late for it
			t.Errorf("%+v", o)
		}
	}
	l.found() // one too many
	if l.lost < 0 || l.kept() < 3 {
		t.Errorf("lost %d of %d observations", l.lost, l.kept())
	}
}

// What was sent before an experiment says nothing about it.
func TestExperimentWaitsForItsPackets(t *testing.T) {
	var l losses
	total, number := uint32(0), 0
	feed := func(from, to time.Duration, part int, at time.Duration) (v verdict) {
		for s := from; s < to; s += 5 * ms {
			total += 625
			number++
			if w := l.add(&sent{at: s, total: total, size: 625}, part > 0 && number%part == 0, 1e6, at); w != nothing {
				v = w
			}
		}
		return v
	}
	feed(0, 2*second, 0, 2*second)
	if v := feed(2*second, 2300*ms, 2, 3*second); v != lower || l.trying != trial {
		t.Fatalf("verdict %v, trying %d", v, l.trying)
	}
	if feed(2300*ms, 3*second, 2, 4*second); l.trying != trial {
		t.Error("packets sent before the rate was lowered count")
	}
	if feed(3*second, 3800*ms, 0, 5*second); l.trying != 0 {
		t.Error("packets sent afterwards do not")
	}
}

func TestProbeMeasures(t *testing.T) {
	for _, c := range []struct {
		name    string
		carried float64 // bit/s of the path
		jitter  time.Duration
		lost    int
		want    float64 // 0: not known
		full    bool
	}{
		{"a path that carries it", 50e6, 0, 0, 2e6, false},
		{"a path that is full", 1e6, 0, 0, 1e6, true},
		{"a path that carries it, jitter", 50e6, 2 * ms, 0, 2e6, false},
		{"a loss", 1e6, 0, 1, 1e6, true},
		{"many losses", 50e6, 0, 5, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p prober
			p.ask(2e6, 5*ms, second)
			if p.asked.For != 60*ms {
				t.Errorf("lasts %v", p.asked.For)
			}
			total, at, out := uint32(0), second, second
			lost := c.lost
			for i := 0; !p.sent; i++ {
				if !p.leave(Packet{At: at, Size: 1250, Probe: p.asked.ID}) {
					t.Fatal("does not count")
				}
				total += 1250
				out = max(out, at) + time.Duration(1250*8/c.carried*1e9)
				gone := lost > 0 && i%2 == 1
				if gone {
					lost--
				}
				p.learn(&sent{at: at, total: total, size: 1250, probe: p.asked.ID}, !gone, out+time.Duration(i%2)*c.jitter)
				at += 5 * ms
			}
			if p.leave(Packet{At: at, Size: 1250, Probe: p.asked.ID}) {
				t.Error("one more counts")
			}
			carried, full, ended := p.result(100*ms, at)
			if !ended || full != c.full || math.Abs(carried-c.want) > 0.1*c.want+1 {
				t.Errorf("%v, full %v, ended %v", carried, full, ended)
			}
			if !p.idle() {
				t.Error("goes on")
			}
		})
	}
}

// A cluster that comes at one moment proves its rate and not more.
func TestProbeProvesNoMoreThanItsRate(t *testing.T) {
	var p prober
	p.ask(1e6, 0, second)
	p.leave(Packet{At: second, Size: 1000, Probe: p.asked.ID})
	for i := range uint32(8) {
		p.leave(Packet{At: second + 30*ms, Size: 1000, Probe: p.asked.ID})
		p.learn(&sent{at: second, total: 1000 * i, size: 1000, probe: p.asked.ID}, true, 2*second)
	}
	p.learn(&sent{at: second, total: 9000, size: 1000, probe: p.asked.ID}, true, 2*second)
	if carried, _, ended := p.result(0, 3*second); !ended || carried > 1e6 {
		t.Errorf("%v %v", carried, ended)
	}
}

func TestLeastForgetsSlowly(t *testing.T) {
	var l least
	l.add(10*ms, 0)
	for at := second; at < 14*second; at += second {
		l.add(50*ms, at)
	}
	if l.value() != 10*ms {
		t.Errorf("%v", l.value())
	}
	for at := 14 * second; at < 50*second; at += second {
		l.add(50*ms, at)
	}
	if l.value() != 50*ms {
		t.Errorf("%v", l.value())
	}
}

func TestPlainFollowsLossAndREMB(t *testing.T) {
	p := NewPlain(Config{Start: 500_000, Maximum: 2_000_000})
	at := second
	report := func(loss float64, bytes int) State {
		at += second
		p.Sent(Packet{Size: bytes})
		return p.Reception(loss, 80*ms, at)
	}
	if s := p.State(); s.Rate != 500_000 || s.Limit != LimitStart {
		t.Errorf("%+v", s)
	}
	report(0, 62_500)
	if s := report(0.01, 62_500); s.Rate != 540_000 || s.Limit != LimitNone || s.RTT != 80*ms {
		t.Errorf("little loss: %+v", s)
	}
	if s := report(0, 10_000); s.Rate != 540_000 || s.Limit != LimitApplication {
		t.Errorf("little sent: %+v", s)
	}
	if s := report(0.05, 67_500); s.Rate != 540_000 || s.Limit != LimitLoss || s.Loss != 0.05 {
		t.Errorf("some loss: %+v", s)
	}
	if s := report(0.2, 67_500); s.Rate != 486_000 {
		t.Errorf("much loss: %+v", s)
	}
	if s := p.Reception(0.2, 0, at+100*ms); s.Rate != 486_000 {
		t.Errorf("cut again before its effect: %+v", s)
	}
	at += second
	if s := p.Reception(0, 250*ms, at); s.Rate != 486_000 || s.Limit != LimitDelay || s.Delay != 170*ms {
		t.Errorf("a queue: %+v", s)
	}
	at += second
	if s := p.Reception(0, 500*ms, at); s.Rate != 413_100 || s.Limit != LimitDelay {
		t.Errorf("a long queue: %+v", s)
	}
	if s := p.REMB(1_500_000); s.Rate != 1_500_000 || s.Limit != LimitREMB {
		t.Errorf("first REMB: %+v", s)
	}
	if s := p.REMB(400_000); s.Rate != 400_000 || s.Limit != LimitREMB {
		t.Errorf("REMB: %+v", s)
	}
	for _, loss := range []float64{math.NaN(), math.Inf(1), -1, 2} {
		if s := report(loss, 0); s.Rate < 30_000 || s.Rate > 2_000_000 || !(s.Loss >= 0 && s.Loss <= 1) {
			t.Errorf("loss %v: %+v", loss, s)
		}
	}
	if s := NewPlain(Config{}).REMB(1 << 50); s.Rate != 1_500_000 {
		t.Errorf("a first REMB without reason: %+v", s)
	}
	p.REMB(1 << 50)
	for range 100 {
		report(0, 1<<20)
	}
	if s := p.State(); s.Rate != 2_000_000 || s.Limit != LimitMaximum {
		t.Errorf("maximum: %+v", s)
	}
}

// Losses that may be those of a full path do not lower the rate, but end its rise.
func TestLossInDoubtEndsTheRise(t *testing.T) {
	for _, c := range []struct {
		lost  float64 // at the highest rate
		doubt bool
	}{{0.02, false}, {0.06, true}} {
		var l losses
		at := second
		for range 5 {
			observations(&l, &at, [2]float64{0.8e6, 0}, [2]float64{1e6, 0.01}, [2]float64{1.2e6, c.lost})
		}
		if l.bound != 0 || (l.doubt > 0) != c.doubt || c.doubt && (l.room() < 0.9e6 || l.room() > 1.1e6) {
			t.Errorf("%v lost: bound %v, room %v", c.lost, l.bound, l.room())
		}
	}
}

func TestLongQueueIsEmptiedOrFoundToBeOfOthers(t *testing.T) {
	cut := func(g *GCC, at time.Duration) {
		g.control.decreased = at
		g.empty(overuse, at)
	}
	begin := func(queue time.Duration) *GCC {
		g := NewGCC(Config{Start: 1_000_000})
		g.leastRTT.add(100*ms, 0)
		g.delay = queue
		cut(g, 100*second)
		return g
	}
	if g := begin(90 * ms); g.drain.on {
		t.Error("a short queue is emptied")
	}
	g := begin(200 * ms)
	if !g.drain.on || g.target() != 500_000 {
		t.Fatalf("not emptied, %v is sent", g.target())
	}
	g.delay = 300 * ms // the cut takes a while to be felt
	g.empty(overuse, 100*second+800*ms)
	if !g.drain.on || g.control.contested {
		t.Error("given up before it could be felt")
	}
	g.delay = 100 * ms
	g.empty(underuse, 101*second)
	if !g.drain.on {
		t.Error("given up though the queue becomes shorter")
	}
	g.delay = 15 * ms
	g.empty(normal, 102*second)
	if g.drain.on || g.target() != 1_000_000 || g.control.contested {
		t.Error("not ended though the queue is empty")
	}

	g = begin(200 * ms)
	g.empty(normal, 101*second) // it stays
	g.empty(normal, 101*second+ms)
	if g.drain.on || !g.control.contested || !g.trend.contested {
		t.Error("a queue that stays is not taken for that of others")
	}
	if cut(g, 105*second); g.drain.on {
		t.Error("emptied again soon")
	}
	// Then for as long as any other, or estimators that share a path would each take the queue for that of the others.
	if g.empty(normal, 112*second); g.control.contested || g.trend.contested {
		t.Error("taken for that of others for ever")
	}
	if cut(g, 122*second); !g.drain.on {
		t.Error("not tried again")
	}
	g.empty(normal, 122*second+drainMost+100*second)
	if g.drain.on {
		t.Error("goes on for ever")
	}
}

func TestProbesAreFewWhereTheyDoHarm(t *testing.T) {
	for _, c := range []struct {
		name        string
		change      func(g *GCC)
		least, most int // in two minutes
	}{
		{"nothing is against it", func(g *GCC) {}, 30, 40},
		{"the queue is long", func(g *GCC) { g.delay = 200 * ms }, 0, 0},
		{"the queue is long, of others", func(g *GCC) { g.delay, g.control.contested = 200*ms, true }, 30, 40},
		{"loss is against it", func(g *GCC) { g.losses.doubt = 1e5 }, 5, 9},
		{"there is more loss right now", func(g *GCC) { g.losses.doubt = 1e5; g.losses.back(0).lost = 50 }, 0, 0},
		{"no more is wanted", func(g *GCC) { g.demand = 9.9e5 }, 0, 0},
		{"overuse a moment ago", func(g *GCC) { g.control.decreased = 1000 * second }, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := NewGCC(Config{Start: 1_000_000})
			at := second
			observations(&g.losses, &at, [2]float64{1e6, 0}, [2]float64{1e6, 0})
			c.change(g)
			asked := 0
			for at = 0; at < 120*second; at += 50 * ms {
				busy := !g.prober.idle()
				if g.probe(normal, at); !busy && !g.prober.idle() {
					asked++
				}
			}
			if asked < c.least || asked > c.most {
				t.Errorf("%d probes", asked)
			}
		})
	}
}

func TestProbeThatIsCarriedEndsDoubt(t *testing.T) {
	for _, c := range []struct {
		carried float64
		ends    bool
	}{{1.2e6, false}, {1.8e6, true}} {
		g := NewGCC(Config{Start: 1_000_000})
		at := second
		observations(&g.losses, &at, [2]float64{1e6, 0}, [2]float64{1e6, 0})
		g.losses.doubt, g.losses.bound = 1.5e6, 1.6e6
		g.prober.ask(c.carried, 0, at)
		for i := range uint32(8) {
			when := at + time.Duration(i)*time.Duration(1250*8/c.carried*1e9)
			g.prober.leave(Packet{At: when, Size: 1250, Probe: g.prober.asked.ID})
			g.prober.learn(&sent{at: when, total: 1250 * i, size: 1250, probe: g.prober.asked.ID}, true, when+50*ms)
		}
		g.probe(normal, at+200*ms)
		if math.IsInf(g.losses.room(), 1) != c.ends || g.control.rate < 0.9*c.carried {
			t.Errorf("%v carried: room %v, rate %v", c.carried, g.losses.room(), g.control.rate)
		}
	}
}

func TestOldLossesSayNothing(t *testing.T) {
	var l losses
	at := second
	for range 3 {
		observations(&l, &at, [2]float64{0.9e6, 0}, [2]float64{1e6, 0}, [2]float64{1.05e6, 0.05}, [2]float64{1.1e6, 0.09})
	}
	if l.kept() < 5 || l.room() > 1e9 {
		t.Fatalf("%d kept, room %v", l.kept(), l.room())
	}
	at += windowsKept + second
	observations(&l, &at, [2]float64{0.9e6, 0})
	if l.kept() != 1 || l.doubt != 0 {
		t.Errorf("%d kept, doubt %v", l.kept(), l.doubt)
	}
}
