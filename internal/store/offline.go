package store

import (
	"context"
	"time"
)

// OfflineMessage waits for somebody who is not there (XEP-0160).
type OfflineMessage struct {
	ID   int64 // ascending in the order of storing
	At   time.Time
	Tail []byte // the message as it is delivered, without its attribute to
}

// OfflineLimit bounds what waits for one account.
type OfflineLimit struct{ Messages, Bytes int }

// Offline keeps messages for those who are not there, and the little that each of them keeps with the server.
type Offline interface {
	// AddOffline stores messages behind those that wait, as many of them as there is room for, and returns how many; the
	// ids count for nothing. It returns ErrNotFound if there is no such account.
	AddOffline(ctx context.Context, owner string, list []OfflineMessage, limit OfflineLimit) (stored int, err error)
	// OfflineMessages returns the oldest messages with ids above after, at most limit.
	OfflineMessages(ctx context.Context, owner string, after int64, limit int) ([]OfflineMessage, error)
	// RemoveOffline removes the messages with ids up to and with last.
	RemoveOffline(ctx context.Context, owner string, last int64) error
	// DropOffline removes the messages with these ids.
	DropOffline(ctx context.Context, owner string, ids []int64) error

	// Private returns what an account stored under a name (XEP-0049), nil if nothing.
	Private(ctx context.Context, owner, name string) ([]byte, error)
	// SetPrivate stores it; nil removes it. It returns ErrNotFound if there is no such account, ErrQuota if the account has
	// most others already.
	SetPrivate(ctx context.Context, owner, name string, data []byte, most int) error

	// LastActivity says when an account was last there and what it said then (XEP-0012 §4); a zero time is never.
	LastActivity(ctx context.Context, owner string) (at time.Time, status string, err error)
	// SetLastActivity notes it.
	SetLastActivity(ctx context.Context, owner string, at time.Time, status string) error
}
