package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"parley/internal/store"
)

func credential(mechanism string) store.Credential {
	return store.Credential{Mechanism: mechanism, Salt: []byte("salt"), Iterations: 10000,
		StoredKey: []byte("stored " + mechanism), ServerKey: []byte("server " + mechanism)}
}

func TestAccounts(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		juliet := store.Account{Addr: "juliet@localhost", Created: at(5),
			Credentials: []store.Credential{credential("SCRAM-SHA-1"), credential("SCRAM-SHA-256")}}
		for what, err := range map[string]error{
			"SetCredentials": s.SetCredentials(ctx, juliet.Addr, nil),
			"DisableAccount": s.DisableAccount(ctx, juliet.Addr, true),
			"DeleteAccount":  s.DeleteAccount(ctx, juliet.Addr),
			"Account":        second(s.Account(ctx, juliet.Addr)),
		} {
			if err != store.ErrNotFound {
				t.Errorf("%s before the account is there: %v", what, err)
			}
		}
		get := func(what string, want store.Account) {
			t.Helper()
			got, err := s.Account(ctx, want.Addr)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			equal(t, what, got, want)
		}
		do := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		do(s.CreateAccount(ctx, juliet))
		get("created", juliet)
		if err := s.CreateAccount(ctx, store.Account{Addr: juliet.Addr, Credentials: []store.Credential{credential("X")}}); err != store.ErrExists {
			t.Errorf("created twice: %v", err)
		}
		get("created twice", juliet)

		juliet.Credentials = []store.Credential{credential("SCRAM-SHA-512")}
		do(s.SetCredentials(ctx, juliet.Addr, juliet.Credentials))
		get("new credentials", juliet)
		if err := s.SetCredentials(ctx, juliet.Addr, []store.Credential{credential("A"), credential("A")}); err != store.ErrInvalid {
			t.Errorf("one mechanism twice: %v", err)
		}
		get("bad credentials", juliet)
		juliet.Disabled = true
		do(s.DisableAccount(ctx, juliet.Addr, true))
		do(s.DisableAccount(ctx, juliet.Addr, true))
		get("disabled", juliet)
		juliet.Disabled = false
		do(s.DisableAccount(ctx, juliet.Addr, false))
		get("allowed", juliet)
		juliet.Credentials = nil
		do(s.SetCredentials(ctx, juliet.Addr, nil))
		get("without credentials", juliet)

		do(s.SetCredentials(ctx, juliet.Addr, []store.Credential{credential("A")}))
		do(s.DeleteAccount(ctx, juliet.Addr))
		if err := second(s.Account(ctx, juliet.Addr)); err != store.ErrNotFound {
			t.Errorf("after deletion: %v", err)
		}
		do(s.CreateAccount(ctx, juliet))
		get("created again, without the old credentials", juliet)
	})
}

func TestListsGoByBytes(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		want := []string{"A", "B", "Z-", "Z_", "a", "a b", "a-b", "aB", "aa", "z", "ß", "ä", "é", "😀"}
		for i := range want {
			addr := want[(i*5)%len(want)]
			if err := s.CreateAccount(ctx, store.Account{Addr: addr, Created: at(3), Disabled: true,
				Credentials: []store.Credential{credential("A")}}); err != nil {
				t.Fatal(err)
			}
			mustWrite(t, s, store.Change{Room: addr, Epoch: mustClaim(t, s, addr),
				Put: &store.Room{Addr: addr, Created: at(3), Config: []byte(addr), Subject: []byte("not listed")}})
		}
		mustClaim(t, s, "aaa") // claimed, not stored
		for _, limit := range []int{1, 3, len(want), 100} {
			var accounts, rooms []string
			for after := ""; ; {
				list, err := s.ListAccounts(ctx, after, limit)
				if err != nil {
					t.Fatal(err)
				}
				if len(list) == 0 {
					break
				}
				for _, a := range list {
					equal(t, "listed account", a, store.Account{Addr: a.Addr, Created: at(3), Disabled: true})
					accounts = append(accounts, a.Addr)
				}
				if len(list) > limit {
					t.Errorf("%d accounts, limit %d", len(list), limit)
				}
				after = list[len(list)-1].Addr
			}
			for after := ""; ; {
				list, err := s.ListRooms(ctx, after, limit)
				if err != nil {
					t.Fatal(err)
				}
				if len(list) == 0 {
					break
				}
				for _, r := range list {
					equal(t, "listed room", r, store.Room{Addr: r.Addr, Created: at(3), Config: []byte(r.Addr)})
					rooms = append(rooms, r.Addr)
				}
				if len(list) > limit {
					t.Errorf("%d rooms, limit %d", len(list), limit)
				}
				after = list[len(list)-1].Addr
			}
			equal(t, fmt.Sprint("accounts by ", limit), accounts, want)
			equal(t, fmt.Sprint("rooms by ", limit), rooms, want)
		}
		for _, limit := range []int{0, -1} {
			if list, err := s.ListAccounts(ctx, "", limit); err != nil || len(list) != 0 {
				t.Errorf("limit %d: %v %v", limit, list, err)
			}
			if list, err := s.ListRooms(ctx, "", limit); err != nil || len(list) != 0 {
				t.Errorf("limit %d: %v %v", limit, list, err)
			}
		}
	})
}

func TestConcurrentAccountsStayWhole(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		var wg sync.WaitGroup
		created := make(chan int, 8)
		for i := range 8 {
			wg.Go(func() {
				mine := []store.Credential{credential(fmt.Sprint("A", i)), credential(fmt.Sprint("B", i))}
				switch err := s.CreateAccount(ctx, store.Account{Addr: "u", Credentials: mine}); err {
				case nil:
					created <- i
				case store.ErrExists:
				default:
					t.Error(err)
				}
				for range 10 {
					if err := s.SetCredentials(ctx, "u", mine); err != nil {
						t.Error(err)
					}
					a, err := s.Account(ctx, "u")
					if err != nil {
						t.Error(err)
						continue
					}
					if len(a.Credentials) != 2 || a.Credentials[0].Mechanism[1:] != a.Credentials[1].Mechanism[1:] {
						t.Errorf("credentials of two writers: %v", a.Credentials)
					}
				}
			})
		}
		wg.Wait()
		if len(created) != 1 {
			t.Errorf("%d created the account", len(created))
		}
	})
}

func TestCancelledCallSaysSo(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := second(s.Account(ctx, "a")); !errors.Is(err, context.Canceled) {
			t.Errorf("Account: %v", err)
		}
		if err := s.CreateAccount(ctx, store.Account{Addr: "a"}); !errors.Is(err, context.Canceled) {
			t.Errorf("CreateAccount: %v", err)
		}
		if err := s.Ping(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Ping: %v", err)
		}
		if err := s.Ping(context.Background()); err != nil {
			t.Errorf("Ping afterwards: %v", err)
		}
	})
}

func second[T any](_ T, err error) error { return err }
