package sqlstore

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"
	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// What the writing connection holds of the database in memory, and how much is written ahead before it is written back: the
// pages that messages of a busy hour go to are neither read again nor written back for each batch.
const (
	cacheKiB        = 16 << 10
	checkpointPages = 4000 // of 4 KiB
)

// walLimit is what the file beside the database shrinks to when it has been written back.
const walLimit = 64 << 20

func sqliteSource(path string, o Options) (source, error) {
	switch {
	case path == "":
		return source{}, errors.New("sqlite: names no file")
	case path == ":memory:", strings.ContainsAny(path, "?\x00"):
		return source{}, fmt.Errorf("%q is not the path of a file", path)
	}
	path, err := createFile(path)
	if err != nil {
		return source{}, err
	}
	release, err := lockFile(path)
	if err != nil {
		return source{}, err
	}
	return source{
		dialect: &dialect{
			name:       "sqlite",
			goose:      goose.DialectSQLite3,
			unnumbered: true,
			fault:      sqliteFault,
			explain:    sqliteExplain,
		},
		shown:   path,
		connect: func(r role) (*sql.DB, error) { return sqliteConnect(path, r, o) },
		release: release,
	}, nil
}

// createFile creates the database's file, for nobody else to read, if it is not there yet, and returns its path without
// symbolic links. An existing file is not even opened: closing it would drop the locks that SQLite holds on it in this
// process.
func createFile(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	switch {
	case err == nil:
		err = f.Close()
	case errors.Is(err, os.ErrExist):
		err = nil
	}
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(path); err != nil {
		return "", err
	} else if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a file", path)
	}
	return path, nil
}

// lockFile keeps other processes, and this one, from opening the database twice: caches and epochs of a second one
// would go unnoticed. The lock lies on a file beside it, which stays, and ends with the process.
func lockFile(path string) (release func(), err error) {
	f, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		owner := "another process"
		pid := make([]byte, 32)
		if n, _ := io.ReadFull(f, pid); n > 0 {
			owner = "process " + strings.TrimSpace(string(pid[:n]))
		}
		return nil, fmt.Errorf("%s is in use by %s: stop that one, or name another file", path, owner)
	}
	// The number is only for the message above.
	f.Truncate(0)
	fmt.Fprintln(f, os.Getpid())
	return func() {
		// Closing alone is not enough while a child process that is just being started has a copy of the descriptor.
		unix.Flock(int(f.Fd()), unix.LOCK_UN)
		f.Close()
	}, nil
}

func sqliteConnect(path string, r role, o Options) (*sql.DB, error) {
	options := url.Values{
		"_busy_timeout": {strconv.FormatInt(o.Patience.Milliseconds(), 10)},
		"_foreign_keys": {"on"},
		"_synchronous":  {"FULL"},
		"_defensive":    {"1"},
		"_dqs":          {"0"},
		"_error_rc":     {"1"},
		"_pragma":       {"trusted_schema(0)"},
	}
	if r == reading {
		options.Set("_query_only", "on")
	} else {
		options.Set("_journal_mode", "WAL")
		options.Set("_txlock", "immediate")
		options.Add("_pragma", fmt.Sprintf("journal_size_limit(%d)", walLimit))
		options.Add("_pragma", fmt.Sprintf("cache_size(-%d)", cacheKiB))
		options.Add("_pragma", fmt.Sprintf("wal_autocheckpoint(%d)", checkpointPages))
	}
	connector, err := sqlite.NewConnector((&url.URL{Scheme: "file", Path: path, RawQuery: options.Encode()}).String())
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(connector)
	connections := 1
	if r == reading {
		connections = o.Readers
	}
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	if r == writing {
		var mode string // unchanged, without an error, where the file system cannot share memory
		if err := pool.QueryRow(`PRAGMA journal_mode`).Scan(&mode); err != nil {
			pool.Close()
			return nil, err
		}
		if mode != "wal" {
			pool.Close()
			return nil, fmt.Errorf("the file system allows no write-ahead log (journal_mode is %s): use a local disk", mode)
		}
	}
	return pool, nil
}

func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xFF // without what extends the code
	}
	return sqlite3.SQLITE_OK
}

func sqliteFault(err error) fault {
	switch sqliteCode(err) {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE:
		return faultData
	}
	return faultAway
}

func sqliteExplain(err error) error {
	hint := ""
	switch sqliteCode(err) {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		hint = "another program holds the file locked, close it there"
	case sqlite3.SQLITE_NOTADB:
		hint = "the file is no SQLite database"
	case sqlite3.SQLITE_CORRUPT:
		hint = "the file is damaged, restore a backup"
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		hint = "the file and its folder must be writable"
	case sqlite3.SQLITE_FULL:
		hint = "the disk is full"
	default:
		return err
	}
	return fmt.Errorf("%s: %w", hint, err)
}
