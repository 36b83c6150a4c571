package sqlstore

import (
	"context"
	"database/sql"

	"parley/internal/store"
)

const identityColumns = `id, addr, issuer, subject, linked`

func scanIdentity(scan func(...any) error) (i store.Identity, err error) {
	var linked int64
	err = scan(&i.ID, &i.Addr, &i.Issuer, &i.Subject, &linked)
	if err == sql.ErrNoRows {
		err = store.ErrNotFound
	}
	i.Linked = fromMillis(linked)
	return i, err
}

func isIdentity(i *store.Identity) bool {
	return isKey(i.ID) && isKey(i.Issuer) && isKey(i.Subject) && isKey(i.Addr)
}

func insertIdentity(ctx context.Context, tx *sql.Tx, i store.Identity) error {
	r, err := tx.ExecContext(ctx, `INSERT INTO identity (`+identityColumns+`) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
		i.ID, i.Addr, i.Issuer, i.Subject, millis(i.Linked))
	return affected(r, err, store.ErrExists)
}

// Identity implements store.Identities.
func (s *db) Identity(ctx context.Context, id string) (i store.Identity, err error) {
	if !isKey(id) {
		return i, store.ErrNotFound
	}
	err = s.use(ctx, "identity", func() (err error) {
		i, err = scanIdentity(s.reader.QueryRowContext(ctx, `SELECT `+identityColumns+` FROM identity WHERE id = $1`, id).Scan)
		return err
	})
	if err != nil {
		return store.Identity{}, err
	}
	return i, nil
}

// LinkIdentity implements store.Identities.
func (s *db) LinkIdentity(ctx context.Context, i store.Identity, most int) error {
	if !isIdentity(&i) {
		return store.ErrInvalid
	}
	return s.account(ctx, "link identity", i.Addr, func(tx *sql.Tx) error {
		var accounts, identities int
		err := tx.QueryRowContext(ctx, `
			SELECT (SELECT count(*) FROM account WHERE addr = $1), (SELECT count(*) FROM identity WHERE addr = $1)`, i.Addr).Scan(&accounts, &identities)
		switch {
		case err != nil:
			return err
		case accounts == 0:
			return store.ErrNotFound
		case identities >= most:
			return store.ErrQuota
		}
		return insertIdentity(ctx, tx, i)
	})
}

// RegisterIdentity implements store.Identities.
func (s *db) RegisterIdentity(ctx context.Context, a store.Account, i store.Identity) error {
	if !isIdentity(&i) || !areCredentials(a.Credentials) || a.Addr != i.Addr {
		return store.ErrInvalid
	}
	return s.account(ctx, "register identity", a.Addr, func(tx *sql.Tx) error {
		if err := insertAccount(ctx, tx, a); err != nil {
			return err
		}
		return insertIdentity(ctx, tx, i)
	})
}

// ListIdentities implements store.Identities.
func (s *db) ListIdentities(ctx context.Context, addr string) (list []store.Identity, err error) {
	if !isKey(addr) {
		return nil, nil
	}
	err = s.use(ctx, "list identities", func() error {
		list = nil
		rows, err := s.reader.QueryContext(ctx, `SELECT `+identityColumns+` FROM identity WHERE addr = $1 ORDER BY id`, addr)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			i, err := scanIdentity(rows.Scan)
			if err != nil {
				return err
			}
			list = append(list, i)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// UnlinkIdentity implements store.Identities.
func (s *db) UnlinkIdentity(ctx context.Context, addr, id string) error {
	if !isKey(id) {
		return store.ErrNotFound
	}
	return s.account(ctx, "unlink identity", addr, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `DELETE FROM identity WHERE addr = $1 AND id = $2`, addr, id)
		return affected(r, err, store.ErrNotFound)
	})
}
