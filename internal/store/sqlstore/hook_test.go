package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"parley/internal/store"
)

func TestHooks(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		want := func(what string, err, wanted error) {
			t.Helper()
			if !errors.Is(err, wanted) {
				t.Errorf("%s: %v, want %v", what, err, wanted)
			}
		}
		want("app", s.AddApp(ctx, store.App{Name: "shop"}), nil)
		hook := func(id string, ms int) store.Hook {
			return store.Hook{ID: id, App: "shop", URL: "https://x.example/" + id, Events: []string{"a.b", "c.d"}, Secret: []byte{0, 1}, Created: at(ms)}
		}
		want("a hook", s.AddHook(ctx, hook("h2", 2), 2), nil)
		want("again", s.AddHook(ctx, hook("h2", 2), 9), store.ErrExists)
		want("a second", s.AddHook(ctx, hook("h1", 1), 2), nil)
		want("a third", s.AddHook(ctx, hook("h3", 3), 2), store.ErrQuota)
		want("of nobody", s.AddHook(ctx, store.Hook{ID: "h3", App: "nobody", URL: "x", Secret: []byte{1}}, 9), store.ErrNotFound)
		for _, bad := range []store.Hook{{ID: "x", App: "shop", Secret: []byte{1}}, {ID: "x", App: "shop", URL: "u"}, {App: "shop", URL: "u", Secret: []byte{1}}, {ID: "x", App: "shop", URL: "u", Secret: []byte{1}, Events: []string{"a b"}}} {
			want("unstorable", s.AddHook(ctx, bad, 9), store.ErrInvalid)
		}
		list, err := s.ListHooks(ctx, "shop")
		want("list", err, nil)
		equal(t, "list", list, []store.Hook{hook("h1", 1), hook("h2", 2)})

		now := time.Now()
		delivery := func(hook string, n int) store.Delivery {
			return store.Delivery{Hook: hook, ID: fmt.Sprint("m", n), Body: []byte{0, byte(n)}, Created: at(n)}
		}
		dropped, err := s.AddDeliveries(ctx, []store.Delivery{delivery("h1", 1), delivery("h2", 1), delivery("h1", 2), delivery("gone", 2), delivery("h1", 3)}, 2)
		if want("add", err, nil); dropped != 1 {
			t.Errorf("%d dropped", dropped)
		}
		if dropped, err = s.AddDeliveries(ctx, []store.Delivery{delivery("h1", 4)}, 2); err != nil || dropped != 1 {
			t.Errorf("when it is full: %d %v", dropped, err)
		}
		_, err = s.AddDeliveries(ctx, []store.Delivery{{Hook: "h1", ID: "x"}}, 9)
		want("without a body", err, store.ErrInvalid)
		due := func(wanted ...string) {
			t.Helper()
			got, err := s.DueHooks(ctx, now)
			want("due", err, nil)
			if fmt.Sprint(got) != fmt.Sprint(wanted) {
				t.Errorf("due: %v, want %v", got, wanted)
			}
		}
		take := func(hook string, at time.Time, limit int) (ids string, list []store.Delivery) {
			t.Helper()
			list, err := s.TakeDeliveries(ctx, hook, "n1", at, at.Add(time.Minute), limit)
			want("take", err, nil)
			for _, d := range list {
				ids += fmt.Sprintf("%s/%d ", d.ID, d.Tries)
			}
			return ids, list
		}
		due("h1", "h2")
		first, one := take("h1", now, 1)
		if first != "m1/0 " || string(one[0].Body) != "\x00\x01" || !one[0].Created.Equal(at(1)) || one[0].Hook != "h1" {
			t.Errorf("%s %+v", first, one)
		}
		if second, _ := take("h1", now, 9); second != "m2/0 " {
			t.Errorf("the second: %q", second)
		}
		if none, _ := take("h1", now, 9); none != "" {
			t.Errorf("twice: %q", none)
		}
		due("h2")
		if all, _ := take("h1", now.Add(2*time.Minute), 9); all != "m1/0 m2/0 " {
			t.Errorf("when nobody answered for them: %q", all)
		}
		want("another node's", s.FreeDeliveries(ctx, "n2", now), nil)
		due("h2")
		want("own", s.FreeDeliveries(ctx, "n1", now), nil)
		due("h1", "h2")
		want("failed", s.PutOff(ctx, one[0].Seq, now.Add(-time.Second), true), nil)
		want("not tried", s.PutOff(ctx, one[0].Seq+1000, now, false), nil)
		if all, _ := take("h1", now, 9); all != "m1/1 m2/0 " {
			t.Errorf("after a failure: %q", all)
		}
		want("done", s.EndDelivery(ctx, one[0].Seq), nil)
		want("done again", s.EndDelivery(ctx, one[0].Seq), nil)
		if list, err = s.ListHooks(ctx, ""); err != nil || len(list) != 2 || list[0].Waiting != 1 || list[1].Waiting != 1 {
			t.Errorf("%+v %v", list, err)
		}
		want("remove another's", s.RemoveHook(ctx, "other", "h1"), store.ErrNotFound)
		want("remove", s.RemoveHook(ctx, "shop", "h1"), nil)
		want("remove again", s.RemoveHook(ctx, "shop", "h1"), store.ErrNotFound)
		want("with the application", s.RemoveApp(ctx, "shop"), nil)
		if list, err = s.ListHooks(ctx, ""); err != nil || len(list) != 0 {
			t.Errorf("%+v %v", list, err)
		}
		due()
	})
}
