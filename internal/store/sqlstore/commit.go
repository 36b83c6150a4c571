package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// commit commits a batch in one transaction and returns what became of each change.
//
// While the database is away it tries again until the patience is over; from then on, until the database is back, each
// batch has one try. If the database refuses the data of a change, each half of the batch gets a transaction of its own,
// and so on, so that this change fails alone. It runs on the queue's goroutine only.
func (s *db) commit(batch []write) []error {
	sent := make(attempts)
	start := time.Now()
	for try := 0; ; try++ {
		results, err := s.attempt(batch, sent)
		if err == nil {
			s.away = false
			return results
		}
		kind := s.fault(err)
		if kind == faultData && len(batch) > 1 {
			return s.commitHalves(batch)
		}
		if kind != faultAway {
			s.away = false // for it answers
		}
		if kind == faultData || s.away || time.Since(start) >= s.options.Patience {
			if kind == faultAway {
				s.away = true
				s.options.Events.Hurt("db.down", s.name, "err", err.Error())
			}
			return slices.Repeat([]error{fmt.Errorf("store: write: %w", err)}, len(batch))
		}
		time.Sleep(pause(try))
	}
}

func (s *db) commitHalves(batch []write) []error {
	half := len(batch) / 2
	return append(s.commit(batch[:half]), s.commit(batch[half:])...)
}

// attempts holds the results of the attempts of which COMMIT was sent, by mark. If the connection breaks before the
// answer, nobody knows whether the attempt took place. Repeating it blindly could bring back messages that it has
// already dropped from the history. But each attempt marks its rooms with a random number, so the next one sees it.
type attempts map[int64][]error

// attempt tries to commit the batch. With an error, nothing was changed or COMMIT got no answer.
//
// It waits without a context: SQLite by its busy timeout, PostgreSQL by the timeouts of postgres.go.
func (s *db) attempt(writes []write, sent attempts) (results []error, err error) {
	ctx := context.Background()
	conn, err := s.writer.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil { // the connection may be broken, or lead to a server that only reads
			conn.Raw(func(any) error { return driver.ErrBadConn })
		}
		conn.Close()
	}()
	tx, err := conn.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return nil, err
	}
	defer tx.Rollback() // does nothing after Commit
	b := batch{ctx: ctx, tx: tx, unnumbered: s.unnumbered, keep: s.keep}
	if err := b.load(writes, s.lock); err != nil {
		return nil, err
	}
	for _, r := range b.rooms {
		if results, done := sent[r.mark]; done {
			return results, nil
		}
	}
	for _, a := range b.archives {
		if results, done := sent[a.mark]; done {
			return results, nil
		}
	}
	results = make([]error, len(writes))
	changed := false
	for i := range writes {
		w := &writes[i]
		if w.appended == nil {
			results[i] = b.apply(&w.change)
			changed = changed || results[i] == nil
		} else {
			results[i] = b.append(w.appended)
			changed = changed || results[i] == nil && len(w.appended) > 0
		}
	}
	if !changed {
		return results, nil
	}
	mark := 1 + rand.Int64N(1<<62)
	if err := b.store(mark); err != nil {
		return nil, err
	}
	sent[mark] = results
	return results, tx.Commit()
}
