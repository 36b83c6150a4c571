package sqlstore

import (
	"context"
	"database/sql"

	"parley/internal/store"
)

// FastTokens implements store.FastTokens.
func (s *db) FastTokens(ctx context.Context, addr, client string) (list []store.FastToken, err error) {
	if !isKey(addr) || !isKey(client) {
		return nil, nil
	}
	err = s.use(ctx, "fast tokens", func() error {
		rows, err := s.reader.QueryContext(ctx, `
			SELECT fresh, mechanism, seed, issued, expires, count FROM fast_token
			WHERE addr = $1 AND client = $2 ORDER BY fresh DESC`, addr, client)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			t := store.FastToken{Addr: addr, Client: client}
			var issued, expires int64
			if err := rows.Scan(&t.Fresh, &t.Mechanism, &t.Seed, &issued, &expires, &t.Count); err != nil {
				return err
			}
			t.Issued, t.Expires = fromMillis(issued), fromMillis(expires)
			list = append(list, t)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// FastClients implements store.FastClients.
func (s *db) FastClients(ctx context.Context, addr string) (list []store.FastToken, err error) {
	if !isKey(addr) {
		return nil, nil
	}
	err = s.use(ctx, "fast clients", func() error {
		list = nil
		rows, err := s.reader.QueryContext(ctx, `
			SELECT client, fresh, mechanism, issued, expires, count FROM fast_token WHERE addr = $1 ORDER BY client, fresh DESC`, addr)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			t := store.FastToken{Addr: addr}
			var issued, expires int64
			if err := rows.Scan(&t.Client, &t.Fresh, &t.Mechanism, &issued, &expires, &t.Count); err != nil {
				return err
			}
			t.Issued, t.Expires = fromMillis(issued), fromMillis(expires)
			list = append(list, t)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// AddFastToken implements store.FastTokens.
func (s *db) AddFastToken(ctx context.Context, t store.FastToken, clients int) error {
	if !isKey(t.Client) || !isKey(t.Mechanism) || len(t.Seed) == 0 {
		return store.ErrInvalid
	}
	return s.account(ctx, "add fast token", t.Addr, func(tx *sql.Tx) error {
		var disabled bool
		switch err := tx.QueryRowContext(ctx, `SELECT disabled FROM account WHERE addr = $1`, t.Addr).Scan(&disabled); {
		case err == sql.ErrNoRows || err == nil && disabled:
			return store.ErrNotFound
		case err != nil:
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM fast_token WHERE addr = $1 AND client = $2 AND fresh = $3`, t.Addr, t.Client, true); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `
			INSERT INTO fast_token (addr, client, fresh, mechanism, seed, issued, expires, count)
			VALUES ($1, $2, $3, $4, $5, $6, $7, 0)`,
			t.Addr, t.Client, true, t.Mechanism, t.Seed, millis(t.Issued), millis(t.Expires))
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			DELETE FROM fast_token WHERE addr = $1 AND client IN (
				SELECT client FROM fast_token WHERE addr = $1 AND client <> $2
				GROUP BY client ORDER BY max(expires) DESC, client LIMIT 1000000 OFFSET $3)`,
			t.Addr, t.Client, max(clients-1, 0))
		return err
	})
}

// UseFastToken implements store.FastTokens.
func (s *db) UseFastToken(ctx context.Context, t store.FastToken, count int64) error {
	if !isKey(t.Client) {
		return store.ErrNotFound
	}
	return s.account(ctx, "use fast token", t.Addr, func(tx *sql.Tx) error {
		var fresh bool
		var used int64
		err := tx.QueryRowContext(ctx, `SELECT fresh, count FROM fast_token WHERE addr = $1 AND client = $2 AND seed = $3`,
			t.Addr, t.Client, t.Seed).Scan(&fresh, &used)
		switch {
		case err == sql.ErrNoRows || err == nil && count != 0 && count <= used:
			return store.ErrNotFound
		case err != nil:
			return err
		}
		if fresh {
			if _, err := tx.ExecContext(ctx, `DELETE FROM fast_token WHERE addr = $1 AND client = $2 AND fresh = $3`, t.Addr, t.Client, false); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `UPDATE fast_token SET fresh = $4, count = $5 WHERE addr = $1 AND client = $2 AND seed = $3`,
			t.Addr, t.Client, t.Seed, false, max(count, used))
		return err
	})
}

// DropFastTokens implements store.FastTokens.
func (s *db) DropFastTokens(ctx context.Context, addr, client string) error {
	if !isKey(client) {
		return nil
	}
	return s.account(ctx, "drop fast tokens", addr, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM fast_token WHERE addr = $1 AND client = $2`, addr, client)
		return err
	})
}

// endTokens forgets all that an account may log in with in place of its password, which changes or may not be used any more
// (hardening HA8).
func endTokens(ctx context.Context, tx *sql.Tx, addr string) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM fast_token WHERE addr = $1`, addr); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM login WHERE addr = $1`, addr)
	return err
}
