package congestion

import (
	"testing"
	"time"
)

func TestLongQueueIsEmptiedOrFoundToBeOfOthers(t *testing.T) {
	cut := func(g *GCC, at time.Duration) {
		g.control.decreased = at
		g.empty(overuse, at)
	}
	arrives := 600_000
	begin := func(queue time.Duration) *GCC {
		g := NewGCC(Config{Start: 1_000_000})
		g.leastRTT.add(100*ms, 0, leastFor)
		g.delay = queue
		for i := range 40 {
			g.arrived.add(time.Duration(i)*25*ms, arrives/8/40)
		}
		cut(g, 100*second)
		return g
	}
	if g := begin(someQueue - 5*ms); g.drain.on {
		t.Error("a short queue is emptied")
	}
	g := begin(200 * ms)
	if !g.drain.on || g.target() != 500_000 {
		t.Fatalf("not emptied, %v is sent", g.target())
	}
	g.delay = 300 * ms // the cut takes a while to be felt
	g.empty(overuse, 100*second+800*ms)
	if !g.drain.on || g.contest.on {
		t.Error("given up before it could be felt")
	}
	g.delay = 100 * ms
	g.empty(underuse, 101*second)
	if !g.drain.on {
		t.Error("given up though the queue becomes shorter")
	}
	g.delay = 15 * ms
	g.empty(normal, 102*second)
	if g.drain.on || g.target() != 1_000_000 || g.contest.on {
		t.Error("not ended though the queue is empty")
	}

	g = begin(200 * ms) // it stays
	if g.empty(normal, 100*second+950*ms); !g.drain.on || g.drain.rate > 0 || g.contest.on {
		t.Error("given up though it does not stand for long")
	}

	g = begin(200 * ms) // it stays, for longer
	if g.empty(normal, 101*second+100*ms); !g.drain.on || g.contest.on || g.target() > 310_000 {
		// 600 kbit/s arrive: perhaps that is all, now
		t.Errorf("not emptied a second time: %v is sent", g.target())
	}
	g.empty(normal, 102*second)
	g.empty(normal, 102*second+ms)
	if g.drain.on || !g.contest.on || !g.trend.contested || g.target() != 1_000_000 {
		t.Errorf("a queue that stays is not taken for that of others; %v is sent", g.target())
	}
	if cut(g, 105*second); g.drain.on {
		t.Error("emptied again soon")
	}

	arrives = 290_000 // little more than voices
	if g = begin(90 * ms); g.drain.on {
		t.Error("a short queue of voices is emptied")
	}
	if g = begin(200 * ms); !g.drain.on {
		t.Error("a long queue of voices is not emptied")
	}
}

func TestContestBeginsAndEnds(t *testing.T) {
	g := NewGCC(Config{Start: 1_000_000})
	g.leastRTT.add(100*ms, 0, leastFor)
	at := 100 * second
	for i := range 40 {
		g.arrived.add(time.Duration(i)*25*ms, 1_000_000/8/40)
	}
	pass := func(delay time.Duration, span time.Duration) {
		g.delay = delay
		for end := at + span; at < end; at += 50 * ms {
			g.empty(normal, at)
		}
	}
	pass(10*ms, second)
	if pass(55*ms, standingTry-100*ms); g.contest.on || g.drain.on {
		t.Error("taken for a queue of others at once")
	}
	if pass(55*ms, 200*ms); g.contest.on || !g.drain.on {
		t.Error("a queue that stands is not tried to be emptied")
	}
	pass(10*ms, second)
	if g.contest.on || g.drain.on {
		t.Error("it does not end with the queue")
	}
	for begun := at; !g.contest.on && at-begun <= standingFor; {
		pass(60*ms, 50*ms)
	}
	if pass(60*ms, 50*ms); !g.contest.on || !g.trend.contested || g.drain.on || g.target() != 1_000_000 {
		t.Fatal("a queue that stands is not taken for that of others")
	}
	// Half is sent to try whether it is ours. It stays: it is not.
	pass(200*ms, contestTest-500*ms)
	if g.drain.on {
		t.Error("tried at once")
	}
	if pass(200*ms, second); !g.drain.on || g.target() != 500_000 {
		t.Fatal("not tried")
	}
	if pass(180*ms, second); g.drain.on || !g.contest.on {
		t.Fatal("what stays is taken for ours")
	}
	// It empties: it is.
	if pass(200*ms, contestTest-300*ms); !g.drain.on {
		t.Fatal("not tried again")
	}
	for g.drain.on && g.delay > 0 {
		pass(g.delay-25*ms, 50*ms)
	}
	if g.drain.on || g.contest.on {
		t.Fatal("what empties is taken for that of others")
	}
	// Estimators that share a path would each take the queue for that of the others for ever.
	if pass(200*ms, standingFor+200*ms); !g.contest.on {
		t.Fatal("not taken for that of others again")
	}
	for began := g.contest.begun; g.contest.on && g.contest.begun == began; {
		if pass(200*ms, 50*ms); at-began > contestFor+second {
			t.Fatal("taken for that of others for ever")
		}
	}
	pass(200*ms, standingFor+200*ms)
	if pass(10*ms, contestOver+100*ms); g.contest.on {
		t.Error("goes on without a queue")
	}
}

func TestContestIsDecidedByLoss(t *testing.T) {
	g := NewGCC(Config{Start: 1_000_000})
	g.rtt = 200 * ms
	at := 10 * second
	race := func(lost float64, acknowledged float64, room bool) float64 {
		g.contest.lost, g.contest.total = lost, 100
		before := g.control.rate
		at += second
		g.race(acknowledged, room, at)
		return g.control.rate / before
	}
	race(0, 1e6, true)
	if grown := race(0, 2e6, true) - 1; grown < 0.3 || grown > raceMost {
		t.Errorf("grows by %v a second", grown)
	}
	if grown := race(0, 2e6, false); grown != 1 {
		t.Errorf("changed by %v where there is no room", grown)
	}
	if grown := race(0, 5e5, true); grown != 1 {
		t.Errorf("changed by %v without proof", grown)
	}
	if left := race(1, 5e6, true); left != yield {
		t.Errorf("after loss %v is left", left)
	}
	at -= 700 * ms
	if left := race(5, 5e6, false); left != 1 { // 300 ms later
		t.Errorf("cut again within two round trips to %v", left)
	}
	g.control.decreased, g.losses.inherent = 0, 0.05
	if left := race(9, 5e6, false); left != 1 {
		t.Errorf("cut to %v by loss that is always there", left)
	}
	if left := race(11, 5e6, false); left != yield {
		t.Errorf("cut to %v by more loss than is always there", left)
	}
	if race(11, 1e5, false); g.control.rate != 1e5 {
		t.Errorf("%v is left of 100 kbit/s that came", g.control.rate)
	}
}
