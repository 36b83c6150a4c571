package sqlstore

import (
	"context"
	"database/sql"
	"strings"

	"parley/internal/store"
)

// talkTable is a table of records.
type talkTable struct {
	name    string
	columns string // the first is its key
	rows    [][]any
	owner   int    // which column names whose they are, 0 for nobody ...
	owners  string // ... and the table and column where that is a key
}

// KeepTalks implements store.Talks.
func (s *db) KeepTalks(ctx context.Context, r store.TalkRecords) error {
	tables, err := s.talkTables(&r)
	if err != nil {
		return err
	}
	err = s.use(ctx, "keep records of calls", func() error {
		return s.update(ctx, sql.LevelReadCommitted, func(tx *sql.Tx) error {
			b := &batch{ctx: ctx, tx: tx, unnumbered: s.unnumbered}
			for _, t := range tables {
				if err := b.keepTalks(t); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil && s.fault(err) == faultData {
		return store.ErrInvalid
	}
	return err
}

func (s *db) talkTables(r *store.TalkRecords) ([]talkTable, error) {
	sessions := talkTable{name: "rtc_talk_sessions", columns: sessionColumns}
	subs := talkTable{name: "rtc_talk_subsessions", columns: subColumns, owner: 1, owners: "rtc_talk_sessions session_id"}
	qualities := talkTable{name: "rtc_talk_quality_stats_infos", columns: qualityColumns, owner: 2, owners: "rtc_talk_subsessions sub_session_id"}
	verdicts := talkTable{name: "rtc_talk_verdicts", columns: verdictColumns, owner: 1, owners: "rtc_talk_sessions session_id"}
	notes := talkTable{name: "rtc_talk_notes", columns: noteColumns}
	err := latest(&sessions, r.Sessions, s.sessionRow)
	for _, next := range []func() error{
		func() error { return latest(&subs, r.Subs, s.subRow) },
		func() error { return latest(&qualities, r.Qualities, s.qualityRow) },
		func() error { return latest(&verdicts, r.Verdicts, s.verdictRow) },
		func() error { return latest(&notes, r.Notes, s.noteRow) },
	} {
		if err == nil {
			err = next()
		}
	}
	return []talkTable{sessions, subs, qualities, verdicts, notes}, err
}

// latest fills a table with records, of several with one key with the last.
func latest[T any](t *talkTable, records []T, row func(*T) ([]any, error)) error {
	at := make(map[any]int, len(records))
	for i := range records {
		values, err := row(&records[i])
		if err != nil {
			return err
		}
		if n, twice := at[values[0]]; twice {
			t.rows[n] = values
			continue
		}
		at[values[0]] = len(t.rows)
		t.rows = append(t.rows, values)
	}
	return nil
}

func (b *batch) keepTalks(t talkTable) error {
	rows := t.rows
	if t.owner > 0 && len(rows) > 0 {
		table, column, _ := strings.Cut(t.owners, " ")
		var keys [][]any
		there := make(map[any]bool)
		for _, row := range rows {
			if _, named := there[row[t.owner]]; !named {
				there[row[t.owner]] = false
				keys = append(keys, []any{row[t.owner]})
			}
		}
		err := b.query(`SELECT `+column+` FROM `+table+` WHERE `+column+` IN (`, `?`, `)`, keys, func(found *sql.Rows) error {
			var key string
			err := found.Scan(&key)
			there[key] = true
			return err
		})
		if err != nil {
			return err
		}
		rows = nil
		for _, row := range t.rows {
			if there[row[t.owner]] {
				rows = append(rows, row)
			}
		}
	}
	columns := strings.Split(strings.Join(strings.Fields(t.columns), ""), ",")
	set := make([]string, 0, len(columns))
	for _, c := range columns[1:] {
		if c != "account" { // which may have been deleted meanwhile, see DeleteAccount
			set = append(set, c+" = excluded."+c)
		}
	}
	return b.exec(`INSERT INTO `+t.name+` (`+t.columns+`) VALUES `, `(?`+strings.Repeat(", ?", len(columns)-1)+`)`,
		` ON CONFLICT (`+columns[0]+`) DO UPDATE SET `+strings.Join(set, ", "), rows)
}
