package apprtc

import (
	"slices"

	"parley/jingle/gateway/mailbox"
	"parley/xmpp/wire"
)

// pairOf is how many members talk to each other without the bridge.
const pairOf = 2

// room is the members of one room who came by this door. What is done in it is done by one goroutine, in order.
type room struct {
	mailbox.Box
	service *Service
	addr    wire.Addr
	users   int // who holds it: the service's

	// Of the goroutine alone.
	members   map[string]*member // by id, also those who have left and may still say goodbye
	order     []*member          // who has a place, as they came
	strangers map[string]bool    // nicknames of people who are in the call by another protocol
	mixed     bool               // everybody talks to the bridge, until the last has left
}

// clear takes everybody out: the server stops.
func (r *room) clear() {
	for _, m := range slices.Clone(r.order) {
		r.drop(m)
	}
	for _, m := range r.members { // who has left and is still connected
		r.drop(m)
	}
}

// fullFor reports that there is no place. A member who came by Collider's interface alone cannot be brought to the bridge, and who
// does so himself has to be one of a pair.
func (r *room) fullFor(joins bool) bool {
	if r.mixed {
		return !joins
	}
	return len(r.order) >= pairOf && !(joins && r.canMix())
}

// canMix reports that everybody here can talk to the bridge.
func (r *room) canMix() bool {
	return r.service.mixes() && !slices.ContainsFunc(r.order, func(m *member) bool { return !m.joined || m.loopback })
}

// mustMix reports that somebody cannot be one of a pair: there are three, or people who use another protocol, or a client that
// cannot be brought to the bridge later on.
func (r *room) mustMix() bool {
	inside := 0
	for _, m := range r.order {
		if m.inside {
			inside++
			if m.native {
				return true
			}
		}
	}
	return inside > pairOf || len(r.strangers) > 0
}

// meet notes who else is in the room.
func (r *room) meet(nick string, calls bool) {
	for _, m := range r.order {
		if m.seat != nil && m.seat.Nick() == nick {
			return
		}
	}
	if !calls {
		delete(r.strangers, nick)
		return
	}
	r.strangers[nick] = true
	r.settle()
}

// settle brings members to the bridge as soon as they have to talk to it.
func (r *room) settle() {
	if !r.mixed {
		if !r.mustMix() || !r.canMix() || len(r.order) == 0 {
			return
		}
		r.mixed = true
	}
	for _, m := range slices.Clone(r.order) {
		if m.inside {
			r.move(m)
		}
	}
}
