package store

import (
	"context"
	"errors"
	"time"
)

// ErrQuota says that an account would hold more than it may.
var ErrQuota = errors.New("store: the account's quota is used up")

// Node is a publish-subscribe node of an account (XEP-0060, XEP-0163): a list of items, and who may have them.
type Node struct {
	Owner   string    // bare address of the account, canonical
	Name    string    // at most 512 bytes
	Config  []byte    // the service's own format
	Created time.Time // to the millisecond
	Items   int       // how many there are; it is not written

	Affiliations  []NodeAffiliation  // by address
	Subscriptions []NodeSubscription // by address
}

// NodeAffiliation is the standing of a bare address with a node (XEP-0060 §4.1). "none" means that the row is removed.
type NodeAffiliation struct{ Addr, Name string }

// NodeSubscription is what an address, bare or full, has asked for (XEP-0060 §4.2). "none" means that the row is removed.
type NodeSubscription struct{ Addr, State string }

// Item is what was published to a node.
type Item struct {
	ID        string // unique in the node
	Publisher string // bare address
	At        time.Time
	Payload   []byte // the payload element as it is delivered
}

// ItemQuery says which items of a node are wanted. The zero value asks for nothing, since Limit is 0.
type ItemQuery struct {
	IDs       []string // these only; the rest of the query does not count
	After     string   // those behind the item with this id
	Before    string   // those before the item with this id
	Latest    bool     // the latest of what is left, and not the first
	Limit     int      // at most so many
	Bytes     int      // and no more once so many bytes of payload are read; 0 is no limit
	NoPayload bool     // without the payloads
}

// NodeChange is one write to one node, all of it or nothing.
type NodeChange struct {
	Owner, Name string
	Create      bool   // the node must not be there, and Config is its configuration
	Configure   bool   // Config replaces the node's configuration
	Config      []byte // with Create or Configure
	Delete      bool   // remove the node with all that hangs on it; nothing else in the change counts

	Purge         bool     // remove all items
	Retract       []string // remove the items with these ids
	Publish       []Item   // add items at the end; one that is there with the same id is removed first
	Keep          int      // how many of the latest items stay in the end; 0 keeps all
	Affiliations  []NodeAffiliation
	Subscriptions []NodeSubscription
}

// NodeQuota bounds what all nodes of one account hold together. Zero means no limit of that kind.
type NodeQuota struct {
	Nodes int
	Items int
	Bytes int // payloads, ids and configurations
	Peers int // affiliations and subscriptions
}

// LastItem is the latest item of a node. The node comes without its subscriptions.
type LastItem struct {
	Node Node
	Item Item
}

// Nodes keeps the nodes of accounts.
type Nodes interface {
	// Node returns a node, or ErrNotFound.
	Node(ctx context.Context, owner, name string) (Node, error)
	// ListNodes returns all nodes of an account by name.
	ListNodes(ctx context.Context, owner string) ([]Node, error)
	// Items returns items, oldest first, and whether there are more of those that were asked for; those asked for by id
	// come in that order too. It returns ErrNotFound if the node, or the item of After or Before, is not there.
	Items(ctx context.Context, owner, name string, q ItemQuery) (list []Item, more bool, err error)
	// LastItems returns the latest item of each of these nodes that has one, of all nodes if names is nil, by name.
	LastItems(ctx context.Context, owner string, names []string) ([]LastItem, error)
	// ChangeNodes commits changes in one transaction and returns ErrNotFound (no such account, or no such node and the
	// change does not create it), ErrExists (the node is there and the change creates it), ErrInvalid, or ErrQuota if the
	// changes add something and the owner of one of them then holds too much. With an error nothing is changed.
	ChangeNodes(ctx context.Context, quota NodeQuota, changes ...NodeChange) error
}
