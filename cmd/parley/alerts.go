package main

import (
	"context"
	"fmt"
	"time"

	"parley/internal/event"
	"parley/portal/alert"
)

// settle is for how long the database has to be away, and its state be looked at twice, before that is told.
const settle = 5 * time.Second

// runAlerts tells administrators what becomes of the server from now on.
func (s *server) runAlerts() {
	if s.alerts == nil {
		return
	}
	s.group.Go(func() { s.alerts.Run(s.stopping) })
	s.group.Go(func() { s.past.tell(s.stopping, s.alerts) })
	s.group.Go(func() { s.watchParts(s.stopping) })
}

// watchParts looks after what does not say by itself how it is: the store, and ICE servers that report to us.
func (s *server) watchParts(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	away := make(map[string]bool) // ICE servers
	hurt := make(map[string]bool) // what the whole server lacks
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if s.roomServer != nil {
			s.watchICE(away)
			s.lacks(hurt, "ICE servers", s.cfg.Roomserver.IceSecret != "" && !s.roomServer.Usable(), "no STUN or TURN server is there")
		}
		switch lasts, err := s.health.lasts(s.store); {
		case ctx.Err() != nil:
			return
		case err == nil:
			s.lacks(hurt, "database", false, "")
			s.alerts.Set(alert.Database, "", false, "")
		case lasts >= settle:
			s.lacks(hurt, "database", true, err.Error())
			s.alerts.Set(alert.Database, "", true, err.Error())
		}
	}
}

// lacks writes to the log when the whole server comes to lack something, at level critical, and when it has it again. Hurt is what it
// lacked when it was last called.
func (s *server) lacks(hurt map[string]bool, what string, now bool, why string) {
	switch {
	case now && !hurt[what]:
		s.log.Log(context.Background(), event.LevelCritical, "the server is hurt", "part", what, "err", why)
	case !now && hurt[what]:
		s.log.Info("the server is well again", "part", what)
	}
	hurt[what] = now
}

// watchICE tells of ICE servers that are lost or back. Away are those that were lost when it was last called.
func (s *server) watchICE(away map[string]bool) {
	now := make(map[string]bool)
	for _, ip := range s.roomServer.Lost() {
		now[ip] = true
		away[ip] = true
		s.alerts.Set(alert.ICE, ip, true, fmt.Sprintf("it has reported nothing for %v", s.cfg.Roomserver.IceKeepLiveTimeout))
	}
	for ip := range away {
		if now[ip] {
			continue
		}
		delete(away, ip)
		if s.roomServer.There(ip) {
			s.alerts.Set(alert.ICE, ip, false, "it has registered again")
		} else {
			s.alerts.Forget(alert.ICE, ip)
		}
	}
}

// bridgeFate takes that the bridge process has died, or was started again.
func (s *server) bridgeFate(up bool, detail string) {
	if s.stopping.Err() == nil {
		s.alerts.Set(alert.Bridge, "", !up, detail)
	}
}

// reported takes what came of the report of a day.
func (s *server) reported(day string, err error) {
	if s.stopping.Err() != nil {
		return
	}
	detail := ""
	if err != nil {
		detail = "the report of " + day + " could not be mailed: " + err.Error()
	}
	s.alerts.Set(alert.Report, "", err != nil, detail)
}
