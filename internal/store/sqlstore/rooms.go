package sqlstore

import (
	"context"
	"database/sql"
	"slices"

	"parley/internal/store"
)

// Claim implements store.Rooms.
func (s *db) Claim(ctx context.Context, addr, owner string) (epoch int64, err error) {
	if !isKey(addr) || !isText(owner) {
		return 0, store.ErrInvalid
	}
	err = s.use(ctx, "claim room", func() error {
		return s.update(ctx, sql.LevelReadCommitted, func(tx *sql.Tx) error {
			return tx.QueryRowContext(ctx, `
				INSERT INTO room_epoch (addr, owner, epoch, seq, mark) VALUES ($1, $2, 1, 0, 0)
				ON CONFLICT (addr) DO UPDATE SET owner = excluded.owner, epoch = room_epoch.epoch + 1
				RETURNING epoch`, addr, owner).Scan(&epoch)
		})
	})
	if err != nil {
		return 0, err
	}
	return epoch, nil
}

// Room implements store.Rooms. The affiliations are ordered by address.
func (s *db) Room(ctx context.Context, addr string) (room store.Room, list []store.Affiliation, err error) {
	if !isKey(addr) {
		return room, nil, store.ErrNotFound
	}
	err = s.use(ctx, "room", func() error {
		// One snapshot for both tables. Nothing is written, so the end of the transaction cannot fail in a way that matters.
		tx, err := s.reader.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
		if err != nil {
			return err
		}
		defer tx.Rollback()
		var key, created, subjectAt int64
		err = tx.QueryRowContext(ctx, `
			SELECT room, config, created, subject, subject_at FROM room WHERE addr = $1`, addr).
			Scan(&key, &room.Config, &created, &room.Subject, &subjectAt)
		if err == sql.ErrNoRows {
			return store.ErrNotFound
		}
		if err != nil {
			return err
		}
		room.Addr, room.Created, room.SubjectAt = addr, fromMillis(created), fromMillis(subjectAt)
		rows, err := tx.QueryContext(ctx, `
			SELECT addr, name, nick, reason FROM room_affiliation WHERE room = $1 ORDER BY addr`, key)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var a store.Affiliation
			if err := rows.Scan(&a.Addr, &a.Name, &a.Nick, &a.Reason); err != nil {
				return err
			}
			list = append(list, a)
		}
		return rows.Err()
	})
	if err != nil {
		return store.Room{}, nil, err
	}
	return room, list, nil
}

// History implements store.Rooms. A room that is not stored has none.
func (s *db) History(ctx context.Context, addr string, limit int) (list []store.Message, err error) {
	if !isKey(addr) || limit <= 0 {
		return nil, nil
	}
	err = s.use(ctx, "history", func() error {
		rows, err := s.reader.QueryContext(ctx, `
			SELECT id, at, sender, author, tail FROM room_message
			WHERE room = (SELECT room FROM room WHERE addr = $1) AND NOT subject ORDER BY seq DESC LIMIT $2`, addr, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var m store.Message
			var at int64
			if err := rows.Scan(&m.ID, &at, &m.Sender, &m.Author, &m.Tail); err != nil {
				return err
			}
			m.At = fromMillis(at)
			list = append(list, m)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	slices.Reverse(list)
	return list, nil
}

// ListRooms implements store.Rooms.
func (s *db) ListRooms(ctx context.Context, after string, limit int) (list []store.Room, err error) {
	if !isText(after) {
		return nil, store.ErrInvalid
	}
	err = s.use(ctx, "list rooms", func() error {
		rows, err := s.reader.QueryContext(ctx, `
			SELECT addr, config, created FROM room WHERE addr > $1 ORDER BY addr LIMIT $2`, after, max(limit, 0))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var room store.Room
			var created int64
			if err := rows.Scan(&room.Addr, &room.Config, &created); err != nil {
				return err
			}
			room.Created = fromMillis(created)
			list = append(list, room)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// Write implements store.Rooms.
func (s *db) Write(c store.Change, done func(error)) { s.queue.add(c, done) }
