package main

import (
	"parley/jingle/call"
	"parley/jingle/focus"
	"parley/jingle/gateway/roomserver"
	"parley/muc"
	"parley/portal/api"
	"parley/xmpp/wire"
)

// showRooms lets the API see the rooms and what goes on in them.
func (s *server) showRooms(p *api.Parts, f *focus.Focus) {
	p.Rooms, p.RoomsAt, p.Door = s.rooms, s.cfg.RoomsDomain(), door
	p.Hooks = s.hooks
	p.Call = func(room wire.Addr) (api.Call, bool) {
		c, ok := f.Conference(room)
		return api.Call{Gate: c.Gate.String(), Members: c.Members}, ok
	}
}

// door is by which protocol an occupant is in a room.
func door(o *muc.Occupant) string {
	switch {
	case roomserver.IsSeat(o.Addr):
		return "roomserver"
	case call.IsSeat(o.Addr):
		return "call"
	case o.Jitsi:
		return "jitsi"
	}
	return "xmpp"
}
