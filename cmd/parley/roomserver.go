package main

import (
	"net"
	"net/http"
	"strconv"
	"time"

	"parley/jingle/focus"
	"parley/jingle/gateway/roomserver"
	"parley/portal"
	"parley/turn"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// openRoomServer opens the door for clients of the RoomServer protocol, where the configuration has it open. Rooms is the domain of
// the rooms.
func (s *server) openRoomServer(calls *focus.Focus, rooms string, parts *portal.Parts) (err error) {
	if !s.cfg.Roomserver.Enabled {
		return nil
	}
	p := roomserver.Parts{
		Domain: s.cfg.Domain, Rooms: rooms, MUC: s.rooms, Router: s.router, Tokens: s.tokens,
		URL: channelBase(s.cfg, s.listeners), Origins: s.cfg.HTTP.Origins, Countries: s.countries, Shared: s.store, Recorder: s.recorder,
	}
	if s.alerts != nil {
		p.Alerts = s.alerts
	}
	if s.cfg.Bridged() {
		p.Focus = calls
	}
	if s.records != nil {
		p.Records = members{s.records.Book, s.records}
	}
	for _, v := range s.ice.registry.Services("", time.Minute, time.Now()) {
		p.Relays = relays{s.ice}
		if v.Type == "turn" && p.ICE == "" {
			p.ICE = net.JoinHostPort(v.Host, strconv.Itoa(int(v.Port)))
		}
	}
	if s.roomServer, err = roomserver.New(s.cfg.Roomserver, p); err != nil {
		return err
	}
	parts.RoomServer = portal.RoomServer{Socket: s.roomServer, Login: s.roomServer.ServeLogin}
	if s.cfg.Roomserver.IceSecret != "" {
		parts.RoomServer.ICE = http.HandlerFunc(s.roomServer.ServeICE)
		s.group.Go(func() { s.roomServer.Share(s.stopping) })
	}
	return nil
}

// relays are the STUN and TURN services for occupants that are no sessions.
type relays struct{ ice *ice }

// Services implements roomserver.Relays.
func (r relays) Services(of route.Sender) []turn.Service {
	now := time.Now()
	return r.ice.registry.Services(r.ice.user(of, now), r.ice.ttl, now)
}

// End implements roomserver.Relays.
func (r relays) End(occupant wire.Addr) { r.ice.end(occupant) }
