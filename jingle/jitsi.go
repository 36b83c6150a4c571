package jingle

// BridgeSession is Jitsi's <bridge-session/>: which session of which bridge an offer or a complaint is about.
type BridgeSession struct {
	ID         string
	Region     string
	Restart    bool // in a session-terminate: the client wants a new session
	ICERestart bool // in a session-info: the client wants new transport credentials
}

// FrameHeight is the wish for a height of a source (XML <source-frame-height/> of Jitsi's dialect).
type FrameHeight struct {
	SourceName string
	MaxHeight  int
}

// Info is the payload of a session-info (XEP-0167 §8).
type Info struct {
	Kind    InfoKind
	Creator Role   // with Mute and Unmute
	Name    string // of the content with Mute and Unmute, "" for all
	Text    string // state with ICEState
}

// InfoKind is an informational message.
type InfoKind string

// The messages of XEP-0167 §8, and the legacy ice-state of Jitsi's dialect.
const (
	ActiveInfo InfoKind = "active"
	Hold       InfoKind = "hold"
	Mute       InfoKind = "mute"
	Ringing    InfoKind = "ringing"
	Unhold     InfoKind = "unhold"
	Unmute     InfoKind = "unmute"
	ICEState   InfoKind = "ice-state"
)

func (k InfoKind) known() bool {
	switch k {
	case ActiveInfo, Hold, Mute, Ringing, Unhold, Unmute:
		return true
	}
	return false
}
