package sqlstore

import (
	"context"
	"database/sql"
	"slices"
)

// keeping inserts messages into archives, which is what a busy server writes most: for as many as go into one statement at
// once it is prepared, for fewer it is made each time.
type keeping struct{ full *sql.Stmt }

const (
	keepHead = `INSERT INTO archive_message (archive, id, peer, resource, tail) VALUES `
	keepRow  = `(?, ?, ?, ?, ?)`
	keepTail = ` ON CONFLICT (archive, id) DO NOTHING`
)

func prepareKeeping(ctx context.Context, writer *sql.DB, noNumbers bool) (k *keeping, err error) {
	text := unnumbered(keepHead, keepRow, keepTail, rowsAtOnce)
	if !noNumbers {
		text, _ = statement(keepHead, keepRow, keepTail, slices.Repeat([][]any{make([]any, 5)}, rowsAtOnce))
	}
	k = new(keeping)
	k.full, err = writer.PrepareContext(ctx, text)
	return k, err
}

// exec inserts the rows. A connection that has not seen the statement yet prepares it.
func (k *keeping) exec(b *batch, rows [][]any) error {
	if full := len(rows) - len(rows)%rowsAtOnce; full > 0 {
		insert := b.tx.StmtContext(b.ctx, k.full)
		for chunk := range slices.Chunk(rows[:full], rowsAtOnce) {
			if _, err := insert.ExecContext(b.ctx, flat(chunk)...); err != nil {
				return err
			}
		}
		rows = rows[full:]
	}
	return b.exec(keepHead, keepRow, keepTail, rows)
}
