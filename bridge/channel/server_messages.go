package channel

// ServerHello is the first message to a client, and the answer to ClientHello.
type ServerHello struct {
	Version string // may be empty
}

// DominantSpeakerEndpointChangeEvent says who speaks, and who spoke before.
type DominantSpeakerEndpointChangeEvent struct {
	DominantSpeakerEndpoint string
	PreviousSpeakers        []string // newest first, at most MaxPreviousSpeakers: Append leaves out the rest
	Silence                 bool
}

// MaxPreviousSpeakers is how many earlier speakers are told.
const MaxPreviousSpeakers = 10

// ForwardedSources lists the video sources that the receiver is now sent.
type ForwardedSources struct {
	Sources []string
}

// SenderSourceConstraints tells a sender the greatest height that any receiver wants of its source.
type SenderSourceConstraints struct {
	SourceName string
	MaxHeight  int // 0: stop sending, −1: no limit
}

// Mapping says which source plays in a receiver slot (jitsi.md §10.3).
type Mapping struct {
	Source string
	Owner  string // endpoint
	SSRC   uint32
	MID    string // of the slot; empty without mid-demux

	// Of video only.
	RTX       uint32 // SSRC of the retransmissions
	VideoType VideoType
}

// VideoSourcesMap tells of new mappings of video slots.
type VideoSourcesMap struct {
	MappedSources []Mapping
}

// AudioSourcesMap tells of new mappings of audio slots.
type AudioSourcesMap struct {
	MappedSources []Mapping
}

// ConnectionStats tells a receiver its estimated bandwidth, and what of its wishes there is no room for. What follows the
// bandwidth is ours; clients of others do not read them.
type ConnectionStats struct {
	EstimatedDownlinkBandwidth int64  // bits per second
	Limit                      string // why it is no more (congestion.Limit); empty: unknown
	Reduced                    []Reduced
	Troubles                   []Trouble
}

// Trouble is a part of somebody's way at which media suffer (api.Quality).
type Trouble struct {
	Endpoint, Part string
}

// Reduced is a source that comes smaller than it is wanted, for want of bandwidth.
type Reduced struct {
	Source    string
	MaxHeight int // 0: it is paused
}

// EndpointConnectivityStatusChangeEvent says that an endpoint's media stopped or came back. On the wire the flag is a
// string.
type EndpointConnectivityStatusChangeEvent struct {
	Endpoint string
	Active   bool
}

// SyntheticSourceSendingChangeEvent says that a source that a server makes (of translated speech) begins or ends.
type SyntheticSourceSendingChangeEvent struct {
	SourceName string
	Sending    bool
	Timestamp  uint32 // RTP time
}

// EndpointMessage goes from one client to another, or to all others, unread.
type EndpointMessage struct {
	From   string // stamped by the bridge; what a client writes there is left out
	To     string // endpoint; empty: all
	Fields []Field
}

// EndpointStats is what a client tells the others about its connection. We relay it unread.
type EndpointStats struct {
	From   string // as of EndpointMessage
	Fields []Field
}

func (ServerHello) Class() string                        { return "ServerHello" }
func (DominantSpeakerEndpointChangeEvent) Class() string { return "DominantSpeakerEndpointChangeEvent" }
func (ForwardedSources) Class() string                   { return "ForwardedSources" }
func (SenderSourceConstraints) Class() string            { return "SenderSourceConstraints" }
func (VideoSourcesMap) Class() string                    { return "VideoSourcesMap" }
func (AudioSourcesMap) Class() string                    { return "AudioSourcesMap" }
func (ConnectionStats) Class() string                    { return "ConnectionStats" }
func (EndpointConnectivityStatusChangeEvent) Class() string {
	return "EndpointConnectivityStatusChangeEvent"
}
func (SyntheticSourceSendingChangeEvent) Class() string { return "SyntheticSourceSendingChangeEvent" }
func (EndpointMessage) Class() string                   { return "EndpointMessage" }
func (EndpointStats) Class() string                     { return "EndpointStats" }

func (ServerHello) sort() sort                             { return sort{} }
func (DominantSpeakerEndpointChangeEvent) sort() sort      { return sort{keep: state} }
func (ForwardedSources) sort() sort                        { return sort{keep: state} }
func (m SenderSourceConstraints) sort() sort               { return sort{keep: state, of: m.SourceName} }
func (VideoSourcesMap) sort() sort                         { return sort{prove: true} }
func (AudioSourcesMap) sort() sort                         { return sort{prove: true} }
func (ConnectionStats) sort() sort                         { return sort{keep: state} }
func (m EndpointConnectivityStatusChangeEvent) sort() sort { return sort{keep: state, of: m.Endpoint} }
func (m SyntheticSourceSendingChangeEvent) sort() sort     { return sort{keep: state, of: m.SourceName} }
func (EndpointMessage) sort() sort                         { return sort{keep: passing} }
func (EndpointStats) sort() sort                           { return sort{keep: passing} }
