package sqlstore

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/internal/peertest"
	"parley/internal/store"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		child(url)
		return
	}
	if url := os.Getenv(archivingURL); url != "" {
		archivingChild(url)
		return
	}
	goleak.VerifyTestMain(peertest.Stopping(m))
}

// databases returns for each kind of database a function that gives the test an empty one.
func databases() map[string]func(testing.TB) string {
	return map[string]func(testing.TB) string{
		"sqlite":   func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "parley.db") },
		"postgres": func(t testing.TB) string { return peertest.Postgres(t).Database(t) },
	}
}

// each runs a test on an empty database of each kind, on all at once: they spend their time waiting for the disk.
func each(t *testing.T, test func(t *testing.T, url string)) {
	for name, fresh := range databases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, fresh(t))
		})
	}
}

// eachStore runs a test on an empty store of each kind.
func eachStore(t *testing.T, test func(t *testing.T, s *db)) {
	each(t, func(t *testing.T, url string) { test(t, mustOpen(t, url, Options{})) })
}

func mustOpen(t testing.TB, url string, o Options) *db {
	t.Helper()
	s, err := Open(context.Background(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s.(*db)
}

// write1 writes a change and waits.
func write1(s store.Store, c store.Change) error {
	done := make(chan error, 1)
	s.Write(c, func(err error) { done <- err })
	return <-done
}

func mustWrite(t testing.TB, s store.Store, c store.Change) {
	t.Helper()
	if err := write1(s, c); err != nil {
		t.Fatalf("write: %v", err)
	}
}

// writeAll queues changes at once, waits, and returns what became of them.
func writeAll(s store.Store, changes ...store.Change) []error {
	results := make([]error, len(changes))
	done := make(chan struct{}, len(changes))
	for i, c := range changes {
		s.Write(c, func(err error) { results[i] = err; done <- struct{}{} })
	}
	for range changes {
		<-done
	}
	return results
}

func mustClaim(t testing.TB, s store.Store, addr string) int64 {
	t.Helper()
	epoch, err := s.Claim(context.Background(), addr, "node")
	if err != nil {
		t.Fatal(err)
	}
	return epoch
}

// newRoom claims and puts a room and returns the epoch.
func newRoom(t testing.TB, s store.Store, addr string) int64 {
	t.Helper()
	epoch := mustClaim(t, s, addr)
	mustWrite(t, s, store.Change{Room: addr, Epoch: epoch, Put: &store.Room{Addr: addr, Created: at(0)}})
	return epoch
}

func message(id string) store.Message {
	return store.Message{ID: id, At: at(1), Sender: "r@muc.localhost/romeo", Tail: []byte("<body>" + id + "</body>")}
}

func messages(ids ...string) (list []store.Message) {
	for _, id := range ids {
		list = append(list, message(id))
	}
	return list
}

// history returns the ids of a room's messages.
func history(t testing.TB, s store.Store, addr string, limit int) []string {
	t.Helper()
	list, err := s.History(context.Background(), addr, limit)
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{}
	for _, m := range list {
		ids = append(ids, m.ID)
	}
	return ids
}

func at(ms int) time.Time {
	return time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(ms) * time.Millisecond)
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// nasty are texts that break a careless statement.
var nasty = []string{
	`'; DROP TABLE room; --`, `"; DELETE FROM account; --`, `\`, `\'`, `''`, `$1`, `?`, `:a @b`, `%_*`, `{"a"}`, `\x00`, `\\000`,
	"line\nbreak\r\ttab", "\x01\x7f", "zero\u200bwidth", "Zoë 😀 \u202e", "NULL", " ", "/* */", "E'\\x'", strings.Repeat("ü", 1000),
}

func TestFieldsAreKeptAsTheyAre(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		for i, text := range nasty {
			raw := append([]byte(text), 0, 0xFF, 0xC0, byte(i), '\\', '\'')
			account := store.Account{Addr: text, Created: at(i), Disabled: i%2 == 0, Credentials: []store.Credential{
				{Mechanism: text[:min(len(text), 4)], Salt: raw, Iterations: 1<<31 - 1 - i, StoredKey: raw[1:], ServerKey: raw[2:]},
			}}
			if err := s.CreateAccount(ctx, account); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			got, err := s.Account(ctx, text)
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			equal(t, "account", got, account)

			room := store.Room{Addr: text, Config: raw, Created: at(i), Subject: raw[1:], SubjectAt: at(-i)}
			affiliations := []store.Affiliation{{Addr: text, Name: "outcast", Nick: text, Reason: text}}
			list := []store.Message{{ID: text, At: at(i), Sender: text, Tail: raw}}
			epoch, err := s.Claim(ctx, text, text)
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			mustWrite(t, s, store.Change{Room: text, Epoch: epoch, Put: &room, Affiliations: affiliations, Messages: list})
			gotRoom, gotAffiliations, err := s.Room(ctx, text)
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			equal(t, "room", gotRoom, room)
			equal(t, "affiliations", gotAffiliations, affiliations)
			gotList, err := s.History(ctx, text, 10)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "history", gotList, list)
		}
		accounts, err := s.ListAccounts(ctx, "", 1000)
		if err != nil || len(accounts) != len(nasty) {
			t.Errorf("%d of %d accounts are there: %v", len(accounts), len(nasty), err)
		}
		rooms, err := s.ListRooms(ctx, "", 1000)
		if err != nil || len(rooms) != len(nasty) {
			t.Errorf("%d of %d rooms are there: %v", len(rooms), len(nasty), err)
		}
	})
}

func TestBytesMayBeMissingEmptyOrLarge(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		large := make([]byte, 3<<20)
		for i := range large {
			large[i] = byte(i * 7)
		}
		for i, raw := range [][]byte{nil, {}, {0}, large} {
			addr := fmt.Sprint(i)
			room := store.Room{Addr: addr, Config: raw, Created: at(0), Subject: raw}
			list := []store.Message{{ID: "a", At: at(0), Tail: raw}}
			mustWrite(t, s, store.Change{Room: addr, Epoch: mustClaim(t, s, addr), Put: &room, Messages: list})
			if len(raw) == 0 { // empty comes back as missing
				room.Config, room.Subject, list[0].Tail = nil, nil, nil
			}
			gotRoom, _, err := s.Room(ctx, addr)
			if err != nil || !reflect.DeepEqual(gotRoom, room) {
				t.Errorf("case %d: another room came back: %v", i, err)
			}
			gotList, err := s.History(ctx, addr, 1)
			if err != nil || !reflect.DeepEqual(gotList, list) {
				t.Errorf("case %d: another message came back: %v", i, err)
			}
			if len(raw) > 1 {
				continue
			}
			account := store.Account{Addr: addr, Created: at(0), Credentials: []store.Credential{{Mechanism: "A", Salt: raw}}}
			if err := s.CreateAccount(ctx, account); err != nil {
				t.Fatal(err)
			}
			if len(raw) == 0 {
				account.Credentials[0].Salt = nil
			}
			gotAccount, err := s.Account(ctx, addr)
			if err != nil || !reflect.DeepEqual(gotAccount, account) {
				t.Errorf("case %d: another account came back: %v", i, err)
			}
		}
	})
}

func TestTimesAreUTCMilliseconds(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		for i, given := range []time.Time{
			{}, time.Unix(0, 0), at(0).Add(999_999 * time.Nanosecond), time.Unix(-1, 999_999_999),
			at(0).In(time.FixedZone("", 5400)), time.Date(9999, 12, 31, 23, 59, 59, 999_000_000, time.UTC),
		} {
			addr := fmt.Sprint("user", i)
			if err := s.CreateAccount(ctx, store.Account{Addr: addr, Created: given}); err != nil {
				t.Fatal(err)
			}
			a, err := s.Account(ctx, addr)
			if err != nil {
				t.Fatal(err)
			}
			if want := given.UTC().Truncate(time.Millisecond); a.Created != want {
				t.Errorf("%v came back as %v, want %v", given, a.Created, want)
			}
		}
	})
}

func TestUnstorableTextIsRefused(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		epoch := newRoom(t, s, "r")
		for _, bad := range []string{"a\x00b", "\x00", "\xff", "a\xc0\x80", strings.Repeat("x", keyLimit+1), ""} {
			is := func(what string, got, want error) {
				t.Helper()
				if got != want {
					t.Errorf("%s with %.9q: got error %v, want %v", what, bad, got, want)
				}
			}
			_, err := s.Account(ctx, bad)
			is("Account", err, store.ErrNotFound)
			is("CreateAccount", s.CreateAccount(ctx, store.Account{Addr: bad}), store.ErrInvalid)
			is("CreateAccount", s.CreateAccount(ctx, store.Account{Addr: "m", Credentials: []store.Credential{{Mechanism: bad}}}), store.ErrInvalid)
			is("SetCredentials", s.SetCredentials(ctx, bad, nil), store.ErrNotFound)
			is("DisableAccount", s.DisableAccount(ctx, bad, true), store.ErrNotFound)
			is("DeleteAccount", s.DeleteAccount(ctx, bad), store.ErrNotFound)
			_, err = s.Claim(ctx, bad, "node")
			is("Claim", err, store.ErrInvalid)
			_, _, err = s.Room(ctx, bad)
			is("Room", err, store.ErrNotFound)
			_, err = s.History(ctx, bad, 5)
			is("History", err, nil)
			is("Write", write1(s, store.Change{Room: bad, Epoch: 1, Put: &store.Room{Addr: bad}}), store.ErrInvalid)
			is("Write affiliation", write1(s, store.Change{Room: "r", Epoch: epoch,
				Affiliations: []store.Affiliation{{Addr: bad, Name: "owner"}}}), store.ErrInvalid)
			is("Write affiliation", write1(s, store.Change{Room: "r", Epoch: epoch,
				Affiliations: []store.Affiliation{{Addr: "a", Name: bad}}}), store.ErrInvalid)
			is("Write message", write1(s, store.Change{Room: "r", Epoch: epoch,
				Messages: []store.Message{{ID: bad}}}), store.ErrInvalid)
			if len(bad) > keyLimit || bad == "" {
				continue // good texts, though no keys
			}
			_, err = s.ListAccounts(ctx, bad, 1)
			is("ListAccounts", err, store.ErrInvalid)
			_, err = s.ListRooms(ctx, bad, 1)
			is("ListRooms", err, store.ErrInvalid)
			_, err = s.Claim(ctx, "r", bad)
			is("Claim owner", err, store.ErrInvalid)
			is("Write nick", write1(s, store.Change{Room: "r", Epoch: epoch,
				Affiliations: []store.Affiliation{{Addr: "a", Name: "owner", Nick: bad}}}), store.ErrInvalid)
			is("Write reason", write1(s, store.Change{Room: "r", Epoch: epoch,
				Affiliations: []store.Affiliation{{Addr: "a", Name: "owner", Reason: bad}}}), store.ErrInvalid)
			is("Write sender", write1(s, store.Change{Room: "r", Epoch: epoch,
				Messages: []store.Message{{ID: "a", Sender: bad}}}), store.ErrInvalid)
		}
		if _, affiliations, err := s.Room(ctx, "r"); err != nil || len(affiliations) != 0 {
			t.Errorf("something was stored: %v %v", affiliations, err)
		}
	})
}

func TestLongestKeysFit(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := context.Background()
		key := func(seed uint32) string { // of random characters, or PostgreSQL would compress it
			b := make([]byte, keyLimit)
			for i := range b {
				seed = seed*1664525 + 1013904223
				b[i] = '!' + byte(seed>>24)%94
			}
			return string(b)
		}
		room, user, id := key(1), key(2), key(3)
		if err := s.CreateAccount(ctx, store.Account{Addr: user, Credentials: []store.Credential{{Mechanism: key(4)[:64]}}}); err != nil {
			t.Error(err)
		}
		epoch := newRoom(t, s, room)
		mustWrite(t, s, store.Change{Room: room, Epoch: epoch, Messages: messages(id),
			Affiliations: []store.Affiliation{{Addr: user, Name: "member"}}})
		equal(t, "history", history(t, s, room, 2), []string{id})
	})
}
