package main

import (
	"parley/internal/journal"
	"parley/internal/token"
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

// endTokens ends the tokens of those who were thrown out of a room, or whose room was destroyed (hardening HP5). One that opens
// all rooms still opens the others.
func (s *server) endTokens(e muc.Event) {
	left, ok := e.(muc.OccupantLeft)
	if !ok || left.Why != muc.LeftKicked && left.Why != muc.LeftBanned && left.Why != muc.LeftEnded {
		return
	}
	for _, claims := range left.Tokens {
		if claims.Room != token.Any {
			s.tokens.Revoke(claims)
		}
	}
}

// endRelays ends the relayed addresses of those who were thrown out of a room.
func (i *ice) endRelays(e muc.Event) {
	if left, ok := e.(muc.OccupantLeft); ok && (left.Why == muc.LeftKicked || left.Why == muc.LeftBanned) {
		i.end(left.Addr)
	}
}
