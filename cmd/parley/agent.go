package main

import (
	"fmt"
	"io"
	"net"
	"time"
)

// The agent port tells a load balancer (HAProxy's agent-check) with one line what is to be sent here: nothing is asked. A node that
// drains is sent no new rooms; its health stays good, since one that is not would be cut off from everybody.

const (
	agentTime = 5 * time.Second // for one line
	agentMost = 64              // connections at once
)

// serveAgent answers at one agent listener until it is closed.
func (s *server) serveAgent(l net.Listener) error {
	free := make(chan struct{}, agentMost)
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		select {
		case free <- struct{}{}:
		default:
			s.recorder.Reject("agent.busy", c.RemoteAddr().String())
			c.Close()
			continue
		}
		s.group.Go(func() {
			defer func() { <-free }()
			defer c.Close()
			c.SetDeadline(time.Now().Add(agentTime))
			fmt.Fprintf(c, "%s\n", s.steering())
			if half, ok := c.(interface{ CloseWrite() error }); ok {
				half.CloseWrite()
				io.Copy(io.Discard, io.LimitReader(c, 1<<10)) // what it sent would else throw the line away
			}
		})
	}
}

// steering is the line. What is wrong here costs new rooms only, unless nothing is served any more: "down" cuts those that are here,
// who come again elsewhere.
func (s *server) steering() string {
	switch {
	case s.stopping.Err() != nil:
		return "maint"
	case s.pulse.still(time.Now()):
		return "down"
	case s.drain.on.Load(), s.media.draining(), s.ready() != nil:
		return "up drain"
	}
	return fmt.Sprintf("up ready %d%%", weight(s.media.stressed()))
}

// weight is how much of its weight a node has at a stress, in percent: all up to a stress of a half, half of it at 1, a tenth from 1.4
// on. It goes in tenths, so that small changes move nobody, and never to 0, which would be a drain.
func weight(stress float64) int {
	return max(10, min(100, int((1.5-stress)*10+1e-9)*10))
}

// stressed is what the bridge has told last; 1 is all that it can do.
func (m *media) stressed() float64 {
	if m == nil {
		return 0
	}
	if s := m.stress.Load(); s != nil {
		return s.Stress
	}
	return 0
}

// draining reports that the bridge takes no new conferences.
func (m *media) draining() bool {
	if m == nil {
		return false
	}
	s := m.stress.Load()
	return s != nil && s.Draining
}

// closeAgents ends the agent listeners, which answer "maint" until then.
func (s *server) closeAgents() {
	for _, l := range s.listeners {
		if l.Scheme == "agent" {
			l.close()
		}
	}
}
