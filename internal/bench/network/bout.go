package network

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"parley/internal/netem"
	"parley/internal/peertest/jitsipeer"
)

// lines are the paths and bottlenecks of a case.
type lines struct {
	queue    netem.Queue
	mark     time.Duration
	down, up *netem.Bottleneck
	uplink   *netem.Bottleneck // of the first sender
	sender   netem.Ways
	other    netem.Ways // of a bystander
	flows    []netem.Ways
	load     netem.Ways // of TCP, or of cross traffic
	records  []*netem.Record
	loads    *netem.Record
}

// lay makes the paths as they are at the case's begin, without losses.
func (o *Options) lay(c Case, seed uint64) *lines {
	l := &lines{queue: netem.Queue{Time: o.Queue, Packets: o.Packets}, mark: o.Mark, down: new(netem.Bottleneck), up: new(netem.Bottleneck), uplink: new(netem.Bottleneck), loads: new(netem.Record)}
	first := func(s netem.Schedule) netem.Schedule { return s[:min(len(s), 1)] }
	l.down.Change(first(c.Down), l.queue, l.mark)
	l.up.Change(first(c.Up), l.queue, l.mark)
	l.uplink.Change(first(c.Uplink), l.queue, l.mark)
	ways := func(delay time.Duration, seed uint64) netem.Ways {
		return netem.Ways{Up: netem.NewPath(l.up, netem.Line{Delay: delay}, seed), Down: netem.NewPath(l.down, netem.Line{Delay: delay}, seed+1)}
	}
	for i, f := range c.Flows {
		w := ways(f.Delay, seed+2*uint64(i))
		w.Down.Record = new(netem.Record)
		l.flows, l.records = append(l.flows, w), append(l.records, w.Down.Record)
	}
	l.sender = netem.Ways{Up: netem.NewPath(l.uplink, netem.Line{Delay: usual}, ^seed), Down: netem.NewPath(nil, netem.Line{Delay: usual}, ^seed-1)}
	l.other = netem.Ways{Up: netem.NewPath(nil, netem.Line{Delay: usual}, ^seed-2), Down: netem.NewPath(nil, netem.Line{Delay: usual}, ^seed-3)}
	l.load = ways(usual, seed+2*uint64(len(c.Flows)))
	l.load.Down.Record = l.loads
	return l
}

// begin begins the case: with the driver's lock held.
func (l *lines) begin(c Case, now time.Duration) {
	c = c.since(now)
	l.down.Change(c.Down, l.queue, l.mark)
	l.up.Change(c.Up, l.queue, l.mark)
	l.uplink.Change(c.Uplink, l.queue, l.mark)
	for i, w := range l.flows {
		w.Down.Change(netem.Line{Delay: c.Flows[i].Delay, Jitter: c.Jitter, Shifts: c.Shifts, Loss: c.Loss})
		w.Down.Record.Reset(now)
	}
	l.loads.Reset(now)
}

// action is something that a receiver is told while the case goes on.
type action struct {
	at    time.Duration
	flow  int
	lastN int
}

func (c *Case) actions() (all []action) {
	for i, f := range c.Flows {
		all = append(all, action{f.Start, i, -1})
		if f.Resume > 0 {
			all = append(all, action{f.Pause, i, 0}, action{f.Resume, i, -1})
		}
	}
	slices.SortStableFunc(all, func(a, b action) int { return int(a.at - b.at) })
	return all
}

// play runs one case against one build and returns what was recorded.
func (o *Options) play(ctx context.Context, b build, c Case, dir string, seed uint64) (out course, err error) {
	if (c.Long > 0 || c.Short > 0) && !o.TUN {
		return out, errors.New("TCP takes --tun")
	}
	p, err := newPlace(ctx, o, b, dir, seed, 0)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	l := o.lay(c, seed)
	senders, receivers, other, err := o.gather(p, c, l)
	if err != nil {
		return out, err
	}
	run, stop := context.WithCancel(ctx)
	var t *loads
	if c.Long > 0 || c.Short > 0 {
		sink, err := p.host(len(c.Flows), l.load)
		if err == nil {
			t, err = startLoads(run, p.home, sink)
		}
		if err != nil {
			stop()
			return out, err
		}
		defer t.close()
	}
	defer stop()      // before t.close
	if other != nil { // whose own beginning is not what it is there for
		if err := other.tell(order{Do: "want", LastN: -1}); err != nil {
			return out, err
		}
	}
	if err := sleep(ctx, o.Warm); err != nil {
		return out, err
	}
	for _, h := range slices.Concat(senders, receivers) {
		if err := h.tell(order{Do: "reset"}); err != nil { // what was heard before
			return out, err
		}
	}
	if other != nil {
		if err := other.tell(order{Do: "reset"}); err != nil {
			return out, err
		}
	}
	p.driver.Lateness()
	begin := time.Now()
	p.driver.With(func(now time.Duration) { l.begin(c, now) })
	if t != nil {
		t.run(run, c, seed)
	}
	if c.Load > 0 {
		p.done.Go(func() { push(run, p.driver, l.load.Up, c.Load) })
	}
	for _, a := range c.actions() {
		if err := sleep(ctx, a.at-time.Since(begin)); err != nil {
			return out, err
		}
		if err := receivers[a.flow].tell(order{Do: "want", LastN: a.lastN}); err != nil {
			return out, err
		}
	}
	if err := sleep(ctx, c.Length-time.Since(begin)); err != nil {
		return out, err
	}
	return o.collect(p, c, l, senders, receivers, other)
}

// collect takes what was recorded, and what the receivers say.
func (o *Options) collect(p *place, c Case, l *lines, senders, receivers []*handle, other *handle) (out course, err error) {
	out = course{Case: c, Senders: o.Senders, Queue: o.Queue, Offer: o.offer(), Lateness: p.driver.Lateness()}
	p.driver.With(func(time.Duration) {
		for _, r := range l.records {
			out.Flows = append(out.Flows, clone(r))
		}
		out.Load = clone(l.loads)
	})
	for _, h := range senders {
		r, err := h.ask(order{Do: "report"})
		if err != nil {
			return out, err
		}
		out.Keyed += r.Keyed
	}
	for _, h := range receivers {
		r, err := h.ask(order{Do: "report"})
		if err != nil {
			return out, err
		}
		out.Reports = append(out.Reports, r)
	}
	if other != nil {
		out.Bystander, err = other.ask(order{Do: "report"})
	}
	return out, err
}

// gather brings all members into a conference, a bystander too if one is wished. They want no pictures yet.
func (o *Options) gather(p *place, c Case, l *lines) (senders, receivers []*handle, other *handle, err error) {
	for i := range o.Senders {
		spec := memberSpec{Room: "bench", Nick: fmt.Sprintf("sender%d", i+1), Camera: o.camera(), Microphone: &jitsipeer.Audio{Level: 30 + 10*i}}
		start := p.sender
		if i == 0 && c.Uplink != nil {
			start = func(s memberSpec) (*handle, error) { return p.behind(len(c.Flows)+1, s, l.sender) }
		}
		h, err := start(spec)
		if err != nil {
			return nil, nil, nil, err
		}
		senders = append(senders, h)
	}
	for i := range c.Flows {
		h, err := p.behind(i, memberSpec{Room: "bench", Nick: fmt.Sprintf("receiver%d", i+1), Browser: i == 0 && o.Chromium != ""}, l.flows[i])
		if err != nil {
			return nil, nil, nil, err
		}
		receivers = append(receivers, h)
	}
	if o.Bystander {
		if other, err = p.behind(len(c.Flows)+2, memberSpec{Room: "bench", Nick: "bystander"}, l.other); err != nil {
			return nil, nil, nil, err
		}
	}
	for _, h := range p.members {
		if err := h.tell(order{Do: "media"}); err != nil {
			return nil, nil, nil, err
		}
	}
	return senders, receivers, other, nil
}

// Pictures of a camera.
const frameRate = 25

var layerRates = []netem.Bitrate{150 * kbit, 500 * kbit, 1800 * kbit}

// camera sends pictures in three sizes.
func (o *Options) camera() *jitsipeer.Video {
	v := &jitsipeer.Video{Codec: jitsipeer.Codec(o.Codec), Heights: []int{184, 360, 720}, FPS: frameRate}
	if o.Chromium != "" { // it has to decode them
		v.Heights, v.Grey = []int{88, 184, 360}, true
	}
	for i, r := range layerRates {
		if i > 0 && (o.Codec == "VP9" || o.Codec == "AV1") {
			r -= layerRates[i-1] // a layer comes on top of those below it
		}
		v.Sizes = append(v.Sizes, int(r/8/frameRate))
	}
	return v
}

// offer is what one receiver can get at most, in bits a second on the wire: the packets of all cameras in full size and of all
// microphones, with their headers.
func (o *Options) offer() float64 {
	const voice = 50 * (80 + 28 + 28 + 16) * 8
	const packet, heads = 1100, 28 + 32 + 16
	return float64(o.Senders) * (float64(layerRates[2])*(1+float64(heads)/packet) + voice)
}

func clone(r *netem.Record) *netem.Record {
	out := *r
	out.Intervals, out.Waits = slices.Clone(r.Intervals), slices.Clone(r.Waits)
	return &out
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
