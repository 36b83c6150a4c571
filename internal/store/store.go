// Package store says what is kept: accounts and persistent rooms. It holds the records and the interfaces; sqlstore
// implements them once over database/sql, for SQLite and PostgreSQL.
//
// A write that has returned without error, or whose done was called with nil, is committed and survives the death of the
// process and of the machine. Room writes are fenced: each carries the epoch under which its writer owns the room, and a
// writer that lost the room gets ErrStale and changes nothing.
package store

import (
	"context"
	"errors"
	"time"
)

// Errors that callers branch on.
var (
	ErrNotFound = errors.New("store: not found")
	ErrExists   = errors.New("store: exists already")
	ErrStale    = errors.New("store: another node owns the room")
	ErrInvalid  = errors.New("store: not storable") // a text with NUL or not UTF-8, an unknown affiliation...: never will be
	ErrClosed   = errors.New("store: closed")
)

// Account is a user who can log in.
type Account struct {
	Addr        string // bare address, canonical
	Disabled    bool
	Created     time.Time
	Credentials []Credential
}

// Credential is what SCRAM needs to check a password without knowing it (RFC 5802 §3): never the password, nor anything
// that logs in by itself.
type Credential struct {
	Mechanism  string // "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"
	Salt       []byte
	Iterations int
	StoredKey  []byte
	ServerKey  []byte
}

// Accounts keeps accounts.
type Accounts interface {
	// Account returns the account with its credentials, or ErrNotFound.
	Account(ctx context.Context, addr string) (Account, error)
	// CreateAccount adds an account, or returns ErrExists.
	CreateAccount(ctx context.Context, a Account) error
	// SetCredentials replaces all credentials of an account, or returns ErrNotFound.
	SetCredentials(ctx context.Context, addr string, c []Credential) error
	// DisableAccount forbids or allows login, or returns ErrNotFound.
	DisableAccount(ctx context.Context, addr string, disabled bool) error
	// DeleteAccount removes an account with all that hangs on it, or returns ErrNotFound.
	DeleteAccount(ctx context.Context, addr string) error
	// ListAccounts returns up to limit accounts without credentials, by address, those behind after.
	ListAccounts(ctx context.Context, after string, limit int) ([]Account, error)
}

// Room is a persistent room. Empty bytes are the same as none: what was stored empty comes back as nil.
type Room struct {
	Addr      string    // bare address, canonical
	Config    []byte    // the room's own format
	Created   time.Time // to the millisecond
	Subject   []byte    // the subject message as it is delivered, nil if never set
	SubjectAt time.Time
}

// Affiliation is a bare address's standing in a room. "none" means that the row is removed.
type Affiliation struct {
	Addr   string
	Name   string // "owner", "admin", "member", "outcast" or "none"
	Nick   string // reserved nick, may be empty
	Reason string
}

// Message is a groupchat message in a room's history.
type Message struct {
	ID      string    // the archive's id (XEP-0359), unique in the room: what is there already is not stored again
	At      time.Time // to the millisecond
	Sender  string    // occupant address
	Author  string    // the real address of who said it, may be empty
	Subject bool      // it set the subject, or takes another one back: it is archived and does not belong to the history
	Tail    []byte    // the message as it is delivered, without its attribute to
}

// Change is one write to one room, all of it or nothing.
type Change struct {
	Room         string
	Epoch        int64 // as Claim returned it
	Put          *Room // create or replace the room's row
	Affiliations []Affiliation
	Messages     []Message
	Keep         int       // with Messages: how many of the room's latest messages stay; 0 keeps all
	Replace      []Message // whose tails take the place of those that the messages of these ids have; what is not there stays away
	Delete       bool      // remove the room and all that hangs on it; nothing else in the change counts
}

// Rooms keeps persistent rooms.
type Rooms interface {
	// Claim makes owner the room's owner and returns the new epoch: one more than any before, also for a room that is
	// not stored yet, and also after the room was deleted.
	Claim(ctx context.Context, addr, owner string) (epoch int64, err error)
	// Room returns the room with its affiliations, or ErrNotFound.
	Room(ctx context.Context, addr string) (Room, []Affiliation, error)
	// History returns the room's latest messages, oldest first, at most limit.
	History(ctx context.Context, addr string, limit int) ([]Message, error)
	// ListRooms returns up to limit rooms without subject, by address, those behind after.
	ListRooms(ctx context.Context, after string, limit int) ([]Room, error)
	// Write queues a change and returns at once. Changes are committed in the order of the calls, many in one
	// transaction, and done is called, from a goroutine of the store, after the commit or with what went wrong: ErrStale,
	// ErrNotFound (the room is not stored and the change does not put it) or ErrInvalid for this change alone, another
	// error when the store is unwell, ErrClosed after Close. When the store is unwell, the change may still turn out to
	// be committed; it can be written again. The change must not be touched until then. The queue is bounded by the
	// callers, who wait for done before they acknowledge.
	Write(c Change, done func(error))
}

// Store is all of it.
type Store interface {
	Accounts
	Rooms
	RoomArchives
	Archives
	Rosters
	Offline
	FastTokens
	FastClients
	Nodes
	Uploads
	Pushes
	Announcements
	Invites
	Mechanisms
	Apps
	Logins
	SpentTokens
	Talks
	ICEServers
	Hooks
	Meetings
	Identities
	// Ping reports whether the store can be written.
	Ping(ctx context.Context) error
	// Close commits what is queued and closes the store.
	Close() error
}
