package muc

import "parley/xmpp/wire"

// OwnerRule is who becomes owner in a room that was born through a conference request. It has no effect in a persistent
// room, nor in one that somebody created by entering it.
type OwnerRule uint8

// The rules.
const (
	NobodyOwns  OwnerRule = iota
	FirstOwns             // the first person, and when no owner is left the next one
	AccountOwns           // the same among those who logged in with an account or a token
	AllOwn                // every person
)

// bot reports that the occupant says of itself that it is no person.
func (o *occupant) bot() bool {
	for _, s := range o.sessions {
		if !s.bot {
			return false
		}
	}
	return len(o.sessions) > 0
}

// owned reports that an owner is present who is a person.
func (r *room) owned() bool {
	for _, o := range r.occupants {
		if o.affiliation == Owner && !o.bot() && !r.isFocus(o) {
			return true
		}
	}
	return false
}

// inherits reports that a person of that kind may become owner by the room's rule.
func (r *room) inherits(guest, bot bool) bool {
	if !r.conference || r.settings.Persistent || r.stored || r.exclusive || bot {
		return false
	}
	switch r.ownership {
	case AllOwn:
		return true
	case FirstOwns:
		return !r.owned()
	case AccountOwns:
		return !guest && !r.owned()
	}
	return false
}

// promote makes who is about to enter owner, where the rule says so.
func (r *room) promote(bare wire.Addr, guest, bot bool) {
	if r.affiliation(bare) < Owner && r.inherits(guest, bot) {
		r.keep(bare, standing{affiliation: Owner})
	}
}

// succession makes somebody owner when the last owner has left.
func (r *room) succession(_ *input, fx *effects) {
	for _, o := range r.occupants {
		if r.isFocus(o) || o.affiliation == Owner || !r.inherits(o.guest, o.bot()) {
			continue
		}
		r.keep(o.bare, standing{affiliation: Owner})
		r.enforce(o.bare, &notice{}, fx)
		if r.ownership != AllOwn {
			return
		}
	}
}
