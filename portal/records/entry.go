package records

import (
	"bytes"
	"encoding/json"

	"parley/internal/store"
)

// entry is one line of the spool: one record.
type entry struct {
	Session *store.TalkSession `json:"session,omitempty"`
	Sub     *store.TalkSub     `json:"sub,omitempty"`
	Quality *store.TalkQuality `json:"quality,omitempty"`
	Verdict *store.TalkVerdict `json:"verdict,omitempty"`
	Note    *store.TalkNote    `json:"note,omitempty"`
}

// minor says that a record is left out before others are.
func (e *entry) minor() bool { return e.Session == nil && e.Sub == nil }

func (e *entry) line() []byte {
	b, err := json.Marshal(e)
	if err != nil { // nothing in it can fail but a number that is none
		return nil
	}
	return append(b, '\n')
}

// add adds the record to others.
func (e *entry) add(r *store.TalkRecords) {
	switch {
	case e.Session != nil:
		r.Sessions = append(r.Sessions, *e.Session)
	case e.Sub != nil:
		r.Subs = append(r.Subs, *e.Sub)
	case e.Quality != nil:
		r.Qualities = append(r.Qualities, *e.Quality)
	case e.Verdict != nil:
		r.Verdicts = append(r.Verdicts, *e.Verdict)
	case e.Note != nil:
		r.Notes = append(r.Notes, *e.Note)
	}
}

// parse reads the lines of a file. What is no line, as the last one of a process that was killed may be, is left out and counted.
func parse(text []byte) (list []entry, damaged int) {
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte{'\n'})
		var e entry
		if json.Unmarshal(line, &e) != nil || e == (entry{}) {
			damaged++
			continue
		}
		list = append(list, e)
	}
	return list, damaged
}
