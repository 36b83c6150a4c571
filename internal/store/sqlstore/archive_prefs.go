package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"

	"parley/internal/store"
)

// SetArchivePrefs implements store.Archives.
func (s *db) SetArchivePrefs(ctx context.Context, owner string, p store.ArchivePrefs) error {
	if !isKey(owner) {
		return store.ErrNotFound
	}
	switch p.Default {
	case store.ArchiveAlways, store.ArchiveNever, store.ArchiveRoster:
	default:
		return store.ErrInvalid
	}
	for _, list := range [][]string{p.Always, p.Never} {
		for _, addr := range list {
			if !isText(addr) {
				return store.ErrInvalid
			}
		}
	}
	always, _ := json.Marshal(p.Always) // texts
	never, _ := json.Marshal(p.Never)
	return s.use(ctx, "set archive preferences", func() error {
		return s.update(ctx, sql.LevelReadCommitted, func(tx *sql.Tx) error {
			r, err := tx.ExecContext(ctx, `
				INSERT INTO archive_prefs (owner, policy, always, never)
				SELECT addr, CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT) FROM account WHERE addr = $1
				ON CONFLICT (owner) DO UPDATE SET policy = excluded.policy, always = excluded.always, never = excluded.never`,
				owner, string(p.Default), string(always), string(never))
			return affected(r, err, store.ErrNotFound)
		})
	})
}

// ArchivePrefs implements store.Archives.
func (s *db) ArchivePrefs(ctx context.Context, owner string) (p store.ArchivePrefs, err error) {
	if !isKey(owner) {
		return p, store.ErrNotFound
	}
	err = s.use(ctx, "archive preferences", func() error {
		_, err := scanPrefs(s.reader.QueryRowContext(ctx, `
			SELECT owner, policy, always, never FROM archive_prefs WHERE owner = $1`, owner), &p)
		if err == sql.ErrNoRows {
			return store.ErrNotFound
		}
		return err
	})
	return p, err
}

// ListArchivePrefs implements store.Archives.
func (s *db) ListArchivePrefs(ctx context.Context, after string, limit int) (owners []string, prefs []store.ArchivePrefs, err error) {
	if !isText(after) {
		return nil, nil, store.ErrInvalid
	}
	err = s.use(ctx, "list archive preferences", func() error {
		rows, err := s.reader.QueryContext(ctx, `
			SELECT owner, policy, always, never FROM archive_prefs WHERE owner > $1 ORDER BY owner LIMIT $2`, after, max(limit, 0))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var p store.ArchivePrefs
			owner, err := scanPrefs(rows, &p)
			if err != nil {
				return err
			}
			owners, prefs = append(owners, owner), append(prefs, p)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, nil, err
	}
	return owners, prefs, nil
}

func scanPrefs(row interface{ Scan(...any) error }, p *store.ArchivePrefs) (owner string, err error) {
	var always, never string
	if err := row.Scan(&owner, &p.Default, &always, &never); err != nil {
		return "", err
	}
	if err := json.Unmarshal([]byte(always), &p.Always); err != nil {
		return "", err
	}
	return owner, json.Unmarshal([]byte(never), &p.Never)
}
