package sqlstore

import (
	"context"
	"database/sql"

	"parley/internal/store"
)

// AddLogin implements store.Logins.
func (s *db) AddLogin(ctx context.Context, l store.Login, most int) error {
	if !isKey(l.ID) || !isText(l.Label) || len(l.Access) == 0 || len(l.Refresh) == 0 {
		return store.ErrInvalid
	}
	return s.account(ctx, "add login", l.Addr, func(tx *sql.Tx) error {
		var disabled bool
		switch err := tx.QueryRowContext(ctx, `SELECT disabled FROM account WHERE addr = $1`, l.Addr).Scan(&disabled); {
		case err == sql.ErrNoRows || err == nil && disabled:
			return store.ErrNotFound
		case err != nil:
			return err
		}
		_, err := tx.ExecContext(ctx, `
			DELETE FROM login WHERE addr = $1 AND (expires <= $2 OR id IN (
				SELECT id FROM login WHERE addr = $1 AND expires > $2 ORDER BY used DESC, id LIMIT 1000000 OFFSET $3))`,
			l.Addr, millis(l.Created), max(most-1, 0))
		if err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, `
			INSERT INTO login (id, addr, label, created, used, access, until, refresh, expires)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
			l.ID, l.Addr, l.Label, millis(l.Created), millis(l.Used), l.Access, millis(l.Until), l.Refresh, millis(l.Expires))
		return affected(r, err, store.ErrExists)
	})
}

const loginColumns = `id, addr, label, created, used, access, until, refresh, expires`

func scanLogin(scan func(...any) error) (l store.Login, err error) {
	var created, used, until, expires int64
	err = scan(&l.ID, &l.Addr, &l.Label, &created, &used, &l.Access, &until, &l.Refresh, &expires)
	if err == sql.ErrNoRows {
		err = store.ErrNotFound
	}
	l.Created, l.Used, l.Until, l.Expires = fromMillis(created), fromMillis(used), fromMillis(until), fromMillis(expires)
	return l, err
}

// Login implements store.Logins.
func (s *db) Login(ctx context.Context, id string) (l store.Login, err error) {
	if !isKey(id) {
		return l, store.ErrNotFound
	}
	err = s.use(ctx, "login", func() (err error) {
		l, err = scanLogin(s.reader.QueryRowContext(ctx, `SELECT `+loginColumns+` FROM login WHERE id = $1`, id).Scan)
		return err
	})
	if err != nil {
		return store.Login{}, err
	}
	return l, nil
}

// Refresh implements store.Logins.
func (s *db) Refresh(ctx context.Context, refresh []byte, next store.Login) error {
	if !isKey(next.ID) {
		return store.ErrNotFound
	}
	if len(next.Access) == 0 || len(next.Refresh) == 0 {
		return store.ErrInvalid
	}
	return s.use(ctx, "refresh login", func() error {
		var outcome error // apart from the transaction's: that the login ends is to be committed
		err := s.update(ctx, sql.LevelSerializable, func(tx *sql.Tx) error {
			outcome = nil
			r, err := tx.ExecContext(ctx, `
				UPDATE login SET used = $3, access = $4, until = $5, refresh = $6, expires = $7 WHERE id = $1 AND refresh = $2`,
				next.ID, refresh, millis(next.Used), next.Access, millis(next.Until), next.Refresh, millis(next.Expires))
			if err = affected(r, err, store.ErrNotFound); err != store.ErrNotFound {
				return err
			}
			outcome = store.ErrUsed
			r, err = tx.ExecContext(ctx, `DELETE FROM login WHERE id = $1`, next.ID)
			return affected(r, err, store.ErrNotFound)
		})
		if err != nil {
			return err
		}
		return outcome
	})
}

// DropLogin implements store.Logins.
func (s *db) DropLogin(ctx context.Context, id string) error {
	if !isKey(id) {
		return nil
	}
	return s.use(ctx, "drop login", func() error {
		return s.update(ctx, sql.LevelSerializable, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `DELETE FROM login WHERE id = $1`, id)
			return err
		})
	})
}

// ListLogins implements store.Logins.
func (s *db) ListLogins(ctx context.Context, addr string) (list []store.Login, err error) {
	if !isKey(addr) {
		return nil, nil
	}
	err = s.use(ctx, "list logins", func() error {
		rows, err := s.reader.QueryContext(ctx, `SELECT `+loginColumns+` FROM login WHERE addr = $1 ORDER BY used DESC, id`, addr)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			l, err := scanLogin(rows.Scan)
			if err != nil {
				return err
			}
			list = append(list, l)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}
