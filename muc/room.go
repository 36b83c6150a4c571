package muc

import (
	"bytes"
	"encoding/base64"
	"net/netip"
	"time"

	"parley/internal/limit"
	"parley/internal/token"
	"parley/xmpp/wire"
)

// phase is where a room is in its life.
type phase uint8

const (
	absent phase = iota // nobody has created it
	locked              // created, and waiting for its first configuration (XEP-0045 §10.1.2)
	open
	gone // destroyed, or empty and temporary; the cell forgets it
)

// input is one thing that happens to a room. Its memory belongs to the room once it is posted.
type input struct {
	now  time.Time
	rand [32]byte // fresh and unpredictable, see id and secret

	// A packet, if there is one, and who sent it.
	packet  *wire.Packet
	to      wire.Addr
	from    wire.Addr
	guest   bool
	remote  bool // its account is at another server
	source  netip.Addr
	claims  *token.Claims
	quota   bool    // the sender may create one more room
	drains  bool    // the service does: nothing begins where nobody is
	joins   bool    // it was counted as an attempt to join
	parting bool    // the packet is a goodbye, or an answer
	sought  *sought // what the archive has said, if it was asked for the packet's sake

	// Or one of these.
	gone      wire.Addr                             // a session that ended
	committed uint64                                // a write that is done, with err
	err       error                                 // why a write failed
	do        func(r *room, in *input, fx *effects) // what the service asks for
	tick      bool                                  // the timer fired
	restored  *restoration                          // the room was rebuilt from the journal
	snapshot  func(*cell)                           // the journal asks for the room as it is

	fail    func(why *refusal) // with do: the room cannot be had
	cell    *cell              // whose mailbox holds the packet
	release func()             // see Sender.Hold; nil when done with
}

// who names the source of the input, for the limit of log lines.
func (in *input) who() string {
	if in.source.IsValid() {
		return in.source.String()
	}
	return string(in.sender())
}

// id returns a fresh unpredictable id of 128 bits. It is the same for all of one input.
func (in *input) id() string { return base64.RawURLEncoding.EncodeToString(in.rand[:16]) }

// secret returns a fresh secret of 128 bits that has nothing to do with the id.
func (in *input) secret() []byte { return bytes.Clone(in.rand[16:]) }

// room is one room. Only its cell's goroutine touches it.
type room struct {
	addr   wire.Addr
	limits *Limits
	phase  phase

	settings   settings
	secret     []byte // keys the occupant ids (XEP-0421 §4)
	created    time.Time
	creator    wire.Addr // bare; empty for a room born through a conference request
	maker      wire.Addr // bare; whose room it counts as
	conference bool      // born through a conference request
	stored     bool      // there is a row in the store

	standings map[wire.Addr]standing // by bare address; none has no entry
	reserved  map[string]wire.Addr   // by nickKey, whose nick it is
	lent      map[wire.Addr]bool     // owners for the visit, by token
	occupants []*occupant            // in the order of entering
	sessions  []*session             // of occupants that receive what the room says: not the focus
	byAddr    map[wire.Addr]*session // by full address, the focus included
	byNick    map[string]*occupant   // by nickKey
	focus     *focus

	subject    subject
	history    []saying
	remembered int // bytes of it
	info       []Field
	clock      uint64 // counts changes of presence, see announce
	dirty      []*occupant
	door       door
	jitsi      map[wire.Addr]time.Time // sessions that sent a conference request, and when
	asked      asked
	invites    limit.Bucket
	invited    map[wire.Addr]time.Time // bare addresses, and when
	ownership  OwnerRule

	applications map[wire.Addr]application // of who wants to become a member, by bare address

	pending   []*op // writes that are not answered yet, oldest first
	seq       uint64
	exclusive bool     // a change of who may do what is being committed
	deferred  []*input // wait until it is
	stale     bool     // another node owns the room

	notes notes
	owed  []saying // committed, delivered when the room was rebuilt, and perhaps to be said again by who said it ...

	owedTill time.Time // ... until then

	unlockAt, flushAt, admitAt, emptyAt time.Time
}

// standing is what a room remembers of a bare address.
type standing struct {
	affiliation  Affiliation
	nick, reason string // the nick reserved for it, and why it was banned or admitted
}

func newRoom(addr wire.Addr, limits *Limits) *room {
	return &room{
		addr: addr, limits: limits,
		standings: make(map[wire.Addr]standing),
		reserved:  make(map[string]wire.Addr),
		byAddr:    make(map[wire.Addr]*session),
		byNick:    make(map[string]*occupant),
		door:      newDoor(limits),
		invites:   limit.NewBucket(limits.Invites),
	}
}

// step takes one input. It blocks on nothing and knows no time but the input's.
func (r *room) step(in *input, fx *effects) {
	switch {
	case in.packet != nil:
		if !r.door.hold(r, in, fx) {
			r.take(in, fx)
		}
	case in.gone != "":
		if !r.door.hold(r, in, fx) {
			r.vanish(in, fx)
		}
	case in.committed != 0:
		r.answer(in, fx)
	case in.do != nil:
		in.do(r, in, fx)
		fx.finish(in)
	case in.tick:
		r.tick(in, fx)
	case in.restored != nil:
		r.revive(in, fx)
	}
	r.resume(in, fx)
	r.console(fx)
	r.settle(in, fx)
}

// take handles a packet whose turn has come.
func (r *room) take(in *input, fx *effects) {
	kept := false
	switch in.packet.Kind {
	case wire.Presence:
		r.presence(in, fx)
	case wire.Message:
		kept = r.message(in, fx)
	case wire.IQ:
		kept = r.iq(in, fx)
	}
	if !kept {
		fx.finish(in)
	}
}

// tick does what is due.
func (r *room) tick(in *input, fx *effects) {
	due := func(at *time.Time) bool {
		if at.IsZero() || in.now.Before(*at) {
			return false
		}
		*at = time.Time{}
		return true
	}
	if due(&r.admitAt) {
		r.door.admit(r, in, fx)
	}
	if due(&r.flushAt) {
		r.flush(fx)
	}
	if due(&r.unlockAt) && r.phase == locked {
		r.phase = open
		r.notes.head = true
	}
	// emptyAt is looked at by settle.
}

// settle ends a room that has no reason to go on.
func (r *room) settle(in *input, fx *effects) {
	if r.phase != locked && r.phase != open {
		return
	}
	if len(r.sessions) > 0 || len(r.pending) > 0 || r.door.busy() {
		r.emptyAt = time.Time{}
		return
	}
	if r.emptyAt.IsZero() {
		wait := time.Duration(0)
		switch {
		case r.settings.Persistent:
			wait = r.limits.Idle
		case r.focus != nil && !r.focus.met:
			wait = r.limits.Unmet
		}
		r.emptyAt = in.now.Add(wait)
	}
	if in.now.Before(r.emptyAt) {
		return
	}
	r.end(fx, !r.settings.Persistent)
}

// end forgets the room: destroyed, or only put aside until somebody asks for it again.
func (r *room) end(fx *effects, destroyed bool) {
	r.phase = gone
	if r.focus != nil {
		fx.emit(OccupantLeft{Room: r.addr, Nick: focusNick, Addr: r.focus.addr, Why: LeftClosed})
		r.focus = nil
	}
	if destroyed {
		fx.emit(RoomDestroyed{Room: r.addr})
	}
}

// wake returns when the room wants a tick, the zero time for never.
func (r *room) wake() time.Time {
	return earliest(earliest(r.unlockAt, r.flushAt), earliest(r.admitAt, r.emptyAt))
}

// refuse answers the packet with an error, unless it is itself an answer.
func (r *room) refuse(in *input, fx *effects, why refusal) {
	refuseTo(in, fx, why, r.addr)
}

func refuseTo(in *input, fx *effects, why refusal, by wire.Addr) {
	if why.event != "" {
		fx.reject(why.event, why.Text)
	}
	switch typ := string(in.packet.Type()); {
	case typ == "error", in.packet.Kind == wire.IQ && typ == "result":
		return
	}
	why.By, why.Echo = by, echo(in.packet)
	fx.send(in.from, why.ErrorTo(in.packet, in.to))
}

// affiliation returns the bare address's affiliation. An outcast may be a whole domain (XEP-0045 §9.2).
func (r *room) affiliation(bare wire.Addr) Affiliation {
	s, ok := r.standings[bare]
	if !ok {
		s, ok = r.standings[wire.Addr(bare.Domain())]
		ok = ok && s.affiliation == Outcast
	}
	switch {
	case ok && s.affiliation == Outcast:
		return Outcast
	case r.lent[bare]:
		return Owner
	case ok:
		return s.affiliation
	}
	return None
}

// keep sets what the room remembers of a bare address. A nick that somebody else has reserved is not taken over.
func (r *room) keep(bare wire.Addr, s standing) {
	if key, err := nickKey(r.standings[bare].nick); err == nil && r.reserved[key] == bare {
		delete(r.reserved, key)
	}
	delete(r.lent, bare)
	r.notes.address(&r.notes.standings, bare)
	if s.affiliation == None {
		delete(r.standings, bare)
		return
	}
	if s.nick != "" {
		if key, err := nickKey(s.nick); err == nil && r.reserved[key] == "" && s.affiliation != Outcast {
			r.reserved[key] = bare
		} else {
			s.nick = ""
		}
	}
	r.standings[bare] = s
}

// visible reports that the sender may know that the room exists: it is public, or the sender is in it or on one of its
// lists (hardening.md HM7).
func (r *room) visible(from wire.Addr) bool {
	switch r.phase {
	case open:
		_, invited := r.invited[from.Bare()]
		return r.settings.Public || invited || r.byAddr[from] != nil || r.affiliation(from.Bare()) >= Member
	case locked:
		return r.byAddr[from] != nil || r.affiliation(from.Bare()) == Owner
	}
	return false
}

// ignore answers as if there were no room.
func (r *room) ignore(in *input, fx *effects) {
	fx.guessed = true
	r.refuse(in, fx, errNoRoom)
}
