package seat

import (
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// Exit says why an occupant is not, or no more, in a room.
type Exit struct {
	Was   bool        // it was in
	Fault *wire.Error // with which the room did not let it in; nil: it did not say
	Cause Cause       // why it was taken out
}

// Cause is why a room has taken an occupant out.
type Cause int

// What the statuses of XEP-0045 §15.6 come to.
const (
	Over     Cause = iota // the room is no more
	Expelled              // somebody did not want it there, or the room's rules have changed: 301, 307, 321, 322
	Stopping              // the server goes down: 332
)

func (c Cause) String() string {
	switch c {
	case Expelled:
		return "you were sent out of the meeting"
	case Stopping:
		return "the server stops"
	}
	return "the meeting is over"
}

// exit reads why a presence says that an occupant is not in.
func exit(was bool, p *wire.Packet) Exit {
	x := Exit{Was: was}
	if e := p.Elem().Child("error", ""); e.Ok() {
		x.Fault = &wire.Error{Condition: mstanza.UndefinedCondition, Text: e.Child("text", wire.NSStanzas).Text()}
		if first := e.First(); first.Ok() {
			x.Fault.Condition = mstanza.Condition(first.Local())
		}
	}
	switch {
	case status(p, "301"), status(p, "307"), status(p, "321"), status(p, "322"):
		x.Cause = Expelled
	case status(p, "332"):
		x.Cause = Stopping
	}
	return x
}

// status reports that a presence has a status code.
func status(p *wire.Packet, code string) bool {
	for it := p.Elem().Child("x", nsMUCUser).Children(); it.Next(); {
		if it.Elem.Is("status", nsMUCUser) && it.Elem.AttrString("code") == code {
			return true
		}
	}
	return false
}
