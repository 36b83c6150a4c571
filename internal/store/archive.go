package store

import (
	"context"
	"time"
)

// Archived is a message in the archive of an account or of a room (XEP-0313 §3).
type Archived struct {
	// ID names the message in its archive. Those of accounts are UUIDs of version 7 in their usual form (RFC 9562 §5.7):
	// their order is that of the archive, and their time is that of the message.
	ID     string
	At     time.Time // to the millisecond
	Peer   string    // accounts: the other's address, as the message has it; rooms: the occupant's address
	Author string    // rooms: the real address of the occupant, empty if it is not known
	Tail   []byte    // what follows "<message": in accounts' archives with the attribute to, in rooms' without
}

// Appended is a message on its way into the archive of an account. The time is that of the id.
type Appended struct {
	Owner   string // the account's address
	Message Archived
	Limit   ArchiveLimit
}

// ArchiveLimit bounds an archive. If a message makes it larger the oldest go, and some more of them, so that it is not
// looked at for each message. 0 is no bound.
type ArchiveLimit struct {
	Messages int
	Bytes    int64 // of what the messages take, roughly
}

// ArchiveQuery selects messages of an archive: those that fit everything that is said.
type ArchiveQuery struct {
	Owner string // address of the account or the room
	// With is an address; without resource it stands for those with one too. Of an account's archive it is the other's;
	// of a room's it is the occupant's in the room, or the real one.
	With       string
	Start, End time.Time // from when, and up to and with when, to the millisecond; a zero time is no bound
	After      []string  // ids that the message stands behind
	Before     []string  // ids that it stands in front of
	IDs        []string  // the messages themselves; none: all

	Backward bool // the latest that fit, not the earliest
	Limit    int  // how many at most
	Bytes    int  // from how many bytes of messages on no more are returned; 0: no bound
}

// ArchiveEnds are the first and the last message of an archive, without tails; both are zero if it is empty.
type ArchiveEnds struct {
	First, Last Archived
	Count       int
}

// ArchivePolicy says what of an account's messages is archived unless the other is on one of its lists (XEP-0441 §2).
type ArchivePolicy string

// The policies.
const (
	ArchiveAlways ArchivePolicy = "always"
	ArchiveNever  ArchivePolicy = "never"
	ArchiveRoster ArchivePolicy = "roster" // what is said with those on the roster
)

// ArchivePrefs is what an account wishes to have archived. The lists hold full and bare addresses.
type ArchivePrefs struct {
	Default       ArchivePolicy
	Always, Never []string
}

// Archives keeps archives of accounts. They end with the account.
type Archives interface {
	// Append queues messages for archives, all or nothing, and returns at once. Those for archives of accounts that do not
	// exist are left out. Messages are committed in the order of the calls, and done is called as by Rooms.Write; errors are
	// ErrInvalid, what says that the store is unwell, and ErrClosed. The list must not be touched until then. An empty list
	// stores nothing: its done says that what was queued before it has been dealt with.
	Append(list []Appended, done func(error))
	// ArchivePage returns messages, oldest first, and whether more fit than it returns. If a message that the query names is
	// not in the archive it returns ErrNotFound; an archive that does not exist is an empty one.
	ArchivePage(ctx context.Context, q ArchiveQuery) (list []Archived, more bool, err error)
	// ArchiveCount returns how many messages fit, whatever the limit.
	ArchiveCount(ctx context.Context, q ArchiveQuery) (int, error)
	// ArchiveEnds returns the ends of an archive.
	ArchiveEnds(ctx context.Context, owner string) (ArchiveEnds, error)
	// NewestArchived returns the time of the latest message in any archive, the zero time if there was none.
	NewestArchived(ctx context.Context) (time.Time, error)
	// ExpireArchive removes, from the first archive behind after that has any, the oldest of the messages from before the
	// given time, at most limit. It returns how many they were, none if nothing is left to do, and behind what to continue.
	ExpireArchive(ctx context.Context, before time.Time, after string, limit int) (removed int, next string, err error)

	// SetArchivePrefs replaces what an account wishes, or returns ErrNotFound if there is no such account.
	SetArchivePrefs(ctx context.Context, owner string, p ArchivePrefs) error
	// ArchivePrefs returns what an account wishes, or ErrNotFound if it has not said so.
	ArchivePrefs(ctx context.Context, owner string) (ArchivePrefs, error)
	// ListArchivePrefs returns up to limit accounts that have wishes, by address, those behind after.
	ListArchivePrefs(ctx context.Context, after string, limit int) (owners []string, prefs []ArchivePrefs, err error)
}

// RoomArchives reads the messages of persistent rooms. They are written with Rooms.Write.
type RoomArchives interface {
	// RoomPage is ArchivePage for a room.
	RoomPage(ctx context.Context, q ArchiveQuery) (list []Archived, more bool, err error)
	// RoomCount is ArchiveCount for a room.
	RoomCount(ctx context.Context, q ArchiveQuery) (int, error)
	// RoomEnds is ArchiveEnds for a room.
	RoomEnds(ctx context.Context, room string) (ArchiveEnds, error)
	// ExpireRoom is ExpireArchive for rooms.
	ExpireRoom(ctx context.Context, before time.Time, after string, limit int) (removed int, next string, err error)
}
