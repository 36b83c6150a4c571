package focus

import (
	"parley/muc"
	"parley/xmpp/wire"
)

// Gate is how the media of a conference travel.
type Gate uint8

// The gates.
const (
	Closed Gate = iota // fewer than two members: there is nobody to hear
	P2P                // two members that negotiate with each other; the server relays their stanzas
	SFU                // the bridge forwards
	MCU                // the bridge mixes and composes
)

func (g Gate) String() string { return [...]string{"closed", "p2p", "sfu", "mcu"}[g] }

// focusNick is the focus's own nick in every room.
const focusNick = "focus"

// member is an occupant that takes part in the call.
type member struct {
	endpoint string    // the endpoint id: the nick of a member that speaks the Jitsi dialect
	addr     wire.Addr // real full address
	jitsi    bool      // sent a conference request: speaks the Jitsi dialect
}

// members are those of one conference, in the order of joining. Occupants that do not speak the Jitsi dialect chat in the
// room; they are in no call, so they do not count.
type members []member

// speaksJitsi reports that an occupant takes part in the call by the Jitsi dialect. Its conference request shows it; who
// sent that by HTTP is known by what its presence announces (jitsi.md §6.1).
func speaksJitsi(o *muc.Occupant) bool {
	if o.Jitsi {
		return true
	}
	for c := o.Presence().Children(); c.Next(); {
		switch string(c.Elem.Local()) {
		case "SourceInfo", "jitsi_participant_codecList":
			return true
		}
	}
	return false
}

func (m *members) put(o *muc.Occupant) {
	if o.Bot || o.Nick == focusNick || !speaksJitsi(o) {
		m.remove(o.Nick)
		return
	}
	for i := range *m {
		if (*m)[i].endpoint == o.Nick {
			(*m)[i].addr = o.Addr
			return
		}
	}
	*m = append(*m, member{endpoint: o.Nick, addr: o.Addr, jitsi: true})
}

func (m *members) remove(nick string) {
	for i := range *m {
		if (*m)[i].endpoint == nick {
			*m = append((*m)[:i], (*m)[i+1:]...)
			return
		}
	}
}

// gate is the rule of the design: two members of the Jitsi dialect talk to each other, more need the bridge.
func (m members) gate() Gate {
	switch {
	case len(m) < 2:
		return Closed
	case len(m) == 2:
		return P2P
	}
	return SFU
}
