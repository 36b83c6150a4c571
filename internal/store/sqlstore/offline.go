package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"parley/internal/store"
)

// AddOffline implements store.Offline.
func (s *db) AddOffline(ctx context.Context, owner string, list []store.OfflineMessage, limit store.OfflineLimit) (stored int, err error) {
	err = s.account(ctx, "add offline", owner, func(tx *sql.Tx) error {
		stored = 0
		if err := exists(ctx, tx, owner); err != nil {
			return err
		}
		var count, size int
		if err := tx.QueryRowContext(ctx, `
			SELECT COUNT(*), COALESCE(SUM(LENGTH(tail)), 0) FROM offline_message WHERE owner = $1`, owner).Scan(&count, &size); err != nil {
			return err
		}
		for _, m := range list {
			if count, size = count+1, size+len(m.Tail); count > limit.Messages || size > limit.Bytes {
				return nil
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO offline_message (owner, at, tail) VALUES ($1, $2, $3)`,
				owner, millis(m.At), blob(m.Tail)); err != nil {
				return err
			}
			stored++
		}
		return nil
	})
	if err != nil {
		stored = 0
	}
	return stored, err
}

// exists returns ErrNotFound if there is no such account.
func exists(ctx context.Context, tx *sql.Tx, owner string) error {
	var one int
	err := tx.QueryRowContext(ctx, `SELECT 1 FROM account WHERE addr = $1`, owner).Scan(&one)
	if err == sql.ErrNoRows {
		return store.ErrNotFound
	}
	return err
}

// OfflineMessages implements store.Offline.
func (s *db) OfflineMessages(ctx context.Context, owner string, after int64, limit int) (list []store.OfflineMessage, err error) {
	if !isKey(owner) {
		return nil, nil
	}
	err = s.use(ctx, "offline messages", func() error {
		list = nil
		rows, err := s.reader.QueryContext(ctx, `
			SELECT id, at, tail FROM offline_message WHERE owner = $1 AND id > $2 ORDER BY id LIMIT $3`, owner, after, max(limit, 0))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var m store.OfflineMessage
			var at int64
			if err := rows.Scan(&m.ID, &at, &m.Tail); err != nil {
				return err
			}
			m.At = fromMillis(at)
			list = append(list, m)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// RemoveOffline implements store.Offline.
func (s *db) RemoveOffline(ctx context.Context, owner string, last int64) error {
	return s.account(ctx, "remove offline", owner, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM offline_message WHERE owner = $1 AND id <= $2`, owner, last)
		return err
	})
}

// DropOffline implements store.Offline.
func (s *db) DropOffline(ctx context.Context, owner string, ids []int64) error {
	return s.account(ctx, "drop offline", owner, func(tx *sql.Tx) error {
		for _, id := range ids {
			if _, err := tx.ExecContext(ctx, `DELETE FROM offline_message WHERE owner = $1 AND id = $2`, owner, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// Private implements store.Offline.
func (s *db) Private(ctx context.Context, owner, name string) (data []byte, err error) {
	if !isKey(owner) || !isKey(name) {
		return nil, nil
	}
	err = s.use(ctx, "private", func() error {
		err := s.reader.QueryRowContext(ctx, `SELECT data FROM private_data WHERE owner = $1 AND name = $2`, owner, name).Scan(&data)
		if err == sql.ErrNoRows {
			return nil
		}
		return err
	})
	return data, err
}

// SetPrivate implements store.Offline.
func (s *db) SetPrivate(ctx context.Context, owner, name string, data []byte, most int) error {
	if !isKey(name) {
		return store.ErrInvalid
	}
	return s.account(ctx, "set private", owner, func(tx *sql.Tx) error {
		if err := exists(ctx, tx, owner); err != nil {
			return err
		}
		if len(data) == 0 {
			_, err := tx.ExecContext(ctx, `DELETE FROM private_data WHERE owner = $1 AND name = $2`, owner, name)
			return err
		}
		var others int
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM private_data WHERE owner = $1 AND name <> $2`, owner, name).Scan(&others); err != nil {
			return err
		}
		if others >= most {
			return store.ErrQuota
		}
		_, err := tx.ExecContext(ctx, `
			INSERT INTO private_data (owner, name, data) VALUES ($1, $2, $3)
			ON CONFLICT (owner, name) DO UPDATE SET data = excluded.data`, owner, name, data)
		return err
	})
}

// LastActivity implements store.Offline.
func (s *db) LastActivity(ctx context.Context, owner string) (at time.Time, status string, err error) {
	if !isKey(owner) {
		return at, "", nil
	}
	err = s.use(ctx, "last activity", func() error {
		var ms int64
		err := s.reader.QueryRowContext(ctx, `SELECT at, status FROM last_activity WHERE addr = $1`, owner).Scan(&ms, &status)
		if err == sql.ErrNoRows {
			return nil
		}
		if err == nil {
			at = fromMillis(ms)
		}
		return err
	})
	return at, status, err
}

// SetLastActivity implements store.Offline.
func (s *db) SetLastActivity(ctx context.Context, owner string, at time.Time, status string) error {
	if !isText(status) {
		return store.ErrInvalid
	}
	return s.account(ctx, "set last activity", owner, func(tx *sql.Tx) error {
		if err := exists(ctx, tx, owner); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `
			INSERT INTO last_activity (addr, at, status) VALUES ($1, $2, $3)
			ON CONFLICT (addr) DO UPDATE SET at = excluded.at, status = excluded.status`, owner, millis(at), status)
		return err
	})
}
