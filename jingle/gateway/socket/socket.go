// Package socket is the WebSocket of a gateway's client: what it says, at a rate, what waits for it, within bounds, and whether it is
// still there.
package socket

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/coder/websocket"

	"parley/internal/event"
	"parley/internal/limit"
)

// Socket is the WebSocket of a client.
type Socket interface {
	Read(ctx context.Context) (websocket.MessageType, []byte, error)
	Write(ctx context.Context, typ websocket.MessageType, text []byte) error
	Ping(ctx context.Context) error
	Close(code websocket.StatusCode, reason string) error
	CloseNow() error
}

// Terms are what a gateway grants its clients.
type Terms struct {
	Frames limit.Rate // that a client says
	Queue  int        // frames that may wait for it
	Bytes  int        // and their bytes
	Ping   time.Duration
	Pong   time.Duration // that the answer may take
}

// writeTime is how long a client may take to read a frame.
const writeTime = 10 * time.Second

// Line is a client's connection. It is safe for concurrent use.
type Line struct {
	Socket Socket
	Source netip.Addr // what limits count the client as
	terms  Terms
	rec    *event.Recorder

	mu      sync.Mutex // guards what follows; nothing is called with it held
	queue   [][]byte
	bytes   int
	writing bool
	over    bool
	idle    sync.WaitGroup // the goroutine that writes
}

// New returns the line of a client.
func New(s Socket, source netip.Addr, terms Terms, rec *event.Recorder) *Line {
	return &Line{Socket: s, Source: source, terms: terms, rec: rec}
}

// Serve hands on what the client says until its connection ends, or said returns false. Then it sends what is queued and closes the
// connection.
func (l *Line) Serve(said func(typ websocket.MessageType, text []byte) bool) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	alive := make(chan struct{})
	go func() {
		defer close(alive)
		l.keep(ctx)
	}()
	defer func() { <-alive }()
	defer cancel()
	bucket := limit.NewBucket(l.terms.Frames)
	for {
		typ, text, err := l.Socket.Read(ctx)
		if err != nil {
			break
		}
		if wait := bucket.Take(time.Now(), 1); wait > 0 {
			l.rec.Count("limit.frames")
			select {
			case <-ctx.Done():
			case <-time.After(wait): // the client's messages wait in its socket meanwhile
			}
		}
		if !said(typ, text) {
			break
		}
	}
	l.Close(websocket.StatusNormalClosure, "")
}

// keep finds out that a client is gone that says nothing.
func (l *Line) keep(ctx context.Context) {
	t := time.NewTicker(l.terms.Ping)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		patience, done := context.WithTimeout(ctx, l.terms.Pong)
		err := l.Socket.Ping(patience)
		done()
		if err != nil {
			l.Socket.CloseNow()
			return
		}
	}
}

// Send queues a frame, and keeps its bytes. It never blocks. A client that does not read loses its connection, and may come back.
func (l *Line) Send(text []byte) {
	l.mu.Lock()
	if l.over {
		l.mu.Unlock()
		return
	}
	full := len(l.queue) >= l.terms.Queue || l.bytes+len(text) > l.terms.Bytes
	if full {
		l.over, l.queue = true, nil
		l.idle.Go(func() { l.Socket.CloseNow() }) // which may wait
	} else {
		l.queue = append(l.queue, text)
		l.bytes += len(text)
		if !l.writing {
			l.writing = true
			l.idle.Go(l.write)
		}
	}
	l.mu.Unlock()
	if full {
		l.rec.Reject("limit.queue", l.Source.String())
	}
}

// write sends what is queued.
func (l *Line) write() {
	for {
		l.mu.Lock()
		batch := l.queue
		l.queue, l.bytes = nil, 0
		if l.writing = len(batch) > 0; !l.writing {
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		for _, text := range batch {
			ctx, done := context.WithTimeout(context.Background(), writeTime)
			err := l.Socket.Write(ctx, websocket.MessageText, text)
			done()
			if err != nil {
				l.Socket.CloseNow()
				l.mu.Lock()
				l.over, l.queue = true, nil
				l.mu.Unlock()
				break
			}
		}
	}
}

// Close sends what is queued, and ends the connection.
func (l *Line) Close(code websocket.StatusCode, reason string) {
	l.mu.Lock()
	l.over = true
	l.mu.Unlock()
	l.idle.Wait()
	l.Socket.Close(code, reason)
}

// Wait waits until nothing of the line is under way any more; it is called after Close.
func (l *Line) Wait() { l.idle.Wait() }
