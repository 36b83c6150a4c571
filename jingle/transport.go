package jingle

// Transport is an ICE-UDP transport (XEP-0176) with what Jingle hangs below it.
type Transport struct {
	Ufrag, Password   string // both or none; the password is secret
	Options           []string
	Lite              bool // the sender is an ICE lite agent (RFC 8445 §2.5); SDP only
	Fingerprints      []Fingerprint
	RTCPMux           bool // Jitsi's dialect repeats it here
	Candidates        []Candidate
	GatheringComplete bool
	SCTP              *SCTP

	// Jitsi's dialect.
	WebSockets    []string // addresses of the bridge channel; secret, they hold a ticket
	ICEGeneration int      // counts restarts in place, 0 without one

	Extensions []Extension
}

// Fingerprint is the hash of a certificate (XEP-0320, RFC 8122).
type Fingerprint struct {
	Hash     string // name in lower case, e.g. sha-256
	Value    string // upper-case hexadecimal pairs parted by colons
	Setup    Setup  // "" for none
	Required bool
	Cryptex  bool // RFC 9335, Jitsi's dialect
}

// Setup says who opens the DTLS association (RFC 4145 §4, RFC 8842).
type Setup string

// The values of RFC 4145 §4.
const (
	Active   Setup = "active"
	Passive  Setup = "passive"
	ActPass  Setup = "actpass"
	HoldConn Setup = "holdconn"
)

// Candidate is an ICE candidate (XEP-0176 §5.4, RFC 8839 §5.1).
type Candidate struct {
	ID         string // made of the other fields where it comes from SDP
	Component  int
	Foundation string
	Generation int
	IP         string // address or name as written; never resolve it
	Network    int    // 0 for none
	Port       uint16
	Priority   uint32
	Protocol   string // lower case
	Type       string // host, prflx, relay, srflx
	TCPType    string // RFC 6544: active, passive, so
	RelAddr    string
	RelPort    uint16
}

// SCTP is the association of a data content (XEP-0343, RFC 8841).
type SCTP struct {
	Port           uint16
	Protocol       string // webrtc-datachannel
	Streams        int    // 0 where absent
	MaxMessageSize uint64 // bytes, 0 where absent
}

// SameCredentials reports that two transports are of the same ICE generation: no restart lies between them (RFC 8445 §9).
func (t *Transport) SameCredentials(o *Transport) bool {
	return t.Ufrag == o.Ufrag && t.Password == o.Password
}
