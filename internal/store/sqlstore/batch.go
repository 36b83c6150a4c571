package sqlstore

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"strconv"
	"strings"

	"parley/internal/store"
)

// batch turns changes into rows: it loads and locks what it must know of the rooms, applies the changes in memory one
// after the other, and then stores the outcome with a handful of statements, however many changes and rooms there are.
type batch struct {
	ctx      context.Context
	tx       *sql.Tx
	rooms    map[string]*room    // those of the batch that were ever claimed, by address
	archives map[string]*archive // those of the batch's accounts, by address

	unnumbered bool     // see dialect
	keep       *keeping // writes messages of archives
}

// room is what a batch knows of a room and what it makes of it.
type room struct {
	key    int64
	epoch  int64
	seq    int64 // of the latest message
	mark   int64 // of the last transaction that wrote the room
	exists bool
	ids    map[string]int64 // those of the batch's messages that the room's history holds, with their numbers

	touched      bool
	remove       bool // before everything else
	put          *store.Room
	affiliations map[string]store.Affiliation
	messages     []store.Message         // numbered up to seq
	replaced     map[int64]store.Message // of those that were there before, by their numbers
	floor        int64                   // messages up to this number go
}

// load locks the rooms and looks at them: first the one, then the other, for while waiting for a lock one looks at what
// was true before. Then it does so with the archives, whose locks are on the rows themselves.
func (b *batch) load(writes []write, lock string) error {
	named := make(map[string]bool)
	for i := range writes {
		if addr := writes[i].change.Room; isKey(addr) {
			named[addr] = true
		}
	}
	var addrs [][]any
	for _, addr := range slices.Sorted(maps.Keys(named)) { // everybody locks in this order
		addrs = append(addrs, []any{addr})
	}
	if lock != "" {
		err := b.query(`SELECT room FROM room_epoch WHERE addr IN (`, `?`, `) ORDER BY addr`+lock, addrs,
			func(*sql.Rows) error { return nil })
		if err != nil {
			return err
		}
	}
	b.rooms = make(map[string]*room)
	err := b.query(`SELECT e.room, e.addr, e.epoch, e.seq, e.mark, r.room IS NOT NULL
		FROM room_epoch e LEFT JOIN room r ON r.room = e.room WHERE e.addr IN (`, `?`, `)`, addrs,
		func(rows *sql.Rows) error {
			var addr string
			r := &room{ids: make(map[string]int64)}
			err := rows.Scan(&r.key, &addr, &r.epoch, &r.seq, &r.mark, &r.exists)
			b.rooms[addr] = r
			return err
		})
	if err != nil {
		return err
	}
	if err := b.loadIDs(writes); err != nil {
		return err
	}
	return b.loadArchives(writes, lock)
}

// loadIDs finds out which messages are there already.
func (b *batch) loadIDs(writes []write) error {
	byKey := make(map[int64]*room)
	var ids [][]any
	for i := range writes {
		c := &writes[i].change
		r := b.rooms[c.Room]
		if r == nil || !r.exists {
			continue
		}
		byKey[r.key] = r
		for _, list := range [][]store.Message{c.Messages, c.Replace} {
			for _, m := range list {
				if isKey(m.ID) {
					ids = append(ids, []any{r.key, m.ID})
				}
			}
		}
	}
	return b.query(`SELECT room, id, seq FROM room_message WHERE (room, id) IN (VALUES `, `(CAST(? AS BIGINT), ?)`, `)`, ids,
		func(rows *sql.Rows) error {
			var key, seq int64
			var id string
			err := rows.Scan(&key, &id, &seq)
			if err == nil {
				byKey[key].ids[id] = seq
			}
			return err
		})
}

// apply applies a change, or returns why it cannot be applied and has changed nothing.
func (b *batch) apply(c *store.Change) error {
	r := b.rooms[c.Room]
	switch {
	case !isChange(c):
		return store.ErrInvalid
	case r == nil, r.epoch != c.Epoch:
		return store.ErrStale
	case c.Delete:
		*r = room{key: r.key, epoch: r.epoch, seq: r.seq, ids: make(map[string]int64), touched: true, remove: true}
		return nil
	case !r.exists && c.Put == nil && len(c.Affiliations)+len(c.Messages)+len(c.Replace) > 0:
		return store.ErrNotFound
	}
	r.touched = true
	if c.Put != nil {
		r.put, r.exists = c.Put, true
	}
	for _, a := range c.Affiliations {
		if r.affiliations == nil {
			r.affiliations = make(map[string]store.Affiliation)
		}
		r.affiliations[a.Addr] = a
	}
	for _, m := range c.Messages {
		if seq, ok := r.ids[m.ID]; ok && seq > r.floor {
			continue
		}
		r.seq++
		r.ids[m.ID] = r.seq
		r.messages = append(r.messages, m)
	}
	if c.Keep > 0 && len(c.Messages) > 0 {
		r.floor = max(r.floor, r.seq-int64(c.Keep))
	}
	for _, m := range c.Replace {
		r.replace(m)
	}
	return nil
}

// replace gives a message that is there another tail.
func (r *room) replace(m store.Message) {
	seq, ok := r.ids[m.ID]
	switch first := r.seq - int64(len(r.messages)) + 1; {
	case !ok || seq <= r.floor:
	case seq >= first:
		r.messages[seq-first].Tail = m.Tail
	default:
		if r.replaced == nil {
			r.replaced = make(map[int64]store.Message)
		}
		r.replaced[seq] = m
	}
}

// store writes the outcome.
func (b *batch) store(mark int64) error {
	var removed, put, none, affiliations, replaced, messages, floors, epochs [][]any
	for addr, r := range b.rooms {
		if !r.touched {
			continue
		}
		epochs = append(epochs, []any{r.key, r.seq, mark})
		if r.remove {
			removed = append(removed, []any{r.key})
		}
		if p := r.put; p != nil {
			put = append(put, []any{r.key, addr, blob(p.Config), millis(p.Created), blob(p.Subject), millis(p.SubjectAt)})
		}
		for _, a := range r.affiliations {
			if a.Name == "none" {
				none = append(none, []any{r.key, a.Addr})
			} else {
				affiliations = append(affiliations, []any{r.key, a.Addr, a.Name, a.Nick, a.Reason})
			}
		}
		if r.floor > 0 {
			floors = append(floors, []any{r.key, r.floor})
		}
		for seq, m := range r.replaced {
			if seq > r.floor {
				replaced = append(replaced, []any{r.key, seq, m.ID, millis(m.At), m.Sender, m.Author, m.Subject, blob(m.Tail)})
			}
		}
		for i, m := range r.messages {
			seq := r.seq - int64(len(r.messages)-1-i)
			if seq > r.floor {
				messages = append(messages, []any{r.key, seq, m.ID, millis(m.At), m.Sender, m.Author, m.Subject, blob(m.Tail)})
			}
		}
	}
	for _, s := range []struct {
		head, row, tail string
		rows            [][]any
	}{
		{`DELETE FROM room WHERE room IN (`, `?`, `)`, removed},
		{`INSERT INTO room (room, addr, config, created, subject, subject_at) VALUES `, `(?, ?, ?, ?, ?, ?)`,
			` ON CONFLICT (room) DO UPDATE SET config = excluded.config, created = excluded.created,
			subject = excluded.subject, subject_at = excluded.subject_at`, put},
		{`DELETE FROM room_affiliation WHERE (room, addr) IN (VALUES `, `(CAST(? AS BIGINT), ?)`, `)`, none},
		{`INSERT INTO room_affiliation (room, addr, name, nick, reason) VALUES `, `(?, ?, ?, ?, ?)`,
			` ON CONFLICT (room, addr) DO UPDATE SET name = excluded.name, nick = excluded.nick,
			reason = excluded.reason`, affiliations},
		{`DELETE FROM room_message WHERE (room, seq) IN (SELECT m.room, m.seq FROM (VALUES `,
			`(CAST(? AS BIGINT), CAST(? AS BIGINT))`,
			`) AS v JOIN room_message m ON m.room = v.column1 AND m.seq <= v.column2)`, floors},
		{`INSERT INTO room_message (room, seq, id, at, sender, author, subject, tail) VALUES `, `(?, ?, ?, ?, ?, ?, ?, ?)`,
			` ON CONFLICT (room, seq) DO UPDATE SET tail = excluded.tail`, replaced},
		{`INSERT INTO room_message (room, seq, id, at, sender, author, subject, tail) VALUES `, `(?, ?, ?, ?, ?, ?, ?, ?)`, ``, messages},
		{`UPDATE room_epoch SET seq = v.column2, mark = v.column3 FROM (VALUES `,
			`(CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT))`,
			`) AS v WHERE room_epoch.room = v.column1`, epochs},
	} {
		if err := b.exec(s.head, s.row, s.tail, s.rows); err != nil {
			return err
		}
	}
	return b.storeArchives(mark)
}

// rowsAtOnce bounds the rows of one statement: SQLite allows 32,766 parameters, PostgreSQL 65,535.
const rowsAtOnce = 200

// exec runs a statement over the rows.
func (b *batch) exec(head, row, tail string, rows [][]any) error {
	for chunk := range slices.Chunk(rows, rowsAtOnce) {
		text, args := b.statement(head, row, tail, chunk)
		if _, err := b.tx.ExecContext(b.ctx, text, args...); err != nil {
			return err
		}
	}
	return nil
}

// query runs a statement over the rows and calls scan for each row of the result.
func (b *batch) query(head, row, tail string, rows [][]any, scan func(*sql.Rows) error) error {
	for chunk := range slices.Chunk(rows, rowsAtOnce) {
		text, args := b.statement(head, row, tail, chunk)
		result, err := b.tx.QueryContext(b.ctx, text, args...)
		if err != nil {
			return err
		}
		for result.Next() {
			if err := scan(result); err != nil {
				result.Close()
				return err
			}
		}
		if err := result.Err(); err != nil {
			return err
		}
	}
	return nil
}

// statement is the function of that name, as the dialect wants it.
func (b *batch) statement(head, row, tail string, rows [][]any) (text string, args []any) {
	if !b.unnumbered {
		return statement(head, row, tail, rows)
	}
	return unnumbered(head, row, tail, len(rows)), flat(rows)
}

// unnumbered is the text of statement with question marks, for n rows.
func unnumbered(head, row, tail string, n int) string {
	return head + strings.Repeat(row+", ", n-1) + row + tail
}

// flat are the values of rows, one behind the other.
func flat(rows [][]any) []any {
	args := make([]any, 0, len(rows)*len(rows[0]))
	for _, values := range rows {
		args = append(args, values...)
	}
	return args
}

// statement writes row once for each of the rows, with its question marks numbered, between head and tail.
func statement(head, row, tail string, rows [][]any) (text string, args []any) {
	var b strings.Builder
	b.WriteString(head)
	pieces := strings.Split(row, "?")
	for i, values := range rows {
		if i > 0 {
			b.WriteString(", ")
		}
		for j, value := range values {
			args = append(args, value)
			b.WriteString(pieces[j])
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(len(args)))
		}
		b.WriteString(pieces[len(values)])
	}
	b.WriteString(tail)
	return b.String(), args
}

// isChange reports that a change can be stored.
func isChange(c *store.Change) bool {
	if !isKey(c.Room) {
		return false
	}
	if c.Put != nil && c.Put.Addr != c.Room {
		return false
	}
	for _, a := range c.Affiliations {
		switch a.Name {
		case "owner", "admin", "member", "outcast", "none":
		default:
			return false
		}
		if !isKey(a.Addr) || !isText(a.Nick) || !isText(a.Reason) {
			return false
		}
	}
	for _, list := range [][]store.Message{c.Messages, c.Replace} {
		for _, m := range list {
			if !isKey(m.ID) || !isText(m.Sender) || !isText(m.Author) {
				return false
			}
		}
	}
	return true
}
