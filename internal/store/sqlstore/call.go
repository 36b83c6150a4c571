package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"

	"parley/internal/store"
)

// tries is how often a transaction is tried that loses against others.
const tries = 10

// use runs one call of the store's user: not after Close, and with errors that say what was done.
func (s *db) use(ctx context.Context, what string, call func() error) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.closed {
		return store.ErrClosed
	}
	err := call()
	for _, plain := range []error{nil, store.ErrNotFound, store.ErrExists, store.ErrInvalid} {
		if err == plain {
			return err
		}
	}
	if gone := ctx.Err(); gone != nil && !errors.Is(err, gone) {
		err = fmt.Errorf("%w: %w", gone, err) // drivers report the cancelled statement instead
	}
	return fmt.Errorf("store: %s: %w", what, err)
}

// names reads rows of one text each.
func (s *db) names(ctx context.Context, what, query string, args ...any) (list []string, err error) {
	err = s.use(ctx, what, func() error {
		rows, err := s.reader.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			list = append(list, name)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// update runs change in a transaction that writes, and again if it loses against another. It is not run again when the
// database went away in between: the change may have been committed.
func (s *db) update(ctx context.Context, level sql.IsolationLevel, change func(*sql.Tx) error) error {
	for try := 0; ; try++ {
		err := s.updateOnce(ctx, level, change)
		if err == nil || s.fault(err) != faultAgain || try == tries {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause(try)):
		}
	}
}

func (s *db) updateOnce(ctx context.Context, level sql.IsolationLevel, change func(*sql.Tx) error) error {
	tx, err := s.writer.BeginTx(ctx, &sql.TxOptions{Isolation: level})
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after Commit
	if err := change(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// pause returns how long to wait before the next try: 5 ms at first, doubling up to 1 s, with jitter.
func pause(try int) time.Duration {
	longest := min(10*time.Millisecond<<min(try, 10), time.Second)
	return longest/2 + rand.N(longest/2)
}

// keyLimit is the longest key in bytes: a bare address (RFC 7622 §3) has two parts of 1,023. PostgreSQL refuses index
// entries above 2,700.
const keyLimit = 2047

// isKey reports that s can be a key: an address or an identifier.
func isKey(s string) bool { return s != "" && len(s) <= keyLimit && isText(s) }

// isText reports that s can be stored: PostgreSQL's text holds neither NUL nor what is not UTF-8.
func isText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// blob returns bytes as they are stored. SQLite's driver cannot tell empty bytes from missing ones when it reads; so that
// both databases give the same answer, empty ones are stored as missing.
func blob(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// millis and fromMillis convert the times.
func millis(t time.Time) int64 { return t.UnixMilli() }

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
