package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"parley/bridge"
	"parley/bridge/api"
	"parley/bridge/link"
	"parley/jingle/focus"
	portal "parley/portal/api"
	"parley/turn"
	"parley/xmpp/wire"
)

// What the media of a room are like is asked of the bridge process when somebody asks the API for it.

const (
	figuresPath = "/figures"
	figuresMost = 4 << 20 // bytes of an answer
)

// writeFigures answers with the figures of the conference that the query names.
func writeFigures(w http.ResponseWriter, r *http.Request, b *bridge.Bridge) {
	list := b.Figures(r.URL.Query().Get("conference"))
	if list == nil {
		list = []api.Figures{}
	}
	json.NewEncoder(w).Encode(list)
}

// figures asks for those of a conference.
func (b *bridgeMetrics) figures(ctx context.Context, conference string) (list []api.Figures, err error) {
	ctx, cancel := context.WithTimeout(ctx, samplesTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, link.URL+figuresPath+"?conference="+url.QueryEscape(conference), nil)
	if err != nil {
		return nil, err
	}
	res, err := b.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the figures of a conference: %s", res.Status)
	}
	return list, json.NewDecoder(io.LimitReader(res.Body, figuresMost)).Decode(&list)
}

// mediaOf are the media of those in a room, by their addresses: of a member with several endpoints all together.
func (s *server) mediaOf(ctx context.Context, f *focus.Focus, room wire.Addr) (map[wire.Addr]portal.Media, error) {
	meeting, of := f.Endpoints(room)
	if len(of) == 0 || s.media == nil || len(s.media.setup.Media) == 0 {
		return nil, nil
	}
	list, err := s.media.metrics.figures(ctx, meeting)
	media := make(map[wire.Addr]portal.Media, len(of))
	for _, e := range list {
		addr, ok := of[e.Member]
		if !ok {
			continue
		}
		m := media[addr]
		m.In, m.Out = sum(m.In, e.In), sum(m.Out, e.Out)
		m.Rate, m.RTT = max(m.Rate, e.Rate), max(m.RTT, e.RTT)
		if m.Trouble == "" {
			m.Trouble = e.Trouble
		}
		media[addr] = m
	}
	return media, err
}

func sum(a portal.Flow, b api.Flow) portal.Flow {
	return portal.Flow{Bytes: a.Bytes + b.Bytes, Packets: a.Packets + b.Packets, Lost: a.Lost + b.Lost}
}

// showLive lets the API see what the server is doing.
func (s *server) showLive(p *portal.Parts, f *focus.Focus, services *turn.Registry, node string) {
	started := time.Now().UTC().Truncate(time.Second)
	p.Live = portal.Live{
		Media: func(ctx context.Context, room wire.Addr) (map[wire.Addr]portal.Media, error) {
			return s.mediaOf(ctx, f, room)
		},
		Online: func() (list []portal.Presence) {
			for _, session := range s.host.Sessions("") {
				at := ""
				if from := session.Source(); from.IsValid() {
					at = from.Unmap().String()
				}
				list = append(list, portal.Presence{Address: string(session.Addr()), IP: at})
			}
			return list
		},
		Relays: func() []portal.Relay { return s.relays(services) },
		Health: func() portal.Health {
			d := s.details()
			return portal.Health{Ready: d.Ready, Reason: d.Reason, Version: version(), Domain: s.cfg.Domain, Node: node, Started: started, Parts: d.Parts}
		},
	}
}

// relays are the STUN and TURN servers that clients are given: those of all doors, and those that the RoomServer door has beside them.
func (s *server) relays(services *turn.Registry) (list []portal.Relay) {
	var own *portal.Relay
	if s.roomServer != nil {
		for _, v := range s.roomServer.Servers() {
			r := portal.Relay{URLs: v.URLs, Doors: "roomserver", Region: v.Region, Rate: v.Rate, Capacity: v.Capacity, Members: v.Members}
			if !v.Expires.IsZero() {
				r.Expires = new(v.Expires.UTC())
			}
			if v.Own {
				own = &r
				continue
			}
			list = append(list, r)
		}
	}
	var urls []string
	for _, v := range services.Services("", time.Minute, time.Now()) {
		urls = append(urls, v.URI())
	}
	if len(urls) == 0 {
		return list
	}
	if own == nil {
		own = new(portal.Relay)
	}
	own.URLs, own.Doors = urls, "all"
	return append([]portal.Relay{*own}, list...)
}
