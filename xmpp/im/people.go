package im

import (
	"context"
	"unicode/utf8"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// Roster returns who is in an account's roster, by address. It may wait for the store.
func (h *Host) Roster(ctx context.Context, account wire.Addr) ([]store.Contact, error) {
	k, err := h.look(ctx, account)
	if err != nil {
		return nil, err
	}
	if !k.exists {
		return nil, store.ErrNotFound
	}
	var list []store.Contact
	for _, a := range k.those(func(c *store.Contact) bool { return c.Listed }) {
		list = append(list, *k.contacts[a])
	}
	return list, nil
}

// SetContact puts somebody into an account's roster, or gives a contact another name and groups, as a client of the account would (RFC
// 6121 §2.3); ask asks them besides for their presence (§3.1). Sessions are told. Errors are store.ErrNotFound (no such account),
// store.ErrQuota, store.ErrInvalid (nobody's address, or names that a client may not set either), and those of the store. It waits
// for the store and must not be called from the goroutine of an account.
func (h *Host) SetContact(ctx context.Context, own wire.Addr, c store.Contact, ask bool) (store.Contact, error) {
	to, err := wire.ParseAddr(c.Addr)
	if err != nil || to == own || len(c.Name) > longestName || !writable(c.Name) || len(c.Groups) > h.limits.Groups {
		return c, store.ErrInvalid
	}
	seen := make(map[string]bool)
	for _, g := range c.Groups {
		if g == "" || len(g) > longestGroup || !writable(g) || seen[g] {
			return c, store.ErrInvalid
		}
		seen[g] = true
	}
	var now store.Contact // written in the account's goroutine, before work answers
	err = h.work(ctx, own, func(b *wire.Batch, a *account, k *book) error {
		was := k.contact(to)
		now = was
		if !was.Listed && h.tooManyContacts(k) {
			h.rec.Count("limit.roster")
			return store.ErrQuota
		}
		now.Listed, now.Name, now.Groups = true, c.Name, c.Groups
		route := ask && to.IsBare() && sent(&now, "subscribe")
		if bad := h.change(b, a, k, was, now); bad != nil {
			return bad
		}
		if route {
			h.answerPresence(b, own, to, "subscribe")
		}
		return nil
	})
	if err != nil {
		return store.Contact{}, err
	}
	return now, nil
}

// writable reports that a text that came by other ways than XML can stand in it (XML 1.0 §2.2).
func writable(text string) bool {
	for _, c := range text {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0xFFFE || c == 0xFFFF {
			return false
		}
	}
	return utf8.ValidString(text)
}

// RemoveContact takes somebody out of an account's roster, and ends the subscriptions of the two (RFC 6121 §2.5): store.ErrNotFound if
// they are not there. It is called as SetContact is.
func (h *Host) RemoveContact(ctx context.Context, own, contact wire.Addr) error {
	return h.work(ctx, own, func(b *wire.Batch, a *account, k *book) error {
		was := k.contact(contact)
		if !was.Listed {
			return store.ErrNotFound
		}
		if bad := h.change(b, a, k, was, store.Contact{Addr: was.Addr}); bad != nil {
			return bad
		}
		h.cancel(b, &errand{to: own}, was)
		return nil
	})
}

// work has something done in an account's goroutine with what it keeps, and waits for it.
func (h *Host) work(ctx context.Context, own wire.Addr, do func(*wire.Batch, *account, *book) error) error {
	done := make(chan error, 1)
	ok := h.Do(own, func(b *wire.Batch) {
		h.mu.Lock()
		a := h.entry(own)
		h.mu.Unlock()
		k, err := h.read(a)
		if err == nil && (!k.exists || h.store == nil) {
			err = store.ErrNotFound
		}
		if err == nil {
			err = do(b, a, k)
		}
		done <- err
	})
	if !ok {
		return errBusy
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
