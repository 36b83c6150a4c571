package main

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/config"
	"parley/jingle/call"
	"parley/jingle/gateway/apprtc"
	"parley/jingle/gateway/roomserver"
	"parley/xmpp/s2s"
	"parley/xmpp/wire"
)

// federate opens the server to others, if it has a listener for them. Without a domain of its own the server looks nobody
// up: it connects to those that the configuration names.
func (s *server) federate(secret []byte) (err error) {
	if !s.cfg.Federated() {
		return nil
	}
	parts := s2s.Parts{
		Domains: s.cfg.Domains(), Router: s.router, TLS: s.cert.config(), Secret: secret,
		Recorder: s.recorder, Log: s.log, Full: s.process.full.Load,
	}
	if s.cfg.Domain != "localhost" {
		parts.Resolver = net.DefaultResolver
	}
	if s.federation, err = s2s.New(s.cfg.Federation, parts); err != nil {
		return err
	}
	s.router.SetRemote(s.federation)
	streams := func(direction string, read func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "parley_server_streams", Help: "Streams between this server and others.", ConstLabels: prometheus.Labels{"direction": direction},
		}, func() float64 { return float64(read()) })
	}
	s.metrics.MustRegister(
		streams("out", func() int { n, _ := s.federation.Streams(); return n }),
		streams("in", func() int { _, n := s.federation.Streams(); return n }),
	)
	return nil
}

func (b *bound) isFederation() bool { return b.Scheme == "s2s" || b.Scheme == "s2ss" }

// serveFederation begins to listen for other servers. It comes when everything is there that they may reach.
func (s *server) serveFederation() {
	if s.federation == nil {
		return
	}
	for _, l := range s.listeners {
		if l.isFederation() {
			s.serve(l.String(), func() error { return s.federation.Serve(l.stream, l.TLS()) })
		}
	}
	s.group.Go(func() { s.federation.Run(s.stopping) })
}

// occupant reports that somebody may still be in a room that a process before this one had: a session here, or somebody of
// another server, which is asked.
func (s *server) occupant(who wire.Addr) bool {
	return s.router.Find(who) != nil || !call.IsSeat(who) && !roomserver.IsSeat(who) && !apprtc.IsSeat(who) && s.federation != nil && s.federation.Attends(who, wire.Addr(s.cfg.RoomsDomain()))
}

// pingServer asks another server for an answer.
func (s *server) pingServer(ctx context.Context, from, to string) error {
	if s.federation == nil {
		return errors.New("there is no s2s:// listener")
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return s.federation.Ping(ctx, from, to)
}

// reloadFederation takes over whom we federate with.
func (s *server) reloadFederation(cfg config.Config) {
	if s.federation != nil {
		s.federation.SetLists(cfg.Federation.Allow, cfg.Federation.Block)
	}
}
