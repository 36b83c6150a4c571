package main

import (
	"parley/jingle/call"
	"parley/jingle/focus"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// takeCalls lets ordinary clients call rooms, where there is a bridge. Rooms is the domain of the rooms.
func (s *server) takeCalls(f *focus.Focus, rooms string) {
	if !s.cfg.Bridged() {
		return
	}
	at := s.cfg.CallsDomain()
	calls := call.New(call.Config{Domain: at, Rooms: rooms, Focus: string(f.Address())}, f, s.rooms, s.host, s.router, s.recorder)
	s.router.Serve(at, calls)
	s.router.Serve(rooms, callable{roomsOf(s), calls})
	s.rooms.Describe(call.Description())
	s.host.AnnounceItem(wire.Addr(at))
	s.rooms.Observe(calls.Observe)
	if s.cfg.Focus.Muji {
		s.router.Serve(f.Address().Domain(), calls.Door())
		f.TakeMuji(s.cfg.Domain, calls)
	}
}

func roomsOf(s *server) rooms { return rooms{s.rooms} }

// callable are rooms that can be called at their own addresses too.
type callable struct {
	rooms
	calls *call.Service
}

// Handle implements route.Service.
func (r callable) Handle(b *wire.Batch, s route.Sender, to wire.Addr, p *wire.Packet) {
	if to.IsBare() && to.Local() != "" && call.Takes(p) {
		r.calls.Handle(b, s, to, p)
		return
	}
	r.rooms.Handle(b, s, to, p)
}
