package ice

import (
	"time"

	"parley/internal/stun"
)

// pairState is RFC 8445 §6.1.2.6 without Frozen: there is one component of one stream, so nothing waits for a foundation.
type pairState uint8

const (
	waiting pairState = iota
	inProgress
	succeeded
	failed
)

const (
	maxPairs     = 16 // of one generation
	remembered   = 4  // checks of a pair whose answer still counts
	transmission = 7  // times that a check is sent (RFC 8489 §6.2.1: Rc)
	lastWait     = 16 // initial RTOs to wait behind the last one (Rm)
	initialRTO   = 500 * time.Millisecond
	tcpTimeout   = 39500 * time.Millisecond // RFC 8489 §6.2.2: Ti
)

// pair is a candidate pair (RFC 8445 §6.1.2): what is known of one path in one generation.
type pair struct {
	gen            *generation
	path           Path
	index          int    // of the base in Config.Local, or how many there are
	remotePriority uint32 // signalled, or PRIORITY of the check that it was learnt from
	priority       uint64 // of the pair
	peer           string // the peer's ufrag in checks that came before its credentials
	signalled      bool   // from signalling and not yet heard of

	state pairState
	valid bool // it is in the valid list: a check of ours was answered, and the address is in the server's table

	nominated bool // controlled: the peer's last check had USE-CANDIDATE
	ours      bool // controlling: a check with USE-CANDIDATE was answered

	checks [remembered]transaction // newest first
	resend time.Time               // when the newest check is sent again or given up; zero if it will not be

	asked    time.Time // when the first check since the last answer was sent; zero if none is unanswered
	asks     int       // how many since
	answered time.Time // the last answer: proof and consent
	heard    time.Time // the peer's last check
	rtt      time.Duration
}

// transaction is a check that was sent. A retransmission is made anew from it, with the same bytes.
type transaction struct {
	id          stun.ID
	at          time.Time
	controlling bool
	nominate    bool // with USE-CANDIDATE
	tieBreaker  uint64
	sent        int
	rto         time.Duration
}

// transaction returns the check with this id whose answer still counts, or nil.
func (p *pair) transaction(id stun.ID) *transaction {
	for i := range p.checks {
		if c := &p.checks[i]; c.sent > 0 && c.id == id {
			return c
		}
	}
	return nil
}

// nominating reports that a check with USE-CANDIDATE is on its way.
func (p *pair) nominating() bool { return !p.resend.IsZero() && p.checks[0].nominate }

// condemned reports that the peer does not answer on a pair that it used to answer on: three checks, and long enough.
func (p *pair) condemned(now time.Time) bool {
	return p.asks >= 3 && now.Sub(p.asked) >= p.verdict()
}

// fading reports that the pair is removed when there has been no sign of the peer on it for long.
func (p *pair) fading() bool {
	return p != p.gen.selected && !p.signalled && p.resend.IsZero() && p.state >= succeeded
}

// patience is how long an answer may take before the pair is doubted.
func (p *pair) patience() time.Duration { return max(patience, 2*p.rtt) }

// verdict is how long answers may be missing before the pair is condemned.
func (p *pair) verdict() time.Duration { return max(3*patience, 3*p.rtt) }

// sendable reports that the pair is valid and consent for it is fresh (RFC 7675 §5.1).
func (p *pair) sendable(now time.Time) bool {
	return p.valid && now.Sub(p.answered) < consentExpiry
}

// rank sets the priority of the pair for a role.
func (p *pair) rank(controlling bool) {
	local := priority(hostPreference, p.path.Transport, p.index)
	if controlling {
		p.priority = pairPriority(local, p.remotePriority)
	} else {
		p.priority = pairPriority(p.remotePriority, local)
	}
}

// better reports that p is preferred to q: UDP to TCP, then by priority.
func (p *pair) better(q *pair) bool {
	if p.path.Transport != q.path.Transport {
		return p.path.Transport == UDP
	}
	return p.priority > q.priority
}

// generation is what lives between two restarts (RFC 8445 §9): credentials of both sides and the check list.
type generation struct {
	agent  *Agent
	number int

	local, remote Credentials
	username      string    // of our checks
	in, out       *stun.Key // of the peer's checks and our answers; of our checks and the peer's answers

	pairs      []*pair
	candidates int // of signalling
	selected   *pair
	nominee    *pair // controlling: the pair whose checks have USE-CANDIDATE, nil if none was nominated yet
	dead       bool

	until     time.Time // when it fails if no pair is selected; zero while the peer's credentials are unknown
	connected time.Time // when the first pair was selected
	pace      time.Time // when the next ordinary check may be sent
	consent   time.Time // when the next check for consent is sent on the selected pair
	doubted   bool      // the selected pair is silent and others have been asked
	retire    time.Time // of an old generation: when it ends
}

func (g *generation) find(path Path) *pair {
	for _, p := range g.pairs {
		if p.path == path {
			return p
		}
	}
	return nil
}

// room makes room for one more pair and reports that there is. A pair that was heard of pushes out any that is not valid,
// then the valid one that has been silent longest; a signalled one only what failed or is of less priority and unheard.
func (g *generation) room(signalled bool, priority uint64) bool {
	if len(g.pairs) < maxPairs {
		return true
	}
	var worst *pair
	for _, p := range g.pairs {
		if p == g.selected || signalled && (p.valid || p.state != failed && (!p.signalled || p.priority >= priority)) {
			continue
		}
		if worst == nil || p.lessWorth(worst) {
			worst = p
		}
	}
	if worst != nil {
		g.remove(worst)
	}
	return worst != nil
}

func (p *pair) lessWorth(q *pair) bool {
	if p.valid != q.valid {
		return q.valid
	}
	if p.valid {
		return p.seen().Before(q.seen())
	}
	if (p.state == failed) != (q.state == failed) {
		return p.state == failed
	}
	if p.signalled != q.signalled {
		return p.signalled
	}
	return p.priority < q.priority
}

// seen returns when the peer last showed, by an answer or a check, that it is there.
func (p *pair) seen() time.Time {
	if p.answered.After(p.heard) {
		return p.answered
	}
	return p.heard
}

// remove takes the pair out of the check list and forgets what was asked on it.
func (g *generation) remove(p *pair) {
	g.agent.disprove(p)
	for i := range p.checks {
		if p.checks[i].sent > 0 {
			g.agent.server.forget(p.checks[i].id)
			p.checks[i] = transaction{}
		}
	}
	p.resend = time.Time{}
	for i, q := range g.pairs {
		if p == q {
			g.pairs = append(g.pairs[:i], g.pairs[i+1:]...)
			break
		}
	}
	if g.selected == p {
		g.selected = nil
	}
	if g.nominee == p {
		g.nominee = g.selected
	}
}
