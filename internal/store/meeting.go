package store

import (
	"context"
	"time"
)

// Meeting is a time at which people meet in a room. It is an account's or an application's.
type Meeting struct {
	ID      string // unique, and random
	Account string // bare address, "" for those of applications
	App     string
	Room    string // its name
	Title   string
	Starts  time.Time
	Ends    time.Time
	Created time.Time
}

// Guest is an invitation to a meeting. The invitation itself is not here, only a digest of it.
type Guest struct {
	ID        string // part of the invitation; says which one it is, and is no secret
	Meeting   string
	Digest    []byte
	Name      string // as which they come, may be empty
	Account   string // bare address of who was told of it, may be empty
	Moderator bool
	Created   time.Time
}

// Meetings keeps meetings and invitations. They go with their account or application.
type Meetings interface {
	// AddMeeting adds a meeting, and forgets those of the same owner that ended a week ago: ErrNotFound if the owner is not there,
	// ErrExists if there is such a meeting, ErrQuota if the owner has most already.
	AddMeeting(ctx context.Context, m Meeting, most int) error
	// Meeting returns a meeting, or ErrNotFound.
	Meeting(ctx context.Context, id string) (Meeting, error)
	// ListMeetings returns up to limit meetings of an account or an application, by id, those behind after.
	ListMeetings(ctx context.Context, account, app, after string, limit int) ([]Meeting, error)
	// RemoveMeeting removes a meeting with its invitations, or returns ErrNotFound.
	RemoveMeeting(ctx context.Context, id string) error

	// AddGuest adds an invitation: ErrNotFound if there is no such meeting, ErrExists if there is such an invitation, ErrQuota if the
	// meeting has most already.
	AddGuest(ctx context.Context, g Guest, most int) error
	// Guests returns the invitations to a meeting, the oldest first. None is no error.
	Guests(ctx context.Context, meeting string) ([]Guest, error)
	// Guest returns an invitation with its meeting, or ErrNotFound.
	Guest(ctx context.Context, id string) (Guest, Meeting, error)
	// RemoveGuest removes an invitation to a meeting, or returns ErrNotFound.
	RemoveGuest(ctx context.Context, meeting, id string) error
}
