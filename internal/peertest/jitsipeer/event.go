package jitsipeer

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// What an Event is about.
const (
	StreamBroken   = "stream-broken"   // the socket
	StreamResumed  = "stream-resumed"  // the session goes on
	StreamEnded    = "stream-ended"    // for good
	Entered        = "entered"         // Endpoint is in the room
	Left           = "left"            // Endpoint is not in the room any more; Text: status codes
	SourceInfo     = "source-info"     // Endpoint; Text: the JSON of its presence
	Offered        = "offered"         // session-initiate; Text: its sid
	Accepted       = "accepted"        // our session-accept has a result
	Refused        = "refused"         // it has an error, in Text
	Connected      = "connected"       // ICE and DTLS
	Disconnected   = "disconnected"    // the transport failed; Text: why
	Terminated     = "terminated"      // session-terminate; Text: the condition
	Restarted      = "restarted"       // new ICE credentials are in use; Text: the generation
	SourcesAdded   = "sources-added"   // Text: names
	SourcesRemoved = "sources-removed" // Text: names
	ForcedMute     = "forced-mute"     // by a moderator; Text: audio, video or desktop
	ChannelOpen    = "channel-open"
	ChannelClosed  = "channel-closed"
	ChannelMessage = "channel-message" // any message of the bridge channel; Endpoint: its class; Text: JSON
	Dominant       = "dominant"        // Endpoint speaks
	Constrained    = "constrained"     // SenderSourceConstraints; Source, Height
	Suffers        = "suffers"         // media of Endpoint, at a part of its way, in Text; "" if they do not any more
	KeyFrame       = "key-frame"       // asked for by the bridge; Source
	Lost           = "lost"            // the focus has left, or something ended the conference
)

// Event is something that happened to a peer.
type Event struct {
	Kind     string
	At       time.Time
	Endpoint string
	Source   string
	Height   int
	Text     string
}

const eventsKept = 2000

// Events keeps the newest events of a peer. It is safe for concurrent use.
type Events struct {
	mu      sync.Mutex // guards what follows
	list    []Event
	dropped int // that were before the list
	wake    chan struct{}
	tell    func(Event)
}

func (l *Events) add(e Event) {
	e.At = time.Now()
	if l.tell != nil {
		l.tell(e)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.list) == eventsKept {
		l.list = append(l.list[:0], l.list[eventsKept/2:]...)
		l.dropped += eventsKept / 2
	}
	l.list = append(l.list, e)
	if l.wake != nil {
		close(l.wake)
		l.wake = nil
	}
}

// Mark is a place in the events; see Since.
type Mark int

// Mark returns the place behind the newest event.
func (l *Events) Mark() Mark {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Mark(l.dropped + len(l.list))
}

// Since returns the events from a place on, as far as they are kept.
func (l *Events) Since(m Mark) []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Event(nil), l.list[min(max(int(m)-l.dropped, 0), len(l.list)):]...)
}

// Await returns the first event from a place on that ok accepts.
func (l *Events) Await(ctx context.Context, m Mark, ok func(Event) bool) (Event, error) {
	for {
		l.mu.Lock()
		at := max(int(m)-l.dropped, 0)
		for ; at < len(l.list); at++ {
			if e := l.list[at]; ok(e) {
				l.mu.Unlock()
				return e, nil
			}
		}
		m = Mark(l.dropped + len(l.list))
		if l.wake == nil {
			l.wake = make(chan struct{})
		}
		wake := l.wake
		l.mu.Unlock()
		select {
		case <-wake:
		case <-ctx.Done():
			return Event{}, fmt.Errorf("jitsipeer: no such event: %w", ctx.Err())
		}
	}
}

// AwaitKind is Await for a kind of event.
func (l *Events) AwaitKind(ctx context.Context, m Mark, kind string) (Event, error) {
	e, err := l.Await(ctx, m, func(e Event) bool { return e.Kind == kind })
	if err != nil {
		err = fmt.Errorf("%s: %w", kind, err)
	}
	return e, err
}
