package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"parley/internal/store"
)

// oldMeetings is after how long a meeting is forgotten that has ended.
const oldMeetings = 7 * 24 * time.Hour

// meetingColumns are those of table meeting, under the name m.
const meetingColumns = `m.id, COALESCE(m.account, ''), COALESCE(m.app, ''), m.room, m.title, m.starts, m.ends, m.created`

func scanMeeting(scan func(...any) error, more ...any) (m store.Meeting, err error) {
	var starts, ends, created int64
	err = scan(append([]any{&m.ID, &m.Account, &m.App, &m.Room, &m.Title, &starts, &ends, &created}, more...)...)
	if err == sql.ErrNoRows {
		err = store.ErrNotFound
	}
	m.Starts, m.Ends, m.Created = fromMillis(starts), fromMillis(ends), fromMillis(created)
	return m, err
}

// AddMeeting implements store.Meetings.
func (s *db) AddMeeting(ctx context.Context, m store.Meeting, most int) error {
	if !isKey(m.ID) || !isKey(m.Room) || !isText(m.Title) || (m.Account == "") == (m.App == "") {
		return store.ErrInvalid
	}
	if !isText(m.Account) || !isText(m.App) {
		return store.ErrNotFound
	}
	return s.use(ctx, "add meeting", func() error {
		return s.update(ctx, sql.LevelSerializable, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `DELETE FROM meeting WHERE (account = $1 OR app = $2) AND ends < $3`, m.Account, m.App, millis(time.Now().Add(-oldMeetings)))
			if err != nil {
				return err
			}
			var owners, meetings int
			err = tx.QueryRowContext(ctx, `
				SELECT (SELECT count(*) FROM account WHERE addr = $1) + (SELECT count(*) FROM app WHERE name = $2),
				       (SELECT count(*) FROM meeting WHERE account = $1 OR app = $2)`, m.Account, m.App).Scan(&owners, &meetings)
			switch {
			case err != nil:
				return err
			case owners == 0:
				return store.ErrNotFound
			case meetings >= most:
				return store.ErrQuota
			}
			r, err := tx.ExecContext(ctx, `
				INSERT INTO meeting (id, account, app, room, title, starts, ends, created)
				VALUES ($1, NULLIF($2, ''), NULLIF($3, ''), $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
				m.ID, m.Account, m.App, m.Room, m.Title, millis(m.Starts), millis(m.Ends), millis(m.Created))
			return affected(r, err, store.ErrExists)
		})
	})
}

// Meeting implements store.Meetings.
func (s *db) Meeting(ctx context.Context, id string) (m store.Meeting, err error) {
	if !isKey(id) {
		return m, store.ErrNotFound
	}
	err = s.use(ctx, "meeting", func() (err error) {
		m, err = scanMeeting(s.reader.QueryRowContext(ctx, `SELECT `+meetingColumns+` FROM meeting m WHERE m.id = $1`, id).Scan)
		return err
	})
	if err != nil {
		return store.Meeting{}, err
	}
	return m, nil
}

// ListMeetings implements store.Meetings.
func (s *db) ListMeetings(ctx context.Context, account, app, after string, limit int) (list []store.Meeting, err error) {
	if !isText(account) || !isText(app) || !isText(after) {
		return nil, store.ErrInvalid
	}
	err = s.use(ctx, "list meetings", func() error {
		rows, err := s.reader.QueryContext(ctx, `
			SELECT `+meetingColumns+` FROM meeting m WHERE (m.account = $1 OR m.app = $2) AND m.id > $3 ORDER BY m.id LIMIT $4`, account, app, after, max(limit, 0))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			m, err := scanMeeting(rows.Scan)
			if err != nil {
				return err
			}
			list = append(list, m)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// RemoveMeeting implements store.Meetings.
func (s *db) RemoveMeeting(ctx context.Context, id string) error {
	return s.removeOne(ctx, "remove meeting", `DELETE FROM meeting WHERE id = $1`, id)
}

// AddGuest implements store.Meetings.
func (s *db) AddGuest(ctx context.Context, g store.Guest, most int) error {
	if !isKey(g.ID) || len(g.Digest) == 0 || !isText(g.Name) || !isText(g.Account) {
		return store.ErrInvalid
	}
	if !isKey(g.Meeting) {
		return store.ErrNotFound
	}
	return s.use(ctx, "add guest", func() error {
		return s.update(ctx, sql.LevelSerializable, func(tx *sql.Tx) error {
			var meetings, guests int
			err := tx.QueryRowContext(ctx, `
				SELECT (SELECT count(*) FROM meeting WHERE id = $1), (SELECT count(*) FROM meeting_guest WHERE meeting = $1)`, g.Meeting).Scan(&meetings, &guests)
			switch {
			case err != nil:
				return err
			case meetings == 0:
				return store.ErrNotFound
			case guests >= most:
				return store.ErrQuota
			}
			r, err := tx.ExecContext(ctx, `
				INSERT INTO meeting_guest (id, meeting, digest, name, account, moderator, created) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
				g.ID, g.Meeting, g.Digest, g.Name, g.Account, g.Moderator, millis(g.Created))
			return affected(r, err, store.ErrExists)
		})
	})
}

const guestColumns = `g.id, g.meeting, g.digest, g.name, g.account, g.moderator, g.created`

// Guests implements store.Meetings.
func (s *db) Guests(ctx context.Context, meeting string) (list []store.Guest, err error) {
	if !isKey(meeting) {
		return nil, nil
	}
	err = s.use(ctx, "guests", func() error {
		rows, err := s.reader.QueryContext(ctx, `SELECT `+guestColumns+` FROM meeting_guest g WHERE g.meeting = $1 ORDER BY g.created, g.id`, meeting)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var g store.Guest
			var created int64
			if err := rows.Scan(&g.ID, &g.Meeting, &g.Digest, &g.Name, &g.Account, &g.Moderator, &created); err != nil {
				return err
			}
			g.Created = fromMillis(created)
			list = append(list, g)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// Guest implements store.Meetings.
func (s *db) Guest(ctx context.Context, id string) (g store.Guest, m store.Meeting, err error) {
	if !isKey(id) {
		return g, m, store.ErrNotFound
	}
	err = s.use(ctx, "guest", func() (err error) {
		var created int64
		m, err = scanMeeting(s.reader.QueryRowContext(ctx, `
			SELECT `+meetingColumns+`, `+guestColumns+` FROM meeting_guest g JOIN meeting m ON m.id = g.meeting WHERE g.id = $1`, id).Scan,
			&g.ID, &g.Meeting, &g.Digest, &g.Name, &g.Account, &g.Moderator, &created)
		g.Created = fromMillis(created)
		return err
	})
	if err != nil {
		return store.Guest{}, store.Meeting{}, err
	}
	return g, m, nil
}

// RemoveGuest implements store.Meetings.
func (s *db) RemoveGuest(ctx context.Context, meeting, id string) error {
	if !isKey(meeting) {
		return store.ErrNotFound
	}
	return s.removeOne(ctx, "remove guest", `DELETE FROM meeting_guest WHERE id = $1 AND meeting = $2`, id, meeting)
}

// removeOne removes what a key stands for, or returns ErrNotFound.
func (s *db) removeOne(ctx context.Context, what, statement, key string, more ...any) error {
	if !isKey(key) {
		return store.ErrNotFound
	}
	return s.use(ctx, what, func() error {
		return s.update(ctx, sql.LevelSerializable, func(tx *sql.Tx) error {
			r, err := tx.ExecContext(ctx, statement, append([]any{key}, more...)...)
			return affected(r, err, store.ErrNotFound)
		})
	})
}
