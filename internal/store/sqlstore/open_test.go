package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/peertest"
	"parley/internal/store"
)

// refused opens a store that must not open, and checks what the error says and does not say.
func refused(t *testing.T, url string, o Options, words ...string) {
	t.Helper()
	s, err := Open(context.Background(), url, o)
	if err == nil {
		s.Close()
		t.Errorf("%q was opened", url)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q: the error does not say %q: %v", url, word, err)
		}
	}
	if strings.Contains(err.Error(), "s3cr") {
		t.Errorf("%q: the error shows the password: %v", url, err)
	}
}

func TestReopenedStoreHasEverything(t *testing.T) {
	each(t, func(t *testing.T, url string) {
		ctx := context.Background()
		s, err := Open(ctx, url, Options{})
		if err != nil {
			t.Fatal(err)
		}
		epoch := newRoom(t, s, "r")
		answered := make(chan error, 50)
		for i := range 50 {
			s.Write(store.Change{Room: "r", Epoch: epoch, Messages: messages(fmt.Sprint(i))}, func(err error) { answered <- err })
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for range 50 {
			if err := <-answered; err != nil {
				t.Errorf("a change that was queued before Close: %v", err)
			}
		}
		s = mustOpen(t, url, Options{})
		if got := history(t, s, "r", 100); len(got) != 50 || got[0] != "0" || got[49] != "49" {
			t.Errorf("history is %v", got)
		}
		if got := mustClaim(t, s, "r"); got != epoch+1 {
			t.Errorf("epoch %d after %d", got, epoch)
		}
	})
}

func TestClosedStoreSaysSo(t *testing.T) {
	each(t, func(t *testing.T, url string) {
		ctx := context.Background()
		s, err := Open(ctx, url, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		_, _, roomErr := s.Room(ctx, "a")
		for what, err := range map[string]error{
			"Account": second(s.Account(ctx, "a")), "CreateAccount": s.CreateAccount(ctx, store.Account{Addr: "a"}),
			"SetCredentials": s.SetCredentials(ctx, "a", nil), "DisableAccount": s.DisableAccount(ctx, "a", true),
			"DeleteAccount": s.DeleteAccount(ctx, "a"), "ListAccounts": second(s.ListAccounts(ctx, "", 1)),
			"Claim": second(s.Claim(ctx, "a", "n")), "Room": roomErr, "History": second(s.History(ctx, "a", 1)),
			"ListRooms": second(s.ListRooms(ctx, "", 1)), "Ping": s.Ping(ctx),
			"Write": write1(s, store.Change{Room: "a"}),
		} {
			if err != store.ErrClosed {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}

func TestCloseUnderLoad(t *testing.T) {
	each(t, func(t *testing.T, url string) {
		ctx := context.Background()
		s, err := Open(ctx, url, Options{})
		if err != nil {
			t.Fatal(err)
		}
		epoch := newRoom(t, s, "r")
		var acknowledged []string
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprint(i)
				if err := write1(s, store.Change{Room: "r", Epoch: epoch, Messages: messages(id)}); err == store.ErrClosed {
					return
				} else if err != nil {
					t.Error(err)
				}
				acknowledged = append(acknowledged, id)
			}
		})
		wg.Go(func() {
			for {
				if _, err := s.History(ctx, "r", 5); err == store.ErrClosed {
					return
				} else if err != nil {
					t.Error(err)
				}
			}
		})
		time.Sleep(50 * time.Millisecond)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
		equal(t, "history", history(t, mustOpen(t, url, Options{}), "r", 1e6), acknowledged)
	})
}

func TestNewerSchemaIsRefused(t *testing.T) {
	each(t, func(t *testing.T, url string) {
		s := mustOpen(t, url, Options{})
		if _, err := s.writer.Exec(`INSERT INTO schema_version (version_id, is_applied) VALUES (999, $1)`, true); err != nil {
			t.Fatal(err)
		}
		s.Close()
		refused(t, url, Options{}, "version 999", "run the newer parley")
		refused(t, url, Options{}, "version 999") // and nothing was left locked
	})
}

func TestBadURLsAreRefused(t *testing.T) {
	dir := t.TempDir()
	noDatabase := filepath.Join(dir, "text.db")
	if err := os.WriteFile(noDatabase, []byte(strings.Repeat("This is no database. ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for url, words := range map[string][]string{
		"":                                   {"sqlite: or postgres://"},
		"mysql://u:s3cret@h/":                {"sqlite: or postgres://"},
		"sqlite:":                            {"names no file"},
		"sqlite://":                          {"names no file"},
		"sqlite::memory:":                    {"not the path of a file"},
		"sqlite:a.db?_pragma=synchronous(0)": {"not the path of a file"},
		"sqlite:" + filepath.Join(dir, "missing", "a.db"): {"missing", "no such file or directory"},
		"sqlite:" + dir:        {"not a file"},
		"sqlite:" + noDatabase: {noDatabase, "no SQLite database"},

		"postgres://u:s3cr%zz@localhost/d":                    {"percent-encoded"},
		"postgres://u:s3cr/et@localhost/d":                    {"percent-encoded"},
		"postgres://u:s3cret@localhost/d?sslmode=s3cr":        {"refuses"},
		"postgres://u:s3cret@127.0.0.1:1/d":                   {"d at 127.0.0.1", "is it running?"},
		"postgresql://127.0.0.1:1/d?user=u&password=s3cret":   {"d at 127.0.0.1", "is it running?"},
		"postgres:///d?host=" + dir + "&user=u&password=s3cr": {"is it running?"},
	} {
		refused(t, url, Options{Patience: 100 * time.Millisecond}, words...)
	}
}

func TestPostgresWithoutDatabaseIsRefused(t *testing.T) {
	url := peertest.Postgres(t).Database(t)
	before, after, _ := strings.Cut(url, "?")
	refused(t, before+"missing?"+after, Options{}, "create the database first")
	refused(t, url+"&password=s3cret&no_such_setting=s3cr", Options{})
}

func TestSQLiteFileIsPrivate(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{"plain.db", "with space.db", "100%.db", "a#b;c&d=e.db", "ü.db", "it's.db"} {
		path = filepath.Join(dir, path)
		s := mustOpen(t, "sqlite://"+path, Options{})
		newRoom(t, s, "r")
		for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
			info, err := os.Stat(path + suffix)
			if err != nil {
				t.Error(err)
			} else if info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v", path+suffix, info.Mode())
			}
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 6*4 {
		t.Errorf("files elsewhere: %v", entries)
	}
}

func TestSQLiteRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	s := mustOpen(t, "sqlite:parley.db", Options{})
	newRoom(t, s, "r")
	if _, err := os.Stat("parley.db-wal"); err != nil {
		t.Error(err)
	}
}

func TestSQLiteSettings(t *testing.T) {
	s := mustOpen(t, databases()["sqlite"](t), Options{Patience: 1234 * time.Millisecond})
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "1234", "trusted_schema": "0",
	} {
		for name, pool := range map[string]*sql.DB{"writer": s.writer, "reader": s.reader} {
			var got string
			if err := pool.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s: %s is %q, want %q (%v)", name, pragma, got, want, err)
			}
		}
	}
	if _, err := s.reader.Exec(`UPDATE ping SET at = 1`); err == nil {
		t.Error("a reader wrote")
	}
}

func TestPostgresSettings(t *testing.T) {
	url := peertest.Postgres(t).Database(t)
	for query, want := range map[string]string{
		"": "on 10s parley", "&synchronous_commit=local&application_name=a": "local 10s a",
	} {
		s := mustOpen(t, url+query, Options{})
		var got string
		err := s.writer.QueryRow(`SELECT current_setting('synchronous_commit') || ' ' ||
			current_setting('idle_in_transaction_session_timeout') || ' ' || current_setting('application_name')`).Scan(&got)
		if err != nil || got != want {
			t.Errorf("%q: settings are %q, want %q (%v)", query, got, want, err)
		}
	}
}

func TestSQLiteOpensOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "parley.db")
	s := mustOpen(t, "sqlite:"+path, Options{})
	link := filepath.Join(dir, "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"sqlite:" + path, "sqlite://" + dir + "/./parley.db", "sqlite:" + link} {
		refused(t, url, Options{}, path, "in use by process "+fmt.Sprint(os.Getpid()))
	}
	newRoom(t, s, "r") // the refused ones have not taken SQLite's own locks away
	s.Close()
	mustOpen(t, "sqlite:"+link, Options{})
}

func TestSQLiteLockedByAnotherProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "parley.db")
	mustOpen(t, "sqlite:"+path, Options{}).Close()
	other, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	other.SetMaxOpenConns(1)
	lock := func() {
		t.Helper()
		if _, err := other.Exec(`BEGIN EXCLUSIVE`); err != nil {
			t.Fatal(err)
		}
	}
	lock()
	refused(t, "sqlite:"+path, Options{Patience: 50 * time.Millisecond}, path, "another program holds the file locked")
	if _, err := other.Exec(`ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, "sqlite:"+path, Options{Patience: 50 * time.Millisecond})
	epoch := newRoom(t, s, "r")
	lock()
	if err := write1(s, store.Change{Room: "r", Epoch: epoch, Messages: messages("1")}); err == nil {
		t.Error("written while locked")
	}
	if err := s.Ping(context.Background()); err == nil {
		t.Error("Ping while locked")
	}
	if _, err := other.Exec(`ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, s, store.Change{Room: "r", Epoch: epoch, Messages: messages("2")})
	equal(t, "history", history(t, s, "r", 9), []string{"2"})
}

func TestHF9SQLiteWithoutSpaceRecovers(t *testing.T) {
	s := mustOpen(t, databases()["sqlite"](t), Options{})
	epoch := newRoom(t, s, "r")
	if _, err := s.writer.Exec(`PRAGMA max_page_count = 40`); err != nil { // holds for this one connection
		t.Fatal(err)
	}
	large := store.Change{Room: "r", Epoch: epoch, Messages: []store.Message{{ID: "1", Tail: make([]byte, 1<<20)}}}
	// The connection is given up after the first failure, so the second attempt finds space again.
	mustWrite(t, s, large)
	equal(t, "history", history(t, s, "r", 9), []string{"1"})
}

func TestNodesMayStartAtOnce(t *testing.T) {
	url := peertest.Postgres(t).Database(t)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			s, err := Open(context.Background(), url, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
