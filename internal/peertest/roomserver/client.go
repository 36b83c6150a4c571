// Package roomserver is a client of the RoomServer protocol without a browser, for tests: it says what it is told to say, and
// shows what it is told.
package roomserver

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// patience is how long a test waits for what has to come.
const patience = 30 * time.Second

// Frame is a message, as JSON has it.
type Frame map[string]any

// Text is a member that is a string, "" if it is none.
func (f Frame) Text(name string) string {
	s, _ := f[name].(string)
	return s
}

// Result is the result, -1 if there is none.
func (f Frame) Result() int {
	n, ok := f["result"].(float64)
	if !ok {
		return -1
	}
	return int(n)
}

// Client is a connection.
type Client struct {
	t  testing.TB
	ws *websocket.Conn

	mu     sync.Mutex // guards what follows
	frames []Frame
	texts  []string
	ended  error
	news   chan struct{} // closed when something comes
	heard  func(Frame)   // is told each message first, in order; it may be nil
}

// hear has each message that comes from now on told to f first, in order.
func (c *Client) hear(f func(Frame)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = f
}

// Dial connects to the WebSocket at an address such as ws://localhost:8080/rs/ws. The connection ends with the test.
func Dial(t testing.TB, address string) *Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(1 << 20)
	c := &Client{t: t, ws: ws, news: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.read()
	}()
	t.Cleanup(func() {
		ws.CloseNow()
		<-done
	})
	return c
}

func (c *Client) read() {
	for {
		_, text, err := c.ws.Read(context.Background())
		var f Frame
		if err == nil {
			err = json.Unmarshal(text, &f)
		}
		c.mu.Lock()
		heard := c.heard
		c.mu.Unlock()
		if err == nil && heard != nil {
			heard(f)
		}
		c.mu.Lock()
		if err != nil {
			c.ended = err
		} else {
			c.frames, c.texts = append(c.frames, f), append(c.texts, string(text))
		}
		close(c.news)
		c.news = make(chan struct{})
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Send sends a message, as text or as what JSON makes of it.
func (c *Client) Send(message any) {
	c.t.Helper()
	text, ok := message.(string)
	if !ok {
		b, err := json.Marshal(message)
		if err != nil {
			c.t.Fatal(err)
		}
		text = string(b)
	}
	if err := c.write(text); err != nil {
		c.t.Fatal(err)
	}
}

// trySend sends a message, if the connection is there.
func (c *Client) trySend(message any) {
	if text, err := json.Marshal(message); err == nil {
		c.write(string(text))
	}
}

func (c *Client) write(text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return c.ws.Write(ctx, websocket.MessageText, []byte(text))
}

// Await returns the first message with that cmd which has not been taken yet, and takes it.
func (c *Client) Await(cmd string) Frame {
	c.t.Helper()
	late := time.After(patience)
	for {
		c.mu.Lock()
		for i, f := range c.frames {
			if f.Text("cmd") == cmd {
				c.frames, c.texts = append(c.frames[:i:i], c.frames[i+1:]...), append(c.texts[:i:i], c.texts[i+1:]...)
				c.mu.Unlock()
				return f
			}
		}
		news, ended, have := c.news, c.ended, strings.Join(c.texts, "\n")
		c.mu.Unlock()
		if ended != nil {
			c.t.Fatalf("no %s before the connection ended: %v; there was\n%s", cmd, ended, have)
		}
		select {
		case <-news:
		case <-late:
			c.t.Fatalf("no %s came; there was\n%s", cmd, have)
		}
	}
}

// Closed waits until the connection ends, and returns the code.
func (c *Client) Closed() websocket.StatusCode {
	c.t.Helper()
	late := time.After(patience)
	for {
		c.mu.Lock()
		news, ended := c.news, c.ended
		c.mu.Unlock()
		if ended != nil {
			return websocket.CloseStatus(ended)
		}
		select {
		case <-news:
		case <-late:
			c.t.Fatal("the connection did not end")
		}
	}
}

// Drop cuts the connection without a word.
func (c *Client) Drop() { c.ws.CloseNow() }
