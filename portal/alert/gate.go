package alert

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"parley/internal/limit"
)

// How much is told at once, see the package comment.
var (
	ownRate = limit.Rate{PerSecond: 1.0 / 3600, Burst: 4}  // of one condition
	allRate = limit.Rate{PerSecond: 1.0 / 1800, Burst: 12} // of all
)

const (
	gatherTime     = 10 * time.Minute // from what is held back first to the mail about it
	gatherEvery    = time.Hour
	forgetTime     = 4 * time.Hour // after which a condition has all its mails again
	conditionsMost = 3000
)

// key is what a condition is of.
type key struct{ kind, subject string }

// change is what became of a condition.
type change struct {
	key
	text, detail string
	at           time.Time
}

// condition is one that has changed at least once.
type condition struct {
	bad  bool
	own  limit.Bucket
	at   time.Time // of the last change
	held *change   // the last one that is held back; nil: none is
	many int       // how many are
}

// gate decides which changes are told at once, and gathers the others. It has no clock and no lock: the caller gives the time.
type gate struct {
	all        limit.Bucket
	conditions map[key]*condition
	since      time.Time // when the first that is held was; zero: none is
	gathered   time.Time // when there was a mail about some; zero: never
}

func newGate() gate {
	return gate{all: limit.NewBucket(allRate), conditions: make(map[key]*condition)}
}

// outcome is what take did with a change.
type outcome int

const (
	same    outcome = iota // it is none
	tell                   // tell it now
	hold                   // it is held back
	dropped                // there are too many conditions
)

// take takes how a condition is. While nothing was said of it, it was good. Of some it is not told that they are good again: quiet.
func (g *gate) take(c change, bad, quiet bool) outcome {
	one := g.conditions[c.key]
	if one == nil {
		if !bad {
			return same
		}
		if len(g.conditions) >= conditionsMost {
			maps.DeleteFunc(g.conditions, func(_ key, o *condition) bool { return !o.bad && o.held == nil && c.at.Sub(o.at) > forgetTime })
		}
		if len(g.conditions) >= conditionsMost {
			return dropped
		}
		one = &condition{own: limit.NewBucket(ownRate)}
		g.conditions[c.key] = one
	}
	if one.bad == bad {
		return same
	}
	one.bad, one.at = bad, c.at
	if quiet {
		return same
	}
	if one.held == nil && one.own.Allow(c.at, 1) && g.all.Allow(c.at, 1) {
		return tell
	}
	one.held, one.many = &c, one.many+1
	if g.since.IsZero() {
		g.since = c.at
	}
	return hold
}

// held is a condition of which something was held back.
type held struct {
	change     // the last
	many   int // how often it has changed
}

// due returns what was held back, if it is time to tell that.
func (g *gate) due(now time.Time) (list []held) {
	if g.since.IsZero() || now.Sub(g.since) < gatherTime || !g.gathered.IsZero() && now.Sub(g.gathered) < gatherEvery {
		return nil
	}
	for _, one := range g.conditions {
		if one.held != nil {
			list = append(list, held{*one.held, one.many})
			one.held, one.many = nil, 0
		}
	}
	g.since, g.gathered = time.Time{}, now
	slices.SortFunc(list, func(a, b held) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.kind, b.kind), cmp.Compare(a.subject, b.subject))
	})
	return list
}
