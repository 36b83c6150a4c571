package sqlstore

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"parley/internal/store"
)

// appColumns are those of table app, under the name a.
const appColumns = `a.name, a.scopes, a.domains, a.rate, a.burst, a.created`

func scanApp(scan func(...any) error, more ...any) (a store.App, err error) {
	var scopes, domains string
	var created int64
	err = scan(append([]any{&a.Name, &scopes, &domains, &a.Rate, &a.Burst, &created}, more...)...)
	if err == sql.ErrNoRows {
		err = store.ErrNotFound
	}
	a.Created = fromMillis(created)
	if f := strings.Fields(scopes); len(f) > 0 {
		a.Scopes = f
	}
	if f := strings.Fields(domains); len(f) > 0 {
		a.Domains = f
	}
	return a, err
}

// App implements store.Apps.
func (s *db) App(ctx context.Context, name string) (a store.App, err error) {
	if !isKey(name) {
		return a, store.ErrNotFound
	}
	err = s.use(ctx, "app", func() (err error) {
		a, err = scanApp(s.reader.QueryRowContext(ctx, `SELECT `+appColumns+` FROM app a WHERE a.name = $1`, name).Scan)
		return err
	})
	if err != nil {
		return store.App{}, err
	}
	return a, nil
}

// AddApp implements store.Apps.
func (s *db) AddApp(ctx context.Context, a store.App) error {
	word := func(w string) bool { return !isKey(w) || len(strings.Fields(w)) != 1 || strings.Fields(w)[0] != w }
	if !isKey(a.Name) || slices.ContainsFunc(a.Scopes, word) || slices.ContainsFunc(a.Domains, word) {
		return store.ErrInvalid
	}
	return s.use(ctx, "add app", func() error {
		return s.update(ctx, sql.LevelSerializable, func(tx *sql.Tx) error {
			r, err := tx.ExecContext(ctx, `
				INSERT INTO app (name, scopes, domains, rate, burst, created) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
				a.Name, strings.Join(a.Scopes, " "), strings.Join(a.Domains, " "), a.Rate, a.Burst, millis(a.Created))
			return affected(r, err, store.ErrExists)
		})
	})
}

// RemoveApp implements store.Apps.
func (s *db) RemoveApp(ctx context.Context, name string) error {
	if !isKey(name) {
		return store.ErrNotFound
	}
	return s.use(ctx, "remove app", func() error {
		return s.update(ctx, sql.LevelSerializable, func(tx *sql.Tx) error {
			r, err := tx.ExecContext(ctx, `DELETE FROM app WHERE name = $1`, name)
			return affected(r, err, store.ErrNotFound)
		})
	})
}

// ListApps implements store.Apps.
func (s *db) ListApps(ctx context.Context, after string, limit int) (list []store.App, err error) {
	if !isText(after) {
		return nil, store.ErrInvalid
	}
	err = s.use(ctx, "list apps", func() error {
		rows, err := s.reader.QueryContext(ctx, `SELECT `+appColumns+` FROM app a WHERE a.name > $1 ORDER BY a.name LIMIT $2`, after, max(limit, 0))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			a, err := scanApp(rows.Scan)
			if err != nil {
				return err
			}
			list = append(list, a)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// AddAppKey implements store.Apps.
func (s *db) AddAppKey(ctx context.Context, k store.AppKey, most int) error {
	if !isKey(k.ID) || len(k.Digest) == 0 {
		return store.ErrInvalid
	}
	if !isKey(k.App) {
		return store.ErrNotFound
	}
	return s.use(ctx, "add app key", func() error {
		return s.update(ctx, sql.LevelSerializable, func(tx *sql.Tx) error {
			var apps, keys int
			err := tx.QueryRowContext(ctx, `
				SELECT (SELECT count(*) FROM app WHERE name = $1), (SELECT count(*) FROM app_key WHERE app = $1)`, k.App).Scan(&apps, &keys)
			switch {
			case err != nil:
				return err
			case apps == 0:
				return store.ErrNotFound
			case keys >= most:
				return store.ErrQuota
			}
			r, err := tx.ExecContext(ctx, `INSERT INTO app_key (id, app, digest, created) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
				k.ID, k.App, k.Digest, millis(k.Created))
			return affected(r, err, store.ErrExists)
		})
	})
}

// RemoveAppKey implements store.Apps.
func (s *db) RemoveAppKey(ctx context.Context, app, id string) error {
	if !isKey(app) || !isKey(id) {
		return store.ErrNotFound
	}
	return s.use(ctx, "remove app key", func() error {
		return s.update(ctx, sql.LevelSerializable, func(tx *sql.Tx) error {
			r, err := tx.ExecContext(ctx, `DELETE FROM app_key WHERE app = $1 AND id = $2`, app, id)
			return affected(r, err, store.ErrNotFound)
		})
	})
}

// AppKeys implements store.Apps.
func (s *db) AppKeys(ctx context.Context, app string) (list []store.AppKey, err error) {
	if !isKey(app) {
		return nil, nil
	}
	err = s.use(ctx, "app keys", func() error {
		rows, err := s.reader.QueryContext(ctx, `SELECT id, digest, created FROM app_key WHERE app = $1 ORDER BY created, id`, app)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			k := store.AppKey{App: app}
			var created int64
			if err := rows.Scan(&k.ID, &k.Digest, &created); err != nil {
				return err
			}
			k.Created = fromMillis(created)
			list = append(list, k)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// AppOfKey implements store.Apps.
func (s *db) AppOfKey(ctx context.Context, id string) (a store.App, k store.AppKey, err error) {
	if !isKey(id) {
		return a, k, store.ErrNotFound
	}
	err = s.use(ctx, "app of key", func() (err error) {
		var created int64
		a, err = scanApp(s.reader.QueryRowContext(ctx, `
			SELECT `+appColumns+`, k.digest, k.created FROM app_key k JOIN app a ON a.name = k.app WHERE k.id = $1`, id).Scan, &k.Digest, &created)
		k.ID, k.App, k.Created = id, a.Name, fromMillis(created)
		return err
	})
	if err != nil {
		return store.App{}, store.AppKey{}, err
	}
	return a, k, nil
}
