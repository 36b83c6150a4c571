package main

import (
	"parley/internal/journal"
	"parley/muc"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// rooms lets the router hand packets to the rooms, which know nothing of it.
type rooms struct{ *muc.Service }

// Handle implements route.Service.
func (r rooms) Handle(b *wire.Batch, s route.Sender, to wire.Addr, p *wire.Packet) {
	r.Service.Handle(b, s, to, p)
}

// share is the rooms' share of the journal.
type share struct {
	*journal.Part
	*journal.Journal
}

// endRelays ends the relayed addresses of those who were thrown out of a room.
func (i *ice) endRelays(e muc.Event) {
	if left, ok := e.(muc.OccupantLeft); ok && (left.Why == muc.LeftKicked || left.Why == muc.LeftBanned) {
		i.end(left.Addr)
	}
}
