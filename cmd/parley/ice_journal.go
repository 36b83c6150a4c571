package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"parley/internal/journal"
	"parley/xmpp/wire"
)

// Which user of TURN a session is is kept in the journal: the relay outlives the server, and what it relays for a session
// has to end with the session, whichever server sees that. A record is the user, a space, and the session's address; without
// a user the session is none any more.
const iceJournal = "ice/1"

// keep keeps the users in j, and those of sessions that live are taken up. Call it before j.Start, after whoever brings
// sessions to life has done so.
func (i *ice) keep(j *journal.Journal, lives func(wire.Addr) bool) {
	i.lives, i.journal = lives, j
	i.part = j.Part(iceJournal, i)
}

// iceFlush is how long a record may wait: that of a session whose client cannot come back, for which nobody else writes the
// journal. The others are written before the client is answered.
const iceFlush = time.Second

// run writes records until ctx ends.
func (i *ice) run(ctx context.Context) {
	tick := time.NewTicker(iceFlush)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			i.journal.Flush()
		}
	}
}

// note appends a record. Called with mu held.
func (i *ice) note(addr wire.Addr, user string) { i.part.Append([]byte(user + " " + string(addr))) }

// Replay implements journal.Source.
func (i *ice) Replay(record []byte) error {
	user, addr, ok := strings.Cut(string(record), " ")
	if !ok || addr == "" {
		return errors.New("no user of the relay")
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if user == "" {
		delete(i.users, wire.Addr(addr))
	} else {
		i.users[wire.Addr(addr)] = user
	}
	return nil
}

// Reset implements journal.Source.
func (i *ice) Reset() {
	i.mu.Lock()
	defer i.mu.Unlock()
	clear(i.users)
}

// Replayed implements journal.Finisher: what is relayed for sessions that have not come to life ends.
func (i *ice) Replayed() {
	i.mu.Lock()
	var gone []wire.Addr
	for addr := range i.users {
		if !i.lives(addr) {
			gone = append(gone, addr)
		}
	}
	i.mu.Unlock()
	for _, addr := range gone {
		i.end(addr)
	}
}

// Snapshot implements journal.Source.
func (i *ice) Snapshot(put func(record []byte)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for addr, user := range i.users {
		put([]byte(user + " " + string(addr)))
	}
}
