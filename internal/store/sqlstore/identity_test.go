package sqlstore

import (
	"context"
	"errors"
	"testing"

	"parley/internal/store"
)

func TestIdentities(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		want := func(what string, err, wanted error) {
			t.Helper()
			if !errors.Is(err, wanted) {
				t.Errorf("%s: %v, want %v", what, err, wanted)
			}
		}
		identity := func(id, addr string) store.Identity {
			return store.Identity{ID: id, Addr: addr, Issuer: "https://login.example", Subject: "s-" + id, Linked: at(1)}
		}
		want("account", s.CreateAccount(ctx, store.Account{Addr: "ann@x"}), nil)
		want("link", s.LinkIdentity(ctx, identity("i1", "ann@x"), 2), nil)
		want("again", s.LinkIdentity(ctx, identity("i1", "ann@x"), 9), store.ErrExists)
		want("a second", s.LinkIdentity(ctx, identity("i2", "ann@x"), 2), nil)
		want("a third", s.LinkIdentity(ctx, identity("i3", "ann@x"), 2), store.ErrQuota)
		want("to nobody", s.LinkIdentity(ctx, identity("i3", "eve@x"), 2), store.ErrNotFound)
		for _, bad := range []store.Identity{{}, {ID: "i3", Addr: "ann@x", Issuer: "i"}, {ID: "i3", Addr: "ann@x", Issuer: "a\x00", Subject: "s"}} {
			want("unstorable", s.LinkIdentity(ctx, bad, 9), store.ErrInvalid)
		}
		got, err := s.Identity(ctx, "i1")
		want("read", err, nil)
		equal(t, "as it was linked", got, identity("i1", "ann@x"))

		want("register", s.RegisterIdentity(ctx, store.Account{Addr: "bob@x", Created: at(2)}, identity("i4", "bob@x")), nil)
		want("an account that is there", s.RegisterIdentity(ctx, store.Account{Addr: "ann@x"}, identity("i5", "ann@x")), store.ErrExists)
		if _, err := s.Identity(ctx, "i5"); err != store.ErrNotFound {
			t.Errorf("half of it is there: %v", err)
		}
		want("an identity that is somebody's", s.RegisterIdentity(ctx, store.Account{Addr: "carl@x"}, identity("i1", "carl@x")), store.ErrExists)
		if _, err := s.Account(ctx, "carl@x"); err != store.ErrNotFound {
			t.Errorf("the other half of it is there: %v", err)
		}
		want("of two", s.RegisterIdentity(ctx, store.Account{Addr: "carl@x"}, identity("i6", "dave@x")), store.ErrInvalid)

		list, err := s.ListIdentities(ctx, "ann@x")
		want("list", err, nil)
		equal(t, "list", list, []store.Identity{identity("i1", "ann@x"), identity("i2", "ann@x")})
		want("unlink another's", s.UnlinkIdentity(ctx, "ann@x", "i4"), store.ErrNotFound)
		want("unlink", s.UnlinkIdentity(ctx, "ann@x", "i1"), nil)
		want("and again", s.UnlinkIdentity(ctx, "ann@x", "i1"), store.ErrNotFound)
		want("with the account", s.DeleteAccount(ctx, "bob@x"), nil)
		if _, err := s.Identity(ctx, "i4"); err != store.ErrNotFound {
			t.Errorf("without an account: %v", err)
		}
	})
}
