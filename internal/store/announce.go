package store

import (
	"context"
	"time"
)

// Announcement is the message of the day (XEP-0133 §4.24): everybody is told of it once.
type Announcement struct {
	At   time.Time // to the millisecond; another time makes it another message
	Text string
}

// Announcements keeps it.
type Announcements interface {
	// Announcement returns the message of the day, or ErrNotFound.
	Announcement(ctx context.Context) (Announcement, error)
	// SetAnnouncement replaces it; nil removes it.
	SetAnnouncement(ctx context.Context, a *Announcement) error
	// SeeAnnouncement notes that an account is told of the message of that time, and reports that it was not told before.
	// ErrNotFound is an account that is not there.
	SeeAnnouncement(ctx context.Context, addr string, at time.Time) (fresh bool, err error)
}
