package network

import (
	"time"

	"parley/bridge/api"
	"parley/internal/netem"
)

// Fault is one that is seeded into a conference where all is well, and the part of the way that the server has to name for it.
// All members send and receive; the first one is behind paths, and what happens there happens to it alone.
type Fault struct {
	Name, Title string
	Part        string        // to be named: a part of the first member's way, or the bridge
	Takes       time.Duration // 0: faultTime
	Up, Down    harm
	Duty        duty
	Relay       netem.Bitrate // that the server's relay lets through: the first member comes over it, and wants pictures once the fault begins
}

// harm is what happens to a path. Times count from the begin of the fault.
type harm struct {
	Rate   netem.Schedule // nil: wideRate
	Loss   netem.Loss
	Shifts []netem.Shift
}

const (
	wideRate  = 20_000 * kbit // of a path on which nothing happens
	faultTime = 8 * second
	inTime    = 5 * second // to name a part
	quietTime = 3 * second // without any part named, before a fault is seeded
	calmTime  = 30 * second
	healTime  = 15 * second // at most, until no part is named any more
)

var (
	little = constant(500 * kbit)
	some   = netem.Loss{Random: 0.1}
	spike  = []netem.Shift{{At: 0, By: 500 * milli}, {At: 3 * second, By: 0}}
	wifi   = netem.Loss{States: netem.States{ToBad: 0.0052, ToGood: 0.125, LossBad: 1}}
)

// faults are the places and the kinds of what goes wrong.
var faults = []Fault{
	{Name: "fault-uplink", Title: "a sender's way up falls to 500 kbit/s", Part: api.Uplink, Up: harm{Rate: little}},
	{Name: "fault-bridge", Title: "the bridge runs 50 of 200 ms", Part: api.Machine, Duty: duty{Stopped: 150 * milli, Running: 50 * milli}},
	{Name: "fault-downlink", Title: "a receiver's way down falls to 500 kbit/s", Part: api.Downlink, Down: harm{Rate: little}},
	{Name: "fault-loss-up", Title: "10 % lost, on the way up alone", Part: api.Uplink, Up: harm{Loss: some}},
	{Name: "fault-loss-down", Title: "10 % lost, on the way down alone", Part: api.Downlink, Down: harm{Loss: some}},
	{Name: "fault-spike-up", Title: "500 ms longer up for 3 s", Part: api.Uplink, Up: harm{Shifts: spike}},
	{Name: "fault-spike-down", Title: "500 ms longer down for 3 s", Part: api.Downlink, Down: harm{Shifts: spike}},
	{Name: "fault-wifi-up", Title: "bursts of 8, 4 % in all, lost on the way up", Part: api.Uplink, Up: harm{Loss: wifi}},
	{Name: "fault-wifi-down", Title: "bursts of 8, 4 % in all, lost on the way down", Part: api.Downlink, Down: harm{Loss: wifi}},
	{Name: "fault-stalls-up", Title: "nothing passes up for 200 of 800 ms", Part: api.Uplink, Up: harm{Rate: stalls()}},
	{Name: "fault-stalls-down", Title: "nothing passes down for 200 of 800 ms", Part: api.Downlink, Down: harm{Rate: stalls()}},
	{Name: "fault-relay", Title: "the server's relay lets 1 Mbit/s through", Part: api.Relay, Relay: 1000 * kbit},
}

// stalls are those of a radio that others keep busy.
func stalls() (s netem.Schedule) {
	for at := time.Duration(0); at < faultTime; at += 800 * milli {
		s = append(s, netem.Step{At: at, Rate: 0}, netem.Step{At: at + 200*milli, Rate: wideRate})
	}
	return s
}

// put does the harm to a path, from now on.
func (h harm) put(p *netem.Path, b *netem.Bottleneck, q netem.Queue, now time.Duration) {
	rate := constant(wideRate)
	if h.Rate != nil {
		rate = later(h.Rate, now)
	}
	b.Change(rate, q, 0)
	line := netem.Line{Delay: usual, Loss: h.Loss}
	for _, s := range h.Shifts {
		line.Shifts = append(line.Shifts, netem.Shift{At: s.At + now, By: s.By})
	}
	p.Change(line)
}

// chosenFaults are those of a name: one, or with "faults" all.
func chosenFaults(name string) (list []Fault) {
	for _, f := range faults {
		if name == "faults" || name == f.Name {
			list = append(list, f)
		}
	}
	return list
}
