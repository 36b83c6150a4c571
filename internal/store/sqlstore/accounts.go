package sqlstore

import (
	"context"
	"database/sql"

	"parley/internal/store"
)

// Account implements store.Accounts. The credentials are ordered by mechanism.
func (s *db) Account(ctx context.Context, addr string) (a store.Account, err error) {
	if !isKey(addr) {
		return a, store.ErrNotFound
	}
	err = s.use(ctx, "account", func() error {
		a = store.Account{Addr: addr}
		rows, err := s.reader.QueryContext(ctx, `
			SELECT a.disabled, a.created, c.mechanism, c.salt, c.iterations, c.stored_key, c.server_key
			FROM account a LEFT JOIN credential c ON c.addr = a.addr
			WHERE a.addr = $1 ORDER BY c.mechanism`, addr)
		if err != nil {
			return err
		}
		defer rows.Close()
		found := false
		for rows.Next() {
			var created int64
			var mechanism sql.NullString
			var iterations sql.NullInt64
			var c store.Credential
			err := rows.Scan(&a.Disabled, &created, &mechanism, &c.Salt, &iterations, &c.StoredKey, &c.ServerKey)
			if err != nil {
				return err
			}
			found = true
			a.Created = fromMillis(created)
			if mechanism.Valid {
				c.Mechanism, c.Iterations = mechanism.String, int(iterations.Int64)
				a.Credentials = append(a.Credentials, c)
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		if !found {
			return store.ErrNotFound
		}
		return nil
	})
	if err != nil {
		return store.Account{}, err
	}
	return a, nil
}

// CreateAccount implements store.Accounts.
func (s *db) CreateAccount(ctx context.Context, a store.Account) error {
	if !isKey(a.Addr) || !areCredentials(a.Credentials) {
		return store.ErrInvalid
	}
	return s.use(ctx, "create account", func() error {
		return s.update(ctx, sql.LevelSerializable, func(tx *sql.Tx) error { return insertAccount(ctx, tx, a) })
	})
}

func insertAccount(ctx context.Context, tx *sql.Tx, a store.Account) error {
	r, err := tx.ExecContext(ctx, `
		INSERT INTO account (addr, disabled, created) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
		a.Addr, a.Disabled, millis(a.Created))
	if err := affected(r, err, store.ErrExists); err != nil {
		return err
	}
	return insertCredentials(ctx, tx, a.Addr, a.Credentials)
}

// SetCredentials implements store.Accounts.
func (s *db) SetCredentials(ctx context.Context, addr string, c []store.Credential) error {
	if !areCredentials(c) {
		return store.ErrInvalid
	}
	return s.account(ctx, "set credentials", addr, func(tx *sql.Tx) error {
		var one int
		err := tx.QueryRowContext(ctx, `SELECT 1 FROM account WHERE addr = $1`, addr).Scan(&one)
		if err == sql.ErrNoRows {
			return store.ErrNotFound
		}
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM credential WHERE addr = $1`, addr); err != nil {
			return err
		}
		if err := endTokens(ctx, tx, addr); err != nil {
			return err
		}
		return insertCredentials(ctx, tx, addr, c)
	})
}

// DisableAccount implements store.Accounts.
func (s *db) DisableAccount(ctx context.Context, addr string, disabled bool) error {
	return s.account(ctx, "disable account", addr, func(tx *sql.Tx) error {
		if disabled {
			if err := endTokens(ctx, tx, addr); err != nil {
				return err
			}
		}
		r, err := tx.ExecContext(ctx, `UPDATE account SET disabled = $2 WHERE addr = $1`, addr, disabled)
		return affected(r, err, store.ErrNotFound)
	})
}

// DeleteAccount implements store.Accounts.
func (s *db) DeleteAccount(ctx context.Context, addr string) error {
	return s.account(ctx, "delete account", addr, func(tx *sql.Tx) error {
		// Who gets the name later is somebody else, and must not find these calls.
		if _, err := tx.ExecContext(ctx, `UPDATE rtc_talk_sessions SET account = '' WHERE account = $1`, addr); err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, `DELETE FROM account WHERE addr = $1`, addr)
		return affected(r, err, store.ErrNotFound)
	})
}

// ListAccounts implements store.Accounts.
func (s *db) ListAccounts(ctx context.Context, after string, limit int) (list []store.Account, err error) {
	if !isText(after) {
		return nil, store.ErrInvalid
	}
	err = s.use(ctx, "list accounts", func() error {
		rows, err := s.reader.QueryContext(ctx, `
			SELECT addr, disabled, created FROM account WHERE addr > $1 ORDER BY addr LIMIT $2`, after, max(limit, 0))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var a store.Account
			var created int64
			if err := rows.Scan(&a.Addr, &a.Disabled, &created); err != nil {
				return err
			}
			a.Created = fromMillis(created)
			list = append(list, a)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// account runs a change to an account that exists.
func (s *db) account(ctx context.Context, what, addr string, change func(*sql.Tx) error) error {
	if !isKey(addr) {
		return store.ErrNotFound
	}
	return s.use(ctx, what, func() error { return s.update(ctx, sql.LevelSerializable, change) })
}

func insertCredentials(ctx context.Context, tx *sql.Tx, addr string, credentials []store.Credential) error {
	for _, c := range credentials {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO credential (addr, mechanism, salt, iterations, stored_key, server_key)
			VALUES ($1, $2, $3, $4, $5, $6)`, addr, c.Mechanism, blob(c.Salt), c.Iterations, blob(c.StoredKey),
			blob(c.ServerKey))
		if err != nil {
			return err
		}
	}
	return nil
}

// areCredentials reports that the credentials can be stored: one for each mechanism, whose name is short (RFC 4422 §3.1
// allows 20 bytes).
func areCredentials(credentials []store.Credential) bool {
	seen := make(map[string]bool)
	for _, c := range credentials {
		if !isKey(c.Mechanism) || len(c.Mechanism) > 64 || seen[c.Mechanism] {
			return false
		}
		seen[c.Mechanism] = true
	}
	return true
}

// affected returns what went wrong with a statement, or none if it changed no row.
func affected(r sql.Result, err, none error) error {
	if err != nil {
		return err
	}
	n, err := r.RowsAffected()
	if err == nil && n == 0 {
		err = none
	}
	return err
}
