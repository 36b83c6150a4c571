package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"parley/internal/store"
)

// ArchivePage implements store.Archives. What bounds the ids is found in the primary key, or in the index by peer, so that a
// page costs the same wherever it is.
func (s *db) ArchivePage(ctx context.Context, q store.ArchiveQuery) (list []store.Archived, more bool, err error) {
	c, err := archiveClause(&q)
	if c == nil || err != nil {
		return nil, false, err
	}
	err = s.use(ctx, "archive page", func() error {
		if err := s.holdsAll(ctx, &q, c.named); err != nil {
			return err
		}
		rows, err := s.reader.QueryContext(ctx, `SELECT id, peer, resource, tail FROM archive_message WHERE `+c.where.String()+
			c.order("id", &q), c.args...)
		if err != nil {
			return err
		}
		list, more, err = collect(rows, &q, func() (m store.Archived, err error) {
			var id uuid.UUID
			var raw []byte
			var resource string
			if err = rows.Scan(&raw, &m.Peer, &resource, &m.Tail); err != nil {
				return m, err
			}
			if copy(id[:], raw); resource != "" {
				m.Peer += "/" + resource
			}
			m.ID, m.At = id.String(), fromMillis(idMillis(id))
			return m, nil
		})
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return list, more, nil
}

// ArchiveCount implements store.Archives.
func (s *db) ArchiveCount(ctx context.Context, q store.ArchiveQuery) (n int, err error) {
	c, err := archiveClause(&q)
	if c == nil || err != nil {
		return 0, err
	}
	err = s.use(ctx, "archive count", func() error {
		if err := s.holdsAll(ctx, &q, c.named); err != nil {
			return err
		}
		return s.reader.QueryRowContext(ctx, `SELECT COUNT(*) FROM archive_message WHERE `+c.where.String(), c.args...).Scan(&n)
	})
	return n, err
}

// holdsAll returns ErrNotFound if a message that is named is not in the archive.
func (s *db) holdsAll(ctx context.Context, q *store.ArchiveQuery, named [][]byte) error {
	if len(named) == 0 {
		return nil
	}
	slices.SortFunc(named, bytes.Compare)
	named = slices.CompactFunc(named, bytes.Equal)
	c := newClause(ofArchive, q.Owner)
	c.where.WriteString(` AND id IN (`)
	for i, id := range named {
		c.list(i, id)
	}
	found := 0
	err := s.reader.QueryRowContext(ctx, `SELECT COUNT(*) FROM archive_message WHERE `+c.where.String()+`)`, c.args...).Scan(&found)
	if err == nil && found < len(named) {
		return store.ErrNotFound
	}
	return err
}

// ArchiveEnds implements store.Archives.
func (s *db) ArchiveEnds(ctx context.Context, owner string) (ends store.ArchiveEnds, err error) {
	if !isKey(owner) {
		return ends, nil
	}
	err = s.use(ctx, "archive ends", func() error {
		var first, last []byte
		err := s.reader.QueryRowContext(ctx, `
			SELECT messages,
				(SELECT id FROM archive_message m WHERE m.archive = a.archive ORDER BY id LIMIT 1),
				(SELECT id FROM archive_message m WHERE m.archive = a.archive ORDER BY id DESC LIMIT 1)
			FROM archive a WHERE owner = $1`, owner).Scan(&ends.Count, &first, &last)
		if err == sql.ErrNoRows || err == nil && len(last) != len(uuid.UUID{}) {
			ends = store.ArchiveEnds{}
			return nil
		}
		if err == nil {
			ends.First, ends.Last = end(first), end(last)
		}
		return err
	})
	return ends, err
}

func end(raw []byte) store.Archived {
	id := uuid.UUID(raw)
	return store.Archived{ID: id.String(), At: fromMillis(idMillis(id))}
}

// NewestArchived implements store.Archives.
func (s *db) NewestArchived(ctx context.Context) (at time.Time, err error) {
	err = s.use(ctx, "newest archived", func() error {
		var ms int64
		err := s.reader.QueryRowContext(ctx, `SELECT COALESCE(MAX(latest), 0) FROM archive`).Scan(&ms)
		if err == nil && ms > 0 {
			at = fromMillis(ms)
		}
		return err
	})
	return at, err
}

// ofArchive selects the messages of an account's archive.
const ofArchive = `archive = (SELECT archive FROM archive WHERE owner = `

// clause is the condition of a query on its way.
type clause struct {
	where strings.Builder
	args  []any
	named [][]byte // ids that must be there
}

// newClause begins a condition with the owner.
func newClause(of, owner string) *clause {
	c := new(clause)
	c.where.WriteString(of)
	c.where.WriteString(c.arg(owner))
	c.where.WriteByte(')')
	return c
}

// arg adds a parameter and returns how the text names it.
func (c *clause) arg(v any) string {
	c.args = append(c.args, v)
	return "$" + strconv.Itoa(len(c.args))
}

// and adds a comparison with a parameter.
func (c *clause) and(comparison string, v any) {
	c.where.WriteString(` AND ` + comparison + ` ` + c.arg(v))
}

// list adds the ith parameter of a list.
func (c *clause) list(i int, v any) {
	if i > 0 {
		c.where.WriteByte(',')
	}
	c.where.WriteString(c.arg(v))
}

// order is what follows the condition: one message more than is asked for, to see whether there is more.
func (c *clause) order(by string, q *store.ArchiveQuery) string {
	direction := ``
	if q.Backward {
		direction = ` DESC`
	}
	return ` ORDER BY ` + by + direction + ` LIMIT ` + c.arg(max(q.Limit, 0)+1)
}

// archiveClause is the condition on the messages of an account's archive, nil if none can fit.
func archiveClause(q *store.ArchiveQuery) (*clause, error) {
	low, high := idAt(q.Start, startOfID), idAt(q.End, endOfID)
	if q.Start.IsZero() {
		low = uuid.Nil
	}
	if q.End.IsZero() {
		high = uuid.Max
	}
	var named [][]byte
	read := func(list []string, use func(uuid.UUID)) bool {
		for _, text := range list {
			id, ok := messageID(text)
			if !ok {
				return false
			}
			named = append(named, id[:])
			use(id)
		}
		return true
	}
	var ids []uuid.UUID
	if !read(q.After, func(id uuid.UUID) { low = maxID(low, id) }) || !read(q.IDs, func(id uuid.UUID) { ids = append(ids, id) }) ||
		!read(q.Before, func(id uuid.UUID) {
			if bytes.Compare(id[:], high[:]) < 0 {
				high = id
			}
		}) {
		return nil, store.ErrNotFound
	}
	if !isKey(q.Owner) || !isText(q.With) {
		if len(named) > 0 {
			return nil, store.ErrNotFound
		}
		return nil, nil
	}
	c := newClause(ofArchive, q.Owner)
	c.named = named
	if q.With != "" {
		peer, resource := splitAddr(q.With)
		c.and(`peer =`, peer)
		if resource != "" {
			c.and(`resource =`, resource)
		}
	}
	c.and(`id >`, low[:])
	c.and(`id <`, high[:])
	for i, id := range ids {
		if i == 0 {
			c.where.WriteString(` AND id IN (`)
		}
		c.list(i, id[:])
		if i == len(ids)-1 {
			c.where.WriteByte(')')
		}
	}
	return c, nil
}

// What idAt adds so that its id stands in front of the first message that is not before a time, and behind the last one that
// is not after it.
const (
	startOfID = time.Millisecond - 1
	endOfID   = time.Millisecond
)

// idAt stands in front of all ids of the millisecond that t plus add is in, and behind all earlier ones.
func idAt(t time.Time, add time.Duration) (id uuid.UUID) {
	ms := min(max(t.Add(add).UnixMilli(), 0), 1<<48-1)
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(ms))
	copy(id[:], b[2:])
	return id
}

func maxID(a, b uuid.UUID) uuid.UUID {
	if bytes.Compare(a[:], b[:]) < 0 {
		return b
	}
	return a
}

// collect reads a page and puts it in order.
func collect(rows *sql.Rows, q *store.ArchiveQuery, scan func() (store.Archived, error)) (list []store.Archived, more bool, err error) {
	defer rows.Close()
	size := 0
	for rows.Next() {
		if len(list) >= max(q.Limit, 0) || q.Bytes > 0 && size >= q.Bytes {
			more = true
			break
		}
		m, err := scan()
		if err != nil {
			return nil, false, err
		}
		size += len(m.Tail)
		list = append(list, m)
	}
	if err := rows.Err(); err != nil {
		return nil, false, err
	}
	if q.Backward {
		slices.Reverse(list)
	}
	return list, more, nil
}

// splitAddr takes the resource off an address.
func splitAddr(a string) (bare, resource string) {
	bare, resource, _ = strings.Cut(a, "/")
	return bare, resource
}

func bareOf(a string) string {
	bare, _ := splitAddr(a)
	return bare
}
