package api

// Event is what a bridge tells. Exactly one of the pointers is set.
type Event struct {
	Hello     *Hello     `json:"hello,omitempty"`
	Transport *Transport `json:"transport,omitempty"`
	State     *State     `json:"state,omitempty"`
	Speaker   *Speaker   `json:"speaker,omitempty"`
	Stress    *Stress    `json:"stress,omitempty"`
	Quality   *Quality   `json:"quality,omitempty"`
}

// Hello is the first event after a connection to a bridge: which bridge it is, and what it has, so that the focus applies
// again what is wished.
type Hello struct {
	Bridge      string            `json:"bridge"` // random at each start of the bridge
	Version     string            `json:"version"`
	Region      string            `json:"region,omitempty"`
	Conferences map[string]uint64 `json:"conferences,omitempty"` // id → version
}

// Transport is the bridge's side of an endpoint's transport; the offer is made of it.
type Transport struct {
	Conference  string      `json:"conference"`
	Endpoint    string      `json:"endpoint"`
	Session     int         `json:"session"`
	Restart     int         `json:"restart,omitempty"` // generation of the credentials
	Ufrag       string      `json:"ufrag"`
	Pwd         string      `json:"pwd"`
	Fingerprint Fingerprint `json:"fingerprint"`
	Setup       string      `json:"setup"` // "actpass"
	Candidates  []Candidate `json:"candidates"`
	Channel     string      `json:"channel"` // path and query of the bridge channel: /colibri-ws/BRIDGE/CONFERENCE/ENDPOINT?pwd=SECRET
}

// The states of an endpoint.
const (
	Connected    = "connected"    // media can flow
	Disconnected = "disconnected" // consent is lost, it may come back
	Failed       = "failed"       // it will not: a new session or an ICE restart is needed; Reason says why
	Active       = "active"       // RTP arrives
	Inactive     = "inactive"     // none has arrived for a while (jitsi.md §9.10)
)

// State is a change of an endpoint's state.
type State struct {
	Conference string `json:"conference"`
	Endpoint   string `json:"endpoint"`
	Session    int    `json:"session"`
	State      string `json:"state"`
	Reason     string `json:"reason,omitempty"` // "security-error" (HB4), "connectivity-error", "timeout", "resource-constraint"
}

// Speaker says who speaks.
type Speaker struct {
	Conference string   `json:"conference"`
	Recent     []string `json:"recent"` // endpoints, the present speaker first
	Silence    bool     `json:"silence,omitempty"`
}

// Stress is how much of what it can do the bridge does, told every few seconds.
type Stress struct {
	Stress    float64 `json:"stress"` // 1 is all
	Endpoints int     `json:"endpoints"`
	PacketsIn float64 `json:"packetsIn"` // per second
	Draining  bool    `json:"draining,omitempty"`
}

// Quality names the part of an endpoint's way at which media suffer, when that changes.
type Quality struct {
	Conference string  `json:"conference"`
	Endpoint   string  `json:"endpoint"`
	Session    int     `json:"session"`
	Part       string  `json:"part,omitempty"`    // Uplink, Downlink, Relay or Machine; empty: none any more
	Relayed    bool    `json:"relayed,omitempty"` // the way leads over the relay of the bridge's machine
	Loss       float64 `json:"loss,omitempty"`    // part of the packets, of about the last second
	Delay      int64   `json:"delay,omitempty"`   // ms that packets wait in a queue
	Rate       int64   `json:"rate,omitempty"`    // bit/s that the way to the endpoint is taken for
}

// Parts of the way of media.
const (
	Uplink   = "uplink"   // from the endpoint to the bridge
	Downlink = "downlink" // from the bridge to the endpoint
	Relay    = "relay"    // the relay of the bridge's machine, which drops what goes either way
	Machine  = "bridge"   // the bridge is too slow for what it has to do
)
