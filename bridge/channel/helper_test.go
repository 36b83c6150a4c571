package channel

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"parley/internal/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what should come at once.
const patience = 10 * time.Second

// endpoint is an Endpoint that keeps what it receives and sends its state to each Conn.
type endpoint struct {
	state    []Message
	received chan Message
	panics   bool

	mu     sync.Mutex // guards what follows
	conn   Conn
	closed []closed
}

// closed is a call of Closed.
type closed struct {
	conn    Conn
	arrived time.Time
}

func newEndpoint(state ...Message) *endpoint {
	return &endpoint{state: state, received: make(chan Message, 1000)}
}

func (e *endpoint) Receive(m Message) {
	if e.panics {
		panic("endpoint")
	}
	e.received <- m
}

func (e *endpoint) Opened(c Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.conn = c
	for _, m := range e.state {
		c.Send(m)
	}
}

func (e *endpoint) Closed(c Conn, arrived time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = append(e.closed, closed{c, arrived})
}

// send waits for the first Conn.
func (e *endpoint) send(m Message) {
	for {
		e.mu.Lock()
		if e.conn != nil {
			e.conn.Send(m)
			e.mu.Unlock()
			return
		}
		e.mu.Unlock()
		time.Sleep(time.Millisecond)
	}
}

// expect waits for a message of the client.
func (e *endpoint) expect(t *testing.T, want Message) {
	t.Helper()
	select {
	case got := <-e.received:
		if !sameMessage(got, want) {
			t.Fatalf("received %#v, want %#v", got, want)
		}
	case <-time.After(patience):
		t.Fatalf("%#v was not received", want)
	}
}

// bridge is a Server on loopback.
type bridge struct {
	*Server
	url string
	reg *prometheus.Registry
}

func newBridge(t *testing.T, change func(*Config)) *bridge {
	t.Helper()
	reg := prometheus.NewRegistry()
	cfg := Config{Bridge: "n1", Version: "test", Rate: DefaultRate, Events: event.New(slog.New(slog.DiscardHandler), reg, false)}
	if change != nil {
		change(&cfg)
	}
	s := NewServer(cfg)
	web := httptest.NewServer(s)
	t.Cleanup(func() {
		s.Close()
		web.Close()
	})
	return &bridge{s, web.URL, reg}
}

// count returns how often an event was counted.
func (b *bridge) count(t *testing.T, name string) float64 {
	t.Helper()
	families, err := b.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.Metric {
			if m.Label[0].GetValue() == name {
				return m.Counter.GetValue()
			}
		}
	}
	return 0
}

// client is a WebSocket client.
type client struct {
	t  *testing.T
	ws *websocket.Conn
}

func (b *bridge) dial(t *testing.T, path string) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, b.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(1 << 20)
	t.Cleanup(func() { ws.CloseNow() })
	return &client{t, ws}
}

// greeted dials and reads the hello.
func (b *bridge) greeted(t *testing.T, ticket *Ticket) *client {
	t.Helper()
	c := b.dial(t, ticket.Path())
	c.expect(ServerHello{Version: "test"})
	return c
}

func (c *client) send(text string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	if err := c.ws.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// push is send to a server that may have closed already.
func (c *client) push(text string) {
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	c.ws.Write(ctx, websocket.MessageText, []byte(text))
}

func (c *client) read() (string, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	_, text, err := c.ws.Read(ctx)
	return string(text), err
}

func (c *client) expect(want Message) {
	c.t.Helper()
	got, err := c.read()
	if err != nil {
		c.t.Fatal(err)
	}
	if got != string(encode(want)) {
		c.t.Fatalf("got %s, want %s", got, encode(want))
	}
}

// expectClose reads until the connection is closed, with the code.
func (c *client) expectClose(code int, reason string) {
	c.t.Helper()
	for {
		_, err := c.read()
		var closed websocket.CloseError
		switch {
		case err == nil:
		case errors.As(err, &closed) && int(closed.Code) == code && (reason == "" || closed.Reason == reason):
			return
		default:
			c.t.Fatalf("got %v, want close code %d %q", err, code, reason)
		}
	}
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not %s", what)
		}
	}
}
