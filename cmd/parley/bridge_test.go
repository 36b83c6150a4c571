package main_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley/bridge/api"
	"parley/bridge/link"
)

// bridgeChild is a bridge that link.Child keeps, as serve does, and what it tells.
type bridgeChild struct {
	client     *link.Client
	events     chan api.Event
	disconnect func() // as a front that is killed
	stop       func()
}

func startBridge(t *testing.T, dir string) *bridgeChild {
	t.Helper()
	program, err := exec.LookPath("parley") // testscript puts the test binary there under that name
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	child := &link.Child{Data: dir, Path: program, Args: []string{"bridge", "--data", dir, "--listen", "127.0.0.1:0"}, Log: log}
	b := &bridgeChild{client: link.NewClient(link.ClientConfig{Dial: link.Dial(dir), Log: log}), events: make(chan api.Event, 100)}
	ctx, cancel := context.WithCancel(context.Background())
	connected, disconnect := context.WithCancel(ctx)
	var group sync.WaitGroup
	gone := make(chan struct{})
	group.Go(func() {
		defer close(gone)
		b.client.Run(connected, func(e api.Event) {
			select {
			case b.events <- e:
			default: // nobody waits for one any more
			}
		})
	})
	b.disconnect = func() { disconnect(); <-gone }
	group.Go(func() {
		if err := child.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	b.stop = sync.OnceFunc(func() { cancel(); group.Wait() })
	t.Cleanup(b.stop)
	return b
}

// transport waits for the bridge's side of an endpoint.
func (b *bridgeChild) transport(t *testing.T, endpoint string, is func(*api.Transport) bool) *api.Transport {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		select {
		case e := <-b.events:
			if e.Transport != nil && e.Transport.Endpoint == endpoint && is(e.Transport) {
				return e.Transport
			}
		case <-late:
			t.Fatal("no transport")
		}
	}
}

func TestBridgeOffersTransportsAndChannels(t *testing.T) {
	dir := t.TempDir()
	b := startBridge(t, dir)
	wish := api.Conference{ID: "5f1c", Room: "r@muc.localhost", Version: 1, Endpoints: []api.Endpoint{{ID: "0f3a9c1e", Session: 1}}}
	b.client.Apply(wish)
	first := b.transport(t, "0f3a9c1e", func(*api.Transport) bool { return true })
	if first.Session != 1 || first.Setup != "actpass" || first.Fingerprint.Hash != "sha-256" || first.Ufrag == "" || len(first.Candidates) != 2 {
		t.Errorf("%+v", first)
	}
	for _, c := range first.Candidates {
		if !netip.MustParseAddr(c.IP).IsLoopback() || c.Port == 0 {
			t.Errorf("candidate %+v", c)
		}
	}

	// The channel, as a client reaches it: by way of the front.
	front := httptest.NewServer(link.Proxy(dir, nil))
	defer front.Close()
	if _, res, err := websocket.Dial(t.Context(), front.URL+strings.Split(first.Channel, "?")[0]+"?pwd=guess", nil); err == nil || res.StatusCode != 403 {
		t.Error("a guess opens the channel:", err)
	}
	c, _, err := websocket.Dial(t.Context(), front.URL+first.Channel, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	_, text, err := c.Read(t.Context())
	var hello struct {
		Class string `json:"colibriClass"`
	}
	if err != nil || json.Unmarshal(text, &hello) != nil || hello.Class != "ServerHello" {
		t.Errorf("%s %v", text, err)
	}

	// A restart of ICE, a new session, and a killed bridge: what changes and what stays.
	again := func(session, restart int) *api.Transport {
		t.Helper()
		wish.Version++
		wish.Endpoints = []api.Endpoint{{ID: "0f3a9c1e", Session: session, Restart: restart}}
		b.client.Apply(wish)
		return b.transport(t, "0f3a9c1e", func(got *api.Transport) bool { return got.Session == session && got.Restart == restart })
	}
	restarted := again(1, 1)
	if restarted.Ufrag == first.Ufrag || restarted.Channel != first.Channel {
		t.Errorf("ICE restart: %+v after %+v", restarted, first)
	}
	renewed := again(2, 1)
	if renewed.Ufrag == restarted.Ufrag || renewed.Channel != first.Channel || renewed.Fingerprint != first.Fingerprint {
		t.Errorf("session: %+v after %+v", renewed, restarted)
	}
	var record struct{ PID int }
	text, err = os.ReadFile(dir + "/bridge.json")
	if err != nil || json.Unmarshal(text, &record) != nil || record.PID == 0 {
		t.Fatalf("%s %v", text, err)
	}
	syscall.Kill(record.PID, syscall.SIGKILL)
	other := b.transport(t, "0f3a9c1e", func(got *api.Transport) bool { return got.Ufrag != renewed.Ufrag })
	if other.Fingerprint != first.Fingerprint || other.Channel == first.Channel || other.Session != 2 {
		t.Errorf("another bridge: %+v", other)
	}

	b.stop()
	if _, err := os.Stat(dir + "/bridge.json"); err == nil {
		t.Error("a graceful stop leaves bridge.json")
	}
	if nc, err := link.Dial(dir)(t.Context()); err == nil {
		nc.Close()
		t.Error("the bridge goes on")
	}
}

func TestMemberThatLeavesLosesItsChannel(t *testing.T) {
	dir := t.TempDir()
	b := startBridge(t, dir)
	wish := api.Conference{ID: "5f1c", Version: 1, Endpoints: []api.Endpoint{{ID: "a", Session: 1}, {ID: "b", Session: 1}}}
	b.client.Apply(wish)
	a := b.transport(t, "a", func(*api.Transport) bool { return true })
	front := httptest.NewServer(link.Proxy(dir, nil))
	defer front.Close()
	c, _, err := websocket.Dial(t.Context(), front.URL+a.Channel, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	wish.Version, wish.Endpoints = 2, wish.Endpoints[1:]
	b.client.Apply(wish)
	for err == nil {
		_, _, err = c.Read(t.Context())
	}
	if websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Error(err)
	}
	if _, _, err := websocket.Dial(t.Context(), front.URL+a.Channel, nil); err == nil {
		t.Error("the secret of a member that left opens the channel")
	}
}

// A bridge that another than its server asks to end says that it drains, and goes on for those who are there.
func TestBridgeThatIsToldToEndDrains(t *testing.T) {
	dir := t.TempDir()
	b := startBridge(t, dir)
	wish := api.Conference{ID: "5f1c", Version: 1, Endpoints: []api.Endpoint{{ID: "a", Session: 1}}}
	b.client.Apply(wish)
	b.transport(t, "a", func(*api.Transport) bool { return true })
	pid := link.Running(dir)
	syscall.Kill(pid, syscall.SIGTERM)
	for late := time.After(20 * time.Second); ; {
		var e api.Event
		select {
		case e = <-b.events:
		case <-late:
			t.Fatal("it does not say so")
		}
		if e.Stress != nil && e.Stress.Draining {
			break
		}
	}
	time.Sleep(300 * time.Millisecond)
	if link.Running(dir) != pid {
		t.Fatal("it has ended under its members")
	}
	wish.Version, wish.Endpoints = 2, nil
	b.client.Apply(wish)
	for until := time.Now().Add(20 * time.Second); link.Running(dir) == pid; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it does not end without members")
		}
	}
}

// Asked twice, it does not wait.
func TestBridgeThatIsToldToEndTwiceEnds(t *testing.T) {
	dir := t.TempDir()
	b := startBridge(t, dir)
	b.client.Apply(api.Conference{ID: "5f1c", Version: 1, Endpoints: []api.Endpoint{{ID: "a", Session: 1}}})
	b.transport(t, "a", func(*api.Transport) bool { return true })
	pid := link.Running(dir)
	for until := time.Now().Add(20 * time.Second); link.Running(dir) == pid; time.Sleep(200 * time.Millisecond) {
		syscall.Kill(pid, syscall.SIGTERM)
		if time.Now().After(until) {
			t.Fatal("it does not end")
		}
	}
}

// pkill -HUP parley means the server.
func TestBridgeIsNotEndedByAReload(t *testing.T) {
	dir := t.TempDir()
	b := startBridge(t, dir)
	b.client.Apply(api.Conference{ID: "5f1c", Version: 1, Endpoints: []api.Endpoint{{ID: "a", Session: 1}}})
	b.transport(t, "a", func(*api.Transport) bool { return true })
	pid := link.Running(dir)
	syscall.Kill(pid, syscall.SIGHUP)
	b.client.Apply(api.Conference{ID: "5f1c", Version: 2, Endpoints: []api.Endpoint{{ID: "a", Session: 2}}})
	b.transport(t, "a", func(got *api.Transport) bool { return got.Session == 2 })
	if now := link.Running(dir); now != pid {
		t.Errorf("process %d in place of %d", now, pid)
	}
}
