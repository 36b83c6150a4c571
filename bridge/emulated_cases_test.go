package bridge

import (
	"testing"
	"time"

	"parley/internal/netem"
)

// schedule is made of pairs: the second from which on a rate holds, and the rate in Mbit/s.
func schedule(pairs ...float64) (s netem.Schedule) {
	for i := 0; i < len(pairs); i += 2 {
		s = append(s, netem.Step{At: time.Duration(pairs[i] * float64(time.Second)), Rate: netem.Bitrate(pairs[i+1] * 1e6)})
	}
	return s
}

// bottleneck is a case of RFC 8867.
type bottleneck struct {
	name     string
	down, up netem.Schedule
	load     netem.Bitrate // on the way back
	flows    []ways
	least    float64 // part of the capacity
	seeds    []uint64
}

// bottlenecks are RFC 8867 §5.1 to §5.5 and §5.8.
func bottlenecks() []bottleneck {
	const near = 50 * time.Millisecond
	begins := func(delay, start time.Duration) ways { return ways{delay: delay, start: start} }
	return []bottleneck{
		{"capacity varies", schedule(0, 1, 24, 2.5, 36, 0.6, 48, 1), nil, 0, []ways{{delay: near}}, 0.82, []uint64{1, 31}},
		{"capacity varies for two", schedule(0, 4, 12, 2, 24, 3.5, 36, 1, 48, 2), nil, 0, []ways{{delay: near}, {delay: near}}, 0.8, []uint64{1, 27}},
		{"way of the feedback congested", schedule(0, 2, 12, 1, 24, 0.5, 36, 2), schedule(0, 2, 21, 0.8, 42, 2), 900_000, []ways{{delay: near}}, 0.77, []uint64{1}},
		{"three begin one after another", schedule(0, 3.5), nil, 0, []ways{{delay: near}, begins(near, 10*time.Second), begins(near, 20*time.Second)}, 0.83, []uint64{1}},
		{"five delays", schedule(0, 4), nil, 0, []ways{{delay: near / 5}, begins(near/2, 2*time.Second), begins(near, 4*time.Second),
			begins(2*near, 6*time.Second), begins(3*near, 8*time.Second)}, 0.84, []uint64{1}},
		{"one of three pauses", schedule(0, 3.5), nil, 0, []ways{{delay: near, pause: 20 * time.Second, resume: 30 * time.Second}, {delay: near}, {delay: near}}, 0.81, []uint64{1}},
	}
}

// play plays a minute of the case, and answers which part of the capacity is used, the 95th percentile of how long packets wait, and
// Jain's index of what the receivers get in the last two thirds of the time in which all want pictures: 1 when all get the same.
func (c *bottleneck) play(t *testing.T, seed uint64) (use float64, queue time.Duration, jain float64) {
	const length = time.Minute
	n := newNetwork(t, seed, 4, c.down, c.up, c.flows...)
	if c.load > 0 {
		p := netem.NewPath(n.up, netem.Line{}, 1)
		n.every(warm, time.Duration(1200*8*float64(time.Second)/float64(c.load)), func() { p.Pass(n.now, 1200, 0) })
	}
	n.run(warm + length)
	could, got := 0.0, 0.0
	for at := time.Duration(0); at < length; at += netem.Bin {
		could += float64(c.down.Rate(at)) * netem.Bin.Seconds()
	}
	all := time.Duration(0)
	for _, f := range c.flows {
		all = max(all, f.start, f.resume)
	}
	all = (all + (length-all)/3).Truncate(netem.Bin)
	sum, squares := 0.0, 0.0
	for _, r := range n.receivers {
		got += r.down.Record.Delivered(warm, warm+length)
		queue = max(queue, r.down.Record.Queueing(warm, warm+length, 0.95))
		v := r.down.Record.Delivered(warm+all, warm+length)
		sum, squares = sum+v, squares+v*v
	}
	return got / could, queue, sum * sum / squares / float64(len(n.receivers))
}

// What receivers behind a bottleneck get of it in a minute in the layers that there are, and how long their packets wait there. What
// is wanted of the estimate alone is tested beside it; here each step between two layers, each key frame and each probe costs
// besides. A seed is where the cameras begin with their pictures, and all random numbers: the same seed is the same minute.
func TestReceiversUseABottleneck(t *testing.T) {
	for _, c := range bottlenecks() {
		t.Run(c.name, func(t *testing.T) {
			for _, seed := range c.seeds {
				use, queue, jain := c.play(t, seed)
				t.Logf("seed %d: use %.3f, queue p95 %v, fairness %.3f", seed, use, queue, jain)
				if use < c.least || queue > 100*time.Millisecond || jain < 0.7 {
					t.Errorf("seed %d: use %.3f, queue p95 %v, fairness %.3f; want %.2f, 100ms at most, 0.7", seed, use, queue, jain, c.least)
				}
			}
		})
	}
}

// Where four voices leave 57 of 300 kbit/s, or 47 of 290, one picture is seen all the time, a few times a second, and the voices come.
func TestAPictureBesideVoices(t *testing.T) {
	const length = time.Minute
	for seed := uint64(1); seed <= 4; seed++ {
		n := newNetwork(t, seed, 4, schedule(0, [...]float64{0.3, 0.3, 0.29, 0.29}[seed-1]), nil, ways{delay: 50 * time.Millisecond})
		n.run(warm)
		r := n.receivers[0]
		before, shown, frozen := r.voices, 0, 0.0
		n.run(warm + length)
		for _, v := range r.views {
			part, _ := v.sees(warm, warm+length)
			shown, frozen = max(shown, v.shown), max(frozen, part)
		}
		voices := float64(r.voices-before) / (4 * 50 * length.Seconds())
		queue := r.down.Record.Queueing(warm, warm+length, 0.95)
		t.Logf("seed %d: %d pictures of one source, frozen for %.3f of the time, %.3f of the voices, queue p95 %v", seed, shown, frozen, voices, queue)
		if shown < 250 || frozen > 0.15 || voices < 0.985 || queue > 130*time.Millisecond {
			t.Errorf("seed %d: %d pictures of one source, frozen for %.3f of the time, %.3f of the voices, queue p95 %v; want 250, 0.15 at most, 0.985, 130ms at most", seed, shown, frozen, voices, queue)
		}
	}
}

// What somebody sees whose network is good does not depend on the network of another member: the delay of the pictures stays
// within 5 % of what it is when all networks are good, whatever the bridge asks the cameras for on the other's behalf.
func TestABadNetworkIsItsOwnersAlone(t *testing.T) {
	const near, length = 50 * time.Millisecond, 30 * time.Second
	for _, c := range []struct {
		name string
		down float64 // Mbit/s
		loss float64
	}{{"5 % lost", 10, 0.05}, {"10 % lost", 10, 0.1}, {"20 % lost", 10, 0.2}, {"300 kbit/s", 0.3, 0}} {
		t.Run(c.name, func(t *testing.T) {
			var delay [2]time.Duration
			var pictures [2]int
			for i, w := range []ways{{delay: near}, {delay: near, loss: c.loss}} {
				down := schedule(0, 10)
				if i == 1 {
					down = schedule(0, c.down)
				}
				n := newNetwork(t, 1, 4, down, nil, w, ways{delay: near, free: true})
				n.run(warm + length)
				free := n.receivers[1]
				delay[i], pictures[i] = free.late(), free.pictures
			}
			t.Logf("delay p95 %v instead of %v, %d pictures instead of %d", delay[1], delay[0], pictures[1], pictures[0])
			if delay[1] > delay[0]*105/100 || delay[0] > near*105/100 {
				t.Errorf("delay p95 %v instead of %v, of which %v are the way", delay[1], delay[0], near)
			}
			if pictures[1] < pictures[0]*95/100 || pictures[0] < 4*25*int(length.Seconds())*95/100 {
				t.Errorf("%d pictures instead of %d", pictures[1], pictures[0])
			}
		})
	}
}
