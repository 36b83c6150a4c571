package im

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"parley/internal/store"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// account is an account of the host while somebody needs it: while it has sessions, or work waits for it. Work runs in a
// goroutine of the account, which lives only while there is some and may wait for the store. Everything here is guarded by
// Host.mu, except as said.
type account struct {
	addr  wire.Addr
	flags atomic.Uint32 // a route.Attention, read without the lock

	sessions []*resource
	book     *book // nil: not read yet
	last     *book // what it was, if it may have changed since
	expected int   // sessions that are about to be bound
	mail     bool  // messages may be stored for it

	waiting []func(*wire.Batch)
	running bool      // there is a goroutine
	claimed bool      // a reader has it in hand for a moment, and is its goroutine meanwhile
	spool   []spooled // belongs to the account's goroutine
}

// maxWaiting is how much work of others may wait for one account.
const maxWaiting = 1024

// storeWait is how long an account's goroutine waits for the store before it answers with an error.
const storeWait = 20 * time.Second

// entry returns the account's entry, a new one if need be. Called with mu held.
func (h *Host) entry(addr wire.Addr) *account {
	a := h.users[addr]
	if a == nil {
		a = &account{addr: addr}
		h.users[addr] = a
	}
	return a
}

// leaveEntry forgets an account that nobody needs. Called with mu held.
func (h *Host) leaveEntry(a *account) {
	if len(a.sessions)+a.expected == 0 && !a.running && !a.claimed && h.users[a.addr] == a {
		delete(h.users, a.addr)
	}
}

// heed sets which stanzas the router has to show us before it passes them to or from the account's sessions. Called with
// mu held.
func (h *Host) heed(a *account) {
	var f route.Attention
	if a.running || len(a.waiting) > 0 || a.book == nil || len(a.book.blocked) > 0 {
		f |= route.ToAll
	}
	if k := a.known(); k != nil && len(k.blocked) > 0 {
		f |= route.FromServices
	}
	if h.archive != nil || a.copies() {
		f |= route.ToMessages
	}
	a.flags.Store(uint32(f))
}

// known is the newest that is known of what the account keeps, nil for nothing. Called with mu held.
func (a *account) known() *book {
	if a.book != nil {
		return a.book
	}
	return a.last
}

// copies reports that a message of one session is copied to another (XEP-0280).
func (a *account) copies() bool {
	if len(a.sessions) < 2 {
		return false
	}
	for _, r := range a.sessions {
		if r.carbons {
			return true
		}
	}
	return false
}

// Do runs work in the account's own goroutine, in the order of the calls, where it may wait for the store. It returns false
// if too much waits already. The batch is flushed when no more work waits.
func (h *Host) Do(addr wire.Addr, work func(b *wire.Batch)) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.offer(h.entry(addr), work)
}

// offer is post for what others may cause. Called with mu held.
func (h *Host) offer(a *account, work func(*wire.Batch)) bool {
	if len(a.waiting) >= maxWaiting || h.closed {
		h.rec.Count("limit.account")
		return false
	}
	h.post(a, work)
	return true
}

// post gives the account work. Called with mu held.
func (h *Host) post(a *account, work func(*wire.Batch)) {
	if h.closed {
		return
	}
	a.waiting = append(a.waiting, work)
	switch {
	case a.running:
	case a.claimed:
		h.heed(a)
	default:
		h.start(a)
	}
}

// start gives the account a goroutine. Called with mu held.
func (h *Host) start(a *account) {
	a.running = true
	h.heed(a)
	h.running++
	go h.run(a)
}

// letGo ends a reader's claim. What has come meanwhile is worked off.
func (h *Host) letGo(a *account) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a.claimed = false
	if len(a.waiting) > 0 {
		h.start(a)
		return
	}
	h.leaveEntry(a)
}

// run works off an account's mailbox.
func (h *Host) run(a *account) {
	var b wire.Batch
	for {
		h.mu.Lock()
		list := a.waiting
		a.waiting = nil
		if len(list) == 0 {
			a.running = false
			h.heed(a)
			h.leaveEntry(a)
			if h.running--; h.running == 0 {
				h.rest.Broadcast()
			}
			h.mu.Unlock()
			return
		}
		h.mu.Unlock()
		for _, work := range list {
			h.guard(a, work, &b)
		}
		h.guard(a, func(b *wire.Batch) { h.unspool(b, a) }, &b)
		b.Flush()
	}
}

// guard keeps the fault of one piece of work from the rest.
func (h *Host) guard(a *account, work func(*wire.Batch), b *wire.Batch) {
	defer func() {
		if r := recover(); r != nil {
			h.rec.Hurt("account.panic", string(a.addr), "err", r)
		}
	}()
	work(b)
}

// Close waits until what accounts have in hand is done, at most until ctx ends. It comes when there are no sessions any
// more, before the store is closed.
func (h *Host) Close(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.wait()
		h.closed = true
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wait returns when no account has anything in hand. Called with mu held.
func (h *Host) wait() {
	for h.running > 0 {
		h.rest.Wait()
	}
}

// read returns what the account keeps, from the store if it is not in memory. It runs in the account's goroutine.
func (h *Host) read(a *account) (*book, error) {
	h.mu.Lock()
	known := a.book
	h.mu.Unlock()
	if known != nil {
		return known, nil
	}
	ctx, done := context.WithTimeout(context.Background(), storeWait)
	defer done()
	read, mail, err := h.fetch(ctx, a.addr)
	if err != nil {
		h.rec.Hurt("account.read", string(a.addr), "err", err.Error())
		return nil, err
	}
	h.mu.Lock()
	a.book, a.last, a.mail = read, nil, mail
	h.heed(a)
	h.mu.Unlock()
	return read, nil
}

// fetch reads a book from the store; mail says that messages are stored for the account.
func (h *Host) fetch(ctx context.Context, addr wire.Addr) (read *book, mail bool, err error) {
	if h.store == nil {
		return absent, false, nil
	}
	r, err := h.store.Roster(ctx, string(addr))
	if errors.Is(err, store.ErrNotFound) {
		return absent, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	return newBook(r), r.Mail, nil
}

// look returns what an account keeps, for whoever is not in its goroutine.
func (h *Host) look(ctx context.Context, addr wire.Addr) (*book, error) {
	h.mu.Lock()
	if a := h.users[addr]; a != nil && a.book != nil {
		defer h.mu.Unlock()
		return a.book, nil
	}
	h.mu.Unlock()
	read, _, err := h.fetch(ctx, addr)
	return read, err
}
