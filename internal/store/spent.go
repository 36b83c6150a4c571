package store

import (
	"context"
	"time"
)

// SpentTokens keeps which tokens of rooms may not be used, or not again, each until it has expired. A key is 1 to 64 bytes and
// stands for one token.
type SpentTokens interface {
	// SpendToken notes a token until then, and reports whether it was not noted before. Of several at a time one is the first.
	SpendToken(ctx context.Context, key []byte, until time.Time) (first bool, err error)
	// TokenSpent reports whether a token was noted.
	TokenSpent(ctx context.Context, key []byte) (bool, error)
}
