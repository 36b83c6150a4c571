package main

import (
	"crypto/rand"
	"sync"
	"time"

	"parley/xmpp/wire"
)

// How many people of other servers have credentials of the relay at a time, and how many of one domain.
const (
	visitorsMost   = 1000
	visitorsDomain = 100
)

// visitors are people of other servers who use the relay. Nobody tells us when they are gone: what they were given ends when
// its time is over, and the relay's own quotas hold for each of them.
type visitors struct {
	ttl time.Duration

	mu sync.Mutex // guards of
	of map[wire.Addr]visitor
}

type visitor struct {
	user  string
	until time.Time // when the last credential ends
	given time.Time // when the name was
}

func newVisitors(ttl time.Duration) *visitors {
	return &visitors{ttl: ttl, of: make(map[wire.Addr]visitor)}
}

// user returns as whom somebody, by the bare address, uses the relay; "" if there is no room for more. The name stays the same
// for half of the time of a credential, so that who asks again is the same user to the relay's quotas.
func (v *visitors) user(who wire.Addr, now time.Time) string {
	if v == nil {
		return ""
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	known, ok := v.of[who]
	if !ok && !v.room(who.Domain(), now) {
		return ""
	}
	if !ok || now.Sub(known.given) >= v.ttl/2 {
		known = visitor{user: rand.Text(), given: now}
	}
	known.until = now.Add(v.ttl)
	v.of[who] = known
	return known.user
}

// room forgets those whose time is over, and reports that there is room for one more of a domain. Called with mu held.
func (v *visitors) room(domain string, now time.Time) bool {
	same := 0
	for who, known := range v.of {
		switch {
		case !now.Before(known.until):
			delete(v.of, who)
		case who.Domain() == domain:
			same++
		}
	}
	return len(v.of) < visitorsMost && same < visitorsDomain
}
