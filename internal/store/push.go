package store

import (
	"context"
	"time"
)

// Push is where a client wants to be told that something waits for it (XEP-0357): a node of its app server.
type Push struct {
	Owner   string // bare address of the account
	Service string // address of the app server
	Node    string // may be empty
	Session string // full address of the session that asked for it last
	Options []byte // what the app server is to be given with each notification, an element; nil: nothing
	At      time.Time
}

// Pushes keeps them. They go with their account.
type Pushes interface {
	// ListPushes returns all there are, by owner, those that were asked for first before the others.
	ListPushes(ctx context.Context) ([]Push, error)
	// SetPush keeps one, in place of that of the same owner, service and node. It returns ErrNotFound if there is no such
	// account.
	SetPush(ctx context.Context, p Push) error
	// RemovePush forgets one.
	RemovePush(ctx context.Context, owner, service, node string) error
}
