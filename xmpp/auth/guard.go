package auth

import (
	"net/netip"
	"sync"
	"time"

	"parley/internal/limit"
)

// guard slows down guessing. Three budgets are asked before a password is looked at: of the user from this source, of
// the user from all sources that are strange to them, and of the source for all users. When one is used up the answer is
// temporary-auth-failure, whatever the password; before that, each failure is answered later than the one before.
//
// A source from which the user has logged in is known. From there the right password always works and is never delayed:
// somebody else's guesses cannot lock a user out. Wrong ones are delayed all the same, which is the limit there. Known
// sources are kept in memory and forgotten at a restart.
//
// All memory is bounded; what was not used for longest is forgotten first.
type guard struct {
	user, strange, source limit.Rate
	maxDelay              time.Duration

	mu      sync.Mutex // guards what follows
	tries   *lru[place, attempts]
	users   *lru[userKey, limit.Bucket]
	sources *lru[netip.Addr, limit.Bucket]
	known   *lru[place, struct{}]
}

// userKey stands for a user name of any length.
type userKey [16]byte

// place is a user at a source.
type place struct {
	source netip.Addr // as limit.Source returns it
	user   userKey
}

type attempts struct {
	bucket   limit.Bucket
	failures int // in a row
	last     time.Time
}

const (
	remembered = 16384            // entries of each kind, about 4 MiB for all
	forgiven   = 10 * time.Minute // without a failure, the delay begins anew
	firstDelay = time.Second
)

func newGuard(user, strange, source limit.Rate, maxDelay time.Duration) *guard {
	return &guard{
		user: user, strange: strange, source: source, maxDelay: maxDelay,
		tries: newLRU[place, attempts](remembered), users: newLRU[userKey, limit.Bucket](remembered),
		sources: newLRU[netip.Addr, limit.Bucket](remembered), known: newLRU[place, struct{}](remembered),
	}
}

// admit takes a try from the budgets. If one has none left it takes from no other, and returns the delay of the refusal.
func (g *guard) admit(source netip.Addr, user userKey, now time.Time) (delay time.Duration, ok bool) {
	p := place{limit.Source(source), user}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.known.get(p) != nil {
		return 0, true
	}
	t := g.attempts(p)
	if !t.bucket.Allow(now, 1) {
		return g.delay(t.failures), false
	}
	u, s := g.strangers(user), g.from(p.source)
	if !u.Allow(now, 1) {
		t.bucket.Take(now, -1)
		return g.delay(t.failures), false
	}
	if !s.Allow(now, 1) {
		t.bucket.Take(now, -1)
		u.Take(now, -1)
		return g.delay(t.failures), false
	}
	return 0, true
}

// failed counts a wrong password and returns how long the answer waits.
func (g *guard) failed(source netip.Addr, user userKey, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.attempts(place{limit.Source(source), user})
	if now.Sub(t.last) > forgiven {
		t.failures = 0
	}
	t.failures++
	t.last = now
	return g.delay(t.failures)
}

// succeeded gives back what the try took, forgets the failures and makes the source known.
func (g *guard) succeeded(source netip.Addr, user userKey, now time.Time) {
	p := place{limit.Source(source), user}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tries.remove(p)
	if g.known.get(p) == nil {
		g.strangers(user).Take(now, -1)
		g.from(p.source).Take(now, -1)
		g.known.have(p, func() struct{} { return struct{}{} })
	}
}

// undo gives back what a try took that could not be decided: when the store is away, people who come back again and
// again must not use up what they need once it answers.
func (g *guard) undo(source netip.Addr, user userKey, now time.Time) {
	p := place{limit.Source(source), user}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.known.get(p) == nil {
		g.attempts(p).bucket.Take(now, -1)
		g.strangers(user).Take(now, -1)
		g.from(p.source).Take(now, -1)
	}
}

// delay is nothing for the first failure, since people mistype, and doubles from the second one on.
func (g *guard) delay(failures int) time.Duration {
	if failures < 2 {
		return 0
	}
	return min(firstDelay<<min(failures-2, 16), g.maxDelay)
}

func (g *guard) attempts(p place) *attempts {
	return g.tries.have(p, func() attempts { return attempts{bucket: limit.NewBucket(g.user)} })
}

func (g *guard) strangers(user userKey) *limit.Bucket {
	return g.users.have(user, func() limit.Bucket { return limit.NewBucket(g.strange) })
}

func (g *guard) from(source netip.Addr) *limit.Bucket {
	return g.sources.have(source, func() limit.Bucket { return limit.NewBucket(g.source) })
}
