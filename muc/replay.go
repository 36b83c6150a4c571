package muc

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"parley/internal/limit"
	"parley/xmpp/wire"
)

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
	in := &reader{b: record}
	addr := wire.Addr(in.text())
	if in.bad || addr == "" || !addr.IsBare() {
		return errRecord
	}
	for len(in.b) > 0 {
		kind := in.byte(0xFF)
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
	if in.bad {
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

func (r *room) readHead(in *reader) error {
	f := in.flags()
	r.phase, r.conference, r.stored = open, f[1], f[2]
	if f[0] {
		r.phase = locked
	}
	r.ownership = OwnerRule(in.byte(byte(AllOwn) + 1))
	r.secret = bytes.Clone(in.bytes())
	r.created = in.time()
	r.creator, r.maker = wire.Addr(in.text()), wire.Addr(in.text())
	r.unlockAt = in.time()
	r.settings = settings{}
	return json.Unmarshal(in.bytes(), &r.settings)
}

// read takes what is said of a room. The state of a room is built by what builds it otherwise, so that it hangs together.
func (r *replayed) read(kind byte, in *reader) error {
	switch kind {
	case recHead:
		return r.readHead(in)
	case recStanding:
		bare := wire.Addr(in.text())
		s := standing{affiliation: Affiliation(in.byte(byte(Owner) + 1)), nick: in.text(), reason: in.text()}
		if !in.bad {
			r.keep(bare, s)
		}
	case recLent:
		bare := wire.Addr(in.text())
		if r.lent == nil {
			r.lent = make(map[wire.Addr]bool)
		}
		if r.lent[bare] = in.flags()[0]; !r.lent[bare] {
			delete(r.lent, bare)
		}
	case recInfo:
		r.info = nil
		for n := in.number(); n > 0 && !in.bad; n-- {
			r.info = append(r.info, Field{Name: in.text(), Value: in.text()})
		}
	case recSubject:
		r.subject = subject{at: in.time(), text: in.text()}
		r.subject.message = wire.Stanza{Kind: wire.Message, Tail: bytes.Clone(in.bytes())}
	case recOccupant:
		return r.readOccupant(in)
	case recSession:
		return r.readSession(in)
	case recLeft:
		number := in.number()
		if s := r.sessions[number]; s != nil {
			r.readLeft(s)
		}
	case recSaid:
		said := saying{id: in.text(), at: in.time(), from: wire.Addr(in.text())}
		said.stanza = wire.Stanza{Kind: wire.Message, Tail: bytes.Clone(in.bytes())}
		if !in.bad {
			r.remember(said)
		}
	case recUttered:
		r.uttered = in.text()
	case recOwed:
		r.owedTill, r.owes = in.time(), nil
		for n := in.number(); n > 0 && !in.bad; n-- {
			r.owes = append(r.owes, in.text())
		}
	case recJitsi:
		r.jitsi = readTime(r.jitsi, in)
	case recInvited:
		r.invited = readTime(r.invited, in)
	case recAsked:
		q := question{wire.Addr(in.text()), wire.Addr(in.text()), in.text()}
		req := request{wire.Addr(in.text()), wire.Addr(in.text())}
		if !in.bad {
			r.asked.note(q, req)
		}
	case recAnswered:
		r.asked.answered(question{wire.Addr(in.text()), wire.Addr(in.text()), in.text()})
	default:
		return errRecord
	}
	if in.bad {
		return errRecord
	}
	return nil
}

// readTime reads when something was said of an address.
func readTime(m map[wire.Addr]time.Time, in *reader) map[wire.Addr]time.Time {
	a := wire.Addr(in.text())
	at := in.time()
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

func (r *replayed) readOccupant(in *reader) error {
	number, f := in.number(), in.flags()
	affiliation, role := Affiliation(in.byte(byte(Owner)+1)), Role(in.byte(byte(Moderator)+1))
	changed, joined := in.number(), in.time()
	nick, bare := in.text(), wire.Addr(in.text())
	key, err := nickKey(nick)
	if in.bad || err != nil {
		return errRecord
	}
	o := r.byNumber[number]
	if o == nil {
		o = &occupant{number: number, bare: bare, id: r.occupantID(bare), guest: f[2], joined: joined, renames: limit.NewBucket(r.limits.Rename)}
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

func (r *replayed) readSession(in *reader) error {
	number, occupant := in.number(), in.number()
	f := in.flags()
	since := in.number()
	addr := wire.Addr(in.text())
	attrs := bytes.Clone(in.bytes())
	children := bytes.Clone(in.bytes())
	o := r.byNumber[occupant]
	if in.bad || o == nil || addr.IsBare() {
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
