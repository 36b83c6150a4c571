package store

import (
	"context"
	"time"
)

// FastToken is a token that a client logs in with in place of a password (XEP-0484). The token itself is not here: the
// server makes it from Seed and a secret of its own, so that who reads the store cannot log in. A client has at most two
// of them: the one that it uses, and a fresh one that it was given and may not have received.
type FastToken struct {
	Addr      string // bare address of the account
	Client    string // stands for the client's installation; unique in the account
	Fresh     bool   // given out, and not used yet
	Mechanism string // the only one that it may be used with
	Seed      []byte // random, as new for each token
	Issued    time.Time
	Expires   time.Time
	Count     int64 // the highest that a client has sent with it (XEP-0484 §3.4), 0 if none
}

// FastClients is what a list of an account's clients is made from.
type FastClients interface {
	// FastClients returns the tokens of all clients of an account, by client, without their seeds.
	FastClients(ctx context.Context, addr string) ([]FastToken, error)
}

// FastTokens keeps them. They go with their account, and when its credentials change or it is disabled: who has one may log
// in.
type FastTokens interface {
	// FastTokens returns the tokens of a client, the fresh one first, those included that have expired. None is no error.
	FastTokens(ctx context.Context, addr, client string) ([]FastToken, error)
	// AddFastToken keeps a fresh token; it replaces a fresh one that the client has not used. Of an account's clients,
	// those whose tokens expire first are forgotten so that at most clients are left. ErrNotFound is an account that is
	// not there or may not log in.
	AddFastToken(ctx context.Context, t FastToken, clients int) error
	// UseFastToken notes that a token was used, with a count or 0: it is not fresh any more, and the token that it
	// followed is gone. ErrNotFound is a token that is gone itself, or whose count was used before.
	UseFastToken(ctx context.Context, t FastToken, count int64) error
	// DropFastTokens forgets the tokens of a client.
	DropFastTokens(ctx context.Context, addr, client string) error
}
