package muc

import (
	"context"
	"slices"
	"time"

	"parley/xmpp/wire"
)

// restoration is a room that the journal has, on the way to its cell.
type restoration struct {
	*replayed
	dead []wire.Addr // sessions that are no more
	late []saying    // what was committed and not delivered
	seat *Seat
}

// Replayed puts the rooms that were replayed into use. The sessions that survived are bound then, and nothing can be sent
// to a room yet: what comes later waits behind the rebuilding. Sessions that do not live leave, as if their connection was
// lost. What a room is made of lastingly comes from the store, if it has the room.
//
// Observers are told which rooms there will be by Restoring, of each by RoomRestored, then of who leaves.
func (s *Service) Replayed() {
	s.rebuilding.Lock()
	defer s.rebuilding.Unlock()
	rooms := s.replayed
	s.replayed, s.coming = nil, nil
	var all Restoring
	for addr, r := range rooms {
		if !r.whole() {
			s.rec.Hurt("room.restore", string(addr), "room", string(addr))
			delete(rooms, addr)
			continue
		}
		all.Rooms = append(all.Rooms, addr)
	}
	s.notice(all)
	for addr, r := range rooms {
		in := &input{restored: &restoration{replayed: r, seat: &Seat{service: s, room: addr}}}
		for a := range r.jitsi {
			if !s.lives(a) {
				delete(r.jitsi, a)
			}
		}
		for _, session := range r.sessions {
			if r.isFocusAddr(session.addr) {
				continue // it has no session that could have ended, here or at another server
			}
			s.index.enter(session.addr, addr, int(^uint(0)>>1))
			if !s.lives(session.addr) {
				in.restored.dead = append(in.restored.dead, session.addr)
			}
		}
		s.post(addr, in)
	}
}

// Snapshot gives the journal every room that is in use.
func (s *Service) Snapshot(put func(record []byte)) {
	w := &writer{journal: whole(put)}
	s.rebuilding.Lock()
	for _, r := range s.replayed { // not in use yet
		r.snapshot(w)
	}
	s.rebuilding.Unlock()
	s.mu.Lock()
	cells := make([]*cell, 0, len(s.cells))
	for _, c := range s.cells {
		cells = append(cells, c)
	}
	s.mu.Unlock()
	for _, c := range cells {
		done := make(chan struct{})
		in := &input{snapshot: func(c *cell) {
			defer close(done)
			if c.room != nil && c.room.notes.known {
				c.room.snapshot(w)
			}
		}}
		if c.post(in) == posted {
			<-done
		}
	}
}

// snapshot writes the room as it is, whatever the journal has.
func (r *room) snapshot(w *writer) {
	w.room(r.addr)
	r.recordAll(w)
	w.end()
}

// whole is a journal that takes every record as a whole.
type whole func(record []byte)

func (put whole) Append(record []byte)           { put(record) }
func (put whole) AppendShared(head, tail []byte) { put(slices.Concat(head, tail)) }
func (put whole) Begin()                         {}
func (put whole) End()                           {}

// restore puts a rebuilt room into the cell, which had none.
func (c *cell) restore(b *wire.Batch, in *input) {
	r := in.restored
	was := r.stored
	why := c.load()
	if why == nil {
		why = r.renew(c)
	}
	c.room = r.room
	r.notes.on, r.notes.known, r.asked.noted = c.service.journal != nil, r.stored == was, r.stored == was
	c.service.adopt(r.addr, r.maker)
	in.now = time.Now()
	c.roll(in.rand[:])
	c.fx.reset()
	if why != nil {
		c.hurt(in) // it cannot be had: who is there has to enter again
	} else if !c.step(in) {
		c.hurt(in)
	}
	c.carryOut(b, in)
	c.leaveOff(b)
}

// renew takes over what the store has of the room, which the cell has loaded. If it has nothing the room is one that the
// journal alone knows: that it is to be so was committed last, or it was never stored.
func (r *restoration) renew(c *cell) *refusal {
	from := c.room
	if !from.stored {
		r.stored, r.settings.Persistent = false, false
		return nil
	}
	r.settings, r.secret, r.creator, r.created = from.settings, from.secret, from.creator, from.created
	r.standings, r.reserved, r.subject = from.standings, from.reserved, from.subject
	r.applications = from.applications
	r.history, r.remembered = from.history, from.remembered
	if !r.stored { // that it was made so has not been told; all of its history has
		r.stored = true
		return nil
	}
	last, why := c.latest()
	at := slices.IndexFunc(last, func(s saying) bool { return s.id == r.uttered })
	for i, said := range last {
		switch {
		case i > at && (at >= 0 || r.uttered == ""):
			r.late = append(r.late, said)
			r.owed = append(r.owed, said)
		case slices.Contains(r.owes, said.id):
			r.owed = append(r.owed, said)
		}
	}
	return why
}

// latest returns the last messages that the store has: as many as may wait for it, and one more.
func (c *cell) latest() ([]saying, *refusal) {
	s := c.service
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	list, err := s.store.History(ctx, string(c.addr), s.config.Limits.Pending+1)
	if err != nil {
		s.rec.Hurt("room.load", string(c.addr), "room", string(c.addr), "err", err.Error())
		return nil, &errStore
	}
	var all []saying
	for _, m := range list {
		all = append(all, asStored(m))
	}
	return all, nil
}

// revive is the first step of a rebuilt room.
func (r *room) revive(in *input, fx *effects) {
	if len(r.dirty) > 0 {
		r.flushAt = in.now.Add(r.limits.Coalesce)
	}
	now := RoomRestored{Room: r.addr}
	if r.focus != nil {
		now.Shown = r.focus.occupant.shown.children
		now.Meeting = Meeting{Seat: in.restored.seat, ID: r.field(fieldMeeting), Created: r.created}
	}
	for _, o := range r.occupants {
		if !r.isFocus(o) {
			now.Occupants = append(now.Occupants, r.portrait(o))
		}
	}
	fx.emit(now)
	// The store may have got what the room was not told any more.
	for _, o := range slices.Clone(r.occupants) {
		if !r.isFocus(o) && r.byNick[o.key] == o && r.affiliation(o.bare) != o.affiliation {
			r.enforce(o.bare, &notice{}, fx)
		}
	}
	for _, said := range in.restored.late {
		r.broadcast(said.stanza, fx)
		r.notes.said = 1
		r.owedTill, r.notes.owed = in.now.Add(owedFor), true
	}
	for _, dead := range in.restored.dead {
		r.vanish(&input{now: in.now, gone: dead}, fx)
	}
}

// owedFor is how long what was delivered late may be said again: as long as a session waits for its client.
const owedFor = 5 * time.Minute

// repeated reports that a message was committed before the process was killed, and delivered since: its sender has not
// heard that, and says it again.
func (r *room) repeated(in *input, o *occupant) bool {
	if in.now.After(r.owedTill) {
		r.owed, r.notes.owed = nil, true
	}
	for i, said := range r.owed {
		if said.from == o.addr && string(r.compose(in.packet, o, said.id, true).Tail) == string(said.stanza.Tail) {
			r.owed, r.notes.owed = slices.Delete(r.owed, i, i+1), true
			return true
		}
	}
	return false
}
