package bridge

import (
	"time"

	"parley/bridge/congestion"
)

// evidence is what a direction of an endpoint's way was like in the last second.
type evidence struct {
	loss float64       // part of the packets; of a single stream, if that is more
	all  float64       // part of all packets
	rows float64       // part of them that were lost in rows
	late time.Duration // by which they came late, or waited in a queue
	rate int64         // bit/s that the way is taken for; only downward
}

func (e *evidence) bad() bool { return e.loss >= lossBad || e.rows >= rowsBad || e.late >= delayBad }

// without says that nothing is bad if a part of the packets is taken as lost elsewhere.
func (e *evidence) without(part float64) bool { return e.all-part < lossBad && e.late < delayBad }

// tally counts packets since a begin, what was lost of them, and in rows of at least congestion.RowLeast.
type tally struct{ expected, lost, rows int64 }

func (t *tally) add(o tally) {
	t.expected, t.lost, t.rows = t.expected+o.expected, t.lost+o.lost, t.rows+o.rows
}

// since is what came after another tally.
func (t tally) since(o tally) tally {
	if t.expected < o.expected {
		return t // it began anew
	}
	return tally{t.expected - o.expected, t.lost - o.lost, t.rows - o.rows}
}

// shares are the parts that were lost. What was missing in a row and came after all was not lost.
func (t tally) shares() (loss, rows float64) {
	if t.expected < judgeLeast || t.lost <= 0 {
		return 0, 0
	}
	return float64(t.lost) / float64(t.expected), float64(min(t.rows, t.lost)) / float64(t.expected)
}

// rows counts packets that were missing in rows in transport-wide numbers, when the one behind them came.
type rows struct {
	begun        bool
	newest       uint16
	lost, judged int64
}

func (r *rows) take(number uint16) {
	ahead := int64(int16(number - r.newest))
	switch {
	case !r.begun:
		r.begun, r.newest = true, number
	case ahead > 0:
		if r.newest = number; ahead > congestion.RowLeast {
			r.lost += ahead - 1
		}
	}
}

// evidence is of what the endpoint sent since the last call: of all of it, or of the stream that lost most. Delay is judged by audio: what pictures wait for the sender's own
// pacer says nothing of the way.
func (i *ingress) evidence() (v evidence) {
	i.mu.Lock()
	defer i.mu.Unlock()
	var all tally
	for _, of := range i.table {
		s := of.stream
		if of.repair || !s.reception.active {
			continue
		}
		r := &s.reception
		now := r.tally()
		one := now.since(r.judged)
		all.add(one)
		r.judged = now
		if one.lost >= judgeFew {
			loss, _ := one.shares()
			v.loss = max(v.loss, loss)
		}
		if ticks := r.delay.excess(); !s.source.video && s.clock > 0 {
			v.late = max(v.late, time.Duration(ticks)*time.Second/time.Duration(s.clock))
		}
	}
	all.rows = max(all.rows, i.rows.lost-i.rows.judged) // a row may be one of several streams
	i.rows.judged = i.rows.lost
	v.all, v.rows = all.shares()
	v.loss = max(v.loss, v.all)
	return v
}

// evidence is of what was sent to the endpoint since the last judgement, as its feedback says, and whether the estimate has no
// room for all that is wanted.
func (o *egress) evidence(j *judge) (v evidence, short bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	d := &o.downlink
	v.rate = d.rate()
	if d.heard {
		f := d.state.Fates
		now := tally{f.Total, f.Lost, f.InRows}
		v.all, v.rows = now.since(j.fates).shares()
		v.loss, v.late, j.fates = v.all, d.state.Delay, now
	}
	return v, o.share.budget > 0 && d.assumed <= 0 // which is the client's own wish
}

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
