package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"parley/xmpp/component"
	"parley/xmpp/wire"
)

// joinComponents gives the components of the configuration their domains.
func (s *server) joinComponents() {
	if len(s.cfg.Component) == 0 {
		return
	}
	s.components = component.New(s.cfg.Component, s.router, s.recorder, s.log)
	for _, c := range s.cfg.Component {
		s.host.AnnounceItem(wire.Addr(c.Domain))
	}
	s.metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "parley_components", Help: "Components that are connected.",
	}, func() float64 { return float64(s.components.Connected()) }))
}

// serveComponents begins to listen for components. It comes when everything is there that they may reach.
func (s *server) serveComponents() {
	for _, l := range s.listeners {
		if l.Scheme == "component" && s.components != nil {
			s.serve(l.String(), func() error { return s.components.Serve(l.stream) })
		}
	}
}
