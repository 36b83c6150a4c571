package congestion

import (
	"math"
	"testing"
	"time"

	"parley/bridge/rtp"
)

// path is an estimator, and a receiver behind a path of one delay, without a simulated network.
type path struct {
	t        testing.TB
	e        *GCC
	now      time.Duration
	number   uint16
	arrivals rtp.Arrivals
	clock    time.Duration
	buffer   []byte
}

func newPath(t testing.TB, c Config) *path {
	return &path{t: t, e: NewGCC(c), clock: time.Hour, buffer: make([]byte, 0, 2000)}
}

// send sends a packet every so often; each arrives after a delay, and none with a negative one.
func (p *path) send(n, size int, every time.Duration, delay func(i int) time.Duration) {
	for i := range n {
		p.now += every
		p.number++
		p.e.Sent(Packet{Number: p.number, At: p.now, Size: size, Probe: p.e.State().Probe.ID})
		if d := delay(i); d >= 0 {
			p.arrivals.Record(p.number, p.now+d+p.clock)
		}
	}
}

// report brings feedback about all that was sent, 100 ms later.
func (p *path) report() State {
	p.now += 100 * ms
	return p.tell(p.now)
}

// tell brings feedback about all that was sent which came at a time.
func (p *path) tell(came time.Duration) (s State) {
	for more := true; more; {
		var b []byte
		if b, more = p.arrivals.Append(p.buffer[:0], 1, 2, 1200); len(b) > 0 {
			s = p.e.Report(parse(b), came)
		}
	}
	return s
}

// idle lets time pass in which nothing is sent and nothing comes.
func (p *path) idle(d time.Duration) (s State) {
	for end := p.now + d; p.now < end; {
		p.now += 20 * ms
		s = p.e.Tick(p.now)
	}
	return s
}

func always(d time.Duration) func(int) time.Duration { return func(int) time.Duration { return d } }

// steady sends at a rate for a time with feedback every 100 ms.
func (p *path) steady(rate float64, d time.Duration, delay func(i int) time.Duration) (s State) {
	every := time.Duration(1000 * 8 / rate * 1e9)
	n := max(int(100*ms/every), 1)
	var older []byte
	for end := p.now + d; p.now < end; {
		p.send(n, 1000, every, delay)
		if len(older) > 0 {
			s = p.e.Report(parse(older), p.now)
		}
		older, _ = p.arrivals.Append(older[:0], 1, 2, 1200)
	}
	p.now += 100 * ms
	if len(older) > 0 {
		s = p.e.Report(parse(older), p.now)
	}
	return s
}

func TestStartIsTheConfiguredRateWithAProbeOfThreeTimes(t *testing.T) {
	e := NewGCC(Config{})
	if s := e.State(); s.Rate != 300_000 || s.Limit != LimitStart || s.Probe.ID != 0 {
		t.Errorf("before a packet: %+v", s)
	}
	e.Sent(Packet{Number: 1, At: second, Size: 100})
	s := e.State()
	if s.Probe.ID == 0 || s.Probe.Rate != 900_000 || s.Probe.Packets == 0 || s.Probe.For == 0 {
		t.Errorf("probe is %+v", s.Probe)
	}
	if s := e.Tick(3 * second); s.Probe.ID != 0 && s.Probe.Rate == 900_000 {
		t.Errorf("the owner did not send the probe for two seconds, and it is still asked for: %+v", s.Probe)
	}
}

// A probe that is asked for while only a voice is sent would be lost for want of packets to fill it.
func TestFirstProbeIsOfTheFirstThatIsWanted(t *testing.T) {
	e := NewGCC(Config{})
	e.Demand(60_000)
	e.Sent(Packet{Number: 1, At: second, Size: 100})
	if s := e.Tick(1100 * ms); s.Probe.ID != 0 {
		t.Errorf("%+v for a voice", s.Probe)
	}
	e.Demand(2_000_000)
	if s := e.Tick(1200 * ms); s.Probe.Rate != 900_000 {
		t.Errorf("%+v when video is wanted", s.Probe)
	}
}

func TestNothingIsProbedThatNobodyWants(t *testing.T) {
	p := newPath(t, Config{})
	p.e.Demand(150_000)
	p.steady(100_000, 20*second, func(int) time.Duration {
		if id := p.e.State().Probe.ID; id != 0 {
			t.Fatalf("probe %d", id)
		}
		return 50 * ms
	})
	if s := p.e.State(); s.Limit != LimitApplication || s.Rate > 310_000 {
		t.Errorf("%v, limited by %v", s.Rate, s.Limit)
	}
}

func TestRateThatIsEnoughIsNotProbed(t *testing.T) {
	p := newPath(t, Config{Start: 1_000_000})
	p.e.Demand(540_000)
	p.steady(540_000, 20*second, func(int) time.Duration {
		if id := p.e.State().Probe.ID; id != 0 {
			t.Fatalf("probe %d at a rate of %d", id, p.e.State().Rate)
		}
		return 50 * ms
	})
}

// An owner that goes on with the ID of a cluster that is complete adds nothing to it.
func TestClusterThatIsCompleteTakesNoMore(t *testing.T) {
	p := newPath(t, Config{})
	p.send(1, 1000, 5*ms, always(50*ms))
	id := p.e.State().Probe.ID
	p.send(20, 1000, 5*ms, always(50*ms))
	if p.e.State().Probe.ID != 0 {
		t.Fatal("not complete")
	}
	p.number++
	p.e.Sent(Packet{Number: p.number, At: p.now + ms, Size: 1000, Probe: id})
	n, _ := p.e.history.order.Newest()
	if got := p.e.history.find(n).probe; got != 0 {
		t.Errorf("taken for one of cluster %d", got)
	}
}

func TestRateDoesNotGrowWhileLittleIsSent(t *testing.T) {
	p := newPath(t, Config{})
	p.e.Demand(0)
	for range 20 {
		p.steady(150_000, second, always(50*ms))
	}
	if s := p.e.State(); s.Rate > 310_000 {
		t.Errorf("grew to %d", s.Rate)
	}
	p.e.Demand(300_000) // but not by probes
	p.steady(300_000, 10*second, always(50*ms))
	if s := p.e.State(); s.Rate < 340_000 || s.Rate > 400_000 {
		t.Errorf("%d after ten seconds of full use, want the growth that %d acknowledged allow", s.Rate, s.Acknowledged)
	}
}

func TestGrowingDelayCutsToWhatArrives(t *testing.T) {
	p := newPath(t, Config{Start: 1_000_000})
	p.e.Demand(0)
	p.steady(1_000_000, 3*second, always(50*ms))
	before := p.e.State().Rate
	p.e.losses.before = 5e6
	d := 50 * ms
	for range 10 { // the path carries two thirds of what is sent
		p.steady(1_000_000, 100*ms, func(int) time.Duration { d += 4 * ms; return d })
	}
	s := p.e.State()
	if s.Steady > before*6/10 || s.Steady < before*2/10 {
		t.Errorf("from %d to %d", before, s.Steady)
	}
	if before := p.e.losses.before; before > 1e6 {
		t.Errorf("an experiment with the rate would restore %v", before)
	}
	if s.Limit != LimitDelay && s.Limit != LimitApplication || s.Delay < 150*ms {
		t.Errorf("limit %v, delay %v", s.Limit, s.Delay)
	}
}

// An experiment that began before the rate was cut a second time, as half of it did not make the queue shorter, ends with the rate
// as it is then: what is lost meanwhile is what the queue has no room for.
func TestExperimentDoesNotBringBackWhatTheQueueHasNoRoomFor(t *testing.T) {
	p := newPath(t, Config{Start: 2_000_000})
	p.e.Demand(0)
	p.steady(2_000_000, 3*second, always(50*ms))
	d := 50 * ms
	full := func(int) time.Duration { d = min(d+4*ms, 350*ms); return d }
	for i := 0; !p.e.drain.on; i++ {
		if p.steady(2_000_000, 100*ms, full); i > 20 {
			t.Fatal("a queue that grows is not emptied")
		}
	}
	p.e.losses.before = p.e.control.rate
	for i := 0; p.e.drain.rate == 0; i++ {
		if p.steady(500_000, 100*ms, full); i > 30 {
			t.Fatal("a queue that stays is not emptied a second time")
		}
	}
	cut := p.e.State()
	if p.e.obey(restore); p.e.State().Steady > cut.Steady || cut.Steady > 600_000 {
		t.Errorf("%d after a cut to %d, where 500,000 arrive", p.e.State().Steady, cut.Steady)
	}
}

func TestConstantDelayOfAnyReceiverClockCutsNothing(t *testing.T) {
	for _, clock := range []time.Duration{0, 63 * ms, 300 * 24 * time.Hour, (1 << 24) * 64 * ms * 3 / 4} {
		p := newPath(t, Config{Start: 1_000_000})
		p.clock = clock
		p.e.Demand(0)
		s := p.steady(1_000_000, 10*second, always(50*ms))
		if s.Rate < 1_000_000 || s.Delay > ms || s.Loss != 0 {
			t.Errorf("clock %v: %+v", clock, s)
		}
		if s.RTT < 50*ms || s.RTT > 250*ms || s.MinRTT < 50*ms || s.MinRTT > s.RTT {
			t.Errorf("round trip %v, least %v", s.RTT, s.MinRTT)
		}
	}
}

func TestAnotherReceiverClockIsNoQueue(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -30 * time.Minute, 2 * time.Minute} {
		p := newPath(t, Config{Start: 1_000_000})
		p.e.Demand(0)
		p.steady(1_000_000, 5*second, always(50*ms))
		p.clock += jump
		p.arrivals = rtp.Arrivals{}
		before := p.e.State().Rate
		s := p.steady(1_000_000, 5*second, always(50*ms))
		if s.Rate < before || s.Delay > 5*ms || s.Loss != 0 {
			t.Errorf("jump of %v: %+v, before %d", jump, s, before)
		}
	}
}

func TestRateDoesNotRiseIntoDoubt(t *testing.T) {
	for _, doubt := range []float64{0, 1} {
		p := newPath(t, Config{Start: 1_000_000})
		p.e.Demand(0)
		p.steady(1_000_000, 2*second, always(50*ms))
		before := p.e.State().Rate
		p.send(30, 1000, 4*ms, always(50*ms)) // all that may be sent
		p.e.losses.doubt, p.e.losses.open = doubt, false
		b, _ := p.arrivals.Append(nil, 1, 2, 1200)
		if s := p.e.Report(parse(b), p.now); (s.Rate > before) != (doubt == 0) {
			t.Errorf("from %d to %d, doubt %v", before, s.Rate, doubt)
		}
	}
}

// The reference time has 24 bits of 64 ms, and sequence numbers have 16: both wrap.
func TestWrapsChangeNothing(t *testing.T) {
	p := newPath(t, Config{Start: 1_000_000})
	p.number = 65_000
	p.clock = (1<<24)*64*ms - 3*second
	p.e.Demand(0)
	s := p.steady(1_000_000, 10*second, always(50*ms))
	if s.Rate < 1_000_000 || s.Delay > ms || s.Loss != 0 || s.Acknowledged < 900_000 {
		t.Errorf("%+v", s)
	}
}

func TestLostFeedbackIsNotLostMedia(t *testing.T) {
	p := newPath(t, Config{Start: 1_000_000})
	p.e.Demand(0)
	p.steady(1_000_000, 2*second, always(50*ms))
	for range 20 { // half of the reports
		p.send(12, 1000, 8*ms, always(50*ms))
		p.arrivals.Append(nil, 1, 2, 1200)
		p.steady(1_000_000, 100*ms, always(50*ms))
	}
	s := p.e.State()
	if s.Loss != 0 || s.Acknowledged < 850_000 || s.Acknowledged > 1_150_000 || s.Rate < 900_000 {
		t.Errorf("%+v", s)
	}
}

// A report that overtakes another, and one that comes twice, tell nothing twice.
func TestReportsOutOfOrder(t *testing.T) {
	p := newPath(t, Config{Start: 1_000_000})
	p.e.Demand(0)
	p.steady(1_000_000, 2*second, always(50*ms))
	for range 20 {
		p.send(12, 1000, 8*ms, always(50*ms))
		first, _ := p.arrivals.Append(nil, 1, 2, 1200)
		p.send(12, 1000, 8*ms, always(50*ms))
		second, _ := p.arrivals.Append(nil, 1, 2, 1200)
		p.e.Report(parse(second), p.now)
		p.e.Report(parse(first), p.now)
		p.e.Report(parse(second), p.now)
	}
	s := p.e.State()
	if s.Loss != 0 || s.Acknowledged < 850_000 || s.Acknowledged > 1_150_000 || s.Rate < 900_000 {
		t.Errorf("%+v", s)
	}
}

// After overuse, reports that tell nothing new do not cut again and again.
func TestReportsWithoutNewsChangeNothing(t *testing.T) {
	p := newPath(t, Config{Start: 1_000_000})
	p.e.Demand(0)
	p.steady(1_000_000, 3*second, always(50*ms))
	d := 50 * ms
	p.steady(1_000_000, 600*ms, func(int) time.Duration { d += 4 * ms; return d })
	p.send(20, 1000, 8*ms, func(int) time.Duration { d += 4 * ms; return d })
	b, _ := p.arrivals.Append(nil, 1, 2, 1200)
	before := p.e.Report(parse(b), p.now)
	if p.e.trend.usage != overuse {
		t.Fatal("no overuse")
	}
	for range 10 {
		p.now += 250 * ms
		if s := p.e.Report(parse(b), p.now); s.Rate != before.Rate {
			t.Fatalf("from %d to %d", before.Rate, s.Rate)
		}
	}
}

func TestLateIsNotLost(t *testing.T) {
	p := newPath(t, Config{Start: 1_000_000})
	p.e.Demand(0)
	p.steady(1_000_000, 2*second, always(50*ms))
	for range 20 { // each tenth packet comes after a report called it missing
		p.send(12, 1000, 8*ms, func(i int) time.Duration {
			if i == 10 {
				return -1
			}
			return 50 * ms
		})
		late := p.number - 1
		p.report()
		if p.e.State().Loss == 0 {
			t.Fatal("nothing was missing")
		}
		p.arrivals.Record(late, p.now+p.clock)
		p.report()
	}
	if s := p.e.State(); s.Loss > 0.005 || s.Rate < 900_000 {
		t.Errorf("%+v", s)
	}
}

func TestLossIsReported(t *testing.T) {
	p := newPath(t, Config{Start: 1_000_000})
	i := 0
	s := p.steady(1_000_000, 10*second, func(int) time.Duration {
		if i++; i%10 == 0 {
			return -1
		}
		return 50 * ms
	})
	if math.Abs(s.Loss-0.1) > 0.02 {
		t.Errorf("loss is %v", s.Loss)
	}
}

func TestSilenceIsAnOutage(t *testing.T) {
	p := newPath(t, Config{Start: 1_000_000})
	p.e.Demand(2_000_000)
	p.steady(1_000_000, 5*second, always(50*ms))
	before := p.e.State().Rate
	for range 30 {
		p.send(10, 1000, 10*ms, always(-1))
		p.e.Tick(p.now)
	}
	s := p.e.State()
	if s.Limit != LimitOutage || s.Rate > before/4 || s.Probe.ID != 0 {
		t.Errorf("three seconds of silence: %+v, before %d", s, before)
	}
	p.send(5, 1000, 10*ms, always(50*ms))
	if s = p.report(); s.Limit == LimitOutage || s.Probe.Rate < before/2 {
		t.Errorf("feedback is back: %+v, want a probe for about %d", s, before)
	}
	if s = p.steady(300_000, 2*second, always(50*ms)); s.Loss > 0 {
		t.Errorf("what was lost in the outage counts: %v", s.Loss)
	}
}

func TestNothingSentIsNoOutage(t *testing.T) {
	p := newPath(t, Config{Start: 500_000})
	p.e.Demand(0)
	p.steady(500_000, 2*second, always(50*ms))
	before := p.e.State().Rate
	for range 100 {
		p.now += 100 * ms
		if s := p.e.Tick(p.now); s.Limit == LimitOutage || s.Rate != before {
			t.Fatalf("%+v, before %d", s, before)
		}
	}
	p.send(1, 1000, ms, always(50*ms))
	if s := p.e.State(); s.Rate >= before || s.Rate < 300_000 {
		t.Errorf("%d after ten idle seconds, before %d", s.Rate, before)
	}
}

func TestREMBCapsTheRate(t *testing.T) {
	p := newPath(t, Config{Start: 1_000_000})
	p.steady(1_000_000, second, always(50*ms))
	p.e.REMB(400_000)
	if s := p.e.State(); s.Rate != 400_000 || s.Limit != LimitREMB {
		t.Errorf("%+v", s)
	}
	p.e.REMB(1)
	if s := p.e.State(); s.Rate != 30_000 {
		t.Errorf("below the minimum: %d", s.Rate)
	}
	p.e.REMB(0)
	if s := p.e.State(); s.Rate < 900_000 || s.Limit == LimitREMB {
		t.Errorf("after its end: %+v", s)
	}
}

func TestBoundsAreKept(t *testing.T) {
	p := newPath(t, Config{Start: 1, Minimum: 50_000, Maximum: 100_000})
	if s := p.e.State(); s.Rate != 50_000 {
		t.Errorf("start is %d", s.Rate)
	}
	if s := NewGCC(Config{Start: 1_000_000, Maximum: 100_000}).State(); s.Rate != 100_000 {
		t.Errorf("start is %d", s.Rate)
	}
	if s := p.steady(100_000, 20*second, always(50*ms)); s.Rate != 100_000 || s.Limit != LimitMaximum {
		t.Errorf("%+v", s)
	}
}

func TestResetForgetsThePathButNotTheDemand(t *testing.T) {
	p := newPath(t, Config{})
	p.e.Demand(310_000)
	p.steady(300_000, 10*second, always(50*ms))
	p.send(20, 1000, 8*ms, always(80*ms)) // under way on the old path
	p.e.Reset()
	if s := p.e.State(); s.Rate != 300_000 || s.Limit != LimitStart || s.RTT != 0 || s.Delay != 0 {
		t.Errorf("%+v", s)
	}
	s := p.steady(300_000, 5*second, always(200*ms))
	if s.Delay > 5*ms || s.Loss != 0 || s.Rate < 300_000 {
		t.Errorf("on the new path: %+v", s)
	}
	if s.Probe.Rate > 400_000 {
		t.Errorf("probes for %d though 310,000 are wanted", s.Probe.Rate)
	}
}

func TestLimitsHaveNames(t *testing.T) {
	for l := LimitStart; l <= LimitOutage; l++ {
		if l.String() == "" || l.String() == "unknown" {
			t.Errorf("limit %d is %q", l, l)
		}
	}
	if Limit(200).String() != "unknown" {
		t.Error("an unknown limit")
	}
}

// Both are what a bridge may use.
var _ Estimator = (*GCC)(nil)

func TestNothingIsAllocatedPerPacketOrReport(t *testing.T) {
	p := newPath(t, Config{Start: 5_000_000})
	p.steady(5_000_000, 20*second, always(50*ms))
	var reports [][]byte
	if n := testing.AllocsPerRun(500, func() {
		p.number++
		p.now += ms
		p.e.Sent(Packet{Number: p.number, At: p.now, Size: 1200})
	}); n != 0 {
		t.Errorf("Sent allocates %v times", n)
	}
	for range 60 {
		p.send(20, 1000, ms, func(i int) time.Duration {
			if i == 7 {
				return -1 // so that the loss model works, too
			}
			return 50 * ms
		})
		b, _ := p.arrivals.Append(nil, 1, 2, 1200)
		reports = append(reports, b)
	}
	i := 0
	if n := testing.AllocsPerRun(len(reports)-2, func() {
		var r rtp.Control
		c, _ := rtp.ParseCompound(reports[i])
		c.Next(&r)
		f, _ := r.TransportCC()
		p.e.Report(&f, p.now)
		p.e.Tick(p.now)
		i++
	}); n != 0 {
		t.Errorf("Report allocates %v times", n)
	}
}

// A rate that is assigned is where the estimate goes on from, up and down; during an outage it is not.
func TestAssignedRate(t *testing.T) {
	p := newPath(t, Config{Start: 1_000_000})
	p.steady(900_000, 2*time.Second, always(20*ms))
	for _, to := range []Bitrate{400_000, 900_000, 1} {
		p.e.Assign(to)
		if s := p.e.State(); s.Steady != max(to, defaultMinimum) {
			t.Errorf("assigned were %d, and it is %d", to, s.Steady)
		}
	}
	p.e.Assign(500_000)
	if s := p.steady(490_000, 5*time.Second, always(20*ms)); s.Steady <= 510_000 {
		t.Errorf("on a free way it stays at %d", s.Steady)
	}
	p.send(50, 1000, 20*ms, always(-1))
	if s := p.idle(5 * time.Second); s.Limit != LimitOutage {
		t.Fatalf("no outage but %v", s.Limit)
	}
	before := p.e.State().Steady
	p.e.Assign(5_000_000)
	if s := p.e.State(); s.Steady != before {
		t.Errorf("in an outage %d became %d", before, s.Steady)
	}
}

// A machine that stood still, or has not read what came, does not take that for an outage.
func TestTimeAwayIsNoSilence(t *testing.T) {
	readLate := func(silence time.Duration) func(*path) State {
		return func(p *path) State {
			came := p.now
			p.send(10, 1000, 2*ms, always(-1))
			p.idle(600 * ms)
			p.tell(came)
			return p.idle(silence)
		}
	}
	for _, c := range []struct {
		name string
		then func(*path) State
		want bool // an outage
	}{
		{"nothing comes", func(p *path) State { return p.idle(time.Second) }, true},
		{"it stood still", func(p *path) State { p.now += 5 * time.Second; return p.e.Tick(p.now) }, false},
		{"it stood still, and nothing comes", func(p *path) State {
			p.now += 5 * time.Second
			return p.idle(time.Second)
		}, true},
		{"it stands still time and again", func(p *path) (s State) {
			for range 10 {
				p.now += 2 * awayLeast
				s = p.e.Tick(p.now)
			}
			return s
		}, true},
		{"what came is read late", readLate(600 * ms), false},
		{"what came is read late, and nothing more comes", readLate(time.Second), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPath(t, Config{Start: 1_000_000})
			p.steady(900_000, 2*time.Second, always(20*ms))
			p.send(10, 1000, 2*ms, always(20*ms))
			if s := c.then(p); (s.Limit == LimitOutage) != c.want {
				t.Errorf("the limit is %v", s.Limit)
			}
		})
	}
}
