// Package api is what the focus and a bridge say to each other. It is level-triggered: the focus hands over the whole
// wished state of a conference, a later version replaces an earlier one, and applying the same twice changes nothing; the
// bridge tells what has become of it by events. A bridge that was restarted, lost or drained is brought up to date by
// applying again what is wished, whether it is a child of the same process or runs on another machine.
package api

// Conference is the whole wished state of one conference. Without endpoints it is ended.
type Conference struct {
	ID        string     `json:"id"`      // meeting id, a UUID
	Room      string     `json:"room"`    // address of the room, for logs and for the bridge channel's URL
	Version   uint64     `json:"version"` // counts changes; the bridge drops what is older than what it has
	Endpoints []Endpoint `json:"endpoints,omitempty"`
}

// Endpoint is a member of a conference.
type Endpoint struct {
	ID string `json:"id"` // 8 hex digits for members of the Jitsi dialect

	// Member is whose endpoint it is where a member has several transports, one for each medium: others know it by that name,
	// and it is given nothing of its own. Empty: ID.
	Member string `json:"member,omitempty"`

	// Answers says that the client has offered: it controls ICE.
	Answers bool `json:"answers,omitempty"`

	// Session counts the transports of the endpoint: another number asks for a new one, with new credentials, in place
	// of the old (jitsi.md §11.1). Restart does the same for ICE alone, and keeps DTLS and the media (§11.2).
	Session int `json:"session"`
	Restart int `json:"restart,omitempty"`

	Remote  *Remote  `json:"remote,omitempty"` // nil until the client has accepted
	Sources []Source `json:"sources,omitempty"`
	Receive Receive  `json:"receive"`
	Data    bool     `json:"data,omitempty"` // SCTP was offered

	// What a moderator has forbidden: the bridge drops it, whatever the client sends.
	MuteAudio bool `json:"muteAudio,omitempty"`
	MuteVideo bool `json:"muteVideo,omitempty"`
}

// Remote is the client's side of the transport.
type Remote struct {
	Ufrag        string        `json:"ufrag"`
	Pwd          string        `json:"pwd"`
	Fingerprints []Fingerprint `json:"fingerprints"` // at least one; the certificate must fit one of them
	Setup        string        `json:"setup"`        // "active" or "passive"; the bridge takes the other part
	Candidates   []Candidate   `json:"candidates,omitempty"`
}

// Fingerprint of a certificate (RFC 8122): hash is "sha-256" or stronger, value is upper-case hex with colons.
type Fingerprint struct {
	Hash  string `json:"hash"`
	Value string `json:"value"`
}

// Candidate is an ICE candidate of component 1.
type Candidate struct {
	Foundation string `json:"foundation"`
	Protocol   string `json:"protocol"` // "udp", "tcp"
	TCPType    string `json:"tcpType,omitempty"`
	Priority   uint32 `json:"priority"`
	IP         string `json:"ip"`
	Port       uint16 `json:"port"`
	Type       string `json:"type"`
}

// Media kinds and video types.
const (
	Audio   = "audio"
	Video   = "video"
	Camera  = "camera"
	Desktop = "desktop"
)

// Source is a named source that the endpoint sends (jitsi.md §8).
type Source struct {
	Name      string   `json:"name"` // 0f3a9c1e-v0
	Kind      string   `json:"kind"`
	VideoType string   `json:"videoType,omitempty"`
	SSRCs     []uint32 `json:"ssrcs"`            // all of them, retransmission included, in the order of signalling
	Groups    []Group  `json:"groups,omitempty"` // FID pairs and one SIM

	// Found says that the client has not signalled its SSRCs: what it sends of this medium is the source. SSRCs are those towards
	// others then: one, or one and its retransmission.
	Found bool `json:"found,omitempty"`

	// Since says since when the source is as it is; 0 for always. See Receive.Known.
	Since uint64 `json:"since,omitempty"`
}

// Group is an ssrc-group: "FID" (media, retransmission) or "SIM" (low to high).
type Group struct {
	Semantics string   `json:"semantics"`
	SSRCs     []uint32 `json:"ssrcs"`
}

// Receive is what was negotiated with the endpoint: what the bridge may send to it and how, and how to read what it
// sends. Payload types and extension ids are the same in both directions.
type Receive struct {
	Rewriting bool `json:"rewriting,omitempty"` // ssrc-rewriting-1: the bridge picks SSRCs and announces them (§10.3)
	MidDemux  bool `json:"midDemux,omitempty"`  // rtp-mid-demux: each slot has a mid
	Mixed     bool `json:"mixed,omitempty"`     // extmap-allow-mixed

	Payloads   []Payload      `json:"payloads,omitempty"`
	Extensions map[string]int `json:"extensions,omitempty"` // URI → id

	// Known is up to where the client has acknowledged what it was told of the sources of others: without SSRC rewriting it
	// gets nothing of a source with a greater Since (§9.5).
	Known uint64 `json:"known,omitempty"`

	// The bridge's own SSRCs of the conference (§8.3): senders of its RTCP. With Single also those of the media; RepairSSRC is
	// that of the video's retransmissions then.
	AudioSSRC  uint32 `json:"audioSSRC,omitempty"`
	VideoSSRC  uint32 `json:"videoSSRC,omitempty"`
	RepairSSRC uint32 `json:"repairSSRC,omitempty"`

	// Single says that the client takes one stream of each medium, as in a call of two: the bridge points it at who speaks. With
	// Chosen it is one of Names instead, and nothing at all without any.
	Single bool     `json:"single,omitempty"`
	Chosen bool     `json:"chosen,omitempty"`
	Names  []string `json:"names,omitempty"`
}

// Payload is a negotiated payload type.
type Payload struct {
	ID    uint8  `json:"id"`
	Name  string `json:"name"`          // opus, red, VP8, VP9, AV1, H264, rtx, telephone-event
	Clock uint32 `json:"clock"`         // Hz
	Apt   uint8  `json:"apt,omitempty"` // of rtx: the payload type that it retransmits
}
