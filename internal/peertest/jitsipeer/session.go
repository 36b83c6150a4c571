package jitsipeer

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"parley/jingle"

	"github.com/pion/rtcp"
)

// session is one Jingle session with the bridge.
type session struct {
	peer      *Peer
	sid       string
	bridge    string // id of the bridge session
	initiator string
	offer     *jingle.Jingle
	leg       *leg
	channel   *channel
	ctx       context.Context
	cancel    context.CancelFunc
	done      sync.WaitGroup // run
	once      sync.Once
	closed    chan struct{}
	accepted  atomic.Bool

	// What was negotiated; it does not change.
	extensions extensions
	opus, red  uint8
	video      map[Codec]uint8
	codecs     [128]Codec
	apt        [128]uint8      // of a payload type of RTX
	again      map[uint8]uint8 // payload type of the RTX of another
	nacks      bool
	own        uint32 // sender SSRC of our RTCP

	packet, descriptor []byte // scratch of the clock's goroutine
	voice, redundant   []byte // scratch too
	transport          atomic.Uint32
	stop               func() // of the clock
}

// extensions are ids of header extensions, 0 for none.
type extensions struct{ level, mid, rid, time, tcc, descriptor uint8 }

func (x *extensions) set(uri string, id int) {
	for u, to := range map[string]*uint8{
		"urn:ietf:params:rtp-hdrext:ssrc-audio-level": &x.level, "urn:ietf:params:rtp-hdrext:sdes:mid": &x.mid,
		"urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id":                                           &x.rid,
		"http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time":                              &x.time,
		"http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01":               &x.tcc,
		"https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension": &x.descriptor,
	} {
		if u == uri && id > 0 && id < 15 {
			*to = uint8(id)
		}
	}
}

// newSession reads an offer.
func newSession(p *Peer, j *jingle.Jingle) (*session, error) {
	x := &session{peer: p, sid: j.SID, initiator: j.Initiator, offer: j, closed: make(chan struct{}), video: make(map[Codec]uint8), again: make(map[uint8]uint8), own: ssrc()}
	if j.Bridge != nil {
		x.bridge = j.Bridge.ID
	}
	x.ctx, x.cancel = context.WithCancel(p.ctx)
	if len(j.Contents) == 0 || j.Contents[0].Transport == nil {
		return nil, errors.New("an offer without transport")
	}
	for _, c := range j.Contents {
		if c.Description == nil {
			continue
		}
		for _, e := range c.Description.HeaderExtensions {
			x.extensions.set(e.URI, e.ID)
		}
		for _, t := range c.Description.PayloadTypes {
			switch name := strings.ToLower(t.Name); name {
			case "opus":
				x.opus = t.ID
			case "red":
				x.red = t.ID
			case "rtx":
				for _, f := range t.Parameters {
					if n, err := strconv.ParseUint(f.Value, 10, 7); f.Name == "apt" && err == nil {
						x.apt[t.ID], x.again[uint8(n)] = uint8(n), t.ID
					}
				}
			case "vp8", "vp9", "av1", "h264":
				x.video[Codec(strings.ToUpper(name))] = t.ID
				x.codecs[t.ID] = Codec(strings.ToUpper(name))
				x.nacks = x.nacks || slices.Contains(t.Feedback, jingle.Feedback{Type: "nack"})
			}
		}
	}
	var err error
	if x.leg, err = newLeg(p.o.Loopback, p.relay); err != nil {
		return nil, err
	}
	x.leg.rtp, x.leg.rtcp, x.leg.reach = x.rtp, x.rtcp, p.o.Reach
	x.leg.down = func(reason string) {
		p.Events.add(Event{Kind: Disconnected, Text: reason})
		if p.o.Restart {
			p.spawn(func() { x.terminate(jingle.ConnectivityError, true) })
		}
	}
	x.channel = newChannel(x)
	return x, nil
}

// answer is the session-accept: everything that was offered, with our sources and our side of the transport.
func (x *session) answer() *jingle.Jingle {
	j := &jingle.Jingle{Action: jingle.SessionAccept, SID: x.sid, Initiator: x.initiator, Responder: x.peer.JID()}
	group := jingle.Group{Semantics: "BUNDLE"}
	own := x.peer.signalled()
	for _, c := range x.offer.Contents {
		d := *c.Description
		d.Sources, d.SourceGroups = nil, nil
		switch d.Media {
		case "audio":
			d.Sources, d.SourceGroups = own.Audio, own.AudioGroups
		case "video":
			d.Sources, d.SourceGroups = own.Video, own.VideoGroups
		}
		t := x.leg.transport()
		if c.Transport != nil && c.Transport.SCTP != nil {
			t.SCTP = &jingle.SCTP{Port: 5000, Protocol: c.Transport.SCTP.Protocol, Streams: c.Transport.SCTP.Streams}
		}
		j.Contents = append(j.Contents, jingle.Content{Creator: jingle.Initiator, Name: c.Name, Senders: jingle.Both, Description: &d, Transport: t})
		group.Contents = append(group.Contents, c.Name)
	}
	j.Groups = []jingle.Group{group}
	return j
}

// run answers the offer; again says that there was a session before.
func (x *session) run(again bool) {
	p := x.peer
	x.channel.open()
	if again {
		for _, s := range p.own() {
			s.renew()
		}
	}
	j := x.answer()
	if p.o.Edit != nil {
		p.o.Edit(j)
	}
	if err := x.leg.start(x.offer.Contents[0].Transport, x.connected); err != nil {
		p.Events.add(Event{Kind: Disconnected, Text: err.Error()})
		return
	}
	if p.o.Hold != nil {
		select {
		case <-p.o.Hold:
		case <-x.ctx.Done():
			return
		}
	}
	ctx, stop := context.WithTimeout(x.ctx, answerTime)
	defer stop()
	if _, err := p.stream.ask(ctx, "set", p.focus(), string(j.Append(nil))); err != nil {
		p.Events.add(Event{Kind: Refused, Text: err.Error()})
		return
	}
	x.accepted.Store(true)
	p.Events.add(Event{Kind: Accepted, Text: x.sid})
}

// connected begins to send.
func (x *session) connected() {
	p := x.peer
	p.Events.add(Event{Kind: Connected, Text: x.sid})
	x.stop = tickWith(func(now time.Time) {
		for _, s := range p.own() {
			s.tick(x, now)
		}
		x.feedback(now)
	})
}

// close ends the session and waits for what runs of it.
func (x *session) close() {
	x.once.Do(func() {
		defer close(x.closed)
		x.cancel()
		x.done.Wait()
		x.leg.close() // waits for connected, so that stop is known
		if x.stop != nil {
			x.stop()
		}
		x.channel.close()
	})
}

// terminate ends the session by our wish.
func (x *session) terminate(condition jingle.Condition, restart bool) error {
	j := jingle.Jingle{Action: jingle.SessionTerminate, SID: x.sid, Initiator: x.initiator, Reason: &jingle.Reason{Condition: condition},
		Bridge: &jingle.BridgeSession{ID: x.bridge, Restart: restart}}
	ctx, stop := context.WithTimeout(x.ctx, answerTime)
	defer stop()
	_, err := x.peer.stream.ask(ctx, "set", x.peer.focus(), string(j.Append(nil)))
	return err
}

// restart takes new credentials of the bridge and answers with ours (jitsi.md §11.2).
func (x *session) restart(j *jingle.Jingle) {
	t := j.Contents[0].Transport
	if err := x.leg.restart(t); err != nil {
		x.peer.Events.add(Event{Kind: Disconnected, Text: err.Error()})
		return
	}
	answer := jingle.Jingle{Action: jingle.TransportInfo, SID: x.sid, Initiator: x.initiator}
	for _, c := range j.Contents {
		own := x.leg.transport()
		own.ICEGeneration = t.ICEGeneration
		answer.Contents = append(answer.Contents, jingle.Content{Creator: jingle.Initiator, Name: c.Name, Senders: jingle.Both, Transport: own})
	}
	ctx, stop := context.WithTimeout(x.ctx, answerTime)
	defer stop()
	if _, err := x.peer.stream.ask(ctx, "set", x.peer.focus(), string(answer.Append(nil))); err != nil {
		x.peer.Events.add(Event{Kind: Disconnected, Text: err.Error()})
		return
	}
	x.peer.Events.add(Event{Kind: Restarted, Text: strconv.Itoa(t.ICEGeneration)})
}

// control sends RTCP.
func (x *session) control(packets ...rtcp.Packet) {
	if b, err := rtcp.Marshal(packets); err == nil {
		x.leg.write(b, true)
	}
}

// rtcp takes a compound packet of the bridge.
func (x *session) rtcp(b []byte, at time.Time) {
	packets, err := rtcp.Unmarshal(b)
	if err != nil {
		return
	}
	var asked []*source
	want := func(ssrc uint32) {
		s, o := x.peer.find(ssrc)
		if s == nil {
			return
		}
		s.asked(o)
		x.peer.receiver.keyed()
		if !slices.Contains(asked, s) {
			asked = append(asked, s)
		}
	}
	for _, p := range packets {
		switch p := p.(type) {
		case *rtcp.PictureLossIndication:
			want(p.MediaSSRC)
		case *rtcp.FullIntraRequest:
			for _, e := range p.FIR {
				want(e.SSRC)
			}
		case *rtcp.TransportLayerNack:
			if _, o := x.peer.find(p.MediaSSRC); o != nil {
				for _, pair := range p.Nacks {
					for _, n := range pair.PacketList() {
						o.repeat(x, n, x.again, at)
					}
				}
			}
		case *rtcp.SenderReport:
			x.peer.receiver.reports(p, p.Reports, at)
		case *rtcp.ReceiverReport:
			x.peer.receiver.reports(nil, p.Reports, at)
		case *rtcp.TransportLayerCC:
			x.peer.feedbacks.Add(1)
		}
	}
	for _, s := range asked {
		s.mu.Lock()
		s.requests = append(s.requests, at)
		s.mu.Unlock()
		x.peer.Events.add(Event{Kind: KeyFrame, Source: s.name})
	}
}
