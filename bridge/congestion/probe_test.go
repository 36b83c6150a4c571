package congestion

import (
	"math"
	"testing"
	"time"
)

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
			carried, full, _, ended := p.result(100*ms, 0, at)
			if !ended || full != c.full || math.Abs(carried-c.want) > 0.1*c.want+1 {
				t.Errorf("%v, full %v, ended %v", carried, full, ended)
			}
			if !p.idle() {
				t.Error("goes on")
			}
		})
	}
}

func TestProbeOutlivesLostFeedback(t *testing.T) {
	const packets = 8
	send := func(g *GCC, at time.Duration, known int) {
		for i := range uint16(packets) {
			when := at + time.Duration(i)*5*ms
			g.Sent(Packet{Number: i, At: when, Size: 1250, Probe: g.prober.asked.ID})
			if int(i) < known {
				g.prober.learn(&sent{at: when, total: 1250 * uint32(i+1), size: 1250, probe: g.prober.asked.ID}, true, when+50*ms)
			}
		}
	}
	for _, c := range []struct {
		name  string
		known int
		again bool
	}{{"all is known", packets, false}, {"enough is known", 5, false}, {"too little is known", 4, true}, {"nothing is known", 0, true}} {
		t.Run(c.name, func(t *testing.T) {
			g := NewGCC(Config{Start: 1_000_000})
			g.started = true
			g.prober.ask(2e6, 0, second)
			send(g, second, c.known)
			if _, _, _, ended := g.prober.result(100*ms, second, second+200*ms); ended != (c.known == packets) {
				t.Fatalf("ended %v before feedback about later packets", ended)
			}
			g.prober.ask(2e6, 0, second)
			send(g, second, c.known)
			carried, _, again, ended := g.prober.result(100*ms, second+100*ms, second+200*ms)
			if !ended || again != c.again || (carried > 1.9e6) == c.again {
				t.Errorf("ended %v, to be sent again %v, carried %v", ended, again, carried)
			}
		})
	}
	g := NewGCC(Config{Start: 1_000_000})
	at := 10 * second
	observations(&g.losses, &at, [2]float64{1e6, 0}, [2]float64{1e6, 0})
	for end := at + 2*second; at < end; at += 20 * ms {
		before := g.prober.issued
		if g.probe(normal, at); g.prober.issued != before {
			g.prober.sent, g.prober.sending.packets, g.prober.sending.last = true, packets, at
		}
	}
	if n := g.prober.issued; n != 1+probeTries { // each takes 400 ms
		t.Errorf("asked for %d times in two seconds", n)
	}
}

func TestProbeProvesNoMoreThanItsRate(t *testing.T) {
	var p prober
	p.ask(1e6, 0, second)
	p.leave(Packet{At: second, Size: 1000, Probe: p.asked.ID})
	for i := range uint32(8) {
		p.leave(Packet{At: second + 30*ms, Size: 1000, Probe: p.asked.ID})
		p.learn(&sent{at: second, total: 1000 * i, size: 1000, probe: p.asked.ID}, true, 2*second)
	}
	p.learn(&sent{at: second, total: 9000, size: 1000, probe: p.asked.ID}, true, 2*second)
	if carried, _, _, ended := p.result(0, 0, 3*second); !ended || carried > 1e6 {
		t.Errorf("%v %v", carried, ended)
	}
}

func TestProbeOfAFullPathIsBelievedHalf(t *testing.T) {
	g := NewGCC(Config{Start: 1_000_000})
	if to := g.believed(2e6); to != 2e6 {
		t.Errorf("of a path that was never full: %v", to)
	}
	g.control.capacity.congested(1e6)
	if to := g.believed(2e6); to != 1.5e6 {
		t.Errorf("of a full path: %v", to)
	}
	if to := g.believed(0.5e6); to != 0.5e6 {
		t.Errorf("less than the rate: %v", to)
	}
	carried := func(rate float64) {
		p := &g.prober
		p.ask(rate, 0, second)
		p.sent, p.sending.packets, p.known = true, 10, 10
		for i := range 10 {
			at := time.Duration(float64(i) * 1200 * 8 / rate * 1e9)
			p.left.add(uint32(i*1200), at)
			p.came.add(uint32(i*1200), at)
		}
		g.probe(normal, 2*second)
	}
	if carried(1.2e6); math.Abs(g.control.rate-(1e6+probeTrust*1.2e6)/2) > 1e3 {
		t.Errorf("%v after a cluster of 1.2 Mbit/s", g.control.rate)
	}
	if carried(1.6e6); math.Abs(g.control.rate-probeTrust*1.6e6) > 1e3 {
		t.Errorf("%v after a second one, of 1.6 Mbit/s", g.control.rate)
	}
}

func TestProbesAreFewWhereTheyDoHarm(t *testing.T) {
	for _, c := range []struct {
		name        string
		change      func(g *GCC)
		least, most int // in two minutes
	}{
		{"nothing is against it", func(g *GCC) {}, 45, 55},
		{"a short queue", func(g *GCC) { g.delay = 10 * ms }, 30, 40},
		{"the queue is long", func(g *GCC) { g.delay = 200 * ms }, 0, 0},
		{"the queue is long, of others", func(g *GCC) { g.delay, g.contest.on = 200*ms, true }, 0, 0},
		{"loss is against it", func(g *GCC) { g.losses.doubt = 1e5 }, 5, 9},
		{"there is more loss right now", func(g *GCC) { g.losses.doubt = 1e5; g.losses.back(0).lost = 50 }, 0, 0},
		{"half as much is wanted", func(g *GCC) { g.demand = 5.4e5 }, 0, 0},
		{"no more is wanted", func(g *GCC) { g.demand = 9.9e5 }, 30, 40},
		{"no more is wanted, nor carried", func(g *GCC) { g.demand, g.prober.vain = 9.9e5, 9 }, 3, 3},
		{"no more is wanted, of a way with a queue", func(g *GCC) { g.demand, g.delay = 9.9e5, 30*ms }, 0, 0},
		{"no more is wanted, and overuse lately", func(g *GCC) { g.demand, g.control.decreased = 9.9e5, 110*second }, 0, 0},
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
