package sqlstore

import (
	"context"
	"errors"
	"testing"

	"parley/internal/store"
)

func TestApps(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		want := func(what string, err, wanted error) {
			t.Helper()
			if !errors.Is(err, wanted) {
				t.Errorf("%s: %v, want %v", what, err, wanted)
			}
		}
		shop := store.App{Name: "shop", Scopes: []string{"tokens:issue", "turn"}, Domains: []string{"example.co.uk", "localhost"}, Rate: 2.5, Burst: 10, Created: at(1)}
		bare := store.App{Name: "Bare", Created: at(2)}
		want("one", s.AddApp(ctx, shop), nil)
		want("another", s.AddApp(ctx, bare), nil)
		want("twice", s.AddApp(ctx, store.App{Name: "shop"}), store.ErrExists)
		for _, bad := range []store.App{{}, {Name: "a\x00"}, {Name: "a", Scopes: []string{"x y"}}, {Name: "a", Scopes: []string{""}}, {Name: "a", Domains: []string{"x\n"}}} {
			want("unstorable", s.AddApp(ctx, bad), store.ErrInvalid)
		}
		got, err := s.App(ctx, "shop")
		want("read", err, nil)
		equal(t, "as it was added", got, shop)
		for _, name := range []string{"SHOP", "", "x\x00", "nobody"} {
			_, err = s.App(ctx, name)
			want("not there", err, store.ErrNotFound)
		}
		list, err := s.ListApps(ctx, "", 9)
		want("list", err, nil)
		equal(t, "list", list, []store.App{bare, shop})
		list, err = s.ListApps(ctx, "Bare", 9)
		want("list behind", err, nil)
		equal(t, "list behind", list, []store.App{shop})
		if list, err = s.ListApps(ctx, "", 1); len(list) != 1 || err != nil {
			t.Errorf("%v %v", list, err)
		}

		key := func(id, app string, ms int) store.AppKey {
			return store.AppKey{ID: id, App: app, Digest: []byte{1, 2, 0, byte(ms)}, Created: at(ms)}
		}
		want("a key", s.AddAppKey(ctx, key("k2", "shop", 2), 2), nil)
		want("a key that is there", s.AddAppKey(ctx, key("k2", "Bare", 2), 2), store.ErrExists)
		want("a second", s.AddAppKey(ctx, key("k1", "shop", 1), 2), nil)
		want("a third", s.AddAppKey(ctx, key("k3", "shop", 3), 2), store.ErrQuota)
		want("of nobody", s.AddAppKey(ctx, key("k3", "nobody", 3), 2), store.ErrNotFound)
		want("without digest", s.AddAppKey(ctx, store.AppKey{ID: "x", App: "shop"}, 9), store.ErrInvalid)
		keys, err := s.AppKeys(ctx, "shop")
		want("keys", err, nil)
		equal(t, "keys", keys, []store.AppKey{key("k1", "shop", 1), key("k2", "shop", 2)})
		a, k, err := s.AppOfKey(ctx, "k1")
		want("whose", err, nil)
		equal(t, "whose", a, shop)
		equal(t, "which", k, key("k1", "shop", 1))
		want("another's key", s.RemoveAppKey(ctx, "Bare", "k1"), store.ErrNotFound)
		want("removed", s.RemoveAppKey(ctx, "shop", "k1"), nil)
		want("removed twice", s.RemoveAppKey(ctx, "shop", "k1"), store.ErrNotFound)
		_, _, err = s.AppOfKey(ctx, "k1")
		want("a key that is gone", err, store.ErrNotFound)

		want("removed", s.RemoveApp(ctx, "shop"), nil)
		want("removed twice", s.RemoveApp(ctx, "shop"), store.ErrNotFound)
		_, _, err = s.AppOfKey(ctx, "k2")
		want("its keys are gone", err, store.ErrNotFound)
		want("and come back with no one", s.AddApp(ctx, shop), nil)
		if keys, err = s.AppKeys(ctx, "shop"); len(keys) != 0 || err != nil {
			t.Errorf("%v %v", keys, err)
		}
	})
}
