package jitsipeer

import (
	"context"
	"fmt"
	"strings"

	"parley/jingle"

	"github.com/pion/ice/v4"
)

// Endpoint is the media of a peer without signalling: what it sends, one transport, and what measures what comes. A client of a
// server that signals in another way than Jitsi's is made of it.
type Endpoint struct {
	Events *Events // Connected, Disconnected, KeyFrame, and those of Note

	x *session
}

// EndpointOptions say what an endpoint sends and how it connects.
type EndpointOptions struct {
	Name     string // its sources are called so, and -a0 or -v0
	Loopback bool   // as in Options
	Audio    *Audio // nil: no microphone
	Video    *Video // nil: no camera
	Controls bool   // it is the controlling agent of ICE (RFC 8445 §6.1.1), as those are who offer
	Channels bool   // it takes the data channels that the server opens, and drops what comes over them
}

// NewEndpoint makes an endpoint that is not connected. Whoever has it closes it.
func NewEndpoint(o EndpointOptions) (*Endpoint, error) {
	if err := o.Video.check(); err != nil {
		return nil, err
	}
	p := &Peer{o: Options{Nick: o.Name, Loopback: o.Loopback, Audio: o.Audio, Video: o.Video}, nick: o.Name, receiver: newReceiver()}
	if o.Audio != nil {
		p.sources = append(p.sources, newSource(p.Source('a', 0), o.Audio, nil))
	}
	if o.Video != nil {
		p.sources = append(p.sources, newSource(p.Source('v', 0), nil, o.Video))
	}
	l, err := newLeg(o.Loopback, nil)
	if err != nil {
		return nil, err
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	x := &session{peer: p, leg: l, video: make(map[Codec]uint8), again: make(map[uint8]uint8), own: ssrc(), closed: make(chan struct{})}
	x.ctx, x.cancel = context.WithCancel(p.ctx)
	x.channel = newChannel(x) // is never opened
	l.rtp, l.rtcp, l.controls = x.rtp, x.rtcp, o.Controls
	l.down = func(reason string) { p.Events.add(Event{Kind: Disconnected, Text: reason}) }
	if o.Channels {
		l.data = drain
	}
	p.receiver.anew(x.own)
	return &Endpoint{Events: &p.Events, x: x}, nil
}

// Sent is a source that an endpoint sends.
type Sent struct {
	Name  string
	MID   string   // that its packets carry, if that was negotiated
	SSRCs []uint32 // of its streams, as of the layers of Video
	Video *Video   // with what was left out filled in; nil: it is audio
}

// Sends are the own sources, audio first.
func (e *Endpoint) Sends() (list []Sent) {
	for _, s := range e.x.peer.own() {
		one := Sent{Name: s.name, MID: string(midAudio), Video: s.video}
		if s.video != nil {
			one.MID = string(midVideo)
		}
		for _, o := range s.outgoing() {
			one.SSRCs = append(one.SSRCs, o.ssrc)
		}
		list = append(list, one)
	}
	return list
}

// Negotiated is what two sides have agreed on of RTP.
type Negotiated struct {
	Extensions map[string]int    // URI: id; those that are not known here do no harm
	Opus       uint8             // payload type; 0: none
	Video      map[Codec]uint8   // payload types
	RTX        map[uint8]uint8   // payload type of retransmissions: of the media (RFC 4588 §8.1)
	Repairs    map[uint32]uint32 // SSRC of retransmissions: of the media (RFC 5576 §4.2)
	NACK       bool              // missing packets of pictures are asked for again
}

// Negotiate adds to what was agreed on before. For an endpoint that sends it is called once, before Connect; else it may be called
// whenever there is more.
func (e *Endpoint) Negotiate(n Negotiated) {
	x, r := e.x, e.x.peer.receiver
	r.mu.Lock() // under which the receiver reads all of it
	defer r.mu.Unlock()
	for uri, id := range n.Extensions {
		x.extensions.set(uri, id)
	}
	if n.Opus != 0 {
		x.opus = n.Opus
	}
	for codec, id := range n.Video {
		x.video[codec] = id
		x.codecs[id&0x7f] = codec
	}
	for id, of := range n.RTX {
		x.apt[id&0x7f] = of
	}
	for ssrc, of := range n.Repairs {
		r.repairs[ssrc] = of
	}
	x.nacks = x.nacks || n.NACK
}

// Local is the own side of the transport. Its candidates are not told: the server learns them from the checks.
func (e *Endpoint) Local() *jingle.Transport { return e.x.leg.transport() }

// Candidate takes a candidate of the server as it stands in SDP (RFC 8839 §5.1), before or after Connect. One that is not of
// UDP is left out.
func (e *Endpoint) Candidate(text string) error {
	text = strings.TrimPrefix(text, "candidate:")
	if f := strings.Fields(text); len(f) < 3 || !strings.EqualFold(f[2], "udp") {
		return nil
	}
	c, err := ice.UnmarshalCandidate(text)
	if err == nil {
		err = e.x.leg.agent.AddRemoteCandidate(c)
	}
	if err != nil {
		return fmt.Errorf("jitsipeer: candidate: %w", err)
	}
	return nil
}

// Connect connects to the server's side, once, in the background; see Media.
func (e *Endpoint) Connect(t *jingle.Transport) error { return e.x.leg.start(t, e.x.connected) }

// Note adds an event. After Lost or StreamEnded nobody waits any more for a transport that is not there yet.
func (e *Endpoint) Note(kind, text string) { e.x.peer.Events.add(Event{Kind: kind, Text: text}) }

// Media waits until media can go. It fails when something has happened after which they never will.
func (e *Endpoint) Media(ctx context.Context) error {
	if e.x.leg.ready.Load() {
		return nil // the events may be too long ago
	}
	at, err := e.Events.Await(ctx, 0, func(at Event) bool {
		return at.Kind == Connected || at.Kind == Disconnected || at.Kind == Lost || at.Kind == StreamEnded
	})
	if err == nil && at.Kind != Connected {
		err = fmt.Errorf("jitsipeer: %s: %s", at.Kind, at.Text)
	}
	return err
}

// Sources, Received, Reset and Transport are as a Peer's.
func (e *Endpoint) Sources() []string { return e.x.peer.Sources() }

func (e *Endpoint) Received(source string) Stats { return e.x.peer.Received(source) }

func (e *Endpoint) Reset() { e.x.peer.Reset() }

func (e *Endpoint) Transport() Transport { return e.x.peer.Transport() }

// Close ends the transport and returns when all goroutines have ended.
func (e *Endpoint) Close() {
	e.x.peer.cancel()
	e.x.close()
}
