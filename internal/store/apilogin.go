package store

import (
	"context"
	"errors"
	"time"
)

// ErrUsed says that a token was used up before.
var ErrUsed = errors.New("store: used up")

// Login is one login of an account to the API. It has one access token and one refresh token at a time, of which only
// digests are kept. Each refresh replaces both.
type Login struct {
	ID      string // part of both tokens; unique, and random
	Addr    string // bare address of the account
	Label   string // what the client calls itself
	Created time.Time
	Used    time.Time // when it was last refreshed

	Access  []byte // digest
	Until   time.Time
	Refresh []byte // digest
	Expires time.Time
}

// Logins keeps them. They go with their account, and when its credentials change or it is disabled (hardening HA8).
type Logins interface {
	// AddLogin keeps a login; of the account's, the ones used longest ago are forgotten so that at most most are left, and so are
	// all that have expired. ErrNotFound is an account that is not there or may not log in.
	AddLogin(ctx context.Context, l Login, most int) error
	// Login returns a login, expired or not, or ErrNotFound.
	Login(ctx context.Context, id string) (Login, error)
	// Refresh replaces the tokens of a login, and its times Used, Until and Expires, if refresh is the digest of its refresh token.
	// If it is not, that token has been used before, by somebody who should not have it now or then: the login ends, and the
	// error is ErrUsed. ErrNotFound is a login that is not there.
	Refresh(ctx context.Context, refresh []byte, next Login) error
	// DropLogin ends a login. That there is none is no error.
	DropLogin(ctx context.Context, id string) error
	// ListLogins returns the logins of an account, the one used last first.
	ListLogins(ctx context.Context, addr string) ([]Login, error)
}
