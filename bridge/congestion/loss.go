package congestion

import (
	"math"
	"time"
)

const (
	windows        = 20                     // observations that are compared
	windowsKept    = 10 * time.Second       // an older observation says nothing
	windowSpan     = 250 * time.Millisecond // of an observation, by the time of sending, at least
	windowLong     = time.Second            // after which fewer packets are enough
	windowLeast    = 20                     // packets of an observation
	windowFew      = 5
	fading         = 0.9 // weight of an observation relative to the next
	suspicion      = 4   // by which the likelihood's logarithm must be better with a capacity than without not to rise ...
	evidence       = 8   // by which the likelihood's logarithm must be better with a capacity than without
	candidateLeast = 0.1 // of the highest rate observed
	candidateStep  = 0.88
	tolerance      = 0.02 // more loss than inherent that does not confirm a bound
	relief         = 1.05 // growth of the bound by each observation that does not confirm it
	surprise       = 0.05 // more loss than before in two observations ...
	shock          = 0.20 // ... or in one makes an experiment
	trial          = 2    // observations that an experiment lasts
	trialPart      = 0.9  // of what arrived is sent meanwhile
	unlikely       = 1e-4
	maximisation   = 3 // steps
)

// observation is what became of the packets of a quarter of a second.
type observation struct {
	at          time.Duration // sent
	lost, total float64       // packets
	rate        float64       // bit/s sent
}

// losses bounds the rate where loss grows with it. The model is that of a path that loses a part of all packets whatever
// happens, as radio does, and besides what exceeds its capacity. Whether observations at several rates are better explained
// with a capacity or without is a question of likelihood; without clear evidence there is no bound, so that random loss does
// not lower the rate. Loss that rises suddenly tells nothing as long as the rate stays: then the rate is lowered for half a
// second, as an experiment.
type losses struct {
	seen     [windows]observation
	count    int
	inherent float64 // part that is lost at any rate
	bound    float64 // bit/s; 0: none
	doubt    float64 // bit/s: a capacity that explains the losses a little better; 0: none

	open       bool
	from       sent // the packet before the observation
	lost, part int

	trying int           // observations left of the experiment
	before float64       // rate before it
	cutAt  time.Duration // when it began
}

// verdict is what the rate control has to know of an observation.
type verdict uint8

const (
	nothing verdict = iota
	lower           // to the bound
	restore         // to before: the loss has nothing to do with the rate
)

// add takes the fate of a packet, in order of sending, that became known at a time while rate was allowed.
func (l *losses) add(p *sent, gone bool, rate float64, at time.Duration) verdict {
	if !l.open || p.at < l.from.at {
		l.open, l.from, l.lost, l.part = true, *p, 0, 0
		return nothing
	}
	l.part++
	if gone {
		l.lost++
	}
	passed := p.at - l.from.at
	if passed < windowSpan || l.part < windowLeast && (passed < windowLong || l.part < windowFew) {
		return nothing
	}
	o := observation{at: p.at, lost: float64(l.lost), total: float64(l.part), rate: float64(p.total-l.from.total) * 8 / passed.Seconds()}
	before := l.from.at < l.cutAt
	l.from, l.lost, l.part = *p, 0, 0
	if l.trying > 0 && before { // sent before the experiment
		return lower
	}
	v := l.observe(o, rate)
	if v == lower && l.trying == trial {
		l.cutAt = at
	}
	return v
}

// cut takes a rate to which it was lowered for a queue: an experiment that ends does not bring back what there was no room for.
func (l *losses) cut(rate float64) { l.before = min(l.before, rate) }

// found takes back that a packet of late was lost.
func (l *losses) found() { l.lost = max(l.lost-1, 0) }

// back is the i-th observation before the newest.
func (l *losses) back(i int) *observation { return &l.seen[(l.count-1-i)%windows] }

// kept is how many observations are young enough.
func (l *losses) kept() int {
	for i := range min(l.count, windows) {
		if l.back(0).at-l.back(i).at > windowsKept {
			return i
		}
	}
	return min(l.count, windows)
}

// observe takes an observation, made while rate was allowed.
func (l *losses) observe(o observation, rate float64) verdict {
	l.seen[l.count%windows] = o
	l.count++
	if l.trying == 0 && l.surprising() {
		// What was before belongs to another path; keep what surprised.
		o = *l.back(0)
		l.seen[0], l.count = o, 1
		l.before, l.trying, l.doubt = rate, trial, 0
		l.bound = o.rate * (1 - o.lost/o.total) * trialPart
		return lower
	}
	if l.trying > 0 {
		if l.trying--; l.trying > 0 {
			return lower
		}
		l.bound = 0
		if l.judge() {
			return lower
		}
		return restore
	}
	judged := l.judge()
	if l.bound == 0 {
		return nothing
	}
	if judged && o.lost > o.total*(l.inherent+tolerance) {
		return lower
	}
	if l.bound *= relief; l.bound > headroom*rate {
		l.bound = 0
	}
	return nothing
}

// surprising says that the newest observations lost more than those before let expect.
func (l *losses) surprising() bool {
	exceeds := func(n int, by float64) bool {
		if l.kept() < n {
			return false
		}
		var lost, total float64
		for i := range n {
			lost += l.back(i).lost
			total += l.back(i).total
		}
		expected := total * l.inherent
		return lost/total > l.inherent+by && lost-expected > 4+3*math.Sqrt(expected*(1-l.inherent))
	}
	return exceeds(1, shock) || exceeds(2, surprise)
}

// judge compares the explanations, and sets the bound when one with a capacity is clearly the better.
func (l *losses) judge() bool {
	var fastest, lost float64
	n := l.kept()
	for i := range n {
		fastest = max(fastest, l.back(i).rate)
		lost += l.back(i).lost
	}
	inherent, score := l.fit(n, math.Inf(1))
	l.inherent = inherent
	l.doubt = 0
	if lost < suspicion { // so few that nothing could be told
		return false
	}
	best, with, capacity := math.Inf(-1), 0.0, 0.0
	for part := 1.0; part > candidateLeast; part *= candidateStep {
		if i, s := l.fit(n, part*fastest); s > best {
			best, with, capacity = s, i, part*fastest
		}
	}
	if best-score >= suspicion {
		l.doubt = capacity
	}
	if best-score < evidence {
		return false
	}
	l.inherent = with
	if l.bound == 0 || capacity < l.bound {
		l.bound = capacity
	}
	return true
}

// fit finds the inherent loss that explains the newest n observations best, given the capacity, by expectation maximisation,
// and the logarithm of the likelihood then.
func (l *losses) fit(n int, capacity float64) (inherent, score float64) {
	var lost, total float64
	for i, w := 0, 1.0; i < n; i, w = i+1, w*fading {
		lost += w * l.back(i).lost
		total += w * l.back(i).total
	}
	inherent = max(lost/total, unlikely)
	for range maximisation {
		var own float64 // lost packets that would have been lost at any rate
		for i, w := 0, 1.0; i < n; i, w = i+1, w*fading {
			o := l.back(i)
			own += w * o.lost * inherent / o.chance(capacity, inherent)
		}
		inherent = max(own/total, unlikely)
	}
	for i, w := 0, 1.0; i < n; i, w = i+1, w*fading {
		o := l.back(i)
		p := o.chance(capacity, inherent)
		score += w * (o.lost*math.Log(p) + (o.total-o.lost)*math.Log1p(-p))
	}
	return inherent, score
}

// chance is that of a packet to be lost.
func (o *observation) chance(capacity, inherent float64) float64 {
	excess := 0.0
	if o.rate > capacity {
		excess = 1 - capacity/o.rate
	}
	return min(max(1-(1-inherent)*(1-excess), unlikely), 1-unlikely)
}

// room is the rate up to which nothing speaks against rising.
func (l *losses) room() float64 {
	room := math.Inf(1)
	if l.bound > 0 {
		room = l.bound
	}
	if l.doubt > 0 {
		room = min(room, l.doubt)
	}
	return room
}

// clean says that the newest observations lost no more than is lost at any rate.
func (l *losses) clean() bool {
	if l.count < 2 || l.trying > 0 {
		return false
	}
	lost := l.back(0).lost + l.back(1).lost
	return lost <= (l.back(0).total+l.back(1).total)*(l.inherent+tolerance)
}

// forget begins anew: the path has proven to carry more than was thought.
func (l *losses) forget() { l.bound, l.doubt, l.trying, l.count = 0, 0, 0, 0 }
