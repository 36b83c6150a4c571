package bridge

import (
	"slices"
	"time"
)

const (
	shareEvery   = 500 * time.Millisecond // the budget is shared anew, if nothing else leads to it
	shareLeast   = 200 * time.Millisecond // and no more often
	raiseAfter   = time.Second            // after something was lowered, a budget that rises does not lead to it
	raiseMargin  = 10                     // percent of what another picture size costs more that must be left besides
	needMargin   = 2                      // percent that are asked of the estimate besides, as what is wanted is measured
	raiseNews    = 5                      // percent that the budget has risen by, at which it is shared anew sooner
	climbsOver   = 15 * time.Second       // in which a slot goes up twice at most where that takes a key frame and much is lost by chance
	resumeMargin = 30                     // percent more than its cost that must be left for what is paused,
	resumeSpare  = 5                      // and percent of the whole that must be left then, since what the others cost goes up and down

	stageFirst = 360 // pixels that what is on stage gets before others get anything
)

// share is what a receiver's budget was given out for. egress.mu guards it.
type share struct {
	budget  int64 // bit/s of video that it was made for; 0: there is no limit
	spent   int64
	wanted  int64 // what all that is wanted would cost now
	at      time.Time
	lowered time.Time
	news    bool // the receiver has not been told
}

// spread gives a budget for video, in bits per second, to the slots in the order of their importance (jitsi.md §10.4, in the manner
// of JVB's allocation): first what is on stage up to 360 lines, then the lowest layer of each, as many as there is
// room for; then what is on stage to the full; then one step for each in turn. What gets nothing is paused.
func (o *egress) spread(budget int64, now time.Time) {
	o.share.spent, o.share.budget, o.share.at = 0, budget, now
	left := budget
	lossy := o.downlink.random() >= twiceLoss
	for _, s := range o.order {
		s.step, s.steps = -1, 0
		if s.source != nil && s.want.on {
			s.steps = s.source.ladder.upTo(s.want.height, temporalFor(s.want.rate))
		}
	}
	raise := func(s *slot, to int) bool {
		l := &s.source.ladder
		cost := s.price(&l.rungs[to])
		if s.step >= 0 {
			cost -= s.price(&l.rungs[s.step])
		}
		if lossy && !s.mayClimb(&l.rungs[to], now) || cost > left || s.paused && cost > left-budget*resumeSpare/100 {
			return false
		}
		left -= cost
		s.step = to
		return true
	}
	climb := func(s *slot, most int) {
		best := s.step
		for to := s.step + 1; to < s.steps; to++ {
			if l := &s.source.ladder; to > 0 && l.rungs[to].height > most {
				break
			}
			best = to
		}
		for ; best > s.step && !raise(s, best); best-- {
		}
	}
	for _, s := range o.order {
		if s.stage && s.steps > 0 {
			climb(s, stageFirst)
		}
	}
	for _, s := range o.order {
		if s.step < 0 && s.steps > 0 && !raise(s, 0) {
			if s.stage && s.source.screen() { // the one thing that everybody looks at
				left -= s.source.ladder.rungs[0].rate
				s.step = 0
			} else if o.keeps(s, budget-left, now) {
				s.step, left = 0, 0
			}
			break // who is less important does not come before
		}
	}
	for _, s := range o.order {
		if s.stage && s.step >= 0 {
			climb(s, 1<<30)
		}
	}
	for more := true; more; {
		more = false
		for _, s := range o.order {
			if s.step >= 0 && s.step+1 < s.steps {
				if raise(s, s.step+1) {
					more = true
				} else {
					s.steps = s.step + 1
				}
			}
		}
	}
	o.share.spent = budget - left
}

// price is what a choice is reckoned at: more than it costs if the slot would have to begin with a key frame, so that nothing
// goes up and down all the time. Temporal layers come and go without.
func (s *slot) price(to *rung) int64 {
	switch {
	case s.paused: // which costs a key frame besides
		return to.rate + to.rate*resumeMargin/100
	case to.rate > s.pick.rate && (to.index != s.pick.index || to.spatial != s.pick.spatial):
		return to.rate + (to.rate-s.pick.rate)*raiseMargin/100
	}
	return to.rate
}

// keeps says that a slot which gets the lowest layer goes on with it, beside what others get, though the budget has no room for it
// any more: together they fit into what the way carried when it was full. The estimate is lower for a moment after each such time,
// and as long as it takes to be found again; a picture that was paused meanwhile would come back with a key frame that fills the way anew.
func (o *egress) keeps(s *slot, spent int64, now time.Time) bool {
	lowest := &s.source.ladder.rungs[0]
	return s.current != nil && !s.paused && s.pick.same(lowest) && spent+lowest.rate <= o.downlink.carried(now)
}

// climbs says that a rung takes a key frame to go up to, which all who get the stream are sent.
func (s *slot) climbs(to *rung) bool {
	at := s.current
	return at != nil && (to.index > at.index || to.index == at.index && to.spatial > s.spatial)
}

// mayClimb answers false for a rung that the slot would have to go up to for the third time in climbsOver. With losses that no lower
// rate ends, the estimate and what is sent again go up and down, and slots with them; each time costs all others who get the
// stream a key frame.
func (s *slot) mayClimb(to *rung, now time.Time) bool {
	return !s.climbs(to) || s.pick.same(to) || now.Sub(s.climbed[1]) >= climbsOver
}

// choose makes a rung the slot's choice.
func (s *slot) choose(to rung, now time.Time) {
	if s.climbs(&to) && !s.pick.same(&to) {
		s.climbed = [2]time.Time{now, s.climbed[0]}
	}
	s.pick = to
}

// rank notes in which order slots matter.
func (o *egress) rank(wanted []candidate, place map[*source]int) {
	clear(place)
	for i, c := range wanted {
		place[c.source] = i
	}
	o.order = slices.Grow(o.order[:0], len(wanted))[:len(wanted)]
	clear(o.order)
	for _, s := range o.video {
		if i, ok := place[s.source]; ok && s.want.on {
			o.order[i] = s
			s.stage = wanted[i].stage < constraintsMost
		}
	}
	o.order = slices.DeleteFunc(o.order, func(s *slot) bool { return s == nil })
}

// limit gives out the budget where there is one that does not suffice for all that is wanted, and reports that it is so.
func (o *egress) limit(now time.Time) bool {
	budget, ok := o.downlink.video(now)
	sh := &o.share
	sh.wanted = o.demand()
	if !ok || sh.wanted <= budget && (sh.budget == 0 || sh.wanted <= budget*100/(100+raiseMargin)) {
		sh.news = sh.news || sh.budget != 0
		sh.budget = 0
		return false
	}
	since := now.Sub(sh.at)
	cost, alive := o.cost()
	switch {
	case sh.budget == 0, !alive: // it is limited from now on, or something is to be chosen anew
	case since < shareLeast:
		return true
	case cost > budget:
	case since >= shareEvery, budget > sh.budget+sh.budget*raiseNews/100 && now.Sub(sh.lowered) >= raiseAfter:
	default:
		return true
	}
	if cost > budget {
		sh.lowered = now
	}
	o.spread(budget, now)
	sh.news = true
	for _, s := range o.order {
		if s.step >= 0 {
			s.choose(s.source.ladder.rungs[s.step], now)
		}
	}
	return true
}

// cost is what the present choice costs now. It answers false if something was not chosen for, or does not come any more.
func (o *egress) cost() (bits int64, alive bool) {
	alive = true
	for _, s := range o.order {
		if s.source == nil || !s.want.on || s.source.ladder.n == 0 {
			continue
		}
		if s.steps == 0 {
			alive = false
		}
		if s.step >= 0 {
			st := &s.source.levels.streams[s.pick.index]
			alive = alive && st.alive && s.pick.spatial <= st.spatial
			bits += st.cost(&s.pick)
		}
	}
	return bits, alive
}

// needs is the budget at which all that is wanted is given, in bits per second: not less than what limit asks for.
func (s *share) needs() int64 {
	if s.budget == 0 {
		return s.wanted
	}
	return s.wanted + s.wanted*(raiseMargin+needMargin)/100
}

// demand is what all that is wanted would cost, in bits per second.
func (o *egress) demand() (bits int64) {
	for _, s := range o.order {
		if s.source == nil || !s.want.on {
			continue
		}
		if l := &s.source.ladder; l.n > 0 {
			bits += l.rungs[l.upTo(s.want.height, temporalFor(s.want.rate))-1].rate
		}
	}
	return bits
}
