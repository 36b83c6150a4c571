package roomserver

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/url"
	"strings"
	"sync"
	"time"

	"parley/internal/event"
	"parley/internal/token"
	"parley/jingle/gateway/mailbox"
	"parley/jingle/gateway/socket"
	"parley/muc"
	"parley/turn"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// Rooms is what the door needs of the rooms' service.
type Rooms interface {
	Handle(b *wire.Batch, from muc.Sender, to wire.Addr, p *wire.Packet)
}

// Router gives occupants an address.
type Router interface {
	Seat(r route.Receiver) bool
	Unseat(r route.Receiver)
}

// Relays is our own relay.
type Relays interface {
	// Services are those of our own servers, with credentials that are the occupant's own.
	Services(of route.Sender) []turn.Service
	// End ends the credentials of an occupant, and what they relay.
	End(occupant wire.Addr)
}

// Tokens checks tokens.
type Tokens interface {
	Check(ctx context.Context, raw, source string) (token.Claims, error)
	// Spend uses up a token that may be used once.
	Spend(ctx context.Context, claims *token.Claims, source string) error
}

// Parts is what the door stands on.
type Parts struct {
	Domain string // of the server
	Rooms  string // domain of the rooms
	MUC    Rooms
	Router Router
	Relays Relays // nil: there are no servers of our own
	Tokens Tokens
	Focus  Focus // nil: all media are p2p

	Countries Countries // nil: none is known
	Records   Records   // nil: none are kept
	Alerts    Alerts    // nil: nobody is told
	Shared    Shared    // nil: other servers have ICE servers of their own

	URL     string   // where WebSockets lead to, such as wss://example.org
	ICE     string   // address of our own STUN and TURN, as clients are told at login
	Origins []string // of foreign pages that may connect

	Recorder *event.Recorder
}

// Service is the door. It is safe for concurrent use.
type Service struct {
	cfg     Config
	parts   Parts
	rec     *event.Recorder
	records Records
	alerts  Alerts
	ice     *registry
	hall    *socket.Hall

	mu    sync.Mutex // guards what follows; nothing is called with it held
	rooms map[wire.Addr]*room
	over  bool
}

// New returns the door, closed until requests are given to it.
func New(cfg Config, parts Parts) (*Service, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	ice, err := newRegistry(cfg, parts.Relays != nil, parts.ICE, parts.Countries)
	if err != nil {
		return nil, err
	}
	if parts.Records == nil {
		parts.Records = unrecorded{}
	}
	if parts.Alerts == nil {
		parts.Alerts = unwatched{}
	}
	return &Service{cfg: cfg, parts: parts, rec: parts.Recorder, records: parts.Records, alerts: parts.Alerts, ice: ice, hall: socket.NewHall(cfg.Sockets, cfg.PerSource, cfg.SourceRate, parts.Recorder),
		rooms: make(map[wire.Addr]*room)}, nil
}

// Close closes all connections, tells clients to come back (1012), and takes their occupants out of the rooms.
func (s *Service) Close() {
	s.mu.Lock()
	s.over = true
	var rooms []*room
	for _, r := range s.rooms {
		rooms = append(rooms, r)
	}
	s.mu.Unlock()
	s.hall.Close()
	for _, r := range rooms {
		r.Do(r.clear)
	}
}

// acquire returns a room, which is there until it is released as often; nil: the server stops.
func (s *Service) acquire(addr wire.Addr) *room {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil
	}
	r := s.rooms[addr]
	if r == nil {
		r = &room{Box: mailbox.Box{Hurt: s.hurt(addr)}, service: s, addr: addr, members: make(map[string]*member)}
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

// has reports that somebody is in a room through this door.
func (s *Service) has(roomID string) bool {
	addr, err := s.address(roomID)
	s.mu.Lock()
	defer s.mu.Unlock()
	return err == nil && s.rooms[addr] != nil
}

// address is the room of a roomId: of that name if it can be part of an address, else percent-encoded, as the addresses of pages
// have it.
func (s *Service) address(roomID string) (wire.Addr, error) {
	if !strings.ContainsAny(roomID, "@/%") {
		if a, err := wire.ParseAddr(roomID + "@" + s.parts.Rooms); err == nil && a.Local() != "" {
			return a, nil
		}
	}
	return wire.ParseAddr(strings.ToLower(strings.ReplaceAll(url.QueryEscape(roomID), "+", "%20")) + "@" + s.parts.Rooms)
}

// message works off one frame.
func (s *Service) message(c *conn, text []byte) {
	m, err := ParseMessage(text)
	if err != nil {
		s.rec.Reject("json.reject", c.Source.String(), "cmd", m.Cmd)
		s.refuse(c, m, fail(resultFormat))
		return
	}
	if _, known := answers[m.Cmd]; !known {
		s.rec.Reject("json.reject", c.Source.String(), "cmd", m.Cmd)
		c.Send(general(resultFormat, m))
		return
	}
	switch at := c.place.Load(); {
	case m.Cmd == cmdLogin:
		c.Send(s.login(m, c.Source))
	case m.Cmd == cmdJoin:
		s.join(c, m)
	case at == nil:
		s.nowhere(c, m)
	case m.Cmd == cmdUpdateToken:
		s.renew(c, at, m)
	default:
		at.room.Do(func() { at.room.handle(at.member, c, m) })
	}
}

// nowhere answers a client that is in no room.
func (s *Service) nowhere(c *conn, m *Message) {
	if m.RoomID != "" && !s.has(m.RoomID) {
		c.Send(general(resultNoRoom, m))
		return
	}
	if m.Cmd == cmdKeepLive {
		s.refuse(c, m, failNobody(m.RoomID, m.UID))
		return
	}
	s.refuse(c, m, fail(resultNoUID))
}

// refuse answers a request with a fault.
func (s *Service) refuse(c *conn, m *Message, f *fault) {
	c.Send(s.answer(m, m.UID, m.UName, f.result, f.desc, ""))
	s.failed(m, f.result)
}

// answer is what a request is answered with, where it is no join that succeeded.
func (s *Service) answer(m *Message, uid, uname string, r result, desc, subSession string) []byte {
	cmd := answers[m.Cmd]
	switch m.Cmd {
	case cmdJoin:
		return response(cmd, r, desc).text("roomId", m.RoomID).text("roomName", m.RoomName).text("uid", uid).text("uname", uname).text("sessionId", "").
			number("reportStatsInterval", s.statsInterval()).number("gate", gateP2P).raw("userList", nil).end()
	case cmdLeave:
		return response(cmd, r, desc).text("uid", uid).text("uname", uname).number("userType", m.UserType).end()
	case cmdOffer:
		return response(cmd, r, desc).text("remoteUid", m.RemoteUID).text("subSessionId", subSession).end()
	case cmdAnswer, cmdCandidate, cmdPeerConnected:
		return response(cmd, r, desc).text("uid", uid).text("uname", uname).text("remoteUid", m.RemoteUID).end()
	case cmdTurnTalkType:
		return response(cmd, r, desc).text("uid", uid).end()
	case cmdKeepLive:
		return response(cmd, r, desc).end()
	case cmdUpdateToken:
		return response(cmd, r, desc).number("expireIn", 0).end()
	case cmdLogin:
		return response(cmd, r, desc).text("roomServer", "").text("iceServer", "").end()
	}
	return general(r, m)
}

// capacity is how many members a room has at most.
func (s *Service) capacity() int {
	switch {
	case s.cfg.MaxRoomCapacity != 0:
		return s.cfg.MaxRoomCapacity
	case s.bridges():
		return 50
	}
	return 3
}

// bridges reports that media may go by the bridge.
func (s *Service) bridges() bool { return s.parts.Focus != nil && s.cfg.Gate != gateNever }

func (s *Service) statsInterval() int {
	return int(s.cfg.ClientReportStatsInterval / time.Second)
}

// check reads a token for a room, which is checked anew; nil claims
// are those of a deployment without tokens.
func (s *Service) check(c *conn, raw string, addr wire.Addr) (*token.Claims, *fault) {
	if s.cfg.Auth == authNone {
		return nil, nil
	}
	if raw == "" {
		return nil, fail(resultToken)
	}
	ctx, done := context.WithTimeout(context.Background(), 10*time.Second)
	defer done()
	claims, err := s.parts.Tokens.Check(ctx, raw, c.Source.String())
	if err == nil {
		if err = claims.AllowsDoor("roomserver"); err == nil {
			err = claims.Allows(addr.Local(), "")
		}
		if err == nil {
			err = s.parts.Tokens.Spend(ctx, &claims, c.Source.String())
		}
	}
	if err == nil {
		return &claims, nil
	}
	var refusal *token.Error
	switch {
	case errors.As(err, &refusal) && refusal.Code == token.CodeExpired:
		return nil, fail(resultExpired)
	case errors.As(err, &refusal) && refusal.Code == token.CodeScope:
		return nil, fail(resultNotAllowed)
	}
	return nil, fail(resultToken)
}

// digest stands for a token where it is remembered.
type digest [sha256.Size]byte

func digestOf(raw string) digest { return sha256.Sum256([]byte(raw)) }
