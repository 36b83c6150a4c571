package channel

import (
	"errors"
	"fmt"
	"time"

	"parley/internal/event"
	"parley/internal/limit"
)

// Conn is an open bridge channel as the bridge sees it: a WebSocket or a data channel.
type Conn interface {
	// Send queues a message and never blocks; it may be called under the caller's lock, by any goroutine. Messages arrive
	// in order, but where the client is slow only the newest of each state is kept, and what may be lost is lost. When
	// even that does not fit, or the channel is closed, nothing is sent, and the next channel begins with the whole state.
	Send(m Message)

	// Close ends the channel with a WebSocket close code and a reason of at most 123 bytes. It does not wait.
	Close(code int, reason string)
}

// Sink takes what a client sends, checked and stamped: EndpointMessage and EndpointStats have From, VideoTypeMessage has
// become SourceVideoTypeMessage, and ClientHello is answered already. Calls for one Conn come one after the other; when a
// Conn takes the place of another, the last call for the old one may still be under way.
type Sink interface {
	Receive(m Message)
}

// Endpoint is an endpoint of the bridge.
type Endpoint interface {
	Sink

	// Opened hands over a new Conn, which takes the place of any earlier one. ServerHello is queued already; the endpoint
	// sends its whole state (SenderSourceConstraints, ForwardedSources, source maps...) before it sends changes.
	Opened(c Conn)

	// Closed says that the endpoint's Conn has ended and no other has taken its place. Source maps that were sent before arrived
	// have arrived, what was sent later perhaps not. It is called once for each Conn that was not replaced, after Opened.
	Closed(c Conn, arrived time.Time)
}

// The close codes (RFC 6455 §7.4.1) and what they mean here.
const (
	CloseReplaced = 1000 // another channel of the endpoint has taken its place; the client does not come back for it
	CloseExpired  = 1001 // the endpoint is gone
	CloseLimit    = 1008 // too many messages, or one that is nested too deeply
	CloseTooBig   = 1009 // a message of more than MaxMessage bytes
	CloseHurt     = 1011 // a fault of ours
	CloseSlow     = 1013 // the client does not read what must not be lost
)

// The events that are counted.
const (
	eventReject = "colibri.reject" // a message or a connection for what it sent (HB6)
	eventAuth   = "colibri.auth"   // a connection without the endpoint's secret (HB7)
	eventSlow   = "colibri.slow"   // a message to a slow client was lost, or its connection closed
	eventPanic  = "colibri.panic"  // a message hurt us
)

// DefaultRate is how many messages a client may send.
var DefaultRate = limit.Rate{PerSecond: 50, Burst: 50}

// volume is how many bytes: each may be relayed to all others of the conference.
var volume = limit.Rate{PerSecond: 64 << 10, Burst: 512 << 10}

// inbox is the receiving half that both kinds of Conn have. It is used by one goroutine at a time.
type inbox struct {
	endpoint string
	remote   string // address, or else a name, for the log
	hello    ServerHello
	sink     Sink
	events   *event.Recorder
	bucket   limit.Bucket
	volume   limit.Bucket
}

// verdict says how a connection is to be closed; the zero verdict lets it go on.
type verdict struct {
	code   int
	reason string
}

// allow meters one message.
func (in *inbox) allow(now time.Time) verdict {
	if in.bucket.Allow(now, 1) {
		return verdict{}
	}
	return in.refuse(verdict{CloseLimit, "too many messages"})
}

func (in *inbox) refuse(v verdict) verdict {
	in.events.Reject(eventReject, in.remote, "endpoint", in.endpoint, "err", v.reason)
	return v
}

// receive takes one message. What it cannot read it drops and counts.
func (in *inbox) receive(c Conn, data []byte) verdict {
	if !in.volume.Allow(time.Now(), float64(len(data))) {
		return in.refuse(verdict{CloseLimit, "too many bytes"})
	}
	m, err := FromClient(data)
	switch {
	case errors.Is(err, ErrTooBig):
		return in.refuse(verdict{CloseTooBig, "message too big"})
	case errors.Is(err, ErrTooDeep):
		return in.refuse(verdict{CloseLimit, "message too deep"})
	case err != nil:
		in.events.Reject(eventReject, in.remote, "endpoint", in.endpoint, "err", err.Error())
		return verdict{}
	}
	if _, ok := m.(ClientHello); ok {
		c.Send(in.hello)
		return verdict{}
	}
	return in.guard(func() { in.sink.Receive(stamped(in.endpoint, m)) })
}

// guard calls out. A panic there ends one endpoint's channel, and nothing else (HR6).
func (in *inbox) guard(call func()) (v verdict) {
	defer func() {
		if r := recover(); r != nil {
			in.events.Hurt(eventPanic, in.remote, "endpoint", in.endpoint, "err", fmt.Sprint(r))
			v = verdict{CloseHurt, "internal error"}
		}
	}()
	call()
	return verdict{}
}
