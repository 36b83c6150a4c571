package main

import (
	"context"

	"parley/jingle/focus"
	"parley/portal/hook"
)

// serveHooks has applications told of what happens in rooms. It comes before the first room.
func (s *server) serveHooks(ctx context.Context, calls *focus.Focus, node string) (err error) {
	if s.hooks, err = hook.New(s.cfg.Hooks, s.store, node, door, s.recorder, s.log); err != nil {
		return err
	}
	if err = s.hooks.Open(ctx); err != nil {
		return err
	}
	s.rooms.Observe(s.hooks.Observe)
	calls.WatchCalls(s.hooks.Call)
	return nil
}
