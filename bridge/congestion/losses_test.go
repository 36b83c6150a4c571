package congestion

import (
	"math"
	"testing"
	"time"
)

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
