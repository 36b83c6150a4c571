package sqlstore

import (
	"database/sql"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"parley/internal/store"
)

// Append implements store.Archives.
func (s *db) Append(list []store.Appended, done func(error)) {
	if list == nil {
		list = []store.Appended{} // still no change
	}
	s.queue.push(write{appended: list, done: done})
}

// archive is what a batch knows of an account's archive and what it makes of it.
type archive struct {
	key      int64
	latest   int64 // ms
	messages int64
	bytes    int64
	mark     int64

	rows  [][]any // of archive_message
	limit store.ArchiveLimit
}

// loadArchives locks and reads the archives of the batch. Accounts that have none yet get an empty one.
func (b *batch) loadArchives(writes []write, lock string) error {
	b.archives = make(map[string]*archive)
	named := make(map[string]bool)
	for i := range writes {
		for _, a := range writes[i].appended {
			if isKey(a.Owner) {
				named[a.Owner] = true
			}
		}
	}
	if len(named) == 0 {
		return nil
	}
	if err := b.readArchives(named, lock); err != nil {
		return err
	}
	for owner := range b.archives {
		delete(named, owner)
	}
	if len(named) == 0 {
		return nil
	}
	for chunk := range slices.Chunk(keyRows(named), rowsAtOnce) {
		text, args := b.statement(`INSERT INTO archive (owner, latest, messages, bytes, mark)
			SELECT addr, 0, 0, 0, 0 FROM account WHERE addr IN (`, `?`, `) ON CONFLICT (owner) DO NOTHING`, chunk)
		if _, err := b.tx.ExecContext(b.ctx, text, args...); err != nil {
			return err
		}
	}
	return b.readArchives(named, lock)
}

func (b *batch) readArchives(owners map[string]bool, lock string) error {
	return b.query(`SELECT archive, owner, latest, messages, bytes, mark FROM archive WHERE owner IN (`, `?`,
		`) ORDER BY owner`+lock, keyRows(owners), func(rows *sql.Rows) error {
			var owner string
			a := new(archive)
			err := rows.Scan(&a.key, &owner, &a.latest, &a.messages, &a.bytes, &a.mark)
			b.archives[owner] = a
			return err
		})
}

// keyRows are the keys in the order in which everybody locks, each as a row of parameters.
func keyRows(keys map[string]bool) (rows [][]any) {
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		rows = append(rows, []any{key})
	}
	return rows
}

// append adds messages to their archives, or returns why they cannot be added and has changed nothing.
func (b *batch) append(list []store.Appended) error {
	ids := make([]uuid.UUID, len(list))
	for i, m := range list {
		id, ok := messageID(m.Message.ID)
		if !ok || id.Version() != 7 || !isKey(m.Owner) || !isKey(bareOf(m.Message.Peer)) || !isText(m.Message.Peer) {
			return store.ErrInvalid
		}
		ids[i] = id
	}
	for i, m := range list {
		a := b.archives[m.Owner]
		if a == nil {
			continue // there is no such account
		}
		peer, resource := splitAddr(m.Message.Peer)
		a.rows = append(a.rows, []any{a.key, ids[i][:], peer, resource, blob(m.Message.Tail)})
		a.latest = max(a.latest, idMillis(ids[i]))
		a.messages++
		a.bytes += weight(len(m.Message.Tail))
		a.limit = m.Limit
	}
	return nil
}

// storeArchives writes the messages and lets go of what is too much.
func (b *batch) storeArchives(mark int64) error {
	var messages, totals [][]any
	for _, owner := range slices.Sorted(maps.Keys(b.archives)) {
		messages = append(messages, b.archives[owner].rows...)
	}
	if err := b.keep.exec(b, messages); err != nil {
		return err
	}
	for _, a := range b.archives {
		if len(a.rows) == 0 {
			continue
		}
		if err := b.trim(a); err != nil {
			return err
		}
		totals = append(totals, []any{a.key, a.latest, a.messages, a.bytes, mark})
	}
	return b.exec(`UPDATE archive SET latest = v.column2, messages = v.column3, bytes = v.column4, mark = v.column5 FROM (VALUES `,
		`(CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT))`,
		`) AS v WHERE archive.archive = v.column1`, totals)
}

// trimStep is how many messages go at most in one transaction, and trimShare the part of the limit that goes with what is
// too much.
const (
	trimStep  = 256
	trimShare = 32
)

// trim removes the oldest messages of an archive that has become too large.
func (b *batch) trim(a *archive) error {
	most, weighty := int64(a.limit.Messages), a.limit.Bytes
	tooMany, tooHeavy := most > 0 && a.messages > most, weighty > 0 && a.bytes > weighty
	if !tooMany && !tooHeavy {
		return nil
	}
	if tooMany {
		most -= min(most/trimShare, trimStep)
	}
	if tooHeavy {
		weighty -= weighty / trimShare
	}
	rows, err := b.tx.QueryContext(b.ctx, `
		SELECT id, COALESCE(length(tail), 0) FROM archive_message WHERE archive = $1 ORDER BY id LIMIT $2`, a.key, trimStep)
	if err != nil {
		return err
	}
	defer rows.Close()
	var last []byte
	for rows.Next() && a.messages > 1 && (a.limit.Messages > 0 && a.messages > most || a.limit.Bytes > 0 && a.bytes > weighty) {
		var size int
		if err := rows.Scan(&last, &size); err != nil {
			return err
		}
		a.messages--
		a.bytes -= weight(size)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	rows.Close()
	if last == nil {
		return nil
	}
	_, err = b.tx.ExecContext(b.ctx, `DELETE FROM archive_message WHERE archive = $1 AND id <= $2`, a.key, last)
	return err
}

// weight is roughly what a message takes, whose tail has so many bytes.
func weight(tail int) int64 { return int64(tail) + 128 }

// messageID reads an id in its usual form.
func messageID(s string) (id uuid.UUID, ok bool) {
	if len(s) != 36 {
		return id, false
	}
	id, err := uuid.Parse(s)
	return id, err == nil && strings.ToLower(s) == s
}

// idMillis is the time of an id.
func idMillis(id uuid.UUID) (ms int64) {
	for _, c := range id[:6] {
		ms = ms<<8 | int64(c)
	}
	return ms
}
