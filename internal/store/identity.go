package store

import (
	"context"
	"time"
)

// Identity is somebody whom an OpenID provider knows, and whose account that is.
type Identity struct {
	ID      string // stands for issuer and subject; unique
	Addr    string // bare address of the account
	Issuer  string
	Subject string
	Linked  time.Time
}

// Identities keeps them. They go with their account.
type Identities interface {
	// Identity returns whose an identity is, or ErrNotFound.
	Identity(ctx context.Context, id string) (Identity, error)
	// LinkIdentity gives an identity to an account: ErrNotFound if there is no such account, ErrExists if it is somebody's already,
	// ErrQuota if the account has most.
	LinkIdentity(ctx context.Context, i Identity, most int) error
	// RegisterIdentity makes an account and gives it an identity, both or nothing: ErrExists if there is such an account, or the identity
	// is somebody's.
	RegisterIdentity(ctx context.Context, a Account, i Identity) error
	// ListIdentities returns those of an account, by id. None is no error.
	ListIdentities(ctx context.Context, addr string) ([]Identity, error)
	// UnlinkIdentity takes an identity from an account, or returns ErrNotFound.
	UnlinkIdentity(ctx context.Context, addr, id string) error
}
