package network

import (
	"time"

	"parley/internal/netem"
)

// Case is what happens to whom. Times are those of RFC 8867; a run may be shorter, and all times with it.
type Case struct {
	Name, Title string
	Length      time.Duration
	Down, Up    netem.Schedule // of the bottlenecks that all receivers share; nil: no limit
	Load        netem.Bitrate  // cross traffic on the way up, which does not give way
	Loss        netem.Loss     // on the way down
	Jitter      time.Duration  // on the way down
	Shifts      []netem.Shift  // of the delay on the way down
	Uplink      netem.Schedule // of the first who sends; nil: no path
	Flows       []Flow
	Long        int // TCP connections that send all the time, from the begin
	Short       int // TCP connections that send a little now and then
}

// Flow is one receiver: what comes down to it.
type Flow struct {
	Delay         time.Duration // propagation, each way
	Start         time.Duration // until then it wants no pictures
	Pause, Resume time.Duration // between them too; 0: never
}

const (
	second = time.Second
	milli  = time.Millisecond
	kbit   = netem.Bitrate(1000)
	usual  = 50 * milli // propagation
)

// cases are those of RFC 8867 §5.1 to §5.8, and those of loss.
var cases = []Case{
	{Name: "5.1", Title: "capacity varies", Length: 100 * second, Flows: []Flow{{Delay: usual}},
		Down: netem.Schedule{{At: 0, Rate: 1000 * kbit}, {At: 40 * second, Rate: 2500 * kbit}, {At: 60 * second, Rate: 600 * kbit}, {At: 80 * second, Rate: 1000 * kbit}}},
	{Name: "5.2", Title: "capacity varies for two", Length: 125 * second, Flows: []Flow{{Delay: usual}, {Delay: usual}},
		Down: netem.Schedule{{At: 0, Rate: 4000 * kbit}, {At: 25 * second, Rate: 2000 * kbit}, {At: 50 * second, Rate: 3500 * kbit}, {At: 75 * second, Rate: 1000 * kbit}, {At: 100 * second, Rate: 2000 * kbit}}},
	{Name: "5.3", Title: "way of the feedback congested", Length: 100 * second, Flows: []Flow{{Delay: usual}}, Load: 900 * kbit,
		Down: netem.Schedule{{At: 0, Rate: 2000 * kbit}, {At: 20 * second, Rate: 1000 * kbit}, {At: 40 * second, Rate: 500 * kbit}, {At: 60 * second, Rate: 2000 * kbit}},
		Up:   netem.Schedule{{At: 0, Rate: 2000 * kbit}, {At: 35 * second, Rate: 800 * kbit}, {At: 70 * second, Rate: 2000 * kbit}}},
	{Name: "5.4", Title: "three begin one after another", Length: 120 * second, Down: constant(3500 * kbit),
		Flows: []Flow{{Delay: usual}, {Delay: usual, Start: 20 * second}, {Delay: usual, Start: 40 * second}}},
	{Name: "5.5", Title: "five delays", Length: 300 * second, Down: constant(4000 * kbit),
		Flows: []Flow{{Delay: 10 * milli}, {Delay: 25 * milli, Start: 10 * second}, {Delay: 50 * milli, Start: 20 * second},
			{Delay: 100 * milli, Start: 30 * second}, {Delay: 150 * milli, Start: 40 * second}}},
	{Name: "5.6", Title: "against one TCP", Length: 120 * second, Down: constant(2000 * kbit), Flows: []Flow{{Delay: usual, Start: 5 * second}}, Long: 1},
	{Name: "5.7", Title: "two against short TCPs", Length: 300 * second, Down: constant(2000 * kbit),
		Flows: []Flow{{Delay: usual, Start: 5 * second}, {Delay: usual, Start: 5 * second}}, Short: 10},
	{Name: "5.8", Title: "one of three pauses", Length: 120 * second, Down: constant(3500 * kbit),
		Flows: []Flow{{Delay: usual, Pause: 40 * second, Resume: 60 * second}, {Delay: usual}, {Delay: usual}}},
	lossy(clean, "nothing bad", netem.Loss{}),
	lossy("loss-5", "5 % lost", netem.Loss{Random: 0.05}),
	lossy("loss-10", "10 % lost", netem.Loss{Random: 0.10}),
	lossy("loss-20", "20 % lost", netem.Loss{Random: 0.20}),
	lossy("bursts-3", "3 in a row of 60 lost", netem.Loss{Burst: netem.Burst{Length: 3, Every: 60}}),
	lossy("wifi", "bursts of 8 in 2 %", netem.Loss{States: netem.States{ToBad: 0.0026, ToGood: 0.125, LossBad: 1}}),
	{Name: "300kbit", Title: "300 kbit/s", Length: 60 * second, Down: constant(300 * kbit), Flows: []Flow{{Delay: usual}}},
	{Name: "uplink", Title: "a sender's way up falls", Length: 60 * second, Down: constant(10000 * kbit), Flows: []Flow{{Delay: usual}},
		Uplink: netem.Schedule{{At: 0, Rate: 5000 * kbit}, {At: 20 * second, Rate: 400 * kbit}, {At: 40 * second, Rate: 5000 * kbit}}},
	{Name: "spike", Title: "500 ms longer for 3 s", Length: 60 * second, Down: constant(3000 * kbit), Flows: []Flow{{Delay: usual}},
		Shifts: []netem.Shift{{At: 20 * second, By: 500 * milli}, {At: 23 * second, By: 0}}},
	{Name: "jitter", Title: "30 ms of jitter", Length: 60 * second, Down: constant(2000 * kbit), Flows: []Flow{{Delay: usual}}, Jitter: 30 * milli},
}

// clean is the case that others are compared with for what a bystander sees.
const clean = "clean"

func constant(r netem.Bitrate) netem.Schedule { return netem.Schedule{{At: 0, Rate: r}} }

// lossy is a case in which there is room for everything.
func lossy(name, title string, l netem.Loss) Case {
	return Case{Name: name, Title: title, Length: 60 * second, Down: constant(10000 * kbit), Loss: l, Flows: []Flow{{Delay: usual}}}
}

// takes is how long a run of the case takes; 0 asks for the length in the RFC.
func (c *Case) takes(wish time.Duration) time.Duration {
	if wish == 0 {
		return c.Length
	}
	return wish
}

// scaled is the case with all times so that it takes as long.
func (c Case) scaled(takes time.Duration) Case {
	scale := func(d time.Duration) time.Duration {
		return time.Duration(float64(d) * float64(takes) / float64(c.Length))
	}
	steps := func(s netem.Schedule) (out netem.Schedule) {
		for _, step := range s {
			out = append(out, netem.Step{At: scale(step.At), Rate: step.Rate})
		}
		return out
	}
	out := c
	out.Length, out.Down, out.Up, out.Uplink, out.Flows, out.Shifts = takes, steps(c.Down), steps(c.Up), steps(c.Uplink), nil, nil
	for _, s := range c.Shifts {
		out.Shifts = append(out.Shifts, netem.Shift{At: scale(s.At), By: s.By})
	}
	for _, f := range c.Flows {
		out.Flows = append(out.Flows, Flow{f.Delay, scale(f.Start), scale(f.Pause), scale(f.Resume)})
	}
	return out
}

// active reports that a flow wants pictures at a time.
func (f Flow) active(at time.Duration) bool {
	return at >= f.Start && (f.Resume == 0 || at < f.Pause || at >= f.Resume)
}

// settled is when the last flow has begun for good.
func (c *Case) settled() (at time.Duration) {
	for _, f := range c.Flows {
		at = max(at, f.Start, f.Resume)
	}
	return at
}

// since is the case with the times of its paths counted from a begin.
func (c Case) since(begin time.Duration) Case {
	out := c
	out.Down, out.Up, out.Uplink, out.Shifts = later(c.Down, begin), later(c.Up, begin), later(c.Uplink, begin), nil
	for _, s := range c.Shifts {
		out.Shifts = append(out.Shifts, netem.Shift{At: s.At + begin, By: s.By})
	}
	return out
}

func later(s netem.Schedule, by time.Duration) (out netem.Schedule) {
	for _, step := range s {
		out = append(out, netem.Step{At: step.At + by, Rate: step.Rate})
	}
	return out
}
