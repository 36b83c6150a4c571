package sqlstore

import (
	"context"
	"slices"
	"testing"

	"parley/internal/store"
)

func TestCommonMechanisms(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		want := func(accounts bool, names ...string) {
			t.Helper()
			got, some, err := s.CommonMechanisms(ctx)
			if err != nil || some != accounts || !slices.Equal(got, names) {
				t.Errorf("%v %v %v, want %v %v", got, some, err, names, accounts)
			}
		}
		add := func(addr string, names ...string) {
			t.Helper()
			a := store.Account{Addr: addr}
			for _, n := range names {
				a.Credentials = append(a.Credentials, credential(n))
			}
			if err := s.CreateAccount(ctx, a); err != nil {
				t.Fatal(err)
			}
		}
		want(false)
		add("nobody@localhost")
		want(false)
		add("a@localhost", "SCRAM-SHA-1", "SCRAM-SHA-256")
		want(true, "SCRAM-SHA-1", "SCRAM-SHA-256")
		add("b@localhost", "SCRAM-SHA-1")
		want(true, "SCRAM-SHA-1")
		add("c@localhost", "SCRAM-SHA-512")
		want(true)
		if err := s.DeleteAccount(ctx, "c@localhost"); err != nil {
			t.Fatal(err)
		}
		want(true, "SCRAM-SHA-1")
	})
}
