// Package sqlstore keeps accounts and rooms in SQLite or PostgreSQL. There is one implementation over database/sql; what
// differs between the two is a value, the dialect, and a folder of migrations.
//
// SQLite is a file that one process holds at a time: written ahead (WAL), synced at every commit, one connection that
// writes, a few that read. PostgreSQL (13 or later) may serve several nodes at once. It must be reached directly or
// through a pooler in session mode: the store sets parameters of the session.
//
// Rooms are written by one goroutine that commits whatever is queued in one transaction (group commit). It first locks
// the rows of room_epoch for all rooms of the batch, and they stand for everything that the rooms hold; so no rule
// spans rows that are not locked, and READ COMMITTED is enough. Writes to accounts run SERIALIZABLE.
//
// Bytes that are empty come back as nil.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"parley/internal/event"
	"parley/internal/store"
)

// Options are what Open leaves to the caller. The zero value is good.
type Options struct {
	Events   *event.Recorder // counts db.down; may be nil
	Patience time.Duration   // how long a write waits for a database that is away or locked, a third of how long any call waits for one that has stopped answering; 0 means 5 s
	Readers  int             // connections that read; 0 means 4
}

// Open opens the store at url, which is sqlite:PATH, sqlite://PATH or postgres://..., and migrates its schema. For SQLite,
// the folder must exist, the file is created. No error shows a password.
func Open(ctx context.Context, url string, o Options) (store.Store, error) {
	if o.Patience <= 0 {
		o.Patience = 5 * time.Second
	}
	if o.Readers <= 0 {
		o.Readers = 4
	}
	var src source
	var err error
	switch scheme, rest, _ := strings.Cut(url, ":"); scheme {
	case "sqlite":
		src, err = sqliteSource(strings.TrimPrefix(rest, "//"), o)
	case "postgres", "postgresql":
		src, err = postgresSource(url, o)
	default:
		err = errors.New("the store's URL must begin with sqlite: or postgres://")
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s, err := open(ctx, src, o)
	if err != nil {
		src.release()
		return nil, fmt.Errorf("store: %s: %w", src.shown, src.explain(err))
	}
	return s, nil
}

// source is a database that can be connected to.
type source struct {
	*dialect
	shown   string // its name in messages, without secrets
	connect func(role) (*sql.DB, error)
	release func() // gives up what keeps others away
}

// role is what a pool of connections is for.
type role int

const (
	reading role = iota
	writing
	migrating
)

// db is a store.Store.
type db struct {
	*dialect
	options Options
	release func()

	reader, writer *sql.DB
	queue          *queue
	keep           *keeping // belongs to the queue's goroutine
	away           bool     // the last batch found the database away; belongs to the queue's goroutine

	gate   sync.RWMutex // held for reading by every call that uses the database; guards closed
	closed bool
}

func open(ctx context.Context, src source, o Options) (*db, error) {
	if err := migrate(ctx, src); err != nil {
		return nil, err
	}
	s := &db{dialect: src.dialect, options: o, release: src.release}
	var err error
	if s.writer, err = src.connect(writing); err != nil {
		return nil, err
	}
	if s.reader, err = src.connect(reading); err != nil {
		s.writer.Close()
		return nil, err
	}
	if err := s.ping(ctx); err != nil {
		s.reader.Close()
		s.writer.Close()
		return nil, err
	}
	if s.keep, err = prepareKeeping(ctx, s.writer, s.unnumbered); err != nil {
		s.reader.Close()
		s.writer.Close()
		return nil, err
	}
	s.queue = newQueue(s.commit)
	return s, nil
}

// Ping implements store.Store: it writes.
func (s *db) Ping(ctx context.Context) error {
	return s.use(ctx, "ping", func() error { return s.ping(ctx) })
}

func (s *db) ping(ctx context.Context) error {
	return s.update(ctx, sql.LevelReadCommitted, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE ping SET at = $1`, time.Now().UnixMilli())
		return err
	})
}

// Close implements store.Store. It must not be called from a done.
func (s *db) Close() error {
	s.queue.close()
	s.gate.Lock()
	defer s.gate.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	err := errors.Join(s.reader.Close(), s.writer.Close())
	s.release()
	if err != nil && s.name == "postgres" && s.fault(err) == faultAway {
		return nil // connections that have died hear no goodbye, and hold nothing that is not committed
	}
	return err
}
