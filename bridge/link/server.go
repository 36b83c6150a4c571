package link

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"parley/bridge/api"
	"parley/internal/event"
)

// Grace is how long conferences go on without a front.
const Grace = 5 * time.Minute

// errStuck says that the core has not come back from an Apply for too long. Such a bridge says nothing more, so that its front
// has it killed (Child).
var errStuck = errors.New("link: the core is stuck")

// ErrAlone is what Server.Run returns when no front has come within the grace.
var ErrAlone = errors.New("link: no front for too long")

// connections is how many may be open at once, those that have not said who they are included.
const connections = 16

// unacknowledged is how many acknowledgements may wait for a front that does not read. Client has at most inFlight.
const unacknowledged = 4 * inFlight

// Core is a bridge without its control connection. Its methods are safe for concurrent use.
type Core interface {
	// Apply asks for a conference as it is described, see api.Conference. Without endpoints it is ended and forgotten.
	Apply(api.Conference)
	// Events says where events go. It is called once, before the first Apply. The function may be called from any
	// goroutine, also within Apply; it does not wait, and keeps what it is given.
	Events(func(api.Event))
	// Snapshot returns the conferences that there are, with their versions.
	Snapshot() map[string]uint64
}

// Drainer is a Core that wants to know that it is to take no new conferences.
type Drainer interface{ Drain() }

// Relay is a Core that relays for users: End ends a user's allocations, and refuses the credentials that it has.
type Relay interface{ End(user string) }

// Reloader is a Core that reads again what may have changed while it runs.
type Reloader interface{ Reload() }

// ServerConfig says what a Server tells of its bridge.
type ServerConfig struct {
	Bridge  string        // its id; empty: a random one is made
	Version string        // of the program
	Region  string        //
	Grace   time.Duration // without a front; 0 is Grace
	Log     *slog.Logger
	Events  *event.Recorder // may be nil
}

// Server is the bridge's side: one front at a time tells it what is wished, and is told what becomes of it.
type Server struct {
	core Core
	cfg  ServerConfig

	mu       sync.Mutex // guards what follows
	newest   newest
	session  *session // that of the front; nil without one
	open     int      // connections
	draining bool
	closed   bool
	alone    *time.Timer // fires when there was no front for the grace
}

// NewServer returns a server that has taken the core's events. Run makes it serve.
func NewServer(core Core, cfg ServerConfig) *Server {
	if cfg.Bridge == "" {
		cfg.Bridge = rand.Text()
	}
	if cfg.Grace == 0 {
		cfg.Grace = Grace
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{core: core, cfg: cfg}
	core.Events(s.event)
	return s
}

// Run serves fronts until the context ends, which is no error, or until there was none for the grace: then all conferences
// are ended, and the error is ErrAlone. It closes the listener.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	alone := make(chan struct{})
	s.mu.Lock()
	s.alone = time.AfterFunc(s.cfg.Grace, func() {
		s.mu.Lock()
		still := s.session == nil && !s.closed
		s.closed = s.closed || still
		s.mu.Unlock()
		if still {
			close(alone)
		}
	})
	s.mu.Unlock()

	var group sync.WaitGroup
	failed := make(chan error, 1)
	stop, cancel := context.WithCancel(ctx)
	group.Go(func() {
		for {
			nc, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				failed <- err
				return
			}
			if err != nil { // out of descriptors, say; the conferences do not suffer from it
				s.cfg.Events.Hurt("limit.process", "", "text", "a connection could not be accepted", "err", err.Error())
				pause(stop, 100*time.Millisecond)
				continue
			}
			if s.full() {
				s.cfg.Events.Reject("bridge.limit", remote(nc), "limit", "connections", "value", connections)
				nc.Close()
				continue
			}
			group.Go(func() {
				defer s.left()
				s.serve(stop, nc)
			})
		}
	})
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	case <-alone:
		err = ErrAlone
	}
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	cancel()
	l.Close()
	group.Wait()
	s.alone.Stop()
	if errors.Is(err, ErrAlone) {
		s.cfg.Log.Warn("no front for too long, conferences are ended", "grace", s.cfg.Grace)
		for id, version := range s.core.Snapshot() {
			s.core.Apply(api.Conference{ID: id, Version: version + 1})
		}
	}
	return err
}

// full reports that there are too many connections, and counts one more if not.
func (s *Server) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open >= connections {
		return true
	}
	s.open++
	return false
}

func (s *Server) left() {
	s.mu.Lock()
	s.open--
	s.mu.Unlock()
}

// event takes an event of the core.
func (s *Server) event(e api.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Stress != nil && s.draining && !e.Stress.Draining {
		told := *e.Stress
		told.Draining = true
		e.Stress = &told
	}
	if s.newest.put(&e) && s.session != nil {
		s.session.wake()
	}
}

// session is the connection of a front.
type session struct {
	*conn
	server *Server
	front  string
	done   chan struct{} // closed when its goroutines have ended
	awake  chan struct{} // holds a token when there is something to say

	mu    sync.Mutex // guards what follows
	acks  []applied
	since time.Time // when the core was given the wish that it applies; zero: it applies none
}

func (f *session) wake() {
	select {
	case f.awake <- struct{}{}:
	default:
	}
}

// serve runs a connection until it breaks.
func (s *Server) serve(ctx context.Context, nc net.Conn) {
	defer context.AfterFunc(ctx, func() { nc.Close() })()
	defer nc.Close()
	if err := trusted(nc); err != nil {
		s.cfg.Events.Reject("bridge.auth", remote(nc), "err", err.Error())
		return
	}
	c := &conn{Conn: nc}
	m, err := c.read(greeting)
	if err == nil && m.Front == nil {
		err = bad("the first message is not a front's")
	}
	if err != nil {
		s.fault(nc, err)
		return
	}
	f := &session{conn: c, server: s, front: m.Front.ID, done: make(chan struct{}), awake: make(chan struct{}, 1)}
	why, err := s.take(f, m.Front)
	if err != nil {
		s.cfg.Events.Hurt("bridge.stuck", remote(nc), "err", err.Error())
		return
	}
	if why != "" {
		s.cfg.Events.Reject("bridge.refused", remote(nc), "text", why)
		c.write(message{Refused: why})
		return
	}
	log := s.cfg.Log.With("peer", event.Clean(f.front))
	log.Info("a front has connected")
	reason := f.run(ctx)
	s.leave(f)
	s.fault(nc, reason)
	log.Info("the front is gone", "err", reason)
}

// fault counts what a peer did wrong; a connection that ends or breaks is no fault.
func (s *Server) fault(nc net.Conn, err error) {
	if b := (*badMessage)(nil); errors.As(err, &b) {
		s.cfg.Events.Reject("bridge.bad", remote(nc), "err", err.Error())
	}
}

// take makes a session that of the front, or says why not. A front that comes again before its former connection was seen
// to break takes the place of that; the error is errStuck if that one does not end.
func (s *Server) take(f *session, greet *front) (refused string, err error) {
	if greet.Protocol != protocol {
		return "another protocol", nil
	}
	s.mu.Lock()
	for old := s.session; old != nil; old = s.session {
		if old.front != f.front {
			s.mu.Unlock()
			return "another front is connected", nil
		}
		s.mu.Unlock()
		old.Close()
		select {
		case <-old.done:
		case <-time.After(patience):
			return "", errStuck
		}
		s.mu.Lock()
	}
	defer s.mu.Unlock()
	if s.closed {
		return "the bridge is ending", nil
	}
	s.session = f
	s.alone.Stop()
	for id := range greet.Conferences {
		if m := s.newest.meetings[id]; m != nil {
			m.front = f.front
		}
	}
	s.newest.again()
	return "", nil
}

// leave notes that the front is gone.
func (s *Server) leave(f *session) {
	s.mu.Lock()
	s.session = nil
	s.alone.Reset(s.cfg.Grace)
	s.mu.Unlock()
	close(f.done)
}

// run reads from the front and writes to it, until one of both fails.
func (f *session) run(ctx context.Context) error {
	written := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		err := f.write(ended)
		f.Close()
		written <- err
	}()
	err := f.readAll()
	close(ended)
	f.Close()
	if e := <-written; e != nil && (ctx.Err() != nil || errors.Is(err, net.ErrClosed)) {
		err = e // the writer was first
	}
	return err
}

func (f *session) readAll() error {
	for {
		m, err := f.read(silent)
		if err != nil {
			return err
		}
		switch {
		case m.Apply != nil:
			err = f.apply(m.Apply)
		case m.Drain:
			f.server.Drain()
		case m.Ended != nil:
			if relay, ok := f.server.core.(Relay); ok {
				for _, user := range m.Ended {
					relay.End(user)
				}
			}
		case m.Reload:
			if r, ok := f.server.core.(Reloader); ok {
				r.Reload()
			}
		case !m.Ping:
			err = bad("out of place for a front")
		}
		if err != nil {
			return err
		}
	}
}

// apply hands a wish to the core, unless it is older than what there is, and has it acknowledged.
func (f *session) apply(c *api.Conference) error {
	s := f.server
	s.mu.Lock()
	if s.newest.meetings[c.ID] == nil && len(s.newest.meetings) >= mostMeetings {
		s.mu.Unlock()
		return bad("more than %d conferences", mostMeetings)
	}
	have, isNews := s.newest.wish(c, f.front)
	s.mu.Unlock()
	if isNews {
		f.applies(time.Now())
		s.core.Apply(*c)
		f.applies(time.Time{})
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.acks) >= unacknowledged {
		return bad("acknowledgements are not read")
	}
	f.acks = append(f.acks, applied{c.ID, have})
	f.wake()
	return nil
}

// applies notes that the core was given a wish, or with no time that it has come back.
func (f *session) applies(since time.Time) {
	f.mu.Lock()
	f.since = since
	f.mu.Unlock()
}

// stuck reports that the core does not come back.
func (f *session) stuck() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.since.IsZero() && time.Since(f.since) >= patience
}

// Drain makes the bridge take no new conferences, and tells the front so. It reports whether there is a front.
func (s *Server) Drain() (front bool) {
	s.mu.Lock()
	was := s.draining
	s.draining, front = true, s.session != nil
	told := api.Stress{Draining: true}
	if last := s.newest.stress.event; last != nil {
		told = *last.Stress
	}
	s.mu.Unlock()
	if was {
		return front
	}
	s.event(api.Event{Stress: &told})
	s.cfg.Log.Info("draining")
	if d, ok := s.core.(Drainer); ok {
		d.Drain()
	}
	return front
}

// write says the Hello and then what there is to say, and in between that the core lives: a ping follows an answer of it, and
// nothing is said when it is stuck.
func (f *session) write(ended <-chan struct{}) error {
	s := f.server
	hello := api.Hello{Bridge: s.cfg.Bridge, Version: s.cfg.Version, Region: s.cfg.Region, Conferences: s.core.Snapshot()}
	if err := f.conn.write(message{Event: &api.Event{Hello: &hello}}); err != nil {
		return err
	}
	look := time.NewTicker(quiet)
	defer look.Stop()
	orphans := time.NewTimer(s.cfg.Grace)
	defer orphans.Stop()
	for {
		if err := f.writeAll(); err != nil {
			return err
		}
		select {
		case <-f.awake:
		case <-look.C:
			s.core.Snapshot()
			if f.stuck() {
				return errStuck
			}
			if err := f.conn.write(message{Ping: true}); err != nil {
				return err
			}
		case <-orphans.C:
			s.endOrphans(f.front)
		case <-ended:
			return nil
		}
	}
}

// writeAll says what there is to say. Acknowledgements go between the events, so that neither waits for the end of the
// other.
func (f *session) writeAll() error {
	s := f.server
	for {
		f.mu.Lock()
		acks := f.acks
		f.acks = nil
		f.mu.Unlock()
		for _, a := range acks {
			if err := f.conn.write(message{Applied: &a}); err != nil {
				return err
			}
		}
		s.mu.Lock()
		e := s.newest.next()
		s.mu.Unlock()
		if e == nil {
			return nil
		}
		err := f.conn.write(message{Event: e})
		if errors.Is(err, errLarge) {
			s.cfg.Events.Hurt("bridge.large", "", "err", err.Error())
		} else if err != nil {
			return err
		}
	}
}

// endOrphans ends the conferences of former fronts that this one has not spoken for.
func (s *Server) endOrphans(front string) {
	var orphans []api.Conference
	s.mu.Lock()
	for id, m := range s.newest.meetings {
		if m.front != front {
			orphans = append(orphans, api.Conference{ID: id, Version: m.version + 1})
			delete(s.newest.meetings, id)
		}
	}
	s.mu.Unlock()
	slices.SortFunc(orphans, func(a, b api.Conference) int { return strings.Compare(a.ID, b.ID) })
	for _, c := range orphans {
		s.cfg.Log.Info("a conference of a former front is ended", "conference", c.ID)
		s.core.Apply(c)
	}
}

// remote names a peer in the log. The peer of a Unix socket has no name.
func remote(nc net.Conn) string {
	if a := nc.RemoteAddr(); a != nil && a.Network() != "unix" {
		return a.String()
	}
	return "bridge.sock"
}
