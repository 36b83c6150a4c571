// Package im serves the accounts of one host and the host itself: presence among online users, messages to bare
// addresses, and the requests that the server answers (RFC 6121 §4, §8.5). Rosters, subscriptions and offline messages
// are not kept yet: a roster is empty, and who is offline cannot be reached.
package im

import (
	"bytes"
	"strconv"
	"sync"

	"parley/internal/journal"
	"parley/xmpp/route"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// Host is the route.Accounts of one domain. It is safe for concurrent use.
type Host struct {
	domain   wire.Addr
	router   *route.Router
	handlers map[name]Handler
	info     info

	part     *journal.Part           // nil: presence ends with the process
	restored map[wire.Addr]*resource // while the journal is replayed

	mu    sync.Mutex // guards users and what hangs on them
	users map[wire.Addr][]*resource
}

// Handler answers an IQ request to the server or to the sender's own account. The packet lives only during the call.
type Handler func(b *wire.Batch, s route.Sender, p *wire.Packet)

type name struct{ local, ns string }

// resource is a session with its presence.
type resource struct {
	route.Sender
	presence []byte // the tail of its last available presence, nil if it is not available
	priority int8
	directed map[wire.Addr]struct{} // whom it sent presence, except by broadcast (RFC 6121 §4.6)
}

// maxDirected bounds the addresses that one session's presence is tracked for.
const maxDirected = 500

// New returns the host of a domain and makes it the router's.
func New(domain string, router *route.Router) *Host {
	h := &Host{domain: wire.Addr(domain), router: router, handlers: make(map[name]Handler), users: make(map[wire.Addr][]*resource)}
	router.SetAccounts(h)
	router.Serve(domain, h)
	h.registerBasics()
	return h
}

// HandleIQ registers the answer to requests with this payload. It is called before the first session.
func (h *Host) HandleIQ(local, ns string, handler Handler) { h.handlers[name{local, ns}] = handler }

var (
	errUnavailable = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.ServiceUnavailable}
	errGuest       = &wire.Error{Type: mstanza.Auth, Condition: mstanza.Forbidden, Text: "guests reach rooms only"}
	errMany        = &wire.Error{Type: mstanza.Wait, Condition: mstanza.ResourceConstraint, Text: "presence sent to too many addresses"}
	errNoRoster    = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.FeatureNotImplemented, Text: "subscriptions are not kept here"}
)

// Bound enters a new session.
func (h *Host) Bound(s route.Sender) {
	bare := s.Addr().Bare()
	h.mu.Lock()
	h.users[bare] = append(h.users[bare], &resource{Sender: s})
	h.mu.Unlock()
}

// find returns the session's entry. Called with mu held.
func (h *Host) find(a wire.Addr) *resource {
	for _, r := range h.users[a.Bare()] {
		if r.Addr() == a {
			return r
		}
	}
	return nil
}

// available returns the sessions of an account that are present with at least this priority. Called with mu held.
func (h *Host) available(bare wire.Addr, least int8) []*resource {
	var out []*resource
	for _, r := range h.users[bare] {
		if r.presence != nil && r.priority >= least {
			out = append(out, r)
		}
	}
	return out
}

// Available returns the session of an account that takes messages to its bare address.
func (h *Host) Available(bare wire.Addr) route.Receiver {
	h.mu.Lock()
	defer h.mu.Unlock()
	var best *resource
	for _, r := range h.available(bare, 0) {
		if best == nil || r.priority > best.priority {
			best = r
		}
	}
	if best == nil {
		return nil
	}
	return best
}

// Handle takes packets to the host and to its accounts that no session was found for.
func (h *Host) Handle(b *wire.Batch, s route.Sender, to wire.Addr, p *wire.Packet) {
	if to == h.domain {
		if p.Kind == wire.IQ {
			h.answer(b, s, p, to)
		} else if p.Kind == wire.Message {
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
	switch p.Kind {
	case wire.Message:
		h.message(b, s, to, p)
	case wire.Presence:
		h.presenceTo(b, s, to, p)
	case wire.IQ:
		route.Refuse(b, s, p, to, errUnavailable) // RFC 6121 §8.5.1, §8.5.2.1.3, §8.5.3.2.3
	}
}

// message is RFC 6121 §8.5.2 for a bare address, §8.5.3.2 for a full one without a session.
func (h *Host) message(b *wire.Batch, s route.Sender, to wire.Addr, p *wire.Packet) {
	switch string(p.Type()) {
	case "error":
		return
	case "groupchat":
		route.Refuse(b, s, p, to, errUnavailable)
		return
	case "headline":
		if !to.IsBare() {
			return
		}
	}
	h.mu.Lock()
	list := h.available(to.Bare(), 0)
	h.mu.Unlock()
	if len(list) == 0 {
		if string(p.Type()) != "headline" {
			route.Refuse(b, s, p, to, errUnavailable)
		}
		return
	}
	st := p.Stanza(s.Addr())
	for _, r := range list {
		r.Deliver(b, to, st)
	}
}

// presenceTo is RFC 6121 §4.6 and, for subscriptions, §3.
func (h *Host) presenceTo(b *wire.Batch, s route.Sender, to wire.Addr, p *wire.Packet) {
	switch string(p.Type()) {
	case "", "unavailable":
	case "subscribe", "subscribed", "unsubscribe", "unsubscribed":
		route.Refuse(b, s, p, to, errNoRoster)
		return
	default:
		return
	}
	if !to.IsBare() {
		return
	}
	h.mu.Lock()
	list := h.available(to, -128)
	h.mu.Unlock()
	st := p.Stanza(s.Addr())
	for _, r := range list {
		r.Deliver(b, to, st)
	}
}

// Presence keeps track of whom a session sends presence to, so that they hear of its end (RFC 6121 §4.6.3).
func (h *Host) Presence(b *wire.Batch, s route.Sender, to wire.Addr, p *wire.Packet) bool {
	if !h.track(s.Addr(), to, string(p.Type())) {
		route.Refuse(b, s, p, to, errMany)
		return false
	}
	return true
}

// track notes directed presence and reports that there was room for it.
func (h *Host) track(from, to wire.Addr, typ string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.find(from)
	if r == nil {
		return true
	}
	switch typ {
	case "":
		_, known := r.directed[to]
		if !known && len(r.directed) >= maxDirected {
			return false
		}
		if r.directed == nil {
			r.directed = make(map[wire.Addr]struct{})
		}
		if !known {
			r.directed[to] = struct{}{}
			h.note(sayDirected, from, to)
		}
	case "unavailable":
		if _, known := r.directed[to]; known {
			delete(r.directed, to)
			h.note(sayWithdrawn, from, to)
		}
	}
	return true
}

// Self handles what a session sends without to or to its own account.
func (h *Host) Self(b *wire.Batch, s route.Sender, p *wire.Packet) {
	switch p.Kind {
	case wire.IQ:
		from := s.Addr().Bare()
		if !p.HasTo() {
			from = ""
		}
		h.answer(b, s, p, from)
	case wire.Message:
		h.message(b, s, s.Addr().Bare(), p) // RFC 6120 §10.3.1
	case wire.Presence:
		h.broadcast(b, s, p)
	}
}

// broadcast is presence without to (RFC 6121 §4.2, §4.4, §4.5). With no roster, the others are the account's own
// sessions.
func (h *Host) broadcast(b *wire.Batch, s route.Sender, p *wire.Packet) {
	st := p.Stanza(s.Addr())
	h.mu.Lock()
	r := h.find(s.Addr())
	if r == nil {
		h.mu.Unlock()
		return
	}
	var known [][]byte
	var gone []wire.Addr
	switch string(p.Type()) {
	case "":
		if r.presence == nil {
			for _, other := range h.available(s.Addr().Bare(), -128) {
				known = append(known, other.presence)
			}
		}
		r.presence, r.priority = st.Tail, priority(p)
		h.noteAvailable(r)
	case "unavailable":
		r.presence = nil
		for a := range r.directed {
			gone = append(gone, a)
		}
		r.directed = nil
		h.note(sayUnavailable, r.Addr(), "")
	default:
		h.mu.Unlock()
		return
	}
	list := h.available(s.Addr().Bare(), -128)
	h.mu.Unlock()
	for _, tail := range known {
		s.Deliver(b, "", wire.Stanza{Kind: wire.Presence, Tail: tail})
	}
	for _, other := range list {
		other.Deliver(b, "", st)
	}
	for _, a := range gone {
		h.sendTo(b, s, a, p)
	}
}

// sendTo gives somebody who was sent presence directly the session's last one.
func (h *Host) sendTo(b *wire.Batch, s route.Sender, to wire.Addr, p *wire.Packet) {
	if rcv := h.router.Find(to); rcv != nil {
		rcv.Deliver(b, "", p.Stanza(s.Addr()))
		return
	}
	if service := h.router.Service(to.Domain()); service != nil {
		service.Handle(b, s, to, p)
	}
}

// priority is RFC 6121 §4.7.2.3; a number that is none counts as 0.
func priority(p *wire.Packet) int8 {
	e := p.Elem().Child("priority", "")
	if !e.Ok() {
		return 0
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace([]byte(e.Text()))), 10, 8)
	if err != nil {
		return 0
	}
	return int8(n)
}

// unavailable is what a session that ends is taken to have sent.
var unavailable = func() *wire.Packet {
	scanner := wire.Scanner{Limits: wire.AfterAuth}
	_, p, err := scanner.Next([]byte("<presence type='unavailable'/>"))
	if err != nil {
		panic(err)
	}
	return p.Clone()
}()

// Unbound tells those who saw a session present that it is gone (RFC 6121 §4.5.4). A service that keeps watch is told
// apart when the client did not say goodbye.
func (h *Host) Unbound(b *wire.Batch, s route.Sender, clean bool) {
	bare := s.Addr().Bare()
	h.mu.Lock()
	r := h.find(s.Addr())
	list := h.users[bare]
	for i := range list {
		if list[i] == r {
			list = append(list[:i:i], list[i+1:]...)
			break
		}
	}
	if h.users[bare] = list; len(list) == 0 {
		delete(h.users, bare)
	}
	if r != nil && (r.presence != nil || len(r.directed) > 0) {
		h.note(sayGone, r.Addr(), "")
	}
	var others []*resource
	if r != nil && r.presence != nil {
		others = h.available(bare, -128)
	}
	h.mu.Unlock()
	if r == nil {
		return
	}
	st := unavailable.Stanza(s.Addr())
	for _, other := range others {
		other.Deliver(b, "", st)
	}
	told := make(map[string]bool)
	for to := range r.directed {
		w, watches := h.router.Service(to.Domain()).(route.Watcher)
		switch {
		case clean || !watches:
			h.sendTo(b, s, to, unavailable)
		case !told[to.Domain()]:
			told[to.Domain()] = true
			w.Gone(s.Addr())
		}
	}
}
