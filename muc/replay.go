package muc

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"parley/internal/journal"
	"parley/internal/limit"
	"parley/xmpp/wire"
)

var errRecord = errors.New("muc: a record of the journal is damaged")

// replayed is a room as the journal has it.
type replayed struct {
	*room
	byNumber map[uint64]*occupant
	sessions map[uint64]*session
	uttered  string   // id of the last message of a stored room that was delivered
	owes     []string // ids of room.owed
}

// Replay takes a record of the journal. What is said of a room of which nothing is known was said while the journal was
// being replaced: the room as a whole follows.
func (s *Service) Replay(record []byte) error {
	s.rebuilding.Lock()
	defer s.rebuilding.Unlock()
	in := &journal.Fields{Left: record}
	addr := wire.Addr(in.Text())
	if in.Bad || addr == "" || !addr.IsBare() {
		return errRecord
	}
	for len(in.Left) > 0 {
		kind := in.Below(0xFF)
		switch kind {
		case recGone:
			delete(s.replayed, addr)
			continue
		case recRoom:
			if s.replayed == nil {
				s.replayed, s.coming = make(map[wire.Addr]*replayed), make(map[wire.Addr]*replayed)
			}
			r := newRoom(addr, &s.config.Limits)
			s.coming[addr] = &replayed{room: r, byNumber: make(map[uint64]*occupant), sessions: make(map[uint64]*session)}
			kind = recHead
		case recWhole:
			if r := s.coming[addr]; r != nil {
				s.replayed[addr] = r
				delete(s.coming, addr)
			}
			continue
		}
		r := s.coming[addr]
		if r == nil {
			r = s.replayed[addr]
		}
		if r == nil {
			return nil
		}
		if err := r.read(kind, in); err != nil {
			return err
		}
	}
	if in.Bad {
		return errRecord
	}
	return nil
}

// Reset forgets what was replayed.
func (s *Service) Reset() {
	s.rebuilding.Lock()
	s.replayed, s.coming = nil, nil
	s.rebuilding.Unlock()
}

func (r *room) readHead(in *journal.Fields) error {
	f := in.Flags()
	r.phase, r.conference, r.stored = open, f[1], f[2]
	if f[0] {
		r.phase = locked
	}
	r.ownership = OwnerRule(in.Below(byte(AllOwn) + 1))
	r.secret = bytes.Clone(in.Bytes())
	r.created = in.Time()
	r.creator, r.maker = wire.Addr(in.Text()), wire.Addr(in.Text())
	r.unlockAt = in.Time()
	r.settings = settings{}
	return json.Unmarshal(in.Bytes(), &r.settings)
}

// read takes what is said of a room. The state of a room is built by what builds it otherwise, so that it hangs together.
func (r *replayed) read(kind byte, in *journal.Fields) error {
	switch kind {
	case recHead:
		return r.readHead(in)
	case recStanding:
		bare := wire.Addr(in.Text())
		s := standing{affiliation: Affiliation(in.Below(byte(Owner) + 1)), nick: in.Text(), reason: in.Text()}
		if !in.Bad {
			r.keep(bare, s)
		}
	case recLent:
		bare := wire.Addr(in.Text())
		if r.lent == nil {
			r.lent = make(map[wire.Addr]bool)
		}
		if r.lent[bare] = in.Flags()[0]; !r.lent[bare] {
			delete(r.lent, bare)
		}
	case recInfo:
		r.info = nil
		for n := in.Number(); n > 0 && !in.Bad; n-- {
			r.info = append(r.info, Field{Name: in.Text(), Value: in.Text()})
		}
	case recSubject:
		r.subject = subject{at: in.Time(), text: in.Text()}
		r.subject.message = wire.Stanza{Kind: wire.Message, Tail: bytes.Clone(in.Bytes())}
	case recOccupant:
		return r.readOccupant(in)
	case recSession:
		return r.readSession(in)
	case recLeft:
		number := in.Number()
		if s := r.sessions[number]; s != nil {
			r.readLeft(s)
		}
	case recSaid:
		said := saying{id: in.Text(), at: in.Time(), from: wire.Addr(in.Text())}
		said.stanza = wire.Stanza{Kind: wire.Message, Tail: bytes.Clone(in.Bytes())}
		if !in.Bad {
			r.remember(said)
		}
	case recUttered:
		r.uttered = in.Text()
	case recOwed:
		r.owedTill, r.owes = in.Time(), nil
		for n := in.Number(); n > 0 && !in.Bad; n-- {
			r.owes = append(r.owes, in.Text())
		}
	case recJitsi:
		r.jitsi = readTime(r.jitsi, in)
	case recInvited:
		r.invited = readTime(r.invited, in)
	case recAsked:
		q := question{wire.Addr(in.Text()), wire.Addr(in.Text()), in.Text()}
		req := request{wire.Addr(in.Text()), wire.Addr(in.Text())}
		if !in.Bad {
			r.asked.note(q, req)
		}
	case recAnswered:
		r.asked.answered(question{wire.Addr(in.Text()), wire.Addr(in.Text()), in.Text()})
	default:
		return errRecord
	}
	if in.Bad {
		return errRecord
	}
	return nil
}

// readTime reads when something was said of an address.
func readTime(m map[wire.Addr]time.Time, in *journal.Fields) map[wire.Addr]time.Time {
	a := wire.Addr(in.Text())
	at := in.Time()
	switch {
	case at.IsZero():
		delete(m, a)
		return m
	case m == nil:
		m = make(map[wire.Addr]time.Time)
	}
	m[a] = at
	return m
}

func (r *replayed) readOccupant(in *journal.Fields) error {
	number, f := in.Number(), in.Flags()
	affiliation, role := Affiliation(in.Below(byte(Owner)+1)), Role(in.Below(byte(Moderator)+1))
	changed, joined := in.Number(), in.Time()
	nick, bare := in.Text(), wire.Addr(in.Text())
	key, err := nickKey(nick)
	if in.Bad || err != nil {
		return errRecord
	}
	o := r.byNumber[number]
	if o == nil {
		o = &occupant{number: number, bare: bare, id: r.occupantID(bare), guest: f[2], remote: f[5], joined: joined, renames: limit.NewBucket(r.limits.Rename)}
		r.byNumber[number] = o
		r.occupants = append(r.occupants, o)
		if f[0] {
			r.focus = &focus{occupant: o}
		}
	} else if r.byNick[o.key] == o {
		delete(r.byNick, o.key)
	}
	o.nick, o.key, o.skeleton, o.addr = nick, key, skeleton(nick), r.addr+"/"+wire.Addr(nick)
	r.byNick[key] = o
	o.affiliation, o.role, o.listed, o.changed = affiliation, role, f[4], changed
	if f[0] && r.isFocus(o) {
		r.focus.met = f[1]
	}
	r.clock, r.notes.last = max(r.clock, changed), max(r.notes.last, number)
	switch {
	case !f[3]:
		r.settled(o)
	case !o.dirty:
		o.dirty = true
		r.dirty = append(r.dirty, o)
	}
	return nil
}

func (r *replayed) readSession(in *journal.Fields) error {
	number, occupant := in.Number(), in.Number()
	f := in.Flags()
	since := in.Number()
	addr := wire.Addr(in.Text())
	attrs := bytes.Clone(in.Bytes())
	children := bytes.Clone(in.Bytes())
	o := r.byNumber[occupant]
	if in.Bad || o == nil || addr.IsBare() {
		return errRecord
	}
	s := r.sessions[number]
	if s == nil {
		if r.byAddr[addr] != nil || r.isFocus(o) && len(o.sessions) > 0 {
			return errRecord
		}
		shown := o.shown
		s = &session{number: number, addr: addr}
		r.attach(o, s)
		if o.shown = shown; shown == nil {
			o.shown = s
		}
		r.sessions[number] = s
		if r.isFocus(o) {
			r.focus.addr = addr
		}
	}
	if s.occupant != o || s.addr != addr {
		return errRecord
	}
	s.attrs, s.children, s.jitsi, s.bot, s.since = attrs, children, f[1], f[2], since
	if f[0] {
		o.shown = s
	}
	r.clock, r.notes.last = max(r.clock, since), max(r.notes.last, number)
	return nil
}

// readLeft takes a session out, and the occupant with its last one.
func (r *replayed) readLeft(s *session) {
	delete(r.sessions, s.number)
	o := s.occupant
	last := r.detach(s)
	r.asked.lost = nil // they were told
	if !last {
		if o.shown == s {
			o.shown = o.sessions[len(o.sessions)-1]
		}
		return
	}
	delete(r.byNumber, o.number)
	if r.isFocus(o) {
		r.focus = nil
	}
}

// whole reports that everybody in the room has a session, as it is after each step.
func (r *replayed) whole() bool {
	return !slices.ContainsFunc(r.occupants, func(o *occupant) bool { return len(o.sessions) == 0 })
}
