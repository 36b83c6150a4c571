package im

import (
	"context"
	"net/netip"

	"parley/internal/token"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// ContactHandler answers a request that somebody sends to the bare address of an account. That the account exists and does not
// block the sender is known; what the sender may do is not. It runs in the sender's or in the account's goroutine and must not
// wait for anything; the packet lives only during the call.
type ContactHandler func(b *wire.Batch, s route.Sender, account wire.Addr, p *wire.Packet)

// HandleContactIQ registers the answer to requests with this payload to accounts. It is called before the first session.
func (h *Host) HandleContactIQ(local, ns string, handler ContactHandler) {
	h.contacts[name{local, ns}] = handler
}

// HandleReply registers who is told of answers, results and errors, that somebody sends to the host or to the bare address of an
// account, which is where requests of the server in their name come from. It is called before the first session.
func (h *Host) HandleReply(handler ContactHandler) { h.replies = append(h.replies, handler) }

// HandleNodes registers who is asked about the items of accounts, and about their nodes (XEP-0030 §4, §3.2); the handler reports
// that the request was one of those, and runs as a ContactHandler does. It is called before the first session.
func (h *Host) HandleNodes(handler func(b *wire.Batch, s route.Sender, account wire.Addr, p *wire.Packet) bool) {
	h.nodes = handler
}

// HandleHostNodes registers who is asked about the nodes of the host (XEP-0030 §3.2); the handler runs as a Handler does, and reports
// that the request was about one of its own. It is called before the first session.
func (h *Host) HandleHostNodes(handler func(b *wire.Batch, s route.Sender, p *wire.Packet) bool) {
	h.hostNodes = handler
}

// askNodes has those who know the nodes of accounts answer a request.
func (h *Host) askNodes(b *wire.Batch, s route.Sender, account wire.Addr, p *wire.Packet) bool {
	return h.nodes != nil && h.nodes(b, s, account, p)
}

// AnnounceAccount adds to what accounts say of themselves (XEP-0030). It is called before the first session.
func (h *Host) AnnounceAccount(features []string, identities ...Identity) {
	h.accounts.features = append(h.accounts.features, features...)
	h.accounts.identities = append(h.accounts.identities, identities...)
}

// Standing is what somebody is to an account.
type Standing struct {
	Own          bool   // the account itself, or a session of it
	Listed       bool   // an item of the roster
	Subscription string // "none", "to", "from" or "both"
	Groups       []string
	Blocked      bool
}

// Sees reports that the contact may see the account's presence.
func (s Standing) Sees() bool { return s.Subscription == "from" || s.Subscription == "both" }

// Standing says what contact is to account. It may wait for the store.
func (h *Host) Standing(ctx context.Context, account, contact wire.Addr) (Standing, error) {
	if account.Bare() == contact.Bare() {
		return Standing{Own: true, Subscription: "both"}, nil
	}
	k, err := h.look(ctx, account.Bare())
	if err != nil {
		return Standing{}, err
	}
	c := k.contact(contact.Bare())
	return Standing{Listed: c.Listed, Subscription: subscription(&c), Groups: c.Groups, Blocked: k.blocks(contact)}, nil
}

// Subscribers returns the bare addresses that see account's presence. It may wait for the store.
func (h *Host) Subscribers(ctx context.Context, account wire.Addr) ([]wire.Addr, error) {
	k, err := h.look(ctx, account.Bare())
	if err != nil {
		return nil, err
	}
	return k.subscribers(), nil
}

// Exists reports that there is such an account. It may wait for the store.
func (h *Host) Exists(ctx context.Context, account wire.Addr) (bool, error) {
	if account.Domain() != string(h.domain) || account.Local() == "" {
		return false, nil
	}
	k, err := h.look(ctx, account.Bare())
	return err == nil && k.exists, err
}

// Resource is an available session.
type Resource struct {
	Addr     wire.Addr // full
	Presence []byte    // the tail of its presence, which must not be changed
	Priority int8
}

// Resources returns the available sessions of an account.
func (h *Host) Resources(account wire.Addr) []Resource {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []Resource
	for _, r := range h.available(account.Bare(), -128) {
		list = append(list, Resource{Addr: r.Addr(), Presence: r.presence, Priority: r.priority})
	}
	return list
}

// PresenceFunc is told of presence, in the account's goroutine: of that of the account's own sessions (contact is the full
// address), and of that which contacts send to the account, whether it has sessions or not. Presence is the stanza's tail.
type PresenceFunc func(b *wire.Batch, account, contact wire.Addr, available bool, presence []byte)

// OnPresence registers who is told of presence. It is called before the first session.
func (h *Host) OnPresence(f PresenceFunc) { h.watchers = append(h.watchers, f) }

// tell tells those who watch of one presence, later, in the account's goroutine.
func (h *Host) tell(account, contact wire.Addr, available bool, presence []byte) {
	if len(h.watchers) == 0 {
		return
	}
	h.Do(account, func(b *wire.Batch) {
		for _, f := range h.watchers {
			f(b, account, contact, available, presence)
		}
	})
}

// Send routes a stanza that the server wrote in the name of from, an address of this host, to any address.
func (h *Host) Send(b *wire.Batch, from, to wire.Addr, st wire.Stanza) {
	domain := to.Domain()
	if rcv := h.router.Find(to); rcv != nil {
		if st.Kind == wire.Presence || !h.barred(to.Bare(), from) {
			rcv.Deliver(b, "", st)
		}
		return
	}
	service := h.router.Service(domain)
	if service == nil {
		h.router.Deliver(b, to, st)
		return
	}
	p := reparse(to, st)
	if p == nil {
		h.rec.Count("stanza.unsendable")
		return
	}
	service.Handle(b, &voice{h: h, addr: from}, to, p)
}

// barred reports that an account that is in memory blocks an address.
func (h *Host) barred(account, other wire.Addr) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.users[account]
	return a != nil && a.book != nil && a.book.blocks(other)
}

// reparse makes a packet of a stanza, nil if it is none.
func reparse(to wire.Addr, st wire.Stanza) *wire.Packet {
	raw := append(wire.AppendStart(nil, st.Kind, "", to), st.Tail...)
	limits := wire.Limits{Size: len(raw), Depth: wire.AfterAuth.Depth + 4}
	scanner := wire.Scanner{Limits: limits}
	_, p, err := scanner.Next(raw)
	if err != nil {
		return nil
	}
	return p
}

// voice is the sender of what the server says in the name of an address, and of what comes back because its receiver is gone.
type voice struct {
	h    *Host
	addr wire.Addr
}

func (v *voice) Addr() wire.Addr       { return v.addr }
func (v *voice) Guest() bool           { return false }
func (v *voice) Source() netip.Addr    { return netip.Addr{} }
func (v *voice) Claims() *token.Claims { return nil }
func (v *voice) Room() string          { return "" }
func (v *voice) Tenant() string        { return "" }
func (v *voice) Hold() func()          { return func() {} }

// Deliver takes answers. Those to an account or to the host itself are for those who asked in their name.
func (v *voice) Deliver(b *wire.Batch, _ wire.Addr, st wire.Stanza) {
	if v.addr.Domain() != string(v.h.domain) || !v.addr.IsBare() {
		v.h.router.Deliver(b, v.addr, st)
		return
	}
	if st.Kind != wire.IQ || len(v.h.replies) == 0 {
		return
	}
	if p := reparse(v.addr, st); p != nil && !isRequest(p) {
		from, err := wire.ParseRawAddr(p.From())
		if err == nil {
			v.h.replied(b, &voice{h: v.h, addr: from}, v.addr, p)
		}
	}
}

// replied tells those who asked of an answer.
func (h *Host) replied(b *wire.Batch, s route.Sender, to wire.Addr, p *wire.Packet) {
	for _, handler := range h.replies {
		handler(b, s, to, p)
	}
}

// stamped is a sender whose stanzas go out in the name of its bare address (RFC 6121 §3.1.2).
type stamped struct {
	route.Sender
	addr wire.Addr
}

func (s stamped) Addr() wire.Addr { return s.addr }
