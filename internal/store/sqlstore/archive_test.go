package sqlstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"parley/internal/store"
)

// archiveID is the id of the nth message, which is of the nth millisecond.
func archiveID(n int) string {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:], uint64(at(n).UnixMilli())<<16|0x7000)
	binary.BigEndian.PutUint64(id[8:], 1<<63|uint64(n))
	return id.String()
}

func appended(owner string, n int, peer string, limit store.ArchiveLimit) store.Appended {
	return store.Appended{Owner: owner, Limit: limit, Message: store.Archived{
		ID: archiveID(n), Peer: peer, Tail: []byte(fmt.Sprintf(" to='%s'><body>%d</body></message>", owner, n)),
	}}
}

func append1(s store.Archives, list ...store.Appended) error {
	done := make(chan error, 1)
	s.Append(list, func(err error) { done <- err })
	return <-done
}

func mustAppend(t testing.TB, s store.Archives, list ...store.Appended) {
	t.Helper()
	if err := append1(s, list...); err != nil {
		t.Fatalf("append: %v", err)
	}
}

func newAccount(t testing.TB, s store.Store, addrs ...string) {
	t.Helper()
	for _, addr := range addrs {
		if err := s.CreateAccount(context.Background(), store.Account{Addr: addr, Created: at(0)}); err != nil {
			t.Fatal(err)
		}
	}
}

// archived returns the numbers of the messages that fit.
func archived(t testing.TB, s store.Archives, q store.ArchiveQuery) (numbers []int, more bool) {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 1000
	}
	list, more, err := s.ArchivePage(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	numbers = []int{}
	for _, m := range list {
		n := int(m.At.Sub(at(0)).Milliseconds())
		if m.ID != archiveID(n) || !strings.Contains(string(m.Tail), fmt.Sprintf("<body>%d<", n)) {
			t.Errorf("message %d came back as %+v", n, m)
		}
		numbers = append(numbers, n)
	}
	return numbers, more
}

func TestArchiveKeepsMessagesAsTheyAre(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		raw := []byte(" to='a'>\x00\xff\xc0'\\</message>")
		var want []store.Archived
		newAccount(t, s, nasty...)
		for i, text := range nasty {
			m := store.Archived{ID: archiveID(i), Peer: "p" + text + "/" + nasty[(i+1)%len(nasty)], Tail: raw}
			mustAppend(t, s, store.Appended{Owner: text, Message: m})
			m.At = at(i)
			want = append(want, m)
			got, more, err := s.ArchivePage(ctx, store.ArchiveQuery{Owner: text, Limit: 10})
			if err != nil || more {
				t.Fatalf("%q: more %v: %v", text, more, err)
			}
			equal(t, "page", got, want[i:])
			ends, err := s.ArchiveEnds(ctx, text)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "ends", ends, store.ArchiveEnds{First: store.Archived{ID: m.ID, At: m.At}, Last: store.Archived{ID: m.ID, At: m.At}, Count: 1})
		}
	})
}

func TestArchiveQueries(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		newAccount(t, s, "a@x", "b@x")
		peers := []string{"b@x/1", "c@x", "b@x/2", "b@x"}
		for n := 1; n <= 12; n++ {
			mustAppend(t, s, appended("a@x", n, peers[n%4], store.ArchiveLimit{}), appended("b@x", n, "a@x/r", store.ArchiveLimit{}))
		}
		id := func(list ...int) (ids []string) {
			for _, n := range list {
				ids = append(ids, archiveID(n))
			}
			return ids
		}
		for i, c := range []struct {
			q    store.ArchiveQuery
			want []int
			more bool
		}{
			{store.ArchiveQuery{Owner: "b@x"}, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, false},
			{store.ArchiveQuery{Limit: 4}, []int{1, 2, 3, 4}, true},
			{store.ArchiveQuery{Limit: 12}, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, false},
			{store.ArchiveQuery{Limit: 4, Backward: true}, []int{9, 10, 11, 12}, true},
			{store.ArchiveQuery{Limit: 4, After: id(10)}, []int{11, 12}, false},
			{store.ArchiveQuery{Limit: 4, After: id(3, 7)}, []int{8, 9, 10, 11}, true},
			{store.ArchiveQuery{Limit: 4, Before: id(3)}, []int{1, 2}, false},
			{store.ArchiveQuery{Limit: 2, Before: id(9, 5), Backward: true}, []int{3, 4}, true},
			{store.ArchiveQuery{After: id(3), Before: id(6)}, []int{4, 5}, false},
			{store.ArchiveQuery{After: id(6), Before: id(3)}, []int{}, false},
			{store.ArchiveQuery{After: id(12)}, []int{}, false},
			{store.ArchiveQuery{IDs: id(7, 2, 2)}, []int{2, 7}, false},
			{store.ArchiveQuery{IDs: id(7, 2, 9), After: id(2), Limit: 1}, []int{7}, true},
			{store.ArchiveQuery{With: "b@x"}, []int{2, 3, 4, 6, 7, 8, 10, 11, 12}, false},
			{store.ArchiveQuery{With: "b@x/2"}, []int{2, 6, 10}, false},
			{store.ArchiveQuery{With: "c@x"}, []int{1, 5, 9}, false},
			{store.ArchiveQuery{With: "c@x/1"}, []int{}, false},
			{store.ArchiveQuery{With: "b@x", Limit: 2, Backward: true, Before: id(10)}, []int{7, 8}, true},
			{store.ArchiveQuery{With: "nobody@x"}, []int{}, false},
			{store.ArchiveQuery{With: "a\x00"}, []int{}, false},
			{store.ArchiveQuery{Start: at(10)}, []int{10, 11, 12}, false},
			{store.ArchiveQuery{Start: at(10).Add(time.Microsecond)}, []int{11, 12}, false},
			{store.ArchiveQuery{End: at(2)}, []int{1, 2}, false},
			{store.ArchiveQuery{End: at(3).Add(-time.Microsecond)}, []int{1, 2}, false},
			{store.ArchiveQuery{Start: at(4), End: at(6), With: "b@x"}, []int{4, 6}, false},
			{store.ArchiveQuery{Start: time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC), End: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), Limit: 1}, []int{1}, true},
			{store.ArchiveQuery{End: time.Unix(-1, 0)}, []int{}, false},
			{store.ArchiveQuery{Owner: "nobody@x"}, []int{}, false},
			{store.ArchiveQuery{Owner: "\x00"}, []int{}, false},
		} {
			if c.q.Owner == "" {
				c.q.Owner = "a@x"
			}
			got, more := archived(t, s, c.q)
			if !slices.Equal(got, c.want) || more != c.more {
				t.Errorf("case %d: got %v, more %v, want %v, %v", i, got, more, c.want, c.more)
			}
			n, err := s.ArchiveCount(context.Background(), c.q)
			if err != nil || n < len(c.want) || n > len(c.want) && !c.more {
				t.Errorf("case %d: %d are counted: %v", i, n, err)
			}
		}
		for _, q := range []store.ArchiveQuery{
			{After: id(13)}, {Before: id(0)}, {IDs: id(3, 13)}, {After: []string{"x"}}, {IDs: []string{strings.ToUpper(archiveID(10))}},
			{Owner: "nobody@x", IDs: id(1)}, {Owner: "\x00", After: id(1)}, {After: id(2, 14), Before: id(3)},
		} {
			if q.Owner == "" {
				q.Owner = "a@x"
			}
			q.Limit = 10
			if list, _, err := s.ArchivePage(context.Background(), q); err != store.ErrNotFound || list != nil {
				t.Errorf("%+v: %v, %v", q, list, err)
			}
			if _, err := s.ArchiveCount(context.Background(), q); err != store.ErrNotFound {
				t.Errorf("%+v: counted: %v", q, err)
			}
		}
		// Bytes end a page behind the message that reaches them.
		if got, more := archived(t, s, store.ArchiveQuery{Owner: "a@x", Bytes: 1}); len(got) != 1 || !more {
			t.Errorf("a page of one byte: %v", got)
		}
		if got, more := archived(t, s, store.ArchiveQuery{Owner: "a@x", Bytes: 100, Backward: true}); len(got) < 2 || got[len(got)-1] != 12 || !more {
			t.Errorf("a last page of 100 bytes: %v", got)
		}
	})
}

func TestArchiveAppends(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		newAccount(t, s, "a@x", "b@x")
		is := func(what string, got, want error) {
			t.Helper()
			if got != want {
				t.Errorf("%s: got %v, want %v", what, got, want)
			}
		}
		none := store.ArchiveLimit{}
		is("nothing", append1(s), nil)
		is("to nobody", append1(s, appended("nobody@x", 1, "b@x", none)), nil)
		is("to nobody and to somebody", append1(s, appended("nobody@x", 1, "b@x", none), appended("a@x", 1, "b@x", none)), nil)
		for what, change := range map[string]func(*store.Appended){
			"no id":                 func(a *store.Appended) { a.Message.ID = "" },
			"another version":       func(a *store.Appended) { a.Message.ID = uuid.NewString() },
			"an odd spelling":       func(a *store.Appended) { a.Message.ID = "{" + a.Message.ID + "}" },
			"no peer":               func(a *store.Appended) { a.Message.Peer = "" },
			"a peer with NUL":       func(a *store.Appended) { a.Message.Peer = "a/\x00" },
			"a long peer":           func(a *store.Appended) { a.Message.Peer = strings.Repeat("x", keyLimit+1) },
			"an owner that is none": func(a *store.Appended) { a.Owner = "\xff" },
		} {
			bad := appended("a@x", 3, "b@x", none)
			change(&bad)
			is(what, append1(s, appended("a@x", 2, "b@x", none), bad), store.ErrInvalid)
		}
		if got, _ := archived(t, s, store.ArchiveQuery{Owner: "a@x"}); !slices.Equal(got, []int{1}) {
			t.Errorf("something of what was refused is there: %v", got)
		}
		// What is there already is not there twice.
		is("again", append1(s, appended("a@x", 1, "b@x", none)), nil)
		if got, _ := archived(t, s, store.ArchiveQuery{Owner: "a@x"}); !slices.Equal(got, []int{1}) {
			t.Errorf("twice: %v", got)
		}
		// Rooms and archives in one batch, of which some are refused.
		epoch := mustClaim(t, s, "r")
		var wg sync.WaitGroup
		results := make([]error, 5)
		for i, queue := range []func(done func(error)){
			func(done func(error)) { s.Append([]store.Appended{appended("a@x", 5, "b@x", none)}, done) },
			func(done func(error)) {
				s.Write(store.Change{Room: "r", Epoch: epoch, Put: &store.Room{Addr: "r"}, Messages: messages("m")}, done)
			},
			func(done func(error)) { s.Write(store.Change{Room: "r", Epoch: epoch + 7}, done) },
			func(done func(error)) { s.Append([]store.Appended{{Owner: "a@x"}}, done) },
			func(done func(error)) { s.Append([]store.Appended{appended("b@x", 6, "a@x", none)}, done) },
		} {
			wg.Add(1)
			queue(func(err error) { results[i] = err; wg.Done() })
		}
		wg.Wait()
		equal(t, "results", results, []error{nil, nil, store.ErrStale, store.ErrInvalid, nil})
		equal(t, "history", history(t, s, "r", 5), []string{"m"})
		newest, err := s.NewestArchived(context.Background())
		if err != nil || !newest.Equal(at(6)) {
			t.Errorf("the newest is of %v: %v", newest, err)
		}
	})
}

func TestArchiveIsBounded(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		newAccount(t, s, "a@x", "b@x", "c@x")
		ends := func(owner string) store.ArchiveEnds {
			e, err := s.ArchiveEnds(context.Background(), owner)
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		most := store.ArchiveLimit{Messages: 64}
		for n := 1; n <= 200; n++ {
			mustAppend(t, s, appended("a@x", n, "b@x", most))
			got, _ := archived(t, s, store.ArchiveQuery{Owner: "a@x"})
			if len(got) > 64 || n >= 64 && len(got) < 62 || got[len(got)-1] != n || got[0] != n-len(got)+1 {
				t.Fatalf("after %d: %d messages, %d to %d", n, len(got), got[0], got[len(got)-1])
			}
			if e := ends("a@x"); e.Count != len(got) {
				t.Fatalf("after %d: %d are counted, %d are there", n, e.Count, len(got))
			}
		}
		// By bytes: the weights are of the tails and what stands beside them.
		heavy := store.ArchiveLimit{Bytes: 1 << 16}
		for n := range 40 {
			a := appended("b@x", n, "a@x", heavy)
			a.Message.Tail = []byte(fmt.Sprintf("><body>%d</body>%s</message>", n, strings.Repeat("x", 4<<10)))
			mustAppend(t, s, a)
			got, _ := archived(t, s, store.ArchiveQuery{Owner: "b@x"})
			if len(got) > 15 || n >= 15 && len(got) < 14 || got[len(got)-1] != n {
				t.Fatalf("after %d: %v", n, got)
			}
		}
		// One that is too heavy by itself stays, and is the only one.
		a := appended("b@x", 50, "a@x", store.ArchiveLimit{Bytes: 1 << 10})
		a.Message.Tail = []byte(fmt.Sprintf("><body>50</body>%s</message>", strings.Repeat("x", 4<<10)))
		mustAppend(t, s, a)
		if got, _ := archived(t, s, store.ArchiveQuery{Owner: "b@x"}); !slices.Equal(got, []int{50}) {
			t.Errorf("too heavy: %v", got)
		}
		// A limit that was lowered is reached in steps.
		var list []store.Appended
		for n := range 700 {
			list = append(list, appended("c@x", n, "a@x", store.ArchiveLimit{}))
		}
		mustAppend(t, s, list...)
		for n, want := range []int{700 + 1 - 256, 700 + 2 - 2*256, 97, 98, 99, 100} {
			mustAppend(t, s, appended("c@x", 700+n, "a@x", store.ArchiveLimit{Messages: 100}))
			if e := ends("c@x"); e.Count != want {
				t.Errorf("step %d: %d messages, want %d", n, e.Count, want)
			}
		}
	})
}

func TestArchiveEndsWithTheAccount(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		newAccount(t, s, "a@x", "b@x")
		mustAppend(t, s, appended("a@x", 1, "b@x", store.ArchiveLimit{}), appended("b@x", 1, "a@x", store.ArchiveLimit{}))
		if err := s.SetArchivePrefs(ctx, "a@x", store.ArchivePrefs{Default: store.ArchiveNever}); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteAccount(ctx, "a@x"); err != nil {
			t.Fatal(err)
		}
		if n := rowsOf(t, s); n != 1 {
			t.Errorf("%d messages are left of one", n)
		}
		newAccount(t, s, "a@x")
		if got, _ := archived(t, s, store.ArchiveQuery{Owner: "a@x"}); len(got) > 0 {
			t.Errorf("the new account has %v", got)
		}
		if _, err := s.ArchivePrefs(ctx, "a@x"); err != store.ErrNotFound {
			t.Errorf("the new account has preferences: %v", err)
		}
		if got, _ := archived(t, s, store.ArchiveQuery{Owner: "b@x"}); !slices.Equal(got, []int{1}) {
			t.Errorf("the other one has %v", got)
		}
		mustAppend(t, s, appended("a@x", 2, "b@x", store.ArchiveLimit{}))
		if got, _ := archived(t, s, store.ArchiveQuery{Owner: "a@x"}); !slices.Equal(got, []int{2}) {
			t.Errorf("the new account has %v", got)
		}
	})
}

// Accounts are deleted and made again while others write to their archives: nothing else fails, and what is counted is there.
func TestArchivesOfAccountsThatComeAndGo(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		newAccount(t, s, "a@x", "b@x")
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := s.DeleteAccount(ctx, "b@x"); err != nil {
					t.Error(err)
				}
				if err := s.CreateAccount(ctx, store.Account{Addr: "b@x"}); err != nil {
					t.Error(err)
				}
			}
		})
		refused := 0
		for n := 1; n <= 150; n++ {
			if err := append1(s, appended("b@x", n, "a@x", store.ArchiveLimit{}), appended("a@x", n, "b@x", store.ArchiveLimit{})); err != nil {
				refused++ // the account went away between two statements
			}
			mustAppend(t, s, appended("a@x", 1000+n, "b@x", store.ArchiveLimit{}))
		}
		close(stop)
		wg.Wait()
		got, _ := archived(t, s, store.ArchiveQuery{Owner: "a@x"})
		ends, err := s.ArchiveEnds(ctx, "a@x")
		if err != nil || len(got) != 300-refused || ends.Count != len(got) {
			t.Errorf("%d are there, %d are counted, %d were refused: %v", len(got), ends.Count, refused, err)
		}
	})
}

func TestArchiveExpires(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		newAccount(t, s, "a@x", "b@x", "c@x", "d@x")
		for n := range 10 {
			for _, owner := range []string{"a@x", "b@x", "d@x"} {
				number := n
				if owner == "b@x" {
					number += 5
				}
				mustAppend(t, s, appended(owner, number, "x@x", store.ArchiveLimit{}))
			}
		}
		sweep := func(before int, step func(context.Context, time.Time, string, int) (int, string, error)) (steps []int) {
			for after := ""; ; {
				n, next, err := step(ctx, at(before), after, 3)
				if err != nil {
					t.Fatal(err)
				}
				if n == 0 {
					return steps
				}
				steps = append(steps, n)
				after = next
			}
		}
		equal(t, "steps", sweep(4, s.ExpireArchive), []int{3, 1, 3, 1})
		equal(t, "steps of nothing", sweep(4, s.ExpireArchive), []int(nil))
		equal(t, "steps with three at once", sweep(7, s.ExpireArchive), []int{3, 2, 3})
		for owner, first := range map[string]int{"a@x": 7, "b@x": 7, "d@x": 7} {
			got, _ := archived(t, s, store.ArchiveQuery{Owner: owner})
			ends, err := s.ArchiveEnds(ctx, owner)
			if err != nil || got[0] != first || ends.Count != len(got) {
				t.Errorf("%s: %v, %d are counted: %v", owner, got, ends.Count, err)
			}
		}
		// What was counted as removed makes room: the weight is right.
		var bytes int64
		if err := s.reader.QueryRow(`SELECT bytes FROM archive WHERE owner = 'a@x'`).Scan(&bytes); err != nil {
			t.Fatal(err)
		}
		var want int64
		for _, n := range []int{7, 8, 9} {
			want += weight(len(appended("a@x", n, "", store.ArchiveLimit{}).Message.Tail))
		}
		if bytes != want {
			t.Errorf("the archive weighs %d, want %d", bytes, want)
		}

		for _, room := range []string{"r", "s", "t"} {
			epoch := newRoom(t, s, room)
			var list []store.Message
			for n := range 8 {
				m := message(fmt.Sprint(n))
				if m.At = at(n); room == "s" {
					m.At = at(n + 100)
				}
				list = append(list, m)
			}
			if room == "t" {
				list[1].At = at(50) // the clock was wrong: what stands behind it stays too, or there would be a gap
			}
			mustWrite(t, s, store.Change{Room: room, Epoch: epoch, Messages: list})
		}
		equal(t, "rooms' steps", sweep(5, s.ExpireRoom), []int{3, 2, 1})
		equal(t, "r", history(t, s, "r", 9), []string{"5", "6", "7"})
		equal(t, "s", history(t, s, "s", 9), []string{"0", "1", "2", "3", "4", "5", "6", "7"})
		equal(t, "t", history(t, s, "t", 9), []string{"1", "2", "3", "4", "5", "6", "7"})
		// The room goes on where it was.
		mustWrite(t, s, store.Change{Room: "r", Epoch: 1, Messages: messages("8", "7"), Keep: 3})
		equal(t, "r", history(t, s, "r", 9), []string{"6", "7", "8"})
	})
}

func TestArchivePrefs(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		newAccount(t, s, "a@x", "b@x")
		if _, err := s.ArchivePrefs(ctx, "a@x"); err != store.ErrNotFound {
			t.Errorf("unset: %v", err)
		}
		for _, p := range []store.ArchivePrefs{
			{Default: store.ArchiveAlways}, {Default: store.ArchiveNever, Always: nasty}, {Default: store.ArchiveRoster, Always: []string{"x"}, Never: nasty},
		} {
			if err := s.SetArchivePrefs(ctx, "a@x", p); err != nil {
				t.Fatal(err)
			}
			got, err := s.ArchivePrefs(ctx, "a@x")
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "preferences", got, p)
			owners, list, err := s.ListArchivePrefs(ctx, "", 10)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "owners", owners, []string{"a@x"})
			equal(t, "list", list, []store.ArchivePrefs{p})
		}
		if err := s.SetArchivePrefs(ctx, "b@x", store.ArchivePrefs{Default: store.ArchiveNever}); err != nil {
			t.Fatal(err)
		}
		owners, _, err := s.ListArchivePrefs(ctx, "a@x", 1)
		if err != nil || !slices.Equal(owners, []string{"b@x"}) {
			t.Errorf("behind a@x: %v %v", owners, err)
		}
		for _, bad := range []store.ArchivePrefs{{}, {Default: "x"}, {Default: store.ArchiveNever, Never: []string{"\x00"}}} {
			if err := s.SetArchivePrefs(ctx, "a@x", bad); err != store.ErrInvalid {
				t.Errorf("%+v: %v", bad, err)
			}
		}
		for _, owner := range []string{"nobody@x", "", "\x00"} {
			if err := s.SetArchivePrefs(ctx, owner, store.ArchivePrefs{Default: store.ArchiveNever}); err != store.ErrNotFound {
				t.Errorf("%q: %v", owner, err)
			}
		}
	})
}

func TestRoomArchiveQueries(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		epoch := newRoom(t, s, "r")
		other := newRoom(t, s, "q")
		var list []store.Message
		for n := 1; n <= 9; n++ {
			m := store.Message{ID: fmt.Sprint(n), At: at(n), Sender: "r/" + string(rune('a'+n%3)), Author: "u@x/" + fmt.Sprint(n%2), Subject: n == 5, Tail: []byte{byte(n)}}
			list = append(list, m)
		}
		mustWrite(t, s, store.Change{Room: "r", Epoch: epoch, Messages: list})
		mustWrite(t, s, store.Change{Room: "q", Epoch: other, Messages: messages("1", "x")})
		mustWrite(t, s, store.Change{Room: "r", Epoch: epoch, Messages: []store.Message{{ID: "10", At: at(10), Sender: "r/z"}}, Keep: 9}) // the first one goes
		for i, c := range []struct {
			q    store.ArchiveQuery
			want string
			more bool
		}{
			{store.ArchiveQuery{}, "2 3 4 5 6 7 8 9 10", false},
			{store.ArchiveQuery{Limit: 2}, "2 3", true},
			{store.ArchiveQuery{Limit: 2, Backward: true}, "9 10", true},
			{store.ArchiveQuery{Limit: 2, After: []string{"4"}, Before: []string{"8"}, Backward: true}, "6 7", true},
			{store.ArchiveQuery{IDs: []string{"7", "3"}}, "3 7", false},
			{store.ArchiveQuery{Start: at(0), End: at(3)}, "2 3", false},
			{store.ArchiveQuery{Start: at(8).Add(1)}, "9 10", false},
			{store.ArchiveQuery{Start: at(11)}, "", false},
			{store.ArchiveQuery{End: at(1)}, "", false},
			{store.ArchiveQuery{With: "r"}, "2 3 4 5 6 7 8 9 10", false},
			{store.ArchiveQuery{With: "r/a"}, "3 6 9", false},
			{store.ArchiveQuery{With: "u@x"}, "2 3 4 5 6 7 8 9", false},
			{store.ArchiveQuery{With: "u@x/0"}, "2 4 6 8", false},
			{store.ArchiveQuery{With: "u@"}, "", false},
			{store.ArchiveQuery{With: "\xff"}, "", false},
			{store.ArchiveQuery{Owner: "nowhere"}, "", false},
		} {
			if c.q.Owner == "" {
				c.q.Owner = "r"
			}
			if c.q.Limit == 0 {
				c.q.Limit = 100
			}
			page, more, err := s.RoomPage(ctx, c.q)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range page {
				got = append(got, m.ID)
			}
			if strings.Join(got, " ") != c.want || more != c.more {
				t.Errorf("case %d: got %v, more %v", i, got, more)
			}
			n, err := s.RoomCount(ctx, c.q)
			if err != nil || n < len(got) || n > len(got) && !more {
				t.Errorf("case %d: %d are counted: %v", i, n, err)
			}
		}
		page, _, err := s.RoomPage(ctx, store.ArchiveQuery{Owner: "r", Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "message", page, []store.Archived{{ID: "2", At: at(2), Peer: "r/c", Author: "u@x/0", Tail: []byte{2}}})
		for _, q := range []store.ArchiveQuery{
			{After: []string{"1"}}, {Before: []string{"x"}}, {IDs: []string{"3", "11"}}, {IDs: []string{"\x00"}}, {Owner: "nowhere", After: []string{"3"}},
		} {
			if q.Owner == "" {
				q.Owner = "r"
			}
			if _, _, err := s.RoomPage(ctx, q); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%+v: %v", q, err)
			}
		}
		ends, err := s.RoomEnds(ctx, "r")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "ends", ends, store.ArchiveEnds{First: store.Archived{ID: "2", At: at(2)}, Last: store.Archived{ID: "10", At: at(10)}, Count: 9})
		if ends, err := s.RoomEnds(ctx, "nowhere"); err != nil || ends.Count != 0 || ends.Last.ID != "" {
			t.Errorf("ends of nothing: %+v %v", ends, err)
		}
		// What newcomers are given has no subjects in it.
		equal(t, "history", history(t, s, "r", 5), []string{"6", "7", "8", "9", "10"})
		equal(t, "whole history", history(t, s, "r", 50), []string{"2", "3", "4", "6", "7", "8", "9", "10"})
	})
}
