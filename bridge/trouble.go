package bridge

import (
	"time"

	"parley/bridge/api"
)

const (
	judgeEvery  = time.Second
	judgeOver   = 5    // judgements that are looked at,
	judgeBad    = 2    // of which so many say the same
	lossBad     = 0.03 // part of the packets
	delayBad    = 150 * time.Millisecond
	lateBad     = 60 * time.Millisecond // by which the bridge's own ticks come late
	judgeLeast  = 20                    // packets a second, of which a loss says something
	delayWindow = 10                    // judgements over which the least delay is remembered
)

// part is a part of the way of media.
type part uint8

const (
	nowhere part = iota
	machine
	upward
	downward
	parts
)

var partNames = [parts]string{"", api.Machine, api.Uplink, api.Downlink}

// delay follows how much later than at best packets of a stream come, in ticks of its clock.
type delay struct {
	begun     bool
	worst     int64 // since the last judgement
	least     int64 // since then
	past      [delayWindow]int64
	at, known int
}

func (d *delay) take(transit int64) {
	if !d.begun {
		d.begun, d.worst, d.least = true, transit, transit
		return
	}
	d.worst, d.least = max(d.worst, transit), min(d.least, transit)
}

// excess is the worst since the last call above the least of the last while, in ticks; none without packets.
func (d *delay) excess() int64 {
	if !d.begun {
		return 0
	}
	worst, least := d.worst, d.least
	for _, past := range d.past[:d.known] {
		least = min(least, past)
	}
	d.past[d.at] = d.least
	d.at = (d.at + 1) % delayWindow
	d.known = min(d.known+1, delayWindow)
	d.begun = false
	return worst - least
}

// judge remembers which part of an endpoint's way was bad lately. Conference.mu guards it.
type judge struct {
	at     time.Time
	recent [judgeOver]uint8 // bits of the parts that were bad
	next   int
	told   part
}

// find is the part that was bad most often of late, of several the one that comes first on the way.
func (j *judge) find() part {
	for p := machine; p < parts; p++ {
		n := 0
		for _, bits := range j.recent {
			n += int(bits >> p & 1)
		}
		if n >= judgeBad {
			return p
		}
	}
	return nowhere
}

// judge looks at what the last second was like for an endpoint, and tells the focus when another part of the way is to blame.
// The caller holds Conference.mu.
func (e *Endpoint) judge(now time.Time, late time.Duration) {
	j := &e.quality
	if now.Sub(j.at) < judgeEvery {
		return
	}
	j.at = now
	upLoss, upDelay := e.in.judge()
	o := &e.out
	o.mu.Lock()
	d := &o.downlink
	downLoss, downDelay := 0.0, time.Duration(0)
	if d.heard {
		downLoss, downDelay = d.state.Loss, d.state.Delay
	}
	q := api.Quality{Conference: e.Conference.ID, Endpoint: e.ID, Session: e.wish.Session, Rate: d.rate()}
	short := o.share.budget > 0
	o.mu.Unlock()

	bits := uint8(0)
	up, down := upLoss >= lossBad || upDelay >= delayBad, downLoss >= lossBad || downDelay >= delayBad || short
	switch {
	case late >= lateBad:
		bits = 1 << machine // it makes everything late
	default:
		if up {
			bits |= 1 << upward
		}
		if down {
			bits |= 1 << downward
		}
	}
	j.recent[j.next] = bits
	j.next = (j.next + 1) % judgeOver
	p := j.find()
	switch p {
	case upward:
		q.Loss, q.Delay = upLoss, upDelay.Milliseconds()
	case downward:
		q.Loss, q.Delay = downLoss, downDelay.Milliseconds()
	case machine:
		q.Delay = late.Milliseconds()
	}
	if q.Part = partNames[p]; p != j.told {
		j.told = p
		for _, o := range e.Conference.order {
			o.out.mu.Lock()
			o.out.share.news = true
			o.out.mu.Unlock()
		}
		e.bridge().event(api.Event{Quality: &q})
	}
}

// judge returns how much was lost since the last call of the stream that lost most, and by how much it came late. Delay is
// judged by audio: what pictures wait for the sender's own pacer says nothing of the way.
func (i *ingress) judge() (loss float64, late time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, of := range i.table {
		s := of.stream
		if of.repair || !s.reception.active {
			continue
		}
		r := &s.reception
		total := r.highest - r.base + 1
		if expected, lost := total-r.judged, total-r.judged-(r.received-r.judgedReceived); expected >= judgeLeast && lost > 0 {
			loss = max(loss, float64(lost)/float64(expected))
		}
		r.judged, r.judgedReceived = total, r.received
		if ticks := r.delay.excess(); !s.source.video && s.clock > 0 {
			late = max(late, time.Duration(ticks)*time.Second/time.Duration(s.clock))
		}
	}
	return loss, late
}
