package main

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"parley/xmpp/push"
	"parley/xmpp/wire"
)

// servePushes has the app servers of clients told what waits for these. It comes before the first client.
func (s *server) servePushes(ctx context.Context) (err error) {
	if !s.cfg.Push.Enabled {
		return nil
	}
	s.pushes, err = push.New(ctx, s.cfg.Push, wire.Addr(s.cfg.Domain), s.host, s.router, s.store, s.recorder)
	if err != nil {
		return err
	}
	for _, payload := range []string{"enable", "disable"} {
		s.host.HandleIQ(payload, push.NS, s.pushes.Handle)
	}
	s.host.AnnounceAccount([]string{push.NS})
	s.host.HandleReply(s.pushes.Reply)
	s.host.OnMessage(s.pushes.Arrived)
	s.forgetting(func(account wire.Addr, err error) {
		if err == nil {
			s.pushes.Forget(account)
		}
	})
	s.metrics.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "parley_push_nodes", Help: "Nodes of app servers that are told what waits for clients."},
			func() float64 { n, _ := s.pushes.Stats(); return float64(n) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "parley_pushes_total", Help: "Notifications to app servers."},
			func() float64 { _, n := s.pushes.Stats(); return float64(n) }),
	)
	return nil
}

// watchAbsence has pushes hear of clients that are away. It comes before the first client.
func (s *server) watchAbsence() {
	if s.pushes != nil {
		s.clients.SetAbsence(s.pushes)
	}
}

// runPushes begins when everybody can be reached, with the clients that a process before this one left.
func (s *server) runPushes() {
	if s.pushes == nil {
		return
	}
	s.group.Go(func() {
		s.clients.TellAbsence()
		s.pushes.Run(s.stopping)
	})
}
