package channel

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

const (
	pingAfter   = 15 * time.Second // of silence, and as often again
	idleTimeout = 60 * time.Second // without a whole message, a ping or a pong
	writeWait   = 10 * time.Second // for a message to leave
	closeWait   = 2 * time.Second  // for the client to answer a close frame
)

// socket is the Conn over a WebSocket. The request's goroutine reads; another writes while there is something to write.
type socket struct {
	in   inbox
	out  outbox
	life life

	ticket *Ticket
	ws     *websocket.Conn
	raw    net.Conn // what ws runs on: to end it without waiting for anybody

	timer *time.Timer
	start time.Time
	heard atomic.Int64 // when something last came from the client: nanoseconds after start
	proof proof
}

// buffers hold a message while it is read, and one byte more.
var buffers = sync.Pool{New: func() any { return new([MaxMessage + 1]byte) }}

// hijack learns which connection the WebSocket library is given.
type hijack struct {
	http.ResponseWriter
	conn net.Conn
}

func (h *hijack) Hijack() (conn net.Conn, rw *bufio.ReadWriter, err error) {
	h.conn, rw, err = http.NewResponseController(h.ResponseWriter).Hijack()
	return h.conn, rw, err
}

// serve upgrades a request that may be and returns when its WebSocket is closed.
func serve(w http.ResponseWriter, r *http.Request, t *Ticket, remote string) {
	c := &socket{in: t.inbox(remote), life: life{all: &t.server.wg}, ticket: t, start: time.Now()}
	c.out = outbox{write: c.write, start: c.life.spawn, fail: c.Close, lost: lostTo(c.in.events, remote, t.key.endpoint), left: c.prove}
	c.proof.end = make(chan struct{})
	h := &hijack{ResponseWriter: w}
	ws, err := websocket.Accept(h, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // of the Origin: see ServeHTTP
		OnPingReceived:     func(context.Context, []byte) bool { return c.control() },
		OnPongReceived:     func(context.Context, []byte) { c.control() },
	})
	if err != nil {
		if h.conn != nil {
			h.conn.Close()
		}
		c.in.refuse(verdict{reason: "no WebSocket"})
		return
	}
	ws.SetReadLimit(-1) // read below
	c.ws, c.raw = ws, h.conn
	c.timer = time.AfterFunc(idleTimeout, c.tick)
	c.timer.Reset(pingAfter) // not before c.timer is set, which tick uses

	if t.attach(c, &c.in) {
		c.read()
	} else {
		c.Close(CloseExpired, "expired")
	}
	c.Close(0, "")
	c.life.wg.Wait()
	c.timer.Stop()
	if t.detach(c) {
		t.closed(c, &c.in, c.arrived())
	}
}

// Send implements Conn.
func (c *socket) Send(m Message) { c.out.put(m) }

// Close implements Conn. Without a code it closes without a close frame.
func (c *socket) Close(code int, reason string) {
	c.out.close()
	c.life.end(func() {
		close(c.proof.end)
		if code == 0 {
			c.raw.Close()
			c.ws.CloseNow()
			return
		}
		// The library waits for the client, even in the middle of a message; the end of the connection ends the waiting.
		hurry := time.AfterFunc(closeWait, func() { c.raw.Close() })
		c.ws.Close(websocket.StatusCode(code), reason)
		hurry.Stop()
		c.raw.Close()
	})
}

func (c *socket) write(text []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), writeWait)
	defer cancel()
	return c.ws.Write(ctx, websocket.MessageText, text)
}

func (c *socket) read() {
	for !c.life.over() {
		v, err := c.next()
		if err != nil {
			return
		}
		if v.code != 0 {
			c.Close(v.code, v.reason)
		}
	}
}

// next reads one message and hands it on.
func (c *socket) next() (verdict, error) {
	kind, r, err := c.ws.Reader(context.Background())
	if err != nil {
		return verdict{}, err
	}
	if v := c.in.allow(time.Now()); v.code != 0 {
		return v, nil
	}
	buffer := buffers.Get().(*[MaxMessage + 1]byte)
	defer buffers.Put(buffer)
	n, err := io.ReadFull(r, buffer[:])
	switch err {
	case nil:
		return c.in.refuse(verdict{CloseTooBig, "message too big"}), nil
	case io.EOF, io.ErrUnexpectedEOF: // the end of a message
	default:
		return verdict{}, err
	}
	c.hear()
	if c.life.over() { // replaced or expired meanwhile
		return verdict{}, nil
	}
	if kind != websocket.MessageText {
		c.in.refuse(verdict{reason: "binary message"})
		return verdict{}, nil
	}
	return c.in.receive(c, buffer[:n]), nil
}

// control meters a ping or pong, in the reading goroutine, and reports that it may be answered.
func (c *socket) control() bool {
	c.hear()
	if v := c.in.allow(time.Now()); v.code != 0 {
		c.Close(v.code, v.reason)
		return false
	}
	return true
}

func (c *socket) hear() { c.heard.Store(int64(time.Since(c.start))) }

// tick pings a client that is silent, and gives up one that stays so.
func (c *socket) tick() {
	silent := time.Since(c.start) - time.Duration(c.heard.Load())
	switch {
	case c.life.over():
	case silent >= idleTimeout:
		c.Close(0, "")
	case silent >= pingAfter:
		c.life.spawn(func() { c.ping() })
		c.timer.Reset(min(pingAfter, idleTimeout-silent))
	default:
		c.timer.Reset(pingAfter - silent)
	}
}

// ping returns with the pong, or when it is time for another.
func (c *socket) ping() error {
	ctx, cancel := context.WithTimeout(context.Background(), pingAfter)
	defer cancel()
	return c.ws.Ping(ctx)
}
