//go:build fault

package main

import (
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// A binary built with the tag fault has one more domain, fault.DOMAIN, at which the code that handles a packet panics. It
// is for the test of what then happens (hardening HF13); no release is built so.
func init() {
	faults = func(s *server) { s.router.Serve("fault."+s.cfg.Domain, panicking{}) }
}

type panicking struct{}

// Handle panics.
func (panicking) Handle(*wire.Batch, route.Sender, wire.Addr, *wire.Packet) {
	panic("somebody asked for it")
}
