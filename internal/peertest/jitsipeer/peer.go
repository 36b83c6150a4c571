package jitsipeer

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"parley/jingle"
	"parley/xmpp/wire"

	"github.com/pion/stun/v4"
)

// Options say who a peer is. URL and Room are needed.
type Options struct {
	URL      string // of the WebSocket, such as ws://127.0.0.1:8080/xmpp-websocket
	Room     string // name, without domain
	Domain   string // "": localhost
	MUC      string // "": muc. and the domain
	Focus    string // "": focus. and the domain
	Nick     string // endpoint id; "": the first 8 characters of the address, as the Jitsi client does
	Token    string // JWT
	Loopback bool   // the bridge is on this machine: ICE over the loopback interface alone

	Relayed bool           // over the relay that the server offers (XEP-0215) alone
	Reach   netip.AddrPort // of a relay to the bridge, in place of what the bridge offers; the zero value: as it offers

	Audio *Audio // nil: no microphone
	Video *Video // nil: no camera

	Rewriting  bool     // SSRC rewriting (jitsi.md §10.3)
	MidDemux   bool     // and a mid for each slot
	XMLSources bool     // sources as XML, not as JSON (jitsi.md §8.2)
	Features   []string // further ones
	NoChannel  bool     // opens no bridge channel
	Wanted     any      // the first ReceiverVideoConstraints, without colibriClass; nil: everything in full size
	Assumed    int      // bits/s, the assumedBandwidthBps of that when Wanted is nil; 0: none
	NoTCC      bool     // it has no transport-wide feedback
	RED        bool     // it reads redundant audio, also if it sends none
	REMB       uint64   // bits/s: it has none and tells this as its estimate, as old clients do; see Estimate
	Codecs     string   // codecList of the presence; "": av1,vp9,vp8,h264

	Disobeys bool                 // goes on when a moderator mutes it
	Restart  bool                 // asks for a new session when the transport fails, as the Jitsi client does
	Back     time.Duration        // how long a broken socket rests before it is opened again; 0: 200 ms
	Edit     func(*jingle.Jingle) // changes the session-accept before it is sent
	Hold     <-chan struct{}      // the session-accept waits until this is closed
	OnEvent  func(Event)          // is told each event, in the goroutine that it happened in
}

// Peer is a member of a conference.
type Peer struct {
	Events Events

	o         Options
	room      string // address
	nick      string
	stream    *stream
	relay     *stun.URI // nil: none is used
	receiver  *receiver
	ctx       context.Context
	cancel    context.CancelFunc
	finished  <-chan struct{}
	done      sync.WaitGroup
	feedbacks atomic.Uint64

	mu        sync.Mutex // guards what follows
	sources   []*source  // is replaced, never changed
	session   *session
	latest    *session // the last one that was begun
	want      []byte
	occupants map[string]bool
	left      bool
}

// Join logs in, asks for the conference and enters the room. The bridge's session follows when there are two; see Media.
func Join(ctx context.Context, o Options) (*Peer, error) {
	if o.Domain == "" {
		o.Domain = "localhost"
	}
	if o.MUC == "" {
		o.MUC = "muc." + o.Domain
	}
	if o.Focus == "" {
		o.Focus = "focus." + o.Domain
	}
	if o.Codecs == "" {
		o.Codecs = "av1,vp9,vp8,h264"
	}
	if o.Back == 0 {
		o.Back = 200 * time.Millisecond
	}
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("jitsipeer: %w", err)
	}
	q := u.Query()
	q.Set("room", o.Room)
	if o.Token != "" {
		q.Set("token", o.Token)
	}
	u.RawQuery = q.Encode()
	p := &Peer{o: o, room: o.Room + "@" + o.MUC, receiver: newReceiver(), occupants: make(map[string]bool)}
	p.Events.tell = o.OnEvent
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.receiver.limit = o.REMB
	if o.Wanted == nil {
		if o.Assumed == 0 {
			o.Assumed = -1
		}
		p.o.Wanted = map[string]any{"lastN": -1, "assumedBandwidthBps": o.Assumed, "defaultConstraints": map[string]int{"maxHeight": 2160}}
	}
	if err := p.setWanted(p.o.Wanted); err != nil {
		return nil, err
	}
	p.stream = &stream{url: u, domain: o.Domain, back: o.Back, handle: p.handle, changed: func(state string) { p.Events.add(Event{Kind: state}) }}
	if err := o.Video.check(); err != nil {
		return nil, err
	}
	if p.finished, err = p.stream.open(p.ctx); err != nil {
		return nil, err
	}
	if o.Relayed {
		if p.relay, err = p.relays(ctx); err != nil {
			p.Leave()
			return nil, err
		}
	}
	if p.nick = o.Nick; p.nick == "" {
		p.nick, _, _ = strings.Cut(p.JID(), "-")
	}
	if o.Audio != nil {
		p.sources = append(p.sources, newSource(p.nick+"-a0", o.Audio, nil))
	}
	if o.Video != nil {
		p.sources = append(p.sources, newSource(p.nick+"-v0", nil, o.Video))
	}
	if err := p.enter(ctx); err != nil {
		p.Leave()
		return nil, err
	}
	return p, nil
}

// JID is the full address.
func (p *Peer) JID() string { return p.stream.jid }

// Endpoint is the endpoint id, which is the nick.
func (p *Peer) Endpoint() string { return p.nick }

// Source is the name of a source of this peer: kind a or v, and a number.
func (p *Peer) Source(kind byte, n int) string { return fmt.Sprintf("%s-%c%d", p.nick, kind, n) }

// Room is the address of the room.
func (p *Peer) Room() string { return p.room }

func (p *Peer) focus() string { return p.room + "/focus" }

// SID is the id of the Jingle session, "" without one.
func (p *Peer) SID() string {
	if x := p.current(); x != nil {
		return x.sid
	}
	return ""
}

func (p *Peer) current() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.session
}

func (p *Peer) own() []*source {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sources
}

// find returns whose an own SSRC is.
func (p *Peer) find(ssrc uint32) (*source, *outgoing) {
	for _, s := range p.own() {
		for _, o := range s.outgoing() {
			if o.ssrc == ssrc {
				return s, o
			}
		}
	}
	return nil, nil
}

// signalled are the own sources in Jingle.
func (p *Peer) signalled() jingle.Sources {
	var all jingle.Sources
	for _, s := range p.own() {
		one := s.signal()
		all.Audio, all.Video = append(all.Audio, one.Audio...), append(all.Video, one.Video...)
		all.VideoGroups = append(all.VideoGroups, one.VideoGroups...)
	}
	return all
}

// Media waits until the bridge's session has a transport and the focus has accepted the answer.
func (p *Peer) Media(ctx context.Context) error {
	if x := p.current(); x != nil && x.leg.ready.Load() && x.accepted.Load() {
		return nil // the events may be too long ago
	}
	if _, err := p.Events.AwaitKind(ctx, 0, Connected); err != nil {
		return err
	}
	_, err := p.Events.AwaitKind(ctx, 0, Accepted)
	return err
}

// Times says how long the transport of the present session took.
func (p *Peer) Times() Times {
	if x := p.current(); x != nil && x.leg.ready.Load() {
		return x.leg.took
	}
	return Times{}
}

// IQ sends a request, of the type get or set, and returns the answer; an answer of type error is a *StanzaError.
func (p *Peer) IQ(ctx context.Context, typ, to, payload string) (answer string, err error) {
	e, err := p.stream.ask(ctx, typ, to, payload)
	return string(e.Raw()), err
}

// Send sends a stanza.
func (p *Peer) Send(stanza string) error { return p.stream.send(stanza) }

// Cut breaks the socket as a network does; the session is resumed by itself.
func (p *Peer) Cut() { p.stream.cut() }

// Say sends a message over the bridge channel.
func (p *Peer) Say(text string) error {
	if x := p.current(); x != nil {
		return x.channel.say([]byte(text))
	}
	return errNotReady
}

// Want sends ReceiverVideoConstraints, given as what encodes to its JSON without colibriClass. It is said again when the
// channel is opened again.
func (p *Peer) Want(constraints any) error {
	if err := p.setWanted(constraints); err != nil {
		return err
	}
	return p.Say(string(p.wanted()))
}

func (p *Peer) setWanted(constraints any) error {
	b, err := json.Marshal(constraints)
	if err != nil || len(b) < 2 || b[0] != '{' {
		return fmt.Errorf("jitsipeer: no constraints: %s %w", b, err)
	}
	text := `{"colibriClass":"ReceiverVideoConstraints"`
	if len(b) > 2 {
		text += ","
	}
	p.mu.Lock()
	p.want = append([]byte(text), b[1:]...)
	p.mu.Unlock()
	return nil
}

func (p *Peer) wanted() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.want
}

// Received returns what came of a source; all zero when nothing did.
func (p *Peer) Received(source string) Stats {
	p.receiver.mu.Lock()
	defer p.receiver.mu.Unlock()
	s := p.receiver.sources[source]
	if s == nil {
		return Stats{Source: source}
	}
	n := s.stats
	n.Shown = s.screen.count
	if s.sound != nil {
		n.Played = s.sound.count
		n.Played.Waiting = s.sound.waited
	}
	return n
}

// Seconds is what came in each second since the first packet of a source, or since Reset; with "" of all sources together.
func (p *Peer) Seconds(source string) []Second {
	p.receiver.mu.Lock()
	defer p.receiver.mu.Unlock()
	if source == "" {
		return slices.Clone(p.receiver.series.list)
	}
	if s := p.receiver.sources[source]; s != nil {
		return slices.Clone(s.series.list)
	}
	return nil
}

// Transport is what came altogether, since the first session.
func (p *Peer) Transport() Transport {
	p.receiver.mu.Lock()
	defer p.receiver.mu.Unlock()
	return p.receiver.count
}

// Sources are the names of what came, sorted.
func (p *Peer) Sources() []string {
	p.receiver.mu.Lock()
	defer p.receiver.mu.Unlock()
	var names []string
	for name := range p.receiver.sources {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Reset begins the statistics of all sources anew.
func (p *Peer) Reset() {
	p.receiver.mu.Lock()
	defer p.receiver.mu.Unlock()
	now := time.Now()
	for name, s := range p.receiver.sources {
		s.stats = Stats{Source: name, SSRC: s.stats.SSRC, Height: s.stats.Height, Last: s.stats.Last}
		s.series.reset(now)
		s.screen.reset(now)
		if s.sound != nil {
			s.sound.count = Played{Target: s.sound.count.Target}
		}
	}
	p.receiver.series.reset(now)
}

// Totals are packets and bytes that came, with padding and retransmissions.
func (p *Peer) Totals() (packets, bytes uint64) {
	p.receiver.mu.Lock()
	defer p.receiver.mu.Unlock()
	return p.receiver.count.Packets, p.receiver.count.Bytes
}

// Estimate changes the estimate of a peer with REMB, in bits/s; it is told at once, and again each second.
func (p *Peer) Estimate(rate uint64) {
	p.receiver.mu.Lock()
	defer p.receiver.mu.Unlock()
	p.receiver.limit, p.receiver.limited = rate, time.Time{}
}

// Feedbacks counts the transport-wide feedback of the bridge.
func (p *Peer) Feedbacks() uint64 { return p.feedbacks.Load() }

// KeyFrameRequests are the times at which the bridge asked for key frames of a source; one RTCP compound is one request.
func (p *Peer) KeyFrameRequests(source string) []time.Time {
	for _, s := range p.own() {
		if s.name == source {
			s.mu.Lock()
			defer s.mu.Unlock()
			return slices.Clone(s.requests)
		}
	}
	return nil
}

// Level sets the level of the microphone: -dBov, 127 and above silence.
func (p *Peer) Level(level int) {
	for _, s := range p.own() {
		if s.audio != nil {
			s.level.Store(int32(level))
		}
	}
}

// Mute stops a source, or lets it go on, and tells so.
func (p *Peer) Mute(source string, muted bool) error {
	for _, s := range p.own() {
		if s.name == source {
			s.muted.Store(muted)
			if s.video != nil {
				if x := p.current(); x != nil {
					x.channel.say(s.videoType())
				}
				for _, o := range s.outgoing() {
					s.asked(o)
				}
			}
			return p.present("")
		}
	}
	return fmt.Errorf("jitsipeer: no source %s", source)
}

// Add adds a video source and returns its name: source-add (jitsi.md §8.1).
func (p *Peer) Add(ctx context.Context, v *Video) (string, error) {
	if err := v.check(); err != nil {
		return "", err
	}
	n := 0
	for _, s := range p.own() {
		if s.video != nil {
			n++
		}
	}
	s := newSource(p.Source('v', n), nil, v)
	if err := p.Change(ctx, jingle.SourceAdd, s.signal()); err != nil {
		return "", err
	}
	p.mu.Lock()
	p.sources = append(p.sources[:len(p.sources):len(p.sources)], s)
	x := p.session
	p.mu.Unlock()
	if x != nil {
		x.channel.say(s.videoType())
	}
	return s.name, p.present("")
}

// Remove removes a source: source-remove.
func (p *Peer) Remove(ctx context.Context, name string) error {
	p.mu.Lock()
	at := slices.IndexFunc(p.sources, func(s *source) bool { return s.name == name })
	if at < 0 {
		p.mu.Unlock()
		return fmt.Errorf("jitsipeer: no source %s", name)
	}
	s := p.sources[at]
	p.sources = slices.Delete(slices.Clone(p.sources), at, at+1)
	p.mu.Unlock()
	if err := p.Change(ctx, jingle.SourceRemove, s.signal()); err != nil {
		return err
	}
	return p.present("")
}

// Change sends a source-add or source-remove of any sources.
func (p *Peer) Change(ctx context.Context, action jingle.Action, s jingle.Sources) error {
	x := p.current()
	if x == nil {
		return errNotReady
	}
	j := jingle.Jingle{Action: action, SID: x.sid, Initiator: x.initiator, Contents: s.Contents()}
	_, err := p.stream.ask(ctx, "set", p.focus(), string(j.Append(nil)))
	return err
}

// RestartICE asks for new transport credentials (jitsi.md §11.2); Restarted tells when they are in use.
func (p *Peer) RestartICE(ctx context.Context) error {
	x := p.current()
	if x == nil {
		return errNotReady
	}
	j := jingle.Jingle{Action: jingle.SessionInfo, SID: x.sid, Initiator: x.initiator, Bridge: &jingle.BridgeSession{ID: x.bridge, ICERestart: true}}
	_, err := p.stream.ask(ctx, "set", p.focus(), string(j.Append(nil)))
	return err
}

// Restart ends the session and asks for another (jitsi.md §11.1).
func (p *Peer) Restart(ctx context.Context) error {
	x := p.current()
	if x == nil {
		return errNotReady
	}
	err := x.terminate(jingle.ConnectivityError, true)
	if err == nil {
		p.drop(x)
	}
	return err
}

// drop ends a session, in the background.
func (p *Peer) drop(x *session) {
	p.mu.Lock()
	if p.session == x {
		p.session = nil
	}
	p.mu.Unlock()
	if !p.spawn(x.close) {
		x.close()
	}
}

// spawn runs f, unless the peer has ended.
func (p *Peer) spawn(f func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left {
		return false
	}
	p.done.Add(1)
	go func() {
		defer p.done.Done()
		f()
	}()
	return true
}

// Leave leaves the room and ends everything; it returns when all goroutines have ended.
func (p *Peer) Leave() {
	p.stream.send("<presence xmlns='jabber:client' to='" + escape(p.room+"/"+p.nick) + "' type='unavailable'/>")
	p.stream.close()
	p.End()
}

// End ends without a word, as when the machine goes away.
func (p *Peer) End() {
	p.mu.Lock()
	p.left = true
	x := p.session
	p.session = nil
	p.mu.Unlock()
	p.cancel()
	<-p.finished
	p.done.Wait()
	if x != nil {
		x.close()
	}
}

func escape(s string) string { return string(wire.AppendEscaped(nil, s)) }
