package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"parley/internal/store"
)

// AddUpload implements store.Uploads.
func (s *db) AddUpload(ctx context.Context, u store.Upload, quota store.UploadQuota) error {
	if !isKey(u.ID) || !isText(u.Name) || !isText(u.Type) || u.Size < 0 {
		return store.ErrInvalid
	}
	return s.account(ctx, "add upload", u.Owner, func(tx *sql.Tx) error {
		if err := exists(ctx, tx, u.Owner); err != nil {
			return err
		}
		var files int
		var bytes int64
		err := tx.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(SUM(size), 0) FROM upload WHERE owner = $1`, u.Owner).Scan(&files, &bytes)
		if err != nil {
			return err
		}
		if files >= quota.Files || u.Size > quota.Bytes-bytes {
			return store.ErrQuota
		}
		r, err := tx.ExecContext(ctx, `
			INSERT INTO upload (id, owner, name, type, size, at, stored) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
			u.ID, u.Owner, u.Name, u.Type, u.Size, millis(u.At), u.Stored)
		return affected(r, err, store.ErrExists)
	})
}

// Upload implements store.Uploads.
func (s *db) Upload(ctx context.Context, id string) (u store.Upload, err error) {
	if !isKey(id) {
		return u, store.ErrNotFound
	}
	err = s.use(ctx, "upload", func() error {
		u = store.Upload{ID: id}
		var at int64
		err := s.reader.QueryRowContext(ctx, `
			SELECT owner, name, type, size, at, stored FROM upload WHERE id = $1 AND owner IS NOT NULL`, id).
			Scan(&u.Owner, &u.Name, &u.Type, &u.Size, &at, &u.Stored)
		if err == sql.ErrNoRows {
			return store.ErrNotFound
		}
		u.At = fromMillis(at)
		return err
	})
	if err != nil {
		return store.Upload{}, err
	}
	return u, nil
}

// StoreUpload implements store.Uploads.
func (s *db) StoreUpload(ctx context.Context, id string) error {
	if !isKey(id) {
		return store.ErrNotFound
	}
	return s.use(ctx, "store upload", func() error {
		return s.update(ctx, sql.LevelSerializable, func(tx *sql.Tx) error {
			var stored bool
			err := tx.QueryRowContext(ctx, `SELECT stored FROM upload WHERE id = $1 AND owner IS NOT NULL`, id).Scan(&stored)
			switch {
			case err == sql.ErrNoRows:
				return store.ErrNotFound
			case err != nil:
				return err
			case stored:
				return store.ErrExists
			}
			_, err = tx.ExecContext(ctx, `UPDATE upload SET stored = $2 WHERE id = $1`, id, true)
			return err
		})
	})
}

// OldestUpload implements store.Uploads.
func (s *db) OldestUpload(ctx context.Context, owner string) (at time.Time, err error) {
	if !isKey(owner) {
		return at, nil
	}
	err = s.use(ctx, "oldest upload", func() error {
		var ms sql.NullInt64
		err := s.reader.QueryRowContext(ctx, `SELECT MIN(at) FROM upload WHERE owner = $1 AND stored`, owner).Scan(&ms)
		if err == nil && ms.Valid {
			at = fromMillis(ms.Int64)
		}
		return err
	})
	return at, err
}

// StaleUploads implements store.Uploads.
func (s *db) StaleUploads(ctx context.Context, before, unused time.Time, limit int) (ids []string, err error) {
	return s.names(ctx, "stale uploads", `
		SELECT id FROM upload WHERE at < $1 OR at < $2 AND NOT stored OR owner IS NULL ORDER BY at LIMIT $3`,
		millis(before), millis(unused), max(limit, 0))
}

// RemoveUploads implements store.Uploads.
func (s *db) RemoveUploads(ctx context.Context, ids []string) error {
	return s.use(ctx, "remove uploads", func() error {
		return s.update(ctx, sql.LevelReadCommitted, func(tx *sql.Tx) error {
			for _, id := range ids {
				if !isKey(id) {
					continue
				}
				if _, err := tx.ExecContext(ctx, `DELETE FROM upload WHERE id = $1`, id); err != nil {
					return err
				}
			}
			return nil
		})
	})
}
