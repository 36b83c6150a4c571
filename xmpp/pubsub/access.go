package pubsub

import (
	"context"
	"fmt"
	"slices"

	"parley/internal/store"
	"parley/xmpp/im"
	"parley/xmpp/wire"
)

// node is a node with its configuration decoded.
type node struct {
	store.Node
	config
}

func newNode(n store.Node) (*node, error) {
	c, err := decodeConfig(n.Config)
	if err != nil {
		return nil, fmt.Errorf("pubsub: configuration of %s %q: %w", n.Owner, n.Name, err)
	}
	return &node{n, c}, nil
}

// find returns the account's node of that name, or store.ErrNotFound.
func (s *Service) find(ctx context.Context, account wire.Addr, name string) (*node, error) {
	n, err := s.store.Node(ctx, string(account), name)
	if err != nil {
		return nil, err
	}
	return newNode(n)
}

// named returns the node that an element names. Nodes that the service keeps for itself are nobody's.
func (r *request) named(e wire.Elem) (*node, error) {
	name := e.AttrString("node")
	switch name {
	case "":
		return nil, errNode
	case vcardNode:
		return nil, errNotFound
	}
	return r.find(r.ctx, r.account, name)
}

// ours is named for what only the owner may do.
func (r *request) ours(e wire.Elem) (*node, error) {
	if !r.own {
		return nil, errForbidden
	}
	return r.named(e)
}

// Affiliations (§4.1).
const (
	owner       = "owner"
	publisher   = "publisher"
	publishOnly = "publish-only"
	member      = "member"
	outcast     = "outcast"
	none        = "none"
)

// affiliation of a bare address with the node.
func (n *node) affiliation(who wire.Addr) string {
	if string(who) == n.Owner {
		return owner
	}
	i, found := slices.BinarySearchFunc(n.Affiliations, string(who), func(a store.NodeAffiliation, addr string) int {
		return compare(a.Addr, addr)
	})
	if !found {
		return none
	}
	return n.Affiliations[i].Name
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// subscription returns the state that an address, bare or full, has subscribed with, "none" if it has not.
func (n *node) subscription(who wire.Addr) string {
	for _, s := range n.Subscriptions {
		if s.Addr == string(who) {
			return s.State
		}
	}
	return none
}

// States of subscriptions (§4.2).
const (
	subscribed = "subscribed"
	pending    = "pending"
)

// approved reports that an address, or one with the same bare part, is subscribed.
func (n *node) approved(who wire.Addr, state string) bool {
	return slices.ContainsFunc(n.Subscriptions, func(s store.NodeSubscription) bool {
		return wire.Addr(s.Addr).Bare() == who.Bare() && s.State == state
	})
}

// mayRead returns why an address may not have the node's items, nil if it may (§4.5, §6.5.9). Who is unapproved is told apart
// by the caller: a subscription can still be asked for.
func (s *Service) mayRead(ctx context.Context, n *node, who wire.Addr) error {
	switch n.affiliation(who.Bare()) {
	case owner, publisher, member:
		return nil
	case outcast, publishOnly:
		return errForbidden
	}
	switch n.Access {
	case accessOpen:
		return nil
	case accessPresence, accessRoster:
		standing, err := s.accounts.Standing(ctx, wire.Addr(n.Owner), who.Bare())
		if err != nil {
			return err
		}
		return n.admits(standing)
	case accessAuthorize:
		switch {
		case n.approved(who, subscribed):
			return nil
		case n.approved(who, pending):
			return errPending
		}
		return errUnapproved
	}
	return errClosed
}

// admits decides by what somebody is to the owner, for the models that depend on it.
func (n *node) admits(s im.Standing) error {
	if n.Access == accessPresence {
		if !s.Sees() {
			return errPresence
		}
		return nil
	}
	if !slices.ContainsFunc(s.Groups, func(g string) bool { return slices.Contains(n.Groups, g) }) {
		return errGroup
	}
	return nil
}

// mayPublish reports that an address may publish to the node (§4.5, publish models of §16.4.4).
func (n *node) mayPublish(who wire.Addr) bool {
	switch n.affiliation(who.Bare()) {
	case owner, publisher, publishOnly:
		return true
	case outcast:
		return false
	}
	return n.Publish == "open" || n.Publish == "subscribers" && n.approved(who, subscribed)
}
