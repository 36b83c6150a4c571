package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"parley/internal/store"
)

// ExpireArchive implements store.Archives.
func (s *db) ExpireArchive(ctx context.Context, before time.Time, after string, limit int) (removed int, next string, err error) {
	oldest := idAt(before, 0)
	return s.expire(ctx, "expire archive", `
		SELECT owner FROM archive a WHERE owner > $1
		AND EXISTS (SELECT 1 FROM archive_message m WHERE m.archive = a.archive AND m.id < $2) ORDER BY owner LIMIT 1`,
		after, oldest[:], limit, func(tx *sql.Tx, owner string) (int, error) {
			var key, messages, bytes int64
			err := tx.QueryRowContext(ctx, `SELECT archive, messages, bytes FROM archive WHERE owner = $1`+s.lock, owner).
				Scan(&key, &messages, &bytes)
			if err != nil {
				return 0, err
			}
			rows, err := tx.QueryContext(ctx, `
				SELECT id, COALESCE(length(tail), 0) FROM archive_message
				WHERE archive = $1 AND id < $2 ORDER BY id LIMIT $3`, key, oldest[:], limit)
			if err != nil {
				return 0, err
			}
			defer rows.Close()
			var last []byte
			n := 0
			for rows.Next() {
				var size int
				if err := rows.Scan(&last, &size); err != nil {
					return 0, err
				}
				n++
				bytes -= weight(size)
			}
			if err := rows.Err(); err != nil || n == 0 {
				return 0, err
			}
			rows.Close()
			if _, err := tx.ExecContext(ctx, `DELETE FROM archive_message WHERE archive = $1 AND id <= $2`, key, last); err != nil {
				return 0, err
			}
			_, err = tx.ExecContext(ctx, `UPDATE archive SET messages = $2, bytes = $3 WHERE archive = $1`, key, messages-int64(n), bytes)
			return n, err
		})
}

// ExpireRoom implements store.RoomArchives. It leaves no gap in the numbers, whatever the times say.
func (s *db) ExpireRoom(ctx context.Context, before time.Time, after string, limit int) (removed int, next string, err error) {
	return s.expire(ctx, "expire room", `
		SELECT addr FROM room r WHERE addr > $1
		AND (SELECT at FROM room_message m WHERE m.room = r.room ORDER BY seq LIMIT 1) < $2 ORDER BY addr LIMIT 1`,
		after, millis(before), limit, func(tx *sql.Tx, addr string) (int, error) {
			var key int64
			// The lock is that of the batches, so that a message is not removed twice.
			err := tx.QueryRowContext(ctx, `SELECT room FROM room_epoch WHERE addr = $1`+s.lock, addr).Scan(&key)
			if err != nil {
				return 0, err
			}
			rows, err := tx.QueryContext(ctx, `
				SELECT seq, at FROM room_message WHERE room = $1 ORDER BY seq LIMIT $2`, key, limit)
			if err != nil {
				return 0, err
			}
			defer rows.Close()
			n, last := 0, int64(0)
			for rows.Next() {
				var seq, at int64
				if err := rows.Scan(&seq, &at); err != nil {
					return 0, err
				}
				if at >= millis(before) {
					break
				}
				n, last = n+1, seq
			}
			if err := rows.Err(); err != nil || n == 0 {
				return 0, err
			}
			rows.Close()
			_, err = tx.ExecContext(ctx, `DELETE FROM room_message WHERE room = $1 AND seq <= $2`, key, last)
			return n, err
		})
}

// expire finds the first owner behind after and removes some of its messages.
func (s *db) expire(ctx context.Context, what, find, after string, bound any, limit int, remove func(*sql.Tx, string) (int, error)) (removed int, next string, err error) {
	if !isText(after) || limit <= 0 {
		return 0, "", store.ErrInvalid
	}
	err = s.use(ctx, what, func() error {
		var owner string
		err := s.reader.QueryRowContext(ctx, find, after, bound).Scan(&owner)
		if err == sql.ErrNoRows {
			return nil
		}
		if err != nil {
			return err
		}
		err = s.update(ctx, sql.LevelReadCommitted, func(tx *sql.Tx) (err error) {
			removed, err = remove(tx, owner)
			return err
		})
		if err == sql.ErrNoRows { // it has gone meanwhile
			err, removed = nil, 0
		}
		if next = owner; removed == limit {
			next = after // it may have more
		}
		return err
	})
	return removed, next, err
}
