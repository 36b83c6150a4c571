package c2s

import (
	"time"

	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// slowService holds back the acknowledgement of all that it gets.
type slowService struct{ held chan func() }

func (s slowService) Handle(_ *wire.Batch, from route.Sender, _ wire.Addr, _ *wire.Packet) {
	s.held <- from.Hold()
}

// brokenService panics.
type brokenService struct{}

func (brokenService) Handle(*wire.Batch, route.Sender, wire.Addr, *wire.Packet) {
	panic("as the test wants")
}

// busyService takes its time.
type busyService struct{}

func (busyService) Handle(*wire.Batch, route.Sender, wire.Addr, *wire.Packet) {
	time.Sleep(2 * time.Millisecond)
}
