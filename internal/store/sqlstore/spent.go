package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"parley/internal/store"
)

// SpendToken implements store.SpentTokens. What has expired goes with the next one.
func (s *db) SpendToken(ctx context.Context, key []byte, until time.Time) (first bool, err error) {
	if !isTokenKey(key) {
		return false, store.ErrInvalid
	}
	err = s.use(ctx, "spend token", func() error {
		return s.update(ctx, sql.LevelReadCommitted, func(tx *sql.Tx) error {
			first = false
			if _, err := tx.ExecContext(ctx, `DELETE FROM spent_token WHERE until < $1`, millis(time.Now())); err != nil {
				return err
			}
			r, err := tx.ExecContext(ctx, `INSERT INTO spent_token (token, until) VALUES ($1, $2) ON CONFLICT DO NOTHING`, key, millis(until))
			if err != nil {
				return err
			}
			n, err := r.RowsAffected()
			first = n == 1
			return err
		})
	})
	return first && err == nil, err
}

// TokenSpent implements store.SpentTokens.
func (s *db) TokenSpent(ctx context.Context, key []byte) (there bool, err error) {
	if !isTokenKey(key) {
		return false, store.ErrInvalid
	}
	err = s.use(ctx, "token spent", func() error {
		return s.reader.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM spent_token WHERE token = $1)`, key).Scan(&there)
	})
	return there && err == nil, err
}

func isTokenKey(key []byte) bool { return len(key) > 0 && len(key) <= 64 }
