package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"

	"parley/internal/store"
)

// Roster implements store.Rosters. The contacts and the blocked addresses are ordered. An account that never kept anything has
// no row in roster, and costs one statement. The version is read first: if a change comes between the statements, the next
// change that builds on what was read fails by its version.
func (s *db) Roster(ctx context.Context, owner string) (r store.Roster, err error) {
	if !isKey(owner) {
		return r, store.ErrNotFound
	}
	err = s.use(ctx, "roster", func() error {
		r = store.Roster{}
		var version sql.NullInt64
		err := s.reader.QueryRowContext(ctx, `
			SELECT r.version, EXISTS (SELECT 1 FROM offline_message m WHERE m.owner = a.addr)
			FROM account a LEFT JOIN roster r ON r.addr = a.addr WHERE a.addr = $1`, owner).Scan(&version, &r.Mail)
		if err == sql.ErrNoRows {
			return store.ErrNotFound
		}
		if err != nil || !version.Valid {
			return err
		}
		r.Version = version.Int64
		if r.Contacts, err = s.contacts(ctx, owner); err != nil {
			return err
		}
		r.Blocked, err = s.texts(ctx, `SELECT addr FROM roster_block WHERE owner = $1 ORDER BY addr`, owner)
		return err
	})
	if err != nil {
		return store.Roster{}, err
	}
	return r, nil
}

func (s *db) contacts(ctx context.Context, owner string) (list []store.Contact, err error) {
	rows, err := s.reader.QueryContext(ctx, `
		SELECT addr, listed, name, in_groups, sees, seen, asked, approved, request
		FROM roster_contact WHERE owner = $1 ORDER BY addr`, owner)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c store.Contact
		var groups string
		if err := rows.Scan(&c.Addr, &c.Listed, &c.Name, &groups, &c.To, &c.From, &c.Asked, &c.Approved, &c.Request); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(groups), &c.Groups); err != nil {
			return nil, err
		}
		if len(c.Groups) == 0 {
			c.Groups = nil
		}
		list = append(list, c)
	}
	return list, rows.Err()
}

// texts returns the only column of a query.
func (s *db) texts(ctx context.Context, query string, args ...any) (list []string, err error) {
	rows, err := s.reader.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		list = append(list, text)
	}
	return list, rows.Err()
}

// ChangeRoster implements store.Rosters. The row in roster stands for all that the account keeps: it is changed first, under the
// version that the caller knew.
func (s *db) ChangeRoster(ctx context.Context, owner string, c store.RosterChange) error {
	if !isKey(owner) {
		return store.ErrNotFound
	}
	if !isRosterChange(c) {
		return store.ErrInvalid
	}
	return s.use(ctx, "change roster", func() error {
		return s.update(ctx, sql.LevelSerializable, func(tx *sql.Tx) error {
			if err := turnVersion(ctx, tx, owner, c.Was, c.Version); err != nil {
				return err
			}
			for _, one := range c.Put {
				groups, err := json.Marshal(append([]string{}, one.Groups...))
				if err != nil {
					return err
				}
				if _, err := tx.ExecContext(ctx, `
					INSERT INTO roster_contact (owner, addr, listed, name, in_groups, sees, seen, asked, approved, request)
					VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
					ON CONFLICT (owner, addr) DO UPDATE SET listed = excluded.listed, name = excluded.name, in_groups = excluded.in_groups,
						sees = excluded.sees, seen = excluded.seen, asked = excluded.asked, approved = excluded.approved,
						request = excluded.request`,
					owner, one.Addr, one.Listed, one.Name, string(groups), one.To, one.From, one.Asked, one.Approved, blob(one.Request)); err != nil {
					return err
				}
			}
			for _, change := range []struct {
				statement string
				addrs     []string
			}{
				{`DELETE FROM roster_contact WHERE owner = $1 AND addr = $2`, c.Remove},
				{`DELETE FROM roster_block WHERE owner = $1 AND addr = $2`, c.Unblock},
				{`INSERT INTO roster_block (owner, addr) VALUES ($1, $2) ON CONFLICT DO NOTHING`, c.Block},
			} {
				for _, addr := range change.addrs {
					if _, err := tx.ExecContext(ctx, change.statement, owner, addr); err != nil {
						return err
					}
				}
			}
			return nil
		})
	})
}

// turnVersion takes a roster from one version to the next.
func turnVersion(ctx context.Context, tx *sql.Tx, owner string, was, next int64) error {
	if err := exists(ctx, tx, owner); err != nil {
		return err
	}
	if was == 0 {
		r, err := tx.ExecContext(ctx, `INSERT INTO roster (addr, version) VALUES ($1, $2) ON CONFLICT DO NOTHING`, owner, next)
		return affected(r, err, store.ErrStale)
	}
	r, err := tx.ExecContext(ctx, `UPDATE roster SET version = $3 WHERE addr = $1 AND version = $2`, owner, was, next)
	return affected(r, err, store.ErrStale)
}

// isRosterChange reports that a change can be stored.
func isRosterChange(c store.RosterChange) bool {
	if c.Version <= 0 || c.Version < c.Was {
		return false
	}
	for _, list := range [][]string{c.Remove, c.Block, c.Unblock} {
		for _, addr := range list {
			if !isKey(addr) {
				return false
			}
		}
	}
	for _, one := range c.Put {
		if !isKey(one.Addr) || !isText(one.Name) {
			return false
		}
		for _, group := range one.Groups {
			if !isText(group) {
				return false
			}
		}
	}
	return true
}
