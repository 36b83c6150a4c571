package netem

import (
	"math"
	"slices"
	"testing"
	"time"
)

const ms = time.Millisecond

// run sends n packets of a size into a path at a distance.
func run(p *Path, n, size int, every time.Duration) []Fate {
	var all []Fate
	for i := range n {
		all = append(all, p.Pass(time.Duration(i)*every, size, 0))
	}
	return all
}

func TestScheduleServes(t *testing.T) {
	steps := Schedule{{0, 1_000_000}, {100 * ms, 500_000}, {200 * ms, 0}, {300 * ms, 2_000_000}}
	for _, c := range []struct {
		name       string
		s          Schedule
		at         time.Duration
		size       int
		begin, end time.Duration
		ok         bool
	}{
		{"without steps nothing takes time", nil, 5 * ms, 1500, 5 * ms, 5 * ms, true},
		{"unlimited", Schedule{{0, Unlimited}}, 5 * ms, 1500, 5 * ms, 5 * ms, true},
		{"10,000 bits at a megabit are 10 ms", steps, 0, 1250, 0, 10 * ms, true},
		{"before the first step its rate holds", Schedule{{50 * ms, 1_000_000}}, 0, 1250, 0, 10 * ms, true},
		{"half a packet at each of two rates", steps, 95 * ms, 1250, 95 * ms, 110 * ms, true},
		{"a pause in the middle", steps, 190 * ms, 1250, 190 * ms, 302500 * time.Microsecond, true},
		{"a pause before", steps, 250 * ms, 1250, 300 * ms, 305 * ms, true},
		{"the end of a step is no longer in it", steps, 200 * ms, 1250, 300 * ms, 305 * ms, true},
		{"never", Schedule{{0, 1_000_000}, {5 * ms, 0}}, 0, 1250, 0, 0, false},
		{"never from the begin", Schedule{{0, 0}}, 0, 1250, 0, 0, false},
		{"unlimited after a rate", Schedule{{0, 1_000_000}, {5 * ms, Unlimited}}, 0, 1250, 0, 5 * ms, true},
	} {
		begin, end, ok := c.s.serve(c.at, c.size)
		if ok != c.ok || begin != c.begin || end != c.end {
			t.Errorf("%s: %v %v %v, want %v %v %v", c.name, begin, end, ok, c.begin, c.end, c.ok)
		}
	}
	if v := steps.Volume(50*ms, 350*ms); v != 50_000+50_000+100_000 {
		t.Errorf("volume %v", v)
	}
	if v := (Schedule{{100 * ms, 1000}}).Volume(0, time.Second); v != 1000 {
		t.Errorf("volume before the first step counts at its rate: %v", v)
	}
	for at, want := range map[time.Duration]Bitrate{0: 1_000_000, 99 * ms: 1_000_000, 100 * ms: 500_000, 250 * ms: 0, time.Hour: 2_000_000} {
		if r := steps.Rate(at); r != want {
			t.Errorf("rate at %v is %v", at, r)
		}
	}
}

// At one and a half times the rate the k-th packet waits k thirds of its time.
func TestBottleneckDelaysByWhatIsBeforeThePacket(t *testing.T) {
	var r Record
	p := NewPath(&Bottleneck{Schedule: Schedule{{0, 1_000_000}}}, Line{Delay: 40 * ms}, 1)
	p.Record = &r
	every := 10 * ms * 2 / 3
	for i, f := range run(p, 300, 1250, every) {
		if want := time.Duration(i+1)*10*ms + 40*ms; f.Copies != 1 || f.Arrivals[0] != want {
			t.Fatalf("packet %d arrives %v, want %v", i, f.Arrivals[0], want)
		}
		if want := time.Duration(i) * (10*ms - every); r.Waits[i].Wait != want {
			t.Fatalf("packet %d waits %v, want %v", i, r.Waits[i].Wait, want)
		}
	}
	if got := r.Delivered(time.Second, 2*time.Second); got != 1_000_000 {
		t.Errorf("%v bits in a second", got)
	}
	if got := r.Offered(0, time.Second); math.Abs(got-1_500_000) > 20_000 {
		t.Errorf("%v bits offered", got)
	}
	if got, want := r.Queueing(0, 2*time.Second, 0.95), 285*(10*ms-every); got != want {
		t.Errorf("the 95th part waits %v, want %v", got, want)
	}
	if r.Packets != 300 || r.Dropped != 0 || r.Lost != 0 {
		t.Errorf("%+v", r)
	}
}

func TestQueueDropsTheTail(t *testing.T) {
	for _, c := range []struct {
		name string
		q    Queue
		want int // packets of a burst of 50, each 10 ms long, that come through
	}{
		{"without bound", Queue{}, 50},
		{"8 packets, and the one being sent", Queue{Packets: 8}, 9},
		{"bytes", Queue{Bytes: 5 * 1250}, 6},
		{"a byte too few", Queue{Bytes: 5*1250 - 1}, 5},
		{"time", Queue{Time: 100 * ms}, 11},
		{"the strictest counts", Queue{Packets: 20, Bytes: 1 << 20, Time: 30 * ms}, 4},
	} {
		var r Record
		p := NewPath(&Bottleneck{Schedule: Schedule{{0, 1_000_000}}, Queue: c.q}, Line{}, 1)
		p.Record = &r
		passed := 0
		for i, f := range run(p, 50, 1250, 0) {
			passed += f.Copies
			if (f.Copies == 1) != (i < c.want) {
				t.Fatalf("%s: not the tail is dropped: packet %d", c.name, i)
			}
		}
		if passed != c.want || r.Dropped != 50-c.want || r.Intervals[0].Dropped != 50-c.want {
			t.Errorf("%s: %d came, %d dropped, want %d", c.name, passed, r.Dropped, c.want)
		}
		// When it has drained there is room again for as many.
		again := 0
		for range 50 {
			again += p.Pass(10*time.Second, 1250, 0).Copies
		}
		if again != c.want {
			t.Errorf("%s: %d of the second burst", c.name, again)
		}
	}
}

func TestRateFollowsItsSchedule(t *testing.T) {
	var r Record
	s := Schedule{{0, 1_000_000}, {2 * time.Second, 300_000}, {4 * time.Second, 2_500_000}}
	p := NewPath(&Bottleneck{Schedule: s, Queue: Queue{Time: 300 * ms}}, Line{}, 1)
	p.Record = &r
	run(p, 6000, 500, ms) // 4 Mbit/s for 6 s
	for i, want := range []float64{1_000_000, 1_000_000, 300_000, 300_000, 2_500_000, 2_500_000} {
		from := time.Duration(i) * time.Second
		if got := r.Delivered(from, from+time.Second); math.Abs(got/want-1) > 0.02 {
			t.Errorf("second %d: %v bits, want %v", i, got, want)
		}
	}
	if got := r.Queueing(time.Second, 2*time.Second, 0.5); got < 290*ms || got > 300*ms+4*ms {
		t.Errorf("a full queue of 300 ms delays by %v", got)
	}
}

func TestPathsShareABottleneck(t *testing.T) {
	b := &Bottleneck{Schedule: Schedule{{0, 2_000_000}}, Queue: Queue{Packets: 16}}
	var records [2]Record
	paths := [2]*Path{NewPath(b, Line{Delay: 10 * ms}, 1), NewPath(b, Line{Delay: 100 * ms}, 2)}
	for i := range 20000 {
		n := i % 3 / 2 // the second sends half as much
		paths[n].Record = &records[n]
		paths[n].Pass(time.Duration(i)*500*time.Microsecond, 1000, 0)
	}
	a, c := records[0].Delivered(time.Second, 9*time.Second), records[1].Delivered(time.Second, 9*time.Second)
	if math.Abs((a+c)/16e6-1) > 0.01 {
		t.Errorf("both together got %v bits in 8 s", a+c)
	}
	if a < c*1.2 {
		t.Errorf("who sends twice as much got %v, the other one %v", a, c)
	}
}

func TestLossesAreAsOften(t *testing.T) {
	const n = 200_000
	pattern := func(l Loss, seed uint64) (lost int, bursts []int) {
		run := 0
		for _, f := range lossy(l, seed, n) {
			if f.Copies == 0 {
				lost++
				run++
			} else if run > 0 {
				bursts, run = append(bursts, run), 0
			}
		}
		return lost, bursts
	}
	mean := func(list []int) float64 {
		sum := 0
		for _, v := range list {
			sum += v
		}
		return float64(sum) / float64(len(list))
	}
	for seed := range uint64(3) {
		lost, bursts := pattern(Loss{Random: 0.05}, seed)
		if p := float64(lost) / n; math.Abs(p-0.05) > 0.0025 { // five deviations
			t.Errorf("random: %v", p)
		}
		if m := mean(bursts); math.Abs(m-1/0.95) > 0.02 {
			t.Errorf("random: bursts of %v", m)
		}
		// In the bad state a 1/11 of the time, for 4 packets each time.
		lost, bursts = pattern(Loss{States: States{ToBad: 0.025, ToGood: 0.25, LossBad: 1}}, seed)
		if p := float64(lost) / n; math.Abs(p-1.0/11) > 0.006 {
			t.Errorf("states: %v", p)
		}
		if m := mean(bursts); math.Abs(m-4) > 0.2 {
			t.Errorf("states: bursts of %v", m)
		}
		lost, _ = pattern(Loss{States: States{ToBad: 0.025, ToGood: 0.25, LossGood: 0.01, LossBad: 0.5}}, seed)
		if p, want := float64(lost)/n, 0.5/11+0.01*10/11; math.Abs(p-want) > 0.004 {
			t.Errorf("states with shares: %v, want %v", p, want)
		}
	}
	both, _ := pattern(Loss{Random: 0.05, States: States{ToBad: 0.025, ToGood: 0.25, LossBad: 1}}, 1)
	if p, want := float64(both)/n, 1-0.95*10/11; math.Abs(p-want) > 0.006 {
		t.Errorf("two kinds together: %v, want %v", p, want)
	}
	lost, bursts := pattern(Loss{Burst: Burst{Length: 3, Every: 60}}, 1)
	if lost != n/60*3 || slices.ContainsFunc(bursts, func(b int) bool { return b != 3 }) {
		t.Errorf("bursts: %d lost", lost)
	}
	if lost, _ := pattern(Loss{}, 1); lost != 0 {
		t.Errorf("%d lost of nothing", lost)
	}
}

func lossy(l Loss, seed uint64, n int) []Fate {
	return run(NewPath(nil, Line{Loss: l}, seed), n, 100, ms)
}

func TestJitterKeepsTheOrderUnlessLoose(t *testing.T) {
	const n = 20_000
	for _, loose := range []bool{false, true} {
		all := run(NewPath(nil, Line{Delay: 20 * ms, Jitter: 30 * ms, Loose: loose}, 7), n, 100, 5*ms)
		swapped, sum := 0, 0.0
		for i, f := range all {
			extra := f.Arrivals[0] - time.Duration(i)*5*ms - 20*ms
			if extra < 0 || extra > 30*ms {
				t.Fatalf("loose %v: %v of jitter", loose, extra)
			}
			sum += float64(extra)
			if i > 0 && f.Arrivals[0] < all[i-1].Arrivals[0] {
				swapped++
			}
		}
		switch mean := time.Duration(sum / n); {
		case !loose && swapped > 0:
			t.Errorf("%d packets overtake", swapped)
		case loose && math.Abs(float64(swapped)/n-25.0*25/2/900) > 0.02: // of two uniform numbers, one more than 5/30 above the other
			t.Errorf("%v overtake", float64(swapped)/n)
		case loose && (mean < 14500*time.Microsecond || mean > 15500*time.Microsecond):
			t.Errorf("%v on average", mean)
		}
	}
}

func TestShiftDelaysForATime(t *testing.T) {
	line := Line{Delay: 20 * ms, Shifts: []Shift{{100 * ms, 300 * ms}, {200 * ms, 10 * ms}}}
	for _, line.Loose = range []bool{true, false} {
		for i, f := range run(NewPath(nil, line, 1), 60, 100, 10*ms) {
			at := time.Duration(i) * 10 * ms
			want := at + 20*ms
			switch {
			case at >= 200*ms:
				if want += 10 * ms; !line.Loose {
					want = max(want, 190*ms+320*ms) // behind the last that took longer
				}
			case at >= 100*ms:
				want += 300 * ms
			}
			if f.Arrivals[0] != want {
				t.Fatalf("loose %v: what is sent at %v arrives at %v, want %v", line.Loose, at, f.Arrivals[0], want)
			}
		}
	}
}

func TestReorderAndDuplicateAreShares(t *testing.T) {
	const n = 50_000
	all := run(NewPath(nil, Line{Delay: 20 * ms, Reorder: 0.1, ReorderBy: 12 * ms, Duplicate: 0.02}, 3), n, 100, 5*ms)
	held, twice := 0, 0
	for i, f := range all {
		switch d := f.Arrivals[0] - time.Duration(i)*5*ms; d {
		case 20 * ms:
		case 32 * ms:
			held++
		default:
			t.Fatalf("a delay of %v", d)
		}
		if f.Copies == 2 {
			twice++
			if f.Arrivals[1] != f.Arrivals[0] {
				t.Fatal("the copy comes at another time")
			}
		}
	}
	if math.Abs(float64(held)/n-0.1) > 0.007 || math.Abs(float64(twice)/n-0.02) > 0.0035 {
		t.Errorf("%d held back, %d twice, of %d", held, twice, n)
	}
}

func TestSeedDecidesEverything(t *testing.T) {
	line := Line{Jitter: 10 * ms, Loss: Loss{Random: 0.1, States: States{ToBad: 0.1, ToGood: 0.5, LossBad: 0.5}}, Reorder: 0.1, ReorderBy: ms, Duplicate: 0.1}
	a, b := run(NewPath(nil, line, 5), 2000, 100, ms), run(NewPath(nil, line, 5), 2000, 100, ms)
	if !slices.Equal(a, b) {
		t.Error("the same seed, other fates")
	}
	if slices.Equal(a, run(NewPath(nil, line, 6), 2000, 100, ms)) {
		t.Error("another seed, the same fates")
	}
}

func TestChangeLeavesWhatIsOnTheWay(t *testing.T) {
	b := &Bottleneck{Schedule: Schedule{{0, 100_000}}}
	p := NewPath(b, Line{Delay: 50 * ms}, 1)
	if f := p.Pass(0, 1250, 0); f.Arrivals[0] != 150*ms {
		t.Fatal(f)
	}
	b.Change(Schedule{{0, 1_000_000}}, Queue{}, 0)
	p.Change(Line{})
	// It is sent when the first has left, at the new rate, and does not overtake it.
	if f := p.Pass(10*ms, 1250, 0); f.Arrivals[0] != 150*ms {
		t.Fatal(f)
	}
	if f := p.Pass(200*ms, 1250, 0); f.Arrivals[0] != 210*ms {
		t.Fatal(f)
	}
}

func TestRecordBeginsAnew(t *testing.T) {
	var r Record
	p := NewPath(&Bottleneck{Schedule: Schedule{{0, 1_000_000}}, Mark: 5 * ms}, Line{Delay: 250 * ms, Loss: Loss{Burst: Burst{1, 2}}}, 1)
	p.Record = &r
	p.Pass(0, 1250, 3)
	r.Reset(time.Second)
	p.Pass(950*ms, 1250, 1) // before the begin: arrives after it, and only that is seen
	p.Pass(time.Second, 1250, 2)
	p.Pass(time.Second, 1000, 3)
	if r.Packets != 2 || r.Bytes != [4]int{0, 0, 1250, 1000} || r.Lost != 1 || r.Marked != 1 {
		t.Errorf("%+v", r)
	}
	if in := r.Intervals; len(in) != 3 || in[0].Offered != 2250 || in[0].Lost != 1 || in[0].Wait != 10*ms || in[2].Delivered != 1250 {
		t.Errorf("%+v", in)
	}
	for to, want := range map[time.Duration]time.Duration{time.Second: 0, 1001 * ms: 10 * ms} {
		if q := r.Queueing(0, to, 1); q != want {
			t.Errorf("until %v packets wait %v, want %v", to, q, want)
		}
	}
	if d := r.Delivered(time.Second, 1200*ms); d != 0 {
		t.Errorf("%v before the delay has passed", d)
	}
	p.Pass(3*time.Hour, 100, 0) // beyond what is kept
	if r.Packets != 2 || len(r.Intervals) != 3 {
		t.Errorf("%d packets, %d intervals", r.Packets, len(r.Intervals))
	}
}
