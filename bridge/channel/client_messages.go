package channel

import "slices"

// ClientHello asks for a ServerHello. A Conn answers it itself.
type ClientHello struct{}

// ReceiverVideoConstraints says what video a receiver wants. What is nil stays as it was; an empty list or map that is
// not nil is what it says.
type ReceiverVideoConstraints struct {
	LastN              *int // −1: all
	SelectedSources    []string
	OnStageSources     []string
	DefaultConstraints *VideoConstraints
	Constraints        map[string]VideoConstraints // by source
	AssumedBandwidth   *int64                      // bits per second; −1: estimate it
}

// VideoConstraints limits a source.
type VideoConstraints struct {
	MaxHeight    int     // pixels; 0: none of it, −1: no limit
	MaxFrameRate float64 // frames per second; −1: no limit, also where it was absent
}

// LastNChangedEvent is the older way to say ReceiverVideoConstraints.LastN.
type LastNChangedEvent struct {
	LastN int // −1: all
}

// ReceiverAudioSubscription says what audio a receiver wants: everything of the conference if All, the included sources
// besides, and never the excluded ones. The legacy form (mode and list) is decoded to the same.
type ReceiverAudioSubscription struct {
	All     bool // true where it was absent
	Include []string
	Exclude []string
}

// Wants reports whether the receiver wants a source.
func (m ReceiverAudioSubscription) Wants(source string) bool {
	return !slices.Contains(m.Exclude, source) && (m.All || slices.Contains(m.Include, source))
}

// SourceVideoTypeMessage says what a video source of the sender shows. That the source is the sender's is for the
// receiver of the message to check.
type SourceVideoTypeMessage struct {
	SourceName string
	VideoType  VideoType
}

// VideoTypeMessage is deprecated. A Sink does not see it: it gets the SourceVideoTypeMessage that it stands for.
type VideoTypeMessage struct {
	VideoType VideoType
}

func (ClientHello) Class() string               { return "ClientHello" }
func (ReceiverVideoConstraints) Class() string  { return "ReceiverVideoConstraints" }
func (LastNChangedEvent) Class() string         { return "LastNChangedEvent" }
func (ReceiverAudioSubscription) Class() string { return "ReceiverAudioSubscription" }
func (SourceVideoTypeMessage) Class() string    { return "SourceVideoTypeMessage" }
func (VideoTypeMessage) Class() string          { return "VideoTypeMessage" }

// Clients do not queue here; the zero sort is the careful one.
func (ClientHello) sort() sort               { return sort{} }
func (ReceiverVideoConstraints) sort() sort  { return sort{} }
func (LastNChangedEvent) sort() sort         { return sort{} }
func (ReceiverAudioSubscription) sort() sort { return sort{} }
func (SourceVideoTypeMessage) sort() sort    { return sort{} }
func (VideoTypeMessage) sort() sort          { return sort{} }
