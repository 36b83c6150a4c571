// Package im serves the accounts of one host and the host itself (RFC 6121): rosters, subscriptions, presence, messages and
// what waits for those who are away, block lists, copies for the other sessions of an account, and the requests that the
// server answers.
//
// An account has no goroutine of its own but while something waits for the store: a session's presence, roster and
// subscriptions, messages for somebody who is away. What needs no store is done where it comes in. Stanzas between two
// addresses never pass one another: while an account has something in hand, everything from it and to it waits in its
// mailbox, in order. What waits is not acknowledged (XEP-0198), and neither is what is not committed yet.
package im

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/event"
	"parley/internal/journal"
	"parley/internal/store"
	"parley/xmpp/route"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// Store is what the host keeps.
type Store interface {
	store.Rosters
	store.Offline
}

// Host is the route.Accounts of one domain. It is safe for concurrent use.
type Host struct {
	domain    wire.Addr
	router    *route.Router
	store     Store // nil: nothing is kept, and nobody exists who has no session
	rec       *event.Recorder
	limits    Limits
	archive   Archive // nil: none
	started   int64   // Unix time in seconds
	handlers  map[name]Handler
	contacts  map[name]ContactHandler
	replies   []ContactHandler
	watchers  []PresenceFunc
	arrivals  []MessageFunc
	nodes     func(b *wire.Batch, s route.Sender, account wire.Addr, p *wire.Packet) bool // nil: accounts have none
	hostNodes func(b *wire.Batch, s route.Sender, p *wire.Packet) bool                    // nil: the host has none
	grants    func(ctx context.Context, account wire.Addr, token string) bool             // nil: there are no tokens
	private   map[string]Handler                                                          // by namespace
	info      info                                                                        // of the host
	accounts  info                                                                        // of accounts
	pushes    atomic.Uint64
	version   string // of the program

	journal  *journal.Journal // nil: presence ends with the process
	part     *journal.Part
	restored map[wire.Addr]*resource // while the journal is replayed

	mu      sync.Mutex // guards what follows, and what hangs on users except as account says
	users   map[wire.Addr]*account
	running int       // goroutines of accounts
	rest    sync.Cond // none of them runs
	closed  bool
}

// Limits bound what one account may have.
type Limits struct {
	Contacts     int `help:"items in a roster"`
	Groups       int `help:"groups of one roster item"`
	Requests     int `help:"requests for subscription that wait for an answer"`
	Blocked      int `help:"addresses on a block list"`
	Private      int `help:"things that clients store with the server (XEP-0049)"`
	PrivateSize  int `help:"bytes of one of them"`
	Offline      int `help:"messages that wait for somebody who is away"`
	OfflineBytes int `help:"bytes of those; they have to fit into what waits for one client"`
}

// DefaultLimits are what nobody who chats runs into.
func DefaultLimits() Limits {
	return Limits{Contacts: 2000, Groups: 32, Requests: 200, Blocked: 1000, Private: 50, PrivateSize: 64 << 10, Offline: 200, OfflineBytes: 512 << 10}
}

// Handler answers an IQ request to the server or to the sender's own account. The packet lives only during the call.
type Handler func(b *wire.Batch, s route.Sender, p *wire.Packet)

type name struct{ local, ns string }

// resource is a session with its presence.
type resource struct {
	route.Sender
	presence   []byte // the tail of its last available presence, nil if it is not available
	priority   int8
	interested bool                   // it asked for the roster: it is told of changes (RFC 6121 §2.2)
	blocklist  bool                   // it asked for the block list: it is told of changes (XEP-0191 §3.3)
	carbons    bool                   // it gets copies (XEP-0280 §4)
	directed   map[wire.Addr]struct{} // whom it sent presence, except by broadcast (RFC 6121 §4.6)
}

// New returns the host of a domain and makes it the router's.
func New(domain string, router *route.Router) *Host {
	h := &Host{
		domain: wire.Addr(domain), router: router, limits: DefaultLimits(), version: "unknown",
		handlers: make(map[name]Handler), contacts: make(map[name]ContactHandler), private: make(map[string]Handler), users: make(map[wire.Addr]*account),
	}
	h.rest.L = &h.mu
	router.SetAccounts(h)
	router.Serve(domain, h)
	h.registerBasics()
	return h
}

// Keep gives the host a store. It is called before the first session; the recorder may be nil.
func (h *Host) Keep(s Store, limits Limits, rec *event.Recorder) {
	h.store, h.limits, h.rec = s, limits, rec
	h.registerKept()
}

// HandleIQ registers the answer to requests with this payload, to the host and to the sender's own account, in the sender's
// goroutine. It is called before the first session.
func (h *Host) HandleIQ(local, ns string, handler Handler) { h.handlers[name{local, ns}] = handler }

var (
	errUnavailable = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.ServiceUnavailable}
	errGuest       = &wire.Error{Type: mstanza.Auth, Condition: mstanza.Forbidden, Text: "guests reach rooms only"}
	errMany        = &wire.Error{Type: mstanza.Wait, Condition: mstanza.ResourceConstraint, Text: "presence sent to too many addresses"}
	errBusy        = &wire.Error{Type: mstanza.Wait, Condition: mstanza.ResourceConstraint, Text: "too much waits for this account"}
	errStore       = &wire.Error{Type: mstanza.Wait, Condition: mstanza.InternalServerError, Text: "nothing can be stored at the moment"}
	errNotKept     = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.FeatureNotImplemented, Text: "nothing is kept for you here"}
	errBad         = &wire.Error{Type: mstanza.Modify, Condition: mstanza.BadRequest}
	errGone        = &wire.Error{Type: mstanza.Wait, Condition: mstanza.RecipientUnavailable, Text: "the recipient is gone"}
	errTooMuch     = &wire.Error{Type: mstanza.Wait, Condition: mstanza.ResourceConstraint, Text: "no room for more"}
	errYouBlock    = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.NotAcceptable, App: "<blocked xmlns='urn:xmpp:blocking:errors'/>"}
	errNotYours    = &wire.Error{Type: mstanza.Auth, Condition: mstanza.Forbidden, Text: "not yours"}
)

// Bound enters a new session.
func (h *Host) Bound(s route.Sender) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.entry(s.Addr().Bare())
	a.sessions = append(a.sessions, &resource{Sender: s})
	if h.store == nil || s.Guest() {
		a.book = empty
	}
	if !s.Guest() {
		if f, ok := s.(interface{ Attend(*atomic.Uint32) }); ok {
			f.Attend(&a.flags)
		}
	}
	h.heed(a)
	if m, ok := s.(interface{ Modern() bool }); ok && m.Modern() && h.archive != nil && h.store != nil && !s.Guest() {
		bound := time.Now()
		h.post(a, func(*wire.Batch) { h.clearArchived(a, bound) })
	}
}

// find returns the session's entry. Called with mu held.
func (h *Host) find(addr wire.Addr) *resource {
	if a := h.users[addr.Bare()]; a != nil {
		for _, r := range a.sessions {
			if r.Addr() == addr {
				return r
			}
		}
	}
	return nil
}

// available returns the sessions of an account that are present with at least this priority. Called with mu held.
func (h *Host) available(bare wire.Addr, least int8) []*resource {
	a := h.users[bare]
	if a == nil {
		return nil
	}
	var out []*resource
	for _, r := range a.sessions {
		if r.presence != nil && r.priority >= least {
			out = append(out, r)
		}
	}
	return out
}

// Handle takes packets to the host and to its accounts that no session was found for.
func (h *Host) Handle(b *wire.Batch, s route.Sender, to wire.Addr, p *wire.Packet) {
	if to.Local() == "" {
		switch {
		case p.Kind == wire.IQ && !isRequest(p):
			h.replied(b, s, to, p)
		case p.Kind == wire.IQ:
			h.answer(b, s, p, to)
		case p.Kind == wire.Message && to == h.domain:
			route.Refuse(b, s, p, to, errUnavailable)
		}
		return
	}
	if s.Guest() {
		if p.Kind != wire.IQ || string(p.Type()) == "get" || string(p.Type()) == "set" {
			route.Refuse(b, s, p, to, errGuest)
		}
		return
	}
	if p.Kind == wire.IQ && to.IsBare() && !isRequest(p) {
		h.replied(b, s, to, p)
		return
	}
	h.leave(b, &errand{s: s, to: to, p: p})
}

// Self handles what a session sends without to or to its own account.
func (h *Host) Self(b *wire.Batch, s route.Sender, p *wire.Packet) {
	switch p.Kind {
	case wire.IQ:
		from := s.Addr().Bare()
		if !isRequest(p) {
			h.replied(b, s, from, p)
			return
		}
		if !p.HasTo() {
			from = ""
		}
		h.answer(b, s, p, from)
	case wire.Message:
		h.leave(b, &errand{s: s, to: s.Addr().Bare(), p: p}) // RFC 6120 §10.3.1
	case wire.Presence:
		h.broadcast(b, s, p)
	}
}

func isRequest(p *wire.Packet) bool {
	t := string(p.Type())
	return t == "get" || t == "set"
}

// within gives work that waits for the store its time.
func within(work func(context.Context) error) error {
	ctx, done := context.WithTimeout(context.Background(), storeWait)
	defer done()
	return work(ctx)
}
