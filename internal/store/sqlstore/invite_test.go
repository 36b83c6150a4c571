package sqlstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"parley/internal/store"
)

func TestInvites(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := newJuliet(t, s)
		const juliet = "juliet@localhost"
		invite := func(digest, name string, created int) store.Invite {
			return store.Invite{Digest: digest, Inviter: juliet, Name: name, Register: true, Subscribe: true, Created: at(created), Expires: at(created + 1000)}
		}
		want := func(what string, err, wanted error) {
			t.Helper()
			if !errors.Is(err, wanted) {
				t.Errorf("%s: %v, want %v", what, err, wanted)
			}
		}
		want("one", s.AddInvite(ctx, invite("a", "", 1000), 2), nil)
		got, err := s.Invite(ctx, "a")
		want("read", err, nil)
		equal(t, "as it was added", got, invite("a", "", 1000))
		want("with a name", s.AddInvite(ctx, invite("b", "nurse@localhost", 1000), 2), nil)
		want("a third", s.AddInvite(ctx, invite("c", "", 1000), 2), store.ErrQuota)
		want("when two have expired", s.AddInvite(ctx, invite("c", "", 3000), 2), nil)
		want("the name is kept", s.AddInvite(ctx, invite("d", "nurse@localhost", 1500), 9), store.ErrExists)
		want("the name is somebody's", s.AddInvite(ctx, invite("d", juliet, 1500), 9), store.ErrExists)
		for _, c := range []struct {
			addr string
			at   int
			kept bool
		}{{"nurse@localhost", 1500, true}, {"nurse@localhost", 2001, false}, {"tybalt@localhost", 1500, false}, {"", 1500, false}} {
			if kept, err := s.Reserved(ctx, c.addr, at(c.at)); kept != c.kept || err != nil {
				t.Errorf("%q at %d: %v %v", c.addr, c.at, kept, err)
			}
		}
		stranger := invite("e", "", 1000)
		stranger.Inviter = "tybalt@localhost"
		want("of nobody", s.AddInvite(ctx, stranger, 9), store.ErrNotFound)

		nurse := store.Account{Addr: "nurse@localhost", Credentials: []store.Credential{credential("SCRAM-SHA-1")}}
		want("an account that is there", s.RegisterInvited(ctx, "b", store.Account{Addr: juliet}), store.ErrExists)
		want("registered", s.RegisterInvited(ctx, "b", nurse), nil)
		want("used", s.RegisterInvited(ctx, "b", store.Account{Addr: "other@localhost"}), store.ErrNotFound)
		if _, err := s.Account(ctx, "other@localhost"); err != store.ErrNotFound {
			t.Errorf("an account without an invitation: %v", err)
		}
		if a, err := s.Account(ctx, nurse.Addr); err != nil || len(a.Credentials) != 1 {
			t.Errorf("%+v %v", a, err)
		}
		want("taken", s.TakeInvite(ctx, "a"), nil)
		want("taken twice", s.TakeInvite(ctx, "a"), store.ErrNotFound)
		_, err = s.Invite(ctx, "a")
		want("gone", err, store.ErrNotFound)

		want("long after", s.AddInvite(ctx, invite("z", "", 3000+2*24*3600_000), 2), nil)
		_, err = s.Invite(ctx, "c")
		want("what expired long ago", err, store.ErrNotFound)
		want("disabled", s.DisableAccount(ctx, juliet, true), nil)
		_, err = s.Invite(ctx, "z")
		want("of somebody who may not log in", err, store.ErrNotFound)
		want("more of her", s.AddInvite(ctx, invite("y", "", 1000), 9), store.ErrNotFound)
		want("enabled", s.DisableAccount(ctx, juliet, false), nil)
		want("deleted", s.DeleteAccount(ctx, juliet), nil)
		want("they go with her", s.TakeInvite(ctx, "z"), store.ErrNotFound)
		want("unstorable", s.AddInvite(ctx, store.Invite{Inviter: juliet}, 9), store.ErrInvalid)
	})
}

// Of many who use one invitation at once, one does.
func TestInviteIsUsedOnce(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := newJuliet(t, s)
		if err := s.AddInvite(ctx, store.Invite{Digest: "a", Inviter: "juliet@localhost", Expires: at(1000)}, 9); err != nil {
			t.Fatal(err)
		}
		results := make(chan error)
		for i := range 8 {
			go func() {
				results <- s.RegisterInvited(ctx, "a", store.Account{Addr: string(rune('a'+i)) + "@localhost"})
			}()
		}
		made := 0
		for range 8 {
			if err := <-results; err == nil {
				made++
			} else if err != store.ErrNotFound {
				t.Error(err)
			}
		}
		if made != 1 {
			t.Errorf("%d accounts", made)
		}
	})
}

func TestAnnouncement(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := newJuliet(t, s)
		if _, err := s.Announcement(ctx); err != store.ErrNotFound {
			t.Error(err)
		}
		sees := func(addr string, at time.Time, fresh bool, want error) {
			t.Helper()
			if got, err := s.SeeAnnouncement(ctx, addr, at); got != fresh || err != want {
				t.Errorf("%s: %v %v", addr, got, err)
			}
		}
		for i, text := range []string{"one\ntwo", "three"} {
			m := store.Announcement{At: at(1000 + i), Text: text}
			if err := s.SetAnnouncement(ctx, &m); err != nil {
				t.Fatal(err)
			}
			got, err := s.Announcement(ctx)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "as it was set", got, m)
			sees("juliet@localhost", m.At, true, nil)
			sees("juliet@localhost", m.At, false, nil)
			sees("romeo@localhost", m.At, false, store.ErrNotFound)
		}
		if err := s.SetAnnouncement(ctx, &store.Announcement{Text: "a\x00"}); err != store.ErrInvalid {
			t.Error(err)
		}
		if err := s.SetAnnouncement(context.Background(), nil); err != nil {
			t.Error(err)
		}
		if _, err := s.Announcement(ctx); err != store.ErrNotFound {
			t.Error(err)
		}
	})
}
