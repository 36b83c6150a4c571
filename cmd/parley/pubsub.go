package main

import (
	"context"

	"parley/internal/store"
	"parley/xmpp/pubsub"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// serveNodes makes accounts publish-subscribe services, with bookmarks, avatars and vCards. It comes before the first client
// and before what the last process left is taken up.
func (s *server) serveNodes() {
	nodes := pubsub.New(s.cfg.Domain, s.host, s.store, s.cfg.Pubsub, s.recorder)
	for _, r := range pubsub.Requests {
		s.host.HandleIQ(r.Local, r.NS, nodes.Own)
		s.host.HandleContactIQ(r.Local, r.NS, nodes.Contact)
	}
	s.host.HandleNodes(nodes.Disco)
	s.host.HandleReply(nodes.Reply)
	s.host.HandlePrivate(pubsub.NSStorage, nodes.Private)
	s.host.OnPresence(nodes.Presence)
	s.host.Announce([]string{pubsub.NSVCard}) // XEP-0054 §4: where clients look for it
	s.host.AnnounceAccount(pubsub.Features, pubsub.Identity)
	s.router.SetStamp(nodes.Stamp)
	s.router.SetAccounts(portraits{s.ice, nodes})
	s.forgetting(func(account wire.Addr, _ error) { nodes.Forget(account) })
}

// forgetting has somebody told of accounts that are deleted, or may be: with an error it is not certain.
func (s *server) forgetting(tell func(account wire.Addr, err error)) {
	s.store = forgetting{s.store, tell}
}

type forgetting struct {
	store.Store
	tell func(account wire.Addr, err error)
}

// DeleteAccount implements store.Accounts.
func (f forgetting) DeleteAccount(ctx context.Context, addr string) error {
	err := f.Store.DeleteAccount(ctx, addr)
	f.tell(wire.Addr(addr), err)
	return err
}

// portraits are the accounts with the avatars that their presence names.
type portraits struct {
	*ice
	nodes *pubsub.Service
}

// Bound implements route.Accounts. What is to be known of the account comes before anything that the session causes.
func (p portraits) Bound(s route.Sender) {
	p.ice.Bound(s)
	p.nodes.Bound(s)
}

// Unbound implements route.Accounts.
func (p portraits) Unbound(b *wire.Batch, s route.Sender, clean bool) {
	p.ice.Unbound(b, s, clean)
	p.nodes.Unbound(s)
}
