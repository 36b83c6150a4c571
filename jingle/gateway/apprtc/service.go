package apprtc

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"net/http"
	"net/netip"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/event"
	"parley/internal/limit"
	"parley/internal/token"
	"parley/jingle"
	"parley/jingle/focus"
	"parley/jingle/gateway/mailbox"
	"parley/jingle/gateway/socket"
	"parley/jingle/seat"
	"parley/muc"
	"parley/turn"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// Focus is what the door needs of the conference focus.
type Focus interface {
	Call(occupant muc.Sender, room wire.Addr, o *focus.Offer, to focus.Caller, done func(*wire.Error))
	Forget(room, occupant wire.Addr)
	Agree(room, occupant wire.Addr, answer *jingle.Jingle)
	Trickle(room, occupant wire.Addr, contents []jingle.Content)
}

// Relays is our own relay.
type Relays interface {
	// Services are those of our own servers, with credentials that are the sender's own.
	Services(of route.Sender) []turn.Service
	// End ends the credentials of somebody, and what they relay.
	End(user wire.Addr)
}

// Tokens checks tokens.
type Tokens interface {
	Check(ctx context.Context, raw, source string) (token.Claims, error)
	// Spend uses up a token that may be used once.
	Spend(ctx context.Context, claims *token.Claims, source string) error
}

// Other is a door whose clients connect to the same address: the first frame says whose one is.
type Other interface {
	OriginAllowed(r *http.Request) bool
	// Adopt takes a WebSocket, and returns when it is closed.
	Adopt(ws socket.Socket, r *http.Request)
}

// Parts is what the door stands on.
type Parts struct {
	Domain string // of the server
	Rooms  string // domain of the rooms
	MUC    seat.Rooms
	Router seat.Router
	Focus  Focus  // nil: there is no bridge
	Relays Relays // nil: there are no servers of our own
	Tokens Tokens
	Other  Other // nil: there is none
	// Full reports that a room has no place for a stranger, by whatever door its members came; nil: nobody knows.
	Full func(ctx context.Context, room wire.Addr) bool

	Origins []string                 // of foreign pages that may connect
	Hosts   []string                 // names of the server beside that under which it is asked, such as example.org:8443
	Secure  func(*http.Request) bool // a request came over TLS, perhaps to a proxy in front
	Public  bool                     // plain listeners are behind a proxy that does TLS

	Recorder *event.Recorder
}

// Service is the door. It is safe for concurrent use.
type Service struct {
	cfg               Config
	parts             Parts
	rec               *event.Recorder
	hall              *socket.Hall
	members           *limit.Sources[netip.Addr]
	begun             time.Time
	faults            struct{ ws, http atomic.Int64 }
	registered, total atomic.Int64 // WebSockets that are, and that ever were

	mu      sync.Mutex // guards what follows; nothing is called with it held
	rooms   map[wire.Addr]*room
	tickets map[string]*ticket // by key
	full    map[wire.Addr]time.Time
	over    bool
}

// New returns the door, closed until requests are given to it.
func New(cfg Config, parts Parts) (*Service, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	return &Service{cfg: cfg, parts: parts, rec: parts.Recorder, begun: time.Now(),
		hall: socket.NewHall(cfg.Sockets, cfg.PerSource, cfg.SourceRate, parts.Recorder), members: limit.NewSources[netip.Addr](cfg.PerSource, cfg.JoinRate, 1<<16),
		rooms: make(map[wire.Addr]*room), tickets: make(map[string]*ticket), full: make(map[wire.Addr]time.Time)}, nil
}

// Close closes all connections, tells clients to come back (1012), and takes their occupants out of the rooms.
func (s *Service) Close() {
	s.mu.Lock()
	s.over = true
	var rooms []*room
	for _, r := range s.rooms {
		r.users++
		rooms = append(rooms, r)
	}
	s.mu.Unlock()
	s.hall.Close()
	for _, r := range rooms {
		r.Do(r.clear)
		s.release(r)
	}
	s.mu.Lock()
	var tickets []*ticket
	for _, t := range s.tickets {
		tickets = append(tickets, t)
	}
	s.mu.Unlock()
	for _, t := range tickets {
		s.endTicket(t)
	}
}

// acquire returns a room, which is there until it is released as often; nil: there is none, or the server stops.
func (s *Service) acquire(addr wire.Addr, fresh bool) *room {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil
	}
	r := s.rooms[addr]
	if r == nil {
		if !fresh {
			return nil
		}
		r = &room{Box: mailbox.Box{Hurt: s.hurt(addr)}, service: s, addr: addr, members: make(map[string]*member), strangers: make(map[string]bool)}
		s.rooms[addr] = r
	}
	r.users++
	return r
}

// hurt records what panics in a room.
func (s *Service) hurt(room wire.Addr) func(any, []byte) {
	return func(err any, stack []byte) {
		s.rec.Hurt("panic", "", "room", string(room), "err", err, "stack", string(stack))
	}
}

func (s *Service) release(r *room) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.users--; r.users == 0 && s.rooms[r.addr] == r {
		delete(s.rooms, r.addr)
	}
}

// names are what rooms and clients may be called.
var names = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)

// address is the room of a name: capitals are those of the client alone.
func (s *Service) address(name string) (wire.Addr, bool) {
	if !names.MatchString(name) {
		return "", false
	}
	a, err := wire.ParseAddr(name + "@" + s.parts.Rooms)
	return a, err == nil && a.Local() != ""
}

// mixes reports that members may talk to the bridge.
func (s *Service) mixes() bool { return s.cfg.Mixing && s.parts.Focus != nil }

// newClient makes the id of a client: eight digits.
func newClient() string {
	n, err := rand.Int(rand.Reader, big.NewInt(1e8))
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf("%08d", n)
}

// check reads a token for a room; nil claims are those of a deployment without tokens.
func (s *Service) check(raw string, room wire.Addr, source netip.Addr) (*token.Claims, bool) {
	if s.cfg.Auth == authNone {
		return nil, true
	}
	if raw == "" {
		s.rec.Debug("apprtc.token", source.String(), "text", "no token")
		return nil, false
	}
	ctx, done := context.WithTimeout(context.Background(), 10*time.Second)
	defer done()
	claims, err := s.parts.Tokens.Check(ctx, raw, source.String())
	if err == nil {
		if err = claims.AllowsDoor("apprtc"); err == nil {
			err = claims.Allows(room.Local(), "")
		}
		if err == nil {
			err = s.parts.Tokens.Spend(ctx, &claims, source.String())
		}
	}
	if err != nil {
		s.rec.Reject("apprtc.token", source.String(), "room", string(room), "err", err.Error())
	}
	return &claims, err == nil
}

// fullTime is how long a room that was full counts as such: the page that is told so asks for itself again.
const fullTime = 15 * time.Second

// fullAsk is how long a room is waited for that is asked whether it is full.
const fullAsk = 2 * time.Second

// filled notes that a room has no place.
func (s *Service) filled(addr wire.Addr) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.full) >= 10_000 {
		for a, till := range s.full {
			if now.After(till) {
				delete(s.full, a)
			}
		}
	}
	if len(s.full) < 10_000 {
		s.full[addr] = now.Add(fullTime)
	}
}

// isFull reports that nobody could join a room.
func (s *Service) isFull(addr wire.Addr) bool {
	s.mu.Lock()
	till, noted := s.full[addr]
	s.mu.Unlock()
	if noted && time.Now().Before(till) {
		return true
	}
	if s.parts.Full != nil && s.mixes() {
		ctx, done := context.WithTimeout(context.Background(), fullAsk)
		defer done()
		if s.parts.Full(ctx, addr) {
			return true
		}
	}
	r := s.acquire(addr, false)
	if r == nil {
		return false
	}
	defer s.release(r)
	var full bool
	r.Do(func() { full = r.fullFor(true) })
	return full
}
