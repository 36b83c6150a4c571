package im

import (
	"maps"
	"slices"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// book is what an account keeps of others: its contacts and whom it blocks. A book and all that hangs on it never change;
// a change makes a new one.
type book struct {
	exists   bool // there is such an account
	version  int64
	contacts map[wire.Addr]*store.Contact
	blocked  map[wire.Addr]struct{} // full and bare addresses, and domains (XEP-0191 §3.1)
}

// Most accounts keep nothing; they share one book.
var (
	absent = &book{}
	empty  = &book{exists: true}
)

func newBook(r store.Roster) *book {
	if r.Version == 0 && len(r.Contacts) == 0 && len(r.Blocked) == 0 {
		return empty
	}
	k := &book{exists: true, version: r.Version}
	if len(r.Contacts) > 0 {
		k.contacts = make(map[wire.Addr]*store.Contact, len(r.Contacts))
		for i := range r.Contacts {
			c := r.Contacts[i]
			k.contacts[wire.Addr(c.Addr)] = &c
		}
	}
	if len(r.Blocked) > 0 {
		k.blocked = make(map[wire.Addr]struct{}, len(r.Blocked))
		for _, a := range r.Blocked {
			k.blocked[wire.Addr(a)] = struct{}{}
		}
	}
	return k
}

// contact returns what is kept of somebody; of a stranger that is an empty contact.
func (k *book) contact(a wire.Addr) store.Contact {
	if c := k.contacts[a]; c != nil {
		return *c
	}
	return store.Contact{Addr: string(a)}
}

// blocks reports that the address is on the block list: itself, its bare address, its domain, or its domain with the same
// resource (XEP-0191 §3.1 with the order of XEP-0016 §2.1).
func (k *book) blocks(a wire.Addr) bool {
	if len(k.blocked) == 0 {
		return false
	}
	if _, is := k.blocked[a]; is {
		return true
	}
	if _, is := k.blocked[a.Bare()]; is {
		return true
	}
	domain := wire.Addr(a.Domain())
	if _, is := k.blocked[domain]; is {
		return true
	}
	if resource := a.Resource(); resource != "" {
		_, is := k.blocked[domain+"/"+wire.Addr(resource)]
		return is
	}
	return false
}

// with returns the book as it is after a change.
func (k *book) with(c store.RosterChange) *book {
	next := &book{exists: true, version: c.Version, contacts: k.contacts, blocked: k.blocked}
	if len(c.Put)+len(c.Remove) > 0 {
		if next.contacts = maps.Clone(k.contacts); next.contacts == nil {
			next.contacts = make(map[wire.Addr]*store.Contact)
		}
		for i := range c.Put {
			one := c.Put[i]
			next.contacts[wire.Addr(one.Addr)] = &one
		}
		for _, a := range c.Remove {
			delete(next.contacts, wire.Addr(a))
		}
	}
	if len(c.Block)+len(c.Unblock) > 0 {
		if next.blocked = maps.Clone(k.blocked); next.blocked == nil {
			next.blocked = make(map[wire.Addr]struct{})
		}
		for _, a := range c.Unblock {
			delete(next.blocked, wire.Addr(a))
		}
		for _, a := range c.Block {
			next.blocked[wire.Addr(a)] = struct{}{}
		}
	}
	return next
}

// those returns the addresses of the contacts for which is holds, in order.
func (k *book) those(is func(*store.Contact) bool) []wire.Addr {
	var list []wire.Addr
	for a, c := range k.contacts {
		if is(c) {
			list = append(list, a)
		}
	}
	slices.Sort(list)
	return list
}

// subscribers see the account's presence.
func (k *book) subscribers() []wire.Addr {
	return k.those(func(c *store.Contact) bool { return c.From && !k.blocks(wire.Addr(c.Addr)) })
}

// seen are those whose presence the account sees.
func (k *book) seen() []wire.Addr {
	return k.those(func(c *store.Contact) bool { return c.To && !k.blocks(wire.Addr(c.Addr)) })
}
