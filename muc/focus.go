package muc

import (
	"fmt"
	"time"

	"parley/xmpp/wire"
)

// focus is the conference focus in its seat: an occupant without a session of the server, that is not counted and not
// sent what the room says.
type focus struct {
	addr     wire.Addr // full
	occupant *occupant
	met      bool // somebody has been here with it
}

func (r *room) isFocus(o *occupant) bool { return r.focus != nil && r.focus.occupant == o }

func (r *room) isFocusAddr(a wire.Addr) bool { return r.focus != nil && r.focus.addr == a }

// Meeting is what a conference request finds or makes.
type Meeting struct {
	Seat    *Seat
	ID      string     // unique, for as long as the room is in memory
	Created time.Time  // of the room
	Born    bool       // by this request
	Others  []Occupant // who were there before the focus, if this request has brought it
}

const (
	fieldMeeting = "muc#roominfo_meetingId"
	fieldLobby   = "muc#roominfo_lobbyroom"
)

// wanted bounds how many sessions are remembered that sent a conference request and have not come, and for how long.
const (
	wanted    = 2000
	wantedFor = 2 * time.Minute
)

// meet brings the room into being for a conference, if it is not there, seats the focus, and notes that the asker keeps
// to the rules of conferences (design: rooms and guests).
func (r *room) meet(in *input, focusAddr wire.Addr, rule OwnerRule, fx *effects) (Meeting, *refusal) {
	var m Meeting
	if r.phase == absent {
		if why := r.mayCreate(in); why != nil {
			fx.guessed = why != &errDraining
			return m, why
		}
		r.create(in, "", fx) // it counts as the asker's, who does not own it
		r.conference, r.settings.Real = true, false
		r.notes.head = true
		m.Born = true
	} else if why := r.maySummon(in); why != nil {
		fx.guessed = why == &errLocked
		return m, why
	}
	if !r.want(in) {
		return m, &errBusy
	}
	if r.conference && r.ownership != rule {
		r.ownership = rule
		r.notes.head = true
	}
	if r.focus == nil {
		for _, o := range r.occupants {
			m.Others = append(m.Others, r.portrait(o))
		}
		r.seat(focusAddr, in, fx)
	}
	if r.field(fieldMeeting) == "" {
		r.setInfo([]Field{{Name: fieldMeeting, Value: uuid(in.secret())}})
	}
	r.emptyAt = time.Time{} // whoever asks is about to come
	m.ID, m.Created = r.field(fieldMeeting), r.created
	return m, nil
}

// maySummon says why the asker may not bring the focus into a room that is there: it could not enter itself. What it would
// need to enter beside that, a password, it says then. Where the focus sits already, nothing changes.
func (r *room) maySummon(in *input) *refusal {
	if r.focus != nil {
		return r.rests(in)
	}
	affiliation := r.affiliation(in.from.Bare())
	if affiliation == Outcast {
		return &errBanned
	}
	if why := r.admits(in); why != nil {
		return why
	}
	switch {
	case r.phase == locked && affiliation != Owner:
		return &errLocked
	case r.settings.MembersOnly && affiliation < Member && !lends(in.claims):
		return &errMembersOnly
	}
	return r.rests(in)
}

// want notes who sent a conference request.
func (r *room) want(in *input) bool {
	if len(r.jitsi) >= wanted {
		for a, at := range r.jitsi {
			if r.byAddr[a] == nil && in.now.Sub(at) > wantedFor {
				delete(r.jitsi, a)
				r.notes.address(&r.notes.jitsi, a)
			}
		}
		if len(r.jitsi) >= wanted {
			return false
		}
	}
	if r.jitsi == nil {
		r.jitsi = make(map[wire.Addr]time.Time)
	}
	r.jitsi[in.from] = in.now
	r.notes.address(&r.notes.jitsi, in.from)
	return true
}

// seat puts the focus into the room.
func (r *room) seat(addr wire.Addr, in *input, fx *effects) {
	bare := addr.Bare()
	key, _ := nickKey(focusNick)
	o := &occupant{
		nick: focusNick, key: key, skeleton: focusSkeleton, addr: r.addr + "/" + focusNick, bare: bare, id: r.occupantID(bare),
		affiliation: Owner, role: Moderator, joined: in.now,
	}
	r.focus = &focus{addr: addr, occupant: o, met: len(r.sessions) > 0}
	r.add(o)
	r.attach(o, &session{addr: addr, number: r.notes.number()})
	r.changed(o)
	r.announce(o, nil, fx)
}

// unseat takes the focus out.
func (r *room) unseat(fx *effects) {
	o := r.focus.occupant
	r.withdraw(o, &notice{}, fx)
	r.asked.forget(r.focus.addr)
	r.detach(r.focus.occupant.sessions[0])
	r.focus = nil
	r.emptyAt = time.Time{} // who was to come is not waited for any more
}

// uuid spells 128 random bits as RFC 9562 §5.4 has it.
func uuid(b []byte) string {
	b[6], b[8] = b[6]&0x0F|0x40, b[8]&0x3F|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// Field is one more thing that the room says of itself to who asks (XEP-0045 §15.5).
type Field struct {
	Name  string // as on the wire, e.g. "muc#roominfo_lobbyroom"
	Value string // "" takes it away
}

// field returns a field's value.
func (r *room) field(name string) string {
	for _, f := range r.info {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// setInfo adds, replaces and takes away fields.
func (r *room) setInfo(fields []Field) {
	r.notes.info = true
next:
	for _, f := range fields {
		for i := range r.info {
			if r.info[i].Name == f.Name {
				r.info[i].Value = f.Value
				continue next
			}
		}
		r.info = append(r.info, f)
	}
}
