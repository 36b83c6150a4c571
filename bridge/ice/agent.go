package ice

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/limit"
	"parley/internal/stun"
)

// The requests that one agent answers in a second: from addresses that are proven and from all others together. A browser
// sends 21 at most, and one in 2.5 s when it is connected.
var (
	provenRate   = limit.Rate{PerSecond: 40, Burst: 100}
	strangerRate = limit.Rate{PerSecond: 40, Burst: 100}
)

const (
	pacing         = 50 * time.Millisecond  // RFC 8445 §14.2: Ta
	triggerGap     = 20 * time.Millisecond  // between two triggered checks of a pair
	connectTimeout = 30 * time.Second       // from both credentials to the first valid pair
	overlap        = 3 * time.Second        // that an old generation lives beside a new one that is connected
	proofLife      = 60 * time.Second       // that a pair beside the selected one stays proven without a sign of life
	proofAge       = 15 * time.Second       // after which a check of the peer on such a pair is answered by one of ours
	settling       = 2 * time.Second        // in which a pair of higher priority takes over
	patience       = 500 * time.Millisecond // before an unanswered check is doubted
	disconnected   = 5 * time.Second        // of unanswered checks before the Disconnected event
	consentExpiry  = 30 * time.Second       // RFC 7675 §5.1
	consentPeriod  = 5 * time.Second        // on average; each is 0.8 to 1.2 of it
)

// State is where an agent stands. Failed leads to Down; the other events tell of Up and Silent.
type State uint8

// The states.
const (
	Checking State = iota // no path has been found yet
	Up                    // there is a path
	Silent                // there is a path, but its peer has not answered for a while
	Down                  // no path; only Restart helps
	Closed
)

func (s State) String() string { return [...]string{"checking", "up", "silent", "down", "closed"}[s] }

// Agent is the ICE agent of one endpoint: one component of one bundled stream. It is safe for concurrent use.
type Agent struct {
	// Owner is the caller's: what Lookup is really asking for. It is set once, by NewAgent.
	Owner any

	server   *Server
	selected atomic.Pointer[Path] // nil: nothing may be sent

	mu            sync.Mutex // guards the rest, but for the last line
	state         State
	controlling   bool
	tieBreaker    uint64
	current       *generation
	old           *generation // the path of the generation before, while current is not connected, and shortly after
	generations   int
	events        uint64
	fromProven    limit.Bucket
	fromStrangers limit.Bucket

	due   time.Time // guarded by server.mu, as is place
	place int
}

// NewAgent returns an agent that answers checks for its credentials. It takes the controlling role, as the offering side
// does, or the controlled one; either yields where the peer's tie-breaker says so (RFC 8445 §7.3.1.1).
func (s *Server) NewAgent(owner any, controlling bool) *Agent {
	a := &Agent{
		Owner: owner, server: s, controlling: controlling, tieBreaker: newTieBreaker(),
		fromProven: limit.NewBucket(provenRate), fromStrangers: limit.NewBucket(strangerRate),
	}
	a.current = a.generation()
	return a
}

func (a *Agent) generation() *generation {
	g := &generation{agent: a, number: a.generations}
	a.generations++
	a.server.register(g)
	g.in = stun.NewKey(g.local.Pwd)
	return g
}

// Local returns our credentials and the number of their generation.
func (a *Agent) Local() (Credentials, int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.current.local, a.current.number
}

// Selected returns the path to send on. Without one nothing may be sent to the peer (RFC 7675 §5.1). It takes no lock.
func (a *Agent) Selected() (Path, bool) {
	if p := a.selected.Load(); p != nil {
		return *p, true
	}
	return Path{}, false
}

// State returns where the agent stands, its round-trip time (0 if unknown), and whether it has the controlling role.
func (a *Agent) State() (state State, rtt time.Duration, controlling bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if g := a.carrier(); g != nil {
		rtt = g.selected.rtt
	}
	return a.state, rtt, a.controlling
}

// carrier returns the generation whose selected pair is in use, or nil.
func (a *Agent) carrier() *generation {
	if a.current != nil && a.current.selected != nil {
		return a.current
	}
	if a.old != nil && a.old.selected != nil {
		return a.old
	}
	return nil
}

// ErrRestart says that a peer has new credentials although we have none for it: Restart comes first (RFC 8445 §9).
var ErrRestart = errors.New("ice: the peer's credentials changed without a restart")

// ErrClosed says that the agent has been closed.
var ErrClosed = errors.New("ice: agent is closed")

// SetRemote takes the peer's credentials. The same ones again are no news. Checks that have come before are now answered
// by checks of ours.
func (a *Agent) SetRemote(c Credentials, now time.Time, out *Out) error {
	if !c.valid() {
		return ErrCredentials
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.current
	switch {
	case a.state == Closed:
		return ErrClosed
	case g.remote == c:
		return nil
	case g.remote.Ufrag != "" || a.state == Down:
		return ErrRestart
	}
	g.remote, g.username, g.out = c, c.Ufrag+":"+g.local.Ufrag, stun.NewKey(c.Pwd)
	g.until, g.pace = now.Add(connectTimeout), now
	for _, p := range slices.Clone(g.pairs) {
		switch {
		case p.heard.IsZero():
		case p.peer != c.Ufrag: // checks of somebody else, or of another generation of the peer
			g.remove(p)
		default:
			a.check(p, true, now, out)
		}
	}
	a.rest(now)
	return nil
}

// AddRemote takes a candidate of the peer's current generation. ErrFiltered is for the caller's log; the session goes on.
func (a *Agent) AddRemote(c Candidate, now time.Time) error {
	addr, err := a.server.policy.address(c)
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.current
	switch {
	case a.state == Closed:
		return ErrClosed
	case g.dead:
		return ErrRestart
	case err == nil && g.candidates >= maxCandidates:
		err = ErrFiltered
	}
	g.candidates++
	if err != nil {
		a.server.events.Count("ice.filter")
		return err
	}
	for i, l := range a.server.local {
		if l.Transport != UDP || !l.reaches(addr.Addr()) {
			continue
		}
		path := Path{UDP, l.Base, addr}
		if p := g.find(path); p != nil { // learnt from a check before it was signalled
			p.remotePriority = c.Priority
			p.rank(a.controlling)
			continue
		}
		a.add(g, path, i, c.Priority, true)
	}
	a.rest(now)
	return nil
}

// add adds a pair to the check list, or returns nil if there is no room.
func (a *Agent) add(g *generation, path Path, index int, remotePriority uint32, signalled bool) *pair {
	p := &pair{gen: g, path: path, index: index, remotePriority: remotePriority, signalled: signalled}
	p.rank(a.controlling)
	if !g.room(signalled, p.priority) {
		return nil
	}
	g.pairs = append(g.pairs, p)
	return p
}

// base returns the index of the base that a path uses; one that the configuration does not name comes last.
func (s *Server) base(path Path) int {
	i := slices.IndexFunc(s.local, func(l Local) bool { return l.Transport == path.Transport && l.Base == path.Local })
	if i < 0 {
		return len(s.local)
	}
	return i
}

// Restart begins a new generation (RFC 8445 §9) and returns its credentials, which the peer has to be told; SetRemote then
// takes the peer's new ones. The path in use stays in use until a new one is found, and is answered on for 3 s more.
func (a *Agent) Restart(now time.Time) (Credentials, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state == Closed {
		return Credentials{}, ErrClosed
	}
	if a.current.selected != nil {
		a.end(a.old)
		a.old = a.current
	} else {
		a.end(a.current)
	}
	a.current = a.generation()
	if a.carrier() == nil {
		a.state = Checking
	}
	a.rest(now)
	return a.current.local, nil
}

// Gone says that the stream of a TCP path has ended: no need to wait until checks on it stay unanswered.
func (a *Agent) Gone(path Path, now time.Time, out *Out) {
	path = path.plain()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, g := range []*generation{a.current, a.old} {
		if g == nil || g.dead {
			continue
		}
		if p := g.find(path); p != nil {
			selected := p == g.selected
			g.remove(p)
			if selected {
				a.lost(g, p.answered.Add(consentExpiry), now, out) // the peer may connect again
			}
		}
	}
	a.rest(now)
}

// Close ends the agent. Its addresses and names are forgotten at once; there is no event.
func (a *Agent) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state == Closed {
		return
	}
	a.state = Closed
	a.end(a.current)
	a.end(a.old)
	a.old = nil
	a.selected.Store(nil)
	a.server.schedule(a, time.Time{})
}

// end lets go of a generation; nil is none.
func (a *Agent) end(g *generation) {
	if g == nil || g.dead {
		return
	}
	g.dead = true
	a.server.unregister(g)
	for len(g.pairs) > 0 {
		g.remove(g.pairs[0])
	}
}

// disprove takes a pair out of the valid list. The address stays in the server's table where another pair needs it.
func (a *Agent) disprove(p *pair) {
	if !p.valid {
		return
	}
	p.valid = false
	for _, g := range []*generation{a.current, a.old} {
		if g == nil {
			continue
		}
		for _, q := range g.pairs {
			if q.valid && q.path.Transport == p.path.Transport && q.path.Remote == p.path.Remote {
				return
			}
		}
	}
	a.server.proven[p.path.Transport].drop(p.path.Remote, a)
}

// prove puts a pair into the valid list and its address into the server's table.
func (a *Agent) prove(p *pair) {
	p.valid = true
	a.server.proven[p.path.Transport].put(p.path.Remote, a)
}

// emit tells the caller about the agent.
func (a *Agent) emit(kind EventKind, path Path, out *Out) {
	a.events++
	out.Events = append(out.Events, Event{a, kind, path, a.events})
}

// switchRole takes the other role and ranks all pairs anew (RFC 8445 §7.3.1.1).
func (a *Agent) switchRole(controlling bool) {
	a.controlling = controlling
	for _, g := range []*generation{a.current, a.old} {
		if g == nil {
			continue
		}
		g.nominee = nil
		for _, p := range g.pairs {
			p.nominated, p.ours = false, false
			p.rank(controlling)
		}
	}
}
