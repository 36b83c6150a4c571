package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/peertest"
	"parley/internal/store"
)

// managers is a socket such as a manager has, and its name.
func managers(t *testing.T) (socket *net.UnixConn, name string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "parley-notify-") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	name = filepath.Join(dir, "s")
	if socket, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	return socket, name
}

// A server that systemd has started tells it that it serves, that it lives and that it stops, and its bridge says nothing.
func TestR29TheManagerIsTold(t *testing.T) {
	socket, name := managers(t)
	hear := func() string {
		t.Helper()
		b := make([]byte, 256)
		socket.SetReadDeadline(time.Now().Add(30 * time.Second))
		n, err := socket.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	p := peertest.StartParley(t, peertest.ParleyOptions{Env: []string{"NOTIFY_SOCKET=" + name, "WATCHDOG_USEC=200000"}})
	for _, want := range []string{"READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"} {
		if got := hear(); got != want {
			t.Errorf("it says %q, want %q", got, want)
		}
	}
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.Bridge()))
	if err != nil || strings.Contains(string(env), "NOTIFY_SOCKET") || strings.Contains(string(env), "WATCHDOG") {
		t.Errorf("the bridge is told of it: %q %v", env, err)
	}
	p.Stop()
	for said := ""; said != "STOPPING=1"; said = hear() {
		if said != "" && said != "WATCHDOG=1" {
			t.Errorf("it says %q", said)
		}
	}
}

// One that waits for its rooms asks for the time, again and again, and says that it stops when it does.
func TestV22TheManagerIsAskedForTime(t *testing.T) {
	socket, name := managers(t)
	manager{socket: name}.extend(time.Minute)
	socket.SetReadDeadline(time.Now().Add(30 * time.Second))
	b := make([]byte, 256)
	if n, err := socket.Read(b); err != nil || string(b[:n]) != "EXTEND_TIMEOUT_USEC=60000000" {
		t.Errorf("it says %q %v", b[:n], err)
	}
}

// A server that does not turn says nothing more.
func TestR29TheWatchdogIsOfWhatTurns(t *testing.T) {
	name := filepath.Join(t.TempDir(), "s")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	ctx, cancel := context.WithCancel(context.Background())
	turns, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		manager{socket: name, every: time.Millisecond}.watch(ctx, func() { <-turns })
	}()
	b := make([]byte, 64)
	for range 3 {
		turns <- struct{}{}
		socket.SetReadDeadline(time.Now().Add(30 * time.Second))
		if n, err := socket.Read(b); err != nil || string(b[:n]) != "WATCHDOG=1" {
			t.Fatalf("%q %v", b[:n], err)
		}
	}
	socket.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := socket.Read(b); err == nil {
		t.Errorf("it hangs and says %q", b[:n])
	}
	cancel()
	close(turns)
	<-ended
}

// pinged is a store of which only Ping is asked.
type pinged struct {
	store.Store
	err error
}

func (p *pinged) Ping(context.Context) error { return p.err }

func TestR29HowLongTheStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h health
		s := &pinged{}
		wants := func(want time.Duration, bad bool) {
			t.Helper()
			if lasts, err := h.lasts(s); lasts != want || (err != nil) != bad {
				t.Errorf("%v %v, want %v", lasts, err, want)
			}
		}
		wants(0, false)
		s.err = os.ErrClosed
		wants(0, false) // it was asked a moment ago
		time.Sleep(healthAge)
		wants(0, true)
		time.Sleep(20 * time.Second)
		wants(20*time.Second, true)
		s.err = nil
		wants(20*time.Second, true)
		time.Sleep(healthAge)
		wants(0, false)
	})
}
