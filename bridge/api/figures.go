package api

// Figures are what the bridge has counted for an endpoint since it is there, for who looks at a conference. Who asks twice knows
// what was between: counts only grow, but where an endpoint or one of its streams begins anew.
type Figures struct {
	Endpoint string `json:"endpoint"`
	Member   string `json:"member"`            // whose it is: several endpoints can be one member's
	In       Flow   `json:"in"`                // from the client
	Out      Flow   `json:"out"`               // to the client; of packets, those whose fate the client has told
	Rate     int64  `json:"rate,omitempty"`    // bit/s that the way to the client is taken for; 0: no limit is known
	RTT      int64  `json:"rtt,omitempty"`     // µs of a round trip; 0: not known
	Trouble  string `json:"trouble,omitempty"` // the part of the way at which media suffer (Quality.Part)
}

// Flow counts what went one way.
type Flow struct {
	Bytes   int64 `json:"bytes"`   // of RTP packets, with their headers
	Packets int64 `json:"packets"` // that should have come
	Lost    int64 `json:"lost"`    // of them
}
