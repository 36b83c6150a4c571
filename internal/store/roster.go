package store

import "context"

// Contact is somebody in an account's roster (RFC 6121 §2), or somebody whose request waits for an answer, or both.
type Contact struct {
	Addr     string // canonical
	Listed   bool   // an item of the roster that clients see
	Name     string
	Groups   []string
	To       bool   // the account sees the contact's presence
	From     bool   // the contact sees the account's presence
	Asked    bool   // the account asked to see the contact's ("Pending Out")
	Approved bool   // the contact may see the account's as soon as it asks (RFC 6121 §3.4)
	Request  []byte // the contact asks to see the account's ("Pending In"): the stanza's tail; nil if it does not
}

// Roster is what an account keeps of others.
type Roster struct {
	Version  int64 // 0: nothing was ever kept
	Contacts []Contact
	Blocked  []string // addresses (XEP-0191)
	Mail     bool     // there are offline messages
}

// RosterChange is one change of a roster, all of it or nothing.
type RosterChange struct {
	Was, Version   int64 // the version that is changed, and the version that it gets; they may be equal
	Put            []Contact
	Remove         []string
	Block, Unblock []string
}

// Rosters keeps rosters and block lists.
type Rosters interface {
	// Roster returns an account's roster, or ErrNotFound if there is no such account.
	Roster(ctx context.Context, owner string) (Roster, error)
	// ChangeRoster changes a roster. It returns ErrNotFound if there is no such account, ErrStale if the roster has
	// another version than the change says, ErrInvalid if something cannot be stored.
	ChangeRoster(ctx context.Context, owner string, c RosterChange) error
}
