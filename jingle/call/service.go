package call

import (
	"sync"

	"parley/internal/event"
	"parley/jingle"
	"parley/jingle/focus"
	"parley/jingle/seat"
	"parley/muc"
	"parley/xmpp/route"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// Config says where calls are taken.
type Config struct {
	Domain string // of the addresses that are called, such as call.example.org
	Rooms  string // of the rooms
	Focus  string // full address at which rooms list the focus
}

// Focus is what calls need of the conference focus.
type Focus interface {
	Call(occupant muc.Sender, room wire.Addr, o *focus.Offer, to focus.Caller, done func(*wire.Error))
	Forget(room, occupant wire.Addr)
	Extend(room, occupant wire.Addr, o *focus.Offer)
	Reduce(room, occupant wire.Addr, contents []string)
	Direct(room, occupant wire.Addr, content string, senders jingle.Senders)
	Trickle(room, occupant wire.Addr, contents []jingle.Content)
	Agree(room, occupant wire.Addr, answer *jingle.Jingle)
	Every(room, occupant wire.Addr, muji string)
	Fed(room, occupant wire.Addr, j *jingle.Jingle)
	Uplink(room, occupant wire.Addr, number int, o *focus.Offer, to focus.Caller)
	Uplinked(room, occupant wire.Addr, number int, j *jingle.Jingle)
	Participant(room, addr wire.Addr, done func(bool))
}

// Rooms is what calls need of the rooms' service.
type Rooms interface {
	Handle(b *wire.Batch, from muc.Sender, to wire.Addr, p *wire.Packet)
}

// People are the accounts of this server and others.
type People interface {
	// Send routes a stanza that the server wrote in the name of from.
	Send(b *wire.Batch, from, to wire.Addr, st wire.Stanza)
}

// Router takes stanzas to clients, and gives occupants an address.
type Router interface {
	Deliver(b *wire.Batch, to wire.Addr, s wire.Stanza)
	Seat(r route.Receiver) bool
	Unseat(r route.Receiver)
	// Find returns who has a full address; nil: nobody.
	Find(a wire.Addr) route.Receiver
}

// Service is the route.Service of the domain that is called. It is safe for concurrent use.
type Service struct {
	cfg    Config
	focus  Focus
	rooms  Rooms
	people People
	router Router
	rec    *event.Recorder
	ver    string // of the capabilities

	mu     sync.Mutex // guards what follows; nothing is called with it held
	calls  map[name]*session
	rings  map[string]*ringing // by the ids of the calls
	clerks int                 // that are on their way
	mujis  mujis
}

// name tells calls apart: nobody calls a room twice with one client.
type name struct{ caller, room wire.Addr }

// How many calls there are at a time, and how many of one account.
const (
	callsMost = 10_000
	callsEach = 8
)

// New returns the service.
func New(cfg Config, f Focus, rooms Rooms, people People, router Router, rec *event.Recorder) *Service {
	return &Service{cfg: cfg, focus: f, rooms: rooms, people: people, router: router, rec: rec, ver: capsOf(features), calls: make(map[name]*session), rings: make(map[string]*ringing),
		mujis: mujis{make(map[wire.Addr]map[string]*session), make(map[wire.Addr]map[string][]func())}}
}

var (
	errUnavailable = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.ServiceUnavailable}
	errNotChat     = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.ServiceUnavailable, Text: "this address takes calls only"}
)

// Handle implements route.Service. To is an address of the domain that is called, or one of a room.
func (s *Service) Handle(b *wire.Batch, from route.Sender, to wire.Addr, p *wire.Packet) {
	switch p.Kind {
	case wire.IQ:
		s.request(b, from, to, p)
	case wire.Presence:
		s.presence(b, from, to, p)
	case wire.Message:
		s.message(b, from, to, p)
	}
}

// Takes reports that a packet to the bare address of a room is about a call.
func Takes(p *wire.Packet) bool {
	switch p.Kind {
	case wire.IQ:
		switch {
		case string(p.Type()) != "set":
			return false
		case p.ChildIs("jingle", jingle.NSJingle):
			return true
		}
		return p.ChildIs("command", nsCommands) && p.Elem().First().AttrString("node") == nodeConfig
	case wire.Message:
		if t := string(p.Type()); t == "groupchat" || t == "error" {
			return false
		}
		_, ns := p.Child()
		return string(ns) == jingle.NSMessage
	}
	return false
}

// room is the room that an address stands for, "" for none.
func (s *Service) room(to wire.Addr) wire.Addr {
	if to.Local() == "" {
		return ""
	}
	return wire.Addr(to.Local() + "@" + s.cfg.Rooms)
}

func (s *Service) request(b *wire.Batch, from route.Sender, to wire.Addr, p *wire.Packet) {
	typ := string(p.Type())
	switch {
	case typ == "result", typ == "error":
		if c := s.of(from.Addr(), s.room(to)); c != nil {
			c.answered(string(p.ID()), p)
		}
	case typ == "get" && p.ChildIs("query", nsInfo):
		from.Deliver(b, "", p.Result(to, s.info(to, p.Elem().First().AttrString("node"))))
	case typ == "get" && p.ChildIs("query", nsItems):
		from.Deliver(b, "", p.Result(to, s.items(to, p.Elem().First().AttrString("node"))))
	case typ == "get" && p.ChildIs("ping", nsPing):
		from.Deliver(b, "", p.Result(to, nil))
	case typ == "set" && p.ChildIs("jingle", jingle.NSJingle):
		s.jingle(b, from, to, p)
	case typ == "set" && p.ChildIs("command", nsCommands):
		s.configure(b, from, to, p)
	default:
		route.Refuse(b, from, p, to, errUnavailable)
	}
}

// message takes a proposal for a call (XEP-0353 §3): a room always answers.
func (s *Service) message(b *wire.Batch, from route.Sender, to wire.Addr, p *wire.Packet) {
	m, err := jingle.MessageIn(p.Elem())
	switch {
	case string(p.Type()) == "error", string(p.Type()) == "groupchat":
		return
	case err == nil && m == nil:
		if p.Elem().Child("body", "").Ok() {
			route.Refuse(b, from, p, to, errNotChat)
		}
		return
	case err != nil || s.room(to) == "":
		return
	case m.Kind != jingle.Propose:
		s.answeredRing(from, to, m)
		return
	}
	answer := jingle.Message{Kind: jingle.Proceed, ID: m.ID}
	if !proposesMedia(m) {
		answer = jingle.Message{Kind: jingle.RejectCall, ID: m.ID, Reason: &jingle.Reason{Condition: jingle.UnsupportedApplications}}
	}
	tail := wire.AppendAttr(nil, "from", string(s.full(to)))
	tail = append(tail, " type='chat'>"...)
	tail = answer.Append(tail)
	from.Deliver(b, "", wire.Stanza{Kind: wire.Message, Tail: append(tail, "<store xmlns='urn:xmpp:hints'/></message>"...)})
}

func proposesMedia(m *jingle.Message) bool {
	for _, d := range m.Proposals {
		if d.NS == jingle.NSRTP {
			return true
		}
	}
	return false
}

// resource is under which resource a room is present.
const resource = "meeting"

// full is the address that a room answers from: at the rooms' own domain the room itself, where resources are occupants.
func (s *Service) full(to wire.Addr) wire.Addr {
	if to.Domain() == s.cfg.Rooms {
		return to.Bare()
	}
	return to.Bare() + "/" + resource
}

// of returns a caller's call of a room.
func (s *Service) of(caller, room wire.Addr) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[name{caller, room}]
}

// enter notes a call, and returns the one that the same client has had with the room, or that there is no room for it.
func (s *Service) enter(c *session) (old *session, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := name{c.caller, c.room}
	old = s.calls[key]
	if old == nil {
		n := 0
		for k := range s.calls {
			if k.caller.Bare() == c.caller.Bare() {
				n++
			}
		}
		if len(s.calls) >= callsMost || n >= callsEach {
			return nil, false
		}
	}
	s.calls[key] = c
	if c.meets {
		s.mujis.enlist(c)
	}
	return old, true
}

// leave forgets a call.
func (s *Service) leave(c *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key := (name{c.caller, c.room}); s.calls[key] == c {
		delete(s.calls, key)
	}
	s.mujis.strike(c)
}

// Calls is how many there are.
func (s *Service) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

// nickOf makes a nickname of an address.
func nickOf(a wire.Addr) string { return seat.Nick(a.Local(), "caller") }
