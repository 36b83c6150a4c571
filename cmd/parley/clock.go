package main

import (
	"context"
	"log/slog"
	"time"

	"parley/internal/event"
)

const (
	clockEvery = 5 * time.Second
	clockJump  = 10 * time.Second // no clock that is corrected in small steps goes so wrong
)

// watchClock tells of a wall clock that was set, or that went on while the machine slept: it is then elsewhere than the monotonic clock
// says (hardening.md HF10). Nothing is done about it, since whatever waits in the server goes by the monotonic one.
func watchClock(ctx context.Context, rec *event.Recorder, log *slog.Logger) {
	tick := time.NewTicker(clockEvery)
	defer tick.Stop()
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		if by := now.Round(0).Sub(last.Round(0)) - now.Sub(last); by.Abs() > clockJump {
			rec.Count("clock.jump")
			log.Warn("the clock of this machine was set, or the machine has slept", "by", by.Round(time.Second).String())
		}
		last = now
	}
}
