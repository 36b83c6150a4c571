package archive

import (
	"context"
	"time"
)

// How old messages are removed: in steps, between which others get at the store.
const (
	sweepEvery = time.Hour
	sweepFirst = time.Minute // after the start
	sweepStep  = 500         // messages
	sweepPause = 20 * time.Millisecond
)

// Run removes messages of accounts and rooms that are older than the configuration allows, until ctx ends.
func (s *Service) Run(ctx context.Context) {
	if s.config.Days == 0 {
		return
	}
	timer := time.NewTimer(sweepFirst)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-timer.C:
			before := now.Add(-s.config.retention())
			s.sweep(ctx, before, s.store.ExpireArchive)
			s.sweep(ctx, before, s.store.ExpireRoom)
			timer.Reset(sweepEvery)
		}
	}
}

// sweep removes what is older with one step after the other.
func (s *Service) sweep(ctx context.Context, before time.Time, step func(context.Context, time.Time, string, int) (int, string, error)) {
	after := ""
	for {
		removed, next, err := step(ctx, before, after, sweepStep)
		if err != nil && ctx.Err() == nil {
			s.rec.Hurt("archive.sweep", "", "err", err.Error())
		}
		if err != nil || removed == 0 {
			return
		}
		after = next
		select {
		case <-ctx.Done():
			return
		case <-time.After(sweepPause):
		}
	}
}
