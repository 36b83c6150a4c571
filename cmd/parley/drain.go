package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"parley/xmpp/wire"
)

// A node that drains takes no new rooms: load balancers are told so at the agent port, what comes all the same is refused, by rooms and
// by HTTP, so that it goes elsewhere, and the rooms that are here go on. An administrator begins and ends that by "parley drain"; a
// server that is asked to end begins it too, where drain_grace is set, and ends when the last has left, or when that time is over. Who
// is here then is told that the server ends, and comes again, elsewhere.

// drain is whether the node does.
type drain struct {
	on     atomic.Bool
	ending atomic.Bool // the server is to end: it cannot be taken back
}

var errEnding = errors.New("the server was asked to end, and drains for that")

// drains begins or ends to drain.
func (s *server) drains(on bool) error {
	if !on && s.drain.ending.Load() {
		return errEnding
	}
	if s.drain.on.Swap(on) != on {
		s.log.Info("drain: whether new rooms are taken is told at the agent port", "drain", on)
	}
	s.rooms.Drain(on)
	return nil
}

// opens reports that a request for a room may be served here.
func (s *server) opens(room string) bool {
	addr, err := wire.ParseAddr(room + "@" + s.cfg.RoomsDomain())
	if err != nil || !s.drain.on.Load() {
		return true // who knows better says what is wrong
	}
	ctx, done := context.WithTimeout(s.stopping, drainAsk)
	defer done()
	return s.rooms.Opens(ctx, addr)
}

const (
	drainAsk   = 5 * time.Second        // for a room to say whether somebody is there
	drainLook  = 100 * time.Millisecond // how often it is looked whether somebody is left
	drainStays = 10 * time.Second       // how often the manager is told that the server is still to end ...
	drainMore  = time.Minute            // ... and how much longer it gives it for that; more than stop takes
)

// empty drains until nobody is in a room, the grace is over, a signal comes or the server fails.
func (s *server) empty(m manager, signals <-chan os.Signal, hangup func()) error {
	if s.cfg.DrainGrace == 0 {
		return nil
	}
	s.drain.ending.Store(true)
	s.drains(true)
	s.log.Info("the server ends when nobody is in a room any more; a second signal ends it before", "grace", s.cfg.DrainGrace, "occupants", s.rooms.Stats().Occupants)
	over, look, stays := time.NewTimer(s.cfg.DrainGrace), time.NewTicker(drainLook), time.NewTicker(drainStays)
	defer over.Stop()
	defer look.Stop()
	defer stays.Stop()
	m.extend(drainMore)
	for {
		select {
		case err := <-s.failed:
			return err
		case sig := <-signals:
			if sig != syscall.SIGHUP {
				return nil
			}
			hangup()
		case <-over.C:
			s.log.Info("the time to drain is over", "occupants", s.rooms.Stats().Occupants)
			return nil
		case <-stays.C:
			m.extend(drainMore)
		case <-look.C:
			if s.rooms.Stats().Occupants == 0 {
				return nil
			}
		}
	}
}

type drainCmd struct {
	common
	Undo bool          `help:"Take new rooms again."`
	Wait time.Duration `help:"Wait until nobody is in a room here, but no longer than this, such as 30m."`
}

// Run has the server that runs take no new rooms.
func (c *drainCmd) Run() error {
	remote, err := dialControl(c.Data)
	if err != nil {
		return fmt.Errorf("no server runs with %s: %w", c.Data, err)
	}
	method := http.MethodPut
	if c.Undo {
		method = http.MethodDelete
	}
	for until := time.Now().Add(c.Wait); ; time.Sleep(time.Second) {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		var left int
		err := remote.do(ctx, method, "/drain", nil, &left)
		cancel()
		if err != nil || c.Undo || left == 0 || c.Wait == 0 {
			return err
		}
		if time.Now().After(until) {
			return fmt.Errorf("%d are still in rooms", left)
		}
	}
}

// controlDrain offers it behind the admin socket; the answer is how many are in rooms.
func (s *server) controlDrain(mux *http.ServeMux) {
	set := func(on bool) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			err := s.drains(on)
			reply(w, s.rooms.Stats().Occupants, err)
		}
	}
	mux.HandleFunc("PUT /drain", set(true))
	mux.HandleFunc("DELETE /drain", set(false))
}
