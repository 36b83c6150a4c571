package im

import (
	"context"
	"errors"

	"parley/xmpp/wire"
)

// nsPreauth is the namespace of tokens in requests for subscription (XEP-0379).
const nsPreauth = "urn:xmpp:pars:0"

// HandlePreauth names who knows which tokens in a request grant it (XEP-0379 §3.5); grants is called in the account's goroutine, uses
// the token up and may wait for the store. It is called before the first session.
func (h *Host) HandlePreauth(grants func(ctx context.Context, account wire.Addr, token string) bool) {
	h.grants = grants
}

// granted reports that a request to see an account's presence carries a token that grants it. It runs in the account's goroutine.
func (h *Host) granted(account wire.Addr, p *wire.Packet) bool {
	if h.grants == nil {
		return false
	}
	token := p.Elem().Child("preauth", nsPreauth).AttrString("token")
	if token == "" {
		return false
	}
	ok := false
	within(func(ctx context.Context) error {
		ok = h.grants(ctx, account, token)
		return nil
	})
	return ok
}

// Befriend has two accounts see each other, as if they had asked for it and agreed (XEP-0401 §5.4), and tells their sessions. It
// waits for the store and must not be called from the goroutine of an account.
func (h *Host) Befriend(ctx context.Context, one, other wire.Addr) error {
	for _, pair := range [][2]wire.Addr{{one, other}, {other, one}} {
		own, contact := pair[0], pair[1]
		done := make(chan error, 1)
		if !h.Do(own, func(b *wire.Batch) { done <- h.see(b, own, contact) }) {
			return errors.New("im: too much waits for " + string(own))
		}
		select {
		case err := <-done:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// see makes somebody a contact of an account with a subscription both ways. It runs in the account's goroutine.
func (h *Host) see(b *wire.Batch, own, contact wire.Addr) error {
	h.mu.Lock()
	a := h.entry(own)
	h.mu.Unlock()
	k, err := h.read(a)
	if err != nil {
		return err
	}
	if !k.exists || h.store == nil {
		return errNotKept
	}
	was := k.contact(contact)
	now := was
	now.Listed, now.To, now.From, now.Asked, now.Approved, now.Request = true, true, true, false, false, nil
	if !was.Listed && h.tooManyContacts(k) {
		h.rec.Count("limit.roster")
		return errTooMuch
	}
	if err := h.change(b, a, k, was, now); err != nil {
		return err
	}
	if !was.From {
		h.presentAll(b, own, contact, true)
	}
	return nil
}
