package main

import (
	"net/http"
	"time"

	"parley/jingle/focus"
	"parley/jingle/gateway/apprtc"
	"parley/jingle/gateway/roomserver"
	"parley/jingle/gateway/socket"
	"parley/portal"
)

// openAppRTC opens the door for AppRTC clients, where the configuration has it open. Rooms is the domain of the rooms. The door for
// clients of the RoomServer protocol, if that is open, shares an address with it.
func (s *server) openAppRTC(rooms string, calls *focus.Focus, parts *portal.Parts) (err error) {
	if !s.cfg.Apprtc.Enabled {
		return nil
	}
	p := apprtc.Parts{
		Domain: s.cfg.Domain, Rooms: rooms, MUC: s.rooms, Full: s.rooms.Full, Router: s.router, Tokens: s.tokens,
		Origins: s.cfg.HTTP.Origins, Hosts: append([]string{s.cfg.Domain}, s.cfg.HTTP.Hosts...), Secure: portal.Secure, Recorder: s.recorder,
	}
	for _, l := range s.listeners {
		if !l.Admin && l.Scheme == "http" && l.Insecure {
			p.Public = true // a proxy in front does TLS
		}
	}
	if parts.Channel != nil {
		p.Focus = calls
	}
	if len(s.ice.registry.Services("", time.Minute, time.Now())) > 0 {
		p.Relays = relays{s.ice}
	}
	if s.roomServer != nil {
		p.Other = shared{s.roomServer}
	}
	if s.appRTC, err = apprtc.New(s.cfg.Apprtc, p); err != nil {
		return err
	}
	a := s.appRTC
	parts.AppRTC = portal.AppRTC{
		Socket: a.ServeWebSocket, Room: a.ServeRoom, Join: a.ServeJoin, Message: a.ServeMessage, Leave: a.ServeLeave, Bye: a.ServeBye,
		Params: a.ServeParams, ICE: a.ServeICE, TURN: a.ServeTURN, File: a.ServeFile,
		Collider: a.ServeCollider, Status: a.ServeStatus, Takes: a.Takes, Prefix: s.cfg.Apprtc.Collider, Below: a.ServeBelow,
	}
	return nil
}

// shared is the door for clients of the RoomServer protocol, as the other sees it.
type shared struct{ *roomserver.Service }

// Adopt implements apprtc.Other.
func (d shared) Adopt(ws socket.Socket, r *http.Request) { d.Service.Adopt(ws, r) }
