package store

import "context"

// Mechanisms says what all accounts can use.
type Mechanisms interface {
	// CommonMechanisms returns, of the mechanisms of all credentials, those for which every account that has any credential has one.
	// accounts says whether there is such an account. Accounts that came from another server may have but one.
	CommonMechanisms(ctx context.Context) (names []string, accounts bool, err error)
}
