package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"parley/internal/store"
	"parley/portal"
)

// health remembers how the store was, so that whoever asks for readiness cannot make it work.
type health struct {
	mu   sync.Mutex // guards what follows, and lets one ask at a time
	at   time.Time
	last error
	down time.Time // when it was first found that it cannot be written; zero: it can
}

const (
	healthAge     = 5 * time.Second
	healthTimeout = 3 * time.Second
)

// check reports whether the store can be written, as of the last few seconds.
func (h *health) check(s store.Store) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.at) < healthAge {
		return h.last
	}
	ctx, cancel := context.WithTimeout(context.Background(), healthTimeout)
	defer cancel()
	h.last = nil
	if err := s.Ping(ctx); err != nil {
		h.last = errors.Join(errors.New("the store cannot be written"), err)
	}
	h.at = time.Now()
	switch {
	case h.last == nil:
		h.down = time.Time{}
	case h.down.IsZero():
		h.down = h.at
	}
	return h.last
}

// lasts is check, and for how long the store could not be written.
func (h *health) lasts(s store.Store) (time.Duration, error) {
	err := h.check(s)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil || h.down.IsZero() {
		return 0, err
	}
	return time.Since(h.down), err
}

// ready says why no new client should be sent here.
func (s *server) ready() error {
	if s.stopping.Err() != nil {
		return errors.New("the server is stopping")
	}
	if s.process.full.Load() {
		return errors.New("the process is near its limit of file descriptors or memory")
	}
	away, err := s.health.lasts(s.store)
	if away < patience {
		err = nil // calls go on, and it may be back in a moment
	}
	if s.roomServer != nil && s.cfg.Roomserver.IceSecret != "" && !s.roomServer.Usable() {
		err = errors.Join(err, errors.New("no STUN or TURN server is there"))
	}
	return errors.Join(err, s.media.ready())
}

// details is what the administrator sees of the server's health.
func (s *server) details() portal.Details {
	d := portal.Details{Ready: true, Parts: make(map[string]any)}
	if err := s.ready(); err != nil {
		d.Ready, d.Reason = false, err.Error()
	}
	d.Parts["store"] = "ok"
	if err := s.health.check(s.store); err != nil {
		d.Parts["store"] = err.Error()
	}
	bound, away := s.clients.Sessions()
	d.Parts["sessions"] = map[string]int{"bound": bound, "away": away}
	d.Parts["rooms"] = s.rooms.Stats()
	d.Parts["process"] = map[string]any{"files": s.process.openFiles.Load(), "filesLimit": s.process.files, "memory": s.process.used.Load(), "memoryLimit": s.process.memory}
	if s.media != nil {
		d.Parts["bridge"] = s.media.details()
	}
	return d
}
