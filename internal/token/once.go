package token

import (
	"context"
	"time"
)

// Ledger keeps across restarts, and for all servers of a cluster, which tokens may not be used, or not again. Keys are digests.
type Ledger interface {
	// SpendToken notes a token until then, and reports whether it was not noted before.
	SpendToken(ctx context.Context, key []byte, until time.Time) (first bool, err error)
	// TokenSpent reports whether a token was noted.
	TokenSpent(ctx context.Context, key []byte) (bool, error)
}

const (
	mostSpent  = 100_000 // tokens of which this process remembers that they were revoked, or used
	ledgerTime = 10 * time.Second
)

// Remember has it kept in a ledger which tokens were used or revoked. It is called before the first check; without a ledger it is
// forgotten with the process.
func (c *Checker) Remember(l Ledger) { c.ledger = l }

// Spend uses a token up that may be used once, for somebody who comes in with it: the second time the error is an *Error with
// CodeReplay (hardening HP5). All others are let through. What cannot be written down is refused.
func (c *Checker) Spend(ctx context.Context, claims *Claims, source string) error {
	if !claims.Once {
		return nil
	}
	refusal := c.spend(ctx, claims)
	if refusal != nil {
		c.rec.Reject(refusal.Event(), source, "code", refusal.Code, "err", refusal.Error())
		return refusal
	}
	return nil
}

func (c *Checker) spend(ctx context.Context, claims *Claims) *Error {
	if claims.ID == "" {
		return errNoID
	}
	if c.ledger == nil {
		return asError(c.used.Use(claims, time.Now()))
	}
	key := usedKey(claims.Issuer, claims.ID)
	first, err := c.ledger.SpendToken(ctx, key[:], claims.Expires.Add(maxLeeway))
	switch {
	case err != nil:
		return errLater.because("%v", err)
	case !first:
		return errReplay
	}
	return nil
}

// Revoke ends a token: who had it was thrown out, or what it was for is over. Nothing can be done about a token that has no id. It
// returns at once; the ledger hears of it soon after.
func (c *Checker) Revoke(claims *Claims) {
	if claims == nil || claims.ID == "" {
		return
	}
	if err := c.revoked.Revoke(claims, time.Now()); err != nil {
		c.rec.Hurt("token.revoke", "", "err", err.Error())
	}
	if c.ledger == nil {
		return
	}
	key, until := usedKey(claims.Issuer, claims.ID), claims.Expires.Add(maxLeeway)
	c.writes.Go(func() {
		ctx, done := context.WithTimeout(context.Background(), ledgerTime)
		defer done()
		if _, err := c.ledger.SpendToken(ctx, key[:], until); err != nil {
			c.rec.Hurt("token.revoke", "", "err", err.Error())
		}
	})
}

// Revoked reports whether a token was revoked by this process. It asks no ledger and is for those who have come in already; a
// nil Checker has revoked none.
func (c *Checker) Revoked(claims *Claims) bool {
	return c != nil && claims != nil && claims.ID != "" && c.revoked.has(claims, time.Now())
}

// unspent refuses a token that was used up or revoked. While the ledger cannot be asked, those that may be used more than once
// are believed as far as this process knows, so that a store that is away keeps nobody out.
func (c *Checker) unspent(ctx context.Context, claims *Claims) *Error {
	switch {
	case claims.ID == "":
		return nil
	case c.revoked.has(claims, time.Now()):
		return errReplay
	case c.ledger == nil:
		if c.used.has(claims, time.Now()) {
			return errReplay
		}
		return nil
	}
	key := usedKey(claims.Issuer, claims.ID)
	spent, err := c.ledger.TokenSpent(ctx, key[:])
	switch {
	case spent:
		return errReplay
	case err != nil && claims.Once:
		return errLater.because("%v", err)
	case err != nil:
		c.rec.Hurt("token.ledger", "", "err", err.Error())
	}
	return nil
}
