package seat

import (
	"crypto/rand"
	"encoding/hex"
	"net/netip"
	"strings"
	"sync"

	"parley/internal/token"
	"parley/muc"
	"parley/xmpp/route"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// Router gives occupants an address.
type Router interface {
	Seat(r route.Receiver) bool
	Unseat(r route.Receiver)
}

// Rooms is the rooms' service.
type Rooms interface {
	Handle(b *wire.Batch, from muc.Sender, to wire.Addr, p *wire.Packet)
}

// Client is who sits in a seat. Its methods are called by whoever made the room say something, from any goroutine, and by the
// seat's own methods; they must not block.
type Client interface {
	// Presence returns what the occupant shows of itself under a nickname: children of a presence.
	Presence(nick string) []byte
	// Entered is told once that the room has let the occupant in, and that others may come.
	Entered()
	// Left is told once that it is not, or no more, in the room, unless it has left by itself.
	Left(Exit)
}

// Place is whose a seat is, and in which room.
type Place struct {
	Router Router
	Rooms  Rooms
	Client Client

	Room     wire.Addr // bare
	Nick     string    // that is tried first, see Nick
	Password string    // of the room

	Addr   wire.Addr // full, the seat's alone
	Guest  bool      // there is no account
	Remote bool      // the account is at another server
	Source netip.Addr
	Claims *token.Claims // nil: no token

	// What its client is by XEP-0030: the type of its identity (category client), and its features beyond that and pings.
	Type     string
	Features []string
	// Asked answers, with Reply, what a room or an occupant asks of the client beyond that (get or set); false: it cannot, and
	// the seat refuses. It may be nil.
	Asked func(from wire.Addr, p *wire.Packet) bool
	// Saw is told the presence of every other occupant. It may be nil.
	Saw func(nick string, p *wire.Packet)
}

// Seat is an occupant: a muc.Sender and a route.Receiver. It is safe for concurrent use.
type Seat struct {
	place Place

	mu      sync.Mutex // guards what follows; nothing is called with it held
	nick    string
	tries   int
	inside  bool
	opening bool // it has made the room, which is locked
	gone    bool
}

// New returns a seat that is not taken yet.
func New(p Place) *Seat { return &Seat{place: p, nick: p.Nick} }

// nickMost bounds nicknames that are made of names, in bytes.
const nickMost = 20

// Nick makes a nickname that every client can show of a name: letters, digits and underscores. Without any it is the other.
func Nick(name, other string) string {
	nick := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return -1
	}, name)
	if nick == "" || nick == "focus" {
		return other
	}
	return nick[:min(len(nick), nickMost)]
}

func (s *Seat) Addr() wire.Addr       { return s.place.Addr }
func (s *Seat) Guest() bool           { return s.place.Guest }
func (s *Seat) Remote() bool          { return s.place.Remote }
func (s *Seat) Source() netip.Addr    { return s.place.Source }
func (s *Seat) Claims() *token.Claims { return s.place.Claims }
func (s *Seat) Room() string          { return "" }
func (s *Seat) Tenant() string        { return "" }
func (s *Seat) Hold() func()          { return func() {} }

// Nick is the nickname that the occupant has, or tries.
func (s *Seat) Nick() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nick
}

// Join enters the room. What comes of it the client is told.
func (s *Seat) Join() {
	if s.place.Router.Seat(s) {
		s.present(true)
		return
	}
	s.mu.Lock()
	first := !s.gone
	s.gone = true
	s.mu.Unlock()
	if first {
		s.place.Client.Left(Exit{Fault: &wire.Error{Type: mstanza.Wait, Condition: mstanza.InternalServerError}})
	}
}

// Show tells the room what the occupant shows of itself now. Before it is in that is not news.
func (s *Seat) Show() {
	s.mu.Lock()
	inside := s.inside
	s.mu.Unlock()
	if inside {
		s.present(false)
	}
}

// present sends the occupant's presence; first says that it enters with it.
func (s *Seat) present(first bool) {
	s.mu.Lock()
	nick, gone := s.nick, s.gone
	s.mu.Unlock()
	if gone {
		return
	}
	var inner []byte
	if first {
		inner = append(inner, "<x xmlns='"+nsMUC+"'><history maxstanzas='0'/>"...)
		if s.place.Password != "" {
			inner = wire.AppendElem(inner, "password", s.place.Password)
		}
		inner = append(inner, "</x>"...)
	}
	s.Send(wire.Presence, s.as(nick), "", "", append(inner, s.place.Client.Presence(nick)...))
}

// as is the address of an occupant.
func (s *Seat) as(nick string) wire.Addr { return s.place.Room + "/" + wire.Addr(nick) }

// Send hands the room a stanza of the occupant, to the room or an occupant.
func (s *Seat) Send(kind wire.Kind, to wire.Addr, typ, id string, inner []byte) {
	raw := wire.AppendStart(nil, kind, wire.NSClient, to)
	if typ != "" {
		raw = wire.AppendAttr(raw, "type", typ)
	}
	if id != "" {
		raw = wire.AppendAttr(raw, "id", id)
	}
	raw = append(append(append(raw, '>'), inner...), "</"+kind.String()+">"...)
	if p := Parse(raw); p != nil {
		s.place.Rooms.Handle(nil, s, to, p)
	}
}

// Parse reads one stanza that the server wrote; nil: it is none, as where somebody's name is more than a stanza holds.
func Parse(raw []byte) *wire.Packet {
	scanner := wire.Scanner{Limits: wire.AfterAuth}
	n, p, err := scanner.Next(raw)
	if err != nil || n != len(raw) {
		return nil
	}
	return p
}

// Leave leaves the room. The client is not told.
func (s *Seat) Leave() {
	s.mu.Lock()
	there, nick := !s.gone, s.nick
	s.gone = true
	s.mu.Unlock()
	if there {
		s.Send(wire.Presence, s.as(nick), "unavailable", "", nil)
	}
	s.place.Router.Unseat(s)
}

// triesMost is how many nicknames are tried beyond the first.
const triesMost = 4

// another notes a further nickname. The mutex is held.
func (s *Seat) another() {
	s.tries++
	b := make([]byte, 2)
	rand.Read(b)
	s.nick = s.place.Nick + "_" + hex.EncodeToString(b)
}
