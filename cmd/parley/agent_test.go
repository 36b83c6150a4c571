package main

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"parley/bridge/api"
)

// The pulse is felt as long as the locks can be had.
func TestV22APulseIsFelt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(context.Background())
		turn := make(chan bool, 1) // a lock that time can pass over
		turn <- true
		var p pulse
		if p.still(time.Now()) {
			t.Error("one that was never felt is missed")
		}
		ended := make(chan struct{})
		go func() {
			p.run(ctx, func() { turn <- <-turn })
			close(ended)
		}()
		time.Sleep(time.Hour)
		if p.still(time.Now()) {
			t.Error("one that is felt is missed")
		}
		<-turn
		time.Sleep(pulseMost + 2*pulseEvery)
		if !p.still(time.Now()) {
			t.Error("one that is not felt any more is not missed")
		}
		turn <- true
		time.Sleep(pulseEvery)
		if p.still(time.Now()) {
			t.Error("one that is felt again is missed")
		}
		stop()
		<-ended
	})
}

func TestV22WeightByStress(t *testing.T) {
	for stress, want := range map[float64]int{0: 100, 0.3: 100, 0.5: 100, 0.75: 70, 1: 50, 1.4: 10, 9: 10} {
		if got := weight(stress); got != want {
			t.Errorf("at %v: %d %%, want %d", stress, got, want)
		}
	}
}

// What the agent port says costs new rooms only, unless nothing turns any more.
func TestV22WhatTheAgentPortSays(t *testing.T) {
	for _, c := range []struct {
		name, want string
		so         func(*server)
	}{
		{"the bridge drains", "up drain", func(s *server) {
			s.media = new(media)
			s.media.stress.Store(&api.Stress{Draining: true})
		}},
		{"no bridge", "up ready 100%", func(*server) {}},
		{"drains", "up drain", func(s *server) { s.drain.on.Store(true) }},
		{"is full", "up drain", func(s *server) { s.process.full.Store(true) }},
		{"turns", "up ready 100%", func(s *server) { now := time.Now(); s.pulse.last.Store(&now) }},
		{"hangs", "down", func(s *server) { past := time.Now().Add(-pulseMost - time.Second); s.pulse.last.Store(&past) }},
		{"hangs and drains", "down", func(s *server) {
			past := time.Now().Add(-pulseMost - time.Second)
			s.pulse.last.Store(&past)
			s.drain.on.Store(true)
		}},
		{"stops", "maint", func(s *server) { s.cancel() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &server{process: new(process)}
			s.stopping, s.cancel = context.WithCancel(context.Background())
			s.health.at = time.Now().Add(time.Hour) // the store is well
			c.so(s)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan error, 1)
			go func() { served <- s.serveAgent(l) }()
			defer func() { l.Close(); <-served; s.group.Wait() }()
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(30 * time.Second))
			io.WriteString(conn, "agent-send text that nobody asked for\n")
			if line, err := io.ReadAll(conn); err != nil || string(line) != c.want+"\n" {
				t.Errorf("%q %v, want %q", line, err, c.want)
			}
		})
	}
}
