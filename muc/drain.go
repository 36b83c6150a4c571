package muc

import (
	"context"
	"errors"

	"parley/xmpp/wire"
)

// A service that drains lets everybody into rooms in which somebody is, and into no other: those are for another server to open, where
// who was refused tries again.

// Drain has the service begin to drain, or end it.
func (s *Service) Drain(on bool) { s.draining.Store(on) }

// errIdle is told by a room in which nobody is.
var errIdle = errors.New("muc: nobody is in the room")

// Opens reports that the service would let people into a room, as far as draining goes: it does not drain, or somebody is there. A
// room that does not answer in time counts as one that is there.
func (s *Service) Opens(ctx context.Context, addr wire.Addr) bool {
	if !s.draining.Load() {
		return true
	}
	err := s.administer(ctx, addr, func(r *room, _ *input, _ *effects, done func(error)) {
		if r.idle() {
			done(errIdle)
			return
		}
		done(nil)
	})
	return err != errIdle && err != ErrNoRoom
}

// rests says why nobody may enter: the service drains, and nobody is here or is awaited since a conference request.
func (r *room) rests(in *input) *refusal {
	if !in.drains || !r.idle() {
		return nil
	}
	return &errDraining
}

// idle reports that nobody is here, and that nobody is awaited.
func (r *room) idle() bool { return len(r.sessions) == 0 && (r.focus == nil || r.focus.met) }
