package channel

import "strings"

// Message is a message of the bridge channel: one of the structs of this package, by value, or what Shared makes of one.
type Message interface {
	Class() string // the colibriClass

	appendTo(dst []byte) []byte // the members after the class, each with a comma before it
	sort() sort
}

// sort says what becomes of a message that waits behind a slow connection.
type sort struct {
	keep  keep
	of    string // state of what: a later one of the same class takes its place
	prove bool   // what the bridge does next depends on whether it has arrived
}

type keep int

const (
	vital   keep = iota // must arrive: the connection is closed sooner than it is lost
	state               // the newest must arrive, older ones need not
	passing             // may be lost
)

// VideoType is the kind of picture of a source; what clients write in any case is lower case here.
type VideoType string

// The video types (jitsi.md §10.2).
const (
	Camera         VideoType = "camera"
	Desktop        VideoType = "desktop"
	DesktopHighFPS VideoType = "desktop_high_fps"
	None           VideoType = "none" // the source is disabled
)

func (v VideoType) known() bool {
	switch v {
	case Camera, Desktop, DesktopHighFPS, None:
		return true
	}
	return false
}

// Field is a member of a relayed message that we do not interpret: its name, and its value as JSON that we encoded.
type Field struct {
	Name  string
	Value string
}

// reserved reports a name that a relayed field may not have, in any case: a reader that does not tell the cases apart
// would take it for ours.
func reserved(name string) bool {
	return strings.EqualFold(name, "colibriClass") || strings.EqualFold(name, "from") || strings.EqualFold(name, "to")
}

// Append encodes a message.
func Append(dst []byte, m Message) []byte {
	if s, ok := m.(shared); ok {
		return append(dst, s.text...)
	}
	dst = append(dst, `{"colibriClass":`...)
	dst = appendText(dst, m.Class())
	dst = m.appendTo(dst)
	return append(dst, '}')
}

// encode returns a message's text, which is not to be changed.
func encode(m Message) []byte {
	if s, ok := m.(shared); ok {
		return s.text
	}
	return Append(nil, m)
}

// shared is a message with its text.
type shared struct {
	Message
	text []byte
}

// Shared encodes a message once for many connections.
func Shared(m Message) Message {
	if _, ok := m.(shared); ok {
		return m
	}
	return shared{m, encode(m)}
}

// stamped returns a message of a client as the bridge takes it: with who sent it, and a deprecated VideoTypeMessage as
// what it means, the type of the first video source of its sender.
func stamped(endpoint string, m Message) Message {
	switch m := m.(type) {
	case EndpointMessage:
		m.From = endpoint
		return m
	case EndpointStats:
		m.From = endpoint
		return m
	case VideoTypeMessage:
		return SourceVideoTypeMessage{SourceName: endpoint + "-v0", VideoType: m.VideoType}
	}
	return m
}
