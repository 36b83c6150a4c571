// Package hook tells programs by HTTP of what happens in rooms (webhooks): rooms that begin and end, members that join and leave,
// calls that begin and end. Messages are signed and numbered as Standard Webhooks 1.0.0 says, so that libraries for it check them.
//
// What happens gets into a bounded queue in memory, from there into the store within moments, and from there to the application, at
// least once: it stays in the store until the application has answered 2xx, and is tried again later and later, also by the next
// process. The order is that of what happened as long as all goes well; nobody should rely on it. Where more waits than may, what
// is new is dropped and counted.
package hook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/event"
	"parley/internal/store"
	"parley/muc"
)

// Config is what an administrator may set.
type Config struct {
	Private bool          `help:"webhooks may be at http addresses, and at addresses that are not public: of this machine and of the network behind it. Whoever may administer applications reaches those then"`
	Timeout time.Duration `help:"how long an application may take to answer"`
	Retry   time.Duration `help:"how long after a failure the next try is; each one after it waits twice as long, at most 1h"`
	Keep    time.Duration `help:"how long it is tried"`
	Waiting int           `help:"messages that may wait for one webhook; what comes then is dropped"`
}

// Defaults give an application a day to come back.
func Defaults() Config {
	return Config{Timeout: 5 * time.Second, Retry: 5 * time.Second, Keep: 24 * time.Hour, Waiting: 10_000}
}

// Types of what is told.
const (
	RoomCreated  = "room.created"
	RoomEnded    = "room.ended"
	MemberJoined = "member.joined"
	MemberLeft   = "member.left"
	CallStarted  = "call.started"
	CallEnded    = "call.ended"
	Ping         = "ping" // asked for by an administrator; every hook gets it
)

// Types are those that a hook may ask for.
var Types = []string{RoomCreated, RoomEnded, MemberJoined, MemberLeft, CallStarted, CallEnded}

// MostHooks is how many an application may have.
const MostHooks = 10

const (
	mostPending = 10_000 // messages in memory that the store does not have yet
	atOnce      = 10     // deliveries of one hook that are taken from the store at a time
	runners     = 16     // hooks that are delivered to at a time
	look        = time.Second
	relook      = 30 * time.Second // in which hooks that another process has added are seen
	storeTime   = 10 * time.Second
)

// Service keeps applications informed. It is safe for concurrent use.
type Service struct {
	cfg   Config
	store store.Hooks
	node  string
	door  func(*muc.Occupant) string
	rec   *event.Recorder
	log   *slog.Logger
	agent *agent

	hooks atomic.Pointer[[]store.Hook]
	wake  chan struct{} // there is something to be stored
	due   chan struct{} // there is something to be delivered
	again chan struct{} // the hooks are other ones

	mu      sync.Mutex // guards what follows
	pending []message
	paused  map[string]pause // hooks that fail
	busy    map[string]bool  // hooks that are being delivered to

	storing sync.Mutex // held by who moves what is pending to the store, so that it gets there in order
	running sync.WaitGroup
}

// pause is how long a hook is left alone that fails.
type pause struct {
	until    time.Time
	failures int // one after the other
}

// New returns a service. Node is the name of this server, by which it knows after a restart what it had begun; door says by which
// protocol somebody is in a room.
func New(cfg Config, hooks store.Hooks, node string, door func(*muc.Occupant) string, rec *event.Recorder, log *slog.Logger) (*Service, error) {
	if cfg.Timeout <= 0 || cfg.Retry <= 0 || cfg.Keep <= 0 || cfg.Waiting <= 0 {
		return nil, errors.New("hook: timeout, retry, keep and waiting have to be more than 0")
	}
	s := &Service{
		cfg: cfg, store: hooks, node: node, door: door, rec: rec, log: log, agent: newAgent(cfg),
		wake: make(chan struct{}, 1), due: make(chan struct{}, 1), again: make(chan struct{}, 1),
		paused: make(map[string]pause), busy: make(map[string]bool),
	}
	s.hooks.Store(new([]store.Hook))
	return s, nil
}

// Open reads the hooks, and takes up again what the last process of this node had begun. It is called before Run, and before
// anything happens.
func (s *Service) Open(ctx context.Context) error {
	if err := s.store.FreeDeliveries(ctx, s.node, time.Now()); err != nil {
		return fmt.Errorf("hook: %w", err)
	}
	if err := s.read(ctx); err != nil {
		return fmt.Errorf("hook: %w", err)
	}
	return nil
}

func (s *Service) read(ctx context.Context) error {
	list, err := s.store.ListHooks(ctx, "")
	if err == nil {
		s.hooks.Store(&list)
	}
	return err
}

// Changed has hooks read again that were added or removed. It returns when what happens from now on is told to them.
func (s *Service) Changed(ctx context.Context) {
	if err := s.read(ctx); err != nil {
		s.rec.Hurt("hook.store", "", "err", err.Error())
		nudge(s.again)
	}
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// CheckURL says what is wrong with an address of a webhook.
func (s *Service) CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil, len(text) > 2048, u.Host == "", u.Hostname() == "", u.Opaque != "", strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune("\"'<>\\`{}|^", r) }):
		return errors.New("that is no address")
	case u.User != nil:
		return errors.New("the address holds a password")
	case u.Fragment != "":
		return errors.New("the address holds a fragment")
	case u.Scheme != "https" && !(u.Scheme == "http" && s.cfg.Private):
		return errors.New("the address does not begin with https://")
	}
	if !s.cfg.Private && isInner(u.Hostname()) {
		return errors.New("the address is not public")
	}
	return nil
}

// wanted reports which hooks are told of a type.
func (s *Service) wanted(kind string) (list []string) {
	for _, h := range *s.hooks.Load() {
		if slices.Contains(h.Events, kind) {
			list = append(list, h.ID)
		}
	}
	return list
}
