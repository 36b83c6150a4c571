package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"parley/internal/store"
)

// fastToken is one of juliet's.
func fastToken(client, seed string) store.FastToken {
	return store.FastToken{Addr: "juliet@localhost", Client: client, Fresh: true, Mechanism: "HT-SHA-256-NONE", Seed: []byte(seed),
		Issued: at(1000), Expires: at(9000)}
}

func newJuliet(t *testing.T, s *db) context.Context {
	t.Helper()
	ctx := context.Background()
	if err := s.CreateAccount(ctx, store.Account{Addr: "juliet@localhost", Credentials: []store.Credential{credential("SCRAM-SHA-1")}}); err != nil {
		t.Fatal(err)
	}
	return ctx
}

func (s *db) seeds(t *testing.T, client string) (list []string) {
	t.Helper()
	tokens, err := s.FastTokens(context.Background(), "juliet@localhost", client)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range tokens {
		list = append(list, fmt.Sprintf("%s %v %d", k.Seed, k.Fresh, k.Count))
	}
	return list
}

func TestFastTokens(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := newJuliet(t, s)
		want := func(what string, err error, wantErr error, seeds ...string) {
			t.Helper()
			if err != wantErr {
				t.Errorf("%s: %v, want %v", what, err, wantErr)
			}
			if got := s.seeds(t, "phone"); !slices.Equal(got, seeds) {
				t.Errorf("%s: %q, want %q", what, got, seeds)
			}
		}
		want("none", nil, nil)
		one, two, three := fastToken("phone", "one"), fastToken("phone", "two"), fastToken("phone", "three")
		want("added", s.AddFastToken(ctx, one, 10), nil, "one true 0")
		kept, err := s.FastTokens(ctx, one.Addr, one.Client)
		if err != nil || len(kept) != 1 {
			t.Fatal(kept, err)
		}
		equal(t, "as it was added", kept[0], one)
		want("used", s.UseFastToken(ctx, one, 0), nil, "one false 0")
		want("used again", s.UseFastToken(ctx, one, 3), nil, "one false 3")
		want("an old count", s.UseFastToken(ctx, one, 3), store.ErrNotFound, "one false 3")
		want("no count", s.UseFastToken(ctx, one, 0), nil, "one false 3")
		want("a second", s.AddFastToken(ctx, two, 10), nil, "two true 0", "one false 3")
		want("a third in its place", s.AddFastToken(ctx, three, 10), nil, "three true 0", "one false 3")
		want("one that is gone", s.UseFastToken(ctx, two, 0), store.ErrNotFound, "three true 0", "one false 3")
		want("the older meanwhile", s.UseFastToken(ctx, one, 4), nil, "three true 0", "one false 4")
		want("the newer ends the older", s.UseFastToken(ctx, three, 1), nil, "three false 1")
		want("the older is gone", s.UseFastToken(ctx, one, 9), store.ErrNotFound, "three false 1")
		if err := s.AddFastToken(ctx, fastToken("laptop", "other"), 10); err != nil {
			t.Fatal(err)
		}
		want("dropped", s.DropFastTokens(ctx, three.Addr, "phone"), nil)
		if got := s.seeds(t, "laptop"); len(got) != 1 {
			t.Errorf("another client's: %q", got)
		}
		stranger := one
		stranger.Addr = "nobody@localhost"
		if err := s.AddFastToken(ctx, stranger, 10); err != store.ErrNotFound {
			t.Errorf("of nobody: %v", err)
		}
		bare := one
		bare.Seed = nil
		if err := s.AddFastToken(ctx, bare, 10); err != store.ErrInvalid {
			t.Errorf("without a seed: %v", err)
		}
	})
}

func TestFastTokensOfManyClientsAreBounded(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := newJuliet(t, s)
		for i := range 6 {
			k := fastToken(fmt.Sprint("client", i), fmt.Sprint("seed", i))
			k.Expires = at(9000 + i)
			if err := s.AddFastToken(ctx, k, 3); err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 { // the client has two
				if err := s.UseFastToken(ctx, k, 0); err != nil {
					t.Fatal(err)
				}
				k.Seed = append(k.Seed, 'b')
				if err := s.AddFastToken(ctx, k, 3); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i, want := range []int{0, 0, 0, 1, 2, 1} {
			if got := s.seeds(t, fmt.Sprint("client", i)); len(got) != want {
				t.Errorf("client %d: %q, want %d", i, got, want)
			}
		}
	})
}

func TestHA8FastTokensEndWithThePassword(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := newJuliet(t, s)
		for what, change := range map[string]func() error{
			"another password": func() error {
				return s.SetCredentials(ctx, "juliet@localhost", []store.Credential{credential("SCRAM-SHA-256")})
			},
			"disabled": func() error { return s.DisableAccount(ctx, "juliet@localhost", true) },
		} {
			s.DisableAccount(ctx, "juliet@localhost", false)
			if err := s.AddFastToken(ctx, fastToken("phone", what), 10); err != nil {
				t.Fatal(what, err)
			}
			if err := change(); err != nil {
				t.Fatal(what, err)
			}
			if got := s.seeds(t, "phone"); len(got) > 0 {
				t.Errorf("%s: %q", what, got)
			}
		}
		s.DisableAccount(ctx, "juliet@localhost", true)
		if err := s.AddFastToken(ctx, fastToken("phone", "x"), 10); err != store.ErrNotFound {
			t.Errorf("of a disabled account: %v", err)
		}
		s.DisableAccount(ctx, "juliet@localhost", false)
		if err := s.AddFastToken(ctx, fastToken("phone", "x"), 10); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteAccount(ctx, "juliet@localhost"); err != nil {
			t.Fatal(err)
		}
		newJuliet(t, s)
		if got := s.seeds(t, "phone"); len(got) > 0 {
			t.Errorf("of the account before: %q", got)
		}
	})
}

// The list of an account's clients has no secrets in it.
func TestFastClients(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := newJuliet(t, s)
		for _, client := range []string{"tablet", "phone"} {
			if err := s.AddFastToken(ctx, fastToken(client, "one"), 10); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.FastClients(ctx, "juliet@localhost")
		if err != nil {
			t.Fatal(err)
		}
		want := []store.FastToken{fastToken("phone", ""), fastToken("tablet", "")}
		want[0].Seed, want[1].Seed = nil, nil
		equal(t, "clients", got, want)
		if got, err := s.FastClients(ctx, "romeo@localhost"); err != nil || len(got) != 0 {
			t.Errorf("of somebody else: %v %v", got, err)
		}
	})
}
