package sqlstore

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"strings"
	"time"

	"parley/internal/store"
)

// AddHook implements store.Hooks.
func (s *db) AddHook(ctx context.Context, h store.Hook, most int) error {
	if !isKey(h.ID) || h.URL == "" || !isText(h.URL) || len(h.Secret) == 0 || slices.ContainsFunc(h.Events, func(e string) bool { return !isKey(e) || strings.ContainsAny(e, " \n") }) {
		return store.ErrInvalid
	}
	if !isKey(h.App) {
		return store.ErrNotFound
	}
	return s.use(ctx, "add hook", func() error {
		return s.update(ctx, sql.LevelSerializable, func(tx *sql.Tx) error {
			var apps, hooks int
			err := tx.QueryRowContext(ctx, `
				SELECT (SELECT count(*) FROM app WHERE name = $1), (SELECT count(*) FROM hook WHERE app = $1)`, h.App).Scan(&apps, &hooks)
			switch {
			case err != nil:
				return err
			case apps == 0:
				return store.ErrNotFound
			case hooks >= most:
				return store.ErrQuota
			}
			r, err := tx.ExecContext(ctx, `INSERT INTO hook (id, app, url, events, secret, created) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
				h.ID, h.App, h.URL, strings.Join(h.Events, " "), h.Secret, millis(h.Created))
			return affected(r, err, store.ErrExists)
		})
	})
}

// RemoveHook implements store.Hooks.
func (s *db) RemoveHook(ctx context.Context, app, id string) error {
	if !isKey(app) || !isKey(id) {
		return store.ErrNotFound
	}
	return s.use(ctx, "remove hook", func() error {
		return s.update(ctx, sql.LevelSerializable, func(tx *sql.Tx) error {
			r, err := tx.ExecContext(ctx, `DELETE FROM hook WHERE app = $1 AND id = $2`, app, id)
			return affected(r, err, store.ErrNotFound)
		})
	})
}

// ListHooks implements store.Hooks.
func (s *db) ListHooks(ctx context.Context, app string) (list []store.Hook, err error) {
	if !isText(app) {
		return nil, nil
	}
	err = s.use(ctx, "list hooks", func() error {
		rows, err := s.reader.QueryContext(ctx, `
			SELECT h.id, h.app, h.url, h.events, h.secret, h.created, (SELECT count(*) FROM hook_delivery d WHERE d.hook = h.id)
			FROM hook h WHERE $1 = '' OR h.app = $1 ORDER BY h.created, h.id`, app)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var h store.Hook
			var events string
			var created int64
			if err := rows.Scan(&h.ID, &h.App, &h.URL, &events, &h.Secret, &created, &h.Waiting); err != nil {
				return err
			}
			h.Created = fromMillis(created)
			if f := strings.Fields(events); len(f) > 0 {
				h.Events = f
			}
			list = append(list, h)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// AddDeliveries implements store.Hooks.
func (s *db) AddDeliveries(ctx context.Context, list []store.Delivery, most int) (dropped int, err error) {
	byHook := make(map[string][]store.Delivery)
	for _, d := range list {
		if !isKey(d.Hook) || !isKey(d.ID) || len(d.Body) == 0 {
			return 0, store.ErrInvalid
		}
		byHook[d.Hook] = append(byHook[d.Hook], d)
	}
	err = s.use(ctx, "add deliveries", func() error {
		return s.update(ctx, sql.LevelReadCommitted, func(tx *sql.Tx) error {
			dropped = 0
			for _, hook := range slices.Sorted(maps.Keys(byHook)) {
				var hooks, waiting int
				err := tx.QueryRowContext(ctx, `
					SELECT (SELECT count(*) FROM hook WHERE id = $1), (SELECT count(*) FROM hook_delivery WHERE hook = $1)`, hook).Scan(&hooks, &waiting)
				if err != nil {
					return err
				}
				if hooks == 0 {
					continue
				}
				for i, d := range byHook[hook] {
					if waiting+i >= most {
						dropped += len(byHook[hook]) - i
						break
					}
					_, err := tx.ExecContext(ctx, `INSERT INTO hook_delivery (hook, id, body, created, next, tries, node) VALUES ($1, $2, $3, $4, $5, 0, '')`,
						d.Hook, d.ID, d.Body, millis(d.Created), millis(d.Created))
					if err != nil {
						return err
					}
				}
			}
			return nil
		})
	})
	return dropped, err
}

// DueHooks implements store.Hooks.
func (s *db) DueHooks(ctx context.Context, now time.Time) (list []string, err error) {
	return s.names(ctx, "due hooks", `
		SELECT h.id FROM hook h WHERE EXISTS (SELECT 1 FROM hook_delivery d WHERE d.hook = h.id AND d.next <= $1) ORDER BY h.id`, millis(now))
}

// TakeDeliveries implements store.Hooks.
func (s *db) TakeDeliveries(ctx context.Context, hook, node string, now, until time.Time, limit int) (list []store.Delivery, err error) {
	if !isKey(hook) || !isKey(node) {
		return nil, store.ErrInvalid
	}
	err = s.use(ctx, "take deliveries", func() error {
		return s.update(ctx, sql.LevelReadCommitted, func(tx *sql.Tx) error {
			list = nil
			rows, err := tx.QueryContext(ctx, `
				UPDATE hook_delivery SET next = $4, node = $2
				WHERE seq IN (SELECT seq FROM hook_delivery WHERE hook = $1 AND next <= $3 ORDER BY seq LIMIT $5`+s.lock+`)
				RETURNING seq, id, body, created, tries`, hook, node, millis(now), millis(until), limit)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				d := store.Delivery{Hook: hook}
				var created int64
				if err := rows.Scan(&d.Seq, &d.ID, &d.Body, &created, &d.Tries); err != nil {
					return err
				}
				d.Created = fromMillis(created)
				list = append(list, d)
			}
			return rows.Err()
		})
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b store.Delivery) int { return int(a.Seq - b.Seq) })
	return list, nil
}

// EndDelivery implements store.Hooks.
func (s *db) EndDelivery(ctx context.Context, seq int64) error {
	return s.use(ctx, "end delivery", func() error {
		return s.update(ctx, sql.LevelReadCommitted, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `DELETE FROM hook_delivery WHERE seq = $1`, seq)
			return err
		})
	})
}

// PutOff implements store.Hooks.
func (s *db) PutOff(ctx context.Context, seq int64, at time.Time, failed bool) error {
	more := 0
	if failed {
		more = 1
	}
	return s.use(ctx, "put off delivery", func() error {
		return s.update(ctx, sql.LevelReadCommitted, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `UPDATE hook_delivery SET next = $2, tries = tries + $3, node = '' WHERE seq = $1`, seq, millis(at), more)
			return err
		})
	})
}

// FreeDeliveries implements store.Hooks.
func (s *db) FreeDeliveries(ctx context.Context, node string, now time.Time) error {
	if !isKey(node) {
		return store.ErrInvalid
	}
	return s.use(ctx, "free deliveries", func() error {
		return s.update(ctx, sql.LevelReadCommitted, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `UPDATE hook_delivery SET next = $2, node = '' WHERE node = $1`, node, millis(now))
			return err
		})
	})
}
