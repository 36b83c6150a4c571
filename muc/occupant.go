package muc

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"time"

	"parley/internal/limit"
	"parley/internal/token"
	"parley/xmpp/wire"
)

// occupant is who is known in the room by one nickname. Accounts may have several sessions behind one nickname
// (XEP-0045 §7.2.8).
type occupant struct {
	nick     string
	addr     wire.Addr // room/nick
	key      string    // nickKey of the nick
	skeleton string    // what the nick looks like
	bare     wire.Addr // real bare address
	id       string    // XEP-0421
	scoped   wire.Addr // see room.scopedBare; made when it is first needed

	affiliation Affiliation
	role        Role
	guest       bool
	remote      bool // of another server
	joined      time.Time

	sessions []*session
	shown    *session // whose presence the others see

	changed uint64             // r.clock when its presence changed last
	dirty   bool               // the others have not been told yet
	listed  bool               // the others know of it, see settings.Broadcast
	tails   [views]wire.Stanza // its presence as receivers see it, built when first needed
	renames limit.Bucket       // HM8

	number uint64 // by which the journal knows it
	noted  bool   // it is among the notes
}

// session is one full address in a room.
type session struct {
	addr     wire.Addr
	occupant *occupant
	attrs    []byte        // of its last presence, as appendAttrs leaves them
	children []byte        // of its last presence, without what would be forged
	jitsi    bool          // it sent a conference request
	bot      bool          // it says that it is no person
	since    uint64        // r.clock when it was told who is here
	claims   *token.Claims // of the token that it came with; nil: none, or it was there before the process was killed

	number uint64 // by which the journal knows it
	noted  bool   // it is among the notes
}

// view is how much a receiver sees of an occupant's address.
type view uint8

const (
	viewNone   view = iota // nothing (semi-anonymous)
	viewScoped             // one of the room's stands for it: Jitsi clients need a full address in every item
	viewReal               // the real one
	views
)

// view returns what the session sees of the occupant (design: real addresses are hidden from everybody but room admins,
// and, where the room is set so, moderators; XEP-0045 §7.2.4). Jitsi clients, which judge people by the domain of the address,
// are not shown those of other servers.
func (r *room) view(s *session, o *occupant) view {
	switch {
	case o == s.occupant, r.settings.nonAnonymous(), r.focus != nil && o == r.focus.occupant:
		return viewReal
	case s.jitsi && o.remote:
		return viewScoped
	case s.occupant.affiliation >= Admin, s.occupant.role == Moderator && !r.settings.Anyone:
		return viewReal
	case s.jitsi:
		return viewScoped
	}
	return viewNone
}

// occupantID makes the id by which the others know the person again (XEP-0421 §4).
func (r *room) occupantID(bare wire.Addr) string {
	mac := hmac.New(sha256.New, r.secret)
	mac.Write([]byte(bare))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:18])
}

// scopedAddr returns the address that stands for the occupant's real one in this room. As with a real one, its bare form names
// the person, by which admins may mean them: Jitsi clients cut the resource off.
func (r *room) scopedAddr(o *occupant) wire.Addr { return r.scopedBare(o) + "/" + wire.Addr(o.nick) }

func (r *room) scopedBare(o *occupant) wire.Addr {
	if o.scoped == "" {
		mac := hmac.New(sha256.New, r.secret)
		mac.Write([]byte("address " + o.bare))
		o.scoped = wire.Addr(hex.EncodeToString(mac.Sum(nil)[:16]) + "@" + r.addr.Domain())
	}
	return o.scoped
}

// occupantOf returns the occupant of exactly that nick.
func (r *room) occupantOf(nick string) *occupant {
	key, err := nickKey(nick)
	if err != nil {
		return nil
	}
	if o := r.byNick[key]; o != nil && o.nick == nick {
		return o
	}
	return nil
}

// occupantsOf returns the occupants that a bare address has.
func (r *room) occupantsOf(bare wire.Addr) []*occupant {
	var all []*occupant
	for _, o := range r.occupants {
		if o.bare == bare {
			all = append(all, o)
		}
	}
	return all
}

// add puts a new occupant into the room.
func (r *room) add(o *occupant) {
	o.number = r.notes.number()
	r.occupants = append(r.occupants, o)
	r.byNick[o.key] = o
}

// attach gives the occupant a session, which has its number.
func (r *room) attach(o *occupant, s *session) {
	s.occupant = o
	o.sessions = append(o.sessions, s)
	o.shown = s
	r.byAddr[s.addr] = s
	if r.focus == nil || r.focus.occupant != o {
		r.sessions = append(r.sessions, s)
	}
	r.notes.session(s)
}

// detach takes a session away, and the occupant with its last one.
func (r *room) detach(s *session) (last bool) {
	o := s.occupant
	remove := func(list []*session) []*session {
		if i := slices.Index(list, s); i >= 0 {
			return slices.Delete(list, i, i+1)
		}
		return list
	}
	if r.notes.known {
		r.notes.left = append(r.notes.left, s.number)
	}
	o.sessions = remove(o.sessions)
	r.sessions = remove(r.sessions)
	delete(r.byAddr, s.addr)
	r.asked.forget(s.addr)
	if len(o.sessions) > 0 {
		return false
	}
	if i := slices.Index(r.occupants, o); i >= 0 {
		r.occupants = slices.Delete(r.occupants, i, i+1)
	}
	delete(r.byNick, o.key)
	r.settled(o)
	return true
}

// settleRole returns the role that an affiliation brings on entering (XEP-0045 §5.1.2).
func (r *room) settleRole(a Affiliation) Role {
	switch {
	case a >= Admin:
		return Moderator
	case a == Outcast:
		return NoRole
	case a == None && r.settings.Moderated:
		return Visitor
	}
	return Participant
}
