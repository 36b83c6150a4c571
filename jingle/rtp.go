package jingle

// Description is an RTP description (XEP-0167 §4), or the empty one that Jitsi's dialect puts into a data content.
type Description struct {
	Media            string   // audio, video, application
	Categories       []string // what the medium shows (XEP-0507, RFC 4796): Slides, or speaker, sl, main, alt
	PayloadTypes     []PayloadType
	Feedback         []Feedback // for all payload types (XEP-0293 §3)
	HeaderExtensions []HeaderExtension
	AllowMixed       bool // one-byte and two-byte header extensions may be mixed (RFC 8285 §6)
	Bandwidth        []Bandwidth
	Crypto           []Crypto // SDES (RFC 4568); secret
	CryptoRequired   bool
	RTCPMux          bool // RFC 5761
	ReducedSize      bool // RFC 5506
	PTime, MaxPTime  int  // milliseconds, 0 for none
	Sources          []Source
	SourceGroups     []SourceGroup
	Streams          []MediaStream // what the medium's own stream is called, for senders without signalled sources
	RIDs             []RID
	Simulcast        Simulcast
	Extensions       []Extension
}

// Slides is the category of a shared screen (RFC 4796 §5).
const Slides = "slides"

// PayloadType is one codec (XEP-0167 §5).
type PayloadType struct {
	ID              uint8 // 0 to 127
	Name            string
	ClockRate       int // hertz, 0 where absent
	Channels        int // 0 where absent
	PTime, MaxPTime int // milliseconds, 0 for none
	Parameters      []Parameter
	Feedback        []Feedback
}

// Parameter is a name and value, in SDP part of fmtp or ssrc attributes. One of the two may be empty: `111/111` is the
// nameless parameter of RED (RFC 2198).
type Parameter struct{ Name, Value string }

// Feedback is an RTCP feedback message (XEP-0293, RFC 4585 §4.2). Type trr-int has its milliseconds as subtype.
type Feedback struct{ Type, Subtype string }

// HeaderExtension is an RTP header extension (XEP-0294, RFC 8285 §5).
type HeaderExtension struct {
	ID         int
	URI        string
	Senders    Senders // Both unless stated
	Parameters []Parameter
}

// Bandwidth is what a side wants to receive at most (XEP-0167 §4, RFC 8866 §5.8): kbit/s for AS, bit/s for TIAS.
type Bandwidth struct {
	Type  string
	Value uint64
}

// Crypto is a key for SRTP (XEP-0167 §7, RFC 4568). It is secret: never log it.
type Crypto struct {
	Tag           int
	Suite         string
	KeyParams     string
	SessionParams string
}

// MediaStream names the stream and track of a medium (RFC 8830).
type MediaStream struct{ Stream, Track string }

// RID is a restriction identifier (RFC 8851). In XML it is Jitsi's <source rid=”/>; to receive is an attribute of our own.
type RID struct {
	ID           string
	Receive      bool
	Restrictions string // as in SDP, e.g. "pt=96;max-width=1280"
}

// Simulcast lists the streams of a medium (RFC 8853 §5.1), each by its rids parted by commas, "~" before one that is
// paused. In XML it is Jitsi's <rid-group/>.
type Simulcast struct{ Send, Receive []string }
