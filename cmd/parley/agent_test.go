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
	s := &server{}
	s.stopping, s.cancel = context.WithCancel(context.Background())
	s.process = new(process)
	s.health.at = time.Now().Add(time.Hour) // the store is well
	s.media = new(media)
	s.media.stress.Store(&api.Stress{Draining: true})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.serveAgent(l) }()
	defer func() { l.Close(); <-served; s.group.Wait() }()
	says := func(want string) {
		t.Helper()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(30 * time.Second))
		io.WriteString(c, "agent-send text that nobody asked for\n")
		if line, err := io.ReadAll(c); err != nil || string(line) != want+"\n" {
			t.Errorf("%q %v, want %q", line, err, want)
		}
	}
	says("up drain") // the bridge drains
	s.media = nil
	says("up ready 100%")
	s.draining.Store(true)
	says("up drain")
	s.draining.Store(false)
	s.process.full.Store(true)
	says("up drain")
	s.cancel()
	says("maint")
}
