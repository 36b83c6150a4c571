package main

import (
	"context"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// manager is systemd, where it has started the server and wants to be told how it is (sd_notify(3), sd_watchdog_enabled(3)).
type manager struct {
	socket string        // "": it does not want to know
	every  time.Duration // it has to be told within that, or it ends the server; 0: never
}

// newManager reads from the environment what systemd says, and takes it out, since it is not for the bridge.
func newManager() (m manager) {
	m.socket = os.Getenv("NOTIFY_SOCKET")
	if pid := os.Getenv("WATCHDOG_PID"); pid == "" || pid == strconv.Itoa(os.Getpid()) {
		if n, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64); err == nil && n > 0 {
			m.every = time.Duration(n) * time.Microsecond
		}
	}
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		os.Unsetenv(name)
	}
	return m
}

// say says how the server is. What systemd does not take is lost.
func (m manager) say(state string) {
	if m.socket == "" {
		return
	}
	name := m.socket
	if rest, ok := strings.CutPrefix(name, "@"); ok {
		name = "\x00" + rest
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Second))
	c.Write([]byte(state))
}

// extend asks for more time to end.
func (m manager) extend(by time.Duration) {
	m.say("EXTEND_TIMEOUT_USEC=" + strconv.FormatInt(by.Microseconds(), 10))
}

// watch says twice as often as has to be that the server lives, as long as it turns: turns returns when that was seen.
func (m manager) watch(ctx context.Context, turns func()) {
	if m.socket == "" || m.every == 0 {
		return
	}
	tick := time.NewTicker(m.every / 2)
	defer tick.Stop()
	for {
		turns()
		m.say("WATCHDOG=1")
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// turns returns when the locks that every stanza passes could be had.
func (s *server) turns() {
	s.clients.Sessions()
	s.rooms.Stats()
}
