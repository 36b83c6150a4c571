package sqlstore

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"parley/internal/store"
)

func TestLogins(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := newJuliet(t, s)
		const juliet = "juliet@localhost"
		login := func(id string, ms int) store.Login {
			return store.Login{ID: id, Addr: juliet, Label: "phone", Created: at(ms), Used: at(ms), Access: []byte("a" + id), Until: at(ms + 10), Refresh: []byte("r" + id), Expires: at(ms + 1000)}
		}
		want := func(what string, err, wanted error) {
			t.Helper()
			if !errors.Is(err, wanted) {
				t.Errorf("%s: %v, want %v", what, err, wanted)
			}
		}
		there := func(wanted ...string) {
			t.Helper()
			list, err := s.ListLogins(ctx, juliet)
			want("list", err, nil)
			var got []string
			for _, l := range list {
				got = append(got, l.ID)
			}
			equal(t, "logins", fmt.Sprint(got), fmt.Sprint(wanted))
		}
		want("one", s.AddLogin(ctx, login("a", 1000), 3), nil)
		want("its id again", s.AddLogin(ctx, login("a", 1000), 3), store.ErrExists)
		got, err := s.Login(ctx, "a")
		want("read", err, nil)
		equal(t, "as it was added", got, login("a", 1000))
		for _, id := range []string{"", "b", "a\x00"} {
			_, err := s.Login(ctx, id)
			want("not there", err, store.ErrNotFound)
		}
		stranger := login("s", 1000)
		stranger.Addr = "tybalt@localhost"
		want("of nobody", s.AddLogin(ctx, stranger, 3), store.ErrNotFound)
		want("without tokens", s.AddLogin(ctx, store.Login{ID: "x", Addr: juliet}, 3), store.ErrInvalid)

		want("more", s.AddLogin(ctx, login("b", 1100), 3), nil)
		want("more", s.AddLogin(ctx, login("c", 1200), 3), nil)
		there("c", "b", "a")
		want("too many", s.AddLogin(ctx, login("d", 1300), 3), nil)
		there("d", "c", "b")
		want("when two have expired", s.AddLogin(ctx, login("e", 2250), 9), nil)
		there("e", "d")

		next := login("d", 2300)
		next.Access, next.Refresh = []byte("a2"), []byte("r2")
		want("refreshed", s.Refresh(ctx, []byte("rd"), next), nil)
		got, err = s.Login(ctx, "d")
		want("read", err, nil)
		next.Created = at(1300)
		equal(t, "as it was refreshed", got, next)
		want("the old one again", s.Refresh(ctx, []byte("rd"), login("d", 2301)), store.ErrUsed)
		there("e")
		want("the new one", s.Refresh(ctx, []byte("r2"), login("d", 2302)), store.ErrNotFound)
		want("of nobody", s.Refresh(ctx, []byte("x"), login("zz", 2302)), store.ErrNotFound)
		want("dropped", s.DropLogin(ctx, "e"), nil)
		want("dropped twice", s.DropLogin(ctx, "e"), nil)
		there()
	})
}

func TestHA8LoginsEndWithTheirAccount(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := newJuliet(t, s)
		const juliet = "juliet@localhost"
		for name, change := range map[string]func() error{
			"password": func() error {
				return s.SetCredentials(ctx, juliet, []store.Credential{credential("SCRAM-SHA-256")})
			},
			"disabled": func() error { return s.DisableAccount(ctx, juliet, true) },
		} {
			if err := s.DisableAccount(ctx, juliet, false); err != nil {
				t.Fatal(err)
			}
			l := store.Login{ID: name, Addr: juliet, Created: at(1), Used: at(1), Access: []byte("a"), Refresh: []byte("r"), Expires: at(1e6)}
			if err := s.AddLogin(ctx, l, 9); err != nil {
				t.Fatal(err)
			}
			if err := change(); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Login(ctx, name); err != store.ErrNotFound {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := s.DisableAccount(ctx, juliet, true); err != nil {
			t.Fatal(err)
		}
		l := store.Login{ID: "x", Addr: juliet, Created: at(1), Used: at(1), Access: []byte("a"), Refresh: []byte("r"), Expires: at(1e6)}
		if err := s.AddLogin(ctx, l, 9); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("who may not log in: %v", err)
		}
		if err := errors.Join(s.DisableAccount(ctx, juliet, false), s.AddLogin(ctx, l, 9), s.DeleteAccount(ctx, juliet)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Login(ctx, "x"); err != store.ErrNotFound {
			t.Errorf("deleted: %v", err)
		}
	})
}

// Of many who come with the same refresh token at once one is served, and then nobody has the login.
func TestOneRefreshTokenIsGoodOnce(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := newJuliet(t, s)
		l := store.Login{ID: "a", Addr: "juliet@localhost", Created: at(1), Used: at(1), Access: []byte("a"), Refresh: []byte("r"), Expires: at(1e6)}
		if err := s.AddLogin(ctx, l, 9); err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		results := make([]error, 8)
		for i := range results {
			group.Go(func() {
				next := l
				next.Refresh = []byte{byte(i), 'x'}
				results[i] = s.Refresh(ctx, []byte("r"), next)
			})
		}
		group.Wait()
		served, used := 0, 0
		for _, err := range results {
			switch {
			case err == nil:
				served++
			case errors.Is(err, store.ErrUsed):
				used++
			case !errors.Is(err, store.ErrNotFound):
				t.Error(err)
			}
		}
		if served != 1 || used != 1 {
			t.Errorf("%d were served, %d ended the login", served, used)
		}
		if _, err := s.Login(ctx, "a"); err != store.ErrNotFound {
			t.Errorf("the login: %v", err)
		}
	})
}
