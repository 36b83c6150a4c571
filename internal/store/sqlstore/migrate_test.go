package sqlstore

import (
	"context"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pressly/goose/v3"

	"parley/internal/store"
)

// What was archived before messages lay in the order in which they come is found afterwards, and goes with its account.
func TestMessagesOfOlderArchivesAreKept(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "parley.db")
	src, err := sqliteSource(path, Options{Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := src.connect(migrating)
	if err != nil {
		t.Fatal(err)
	}
	folder, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, pool, folder, goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(ctx, 5); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		`INSERT INTO account (addr, disabled, created) VALUES ('a@x', 0, 0), ('b@x', 0, 0)`,
		`INSERT INTO archive (archive, owner, latest, messages, bytes, mark) VALUES (1, 'a@x', 0, 3, 0, 0), (2, 'b@x', 0, 3, 0, 0)`,
	} {
		if _, err := pool.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 3 {
		for _, key := range []int{1, 2} {
			id, _ := messageID(archiveID(n))
			if _, err := pool.Exec(`INSERT INTO archive_message (archive, id, peer, resource, tail) VALUES (?, ?, 'p@x', 'r', ?)`, key, id[:], appended("a@x", n, "p@x", store.ArchiveLimit{}).Message.Tail); err != nil {
				t.Fatal(err)
			}
		}
	}
	pool.Close()
	src.release()

	s := mustOpen(t, "sqlite:"+path, Options{})
	for _, owner := range []string{"a@x", "b@x"} {
		for _, with := range []string{"", "p@x/r"} {
			if got, more := archived(t, s, store.ArchiveQuery{Owner: owner, With: with}); !slices.Equal(got, []int{0, 1, 2}) || more {
				t.Errorf("the archive of %s with %q holds %v, more %v", owner, with, got, more)
			}
		}
	}
	if err := append1(s, appended("b@x", 3, "p@x/r", store.ArchiveLimit{})); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteAccount(ctx, "a@x"); err != nil {
		t.Fatal(err)
	}
	if n := rowsOf(t, s); n != 4 {
		t.Errorf("%d messages are left, 4 are of the account that is left", n)
	}
}

// rowsOf counts the messages of all archives.
func rowsOf(t *testing.T, s *db) (n int) {
	t.Helper()
	if err := s.reader.QueryRow(`SELECT COUNT(*) FROM archive_message`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
