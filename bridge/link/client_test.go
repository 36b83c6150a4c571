package link

import (
	"context"
	"fmt"
	"io"
	"net"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"parley/bridge/api"
)

// bridgeEnd is a bridge whose every message the test decides.
func bridgeEnd(t *testing.T, net *pipes, hello api.Hello) (*conn, *front) {
	t.Helper()
	nc, err := net.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := &conn{Conn: nc}
	m, err := c.read(time.Second)
	if err != nil || m.Front == nil {
		t.Fatalf("%+v %v", m, err)
	}
	if err := c.write(message{Event: &api.Event{Hello: &hello}}); err != nil {
		t.Fatal(err)
	}
	return c, m.Front
}

func (c *conn) mustRead(t *testing.T) message {
	t.Helper()
	m, err := c.read(5 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// wishes reads the applied conferences until there is nothing more, and acknowledges none.
func (c *conn) wishes() (list []string) {
	for {
		m, err := c.read(time.Second)
		if err != nil {
			slices.Sort(list)
			return list
		}
		if m.Apply != nil {
			list = append(list, fmt.Sprintf("%s=%d", m.Apply.ID, m.Apply.Version))
		}
	}
}

func running(t *testing.T, cfg ClientConfig, events func(api.Event)) (*Client, *pipes) {
	net := newPipes()
	cfg.Dial = net.dial
	client := NewClient(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); client.Run(ctx, events) }()
	t.Cleanup(func() { cancel(); net.Close(); <-done })
	return client, net
}

func ignore(api.Event) {}

func TestOnlyTheNewestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, net := running(t, ClientConfig{}, ignore)
		b, _ := bridgeEnd(t, net, api.Hello{Bridge: "b"})
		client.Apply(conference("c", 1, "a"))
		if m := b.mustRead(t); m.Apply == nil || m.Apply.Version != 1 {
			t.Fatalf("%+v", m)
		}
		for v := range uint64(100) {
			client.Apply(conference("c", v, "a", "b")) // 0 and 1 are no news
		}
		client.Apply(conference("d", 1, "a")) // others do not wait for it
		if m := b.mustRead(t); m.Apply == nil || m.Apply.ID != "d" {
			t.Fatalf("%+v", m)
		}
		b.write(message{Applied: &applied{"c", 1}})
		if m := b.mustRead(t); m.Apply == nil || m.Apply.Version != 99 || len(m.Apply.Endpoints) != 2 {
			t.Fatalf("%+v", m)
		}
		b.write(message{Applied: &applied{"c", 99}})
		if left := b.wishes(); len(left) > 0 {
			t.Errorf("and then %v", left)
		}
	})
}

func TestWindowIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, net := running(t, ClientConfig{}, ignore)
		b, _ := bridgeEnd(t, net, api.Hello{Bridge: "b"})
		for i := range 2 * inFlight {
			client.Apply(conference(fmt.Sprint("c", i), 1, "a"))
		}
		if n := len(b.wishes()); n != inFlight {
			t.Errorf("%d on their way", n)
		}
		b.write(message{Applied: &applied{"c0", 1}})
		if n := len(b.wishes()); n != 1 {
			t.Errorf("%d after one landed", n)
		}
	})
}

func TestWhatIsAppliedAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		bridge string
		have   map[string]uint64
		want   []string
	}{
		"another bridge":                {"b2", nil, []string{"new=2", "same=3"}},
		"another bridge, same versions": {"b2", map[string]uint64{"same": 3, "new": 2, "over": 5}, []string{"new=2", "over=5", "same=3"}},
		"the same bridge":               {"b1", map[string]uint64{"same": 3, "new": 1, "over": 4}, []string{"new=2", "over=5"}},
		"the same bridge has nothing":   {"b1", nil, []string{"new=2", "same=3"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got told
				client, net := running(t, ClientConfig{}, got.event)
				client.Apply(conference("same", 3, "a"))
				client.Apply(conference("new", 1, "a"))
				client.Apply(conference("over", 4, "a"))
				client.Apply(conference("short", 1, "a"))
				client.Apply(conference("short", 2)) // over before any bridge was there
				b, greet := bridgeEnd(t, net, api.Hello{Bridge: "b1"})
				if want := map[string]uint64{"same": 3, "new": 1, "over": 4}; !reflect.DeepEqual(greet.Conferences, want) {
					t.Errorf("greeted with %v", greet.Conferences)
				}
				for range 3 {
					m := b.mustRead(t)
					b.write(message{Applied: &applied{m.Apply.ID, m.Apply.Version}})
				}
				synctest.Wait()
				b.Close()
				synctest.Wait()
				if _, there := client.Info(); there || !slices.Equal(got.all(), []string{"hello b1 map[]", "nothing"}) {
					t.Errorf("there %v, told %v", there, got.all())
				}
				client.Apply(conference("new", 2, "a"))
				client.Apply(conference("over", 5))
				b, _ = bridgeEnd(t, net, api.Hello{Bridge: tt.bridge, Conferences: tt.have})
				if got := b.wishes(); !slices.Equal(got, tt.want) {
					t.Errorf("applied %v, want %v", got, tt.want)
				}
				if hello, there := client.Info(); !there || hello.Bridge != tt.bridge {
					t.Errorf("%+v %v", hello, there)
				}
			})
		})
	}
}

func TestWishMadeWithinTheHelloIsTheOneThatIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var client *Client
		client, net := running(t, ClientConfig{}, func(e api.Event) {
			if e.Hello != nil {
				client.Apply(conference("c", e.Hello.Conferences["c"]+10, "a"))
			}
		})
		client.Apply(conference("c", 1, "a"))
		b, _ := bridgeEnd(t, net, api.Hello{Bridge: "b", Conferences: map[string]uint64{"c": 5}})
		if got := b.wishes(); !slices.Equal(got, []string{"c=15"}) {
			t.Errorf("applied %v", got)
		}
	})
}

func TestEndedConferencesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, net := newToy(), newPipes()
		served(t, core, ServerConfig{}, net)
		client := NewClient(ClientConfig{Dial: net.dial})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go client.Run(ctx, ignore)
		for i := range 100 {
			id := fmt.Sprint("c", i)
			client.Apply(conference(id, 1, "a"))
			synctest.Wait()
			client.Apply(conference(id, 2))
			synctest.Wait()
		}
		client.mu.Lock()
		defer client.mu.Unlock()
		if len(client.wished) > 0 || len(client.queue) > 0 || client.flying > 0 || !core.is(nil) {
			t.Errorf("%d wishes, %d queued, %d flying, core %v", len(client.wished), len(client.queue), client.flying, core.Snapshot())
		}
	})
}

func TestWishThatIsTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counts := newCounters()
		client, net := running(t, ClientConfig{Events: counts.Recorder}, ignore)
		b, _ := bridgeEnd(t, net, api.Hello{Bridge: "b"})
		large := conference("c", 1, "a")
		large.Room = strings.Repeat("x", largest)
		client.Apply(large)
		client.Apply(conference("d", 1, "a"))
		if got := b.wishes(); !slices.Equal(got, []string{"d=1"}) || counts.of("bridge.large") != 1 {
			t.Errorf("applied %v, counted %v", got, counts.of("bridge.large"))
		}
		client.Apply(conference("c", 2, "a"))
		if got := b.wishes(); !slices.Equal(got, []string{"c=2"}) {
			t.Errorf("a smaller one: %v", got)
		}
	})
}

func TestHB12BridgeThatTalksRubbish(t *testing.T) {
	for name, m := range map[string]message{
		"HB12 an acknowledgement of nothing": {Applied: &applied{"c", 1}},
		"HB12 a second hello":                {Event: &api.Event{Hello: &api.Hello{Bridge: "b"}}},
		"HB12 a wish":                        {Apply: &api.Conference{ID: "c", Version: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				counts := newCounters()
				_, net := running(t, ClientConfig{Events: counts.Recorder}, ignore)
				b, _ := bridgeEnd(t, net, api.Hello{Bridge: "b"})
				b.write(m)
				if _, err := b.read(time.Second); err != io.EOF {
					t.Errorf("it goes on: %v", err)
				}
				synctest.Wait()
				if counts.of("bridge.bad") != 1 {
					t.Error("not counted")
				}
				bridgeEnd(t, net, api.Hello{Bridge: "b"}) // and comes again
			})
		})
	}
}

func TestRefusedFrontTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newPipes()
		served(t, newToy(), ServerConfig{}, net)
		first, second := NewClient(ClientConfig{Dial: net.dial}), NewClient(ClientConfig{Dial: net.dial})
		one, end := context.WithCancel(t.Context())
		go first.Run(one, ignore)
		synctest.Wait()
		two, cancel := context.WithCancel(t.Context())
		defer cancel()
		go second.Run(two, ignore)
		time.Sleep(time.Minute)
		if _, there := second.Info(); there {
			t.Error("two fronts")
		}
		if second.Away() == 0 || first.Away() != 0 {
			t.Errorf("away for %v, and for %v the one that is there", second.Away(), first.Away())
		}
		if _, there := first.Info(); !there {
			t.Error("the second front has displaced the first")
		}
		end()
		time.Sleep(time.Second)
		if _, there := second.Info(); !there {
			t.Error("the second front does not follow")
		}
	})
}

// Whatever is wished, in whatever order connections break and bridges are lost: in the end the bridge has what is wished.
func TestBridgeHasWhatIsWished(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.IntRange(0, 9), 1, 40).Draw(rt, "steps")
		ids := rapid.SliceOfN(rapid.SampledFrom([]string{"c1", "c2", "c3"}), len(steps), len(steps)).Draw(rt, "ids")
		synctest.Test(t, func(t *testing.T) {
			var core *toy
			var way atomic.Pointer[pipes]
			var open atomic.Value // the last connection
			start := func() (stop func()) {
				ctx, cancel := context.WithCancel(context.Background())
				done := make(chan struct{})
				core = newToy()
				s, l := NewServer(core, ServerConfig{}), newPipes()
				way.Store(l)
				go func() { defer close(done); s.Run(ctx, l) }()
				return func() { cancel(); <-done }
			}
			stop := start()
			client := NewClient(ClientConfig{Dial: func(ctx context.Context) (net.Conn, error) {
				c, err := way.Load().dial(ctx)
				if err == nil {
					open.Store(c)
				}
				return c, err
			}})
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan struct{})
			go func() { defer close(done); client.Run(ctx, ignore) }()
			versions, want := map[string]uint64{}, map[string]uint64{}
			for i, step := range steps {
				id := ids[i]
				switch {
				case step < 5:
					versions[id]++
					want[id] = versions[id]
					client.Apply(conference(id, versions[id], "a", fmt.Sprint("b", i)))
				case step < 7:
					versions[id]++
					delete(want, id)
					client.Apply(conference(id, versions[id]))
				case step == 7:
					synctest.Wait()
				case step == 8: // the connection breaks
					synctest.Wait()
					if c, ok := open.Load().(net.Conn); ok {
						c.Close()
					}
				case step == 9: // the bridge is lost, and another one comes
					stop()
					stop = start()
				}
			}
			time.Sleep(5 * time.Second)
			if !core.is(want) {
				rt.Fatalf("has %v, wished %v", core.Snapshot(), want)
			}
			cancel()
			<-done
			stop()
		})
	})
}
