package sqlstore

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"parley/internal/store"
)

// upload is a file of juliet's, of 10 bytes.
func upload(id string, ms int) store.Upload {
	return store.Upload{ID: id, Owner: "juliet@localhost", Name: "rose.jpg", Type: "image/jpeg", Size: 10, At: at(ms)}
}

var lots = store.UploadQuota{Bytes: 1000, Files: 100}

func TestUploads(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := newJuliet(t, s)
		u := upload("a", 1000)
		for _, c := range []struct {
			what string
			err  error
			want error
		}{
			{"a slot", s.AddUpload(ctx, u, lots), nil},
			{"its id again", s.AddUpload(ctx, upload("a", 2000), lots), store.ErrExists},
			{"nobody's", s.AddUpload(ctx, store.Upload{ID: "x", Owner: "nobody@localhost"}, lots), store.ErrNotFound},
			{"with NUL", s.AddUpload(ctx, store.Upload{ID: "x", Owner: "juliet@localhost", Name: "\x00"}, lots), store.ErrInvalid},
			{"negative", s.AddUpload(ctx, store.Upload{ID: "x", Owner: "juliet@localhost", Size: -1}, lots), store.ErrInvalid},
			{"stored", s.StoreUpload(ctx, "a"), nil},
			{"stored again", s.StoreUpload(ctx, "a"), store.ErrExists},
			{"stored without a slot", s.StoreUpload(ctx, "b"), store.ErrNotFound},
		} {
			if c.err != c.want {
				t.Errorf("%s: %v, want %v", c.what, c.err, c.want)
			}
		}
		u.Stored = true
		got, err := s.Upload(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "as it was added", got, u)
		if _, err := s.Upload(ctx, "b"); err != store.ErrNotFound {
			t.Errorf("one that is not there: %v", err)
		}
		if oldest, err := s.OldestUpload(ctx, u.Owner); err != nil || !oldest.Equal(at(1000)) {
			t.Errorf("oldest: %v %v", oldest, err)
		}
		if oldest, err := s.OldestUpload(ctx, "nobody@localhost"); err != nil || !oldest.IsZero() {
			t.Errorf("oldest of nobody: %v %v", oldest, err)
		}
	})
}

func TestUploadQuotaCountsFilesAndSlots(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := newJuliet(t, s)
		add := func(id string, q store.UploadQuota) error { return s.AddUpload(ctx, upload(id, 0), q) }
		if err := errors.Join(add("file", lots), s.StoreUpload(ctx, "file"), add("slot", lots)); err != nil {
			t.Fatal(err)
		}
		if err := add("three", store.UploadQuota{Bytes: 29, Files: 10}); !errors.Is(err, store.ErrQuota) {
			t.Errorf("30 of 29 bytes: %v", err)
		}
		if err := add("three", store.UploadQuota{Bytes: 1000, Files: 2}); !errors.Is(err, store.ErrQuota) {
			t.Errorf("3 of 2 files: %v", err)
		}
		if err := add("three", store.UploadQuota{Bytes: 30, Files: 3}); err != nil {
			t.Errorf("up to the quota: %v", err)
		}
		if err := errors.Join(s.RemoveUploads(ctx, []string{"slot"}), add("four", store.UploadQuota{Bytes: 30, Files: 3})); err != nil {
			t.Errorf("after another was removed: %v", err)
		}
	})
}

func TestUploadsOutliveTheirAccountUntilTheyAreRemoved(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := newJuliet(t, s)
		if err := s.CreateAccount(ctx, store.Account{Addr: "romeo@localhost"}); err != nil {
			t.Fatal(err)
		}
		left := upload("left", 9000)
		left.Owner = "romeo@localhost"
		for _, u := range []store.Upload{upload("old", 1000), upload("new", 5000), upload("slot", 3000), upload("fresh", 6000), left} {
			if err := s.AddUpload(ctx, u, lots); err != nil {
				t.Fatal(err)
			}
		}
		for _, id := range []string{"old", "new", "left"} {
			if err := s.StoreUpload(ctx, id); err != nil {
				t.Fatal(err)
			}
		}
		stale := func(limit int) []string {
			t.Helper()
			ids, err := s.StaleUploads(ctx, at(2000), at(4000), limit)
			if err != nil {
				t.Fatal(err)
			}
			return ids
		}
		if got := stale(10); !slices.Equal(got, []string{"old", "slot"}) {
			t.Errorf("stale: %q", got)
		}
		if err := s.DeleteAccount(ctx, "romeo@localhost"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Upload(ctx, "left"); err != store.ErrNotFound {
			t.Errorf("of a deleted account: %v", err)
		}
		if err := s.StoreUpload(ctx, "left"); err != store.ErrNotFound {
			t.Errorf("stored for a deleted account: %v", err)
		}
		if err := s.CreateAccount(ctx, store.Account{Addr: "romeo@localhost"}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Upload(ctx, "left"); err != store.ErrNotFound {
			t.Errorf("a new account of that name has the files of the old one: %v", err)
		}
		if got := stale(10); !slices.Equal(got, []string{"old", "slot", "left"}) {
			t.Errorf("stale: %q", got)
		}
		if got := stale(1); !slices.Equal(got, []string{"old"}) {
			t.Errorf("one that is stale: %q", got)
		}
		if err := s.RemoveUploads(ctx, []string{"old", "slot", "left", "never there"}); err != nil {
			t.Fatal(err)
		}
		if got := stale(10); len(got) != 0 {
			t.Errorf("after their removal: %q", got)
		}
		if _, err := s.Upload(ctx, "new"); err != nil {
			t.Errorf("the others: %v", err)
		}
	})
}

func TestPushes(t *testing.T) {
	eachStore(t, func(t *testing.T, s *db) {
		ctx := newJuliet(t, s)
		push := func(node, options string, ms int) store.Push {
			return store.Push{Owner: "juliet@localhost", Service: "push.example", Node: node, Session: "juliet@localhost/phone", Options: []byte(options), At: at(ms)}
		}
		want := func(what string, err, wantErr error, nodes ...string) {
			t.Helper()
			if err != wantErr {
				t.Errorf("%s: %v, want %v", what, err, wantErr)
			}
			list, err := s.ListPushes(ctx)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range list {
				got = append(got, p.Node+" "+string(p.Options))
			}
			if !slices.Equal(got, nodes) {
				t.Errorf("%s: %q, want %q", what, got, nodes)
			}
		}
		want("none", nil, nil)
		want("one", s.SetPush(ctx, push("a", "<x/>", 2000)), nil, "a <x/>")
		list, err := s.ListPushes(ctx)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "as it was set", list[0], push("a", "<x/>", 2000))
		want("an older, without node", s.SetPush(ctx, push("", "", 1000)), nil, " ", "a <x/>")
		want("set again", s.SetPush(ctx, push("a", "<y/>", 500)), nil, "a <y/>", " ")
		stranger := push("a", "", 1)
		stranger.Owner = "nobody@localhost"
		want("of nobody", s.SetPush(ctx, stranger), store.ErrNotFound, "a <y/>", " ")
		want("too long a key", s.SetPush(ctx, push(strings.Repeat("n", pushKey), "", 1)), store.ErrInvalid, "a <y/>", " ")
		want("a long one", s.SetPush(ctx, push(strings.Repeat("n", pushKey-20), "", 1)), nil, strings.Repeat("n", pushKey-20)+" ", "a <y/>", " ")
		want("removed", errors.Join(s.RemovePush(ctx, stranger.Owner, "push.example", "a"), s.RemovePush(ctx, "juliet@localhost", "push.example", strings.Repeat("n", pushKey-20)),
			s.RemovePush(ctx, "juliet@localhost", "push.example", "a")), nil, " ")
		want("with the account", s.DeleteAccount(ctx, "juliet@localhost"), nil)
	})
}

func TestUploadsSurviveANewStart(t *testing.T) {
	each(t, func(t *testing.T, url string) {
		s, err := Open(context.Background(), url, Options{})
		if err != nil {
			t.Fatal(err)
		}
		ctx := newJuliet(t, s.(*db))
		if err := errors.Join(s.AddUpload(ctx, upload("a", 1), lots), s.StoreUpload(ctx, "a"), s.Close()); err != nil {
			t.Fatal(err)
		}
		again := mustOpen(t, url, Options{})
		if u, err := again.Upload(ctx, "a"); err != nil || !u.Stored {
			t.Errorf("%+v %v", u, err)
		}
		if err := again.AddUpload(ctx, upload("b", 2), store.UploadQuota{Bytes: 19, Files: 10}); !errors.Is(err, store.ErrQuota) {
			t.Errorf("the quota: %v", err)
		}
	})
}
