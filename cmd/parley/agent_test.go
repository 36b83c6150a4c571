package main

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"parley/bridge/api"
)

func TestV22WeightByStress(t *testing.T) {
	for stress, want := range map[float64]int{0: 100, 0.3: 100, 0.5: 100, 0.75: 70, 1: 50, 1.4: 10, 9: 10} {
		if got := weight(stress); got != want {
			t.Errorf("at %v: %d %%, want %d", stress, got, want)
		}
	}
}

// What the agent port says costs new rooms only.
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
