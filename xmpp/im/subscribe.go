package im

import (
	"bytes"
	"slices"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// maxRequest is how much of a request for subscription is kept: what is larger is kept without its payload.
const maxRequest = 8 << 10

// subscriptionOut is what the account of the user does who sends presence about a subscription (RFC 6121 §3.1.2, §3.1.5,
// §3.2.2, §3.3.2). It runs in the account's goroutine.
func (h *Host) subscriptionOut(b *wire.Batch, e *errand, k *book) {
	typ := string(e.p.Type())
	own, to := e.s.Addr().Bare(), e.to.Bare()
	if h.store == nil || !k.exists {
		h.refuse(b, e, errNotKept)
		return
	}
	if own == to { // whoever asks oneself is in one's own presence already
		return
	}
	was := k.contact(to)
	now := was
	route := sent(&now, typ)
	if now.Listed && !was.Listed && len(k.contacts) >= h.limits.Contacts+h.limits.Requests {
		h.rec.Count("limit.roster")
		h.refuse(b, e, errTooMuch)
		return
	}
	if err := h.change(b, e.at, k, was, now); err != nil {
		h.refuse(b, e, err)
		return
	}
	if typ == "unsubscribed" && was.From {
		h.presentAll(b, own, to, false)
	}
	if route {
		e.s, e.to = stamped{e.s, own}, to
		h.arrive(b, e)
	}
	if now.From && !was.From {
		h.presentAll(b, own, to, true)
	}
}

// subscriptionIn is what the account of the contact does (RFC 6121 §3.1.3, §3.1.6, §3.2.3, §3.3.3). It runs in the account's
// goroutine.
func (h *Host) subscriptionIn(b *wire.Batch, e *errand, k *book) {
	typ := string(e.p.Type())
	own, from := e.to.Bare(), e.s.Addr().Bare()
	if own == from {
		return
	}
	if !k.exists || h.store == nil {
		if typ == "subscribe" { // §3.1.3 rule 1, §8.5.1
			h.answerPresence(b, own, from, "unsubscribed")
		}
		return
	}
	st := e.p.Stanza(from)
	was := k.contact(from)
	now := was
	request := st.Tail
	if len(request) > maxRequest {
		request = append(wire.AppendAttr(nil, "from", string(from)), " type='subscribe'/>"...)
	}
	invited := typ == "subscribe" && !was.From && (was.Listed || !h.tooManyContacts(k)) && h.granted(own, e.p)
	if invited { // as if the user had approved it in advance, and asks in return (XEP-0379 §3.5)
		now.Approved, now.Listed = true, true
		now.Request = nil
	}
	deliver, reply := received(&now, typ, request)
	asks := invited && !now.To
	now.Asked = now.Asked || asks
	if now.Request != nil && was.Request == nil && h.tooManyRequests(k) {
		h.rec.Reject("limit.requests", string(from), "jid", string(own))
		return
	}
	if err := h.change(b, e.at, k, was, now); err != nil {
		h.refuse(b, e, err)
		return
	}
	if reply != "" {
		h.answerPresence(b, own, from, reply)
	}
	if asks {
		h.answerPresence(b, own, from, "subscribe")
	}
	if deliver {
		h.mu.Lock()
		var list []*resource
		if a := h.users[own]; a != nil {
			for _, r := range a.sessions {
				if r.presence != nil && (typ == "subscribe" || r.interested) {
					list = append(list, r)
				}
			}
		}
		h.mu.Unlock()
		for _, r := range list {
			r.Deliver(b, own, st)
		}
	}
	switch {
	case now.From && !was.From:
		h.presentAll(b, own, from, true)
	case was.From && !now.From: // §3.3.3
		h.presentAll(b, own, from, false)
	}
}

func (h *Host) tooManyRequests(k *book) bool {
	if len(k.contacts) < h.limits.Requests {
		return false
	}
	n := 0
	for _, c := range k.contacts {
		if c.Request != nil && !c.Listed {
			n++
		}
	}
	return n >= h.limits.Requests
}

// answerPresence sends presence about a subscription in the name of an account.
func (h *Host) answerPresence(b *wire.Batch, from, to wire.Addr, typ string) {
	tail := append(wire.AppendAttr(wire.AppendAttr(nil, "from", string(from)), "type", typ), '/', '>')
	h.Send(b, from, to, wire.Stanza{Kind: wire.Presence, Tail: tail})
}

// presentAll tells somebody of all the account's available sessions, or takes that back.
func (h *Host) presentAll(b *wire.Batch, own, to wire.Addr, available bool) {
	h.mu.Lock()
	list := h.available(own, -128)
	tails := make([][]byte, len(list))
	for i, r := range list {
		tails[i] = r.presence
	}
	h.mu.Unlock()
	for i, r := range list {
		st := wire.Stanza{Kind: wire.Presence, Tail: tails[i]}
		if !available {
			st = unavailable.Stanza(r.Addr())
		}
		h.present(b, r.Addr(), to, st, available)
	}
}

// change commits what is new of a contact, has the account remember it, and tells the interested sessions, if they can see
// it. It runs in the account's goroutine.
func (h *Host) change(b *wire.Batch, a *account, k *book, was, now store.Contact) *wire.Error {
	if sameContact(&was, &now) {
		return nil
	}
	c := store.RosterChange{Put: []store.Contact{now}}
	if idle(&now) {
		c = store.RosterChange{Remove: []string{now.Addr}}
	}
	if err := h.commit(a, k, &c); err != nil {
		return err
	}
	if now.Listed && !(was.Listed && bytes.Equal(item(&was), item(&now))) {
		h.push(b, a, item(&now), c.Version)
	} else if was.Listed && !now.Listed {
		h.push(b, a, removedItem(now.Addr), c.Version)
	}
	return nil
}

// sameContact reports that there is nothing to store.
func sameContact(x, y *store.Contact) bool {
	return x.Listed == y.Listed && x.Name == y.Name && slices.Equal(x.Groups, y.Groups) && x.To == y.To && x.From == y.From &&
		x.Asked == y.Asked && x.Approved == y.Approved && bytes.Equal(x.Request, y.Request) && (x.Request == nil) == (y.Request == nil)
}
