package push

import (
	"context"
	"time"

	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// mostFaults is how many errors in a row, of those that may pass, disable a node (XEP-0357 §6.1).
const mostFaults = 16

// answerTime is how long an answer is waited for, and how often it is looked whether one is late.
const (
	answerTime = time.Minute
	answerLook = 15 * time.Second
)

// Reply is given answers to requests of the server. Those that are none of an app server it leaves alone.
func (s *Service) Reply(_ *wire.Batch, from route.Sender, _ wire.Addr, p *wire.Packet) {
	id := wire.UnescapeString(p.ID())
	s.mu.Lock()
	t := s.flights[id]
	if t == nil || from.Addr() != t.service {
		s.mu.Unlock()
		return
	}
	if string(p.Type()) == "result" {
		t.faults = 0
		s.landed(t)
		return
	}
	final, condition := verdict(p.Elem().Child("error", ""))
	if condition != "" {
		t.faults++
	}
	if final || t.faults >= mostFaults {
		s.dropLocked(t)
		s.mu.Unlock()
		s.rec.Reject("push.disabled", string(t.account), "service", t.Service, "condition", condition)
		s.host.Do(t.account, func(*wire.Batch) {
			if err := s.disable(t.account, func(other *target) bool { return other == t }); err != nil {
				s.rec.Hurt("push.store", string(t.account), "err", err.Error())
			}
		})
		return
	}
	s.landed(t)
}

// landed ends a notification, and sends the next if something came meanwhile. It is called with mu held, which it gives up.
func (s *Service) landed(t *target) {
	delete(s.flights, t.flight)
	t.flight = ""
	again := t.more
	if again {
		s.launchLocked(t)
	}
	s.mu.Unlock()
	if again {
		s.send(t)
	}
}

// verdict says what an error means: with final the app server does not know the node, or does not want to hear of it; without a
// condition it is one that passes by itself.
func verdict(e wire.Elem) (final bool, condition string) {
	typ := e.AttrString("type")
	for it := e.Children(); it.Next(); {
		if string(it.Elem.NS()) != wire.NSStanzas || string(it.Elem.Local()) == "text" {
			continue
		}
		switch c := string(it.Elem.Local()); c {
		case "item-not-found", "gone", "forbidden", "not-authorized", "not-allowed":
			return true, c
		default:
			condition = c
		}
		break
	}
	if typ == "wait" {
		return false, ""
	}
	if condition == "" {
		condition = "undefined-condition"
	}
	return false, condition
}

// Run looks after notifications that are not answered, until ctx ends.
func (s *Service) Run(ctx context.Context) {
	tick := time.NewTicker(answerLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.giveUp()
		}
	}
}

// giveUp ends notifications that were not answered in time.
func (s *Service) giveUp() {
	before := s.now().Add(-answerTime)
	var late []*target
	s.mu.RLock()
	for _, t := range s.flights {
		if t.since.Before(before) {
			late = append(late, t)
		}
	}
	s.mu.RUnlock()
	for _, t := range late {
		s.rec.Count("push.unanswered")
		s.mu.Lock()
		if t.flight == "" || !t.since.Before(before) { // it was answered meanwhile
			s.mu.Unlock()
			continue
		}
		s.landed(t)
	}
}
