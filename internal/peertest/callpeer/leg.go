package callpeer

import (
	"net"
	"slices"
	"testing"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	pwebrtc "github.com/pion/webrtc/v4"

	"parley/jingle"
	"parley/jingle/sdp"
)

// leg is one PeerConnection, with the contents that it carries.
type leg struct {
	pc      *pwebrtc.PeerConnection
	names   []string // of the contents
	mids    []string // as the PeerConnection calls them
	streams []*stream
	stop    chan struct{}
}

// newLeg makes a PeerConnection for media.
func (p *Phone) newLeg(media ...string) *leg {
	p.T.Helper()
	pc := p.peerConnection()
	l := &leg{pc: pc, names: media, stop: make(chan struct{})}
	for _, kind := range media {
		st := newStream(kind)
		l.streams = append(l.streams, st)
		var err error
		if p.Attends || p.OneWay {
			var sends *pwebrtc.RTPTransceiver
			if sends, err = pc.AddTransceiverFromTrack(st.track, pwebrtc.RTPTransceiverInit{Direction: pwebrtc.RTPTransceiverDirectionSendonly}); err == nil {
				st.sender = sends.Sender()
			}
		} else {
			st.sender, err = pc.AddTrack(st.track)
		}
		if err != nil {
			p.T.Fatal(err)
		}
	}
	l.listen()
	return l
}

// peerConnection makes one without media.
func (p *Phone) peerConnection() *pwebrtc.PeerConnection {
	p.T.Helper()
	var s pwebrtc.SettingEngine
	s.SetIncludeLoopbackCandidate(true)
	s.SetHandleUndeclaredSSRCWithoutAnswer(true)
	s.SetIPFilter(net.IP.IsLoopback)
	s.SetNetworkTypes([]pwebrtc.NetworkType{pwebrtc.NetworkTypeUDP4})
	var m pwebrtc.MediaEngine
	p.codecs(&m)
	pc, err := pwebrtc.NewAPI(pwebrtc.WithSettingEngine(s), pwebrtc.WithMediaEngine(&m), pwebrtc.WithInterceptorRegistry(new(interceptor.Registry))).
		NewPeerConnection(pwebrtc.Configuration{})
	if err != nil {
		p.T.Fatal(err)
	}
	return pc
}

// listen counts what comes.
func (l *leg) listen() {
	pc := l.pc
	pc.OnTrack(func(r *pwebrtc.TrackRemote, _ *pwebrtc.RTPReceiver) {
		for _, st := range l.streams {
			if st.kind == r.Kind().String() {
				st.read(r)
			}
		}
	})
}

func (p *Phone) codecs(m *pwebrtc.MediaEngine) {
	register := func(kind pwebrtc.RTPCodecType, pt pwebrtc.PayloadType, mime string, clock uint32, channels uint16, fmtp string, fb ...pwebrtc.RTCPFeedback) {
		c := pwebrtc.RTPCodecParameters{PayloadType: pt, RTPCodecCapability: pwebrtc.RTPCodecCapability{MimeType: mime, ClockRate: clock, Channels: channels, SDPFmtpLine: fmtp, RTCPFeedback: fb}}
		if err := m.RegisterCodec(c, kind); err != nil {
			p.T.Fatal(err)
		}
	}
	feedback := []pwebrtc.RTCPFeedback{{Type: "goog-remb"}, {Type: "ccm", Parameter: "fir"}, {Type: "nack"}, {Type: "nack", Parameter: "pli"}}
	register(pwebrtc.RTPCodecTypeAudio, 111, pwebrtc.MimeTypeOpus, 48000, 2, "useinbandfec=1")
	register(pwebrtc.RTPCodecTypeAudio, 9, pwebrtc.MimeTypeG722, 8000, 0, "")
	register(pwebrtc.RTPCodecTypeVideo, 97, pwebrtc.MimeTypeVP9, 90000, 0, "", feedback...)
	register(pwebrtc.RTPCodecTypeVideo, 98, pwebrtc.MimeTypeVP8, 90000, 0, "", feedback...)
	if p.Levels {
		if err := m.RegisterHeaderExtension(pwebrtc.RTPHeaderExtensionCapability{URI: levelURI}, pwebrtc.RTPCodecTypeAudio); err != nil {
			p.T.Fatal(err)
		}
	}
}

func (l *leg) close() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.pc.Close()
	for _, st := range l.streams {
		st.feeding.Wait()
	}
}

// describe makes the leg's own side of a description.
func (l *leg) describe(t testing.TB, answer bool, role jingle.Role) *jingle.Jingle {
	t.Helper()
	gathered := pwebrtc.GatheringCompletePromise(l.pc)
	var own pwebrtc.SessionDescription
	var err error
	if answer {
		own, err = l.pc.CreateAnswer(nil)
	} else {
		own, err = l.pc.CreateOffer(nil)
	}
	if err == nil {
		err = l.pc.SetLocalDescription(own)
	}
	if err != nil {
		t.Fatal(err)
	}
	<-gathered
	j, err := jingle.ParseSDP(l.pc.LocalDescription().SDP, role, jingle.DefaultLimits)
	if err != nil {
		t.Fatalf("%v:\n%s", err, l.pc.LocalDescription().SDP)
	}
	l.mids = nil
	for i := range j.Contents {
		l.mids = append(l.mids, j.Contents[i].Name)
		j.Contents[i].Name = l.names[i]
		j.Contents[i].Creator = jingle.Initiator
	}
	return j
}

// apply takes the other side's description of the leg's contents.
func (l *leg) apply(t testing.TB, all *jingle.Jingle, typ pwebrtc.SDPType, by jingle.Role) {
	t.Helper()
	j := *all
	j.Contents, j.Groups = nil, nil
	group := jingle.Group{Semantics: "BUNDLE"}
	for i, name := range l.names {
		c := all.Content(name)
		if c == nil {
			t.Fatalf("nothing about %s in the description", name)
			return
		}
		content := *c
		if l.mids != nil {
			content.Name = l.mids[i]
		}
		group.Contents = append(group.Contents, content.Name)
		j.Contents = append(j.Contents, content)
	}
	j.Groups = []jingle.Group{group} // pion rejects what is in none, also if it is the only one
	text, err := j.AppendSDP(nil, by, sdp.Origin{ID: 1, Version: 1})
	if err == nil {
		err = l.pc.SetRemoteDescription(pwebrtc.SessionDescription{Type: typ, SDP: string(text)})
	}
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
}

// candidates takes those of a transport-info.
func (l *leg) candidates(t testing.TB, j *jingle.Jingle) {
	t.Helper()
	for _, c := range j.Contents {
		i := slices.Index(l.names, c.Name)
		if i < 0 || c.Transport == nil {
			continue
		}
		index := uint16(i)
		for _, k := range c.Transport.Candidates {
			if err := l.pc.AddICECandidate(pwebrtc.ICECandidateInit{Candidate: k.SDP(), SDPMLineIndex: &index, UsernameFragment: &c.Transport.Ufrag}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// media are what the phone's call is about.
func (p *Phone) media() []string {
	if p.Video {
		return []string{"audio", "video"}
	}
	return []string{"audio"}
}

// open makes the legs.
func (p *Phone) open(media []string) {
	p.T.Helper()
	if p.Bundle {
		p.legs = append(p.legs, p.newLeg(media...))
		return
	}
	for _, kind := range media {
		p.legs = append(p.legs, p.newLeg(kind))
	}
}

// describe is the phone's own description, of all legs.
func (p *Phone) describe(answer bool) *jingle.Jingle {
	p.T.Helper()
	out := &jingle.Jingle{SID: p.SID}
	for _, l := range p.legs {
		j := l.describe(p.T, answer, p.role)
		out.Contents = append(out.Contents, j.Contents...)
	}
	for i := range out.Contents {
		if d := out.Contents[i].Description; !p.Sources {
			d.Sources, d.SourceGroups, d.Streams = nil, nil, nil
		}
	}
	if p.Bundle && len(out.Contents) > 1 {
		out.Groups = []jingle.Group{{Semantics: "BUNDLE", Contents: p.media()}}
	}
	return out
}

// Offer begins a call with a full address: the answer is waited for by Initiate.
func (p *Phone) Offer(to, sid string) {
	p.T.Helper()
	p.Peer, p.SID, p.role, p.remote, p.Ended = to, sid, jingle.Initiator, nil, nil
	p.open(p.media())
	j := p.describe(false)
	j.Action, j.Initiator = jingle.SessionInitiate, p.JID
	if p.Muji != "" {
		j.Muji = &jingle.Muji{Room: p.Muji}
	}
	p.Request(j)
}

// accepted takes the answer, and begins to send.
func (p *Phone) accepted(j *jingle.Jingle) {
	p.T.Helper()
	for _, l := range p.legs {
		l.apply(p.T, j, pwebrtc.SDPTypeAnswer, jingle.Responder)
	}
	p.feed(p.legs)
}

// Answer waits for the session that was agreed on with its initiator, and accepts it.
func (p *Phone) Answer(from, sid string) {
	p.T.Helper()
	p.Peer, p.SID, p.role, p.remote, p.Ended = from, sid, jingle.Responder, nil, nil
	offer := p.Until("<jingle", "action='session-initiate'", "sid='"+sid+"'")
	j, err := jingle.Parse(parse(p.T, offer).Child("jingle", jingle.NSJingle), jingle.DefaultLimits)
	if err != nil {
		p.T.Fatalf("%v in %s", err, offer)
	}
	p.answer(j)
}

// answer accepts a session.
func (p *Phone) answer(j *jingle.Jingle) {
	p.T.Helper()
	var media []string
	for _, c := range j.Contents {
		media = append(media, c.Name)
	}
	p.Bundle = j.Bundle() != nil
	p.Sources = p.Sources || p.Bundle
	p.open(media)
	for _, l := range p.legs {
		l.apply(p.T, j, pwebrtc.SDPTypeOffer, jingle.Initiator)
	}
	answer := p.describe(true)
	answer.Action, answer.Responder = jingle.SessionAccept, p.JID
	answer.Groups = nil
	if p.Bundle {
		answer.Groups = []jingle.Group{{Semantics: "BUNDLE", Contents: media}}
	}
	p.Request(answer)
	p.feed(p.legs)
}

// Connected waits until all transports are.
func (p *Phone) Connected() {
	p.T.Helper()
	for _, l := range p.legs {
		eventually(p.T, "connection", func() bool { return l.pc.ConnectionState() == pwebrtc.PeerConnectionStateConnected })
	}
}

// keyFrame asks for one of what comes.
func (l *leg) keyFrame(ssrc uint32) error {
	return l.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: ssrc}})
}
