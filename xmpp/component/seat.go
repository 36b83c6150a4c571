package component

import (
	"net/netip"
	"sync"

	"parley/internal/token"
	"parley/xmpp/route"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// seat is the place of a component at the router. It implements route.Service and takes what services write.
type seat struct {
	srv    *Server
	cfg    Config
	domain wire.Addr

	mu     sync.Mutex // guards stream
	stream *stream    // nil: the component is away
}

var _ route.Remote = (*seat)(nil)

// current returns the component's stream, nil if it is away.
func (s *seat) current() *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stream
}

// take gives the seat to a stream, if it is free.
func (s *seat) take(st *stream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stream != nil {
		return false
	}
	s.stream = st
	return true
}

// leave frees the seat that a stream had.
func (s *seat) leave(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stream == st {
		s.stream = nil
	}
}

var (
	errAway = &wire.Error{Type: mstanza.Wait, Condition: mstanza.RemoteServerTimeout, Text: "the service is away"}
	errSlow = &wire.Error{Type: mstanza.Wait, Condition: mstanza.ResourceConstraint, Text: "the service does not keep up"}
	errTo   = &wire.Error{Type: mstanza.Modify, Condition: mstanza.BadRequest, Text: "a receiver is needed"}
)

// Handle implements route.Service. Presence to a component that is away is dropped: it asks for presence when it comes.
func (s *seat) Handle(b *wire.Batch, from route.Sender, to wire.Addr, p *wire.Packet) {
	if why := s.deliver(to, p.Stanza(from.Addr())); why != nil && p.Kind != wire.Presence {
		route.Refuse(b, from, p, to, why)
	}
}

// Deliver implements route.Remote.
func (s *seat) Deliver(b *wire.Batch, to wire.Addr, st wire.Stanza) {
	if why := s.deliver(to, st); why != nil {
		s.srv.bounce(b, append(wire.AppendStart(nil, st.Kind, "", to), st.Tail...), why)
	}
}

// deliver queues a stanza for the component.
func (s *seat) deliver(to wire.Addr, st wire.Stanza) *wire.Error {
	stream := s.current()
	if stream == nil {
		return errAway
	}
	st = st.Inheriting(wire.NSClient)
	raw := append(wire.AppendStart(make([]byte, 0, len(st.Tail)+len(to)+24), st.Kind, "", to), st.Tail...)
	return stream.push(raw)
}

// bounce answers a stanza that could not be given to a component, in the name of who it was for.
func (s *Server) bounce(b *wire.Batch, raw []byte, why *wire.Error) {
	scan := wire.Scanner{Limits: wire.Limits{Size: len(raw), Depth: wire.AfterAuth.Depth + 4}}
	_, p, err := scan.Next(raw)
	if err != nil {
		s.rec.Count("bounce.malformed")
		return
	}
	typ := string(p.Type())
	if p.Kind == wire.Presence || typ == "error" || p.Kind == wire.IQ && typ == "result" {
		return
	}
	from, err := wire.ParseRawAddr(p.From())
	to, err2 := wire.ParseRawAddr(p.To())
	if err != nil || err2 != nil {
		return
	}
	s.router.Deliver(b, from, why.ErrorTo(p, to))
}

// sender is an address of a component, as the router and the services know who sent a stanza. Components are trusted: their
// addresses may do what accounts may.
type sender struct {
	seat   *seat
	addr   wire.Addr
	source netip.Addr
}

// Addr implements route.Sender.
func (x *sender) Addr() wire.Addr { return x.addr }

// Deliver implements route.Receiver.
func (x *sender) Deliver(b *wire.Batch, to wire.Addr, st wire.Stanza) {
	if to == "" {
		to = x.addr
	}
	x.seat.Deliver(b, to, st)
}

// Guest is false.
func (x *sender) Guest() bool { return false }

// Source is where the component connects from.
func (x *sender) Source() netip.Addr { return x.source }

// Claims is nil.
func (x *sender) Claims() *token.Claims { return nil }

// Room is empty.
func (x *sender) Room() string { return "" }

// Tenant is empty.
func (x *sender) Tenant() string { return "" }

// Hold does nothing: there are no acknowledgements.
func (x *sender) Hold() (release func()) { return func() {} }
