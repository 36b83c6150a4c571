package congestion

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const second = time.Second

// seeds are the runs of each case. All are the same each time.
const seeds = 3

// traced is the run of each case that CONGESTION_TRACE=n prints second by second.
var traced = uint64(func() int { n, _ := strconv.Atoi(os.Getenv("CONGESTION_TRACE")); return n }())

// queueOf is the bytes that a queue holds which is emptied at a rate.
func queueOf(d time.Duration, rate float64) int { return int(d.Seconds() * rate / 8) }

// single runs one flow over a path of the given capacities.
func single(seed uint64, until time.Duration, rate []step, change func(*flow, *link)) (*flow, *link) {
	w := newWorld(seed)
	l := &link{w: w, rate: rate, bytes: queueOf(300*ms, rate[0].rate)}
	f := &flow{w: w, link: l, delay: 50 * ms, jitter: 15 * ms, most: 4e6, frames: true}
	if change != nil {
		change(f, l)
	}
	f.start(0)
	w.run(until)
	return f, l
}

// use is the part of what a flow could have got that it got.
func use(f *flow, l *link, from, to time.Duration) float64 {
	return mean(f.got, from, to) * (to - from).Seconds() / l.carried(from, to, f.most)
}

// trace prints the seconds of a run where that is asked for.
func trace(t *testing.T, until time.Duration, flows ...*flow) {
	t.Helper()
	if os.Getenv("CONGESTION_TRACE") == "" {
		return
	}
	for at := time.Duration(0); at < until; at += second {
		for i, f := range flows {
			n := int(at / (100 * ms))
			if n >= len(f.rates) {
				continue
			}
			t.Logf("%4.0f s flow %d: rate %5.0f sent %5.0f got %5.0f kbit/s, queue p95 %3d ms", at.Seconds(), i, f.rates[n]/1e3,
				mean(f.sent, at, at+second)/1e3, mean(f.got, at, at+second)/1e3, f.p95(at, at+second)/ms)
		}
	}
}

// atLeast and atMost assert figures of a run.
func atLeast(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(got >= want) {
		t.Errorf("%s is %.3f, want at least %.3f", what, got, want)
	}
}

func atMost(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(got <= want) {
		t.Errorf("%s is %.3f, want at most %.3f", what, got, want)
	}
}

// RFC 8867 §5.1: variable available capacity with a single flow.
func TestSingleFlowFollowsTheCapacity(t *testing.T) {
	t.Parallel()
	path := []step{{0, 1e6}, {40 * second, 2.5e6}, {60 * second, 0.6e6}, {80 * second, 1e6}}
	for _, c := range []struct {
		name   string
		use    float64 // at least
		change func(*flow, *link)
	}{
		{"media of 1.5 Mbit/s at most", 0.85, func(f *flow, l *link) { f.most = 1.5e6 }},
		{"media of 4 Mbit/s at most", 0.85, nil},
		{"jitter of 30 ms", 0.83, func(f *flow, l *link) { f.jitter = 30 * ms }},
		{"even media", 0.85, func(f *flow, l *link) { f.frames = false }},
		{"even media, jitter of 30 ms", 0.85, func(f *flow, l *link) { f.frames = false; f.jitter = 30 * ms }},
		{"no jitter", 0.85, func(f *flow, l *link) { f.jitter = 0 }},
		{"feedback every 50 ms", 0.85, func(f *flow, l *link) { f.every = 50 * ms }},
		{"a fifth of the feedback lost", 0.85, func(f *flow, l *link) { f.deaf = 0.2 }},
		{"5 % loss", 0.8, func(f *flow, l *link) { l.loss = 0.05 }},
		{"10 % loss", 0.75, func(f *flow, l *link) { l.loss = 0.10 }},
		{"5 % loss in bursts of three", 0.8, func(f *flow, l *link) { l.loss, l.burst = 0.05, 3 }},
		{"queue of 32 packets", 0.85, func(f *flow, l *link) { l.packets = 32 }},
		{"queue of 1 s", 0.85, func(f *flow, l *link) { l.bytes = queueOf(second, 1e6) }},
		{"round trip of 200 ms", 0.85, func(f *flow, l *link) { f.delay = 100 * ms }},
		{"round trip of 20 ms", 0.85, func(f *flow, l *link) { f.delay = 10 * ms }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var u, q, up, again, down series
			for seed := range uint64(seeds) {
				f, l := single(seed, 100*second, path, c.change)
				u.add(use(f, l, 2*second, 100*second))
				q.add(f.p95(0, 100*second).Seconds())
				up.add(settled(f.got, 40*second, func(r float64) bool { return r >= 0.8*min(2.5e6, f.most) }))
				down.add(settled(f.sent, 60*second, func(r float64) bool { return r <= 1.1*0.6e6 }))
				again.add(settled(f.got, 80*second, func(r float64) bool { return r >= 0.8e6 }))
				if seed == traced {
					trace(t, 100*second, f)
				}
			}
			t.Logf("use %v; queue p95 %v s; up %v and %v s, down %v s", u, q, up, again, down)
			atLeast(t, "use of capacity", u.mean(), c.use)
			queue := 0.1
			if strings.Contains(c.name, "feedback lost") || strings.Contains(c.name, "jitter of 30 ms") {
				queue = 0.11 // what is not known, or hardly to be seen, is answered later
			}
			atMost(t, "queue p95", q.mean(), queue)
			limit := 5.0
			if strings.Contains(c.name, "loss") {
				limit = 8 // clusters are lost in part, too
			}
			atMost(t, "time up", up.mean(), limit)
			atMost(t, "time up again", again.mean(), limit)
			atMost(t, "time down", down.mean(), 1)
		})
	}
}

// many runs flows over one bottleneck.
func many(seed uint64, until time.Duration, rate []step, flows ...*flow) *link {
	w := newWorld(seed)
	l := &link{w: w, rate: rate, bytes: queueOf(300*ms, rate[0].rate)}
	for _, f := range flows {
		f.w, f.link = w, l
		f.start(f.from)
	}
	w.run(until)
	return l
}

func media(from, delay time.Duration, most float64) *flow {
	return &flow{from: from, delay: delay, jitter: 15 * ms, most: most, frames: true}
}

// RFC 8867 §5.2: variable available capacity with multiple flows.
func TestTwoFlowsFollowTheCapacity(t *testing.T) {
	t.Parallel()
	path := []step{{0, 4e6}, {25 * second, 2e6}, {50 * second, 3.5e6}, {75 * second, 1e6}, {100 * second, 2e6}}
	var u, q, fair, down series
	for seed := range uint64(seeds) {
		a, b := media(0, 50*ms, 2.5e6), media(0, 50*ms, 2.5e6)
		l := many(seed, 125*second, path, a, b)
		got := mean(a.got, 5*second, 125*second) + mean(b.got, 5*second, 125*second)
		u.add(got * 120 / l.carried(5*second, 125*second, 5e6))
		q.add(max(a.p95(0, 125*second), b.p95(0, 125*second)).Seconds())
		fair.add(jain(mean(a.got, 10*second, 125*second), mean(b.got, 10*second, 125*second)))
		for _, at := range []time.Duration{25 * second, 75 * second} {
			both := make([]int, 1250)
			for i := range both {
				both[i] = a.sent[i] + b.sent[i]
			}
			down.add(settled(both, at, func(r float64) bool { return r <= 1.1*rateAt(path, at) }))
		}
		if seed == traced {
			trace(t, 125*second, a, b)
		}
	}
	t.Logf("use %v; queue p95 %v s; Jain %v; down %v s", u, q, fair, down)
	atLeast(t, "use of capacity", u.mean(), 0.85)
	atMost(t, "queue p95", q.mean(), 0.1)
	atLeast(t, "fairness", fair.mean(), 0.8)
	atMost(t, "time down", down.mean(), 1)
}

// RFC 8867 §5.3: congested feedback link with bidirectional media flows.
func TestFlowsInBothDirectionsCongestTheFeedback(t *testing.T) {
	t.Parallel()
	var u, v, q series
	for seed := range uint64(seeds) {
		w := newWorld(seed)
		there := &link{w: w, rate: []step{{0, 2e6}, {20 * second, 1e6}, {40 * second, 0.5e6}, {60 * second, 2e6}}, bytes: queueOf(300*ms, 2e6)}
		back := &link{w: w, rate: []step{{0, 2e6}, {35 * second, 0.8e6}, {70 * second, 2e6}}, bytes: queueOf(300*ms, 2e6)}
		a, b := media(0, 50*ms, 1.5e6), media(0, 50*ms, 1.5e6)
		a.w, a.link, a.reverse = w, there, back
		b.w, b.link, b.reverse = w, back, there
		a.start(0)
		b.start(0)
		w.run(100 * second)
		u.add(use(a, there, 2*second, 100*second))
		v.add(use(b, back, 2*second, 100*second))
		q.add(max(a.p95(0, 100*second), b.p95(0, 100*second)).Seconds())
		if seed == traced {
			trace(t, 100*second, a, b)
		}
	}
	t.Logf("use %v and %v; queue p95 %v s", u, v, q)
	atLeast(t, "use of capacity", u.mean(), 0.85)
	atLeast(t, "use of capacity of the way back", v.mean(), 0.85)
	atMost(t, "queue p95", q.mean(), 0.1)
}

// RFC 8867 §5.4, 5.5 and 5.8, and flows that are alike.
func TestFlowsShareABottleneck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		rate  float64
		until time.Duration
		flows func() []*flow
		from  time.Duration // all have begun
		queue float64       // s, p95 of the flow that waits longest, at most
	}{
		{"two", 3e6, 120 * second, func() []*flow { return []*flow{media(0, 50*ms, 4e6), media(0, 50*ms, 4e6)} }, 20 * second, 0.1},
		{"two, the second later", 3e6, 120 * second, func() []*flow { return []*flow{media(0, 50*ms, 4e6), media(20*second, 50*ms, 4e6)} }, 40 * second, 0.1},
		{"two on a narrow path", 6e5, 120 * second, func() []*flow { return []*flow{media(0, 50*ms, 4e6), media(10*second, 50*ms, 4e6)} }, 40 * second, 0.15},
		{"three, one after the other", 3.5e6, 120 * second, func() []*flow {
			return []*flow{media(0, 50*ms, 4e6), media(20*second, 50*ms, 4e6), media(40*second, 50*ms, 4e6)}
		}, 60 * second, 0.1},
		{"five of different round trips", 4e6, 300 * second, func() []*flow {
			return []*flow{media(0, 10*ms, 4e6), media(10*second, 25*ms, 4e6), media(20*second, 50*ms, 4e6), media(30*second, 100*ms, 4e6), media(40*second, 150*ms, 4e6)}
		}, 80 * second, 0.13},
		{"three, of which one pauses", 3.5e6, 120 * second, func() []*flow {
			a := media(0, 50*ms, 4e6)
			a.active = func(at time.Duration) bool { return at < 40*second || at > 60*second }
			return []*flow{a, media(0, 50*ms, 4e6), media(0, 50*ms, 4e6)}
		}, 70 * second, 0.1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var u, q, fair series
			for seed := range uint64(seeds) {
				flows := c.flows()
				l := many(seed, c.until, []step{{0, c.rate}}, flows...)
				var got []float64
				sum, worst := 0.0, time.Duration(0)
				for _, f := range flows {
					got = append(got, mean(f.got, c.from, c.until))
					sum += mean(f.got, 2*second, c.until)
					worst = max(worst, f.p95(0, c.until))
				}
				u.add(sum * (c.until - 2*second).Seconds() / l.carried(2*second, c.until, 1e9))
				q.add(worst.Seconds())
				fair.add(jain(got...))
				if seed == traced {
					trace(t, c.until, flows...)
				}
			}
			t.Logf("use %v; queue p95 %v s; Jain %v", u, q, fair)
			atLeast(t, "use of capacity", u.mean(), 0.85)
			atMost(t, "queue p95", q.mean(), c.queue)
			atLeast(t, "fairness", fair.mean(), 0.8)
		})
	}
}

// RFC 8867 §5.6: media flow competing with a long TCP flow; queues of 300 ms, of 1 s, and short.
func TestFlowHoldsItsOwnAgainstTCP(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		cubic bool
		queue time.Duration
		steps bool // what is sent has few layers
		least float64
	}{
		{"Reno, queue of 50 ms", false, 50 * ms, false, 0.15},
		{"Reno, queue of 300 ms", false, 300 * ms, false, 0.3},
		{"CUBIC, queue of 50 ms", true, 50 * ms, false, 0.2},
		{"CUBIC, queue of 300 ms", true, 300 * ms, false, 0.35},
		{"CUBIC, queue of 300 ms, layers", true, 300 * ms, true, 0.35},
		{"CUBIC, queue of 1 s", true, 1000 * ms, false, 0.15},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var share, u series
			for seed := range uint64(seeds) {
				w := newWorld(seed)
				l := &link{w: w, rate: []step{{0, 2e6}}, bytes: queueOf(c.queue, 2e6)}
				other := (&tcp{w: w, link: l, delay: 50 * ms, cubic: c.cubic}).start(0)
				f := media(5*second, 50*ms, 2e6)
				if f.w, f.link = w, l; c.steps {
					f.layers = []float64{240e3, 430e3, 580e3, 730e3, 880e3, 1200e3, 1500e3}
				}
				f.start(f.from)
				w.run(120 * second)
				own, its := mean(f.got, 20*second, 120*second), mean(other.got, 20*second, 120*second)
				share.add(own / (own + its))
				u.add((own + its) / 2e6)
				if seed == traced {
					trace(t, 120*second, f)
				}
			}
			t.Logf("share %v; use by both %v", share, u)
			atLeast(t, "share", share.mean(), c.least)
			atMost(t, "share", share.mean(), 0.65) // TCP is not starved either
		})
	}
}

// RFC 8867 §5.7: media flows competing with short TCP flows.
func TestFlowsAmongShortTCPFlows(t *testing.T) {
	t.Parallel()
	var share, fair series
	for seed := range uint64(seeds) {
		w := newWorld(seed)
		l := &link{w: w, rate: []step{{0, 2e6}}, bytes: queueOf(300*ms, 2e6)}
		a, b := media(0, 50*ms, 1.5e6), media(0, 50*ms, 1.5e6)
		for _, f := range []*flow{a, b} {
			f.w, f.link = w, l
			f.start(0)
		}
		var got int
		for range 10 {
			var next func()
			next = func() {
				idle := time.Duration(w.random.ExpFloat64() * 10e9)
				c := &tcp{w: w, link: l, delay: 50 * ms, left: 30_000 + w.random.IntN(20_000)}
				c.done = func() { got += c.left; next() }
				c.start(w.now + idle)
			}
			next()
		}
		w.run(120 * second)
		own := mean(a.got, 10*second, 120*second) + mean(b.got, 10*second, 120*second)
		share.add(own / (2e6 - float64(got)*8/120))
		fair.add(jain(mean(a.got, 10*second, 120*second), mean(b.got, 10*second, 120*second)))
	}
	t.Logf("use of what the others leave %v; Jain %v", share, fair)
	atLeast(t, "use", share.mean(), 0.6)
	atLeast(t, "fairness", fair.mean(), 0.8)
}

// Loss that has nothing to do with the rate.
func TestRandomLossDoesNotCollapseTheRate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		loss  float64
		burst int
		least float64
	}{
		{"1 %", 0.01, 1, 0.85}, {"5 %", 0.05, 1, 0.8}, {"10 %", 0.10, 1, 0.75}, {"20 %", 0.20, 1, 0.6},
		{"5 % in threes", 0.05, 3, 0.8}, {"10 % in threes", 0.1, 3, 0.7},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var u, q series
			for seed := range uint64(seeds) {
				f, _ := single(seed, 60*second, []step{{0, 2e6}}, func(f *flow, l *link) { l.loss, l.burst = c.loss, c.burst })
				u.add(mean(f.sent, 5*second, 60*second) / 2e6)
				q.add(f.p95(0, 60*second).Seconds())
				if seed == traced {
					trace(t, 60*second, f)
				}
			}
			t.Logf("sent %v of the capacity; queue p95 %v s", u, q)
			atLeast(t, "rate", u.mean(), c.least)
			atMost(t, "queue p95", q.mean(), 0.1)
		})
	}
}

// A policer drops what exceeds a rate, without a queue.
func TestPolicerIsFoundByItsLoss(t *testing.T) {
	t.Parallel()
	var u, lost, down series
	for seed := range uint64(4 * seeds) {
		path := []step{{0, 2e6}, {30 * second, 1e6}}
		f, l := single(seed, 60*second, path, func(f *flow, l *link) { l.bytes = 10000 })
		u.add(use(f, l, 5*second, 60*second))
		lost.add(1 - mean(f.got, 5*second, 60*second)/mean(f.sent, 5*second, 60*second))
		down.add(settled(f.sent, 30*second, func(r float64) bool { return r <= 1.15e6 }))
		if seed == traced {
			trace(t, 60*second, f)
		}
	}
	t.Logf("use %v; lost %v; down %v s", u, lost, down)
	atLeast(t, "use", u.mean(), 0.75)
	atMost(t, "loss", lost.mean(), 0.05)
	atMost(t, "time down", down.mean(), 1)
}

// A radio that pauses for 200 ms every 5 s and then delivers all.
func TestPausesOfTheLinkDoNotCollapseTheRate(t *testing.T) {
	t.Parallel()
	var u series
	for seed := range uint64(seeds) {
		f, l := single(seed, 60*second, []step{{0, 2e6}}, func(f *flow, l *link) { l.stalls, l.pause = 5*second, 200*ms; l.rate = []step{{0, 20e6}}; f.most = 2e6 })
		u.add(use(f, l, 5*second, 60*second))
		if seed == traced {
			trace(t, 60*second, f)
		}
	}
	t.Logf("use %v", u)
	atLeast(t, "use", u.mean(), 0.75)
}

// A way with a buffer of more than a second suddenly carries a quarter: the queue is ours, and emptied.
func TestLongQueueOfOursIsEmptied(t *testing.T) {
	t.Parallel()
	var q, down series
	for seed := range uint64(12) {
		f, _ := single(seed+16, 80*second, []step{{0, 1e6}, {40 * second, 2.5e6}, {60 * second, 0.6e6}}, func(f *flow, l *link) { l.bytes = queueOf(second, 1e6) })
		q.add(f.p95(65*second, 80*second).Seconds())
		down.add(settled(f.sent, 60*second, func(r float64) bool { return r <= 1.1*0.6e6 }))
		if seed == traced {
			trace(t, 80*second, f)
		}
	}
	t.Logf("queue p95 after five seconds %v s; down %v s", q, down)
	atMost(t, "queue p95", q.worst(), 0.5)
	atMost(t, "time down", down.worst(), 1)
}

// A machine that is busy, or a radio, lets packets wait for a moment, time and again, and then takes all of them at once.
func TestShortPausesCostLittle(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pause    time.Duration
		use, low float64 // at least; low is the lowest rate, in Mbit/s
	}{{30 * ms, 0.98, 5}, {70 * ms, 0.98, 5}, {100 * ms, 0.95, 0.5}, {150 * ms, 0.85, 0.5}} {
		t.Run(c.pause.String(), func(t *testing.T) {
			t.Parallel()
			var u, low series
			for seed := range uint64(2 * seeds) {
				f, l := single(seed, 60*second, []step{{0, 50e6}}, func(f *flow, l *link) {
					l.stalls, l.pause = 700*ms+time.Duration(seed)*13*ms, c.pause
					f.most, f.delay, f.jitter, f.frames = 5e6, ms, ms, seed%2 == 0
				})
				u.add(use(f, l, 10*second, 60*second))
				low.add(slices.Min(f.rates[100:]) / 1e6)
				if seed == traced {
					trace(t, 60*second, f)
				}
			}
			t.Logf("use %v; lowest rate %v Mbit/s", u, low)
			atLeast(t, "use", u.mean(), c.use)
			atLeast(t, "lowest rate", low.mean(), c.low)
		})
	}
}

// The way becomes 80 ms longer, as after a handover, and no queue is emptied by sending less.
func TestLongerWayIsNotTakenForAQueueForEver(t *testing.T) {
	t.Parallel()
	var u series
	for seed := range uint64(seeds) {
		f, l := single(seed, 80*second, []step{{0, 2e6}}, func(f *flow, l *link) { l.w.at(20*second, func() { f.delay += 80 * ms }) })
		u.add(use(f, l, 20*second, 80*second))
		if seed == traced {
			trace(t, 80*second, f)
		}
	}
	t.Logf("use %v", u)
	atLeast(t, "use", u.mean(), 0.75)
}

// No feedback for three seconds, as in a change of network, and then again.
func TestRateComesBackAfterAnOutage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		back   float64 // s
		change func(l *link)
	}{
		{"nothing arrives", 2, func(l *link) {
			l.w.at(20*second, func() { l.loss = 1 })
			l.w.at(23*second, func() { l.loss = 0 })
		}},
		// One packet a second: the last of them holds up the others for up to a second more.
		{"a trickle arrives", 5, func(l *link) { l.rate, l.bytes = []step{{0, 2e6}, {20 * second, 1e4}, {23 * second, 2e6}}, 20000 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var cut, back series
			for seed := range uint64(seeds) {
				f, _ := single(seed, 40*second, []step{{0, 2e6}}, func(f *flow, l *link) {
					f.silent = func(at time.Duration) bool { return at > 20*second && at < 23*second }
					c.change(l)
				})
				cut.add(f.rates[229] / 1e3)
				back.add(settled(f.got, 23*second, func(r float64) bool { return r >= 1.4e6 }))
				if seed == traced {
					trace(t, 40*second, f)
				}
			}
			t.Logf("cut to %v kbit/s; back after %v s", cut, back)
			atMost(t, "rate in the outage", cut.worst(), 260)
			atMost(t, "time back", back.mean(), c.back)
		})
	}
}

// Little to send, then much: the rate that was proven stays, the path is probed only when more is wanted.
func TestApplicationThatSendsLittle(t *testing.T) {
	t.Parallel()
	var padding, up series
	for seed := range uint64(seeds) {
		w := newWorld(seed)
		l := &link{w: w, rate: []step{{0, 3e6}}, bytes: queueOf(300*ms, 3e6)}
		f := media(0, 50*ms, 1.5e5)
		f.w, f.link = w, l
		w.at(30*second, func() { padding.add(float64(f.padding)); f.most = 2.5e6 })
		f.start(0)
		w.run(60 * second)
		up.add(settled(f.got, 30*second, func(r float64) bool { return r >= 2e6 }))
		if seed == traced {
			trace(t, 60*second, f)
		}
	}
	t.Logf("padding before %v bytes; up %v s", padding, up)
	atMost(t, "padding", padding.worst(), 0)
	atMost(t, "time up", up.mean(), 5)
}

// Layers leave the rate unused; the next needs half more.
func TestLayersAreReachedByProbes(t *testing.T) {
	t.Parallel()
	var u series
	for seed := range uint64(seeds) {
		f, l := single(seed, 60*second, []step{{0, 3e6}}, func(f *flow, l *link) { f.layers = []float64{1.5e5, 5e5, 1.2e6, 2.5e6}; f.most = 2.5e6 })
		u.add(use(f, l, 10*second, 60*second))
		if seed == traced {
			trace(t, 60*second, f)
		}
	}
	t.Logf("use %v", u)
	atLeast(t, "use", u.mean(), 0.9)
}

// Where there is room for all that is wanted, twice that is looked for: key frames come at the estimate's rate. A way that does not
// carry so much is asked seldom.
func TestRoomForKeyFramesIsLookedFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		carries     float64
		least, most float64 // rate in the end
		probes      uint8
	}{
		{"free", 20e6, 1.8e6, 3e6, 8},
		{"room for what is wanted, and a little more", 1.3e6, 1e6, 1.6e6, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(seeds) {
				f := media(0, 50*ms, 1e6)
				many(seed, 120*second, []step{{0, c.carries}}, f)
				rate, probes := float64(f.state.Rate), f.e.prober.issued
				t.Logf("%.0f after %d probes, padding %d bytes, queue p95 %v", rate, probes, f.padding, f.p95(10*second, 120*second))
				if rate < c.least || rate > c.most || probes > c.probes {
					t.Errorf("%.0f after %d probes; want %.0f to %.0f, %d at most", rate, probes, c.least, c.most, c.probes)
				}
				atMost(t, "queue p95", f.p95(10*second, 120*second).Seconds(), 0.05)
			}
		})
	}
}
