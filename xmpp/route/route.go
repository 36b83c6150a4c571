// Package route decides where a stanza goes (RFC 6120 §10, RFC 6121 §8): to the session whose full address it names, to
// the service of a domain, to an account of this server, to the server itself, to another server, or back with an error.
// It reads heads only, keeps order by working inline, and never blocks.
package route

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"

	"parley/internal/event"
	"parley/internal/token"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// Receiver takes stanzas for one full address.
type Receiver interface {
	// Addr is the full address.
	Addr() wire.Addr
	// Deliver queues a stanza without blocking. An empty to stands for Addr.
	Deliver(b *wire.Batch, to wire.Addr, s wire.Stanza)
}

// Sender is who sent a packet: a session, or a part of the server that acts like one. What it says was established when
// it logged in, not taken from what it sends.
type Sender interface {
	Receiver
	Guest() bool           // logged in without an account
	Source() netip.Addr    // what limits count it as
	Claims() *token.Claims // nil if it has no token
	Room() string          // the room that its connection's URL named
	Tenant() string        // the tenant that its connection's URL named
	// Hold delays the acknowledgement of the packet that is being routed until release is called.
	Hold() (release func())
}

// Service answers for a domain.
type Service interface {
	// Handle takes a packet whose to, canonical, is in the domain. The packet lives only during the call.
	Handle(b *wire.Batch, s Sender, to wire.Addr, p *wire.Packet)
}

// Watcher is a service that wants to know when a session that sent presence to it is gone without goodbye.
type Watcher interface{ Gone(addr wire.Addr) }

// Remote takes what is for the domains of other servers. It never blocks.
type Remote interface {
	Service
	// Deliver takes a stanza that a service wrote in the name of an address of this server, to an address of another.
	Deliver(b *wire.Batch, to wire.Addr, s wire.Stanza)
}

// Accounts handles what concerns the server's own domain: the server, its accounts, and addresses without a session.
type Accounts interface {
	Service
	// Expect is told that a session of an account is about to be bound. It may wait for the store. Whoever calls it calls release
	// when the session is bound, or will not be.
	Expect(account wire.Addr) (release func())
	// Bound is told of each new session, Unbound of its end; clean says that the client said goodbye.
	Bound(s Sender)
	Unbound(b *wire.Batch, s Sender, clean bool)
	// Self handles a packet without to, or with the sender's bare address.
	Self(b *wire.Batch, s Sender, p *wire.Packet)
	// Presence is told of presence that the session sends to somebody, before it is delivered; false drops it.
	Presence(b *wire.Batch, s Sender, to wire.Addr, p *wire.Packet) bool
	// Between is given what goes from or to the session of an account that wants to see it (Attention), in place of the session
	// or the other server that it is for; and what goes to a service, before the service, if it says true.
	Between(b *wire.Batch, s Sender, to wire.Addr, p *wire.Packet)
	ToService(b *wire.Batch, s Sender, to wire.Addr, p *wire.Packet) bool
	// FromService is given what a service writes to the session of an account that wants to see it, before the session, if it says
	// true.
	FromService(b *wire.Batch, to wire.Addr, s wire.Stanza) bool
	// Again is given what a client sends once more that has had its effects, but was never acknowledged.
	Again(b *wire.Batch, s Sender, to wire.Addr, p *wire.Packet)
	// Undelivered takes a message that was for a session that is gone, and reports that it did. The packet is the receiver's
	// to keep.
	Undelivered(b *wire.Batch, to wire.Addr, p *wire.Packet) bool
}

// Router is safe for concurrent use.
type Router struct {
	rec      *event.Recorder
	seed     maphash.Seed
	shards   [64]shard
	services atomic.Pointer[map[string]Service]
	mu       sync.Mutex // serialises changes of services
	accounts Accounts
	remote   Remote                                  // nil: other servers are not reached
	stamp    func(Sender, *wire.Packet) *wire.Packet // nil: presence goes on as it is
}

type shard struct {
	mu       sync.RWMutex // guards sessions
	sessions map[wire.Addr]Receiver
}

// New returns a router without services.
func New(rec *event.Recorder) *Router {
	r := &Router{rec: rec, seed: maphash.MakeSeed()}
	for i := range r.shards {
		r.shards[i].sessions = make(map[wire.Addr]Receiver)
	}
	r.services.Store(&map[string]Service{})
	return r
}

// SetAccounts names who handles the server's own domains. It is called once, before the first session.
func (r *Router) SetAccounts(a Accounts) { r.accounts = a }

// SetRemote names who reaches other servers. It is called at most once, before the first session.
func (r *Router) SetRemote(remote Remote) { r.remote = remote }

// Serve makes a service answer for a domain.
func (r *Router) Serve(domain string, s Service) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := make(map[string]Service)
	for d, s := range *r.services.Load() {
		next[d] = s
	}
	next[domain] = s
	r.services.Store(&next)
}

// Service returns who answers for a domain, nil if nobody does.
func (r *Router) Service(domain string) Service { return (*r.services.Load())[domain] }

// Expect prepares for a session of an account: see Accounts. It is for those who bind sessions, and may wait for the store.
func (r *Router) Expect(account wire.Addr) (release func()) { return r.accounts.Expect(account) }

// Bind enters a session. If its address is taken it returns who has it and changes nothing.
func (r *Router) Bind(s Sender) (taken Receiver) {
	sh := r.shard(s.Addr())
	sh.mu.Lock()
	if old := sh.sessions[s.Addr()]; old != nil {
		sh.mu.Unlock()
		return old
	}
	sh.sessions[s.Addr()] = s
	sh.mu.Unlock()
	r.accounts.Bound(s)
	return nil
}

// Seat gives somebody who acts for an account, and is no session of it, a full address. It reports that nobody has the address.
func (r *Router) Seat(rcv Receiver) bool {
	sh := r.shard(rcv.Addr())
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.sessions[rcv.Addr()] != nil {
		return false
	}
	sh.sessions[rcv.Addr()] = rcv
	return true
}

// Unseat takes the address away.
func (r *Router) Unseat(rcv Receiver) {
	sh := r.shard(rcv.Addr())
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.sessions[rcv.Addr()] == rcv {
		delete(sh.sessions, rcv.Addr())
	}
}

// Unbind removes a session and tells those who saw it present.
func (r *Router) Unbind(s Sender, clean bool) {
	sh := r.shard(s.Addr())
	sh.mu.Lock()
	if sh.sessions[s.Addr()] == Receiver(s) {
		delete(sh.sessions, s.Addr())
	}
	sh.mu.Unlock()
	var b wire.Batch
	r.accounts.Unbound(&b, s, clean)
	b.Flush()
}

func (r *Router) shard(a wire.Addr) *shard {
	return &r.shards[maphash.String(r.seed, string(a))%uint64(len(r.shards))]
}

// Find returns the session with this full address, nil if there is none.
func (r *Router) Find(a wire.Addr) Receiver {
	sh := r.shard(a)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.sessions[a]
}

// find is Find for an address as it was written; an address that is not in its canonical form finds nothing.
func (r *Router) find(raw []byte) Receiver {
	sh := &r.shards[maphash.Bytes(r.seed, raw)%uint64(len(r.shards))]
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.sessions[wire.Addr(raw)]
}

// SetStamp names what presence of sessions passes before it is routed; it returns the packet or another one. It is called at most
// once, before the first session.
func (r *Router) SetStamp(stamp func(s Sender, p *wire.Packet) *wire.Packet) { r.stamp = stamp }

// Stamp returns presence as it goes on.
func (r *Router) Stamp(s Sender, p *wire.Packet) *wire.Packet {
	if r.stamp == nil {
		return p
	}
	return r.stamp(s, p)
}

// Deliver hands a stanza that a service wrote to an address of this server, or of another one. Stanzas for sessions that
// are gone are bounced.
func (r *Router) Deliver(b *wire.Batch, to wire.Addr, s wire.Stanza) {
	if rcv := r.Find(to); rcv != nil {
		if !screened(rcv) || r.accounts.FromService(b, to, s) {
			rcv.Deliver(b, "", s)
		}
		return
	}
	if far := r.far(to.Domain()); far != nil {
		far.Deliver(b, to, s)
		return
	}
	r.Bounce(b, to, s)
}

// far returns who takes stanzas for a domain that has no sessions here: other servers, or a component; nil if it is ours.
func (r *Router) far(domain string) Remote {
	service := r.Service(domain)
	if service == nil {
		return r.remote
	}
	remote, _ := service.(Remote)
	return remote
}

var (
	errForbidden = &wire.Error{Type: mstanza.Auth, Condition: mstanza.Forbidden, Text: "guests reach rooms only"}
	errMalformed = &wire.Error{Type: mstanza.Modify, Condition: mstanza.JIDMalformed, Text: "the address is malformed"}
	errNobody    = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.ServiceUnavailable}
	errRemote    = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.RemoteServerNotFound, Text: "this server does not reach other servers"}
)

// Route takes a packet from a sender to where it belongs. The sender's address is stamped on what goes on.
func (r *Router) Route(b *wire.Batch, s Sender, p *wire.Packet) {
	if p.Kind == wire.Presence {
		p = r.Stamp(s, p)
	}
	if !p.HasTo() {
		r.accounts.Self(b, s, p)
		return
	}
	if p.Kind != wire.Presence {
		if rcv := r.find(p.To()); rcv != nil {
			r.forward(b, s, rcv, p)
			return
		}
	}
	to, err := wire.ParseRawAddr(p.To())
	if err != nil {
		r.rec.Count("addr.malformed")
		Refuse(b, s, p, "", errMalformed)
		return
	}
	if to == s.Addr().Bare() {
		r.accounts.Self(b, s, p)
		return
	}
	if p.Kind == wire.Presence && !r.accounts.Presence(b, s, to, p) {
		return
	}
	if rcv := r.Find(to); rcv != nil {
		r.forward(b, s, rcv, p)
		return
	}
	if service := r.Service(to.Domain()); service != nil {
		if attended(s, p.Kind) && !r.accounts.ToService(b, s, to, p) {
			return
		}
		service.Handle(b, s, to, p)
		return
	}
	if attended(s, p.Kind) {
		r.accounts.Between(b, s, to, p)
		return
	}
	r.Abroad(b, s, to, p)
}

// Again takes a packet that was routed when a process was killed before it acknowledged it: its effects are there, but what
// its acknowledgement waited for may not be.
func (r *Router) Again(b *wire.Batch, s Sender, p *wire.Packet) {
	if to, err := wire.ParseRawAddr(p.To()); err == nil {
		r.accounts.Again(b, s, to, p)
	}
}

// Abroad takes a packet to the server of a domain that is nobody's here.
func (r *Router) Abroad(b *wire.Batch, s Sender, to wire.Addr, p *wire.Packet) {
	if r.remote != nil {
		r.remote.Handle(b, s, to, p)
		return
	}
	Refuse(b, s, p, to, errRemote)
}

// Enter takes a packet that came from another server, whose from is the sender's address and whose to is an address of
// this server, to where it belongs. Nobody out there reaches a guest.
func (r *Router) Enter(b *wire.Batch, s Sender, to wire.Addr, p *wire.Packet) {
	if rcv := r.Find(to); rcv != nil {
		if local, ok := rcv.(Sender); ok && local.Guest() {
			Refuse(b, s, p, to, errNobody)
			return
		}
		if p.Kind != wire.Presence || forSession(p) {
			if attended(rcv, p.Kind) {
				r.accounts.Between(b, s, to, p)
				return
			}
			rcv.Deliver(b, "", p.Stanza(s.Addr()))
			return
		}
	}
	if service := r.Service(to.Domain()); service != nil {
		service.Handle(b, s, to, p)
		return
	}
	Refuse(b, s, p, to, errNobody)
}

// forSession reports presence that goes to a session as it is: the others are about subscriptions and concern the account
// (RFC 6121 §8.5.3.1).
func forSession(p *wire.Packet) bool {
	switch string(p.Type()) {
	case "", "unavailable", "error":
		return true
	}
	return false
}

// forward takes a packet from session to session, as it is but for its from.
func (r *Router) forward(b *wire.Batch, s Sender, rcv Receiver, p *wire.Packet) {
	if s.Guest() && !isReply(p) {
		Refuse(b, s, p, rcv.Addr(), errForbidden)
		return
	}
	// The sender first: what its account had in hand has reached the receiver's when the sender's flags say that it is done.
	if attended(s, p.Kind) || attended(rcv, p.Kind) {
		r.accounts.Between(b, s, rcv.Addr(), p)
		return
	}
	rcv.Deliver(b, "", p.Stanza(s.Addr()))
}

func isReply(p *wire.Packet) bool {
	if p.Kind != wire.IQ {
		return false
	}
	t := string(p.Type())
	return t == "result" || t == "error"
}

// Refuse answers a packet with an error in the name of from, unless the packet is one that must not be answered: an
// error, or the result of an IQ (RFC 6120 §8.3.1).
func Refuse(b *wire.Batch, s Receiver, p *wire.Packet, from wire.Addr, e *wire.Error) {
	if isReply(p) || string(p.Type()) == "error" {
		return
	}
	s.Deliver(b, "", e.ErrorTo(p, from))
}
