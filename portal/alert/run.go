package alert

import (
	"context"
	"time"
)

// look is how often it is looked for what was held back, and for servers that clients no longer complain of.
const look = 10 * time.Second

// Run mails alerts until the context ends. It ends at once then: what was not mailed is logged and counted.
func (s *Service) Run(ctx context.Context) {
	if s == nil {
		return
	}
	defer s.leave()
	var again time.Time // before which the mail server is left alone
	for {
		s.gather(time.Now())
		wait := look
		if l, ok := s.first(); ok {
			if early := time.Until(again); early > 0 {
				wait = min(wait, early)
			} else {
				mailed := s.try(ctx, l)
				if ctx.Err() == nil && mailed {
					again = time.Time{}
					continue
				}
				again, wait = time.Now().Add(s.cfg.Retry), min(wait, s.cfg.Retry)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-s.news:
		case <-time.After(wait):
		}
	}
}

// first is the alert that waits longest.
func (s *Service) first() (letter, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return letter{}, false
	}
	return s.queue[0], true
}

// try hands an alert, the first one, to the mail server, and takes it out of the queue if that has it, or has refused it for long enough.
func (s *Service) try(ctx context.Context, l letter) (mailed bool) {
	err := s.post(ctx, l.Letter)
	switch {
	case err == nil:
		if l.done != nil {
			l.done()
		}
		if s.o.Log != nil {
			s.o.Log.Info("an alert is mailed", "kind", l.kind)
		}
	case time.Since(l.Time) < s.cfg.Keep:
		if ctx.Err() == nil {
			s.o.Recorder.Reject("alert.retry", "", "kind", l.kind, "err", err.Error())
		}
		return false
	default:
		s.o.Recorder.Hurt(lost, "", "kind", l.kind, "err", err.Error())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue[0] = letter{}
	s.queue = s.queue[1:]
	return err == nil
}

// leave notes what is not mailed any more.
func (s *Service) leave() {
	s.mu.Lock()
	left := s.queue
	s.queue = nil
	s.mu.Unlock()
	for _, l := range left {
		s.o.Recorder.Hurt(lost, "", "kind", l.kind, "text", "the server stops")
	}
}
