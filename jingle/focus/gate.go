package focus

// Gate is how the media of a conference travel. For members of the Jitsi dialect it is bookkeeping: they are offered the
// bridge's session as soon as they are two, and decide between themselves whether they use it (jitsi.md §11.3).
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

// gate is the rule of the design: two members of the Jitsi dialect talk to each other, more need the bridge, and so
// does who calls.
func (ms members) gate() Gate {
	switch {
	case len(ms) < 2:
		return Closed
	case len(ms) == 2 && !ms.calling():
		return P2P
	}
	return SFU
}
