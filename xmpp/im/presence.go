package im

import (
	"bytes"
	"slices"
	"strconv"

	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// Presence implements route.Accounts. It keeps track of whom a session sends presence to, so that they hear of its end (RFC
// 6121 §4.6.3), and takes what is about subscriptions and probes.
func (h *Host) Presence(b *wire.Batch, s route.Sender, to wire.Addr, p *wire.Packet) bool {
	if aboutSubscription(p) || string(p.Type()) == "probe" {
		if s.Guest() {
			if to.Domain() == string(h.domain) {
				route.Refuse(b, s, p, to, errGuest)
				return false
			}
			return true
		}
		if h.ours(s) == "" && to.Domain() != string(h.domain) {
			return true
		}
		h.leave(b, &errand{s: s, to: to, p: p})
		return false
	}
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

// maxDirected bounds the addresses that one session's presence is tracked for.
const maxDirected = 500

// presenceIn is presence that somebody sends to an account or one of its sessions.
func (h *Host) presenceIn(b *wire.Batch, e *errand, k *book) {
	switch typ := string(e.p.Type()); typ {
	case "", "unavailable":
		st := e.p.Stanza(e.s.Addr())
		if rcv := h.session(e.to); rcv != nil {
			rcv.Deliver(b, "", st)
			return
		}
		if !e.to.IsBare() || !k.exists {
			return
		}
		h.mu.Lock()
		list := h.available(e.to, -128)
		h.mu.Unlock()
		for _, r := range list {
			r.Deliver(b, e.to, st)
		}
		if k.contact(e.s.Addr().Bare()).To || k.contact(e.s.Addr().Bare()).From {
			h.tell(e.to, e.s.Addr(), typ == "", st.Tail)
		}
	case "probe":
		if e.to.IsBare() {
			h.probed(b, e, k)
		}
	case "subscribe", "subscribed", "unsubscribe", "unsubscribed":
		h.subscriptionIn(b, e, k)
	case "error":
		if rcv := h.session(e.to); rcv != nil {
			rcv.Deliver(b, "", e.p.Stanza(e.s.Addr()))
		}
	}
}

// broadcast is presence without to (RFC 6121 §4.2, §4.4, §4.5).
func (h *Host) broadcast(b *wire.Batch, s route.Sender, p *wire.Packet) {
	typ := string(p.Type())
	if typ != "" && typ != "unavailable" {
		return
	}
	n := news{from: s.Addr(), stanza: p.Stanza(s.Addr()), available: typ == ""}
	var gone []wire.Addr
	h.mu.Lock()
	r := h.find(s.Addr())
	if r == nil {
		h.mu.Unlock()
		return
	}
	if n.available {
		priority := priority(p)
		n.first = r.presence == nil
		n.mail = priority >= 0 && (n.first || r.priority < 0)
		r.presence, r.priority = n.stanza.Tail, priority
		h.noteAvailable(r)
	} else {
		n.nothing = r.presence == nil
		r.presence = nil
		for a := range r.directed {
			gone = append(gone, a)
		}
		r.directed = nil
		h.note(sayUnavailable, r.Addr(), "")
	}
	h.mu.Unlock()
	for _, a := range gone {
		h.sendTo(b, s, a, p)
	}
	h.spread(b, r, &errand{s: s, to: s.Addr().Bare(), p: p}, n)
}

// news is what there is to say of a session's presence.
type news struct {
	from      wire.Addr
	stanza    wire.Stanza
	available bool
	nothing   bool // it was not available: there is nobody who does not know
	first     bool // it was not available before
	mail      bool // it takes messages now and did not before
	ended     bool // the session is gone
}

// spread brings news to those whom it concerns, when the account knows who they are.
func (h *Host) spread(b *wire.Batch, r *resource, e *errand, n news) {
	h.visit(b, n.from.Bare(), e, looks, func(b *wire.Batch, e *errand, k *book) {
		bare := n.from.Bare()
		if n.first {
			h.stampAgain(r, e.p, &n)
		}
		h.mu.Lock()
		own := h.available(bare, -128)
		h.mu.Unlock()
		if n.first {
			h.welcome(b, r, own, k)
		}
		for _, other := range own {
			other.Deliver(b, "", n.stanza)
		}
		if !n.available && !n.ended {
			r.Deliver(b, "", n.stanza)
		}
		if n.nothing {
			return
		}
		for _, a := range k.subscribers() {
			h.present(b, n.from, a, n.stanza, n.available)
		}
		h.tell(bare, n.from, n.available, n.stanza.Tail)
		if n.first {
			h.probe(b, r, k)
		}
		h.mu.Lock()
		a := h.users[bare]
		if a != nil && n.mail && (a.mail || a.running || a.claimed) {
			h.post(a, func(b *wire.Batch) { h.deliverOffline(b, a, r) })
		}
		if a != nil && !n.available && len(own) == 0 && h.store != nil && len(k.contacts) > 0 {
			h.post(a, func(*wire.Batch) { h.noteLast(a, n.stanza) })
		}
		h.mu.Unlock()
	})
}

// stampAgain stamps a session's first presence once more: what belongs on it may have been read from the store meanwhile.
func (h *Host) stampAgain(r *resource, p *wire.Packet, n *news) {
	stamped := h.router.Stamp(r, p)
	if stamped == p {
		return
	}
	was := n.stanza.Tail
	n.stanza = stamped.Stanza(n.from)
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(r.presence) > 0 && &r.presence[0] == &was[0] { // there is none that is newer
		r.presence = n.stanza.Tail
		h.noteAvailable(r)
	}
}

// welcome gives a session that has become available what its account knows: the presence of the other sessions, and who
// waits for an answer (RFC 6121 §3.1.3).
func (h *Host) welcome(b *wire.Batch, r *resource, own []*resource, k *book) {
	for _, other := range own {
		if other != r {
			h.mu.Lock()
			tail := other.presence
			h.mu.Unlock()
			if tail != nil {
				r.Deliver(b, "", wire.Stanza{Kind: wire.Presence, Tail: tail})
			}
		}
	}
	for _, c := range k.contacts {
		if c.Request != nil && !k.blocks(wire.Addr(c.Addr)) {
			r.Deliver(b, r.Addr().Bare(), wire.Stanza{Kind: wire.Presence, Tail: c.Request})
		}
	}
}

// present brings a session's presence to somebody who may see it.
func (h *Host) present(b *wire.Batch, from, to wire.Addr, st wire.Stanza, available bool) {
	if to.Domain() != string(h.domain) || to.Local() == "" {
		h.Send(b, from, to, st)
		return
	}
	h.tell(to, from, available, st.Tail)
	h.mu.Lock()
	a := h.users[to.Bare()]
	if a == nil || len(a.sessions) == 0 { // nobody is there
		h.mu.Unlock()
		return
	}
	if a.book == nil || a.running || a.claimed {
		h.offer(a, func(b *wire.Batch) {
			if k, err := h.read(a); err == nil && !k.blocks(from) {
				h.mu.Lock()
				list := h.available(to, -128)
				h.mu.Unlock()
				for _, r := range list {
					r.Deliver(b, to, st)
				}
			}
		})
		h.mu.Unlock()
		return
	}
	if a.book.blocks(from) {
		h.mu.Unlock()
		return
	}
	list := h.available(to, -128)
	h.mu.Unlock()
	for _, r := range list {
		r.Deliver(b, to, st)
	}
}

// probe asks for the presence of those whom the account sees (RFC 6121 §4.3.1). Those here are asked on behalf of the
// session that wants to know.
func (h *Host) probe(b *wire.Batch, r *resource, k *book) {
	for _, a := range k.seen() {
		h.probeOne(b, r, a)
	}
}

func (h *Host) probeOne(b *wire.Batch, r *resource, a wire.Addr) {
	if a.Domain() != string(h.domain) || a.Local() == "" {
		tail := append(wire.AppendAttr(nil, "from", string(r.Addr())), " type='probe'/>"...)
		h.Send(b, r.Addr(), a, wire.Stanza{Kind: wire.Presence, Tail: tail})
		return
	}
	h.mu.Lock()
	there := h.users[a] != nil
	h.mu.Unlock()
	if there {
		h.arrive(b, &errand{s: r.Sender, to: a, p: probe, own: true})
	}
}

// probed answers somebody who wants to know an account's presence (RFC 6121 §4.3.2).
func (h *Host) probed(b *wire.Batch, e *errand, k *book) {
	who := e.s.Addr()
	bare := e.to.Bare()
	if who.Bare() != bare && !k.contact(who.Bare()).From {
		h.sayTo(b, e.s, bare, "unsubscribed")
		return
	}
	h.mu.Lock()
	var tails [][]byte
	for _, r := range h.available(bare, -128) {
		tails = append(tails, r.presence)
	}
	h.mu.Unlock()
	if len(tails) == 0 {
		h.sayTo(b, e.s, bare, "unavailable")
		return
	}
	for _, tail := range tails {
		e.s.Deliver(b, "", wire.Stanza{Kind: wire.Presence, Tail: tail})
	}
}

// sayTo answers presence with presence of a type.
func (h *Host) sayTo(b *wire.Batch, s route.Sender, from wire.Addr, typ string) {
	tail := wire.AppendAttr(wire.AppendAttr(nil, "from", string(from)), "type", typ)
	s.Deliver(b, "", wire.Stanza{Kind: wire.Presence, Tail: append(tail, '/', '>')})
}

// sendTo gives somebody who was sent presence directly the session's last one.
func (h *Host) sendTo(b *wire.Batch, s route.Sender, to wire.Addr, p *wire.Packet) {
	if rcv := h.router.Find(to); rcv != nil {
		rcv.Deliver(b, "", p.Stanza(s.Addr()))
		return
	}
	if to.Domain() == string(h.domain) {
		if to.IsBare() && to.Local() != "" {
			h.present(b, s.Addr(), to, p.Stanza(s.Addr()), false)
		}
		return
	}
	if service := h.router.Service(to.Domain()); service != nil {
		service.Handle(b, s, to, p)
		return
	}
	h.router.Abroad(b, s, to, p)
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

// The packets that sessions are taken to have sent: unavailable at their end, and probe.
var unavailable, probe = packet("<presence type='unavailable'/>"), packet("<presence type='probe'/>")

func packet(raw string) *wire.Packet {
	scanner := wire.Scanner{Limits: wire.AfterAuth}
	_, p, err := scanner.Next([]byte(raw))
	if err != nil {
		panic(err)
	}
	return p.Clone()
}

// Unbound tells those who saw a session present that it is gone (RFC 6121 §4.5.4). A service that keeps watch is told
// apart when the client did not say goodbye.
func (h *Host) Unbound(b *wire.Batch, s route.Sender, clean bool) {
	h.mu.Lock()
	a := h.users[s.Addr().Bare()]
	r := h.find(s.Addr())
	if r == nil || r.Sender != s {
		h.mu.Unlock()
		return
	}
	i := slices.Index(a.sessions, r)
	a.sessions = append(a.sessions[:i:i], a.sessions[i+1:]...)
	was := r.presence != nil
	if was || len(r.directed) > 0 || r.interested || r.carbons || r.blocklist {
		h.note(sayGone, r.Addr(), "")
	}
	r.presence = nil
	h.heed(a)
	if !was {
		h.leaveEntry(a)
	}
	h.mu.Unlock()
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
	if was {
		e := &errand{s: s, to: s.Addr().Bare(), p: unavailable, own: true, must: true}
		h.spread(b, r, e, news{from: s.Addr(), stanza: unavailable.Stanza(s.Addr()), ended: true})
		h.mu.Lock()
		h.leaveEntry(a)
		h.mu.Unlock()
	}
}
