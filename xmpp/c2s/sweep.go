package c2s

import (
	"time"

	"parley/xmpp/wire"

	mstream "mellium.im/xmpp/stream"
)

var (
	errFull    = &wire.Violation{Condition: mstream.ResourceConstraint.Err, Event: "", Text: "the server is full"}
	errRevoked = &wire.Violation{Condition: mstream.NotAuthorized.Err, Event: "auth.revoked", Text: "the account was changed"}
	errEnded   = &wire.Violation{Condition: mstream.PolicyViolation.Err, Event: "", Text: "an administrator ended the session"}
	errAway    = &wire.Violation{Condition: mstream.ConnectionTimeout.Err, Event: "", Text: "you did not come back"}
)

// sweep looks after one session; it is called every few seconds, by one goroutine.
func (s *Session) sweep(now time.Time) {
	s.mu.Lock()
	l := s.link
	if l == nil {
		expired := s.sm != nil && now.Sub(s.away) > s.sm.keep
		s.mu.Unlock()
		if expired {
			s.end(errAway, false)
		}
		return
	}
	sm := s.sm != nil
	if sm && s.queue.sent > 0 && s.sm.since > 0 { // do not leave the last few unacknowledged for ever
		s.sm.since = 0
		s.control = s.appendControlLocked(s.control, elementR)
	}
	s.queue.rest()
	wake := len(s.control) > 0 && s.wakeLocked(false)
	s.mu.Unlock()
	if wake {
		s.Flush()
	}
	cfg := &s.srv.cfg
	limit := cfg.IdleTimeout
	if s.attends.Load() {
		limit = min(limit, cfg.AttendTimeout)
	}
	idle := now.Sub(time.Unix(l.lastIn.Load(), 0))
	switch {
	case idle <= limit:
		l.pinged = false
	case idle > limit+cfg.AnswerTimeout && l.pinged:
		s.lost(l, errTimeout)
	case !l.pinged:
		l.pinged = true
		if sm {
			s.sendControl(nil, elementR)
		} else {
			s.Deliver(nil, "", s.srv.ping())
		}
	}
}
