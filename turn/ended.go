package turn

import "time"

// ended remembers which users have ended, for as long as a credential of theirs can be good. Whoever looks holds
// Server.mu.
type ended struct {
	until map[string]time.Time
	sweep int // size at which to look for those that can be forgotten
}

// add remembers a user who ends now.
func (e *ended) add(user string, now time.Time) {
	if e.until == nil {
		e.until = make(map[string]time.Time)
	}
	if len(e.until) >= e.sweep {
		for u, until := range e.until {
			if now.After(until) {
				delete(e.until, u)
			}
		}
		e.sweep = max(1024, 2*len(e.until)) // so the work for each user stays the same however many there are
	}
	e.until[user] = now.Add(MaxTTL + 2*leeway)
}

// has reports that a user has ended.
func (e *ended) has(user string, now time.Time) bool { return now.Before(e.until[user]) }
