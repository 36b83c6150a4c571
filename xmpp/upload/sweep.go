package upload

import (
	"context"
	"time"
)

// sweepStep is how many files are removed at once.
const sweepStep = 100

// Forget has what an account left behind removed soon. It is called after the account is deleted.
func (s *Service) Forget() {
	select {
	case s.sweep <- struct{}{}:
	default:
	}
}

// Run removes what is too old, slots that nobody used, and what accounts left behind, until ctx ends.
func (s *Service) Run(ctx context.Context) {
	tick := time.NewTicker(slotTime)
	defer tick.Stop()
	for {
		s.clear(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.sweep:
		}
	}
}

// clear removes all that is to be removed: each file first and then its row.
func (s *Service) clear(ctx context.Context) {
	now := s.now()
	var before time.Time
	if s.cfg.Days > 0 {
		before = now.Add(-s.retention())
	}
	for ctx.Err() == nil {
		var ids, gone []string
		err := within(ctx, func(ctx context.Context) (err error) {
			ids, err = s.parts.Store.StaleUploads(ctx, before, now.Add(-2*slotTime), sweepStep)
			return err
		})
		for _, id := range ids {
			if !isID(id) || s.isActive(id) {
				continue
			}
			if err := s.shelf.remove(id); err != nil {
				s.rec.Hurt("upload.remove", "", "err", err.Error())
				continue
			}
			gone = append(gone, id)
		}
		if err == nil && len(gone) > 0 {
			err = within(ctx, func(ctx context.Context) error { return s.parts.Store.RemoveUploads(ctx, gone) })
		}
		if err != nil && ctx.Err() == nil {
			s.rec.Hurt("upload.sweep", "", "err", err.Error())
		}
		if err != nil || len(gone) < sweepStep {
			return
		}
	}
}
