package socket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"parley/internal/event"
	"parley/internal/limit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client is the other end.
type client struct {
	says  chan string
	deaf  chan struct{} // not nil: it does not read until this is closed
	dead  bool          // it answers no ping
	ended chan struct{}
	once  sync.Once

	mu  sync.Mutex // guards got
	got []string
}

func newClient() *client {
	return &client{says: make(chan string), ended: make(chan struct{})}
}

func (c *client) Read(ctx context.Context) (websocket.MessageType, []byte, error) {
	select {
	case text := <-c.says:
		return websocket.MessageText, []byte(text), nil
	case <-c.ended:
	case <-ctx.Done():
	}
	return 0, nil, errors.New("closed")
}

func (c *client) Write(ctx context.Context, _ websocket.MessageType, text []byte) error {
	if c.deaf != nil {
		select {
		case <-c.deaf:
		case <-c.ended:
			return errors.New("closed")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, string(text))
	return nil
}

func (c *client) Ping(ctx context.Context) error {
	if !c.dead {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (c *client) Close(websocket.StatusCode, string) error { return c.CloseNow() }
func (c *client) CloseNow() error                          { c.once.Do(func() { close(c.ended) }); return nil }

func (c *client) isClosed() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

var terms = Terms{Frames: limit.Rate{PerSecond: 10, Burst: 5}, Queue: 8, Bytes: 100, Ping: 30 * time.Second, Pong: 10 * time.Second}

func newLine(c *client) (*Line, func() float64) {
	reg := prometheus.NewRegistry()
	counted := func() (n float64) {
		families, _ := reg.Gather()
		for _, f := range families {
			for _, m := range f.Metric {
				n += m.Counter.GetValue()
			}
		}
		return n
	}
	return New(c, netip.MustParseAddr("192.0.2.1"), terms, event.New(slog.New(slog.DiscardHandler), reg, false)), counted
}

// What is queued when the client or the server ends the line is sent before, in order.
func TestQueueIsSentBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient()
		l, _ := newLine(c)
		var said []string
		done := make(chan struct{})
		go func() {
			defer close(done)
			l.Serve(func(_ websocket.MessageType, text []byte) bool {
				said = append(said, string(text))
				for i := range 3 {
					l.Send(fmt.Appendf(nil, "%s%d", text, i))
				}
				return string(text) != "bye"
			})
			l.Wait()
		}()
		c.says <- "a"
		c.says <- "bye"
		<-done
		l.Send([]byte("late"))
		l.Wait()
		if !slices.Equal(said, []string{"a", "bye"}) || fmt.Sprint(c.got) != "[a0 a1 a2 bye0 bye1 bye2]" || !c.isClosed() {
			t.Errorf("it said %q and got %q", said, c.got)
		}
	})
}

// A client that does not read costs so much and no more, and nobody waits for it.
func TestClientThatDoesNotRead(t *testing.T) {
	for what, size := range map[string]int{"frames": 1, "bytes": 40} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClient()
				c.deaf = make(chan struct{})
				l, counted := newLine(c)
				sent := 0
				for ; sent < 20 && !c.isClosed(); sent++ {
					l.Send(make([]byte, size))
					synctest.Wait()
				}
				if most := min(terms.Queue, terms.Bytes/size) + 2; sent != most || counted() != 1 {
					t.Errorf("%d frames were taken, want %d; %v counted", sent, most, counted())
				}
				l.Wait()
			})
		})
	}
}

// A client that says nothing is asked, and one that does not answer is gone.
func TestClientThatIsGone(t *testing.T) {
	for _, dead := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := newClient()
			c.dead = dead
			l, _ := newLine(c)
			done := make(chan struct{})
			go func() {
				defer close(done)
				l.Serve(func(websocket.MessageType, []byte) bool { return true })
			}()
			time.Sleep(terms.Ping + terms.Pong + time.Second)
			synctest.Wait()
			if c.isClosed() != dead {
				t.Errorf("dead %v, closed %v", dead, c.isClosed())
			}
			c.CloseNow()
			<-done
			l.Wait()
		})
	}
}

// Who says more than is granted waits.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient()
		l, counted := newLine(c)
		done := make(chan struct{})
		go func() {
			defer close(done)
			l.Serve(func(_ websocket.MessageType, text []byte) bool { return string(text) != "bye" })
		}()
		began := time.Now()
		for range 25 {
			c.says <- "x"
		}
		c.says <- "bye"
		<-done
		if took := time.Since(began); took < 1900*time.Millisecond || took > 2200*time.Millisecond || counted() == 0 {
			t.Errorf("26 frames took %v; %v counted", took, counted())
		}
		l.Wait()
	})
}
