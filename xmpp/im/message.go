package im

import (
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// Archive keeps messages (XEP-0313).
type Archive interface {
	// Keep stores one message in the archive of each owner and returns the ids that it has there (XEP-0359 §3), "" where the
	// owner does not want it. It may wait for what the owners want, and for what waits to be stored to become less, but not
	// for the message to be committed: done is called for that, once in any case, from any goroutine.
	Keep(m Kept, done func(error)) (sender, recipient string)
	// Prompt reports that Keep does not wait now, if what the owners keep is in memory. If not, it runs in the goroutine of an
	// account.
	Prompt() bool
}

// Kept is a message for the archives of those who are accounts here.
type Kept struct {
	Sender, Recipient wire.Addr // bare; "" where it is no account of this host
	From, To          wire.Addr // as on the stanza
	Stanza            wire.Stanza
}

// SetArchive gives the host an archive. It is called before the first session.
func (h *Host) SetArchive(a Archive) { h.archive = a }

// archives reports that the archive is asked about a message.
func (h *Host) archives(e *errand) bool {
	if h.archive == nil || e.p.Kind != wire.Message || e.late {
		return false
	}
	if _, written := e.s.(*voice); written {
		return false
	}
	t := string(e.p.Type())
	return t != "error" && t != "groupchat"
}

// keep gives a message, whose stanza is st, to the archives of its sender and, if it is an account, its recipient. What the
// sender sent is not acknowledged before it is committed. Then, if it is not nil, is called once before that, also if nobody
// archives the message; a message that has no id in an archive is not there.
func (h *Host) keep(e *errand, st wire.Stanza, recipient wire.Addr, then func(error)) (senderID, recipientID string) {
	if !h.archives(e) {
		if then != nil {
			then(nil)
		}
		return "", ""
	}
	e.pin()
	return h.archive.Keep(Kept{Sender: h.ours(e.s), Recipient: recipient, From: e.s.Addr(), To: e.to, Stanza: st}, func(err error) {
		if err != nil {
			h.rec.Hurt("archive.fail", string(recipient), "err", err.Error())
		}
		if then != nil {
			then(err)
		}
		e.drop()
	})
}

// message is what an account does with a message that it is sent (RFC 6121 §8.5.2.1.1, §8.5.2.2.1, §8.5.3).
func (h *Host) message(b *wire.Batch, e *errand) {
	bare := e.to.Bare()
	rcv := h.session(e.to)
	if e.late {
		rcv = nil
	}
	var list []*resource
	if rcv == nil {
		switch string(e.p.Type()) {
		case "error":
			return
		case "groupchat":
			h.refuse(b, e, errUnavailable)
			return
		case "headline":
			if !e.to.IsBare() {
				return
			}
		case "chat":
		default:
			if !e.to.IsBare() && !e.late { // §8.5.3.2.1
				h.refuse(b, e, errUnavailable)
				return
			}
		}
		h.mu.Lock()
		list = h.available(bare, 0)
		a := h.users[bare]
		mail := a != nil && a.mail
		h.mu.Unlock()
		mail = mail || e.at != nil && e.at == a && len(a.spool) > 0
		if mail || len(list) == 0 {
			if string(e.p.Type()) == "headline" && len(list) == 0 {
				return
			}
			if e.at == nil || e.at.addr != bare { // the store comes first
				if len(list) == 0 && (h.store == nil || !storable(e.p)) {
					h.refuse(b, e, errUnavailable)
					return
				}
				h.visit(b, bare, e, stores, func(b *wire.Batch, e *errand, k *book) { h.message(b, e) })
				return
			}
			if len(list) > 0 && !h.deliverOffline(b, e.at, list[0]) {
				list = nil
			}
			if len(list) == 0 {
				h.storeFor(b, e)
				return
			}
		}
	}
	clean := h.clean(e)
	senderID, recipientID := h.keep(e, clean, bare, nil)
	st := withID(clean, bare, recipientID)
	to := e.to
	if e.late {
		to = bare
	}
	h.together(e, func() {
		if rcv != nil {
			rcv.Deliver(b, "", st)
		}
		for _, r := range list {
			r.Deliver(b, to, st)
		}
		if e.late {
			return
		}
		h.copyReceived(b, e, st, list)
		if own := h.ours(e.s); own != "" {
			h.copySent(b, e, own, clean, senderID, list)
		}
	})
	if !e.late {
		h.arrived(bare, st, false)
	}
}

// MessageFunc is told of each message that an account is sent, when it has been delivered to a session or is stored. Late says
// that it was delivered before, and told of, to a session that ended without having it; now it is stored. It may run in any
// goroutine, must not wait for anything, and sends nothing itself.
type MessageFunc func(account wire.Addr, st wire.Stanza, late bool)

// OnMessage registers who is told of messages. It is called before the first session.
func (h *Host) OnMessage(f MessageFunc) { h.arrivals = append(h.arrivals, f) }

func (h *Host) arrived(account wire.Addr, st wire.Stanza, late bool) {
	for _, f := range h.arrivals {
		f(account, st, late)
	}
}

// storeFor keeps a message for an account that nobody is there of. It runs in the account's goroutine.
func (h *Host) storeFor(b *wire.Batch, e *errand) {
	if !storable(e.p) {
		h.refuse(b, e, errUnavailable)
		return
	}
	clean := h.clean(e)
	committed := make(chan error, 1)
	senderID, recipientID := h.keep(e, clean, e.to.Bare(), func(err error) { committed <- err })
	e.hold()
	e.at.spool = append(e.at.spool, spooled{e, clean, recipientID, committed})
	if own := h.ours(e.s); own != "" && !e.late {
		h.copySent(b, e, own, clean, senderID, nil)
	}
}

// messageAbroad is what an account's message to another server leaves here.
func (h *Host) messageAbroad(b *wire.Batch, e *errand) {
	own := h.ours(e.s)
	if own == "" {
		return
	}
	clean := h.clean(e)
	senderID, _ := h.keep(e, clean, "", nil)
	h.copySent(b, e, own, clean, senderID, nil)
}

// Again implements route.Accounts: a message that was delivered may not be in the archives yet.
func (h *Host) Again(b *wire.Batch, s route.Sender, to wire.Addr, p *wire.Packet) {
	e := &errand{s: s, to: to, p: p}
	owner, recipient := to.Bare(), to.Bare()
	if to.Domain() != string(h.domain) {
		owner, recipient = h.ours(s), ""
	}
	if !h.archives(e) || owner == "" || owner.Local() == "" || h.router.Service(to.Domain()) != nil && recipient == "" {
		return
	}
	h.visit(b, owner, e, stores, func(_ *wire.Batch, e *errand, k *book) {
		if k.exists {
			h.keep(e, h.clean(e), recipient, nil)
		}
	})
}

// Undelivered implements route.Accounts: a message that a session did not get is like one to its account (RFC 6121
// §8.5.2), but that it is archived and copied already.
func (h *Host) Undelivered(b *wire.Batch, to wire.Addr, p *wire.Packet) bool {
	from, err := wire.ParseRawAddr(p.From())
	if err != nil || to.Domain() != string(h.domain) {
		return false
	}
	if from == to.Bare() || p.ChildIs("result", nsArchive) {
		return true // a copy, or what the session asked an archive for: nobody else waits for it
	}
	h.mu.Lock()
	a := h.users[to.Bare()]
	guest := a != nil && len(a.sessions) > 0 && a.sessions[0].Guest()
	h.mu.Unlock()
	if guest {
		return false
	}
	e := &errand{s: &voice{h: h, addr: from}, to: to, p: p, own: true, late: true}
	h.visit(b, to.Bare(), e, looks, func(b *wire.Batch, e *errand, k *book) {
		if !k.exists {
			h.refuse(b, e, errGone)
			return
		}
		h.message(b, e)
	})
	return true
}

var _ route.Sender = (*voice)(nil)
