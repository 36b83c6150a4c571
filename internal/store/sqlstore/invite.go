package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"parley/internal/store"
)

// AddInvite implements store.Invites.
func (s *db) AddInvite(ctx context.Context, i store.Invite, most int) error {
	if !isKey(i.Digest) || i.Name != "" && !isKey(i.Name) {
		return store.ErrInvalid
	}
	return s.account(ctx, "add invite", i.Inviter, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM invite WHERE expires < $1`, millis(i.Created.Add(-24*time.Hour))); err != nil {
			return err
		}
		var disabled bool
		switch err := tx.QueryRowContext(ctx, `SELECT disabled FROM account WHERE addr = $1`, i.Inviter).Scan(&disabled); {
		case err == sql.ErrNoRows || err == nil && disabled:
			return store.ErrNotFound
		case err != nil:
			return err
		}
		var open int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM invite WHERE inviter = $1 AND expires > $2`, i.Inviter, millis(i.Created)).Scan(&open); err != nil {
			return err
		}
		if open >= most {
			return store.ErrQuota
		}
		if i.Name != "" {
			var taken int
			err := tx.QueryRowContext(ctx, `
				SELECT (SELECT count(*) FROM account WHERE addr = $1) + (SELECT count(*) FROM invite WHERE name = $1 AND expires > $2)`,
				i.Name, millis(i.Created)).Scan(&taken)
			if err != nil {
				return err
			}
			if taken > 0 {
				return store.ErrExists
			}
		}
		_, err := tx.ExecContext(ctx, `
			INSERT INTO invite (digest, inviter, name, register, subscribe, created, expires) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			i.Digest, i.Inviter, i.Name, i.Register, i.Subscribe, millis(i.Created), millis(i.Expires))
		return err
	})
}

// Invite implements store.Invites. Invitations of who may not log in any more count for nothing.
func (s *db) Invite(ctx context.Context, digest string) (i store.Invite, err error) {
	if !isKey(digest) {
		return i, store.ErrNotFound
	}
	err = s.use(ctx, "invite", func() error {
		i = store.Invite{Digest: digest}
		var created, expires int64
		err := s.reader.QueryRowContext(ctx, `
			SELECT i.inviter, i.name, i.register, i.subscribe, i.created, i.expires
			FROM invite i JOIN account a ON a.addr = i.inviter WHERE i.digest = $1 AND a.disabled = $2`, digest, false).
			Scan(&i.Inviter, &i.Name, &i.Register, &i.Subscribe, &created, &expires)
		if err == sql.ErrNoRows {
			return store.ErrNotFound
		}
		i.Created, i.Expires = fromMillis(created), fromMillis(expires)
		return err
	})
	if err != nil {
		return store.Invite{}, err
	}
	return i, nil
}

// TakeInvite implements store.Invites.
func (s *db) TakeInvite(ctx context.Context, digest string) error {
	if !isKey(digest) {
		return store.ErrNotFound
	}
	return s.use(ctx, "take invite", func() error {
		return s.update(ctx, sql.LevelSerializable, func(tx *sql.Tx) error { return takeInvite(ctx, tx, digest) })
	})
}

func takeInvite(ctx context.Context, tx *sql.Tx, digest string) error {
	r, err := tx.ExecContext(ctx, `DELETE FROM invite WHERE digest = $1`, digest)
	return affected(r, err, store.ErrNotFound)
}

// RegisterInvited implements store.Invites.
func (s *db) RegisterInvited(ctx context.Context, digest string, a store.Account) error {
	if !isKey(digest) {
		return store.ErrNotFound
	}
	if !isKey(a.Addr) || !areCredentials(a.Credentials) {
		return store.ErrInvalid
	}
	return s.use(ctx, "register invited", func() error {
		return s.update(ctx, sql.LevelSerializable, func(tx *sql.Tx) error {
			if err := takeInvite(ctx, tx, digest); err != nil {
				return err
			}
			return insertAccount(ctx, tx, a)
		})
	})
}

// Reserved implements store.Invites.
func (s *db) Reserved(ctx context.Context, addr string, now time.Time) (kept bool, err error) {
	if !isKey(addr) {
		return false, nil
	}
	err = s.use(ctx, "reserved", func() error {
		var n int
		err := s.reader.QueryRowContext(ctx, `SELECT count(*) FROM invite WHERE name = $1 AND expires > $2`, addr, millis(now)).Scan(&n)
		kept = n > 0
		return err
	})
	return kept, err
}
