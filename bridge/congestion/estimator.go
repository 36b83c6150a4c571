package congestion

import (
	"time"

	"parley/bridge/rtp"
)

// Estimator is an algorithm that estimates one path.
type Estimator interface {
	// Sent takes a packet that left with a transport-wide sequence number, in order of leaving.
	Sent(p Packet)

	// Report takes feedback that came, reads it to its end, and answers what is known now.
	Report(f *rtp.TransportFeedback, at time.Duration) State
}

// Bitrate is in bits per second.
type Bitrate int64

// Packet is one that left.
type Packet struct {
	Number uint16 // transport-wide sequence number
	At     time.Duration
	Size   int   // bytes, with IP and UDP headers
	Probe  uint8 // ID of the cluster that it is of; 0: none
}

// Probe is a cluster of packets that the owner is asked to send now, media first and the rest filled with retransmissions or
// padding, in packets of the sizes that it likes: at Rate, until both Packets and For are reached. All that leave meanwhile carry
// its ID. The zero Probe asks for nothing.
type Probe struct {
	ID      uint8
	Rate    Bitrate
	For     time.Duration
	Packets int
}

// State is what is known of a path.
type State struct {
	Rate   Bitrate // that may be sent
	Steady Bitrate // the same, but for what is held back for a moment to empty a queue
	Probe  Probe   // to be sent now, the same until it was sent

	Acknowledged Bitrate       // what lately arrived; 0: not known
	Carried      Bitrate       // what arrived when the way was full, the most of the last seconds or on average of the last times; 0: not known
	Loss         float64       // part of the packets of about the last second that did not arrive
	Chance       float64       // part that is lost whatever is sent, as the newest observations are explained best
	RTT          time.Duration // smoothed, up to the feedback, so with the time that the receiver waited; 0: not known
	MinRTT       time.Duration // least of the last half minute
	Delay        time.Duration // of the newest packets above the least of the last half minute: the queue on the way
	Limit        Limit
	Fates        Fates
}

// Fates are how many packets became known to have arrived or not, since the begin.
type Fates struct {
	Total, Lost int64
	InRows      int64 // of those that were reported as lost: in rows of at least RowLeast, though some of them may have come after all
}

// RowLeast is how many packets in a row are more than chance loses, and more than redundancy replaces.
const RowLeast = 4

// Limit is why the rate is not higher.
type Limit uint8

const (
	LimitStart       Limit = iota // nothing is known yet
	LimitNone                     // it is rising
	LimitDelay                    // a queue grows when more is sent
	LimitLoss                     // loss grew with the rate
	LimitApplication              // not more is being sent, so that not more is proven
	LimitREMB                     // the receiver's own estimate
	LimitMaximum                  // the configured maximum
	LimitOutage                   // no feedback comes
)

var limits = [...]string{"start", "none", "delay", "loss", "application", "remb", "maximum", "outage"}

func (l Limit) String() string {
	if int(l) >= len(limits) {
		return "unknown"
	}
	return limits[l]
}

// Config bounds an estimator. The zero value of a field is its default.
type Config struct {
	Start   Bitrate // 300 kbit/s
	Minimum Bitrate // 30 kbit/s
	Maximum Bitrate // 50 Mbit/s
}

const (
	defaultStart   Bitrate = 300_000
	defaultMinimum Bitrate = 30_000
	defaultMaximum Bitrate = 50_000_000
)

func (c Config) filled() Config {
	if c.Minimum <= 0 {
		c.Minimum = defaultMinimum
	}
	if c.Maximum <= 0 {
		c.Maximum = defaultMaximum
	}
	if c.Start <= 0 {
		c.Start = defaultStart
	}
	c.Maximum = max(c.Maximum, c.Minimum)
	c.Start = min(max(c.Start, c.Minimum), c.Maximum)
	return c
}
