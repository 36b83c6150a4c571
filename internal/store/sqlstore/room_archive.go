package sqlstore

import (
	"context"
	"database/sql"
	"math"
	"strings"

	"parley/internal/store"
)

// RoomPage implements store.RoomArchives.
func (s *db) RoomPage(ctx context.Context, q store.ArchiveQuery) (list []store.Archived, more bool, err error) {
	err = s.use(ctx, "room page", func() error {
		c, err := s.roomClause(ctx, &q)
		if c == nil || err != nil {
			return err
		}
		rows, err := s.reader.QueryContext(ctx, `SELECT id, at, sender, author, tail FROM room_message WHERE `+c.where.String()+
			c.order("seq", &q), c.args...)
		if err != nil {
			return err
		}
		list, more, err = collect(rows, &q, func() (m store.Archived, err error) {
			var at int64
			err = rows.Scan(&m.ID, &at, &m.Peer, &m.Author, &m.Tail)
			m.At = fromMillis(at)
			return m, err
		})
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return list, more, nil
}

// RoomCount implements store.RoomArchives.
func (s *db) RoomCount(ctx context.Context, q store.ArchiveQuery) (n int, err error) {
	err = s.use(ctx, "room count", func() error {
		c, err := s.roomClause(ctx, &q)
		if c == nil || err != nil {
			return err
		}
		return s.reader.QueryRowContext(ctx, `SELECT COUNT(*) FROM room_message WHERE `+c.where.String(), c.args...).Scan(&n)
	})
	return n, err
}

// RoomEnds implements store.RoomArchives.
func (s *db) RoomEnds(ctx context.Context, room string) (ends store.ArchiveEnds, err error) {
	if !isKey(room) {
		return ends, nil
	}
	err = s.use(ctx, "room ends", func() error {
		for _, side := range []struct {
			to        *store.Archived
			direction string
		}{{&ends.First, ``}, {&ends.Last, ` DESC`}} {
			var at int64
			err := s.reader.QueryRowContext(ctx, `SELECT id, at FROM room_message WHERE `+ofRoom+`$1) ORDER BY seq`+side.direction+
				` LIMIT 1`, room).Scan(&side.to.ID, &at)
			if err == sql.ErrNoRows {
				ends = store.ArchiveEnds{}
				return nil
			}
			if err != nil {
				return err
			}
			side.to.At = fromMillis(at)
		}
		return s.reader.QueryRowContext(ctx, `SELECT COUNT(*) FROM room_message WHERE `+ofRoom+`$1)`, room).Scan(&ends.Count)
	})
	return ends, err
}

// ofRoom selects a room's messages.
const ofRoom = `room = (SELECT room FROM room WHERE addr = `

// roomClause is the condition on the messages of a room, nil if none can fit. Ids and times become bounds of the numbers,
// which have no gaps, by the indexes.
func (s *db) roomClause(ctx context.Context, q *store.ArchiveQuery) (*clause, error) {
	low, high := int64(0), int64(math.MaxInt64)
	// find returns the number that a statement about the room finds, or ErrNotFound.
	find := func(rest string, v any) (seq int64, err error) {
		err = s.reader.QueryRowContext(ctx, `SELECT seq FROM room_message WHERE `+ofRoom+`$1) `+rest, q.Owner, v).Scan(&seq)
		if err == sql.ErrNoRows {
			err = store.ErrNotFound
		}
		return seq, err
	}
	const byID = `AND id = $2`
	known := isKey(q.Owner) && isText(q.With)
	lookup := func(list []string, use func(int64)) error {
		for _, id := range list {
			if !known || !isKey(id) {
				return store.ErrNotFound
			}
			seq, err := find(byID, id)
			if err != nil {
				return err
			}
			use(seq)
		}
		return nil
	}
	var numbers []int64
	if err := lookup(q.After, func(seq int64) { low = max(low, seq) }); err != nil {
		return nil, err
	}
	if err := lookup(q.Before, func(seq int64) { high = min(high, seq) }); err != nil {
		return nil, err
	}
	if err := lookup(q.IDs, func(seq int64) { numbers = append(numbers, seq) }); err != nil || !known {
		return nil, err
	}
	if !q.Start.IsZero() {
		seq, err := find(`AND at >= $2 ORDER BY at, seq LIMIT 1`, idMillis(idAt(q.Start, startOfID)))
		if err == store.ErrNotFound {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		low = max(low, seq-1)
	}
	if !q.End.IsZero() {
		seq, err := find(`AND at < $2 ORDER BY at DESC, seq DESC LIMIT 1`, idMillis(idAt(q.End, endOfID)))
		if err == store.ErrNotFound {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		if seq < high {
			high = seq + 1
		}
	}
	c := newClause(ofRoom, q.Owner)
	switch {
	case q.With == "", q.With == q.Owner:
	case strings.HasPrefix(q.With, q.Owner+"/"):
		c.and(`sender =`, q.With)
	case strings.Contains(q.With, "/"):
		c.and(`author =`, q.With)
	default: // all of its resources: '0' is what follows '/'
		c.and(`(author =`, q.With)
		c.where.WriteString(` OR author > ` + c.arg(q.With+"/") + ` AND author < ` + c.arg(q.With+"0") + `)`)
	}
	c.and(`seq >`, low)
	c.and(`seq <`, high)
	for i, seq := range numbers {
		if i == 0 {
			c.where.WriteString(` AND seq IN (`)
		}
		c.list(i, seq)
		if i == len(numbers)-1 {
			c.where.WriteByte(')')
		}
	}
	return c, nil
}
