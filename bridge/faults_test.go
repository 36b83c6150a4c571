package bridge

import (
	"testing"
	"time"

	"parley/bridge/api"
	"parley/internal/netem"
)

// seeded is a fault of a part of the way from a to r0: the paths of these two are changed, the bridge is stopped now and then, or
// the relay in front of one of them says that the losses are its own.
type seeded struct {
	rate    netem.Schedule
	line    netem.Line
	stopped func(now time.Duration) bool
	drops   bool // what is lost is what the relay dropped
	full    bool // the kernel has no room for one of ten datagrams
}

const emulatedDelay = 50 * time.Millisecond

var (
	tight  = netem.Schedule{{Rate: 500_000}}
	lossy  = netem.Line{Loss: netem.Loss{Random: 0.1}}
	bursts = netem.Line{Loss: netem.Loss{Burst: netem.Burst{Length: 8, Every: 200}}}
	spike  = netem.Line{Shifts: []netem.Shift{{At: 0, By: 500 * time.Millisecond}, {At: 3 * time.Second}}}
)

// stalls are of a radio that others keep busy for 200 of 800 ms.
func stalls() (s netem.Schedule) {
	for at := time.Duration(0); at < 8*time.Second; at += 800 * time.Millisecond {
		s = append(s, netem.Step{At: at}, netem.Step{At: at + 200*time.Millisecond, Rate: 20_000_000})
	}
	return s
}

// Whatever goes wrong on the way from one to another, the part where it does is named within five seconds, before any other and
// alone; and when it is well again that is said too.
func TestSeededFaultsAreNamed(t *testing.T) {
	now := func(late time.Duration) func(time.Duration) bool {
		return func(at time.Duration) bool { return at%(late+50*time.Millisecond) < late }
	}
	for name, f := range map[string]struct {
		up, down seeded
		part     string
	}{
		"nothing":                                        {},
		"a sender's uplink is narrow":                    {seeded{rate: tight}, seeded{}, api.Uplink},
		"a receiver's downlink is narrow":                {seeded{}, seeded{rate: tight}, api.Downlink},
		"the bridge is stopped now and then":             {seeded{stopped: now(150 * time.Millisecond)}, seeded{}, api.Machine},
		"the bridge's sockets overflow":                  {seeded{full: true, line: lossy}, seeded{}, api.Machine},
		"loss one way, up":                               {seeded{line: lossy}, seeded{}, api.Uplink},
		"loss one way, down":                             {seeded{}, seeded{line: lossy}, api.Downlink},
		"a delay spike up":                               {seeded{line: spike}, seeded{}, api.Uplink},
		"a delay spike down":                             {seeded{}, seeded{line: spike}, api.Downlink},
		"bursts up":                                      {seeded{line: bursts}, seeded{}, api.Uplink},
		"bursts down":                                    {seeded{}, seeded{line: bursts}, api.Downlink},
		"stalls up":                                      {seeded{rate: stalls()}, seeded{}, api.Uplink},
		"stalls down":                                    {seeded{}, seeded{rate: stalls()}, api.Downlink},
		"the relay drops what goes up":                   {seeded{line: lossy, drops: true}, seeded{}, api.Relay},
		"the relay drops what goes down":                 {seeded{}, seeded{line: lossy, drops: true}, api.Relay},
		"behind a relay that is well, a narrow uplink":   {seeded{rate: tight, drops: true}, seeded{}, api.Uplink},
		"behind a relay that is well, a narrow downlink": {seeded{}, seeded{rate: tight, drops: true}, api.Downlink},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			play(t, 1, f.up, f.down, f.part)
		})
	}
}

// play plays eight seconds of a fault.
func play(t *testing.T, seed uint64, up, down seeded, part string) {
	t.Helper()
	wide := netem.Schedule{{Rate: 20_000_000}}
	n := newNetwork(t, seed, 2, wide, nil, ways{delay: emulatedDelay})
	above := &netem.Bottleneck{Schedule: wide, Queue: n.down.Queue}
	uplink := netem.NewPath(above, netem.Line{Delay: emulatedDelay}, seed)
	n.uplinks = map[string]*netem.Path{"a": uplink}
	uplink.Record = new(netem.Record)
	r := n.receivers[0]
	n.numbers, n.relays = make(map[string]uint16), make(map[string]*Carried)
	for id, f := range map[string]seeded{"a": up, r.id: down} {
		switch {
		case f.drops && f.line.Loss != (netem.Loss{}):
			n.relays[id] = new(Carried)
		case f.drops: // what the path does is none of the relay's
			n.every(0, 100*time.Millisecond, func() { n.relays[id] = new(Carried{Taken: uint64(n.now / time.Millisecond)}) })
		}
	}
	n.w.bridge.config.Relayed = func(e *Endpoint) (r Relayed, ok bool) {
		if c := n.relays[e.ID]; c != nil {
			return map[string]Relayed{"a": {Up: *c}, "r0": {Down: *c}}[e.ID], true
		}
		return r, false
	}
	var taken Carried
	n.every(0, 100*time.Millisecond, func() {
		if taken.Taken += 90; up.full && n.now > healthy {
			taken.Dropped += 10
		}
	})
	n.w.bridge.config.Taken = func() Carried { return taken }
	change := func(p *netem.Path, b *netem.Bottleneck, f seeded) {
		rate, line := wide, f.line
		if f.rate != nil {
			rate = nil
			for _, s := range f.rate {
				rate = append(rate, netem.Step{At: s.At + n.now, Rate: s.Rate})
			}
		}
		line.Delay, line.Shifts = emulatedDelay, nil
		for _, s := range f.line.Shifts {
			line.Shifts = append(line.Shifts, netem.Shift{At: s.At + n.now, By: s.By})
		}
		b.Change(rate, n.down.Queue, 0)
		p.Change(line)
	}
	n.run(healthy)
	said, first, blamed := 0, time.Duration(0), make(map[string]string)
	watch := func(until time.Duration, wrong bool) {
		for n.now < until {
			n.run(n.now + 100*time.Millisecond)
			for ; said < len(n.w.events); said++ {
				q := n.w.events[said].Quality
				if q == nil {
					continue
				}
				blamed[q.Endpoint] = q.Part
				of := map[string]string{api.Uplink: "a", api.Downlink: "r0", api.Machine: q.Endpoint, api.Relay: "a"}[q.Part]
				if down.drops && q.Part == api.Relay {
					of = "r0"
				}
				switch {
				case q.Part == "":
				case wrong && (q.Part != part || q.Endpoint != of):
					t.Errorf("seed %d: %v after the begin, %s of %s is named: %+v", seed, n.now-healthy, q.Part, q.Endpoint, *q)
				case first == 0:
					first = n.now - healthy
				}
			}
		}
	}
	n.w.events = nil
	change(uplink, above, up)
	change(r.down, n.down, down)
	if up.stopped != nil {
		n.stopped = func() bool { return up.stopped(n.now) }
	}
	watch(healthy+8*time.Second, true)
	if (part == "") != (first == 0) || first > 5*time.Second {
		t.Errorf("seed %d: it takes %v until a part is named", seed, first)
	}
	n.stopped, up.full = nil, false
	change(uplink, above, seeded{})
	change(r.down, n.down, seeded{})
	watch(healthy+40*time.Second, false)
	for endpoint, part := range blamed {
		if part != "" {
			t.Errorf("seed %d: in the end %s of %s is named", seed, part, endpoint)
		}
	}
}

const healthy = 12 * time.Second
