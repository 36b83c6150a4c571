package link

import (
	"context"
	"errors"
	"io"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"parley/bridge/api"
)

// A bridge that is stopped still takes connections and signals, and does nothing about them.
func TestChildThatHangsIsKilledAndStartedAgain(t *testing.T) {
	dir := t.TempDir()
	noOrphan(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	client := NewClient(ClientConfig{Dial: Dial(dir)})
	child := testChild(dir, "5m", "bridge").quietly()
	child.Heard, child.Silence = client.Heard, time.Second
	var group sync.WaitGroup
	group.Go(func() { child.Run(ctx) })
	defer func() { cancel(); group.Wait() }()
	first := bridgeOf(t, dir, 0)
	time.Sleep(3 * child.Silence / 2) // nobody listens yet
	if gone(first) {
		t.Fatal("killed before anybody listened to it")
	}

	got := new(told)
	group.Go(func() { client.Run(ctx, got.event) })
	version := uint64(0)
	for until := time.Now().Add(2 * child.Silence); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		version++
		client.Apply(conference("c", version, "a")) // which it acknowledges
	}
	if gone(first) {
		t.Fatal("killed while it answered")
	}

	if err := syscall.Kill(first, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	from := time.Now()
	client.Apply(conference("d", 1, "a"))
	second := bridgeOf(t, dir, first)
	took := time.Since(from)
	if took < child.Silence/2 || !gone(first) {
		t.Errorf("killed after %v, gone %v", took, gone(first))
	}
	t.Log("stopped, killed and started again in", took)
	child2 := func() bool { return got.count("transport c/a 1") >= 2 && got.count("transport d/a 1") >= 1 }
	for until := time.Now().Add(5 * time.Second); !child2(); time.Sleep(5 * time.Millisecond) {
		client.Apply(conference("e", uint64(time.Now().UnixNano()), "a")) // or it would be silent
		if time.Now().After(until) {
			t.Fatalf("bridge %d was not told what is wished: %v", second, got.all())
		}
	}
}

// While the front itself is busy with what it was told, it hears nothing, and that is not the bridge's fault.
func TestFrontThatDoesNotListenBlamesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, net := newToy(), newPipes()
		served(t, core, ServerConfig{}, net)
		client := NewClient(ClientConfig{Dial: net.dial})
		silence := func() time.Duration { return time.Since(client.Heard()) }
		time.Sleep(time.Minute)
		if silence() != 0 {
			t.Error("silent before anybody listened")
		}
		busy := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go client.Run(ctx, func(e api.Event) {
			if e.Stress != nil {
				<-busy
			}
		})
		time.Sleep(time.Hour)
		if silence() > quiet {
			t.Errorf("silent for %v with pings", silence())
		}
		core.tell(api.Event{Stress: &api.Stress{}})
		time.Sleep(time.Minute)
		if silence() != 0 {
			t.Errorf("silent for %v while nobody listened", silence())
		}
		close(busy)
		cancel()
		synctest.Wait()
		time.Sleep(time.Minute)
		if silence() != 0 {
			t.Error("silent after the end")
		}
	})
}

// A bridge whose core does not come back says nothing more, also to who connects then, so that its front notices.
func TestBridgeThatIsStuckSaysNothing(t *testing.T) {
	for _, c := range []struct {
		name string
		jam  func(*toy, chan struct{})
	}{
		{"Apply", func(b *toy, gate chan struct{}) { b.gate = gate }},
		{"Snapshot", func(b *toy, gate chan struct{}) { b.mu.Lock(); b.lost = gate; b.mu.Unlock() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				core, net, counts := newToy(), newPipes(), newCounters()
				served(t, core, ServerConfig{Events: counts.Recorder}, net)
				client := NewClient(ClientConfig{Dial: net.dial})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go client.Run(ctx, func(api.Event) {})
				time.Sleep(time.Minute)
				gate := make(chan struct{})
				c.jam(core, gate)
				client.Apply(conference("c", 1, "a"))
				stress := time.NewTicker(time.Second)
				defer stress.Stop()
				for range 60 {
					<-stress.C
					core.tell(api.Event{Stress: &api.Stress{}}) // the rest of the core lives
				}
				if silence := time.Since(client.Heard()); silence < 60*time.Second-2*quiet {
					t.Errorf("silent for %v", silence)
				}
				if counts.of("bridge.stuck") == 0 {
					t.Error("nothing is counted")
				}
				nc, err := net.dial(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				other := &conn{Conn: nc}
				other.write(message{Front: &front{Protocol: protocol, ID: client.id}})
				from := time.Now()
				if m, err := other.read(time.Minute); !errors.Is(err, io.EOF) || time.Since(from) > 2*patience {
					t.Errorf("told %+v, %v after %v", m, err, time.Since(from))
				}
				close(gate) // it comes back, late
				time.Sleep(time.Minute)
				if silence := time.Since(client.Heard()); silence > quiet || !core.is(map[string]uint64{"c": 1}) {
					t.Errorf("silent for %v, has %v", silence, core.Snapshot())
				}
			})
		})
	}
}

// The rest of a bridge may live on and have much to tell: without its core it is of no use.
func TestBridgeThatIsStuckLeavesItsFront(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, net := newToy(), newPipes()
		served(t, core, ServerConfig{}, net)
		nc, err := net.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c, gate := &conn{Conn: nc}, make(chan struct{})
		defer func() { close(gate); synctest.Wait() }()
		go func() {
			c.write(message{Front: &front{Protocol: protocol, ID: "f"}})
			free, jammed := conference("c", 1, "a"), conference("c", 2, "a")
			c.write(message{Apply: &free})
			for range 10 {
				time.Sleep(quiet)
				c.write(message{Ping: true})
			}
			synctest.Wait()
			core.gate = gate
			c.write(message{Apply: &jammed})
		}()
		go func() {
			for {
				select {
				case <-time.After(time.Second):
					core.tell(api.Event{Stress: &api.Stress{}})
				case <-t.Context().Done():
					return
				}
			}
		}()
		from := time.Now()
		for err == nil && time.Since(from) < 10*time.Minute {
			_, err = c.read(time.Minute)
		}
		jam := 10 * quiet
		if after := time.Since(from); !errors.Is(err, io.EOF) || after < jam+patience || after > jam+patience+quiet {
			t.Errorf("%v after %v, and %v of them with a core that was stuck", err, after, after-jam)
		}
	})
}
