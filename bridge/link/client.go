package link

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"parley/bridge/api"
	"parley/internal/event"
)

// inFlight is how many conferences may wait for their acknowledgement at once.
const inFlight = 64

// ClientConfig is what a Client needs.
type ClientConfig struct {
	// Dial connects to the bridge. It is called again and again until it succeeds.
	Dial   func(context.Context) (net.Conn, error)
	Log    *slog.Logger
	Events *event.Recorder // may be nil

	// Remember is how long users that End names are told to bridges that come; 0: only the one that is there is told.
	Remember time.Duration
}

// Client is the front's side: it holds what is wished, and sees to it that the bridge knows. It satisfies the focus's
// Bridge. Its methods do not wait, and may be called from any goroutine.
type Client struct {
	cfg ClientConfig
	id  string // of the front

	wake  chan struct{} // holds a token when there may be something to send
	heard atomic.Pointer[time.Time]

	mu     sync.Mutex // guards what follows
	wished map[string]*wish
	queue  []string // ids of wishes that are to be sent, each once
	flying int      // wishes that wait for their acknowledgement
	drain  bool
	told   bool // of drain
	hello  api.Hello
	there  bool
	left   time.Time // since when there is none
	ended  departed
	reload bool // is to be told
}

// wish is the newest state of a conference, and what the bridge knows of it.
type wish struct {
	conference api.Conference
	queued     bool
	known      bool   // to this bridge or a former one
	flying     bool   // sent and not yet acknowledged
	sent       uint64 // version, while flying
}

func (w *wish) ended() bool { return len(w.conference.Endpoints) == 0 }

// NewClient returns a client that remembers wishes. Run makes it connect.
func NewClient(cfg ClientConfig) *Client {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Client{cfg: cfg, id: rand.Text(), wake: make(chan struct{}, 1), wished: make(map[string]*wish), left: time.Now()}
}

// Apply asks for a conference as it is described. What has a lower version than a former wish is dropped. The endpoints
// are the client's from now on: nobody may change them.
func (c *Client) Apply(wished api.Conference) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.wished[wished.ID]
	switch {
	case w == nil:
		w = &wish{}
		c.wished[wished.ID] = w
	case wished.Version <= w.conference.Version:
		return
	}
	w.conference = wished
	if _, has := c.hello.Conferences[wished.ID]; w.ended() && !w.known && !has && !c.there {
		delete(c.wished, wished.ID) // over before any bridge knew of it
		return
	}
	c.push(w)
}

// Drain tells the bridge, and each one that comes after it, to take no new conferences.
func (c *Client) Drain() {
	c.mu.Lock()
	c.drain = true
	c.mu.Unlock()
	c.rouse()
}

// End tells the bridge to end what it relays for a user, and to refuse the user's credentials.
func (c *Client) End(user string) {
	c.mu.Lock()
	c.ended.add(user, time.Now(), c.cfg.Remember)
	if !c.there {
		c.ended.unsaid = nil // begin says it
	}
	c.mu.Unlock()
	c.rouse()
}

// Reload tells the bridge, if there is one, to read again what may have changed: one that comes later reads it anyway.
func (c *Client) Reload() {
	c.mu.Lock()
	c.reload = c.there
	c.mu.Unlock()
	c.rouse()
}

// Info returns the Hello of the bridge that is connected, or was last; there is false while none is.
func (c *Client) Info() (hello api.Hello, there bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hello, c.there
}

// Away is for how long no bridge has been connected; 0 while one is.
func (c *Client) Away() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.there {
		return 0
	}
	return max(time.Since(c.left), 1)
}

// Heard returns when the bridge has said something last. While nobody listens, before Run and while that delivers an event, that
// is now.
func (c *Client) Heard() time.Time {
	if at := c.heard.Load(); at != nil {
		return *at
	}
	return time.Now()
}

// hears notes that the bridge was heard just now.
func (c *Client) hears() {
	now := time.Now()
	c.heard.Store(&now)
}

// push queues a wish that is not on its way; without a bridge there is no queue, and begin makes it. Called with mu held.
func (c *Client) push(w *wish) {
	if c.there && !w.queued && !w.flying {
		w.queued = true
		c.queue = append(c.queue, w.conference.ID)
	}
	c.rouse()
}

func (c *Client) rouse() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Run connects to the bridge, again when the connection breaks, until the context ends. Events are delivered one after the
// other: first the Hello of a connection, and when that is gone an empty event. The bridge is told what is wished when the
// function has returned from the Hello. It may call Apply. While it does not return, newer events take the place of older
// ones.
func (c *Client) Run(ctx context.Context, events func(api.Event)) error {
	const first, most = 10 * time.Millisecond, 250 * time.Millisecond
	c.hears()
	defer c.heard.Store(nil)
	deliver := events
	events = func(e api.Event) {
		last := c.heard.Swap(nil)
		deliver(e)
		if c.heard.Store(last); e != (api.Event{}) {
			c.hears()
		}
	}
	said := ""
	for pause := first; ; pause = min(2*pause, most) {
		greeted, err := c.connect(ctx, events)
		if ctx.Err() != nil {
			return nil
		}
		if greeted {
			pause, said = first, ""
			c.cfg.Log.Warn("the bridge is gone", "err", err)
		} else if said != err.Error() { // the same is said once
			said = err.Error()
			c.cfg.Log.Info("no bridge yet", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// connect serves one connection; greeted says that the bridge has said its Hello.
func (c *Client) connect(ctx context.Context, events func(api.Event)) (greeted bool, err error) {
	dialing, cancel := context.WithTimeout(ctx, greeting)
	nc, err := c.cfg.Dial(dialing)
	cancel()
	if err != nil {
		return false, err
	}
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { nc.Close() })()
	defer func() {
		if b := (*badMessage)(nil); errors.As(err, &b) {
			c.cfg.Events.Reject("bridge.bad", remote(nc), "err", err.Error())
		}
	}()
	if err := trusted(nc); err != nil {
		c.cfg.Events.Reject("bridge.auth", remote(nc), "err", err.Error())
		return false, err
	}
	l := &conn{Conn: nc}
	if err := l.write(message{Front: c.greet()}); err != nil {
		return false, err
	}
	m, err := l.read(greeting)
	if err == nil {
		c.hears()
	}
	switch {
	case err != nil:
		return false, err
	case m.Refused != "":
		return false, fmt.Errorf("link: refused: %s", event.Clean(m.Refused))
	case m.Event == nil || m.Event.Hello == nil:
		return false, bad("the first message is no Hello")
	}
	c.begin(m.Event.Hello)
	defer func() {
		c.end()
		events(api.Event{})
	}()
	c.cfg.Log.Info("the bridge is there", "bridge", m.Event.Hello.Bridge, "version", m.Event.Hello.Version, "conferences", len(m.Event.Hello.Conferences))
	events(*m.Event)

	written := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		err := c.writeAll(l, ended)
		l.Close()
		written <- err
	}()
	err = c.readAll(l, events)
	close(ended)
	l.Close()
	if e := <-written; e != nil && errors.Is(err, net.ErrClosed) {
		err = e // the writer was first
	}
	return true, err
}

// greet says who we are and what is wished.
func (c *Client) greet() *front {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := &front{Protocol: protocol, ID: c.id, Conferences: make(map[string]uint64, len(c.wished))}
	for id, w := range c.wished {
		if !w.ended() {
			f.Conferences[id] = w.conference.Version
		}
	}
	return f
}

// begin notes the bridge, and queues what it does not have: of the same bridge the wishes of another version, of another
// bridge all. What is ended and not there is done.
func (c *Client) begin(h *api.Hello) {
	c.mu.Lock()
	defer c.mu.Unlock()
	other := h.Bridge != c.hello.Bridge
	c.hello, c.there = *h, true
	c.queue, c.flying, c.told, c.reload = nil, 0, false, false
	c.ended.again(time.Now())
	for id, w := range c.wished {
		w.queued, w.flying = false, false
		version, has := h.Conferences[id]
		switch {
		case !has && w.ended():
			delete(c.wished, id)
		case other || !has || version != w.conference.Version:
			c.push(w)
		}
	}
	c.rouse()
}

func (c *Client) end() {
	c.mu.Lock()
	c.there, c.left = false, time.Now()
	c.mu.Unlock()
}

func (c *Client) readAll(l *conn, events func(api.Event)) error {
	for {
		m, err := l.read(silent)
		if err != nil {
			return err
		}
		c.hears()
		switch {
		case m.Event != nil && m.Event.Hello == nil:
			events(*m.Event)
		case m.Applied != nil:
			if err := c.acknowledged(m.Applied); err != nil {
				return err
			}
		case !m.Ping:
			return bad("out of place for a bridge")
		}
	}
}

// acknowledged notes that the bridge has a wish, and queues the one that came since.
func (c *Client) acknowledged(a *applied) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.wished[a.ID]
	if w == nil || !w.flying || a.Version < w.sent {
		return bad("an acknowledgement of what was not sent")
	}
	if a.Version > w.sent {
		c.cfg.Events.Hurt("bridge.stale", a.ID, "have", a.Version, "wished", w.sent)
	}
	c.landed(w)
	return nil
}

// landed ends a wish's flight. Called with mu held.
func (c *Client) landed(w *wish) {
	w.flying = false
	c.flying--
	switch {
	case w.conference.Version > w.sent:
		c.push(w)
	case w.ended():
		delete(c.wished, w.conference.ID)
	}
	c.rouse()
}

// writeAll sends what there is to send until the connection breaks or is ended.
func (c *Client) writeAll(l *conn, ended <-chan struct{}) error {
	rest := time.NewTimer(quiet)
	defer rest.Stop()
	for {
		for m, w := c.next(); m != nil; m, w = c.next() {
			err := l.write(*m)
			if errors.Is(err, errLarge) { // the bridge keeps what it has; a later wish may be smaller
				c.cfg.Events.Hurt("bridge.large", m.Apply.ID, "text", "a conference stays as it was", "endpoints", len(m.Apply.Endpoints), "err", err.Error())
				c.mu.Lock()
				c.landed(w)
				c.mu.Unlock()
				err = nil
			}
			if err != nil {
				return err
			}
		}
		rest.Reset(quiet)
		select {
		case <-c.wake:
		case <-rest.C:
			if err := l.write(message{Ping: true}); err != nil {
				return err
			}
		case <-ended:
			return nil
		}
	}
}

// next takes what is to be sent next; nil when there is nothing, or as much as may be is on its way.
func (c *Client) next() (*message, *wish) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drain && !c.told {
		c.told = true
		return &message{Drain: true}, nil
	}
	if c.reload {
		c.reload = false
		return &message{Reload: true}, nil
	}
	if users := c.ended.next(); users != nil {
		return &message{Ended: users}, nil
	}
	if len(c.queue) == 0 || c.flying >= inFlight {
		return nil, nil
	}
	w := c.wished[c.queue[0]]
	c.queue = c.queue[1:]
	w.queued, w.known, w.flying, w.sent = false, true, true, w.conference.Version
	c.flying++
	state := w.conference
	return &message{Apply: &state}, w
}
