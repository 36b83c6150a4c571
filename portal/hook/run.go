package hook

import (
	"context"
	"math/rand/v2"
	"time"

	"parley/internal/store"
)

// Run stores what happens and delivers it, until ctx ends. Then Close stores the rest.
func (s *Service) Run(ctx context.Context) {
	defer s.running.Wait()
	s.running.Go(func() { s.keep(ctx) })
	ticks := time.NewTicker(look)
	defer ticks.Stop()
	reads := time.NewTicker(relook)
	defer reads.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-reads.C:
			s.Changed(ctx)
			continue
		case <-s.again:
			select {
			case <-ctx.Done():
			case <-time.After(look):
				s.Changed(ctx)
			}
			continue
		case <-s.due:
		case <-ticks.C:
		}
		if len(*s.hooks.Load()) > 0 {
			s.dispatch(ctx)
		}
	}
}

// Close stores what has happened and is not stored yet. It is called when nothing happens any more.
func (s *Service) Close(ctx context.Context) error {
	s.agent.close()
	return s.flush(ctx)
}

// keep moves what happens into the store. While that is away it tries again, and what happens waits in memory.
func (s *Service) keep(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		for wait := 50 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
			within, done := context.WithTimeout(ctx, storeTime)
			err := s.flush(within)
			done()
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return
			}
			s.rec.Hurt("hook.store", "", "err", err.Error())
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
		}
	}
}

// flush stores what is pending. If it fails it stays pending.
func (s *Service) flush(ctx context.Context) error {
	s.storing.Lock()
	defer s.storing.Unlock()
	for {
		s.mu.Lock()
		batch := s.pending[:min(len(s.pending), 500)]
		s.mu.Unlock()
		if len(batch) == 0 {
			return nil
		}
		var list []store.Delivery
		for _, m := range batch {
			for _, hook := range m.hooks {
				list = append(list, store.Delivery{Hook: hook, ID: m.id, Body: m.body, Created: m.at})
			}
		}
		dropped, err := s.store.AddDeliveries(ctx, list, s.cfg.Waiting)
		if err != nil {
			return err
		}
		for range dropped {
			s.rec.Hurt("hook.drop", "", "text", "too much waits for a webhook")
		}
		s.mu.Lock()
		s.pending = append([]message(nil), s.pending[len(batch):]...)
		s.mu.Unlock()
		nudge(s.due)
	}
}

// dispatch has every hook delivered to for which something is due, and that is neither failing nor being delivered to already.
func (s *Service) dispatch(ctx context.Context) {
	now := time.Now()
	list, err := s.store.DueHooks(ctx, now)
	if err != nil {
		if ctx.Err() == nil {
			s.rec.Hurt("hook.store", "", "err", err.Error())
		}
		return
	}
	byID := make(map[string]store.Hook)
	for _, h := range *s.hooks.Load() {
		byID[h.ID] = h
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.paused {
		if _, there := byID[id]; !there {
			delete(s.paused, id)
		}
	}
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] }) // so that nobody always comes last
	for _, id := range list {
		h, there := byID[id]
		if !there || s.busy[id] || len(s.busy) >= runners || now.Before(s.paused[id].until) {
			continue
		}
		s.busy[id] = true
		s.running.Go(func() {
			s.deliver(ctx, h)
			s.mu.Lock()
			delete(s.busy, id)
			s.mu.Unlock()
			nudge(s.due) // for one that found no runner
		})
	}
}

// deliver delivers what is due for a hook until nothing is, or it fails.
func (s *Service) deliver(ctx context.Context, h store.Hook) {
	for ctx.Err() == nil {
		now := time.Now()
		list, err := s.store.TakeDeliveries(ctx, h.ID, s.node, now, now.Add(atOnce*s.cfg.Timeout+storeTime), atOnce)
		if err != nil {
			s.hurt(ctx, err)
			return
		}
		if len(list) == 0 {
			return
		}
		for i, d := range list {
			failure := s.agent.send(ctx, h, d, time.Now())
			if failure == nil {
				s.hurt(ctx, s.store.EndDelivery(ctx, d.Seq)) // should that fail, it is delivered once more
				s.resumed(h.ID)
				continue
			}
			if ctx.Err() != nil {
				return // it stays this node's, which begins with it after the restart
			}
			s.failed(ctx, h, d, failure)
			for _, rest := range list[i+1:] {
				s.hurt(ctx, s.store.PutOff(ctx, rest.Seq, time.Now(), false))
			}
			return
		}
	}
}

// failed puts a delivery off that failed, or gives it up, and leaves the hook alone for a while.
func (s *Service) failed(ctx context.Context, h store.Hook, d store.Delivery, failure error) {
	now := time.Now()
	s.rec.Reject("hook.fail", h.App, "hook", h.ID, "id", d.ID, "tries", d.Tries+1, "err", failure.Error())
	s.mu.Lock()
	p := s.paused[h.ID]
	p.failures++
	p.until = now.Add(backoff(s.cfg.Retry/5, p.failures-1, time.Minute))
	s.paused[h.ID] = p
	s.mu.Unlock()
	next := now.Add(backoff(s.cfg.Retry, d.Tries, time.Hour))
	if next.Sub(d.Created) > s.cfg.Keep {
		s.rec.Hurt("hook.drop", h.App, "hook", h.ID, "id", d.ID, "text", "it was tried for long enough")
		s.hurt(ctx, s.store.EndDelivery(ctx, d.Seq))
		return
	}
	s.hurt(ctx, s.store.PutOff(ctx, d.Seq, next, true))
}

func (s *Service) resumed(hook string) {
	s.mu.Lock()
	delete(s.paused, hook)
	s.mu.Unlock()
}

func (s *Service) hurt(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		s.rec.Hurt("hook.store", "", "err", err.Error())
	}
}

// backoff is the first wait, doubled for each failure before.
func backoff(first time.Duration, failures int, most time.Duration) time.Duration {
	if failures > 30 || first<<failures > most || first<<failures < first {
		return most
	}
	return first << failures
}
