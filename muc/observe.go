package muc

import (
	"time"

	"parley/internal/token"
	"parley/xmpp/wire"
)

// Event is something that happened in a room. Observers get the events of a room in order, from its runner: they must
// not block.
type Event interface{ event() }

// RoomCreated says that there is a room now that was not there before.
type RoomCreated struct {
	Room wire.Addr
	By   wire.Addr // bare; empty for a room born through a conference request
	// Maker is whose room it counts as: bare; empty for a conference request of somebody without a session.
	Maker wire.Addr
}

// RoomChanged says that an owner has changed the configuration.
type RoomChanged struct {
	Room                  wire.Addr
	MembersOnly, Password bool
}

// RoomDestroyed says that the room is no more.
type RoomDestroyed struct{ Room wire.Addr }

// Restoring says which rooms are being rebuilt after the process was killed. It comes before all other events.
type Restoring struct{ Rooms []wire.Addr }

// RoomRestored says that a room is there again after the process was killed, with those who were in it; those whose
// sessions have not survived leave next.
type RoomRestored struct {
	Room      wire.Addr
	Meeting   Meeting    // with a nil Seat if the focus does not sit in the room
	Occupants []Occupant // without the focus
	Shown     []byte     // the payload of the focus's presence
}

// OccupantJoined says that somebody has entered.
type OccupantJoined struct{ Occupant }

// OccupantChanged says that the occupant's presence, role or affiliation is another one.
type OccupantChanged struct{ Occupant }

// OccupantRenamed says that the occupant has another nickname than Old.
type OccupantRenamed struct {
	Occupant
	Old string
}

// OccupantLeft says that the occupant's last session has left.
type OccupantLeft struct {
	Room wire.Addr
	Nick string
	Addr wire.Addr // real full address
	ID   string    // XEP-0421
	Why  Why
	// Tokens are those that the occupant's sessions came with.
	Tokens []*token.Claims
}

// SubjectChanged says that the room has another subject.
type SubjectChanged struct {
	Room wire.Addr
	Text string
}

// Invited says that an occupant has invited somebody, whom the room has sent the invitation.
type Invited struct {
	Room     wire.Addr
	By       string // nickname
	To       wire.Addr
	Password string // of the room
	Meeting  bool   // the focus sits in the room
}

// FocusStanza is what an occupant sends to the focus: an IQ or a private message, or the answer to what the focus asked.
// The packet is the observer's.
type FocusStanza struct {
	Occupant
	Packet *wire.Packet

	held *held
}

// held is the acknowledgement of a stanza that was given to the observers.
type held struct{ release func() }

// Hold has the stanza acknowledged to its sender by Seat.Done alone, and not when the observers have been told: with what
// is answered then, so that neither is lost without the other. It is called by an observer, at once.
func (e *FocusStanza) Hold() (release func()) {
	if e.held == nil || e.held.release == nil {
		return func() {}
	}
	release, e.held.release = e.held.release, nil
	return release
}

func (RoomCreated) event()     {}
func (RoomChanged) event()     {}
func (RoomRestored) event()    {}
func (Restoring) event()       {}
func (RoomDestroyed) event()   {}
func (OccupantJoined) event()  {}
func (OccupantChanged) event() {}
func (OccupantRenamed) event() {}
func (OccupantLeft) event()    {}
func (SubjectChanged) event()  {}
func (Invited) event()         {}
func (FocusStanza) event()     {}

// Why is how an occupant came to leave.
type Why uint8

// The reasons to leave.
const (
	LeftSelf   Why = iota // said goodbye
	LeftGone              // the session ended without a word
	LeftKicked            // XEP-0045 §8.2
	LeftBanned            // XEP-0045 §9.1
	LeftRank              // not a member (any more) of a room for members only
	LeftClosed            // the service stops, or the creator gave the room up before it was configured
	LeftEnded             // the room was destroyed
)

// Occupant is an occupant at the moment of an event.
type Occupant struct {
	Room        wire.Addr
	Nick        string
	Addr        wire.Addr // real full address of the session whose presence the others see
	ID          string    // XEP-0421
	Affiliation Affiliation
	Role        Role
	Guest       bool // without an account
	Jitsi       bool // sent a conference request for the room
	Bot         bool // says that it is no person
	Open        bool // everybody in the room may know Addr (XEP-0045 §4.2)
	Barred      bool // the room has a password
	Joined      time.Time
	Claims      *token.Claims // of the token that the session came with; nil: none, or it was there before the process was killed

	attrs, children []byte
}

// In returns the occupant's address in the room.
func (o *Occupant) In() wire.Addr { return o.Room + "/" + wire.Addr(o.Nick) }

// Presence returns the payload of the occupant's last presence, without what the room takes out of it. The cursor is on
// an element of its own memory.
func (o *Occupant) Presence() wire.Elem {
	b := make([]byte, 0, len(o.attrs)+len(o.children)+32)
	b = append(append(append(b, "<presence"...), o.attrs...), '>')
	return wire.ParseElem(append(append(b, o.children...), "</presence>"...))
}

// portrait describes an occupant as it is now. What it refers to never changes.
func (r *room) portrait(o *occupant) Occupant {
	p := Occupant{
		Room: r.addr, Nick: o.nick, ID: o.id, Affiliation: o.affiliation, Role: o.role, Guest: o.guest, Joined: o.joined,
		Bot: o.bot(), Open: r.settings.nonAnonymous(), Barred: r.settings.Password != "",
	}
	if s := o.shown; s != nil {
		p.Addr, p.Jitsi, p.Claims, p.attrs, p.children = s.addr, s.jitsi, s.claims, s.attrs, s.children
	}
	return p
}
