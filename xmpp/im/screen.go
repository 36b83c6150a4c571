package im

import (
	"bytes"

	"parley/xmpp/wire"
)

// Expect implements route.Accounts: what the account keeps is in memory before its session is bound, so that nothing a room says
// has to wait for the block list (XEP-0191 §3.3). What waited would be lost if the process was killed: the room has acknowledged
// it. If the store fails, nobody is blocked: a room whose words come in part only is of no use.
func (h *Host) Expect(account wire.Addr) (release func()) {
	if h.store == nil {
		return func() {}
	}
	h.mu.Lock()
	a := h.entry(account)
	a.expected++
	var known chan struct{}
	if a.book == nil && !h.closed {
		known = make(chan struct{})
		h.post(a, func(*wire.Batch) {
			defer close(known)
			h.read(a)
		})
	}
	h.mu.Unlock()
	if known != nil {
		<-known
	}
	return func() {
		h.mu.Lock()
		a.expected--
		h.leaveEntry(a)
		h.mu.Unlock()
	}
}

// expectAll is Expect for the sessions of a process before this one, all at once.
func (h *Host) expectAll() {
	if h.store == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.users {
		if a.book == nil {
			h.post(a, func(*wire.Batch) { h.read(a) })
		}
	}
	h.wait()
}

// FromService implements route.Accounts: what rooms and other services write to sessions of an account that blocks somebody
// (XEP-0191 §3.3).
func (h *Host) FromService(b *wire.Batch, to wire.Addr, st wire.Stanza) bool {
	h.mu.Lock()
	var k *book
	if a := h.users[to.Bare()]; a != nil {
		k = a.known()
	}
	h.mu.Unlock()
	return k == nil || !h.screen(b, k, to, st)
}

// screen reports that the account blocks who the stanza is from. Requests and messages of one person are answered then, as if
// nobody were there; what goes to many is not, since a room would take the answer for the receiver's end.
func (h *Host) screen(b *wire.Batch, k *book, to wire.Addr, st wire.Stanza) bool {
	if len(k.blocked) == 0 {
		return false
	}
	from, err := wire.ParseRawAddr(writer(st.Tail))
	if err != nil || !k.blocks(from) {
		return false
	}
	if st.Kind == wire.Presence {
		return true
	}
	p := reparse(to, st)
	if p == nil {
		return true
	}
	switch typ := string(p.Type()); {
	case p.Kind == wire.IQ && !isRequest(p):
		return false // it was asked for
	case typ != "error" && typ != "groupchat" && typ != "headline":
		h.Send(b, to, from, errUnavailable.ErrorTo(p, to))
	}
	return true
}

// writer returns the attribute from, which comes first in what services write, as it is written; nil if there is none.
func writer(tail []byte) []byte {
	tail, ok := bytes.CutPrefix(tail, []byte(" from='"))
	if !ok {
		return nil
	}
	from, _, _ := bytes.Cut(tail, []byte{'\''})
	return from
}
