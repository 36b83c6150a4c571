package bridge

import (
	"cmp"
	"slices"

	"parley/bridge/congestion"
)

// A client that is brought each stream by a transport of its own (api.Endpoint.Member) has one way for all of them. Each of the
// transports estimates by itself what it can send beside the others. Together they fill the way and do not overfill it, but which
// of them gets how much is chance. So they are coupled, as in RFC 8699 §5.2: whenever they have less than they need, the sum of
// their rates is given out anew by weight, and what one does not need goes to the others. What one of them finds out by itself, that
// there is more room or less, is by that found out for all.
const (
	weightScreen  = 4 // a screen,
	weightSpeaker = 2 // who speaks, and
	weightOther   = 1 // anybody else
)

// portion is what one transport of several has, needs and is given, in bits per second.
type portion struct {
	of     *Endpoint
	rate   int64
	needs  int64
	weight int64
	grant  int64
}

// group notes which members have several transports. The caller holds mu.
func (c *Conference) group() {
	c.groups = nil
	of := make(map[string][]*Endpoint)
	for _, e := range c.order {
		of[e.Member] = append(of[e.Member], e)
	}
	for _, e := range c.order {
		if list := of[e.Member]; len(list) > 1 && list[0] == e {
			c.groups = append(c.groups, list)
		}
	}
}

// couple gives out to the transports of each member what they have together. It is called in each tick. The caller holds mu.
func (c *Conference) couple() {
	for _, list := range c.groups {
		c.portions = c.portions[:0]
		for _, e := range list {
			if p, ok := c.portion(e); ok {
				c.portions = append(c.portions, p)
			}
		}
		if !divide(c.portions) {
			continue
		}
		for _, p := range c.portions {
			o := &p.of.out
			o.mu.Lock()
			if d := &o.downlink; d.estimator != nil {
				d.estimator.Assign(congestion.Bitrate(p.grant))
				d.state = d.estimator.State()
			}
			o.mu.Unlock()
		}
	}
}

// portion looks at one of the transports. It answers false for one that has no part in this: nothing is known of its way, or nothing
// is wanted of it.
func (c *Conference) portion(e *Endpoint) (p portion, ok bool) {
	o := &e.out
	o.mu.Lock()
	defer o.mu.Unlock()
	d := &o.downlink
	needs := d.extra.gross(o.share.needs())
	if !d.heard || needs == 0 || d.state.Limit == congestion.LimitOutage {
		return p, false
	}
	p = portion{of: e, rate: int64(d.state.Steady), needs: needs + d.voice.bits, weight: weightOther}
	for _, s := range o.order {
		switch {
		case s.source == nil || !s.want.on:
		case s.source.screen():
			p.weight = weightScreen
		case c.speaker.rank(s.source.owner.Member) == 0 && len(c.speaker.recent) > 0:
			p.weight = max(p.weight, weightSpeaker)
		}
	}
	return p, true
}

// grantLeast is what an estimator takes every way for at least: below it nothing can be given to another.
const grantLeast = 32_000

// divide gives out the sum of the rates, and reports that it does not suffice for all.
func divide(list []portion) (short bool) {
	var total, needs, weights int64
	for i := range list {
		p := &list[i]
		p.needs = max(p.needs, grantLeast)
		needs, total, weights = needs+p.needs, total+p.rate, weights+p.weight
	}
	if len(list) < 2 || needs <= total {
		return false
	}
	// Who needs the least for its weight comes first; those after it share what it leaves.
	slices.SortStableFunc(list, func(a, b portion) int { return cmp.Compare(a.needs*b.weight, b.needs*a.weight) })
	total = max(total-int64(len(list))*grantLeast, 0)
	for i := range list {
		p := &list[i]
		p.grant = min(p.needs-grantLeast, total*p.weight/weights)
		total, weights = total-p.grant, weights-p.weight
		p.grant += grantLeast
	}
	return true
}
