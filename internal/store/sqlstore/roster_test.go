package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"parley/internal/store"
)

func mustAccount(t testing.TB, s store.Store, addrs ...string) {
	t.Helper()
	for _, a := range addrs {
		if err := s.CreateAccount(context.Background(), store.Account{Addr: a, Created: at(0)}); err != nil {
			t.Fatal(err)
		}
	}
}

func mustRoster(t testing.TB, s store.Store, owner string) store.Roster {
	t.Helper()
	r, err := s.Roster(context.Background(), owner)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRosterIsKeptAsItIs(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		mustAccount(t, s, "ann", "bob")
		equal(t, "empty roster", mustRoster(t, s, "ann"), store.Roster{})
		var put []store.Contact
		for i, text := range nasty {
			c := store.Contact{
				Addr: fmt.Sprintf("%03d", i) + text[:min(len(text), 1000)], Name: text, Groups: []string{text, "", "g"},
				Listed: i%2 == 0, To: i%3 == 0, From: i%5 == 0, Asked: i%7 == 0, Approved: i%2 == 1,
			}
			if i%4 == 0 {
				c.Groups, c.Request = nil, append([]byte(text), 0, 0xFF)
			}
			put = append(put, c)
		}
		blocked := []string{"a@b/ c", "x.net", "ü"}
		if err := s.ChangeRoster(ctx, "ann", store.RosterChange{Version: 7, Put: put, Block: blocked}); err != nil {
			t.Fatal(err)
		}
		equal(t, "roster", mustRoster(t, s, "ann"), store.Roster{Version: 7, Contacts: put, Blocked: blocked})
		equal(t, "roster of somebody else", mustRoster(t, s, "bob"), store.Roster{})
		change := put[1]
		change.Name, change.Request = "new", []byte("r")
		if err := s.ChangeRoster(ctx, "ann", store.RosterChange{
			Was: 7, Version: 9, Put: []store.Contact{change}, Remove: []string{put[0].Addr, "nobody"}, Block: []string{"x.net"}, Unblock: []string{"ü"},
		}); err != nil {
			t.Fatal(err)
		}
		want := append([]store.Contact{change}, put[2:]...)
		equal(t, "roster", mustRoster(t, s, "ann"), store.Roster{Version: 9, Contacts: want, Blocked: blocked[:2]})
		if err := s.DeleteAccount(ctx, "ann"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Roster(ctx, "ann"); err != store.ErrNotFound {
			t.Errorf("a deleted account's roster: %v", err)
		}
		mustAccount(t, s, "ann")
		equal(t, "roster of a new account", mustRoster(t, s, "ann"), store.Roster{})
	})
}

func TestRosterChangesThatFailChangeNothing(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		mustAccount(t, s, "ann")
		first := store.RosterChange{Version: 5, Put: []store.Contact{{Addr: "c"}}}
		if err := s.ChangeRoster(ctx, "ann", first); err != nil {
			t.Fatal(err)
		}
		for what, c := range map[string]struct {
			owner  string
			change store.RosterChange
			want   error
		}{
			"no account":        {"nobody", first, store.ErrNotFound},
			"no key":            {"", first, store.ErrNotFound},
			"first again":       {"ann", first, store.ErrStale},
			"old version":       {"ann", store.RosterChange{Was: 4, Version: 6, Remove: []string{"c"}}, store.ErrStale},
			"backwards":         {"ann", store.RosterChange{Was: 5, Version: 4}, store.ErrInvalid},
			"no version":        {"ann", store.RosterChange{}, store.ErrInvalid},
			"a NUL in a name":   {"ann", store.RosterChange{Was: 5, Version: 6, Put: []store.Contact{{Addr: "d", Name: "\x00"}}}, store.ErrInvalid},
			"a bad group":       {"ann", store.RosterChange{Was: 5, Version: 6, Put: []store.Contact{{Addr: "d", Groups: []string{"\xff"}}}}, store.ErrInvalid},
			"no address":        {"ann", store.RosterChange{Was: 5, Version: 6, Put: []store.Contact{{}}}, store.ErrInvalid},
			"a long address":    {"ann", store.RosterChange{Was: 5, Version: 6, Block: []string{strings.Repeat("x", keyLimit+1)}}, store.ErrInvalid},
			"a NUL in a remove": {"ann", store.RosterChange{Was: 5, Version: 6, Remove: []string{"\x00"}}, store.ErrInvalid},
		} {
			if err := s.ChangeRoster(ctx, c.owner, c.change); !errors.Is(err, c.want) {
				t.Errorf("%s: got %v, want %v", what, err, c.want)
			}
		}
		equal(t, "roster", mustRoster(t, s, "ann"), store.Roster{Version: 5, Contacts: []store.Contact{{Addr: "c"}}})
	})
}

// Of many changes to the same version one is made.
func TestRosterChangesDoNotOverwriteEachOther(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		mustAccount(t, s, "ann")
		for round := range int64(5) {
			var made atomic.Int32
			var group sync.WaitGroup
			for i := range 4 {
				group.Go(func() {
					err := s.ChangeRoster(context.Background(), "ann", store.RosterChange{
						Was: round, Version: round + 1, Put: []store.Contact{{Addr: fmt.Sprint(round, "-", i)}},
					})
					switch {
					case err == nil:
						made.Add(1)
					case !errors.Is(err, store.ErrStale):
						t.Error(err)
					}
				})
			}
			group.Wait()
			if made.Load() != 1 {
				t.Errorf("round %d: %d changes were made", round, made.Load())
			}
		}
		if n := len(mustRoster(t, s, "ann").Contacts); n != 5 {
			t.Errorf("%d contacts are there", n)
		}
	})
}

func TestOfflineMessagesAreKeptInOrder(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		mustAccount(t, s, "ann", "bob")
		limit := store.OfflineLimit{Messages: 5, Bytes: 1000}
		add := func(owner string, want int, tails ...string) {
			t.Helper()
			var list []store.OfflineMessage
			for i, tail := range tails {
				list = append(list, store.OfflineMessage{At: at(i), Tail: []byte(tail)})
			}
			if n, err := s.AddOffline(ctx, owner, list, limit); n != want || err != nil {
				t.Errorf("%d of %q were stored: %v", n, tails, err)
			}
		}
		tails := func(owner string, after int64, limit int) (out []string, last int64) {
			t.Helper()
			list, err := s.OfflineMessages(ctx, owner, after, limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range list {
				out = append(out, string(m.Tail))
				last = m.ID
			}
			return out, last
		}
		if mustRoster(t, s, "ann").Mail {
			t.Error("there is mail for ann")
		}
		add("ann", 2, "1\x00\xff", "2")
		add("bob", 1, "b")
		add("ann", 3, "3", "4", "5", "6")
		add("ann", 0, "7")
		if !mustRoster(t, s, "ann").Mail {
			t.Error("there is no mail for ann")
		}
		got, last := tails("ann", 0, 3)
		equal(t, "first", got, []string{"1\x00\xff", "2", "3"})
		got, _ = tails("ann", last, 9)
		equal(t, "rest", got, []string{"4", "5"})
		if err := s.RemoveOffline(ctx, "ann", last); err != nil {
			t.Fatal(err)
		}
		got, _ = tails("ann", 0, 9)
		equal(t, "rest", got, []string{"4", "5"})
		add("ann", 1, strings.Repeat("x", 900), strings.Repeat("x", 99))
		list, err := s.OfflineMessages(ctx, "ann", 0, 9)
		if err != nil || len(list) != 3 {
			t.Fatal(list, err)
		}
		if err := s.DropOffline(ctx, "bob", []int64{list[0].ID}); err != nil { // it is not bob's
			t.Fatal(err)
		}
		if err := s.DropOffline(ctx, "ann", []int64{list[1].ID, list[2].ID, 1 << 40}); err != nil {
			t.Fatal(err)
		}
		got, _ = tails("ann", 0, 9)
		equal(t, "what was not dropped", got, []string{"4"})
		got, _ = tails("bob", 0, 9)
		equal(t, "bob's", got, []string{"b"})
		if _, err := s.AddOffline(ctx, "nobody", []store.OfflineMessage{{Tail: []byte("x")}}, limit); err != store.ErrNotFound {
			t.Errorf("for nobody: %v", err)
		}
		if err := s.DeleteAccount(ctx, "ann"); err != nil {
			t.Fatal(err)
		}
		mustAccount(t, s, "ann")
		got, _ = tails("ann", 0, 9)
		equal(t, "a new account's", got, []string(nil))
	})
}

func TestPrivateDataAndLastActivity(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		mustAccount(t, s, "ann")
		get := func(name, want string) {
			t.Helper()
			if data, err := s.Private(ctx, "ann", name); string(data) != want || err != nil {
				t.Errorf("%q: got %q %v", name, data, err)
			}
		}
		set := func(name, data string, want error) {
			t.Helper()
			if err := s.SetPrivate(ctx, "ann", name, []byte(data), 2); !errors.Is(err, want) {
				t.Errorf("%q: got %v, want %v", name, err, want)
			}
		}
		get("a", "")
		set("a", "1", nil)
		set("b", "\x00\xff", nil)
		set("a", "2", nil)
		set("c", "3", store.ErrQuota)
		set("\x00", "3", store.ErrInvalid)
		get("a", "2")
		get("b", "\x00\xff")
		set("a", "", nil)
		set("c", "3", nil)
		get("c", "3")
		if err := s.SetPrivate(ctx, "nobody", "a", []byte("x"), 2); err != store.ErrNotFound {
			t.Errorf("for nobody: %v", err)
		}
		when, status, err := s.LastActivity(ctx, "ann")
		if !when.IsZero() || status != "" || err != nil {
			t.Errorf("%v %q %v", when, status, err)
		}
		for i, status := range []string{"one", ""} {
			if err := s.SetLastActivity(ctx, "ann", at(i), status); err != nil {
				t.Fatal(err)
			}
			when, got, err := s.LastActivity(ctx, "ann")
			if when != at(i) || got != status || err != nil {
				t.Errorf("%v %q %v", when, got, err)
			}
		}
		if err := s.SetLastActivity(ctx, "nobody", at(0), ""); err != store.ErrNotFound {
			t.Errorf("for nobody: %v", err)
		}
		if err := s.SetLastActivity(ctx, "ann", at(0), "\x00"); err != store.ErrInvalid {
			t.Errorf("a status with NUL: %v", err)
		}
	})
}
