package sqlstore

import (
	"context"
	"database/sql"

	"parley/internal/store"
)

// pushKey bounds the address of an app server and its node together, in bytes: they are part of a key.
const pushKey = 1500

// ListPushes implements store.Pushes.
func (s *db) ListPushes(ctx context.Context) (list []store.Push, err error) {
	err = s.use(ctx, "list pushes", func() error {
		list = nil
		rows, err := s.reader.QueryContext(ctx, `SELECT owner, service, node, session, options, at FROM push ORDER BY owner, at, service, node`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var p store.Push
			var at int64
			if err := rows.Scan(&p.Owner, &p.Service, &p.Node, &p.Session, &p.Options, &at); err != nil {
				return err
			}
			p.At = fromMillis(at)
			list = append(list, p)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// SetPush implements store.Pushes.
func (s *db) SetPush(ctx context.Context, p store.Push) error {
	if !isKey(p.Service) || !isText(p.Node) || !isText(p.Session) || len(p.Service)+len(p.Node) > pushKey {
		return store.ErrInvalid
	}
	return s.account(ctx, "set push", p.Owner, func(tx *sql.Tx) error {
		if err := exists(ctx, tx, p.Owner); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `
			INSERT INTO push (owner, service, node, session, options, at) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (owner, service, node) DO UPDATE SET session = excluded.session, options = excluded.options, at = excluded.at`,
			p.Owner, p.Service, p.Node, p.Session, blob(p.Options), millis(p.At))
		return err
	})
}

// RemovePush implements store.Pushes.
func (s *db) RemovePush(ctx context.Context, owner, service, node string) error {
	if !isText(service) || !isText(node) {
		return nil
	}
	return s.account(ctx, "remove push", owner, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM push WHERE owner = $1 AND service = $2 AND node = $3`, owner, service, node)
		return err
	})
}
