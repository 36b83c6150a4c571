package store

import (
	"context"
	"time"
)

// Invite is an invitation that is open (XEP-0401). The token that stands for it is not here, only a digest of it, so that who
// reads the store cannot use it.
type Invite struct {
	Digest    string // unique
	Inviter   string // bare address of an account here
	Name      string // bare address that is kept for who registers with it, "" for any that is free
	Register  bool   // an account may be made with it
	Subscribe bool   // inviter and invited are to see each other
	Created   time.Time
	Expires   time.Time
}

// Invites keeps invitations. They go with the account of their inviter. One that has been used is gone.
type Invites interface {
	// AddInvite keeps one, and forgets those that expired a day ago. ErrNotFound is an inviter who is not there or may not log in,
	// ErrQuota one who has most that are open, ErrExists a name that is an account or kept for another.
	AddInvite(ctx context.Context, i Invite, most int) error
	// Invite returns an invitation, expired or not, or ErrNotFound.
	Invite(ctx context.Context, digest string) (Invite, error)
	// TakeInvite uses one up; ErrNotFound says that somebody else has.
	TakeInvite(ctx context.Context, digest string) error
	// RegisterInvited uses one up and makes the account, both or nothing: ErrNotFound if the invitation is gone, ErrExists if the
	// account is there.
	RegisterInvited(ctx context.Context, digest string, a Account) error
	// Reserved reports that an address is kept for somebody at that time.
	Reserved(ctx context.Context, addr string, now time.Time) (bool, error)
}
