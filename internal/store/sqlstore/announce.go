package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"parley/internal/store"
)

// Announcement implements store.Announcements.
func (s *db) Announcement(ctx context.Context) (a store.Announcement, err error) {
	err = s.use(ctx, "announcement", func() error {
		var at int64
		switch err := s.reader.QueryRowContext(ctx, `SELECT at, text FROM announcement`).Scan(&at, &a.Text); err {
		case nil:
			a.At = fromMillis(at)
			return nil
		case sql.ErrNoRows:
			return store.ErrNotFound
		default:
			return err
		}
	})
	return a, err
}

// SetAnnouncement implements store.Announcements.
func (s *db) SetAnnouncement(ctx context.Context, a *store.Announcement) error {
	if a != nil && !isText(a.Text) {
		return store.ErrInvalid
	}
	return s.use(ctx, "set announcement", func() error {
		return s.update(ctx, sql.LevelSerializable, func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, `DELETE FROM announcement`); err != nil || a == nil {
				return err
			}
			_, err := tx.ExecContext(ctx, `INSERT INTO announcement (one, at, text) VALUES (1, $1, $2)`, millis(a.At), a.Text)
			return err
		})
	})
}

// SeeAnnouncement implements store.Announcements. That somebody was told already is found without a write.
func (s *db) SeeAnnouncement(ctx context.Context, addr string, at time.Time) (fresh bool, err error) {
	if !isKey(addr) {
		return false, store.ErrNotFound
	}
	var seen int64
	err = s.use(ctx, "announcement seen", func() error {
		err := s.reader.QueryRowContext(ctx, `SELECT at FROM announcement_seen WHERE addr = $1`, addr).Scan(&seen)
		if err == sql.ErrNoRows {
			return nil
		}
		return err
	})
	if err != nil || seen == millis(at) {
		return false, err
	}
	err = s.account(ctx, "see announcement", addr, func(tx *sql.Tx) error {
		var one int
		switch err := tx.QueryRowContext(ctx, `SELECT 1 FROM account WHERE addr = $1`, addr).Scan(&one); err {
		case nil:
		case sql.ErrNoRows:
			return store.ErrNotFound
		default:
			return err
		}
		r, err := tx.ExecContext(ctx, `
			INSERT INTO announcement_seen (addr, at) VALUES ($1, $2)
			ON CONFLICT (addr) DO UPDATE SET at = excluded.at WHERE announcement_seen.at <> excluded.at`, addr, millis(at))
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		fresh = n > 0
		return err
	})
	return fresh && err == nil, err
}
