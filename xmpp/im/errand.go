package im

import (
	"errors"
	"sync/atomic"

	"parley/internal/store"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// errand is a stanza on its way between two addresses: past the account of its sender, then past the account of its
// receiver, as far as they are ours. Where it has to wait, it is a copy, and its acknowledgement is held until nobody has it
// any more.
type errand struct {
	s    route.Sender
	to   wire.Addr
	p    *wire.Packet
	own  bool         // p outlives the routing
	late bool         // it was for a session that is gone: archived and copied already
	must bool         // it waits however much waits already
	over bool         // the routing of p is over: a goroutine of an account has it
	at   *account     // whose goroutine has it, nil if none
	pins atomic.Int32 // how many have it
	done func()       // its effects are there: if p is sent again to another process, it has them no more; may be nil
	free func()       // lets the sender's acknowledgement go
}

// hold makes the errand outlive the routing. It is called while the stanza is being routed, or later.
func (e *errand) hold() {
	e.pin()
	if !e.own {
		e.p, e.own = e.p.Clone(), true
	}
}

// pin holds the acknowledgement of the errand's stanza back, and no more. It is called while the stanza is being routed, or
// when it is held.
func (e *errand) pin() {
	if !e.own && e.free == nil {
		if s, ok := e.s.(interface {
			HoldTwice() (settle, release func())
		}); ok {
			e.done, e.free = s.HoldTwice()
		} else {
			e.free = e.s.Hold()
		}
	}
	e.pins.Add(1)
}

// drop is called once for each hold and pin.
func (e *errand) drop() {
	if e.pins.Add(-1) == 0 && e.free != nil {
		e.free()
	}
}

// step is what an account does with an errand, given what it keeps.
type step func(b *wire.Batch, e *errand, k *book)

// need is what a step needs of an account.
type need int

const (
	looks  need = iota // what the account keeps
	alone              // that nothing else is done with the account meanwhile
	stores             // the same, and it may wait for the store
)

// visit takes an errand to an account: at once if the account has nothing in hand and is in memory, else by its mailbox.
// A step that may wait for the store always goes there.
func (h *Host) visit(b *wire.Batch, addr wire.Addr, e *errand, n need, do step) {
	h.mu.Lock()
	a := h.users[addr]
	if k := h.atHand(a); k != nil && (n != stores || h.store == nil) {
		claim := n == alone && a != nil
		if claim {
			a.claimed = true
		}
		h.mu.Unlock()
		if claim {
			defer h.letGo(a)
		}
		e.at = nil
		do(b, e, k)
		return
	}
	h.mu.Unlock()
	e.hold()
	h.mu.Lock()
	a = h.entry(addr)
	work := func(b *wire.Batch) {
		defer e.drop()
		e.over = true
		k, err := h.read(a)
		if err != nil {
			h.refuse(b, e, errStore)
			return
		}
		e.at = a
		do(b, e, k)
	}
	ok := e.must || h.offer(a, work)
	if e.must {
		h.post(a, work)
	}
	h.leaveEntry(a)
	h.mu.Unlock()
	if !ok {
		h.refuse(b, e, errBusy)
		e.drop()
	}
}

// atHand returns what an account keeps, nil if that is not in memory or the account has something in hand. Called with mu
// held.
func (h *Host) atHand(a *account) *book {
	switch {
	case h.store == nil && (a == nil || a.book == nil):
		return absent
	case a == nil || a.running || a.claimed:
		return nil
	}
	return a.book
}

// refuse sends an error back in the name of the receiver.
func (h *Host) refuse(b *wire.Batch, e *errand, err *wire.Error) {
	if e.late && err == errUnavailable {
		err = errGone
	}
	if e.p.Kind == wire.IQ && !isRequest(e.p) {
		return
	}
	route.Refuse(b, e.s, e.p, e.to, err)
}

// ours returns the account of this host that a stanza comes from, "" if there is none: then it comes from another server, a
// room or the server itself.
func (h *Host) ours(s route.Sender) wire.Addr {
	if _, written := s.(*voice); written || s.Guest() {
		return ""
	}
	if a := s.Addr(); a.Domain() == string(h.domain) && a.Local() != "" {
		return a.Bare()
	}
	return ""
}

// Between implements route.Accounts.
func (h *Host) Between(b *wire.Batch, s route.Sender, to wire.Addr, p *wire.Packet) {
	h.leave(b, &errand{s: s, to: to, p: p})
}

// leave takes an errand past the sender's account.
func (h *Host) leave(b *wire.Batch, e *errand) {
	own := h.ours(e.s)
	if own == "" {
		h.arrive(b, e)
		return
	}
	abroad := e.to.Domain() != string(h.domain)
	h.visit(b, own, e, h.needs(e, abroad), h.outbound)
}

// needs is what an account needs for an errand; last says that no other account of ours comes after it. Messages are archived
// in the order in which they are delivered. The archive looks at what the two accounts keep, which is in memory.
func (h *Host) needs(e *errand, last bool) need {
	switch {
	case aboutSubscription(e.p):
		return stores
	case !last || !h.archives(e):
		return looks
	case h.archive.Prompt():
		return alone
	}
	return stores
}

// outbound is what the sender's account does.
func (h *Host) outbound(b *wire.Batch, e *errand, k *book) {
	if e.to.Bare() != e.s.Addr().Bare() && k.blocks(e.to) && string(e.p.Type()) != "error" {
		h.refuse(b, e, errYouBlock)
		return
	}
	if aboutSubscription(e.p) {
		h.subscriptionOut(b, e, k)
		return
	}
	h.arrive(b, e)
}

// arrive takes an errand to the receiver's account, or on to where the receiver is.
func (h *Host) arrive(b *wire.Batch, e *errand) {
	if e.to.Domain() == string(h.domain) && e.to.Local() != "" {
		h.visit(b, e.to.Bare(), e, h.needs(e, true), h.inbound)
		return
	}
	if e.p.Kind == wire.Message {
		h.messageAbroad(b, e)
	}
	if service := h.router.Service(e.to.Domain()); service != nil {
		service.Handle(b, e.s, e.to, e.p)
	} else {
		h.router.Abroad(b, e.s, e.to, e.p)
	}
}

// inbound is what the receiver's account does.
func (h *Host) inbound(b *wire.Batch, e *errand, k *book) {
	barred := e.to.Bare() != e.s.Addr().Bare() && k.blocks(e.s.Addr())
	switch e.p.Kind {
	case wire.Message:
		if !k.exists || barred {
			if t := string(e.p.Type()); t != "error" && t != "headline" {
				h.refuse(b, e, errUnavailable)
			}
			return
		}
		h.message(b, e)
	case wire.Presence:
		if !barred {
			h.presenceIn(b, e, k)
		}
	case wire.IQ:
		h.request(b, e, k, barred)
	}
}

// request is RFC 6121 §8.5.1, §8.5.2.1.3 and §8.5.3.
func (h *Host) request(b *wire.Batch, e *errand, k *book, barred bool) {
	if !k.exists || barred {
		h.refuse(b, e, errUnavailable)
		return
	}
	if rcv := h.session(e.to); rcv != nil {
		h.together(e, func() { rcv.Deliver(b, "", e.p.Stanza(e.s.Addr())) })
		return
	}
	if e.to.IsBare() && isRequest(e.p) {
		local, ns := e.p.Child()
		if handler := h.contacts[name{string(local), string(ns)}]; handler != nil {
			handler(b, e.s, e.to, e.p)
			return
		}
	}
	h.refuse(b, e, errUnavailable)
}

// together has the effects of an errand and that it has had them kept as one by the journal: while the stanza is being routed, in
// what the router's caller has begun. The effects must not wait for anything.
func (h *Host) together(e *errand, effects func()) {
	if e.over && h.journal != nil {
		h.journal.Begin()
		defer h.journal.End()
	}
	effects()
	if e.done != nil {
		e.done()
	}
}

// session returns the session with this full address, nil if there is none.
func (h *Host) session(a wire.Addr) route.Receiver {
	if a.IsBare() {
		return nil
	}
	return h.router.Find(a)
}

// ToService implements route.Accounts: messages that an account sends to rooms and other services.
func (h *Host) ToService(b *wire.Batch, s route.Sender, to wire.Addr, p *wire.Packet) bool {
	own := h.ours(s)
	if own == "" || to.Domain() == string(h.domain) {
		return true
	}
	if h.barred(own, to) && !(p.Kind == wire.Presence && string(p.Type()) == "unavailable") {
		route.Refuse(b, s, p, to, errYouBlock)
		return false
	}
	if p.Kind == wire.Message && toOccupant(p, to) {
		h.copySent(b, &errand{s: s, to: to, p: p}, own, p.Stanza(s.Addr()), "", nil)
	}
	return true
}

// kept says what became of a write, as an error for the client.
func kept(err error) *wire.Error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrNotFound):
		return errNotKept
	case errors.Is(err, store.ErrInvalid):
		return errBad
	case errors.Is(err, store.ErrQuota):
		return errTooMuch
	}
	return errStore
}
