package sqlstore

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"time"

	"parley/internal/store"
)

// TalkSessions implements store.Talks.
func (s *db) TalkSessions(ctx context.Context, q store.TalkQuery) (list []store.TalkSession, err error) {
	var where []string
	var args []any
	add := func(condition string, value any) {
		args = append(args, value)
		where = append(where, strings.ReplaceAll(condition, "?", "$"+strconv.Itoa(len(args))))
	}
	for _, text := range []struct{ condition, value string }{{"account = ?", q.Account}, {"room_id = ?", q.Room}, {"session_id < ?", q.Before}} {
		if text.value == "" {
			continue
		}
		if !isKey(text.value) {
			return nil, store.ErrInvalid
		}
		add(text.condition, text.value)
	}
	if !q.From.IsZero() {
		add("(leave_time IS NULL OR leave_time >= ?)", s.when(q.From))
	}
	if !q.Until.IsZero() {
		add("join_time < ?", s.when(q.Until))
	}
	text := `SELECT ` + sessionColumns + ` FROM rtc_talk_sessions`
	if len(where) > 0 {
		text += ` WHERE ` + strings.Join(where, " AND ")
	}
	args = append(args, max(q.Limit, 0))
	text += ` ORDER BY session_id DESC LIMIT $` + strconv.Itoa(len(args))
	err = s.use(ctx, "records of calls", func() (err error) {
		list, err = all(ctx, s.reader, scanSession, text, args...)
		return err
	})
	return list, err
}

// all reads what a statement selects.
func all[T any](ctx context.Context, from *sql.DB, scan func(*sql.Rows) (T, error), text string, args ...any) (list []T, err error) {
	rows, err := from.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		t, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return list, rows.Err()
}

// TalkSubs implements store.Talks.
func (s *db) TalkSubs(ctx context.Context, sessions []string) (list []store.TalkSub, err error) {
	for _, id := range sessions {
		if !isKey(id) {
			return nil, store.ErrInvalid
		}
	}
	err = s.use(ctx, "records of calls", func() error {
		list = nil
		for start := 0; start < len(sessions); start += rowsAtOnce {
			var keys [][]any
			for _, id := range sessions[start:min(start+rowsAtOnce, len(sessions))] {
				keys = append(keys, []any{id})
			}
			text, args := statement(`SELECT `+subColumns+` FROM rtc_talk_subsessions WHERE session_id IN (`, `?`, `) ORDER BY sub_session_id`, keys)
			found, err := all(ctx, s.reader, scanSub, text, args...)
			if err != nil {
				return err
			}
			list = append(list, found...)
		}
		return nil
	})
	return list, err
}

// TalkDay implements store.Talks.
func (s *db) TalkDay(ctx context.Context, from, until time.Time) (r store.TalkRecords, err error) {
	const during = ` WHERE create_time >= $1 AND create_time < $2 ORDER BY create_time`
	err = s.use(ctx, "records of calls", func() (err error) {
		start, end := s.when(from), s.when(until)
		if r.Qualities, err = all(ctx, s.reader, scanQuality, `SELECT `+qualityColumns+` FROM rtc_talk_quality_stats_infos`+during, start, end); err != nil {
			return err
		}
		if r.Verdicts, err = all(ctx, s.reader, scanVerdict, `SELECT `+verdictColumns+` FROM rtc_talk_verdicts`+during, start, end); err != nil {
			return err
		}
		r.Notes, err = all(ctx, s.reader, scanNote, `SELECT `+noteColumns+` FROM rtc_talk_notes`+during, start, end)
		return err
	})
	return r, err
}

// OpenTalks implements store.Talks.
func (s *db) OpenTalks(ctx context.Context, node string) (r store.TalkRecords, err error) {
	if !isText(node) {
		return r, store.ErrInvalid
	}
	err = s.use(ctx, "records of calls", func() (err error) {
		if r.Sessions, err = all(ctx, s.reader, scanSession, `SELECT `+sessionColumns+` FROM rtc_talk_sessions WHERE node = $1 AND leave_time IS NULL ORDER BY session_id`, node); err != nil {
			return err
		}
		r.Subs, err = all(ctx, s.reader, scanSub, `SELECT `+subColumns+` FROM rtc_talk_subsessions WHERE session_id IN (
			SELECT session_id FROM rtc_talk_sessions WHERE node = $1 AND leave_time IS NULL) ORDER BY sub_session_id`, node)
		return err
	})
	return r, err
}

// ForgetTalks implements store.Talks.
func (s *db) ForgetTalks(ctx context.Context, before time.Time, limit int) (n int, err error) {
	err = s.use(ctx, "forget records of calls", func() error {
		return s.update(ctx, sql.LevelReadCommitted, func(tx *sql.Tx) error {
			r, err := tx.ExecContext(ctx, `DELETE FROM rtc_talk_sessions WHERE session_id IN (
				SELECT session_id FROM rtc_talk_sessions WHERE create_time < $1 ORDER BY create_time LIMIT $2)`, s.when(before), max(limit, 0))
			if err != nil {
				return err
			}
			removed, err := r.RowsAffected()
			if err != nil {
				return err
			}
			n = int(removed)
			_, err = tx.ExecContext(ctx, `DELETE FROM rtc_talk_notes WHERE create_time < $1`, s.when(before))
			return err
		})
	})
	return n, err
}

// LeaseReport implements store.Talks.
func (s *db) LeaseReport(ctx context.Context, day, owner string, now, until time.Time) (ok bool, err error) {
	if !isKey(day) || !isKey(owner) {
		return false, store.ErrInvalid
	}
	err = s.use(ctx, "lease report", func() error {
		return s.update(ctx, sql.LevelReadCommitted, func(tx *sql.Tx) error {
			r, err := tx.ExecContext(ctx, `
				INSERT INTO rtc_talk_reports (day, owner, until) VALUES ($1, $2, $4)
				ON CONFLICT (day) DO UPDATE SET owner = excluded.owner, until = excluded.until
				WHERE rtc_talk_reports.mailed IS NULL AND (rtc_talk_reports.until <= $3 OR rtc_talk_reports.owner = $2)`,
				day, owner, s.when(now), s.when(until))
			err = affected(r, err, store.ErrExists)
			ok = err == nil
			if err == store.ErrExists {
				return nil
			}
			return err
		})
	})
	return ok && err == nil, err
}

// ReportKnown implements store.Talks.
func (s *db) ReportKnown(ctx context.Context, day string) (known bool, err error) {
	err = s.use(ctx, "report known", func() error {
		return s.reader.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM rtc_talk_reports WHERE day <> $1)`, day).Scan(&known)
	})
	return known, err
}

// ReportMailed implements store.Talks.
func (s *db) ReportMailed(ctx context.Context, day, owner string, now time.Time) error {
	if !isKey(day) || !isKey(owner) {
		return store.ErrNotFound
	}
	return s.use(ctx, "report mailed", func() error {
		return s.update(ctx, sql.LevelReadCommitted, func(tx *sql.Tx) error {
			r, err := tx.ExecContext(ctx, `UPDATE rtc_talk_reports SET mailed = $3 WHERE day = $1 AND owner = $2 AND mailed IS NULL`, day, owner, s.when(now))
			return affected(r, err, store.ErrNotFound)
		})
	})
}
