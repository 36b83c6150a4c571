package apprtc

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	pwebrtc "github.com/pion/webrtc/v4"

	"parley/internal/peertest/jitsipeer"
)

// Options say who a user is.
type Options struct {
	Base  string // http://HOST:PORT
	Room  string // with the query of the page's address
	Name  string // begins the names of its sources
	Agent string // "" for a browser's
	Ends  bool   // it ends its call at a bye, as native clients do
}

// User does what AppRTC's web client does: it joins, offers or answers as it is told, and begins anew when the other says bye. It
// sends voice and pictures with the names of its sources in them.
type User struct {
	t       testing.TB
	o       Options
	Params  Params
	channel *Channel
	feeding sync.WaitGroup
	stop    chan struct{}

	mu      sync.Mutex // guards what follows
	calls   bool       // it offers
	over    bool
	pc      *pwebrtc.PeerConnection
	queue   []pwebrtc.ICECandidateInit
	tracks  map[string]*pwebrtc.TrackLocalStaticRTP
	heard   map[string]int // packets by source
	streams map[string]int // streams that have come, by medium
	faults  []string
	states  []pwebrtc.PeerConnectionState
	began   int // connections
}

// Meet joins a room.
func Meet(t testing.TB, o Options) *User {
	t.Helper()
	if o.Agent == "" {
		o.Agent = "Mozilla/5.0 (X11; Linux x86_64) Chrome/126"
	}
	result, p := Join(t, o.Base, o.Room, o.Agent)
	if result != "SUCCESS" {
		t.Fatalf("%s: %s", o.Name, result)
	}
	u := &User{t: t, o: o, Params: p, stop: make(chan struct{}), calls: p.IsInitiator == "true", heard: make(map[string]int), streams: make(map[string]int), tracks: make(map[string]*pwebrtc.TrackLocalStaticRTP)}
	t.Cleanup(func() {
		u.end()
		u.feeding.Wait()
		u.mu.Lock()
		defer u.mu.Unlock()
		for _, f := range u.faults {
			t.Errorf("%s: %s", o.Name, f)
		}
	})
	for kind, mime := range map[string]string{"audio": pwebrtc.MimeTypeOpus, "video": pwebrtc.MimeTypeVP8} {
		track, err := pwebrtc.NewTrackLocalStaticRTP(pwebrtc.RTPCodecCapability{MimeType: mime}, kind, "apprtc")
		if err != nil {
			t.Fatal(err)
		}
		u.tracks[kind] = track
		u.feeding.Go(func() { u.feed(kind, track) })
	}
	u.mu.Lock()
	u.connect()
	u.mu.Unlock()
	began := make(chan struct{})
	u.channel = Dial(t, p.WSS, func(m string) {
		<-began
		u.hear(m)
	})
	u.channel.Register(p.RoomID, p.ClientID)
	for _, m := range *p.Messages {
		u.hear(m)
	}
	close(began)
	if u.calls {
		u.mu.Lock()
		u.offer()
		u.mu.Unlock()
	}
	return u
}

func (u *User) fault(format string, args ...any) {
	u.faults = append(u.faults, fmt.Sprintf(format, args...))
}

// connect begins a connection. The mutex is held, as of what follows.
func (u *User) connect() {
	if u.pc != nil {
		u.pc.Close()
	}
	var s pwebrtc.SettingEngine
	s.SetIncludeLoopbackCandidate(true)
	s.SetIPFilter(net.IP.IsLoopback)
	s.SetNetworkTypes([]pwebrtc.NetworkType{pwebrtc.NetworkTypeUDP4})
	var m pwebrtc.MediaEngine
	for _, c := range []struct {
		kind pwebrtc.RTPCodecType
		pwebrtc.RTPCodecParameters
	}{
		{pwebrtc.RTPCodecTypeAudio, pwebrtc.RTPCodecParameters{PayloadType: 111, RTPCodecCapability: pwebrtc.RTPCodecCapability{MimeType: pwebrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1"}}},
		{pwebrtc.RTPCodecTypeVideo, pwebrtc.RTPCodecParameters{PayloadType: 98, RTPCodecCapability: pwebrtc.RTPCodecCapability{MimeType: pwebrtc.MimeTypeVP9, ClockRate: 90000}}},
		{pwebrtc.RTPCodecTypeVideo, pwebrtc.RTPCodecParameters{PayloadType: 96, RTPCodecCapability: pwebrtc.RTPCodecCapability{MimeType: pwebrtc.MimeTypeVP8, ClockRate: 90000,
			RTCPFeedback: []pwebrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}, {Type: "ccm", Parameter: "fir"}, {Type: "goog-remb"}}}}},
	} {
		if err := m.RegisterCodec(c.RTPCodecParameters, c.kind); err != nil {
			u.fault("%v", err)
		}
	}
	pc, err := pwebrtc.NewAPI(pwebrtc.WithSettingEngine(s), pwebrtc.WithMediaEngine(&m), pwebrtc.WithInterceptorRegistry(new(interceptor.Registry))).
		NewPeerConnection(pwebrtc.Configuration{BundlePolicy: pwebrtc.BundlePolicyMaxBundle, RTCPMuxPolicy: pwebrtc.RTCPMuxPolicyRequire})
	if err != nil {
		u.fault("%v", err)
		return
	}
	u.pc, u.queue = pc, nil
	u.began++
	for _, kind := range []string{"audio", "video"} {
		sender, err := pc.AddTrack(u.tracks[kind])
		if err != nil {
			u.fault("%v", err)
			continue
		}
		go func() { // until the connection ends
			for {
				if _, _, err := sender.ReadRTCP(); err != nil {
					return
				}
			}
		}()
	}
	pc.OnTrack(func(r *pwebrtc.TrackRemote, _ *pwebrtc.RTPReceiver) { u.listen(pc, r) })
	pc.OnICECandidate(func(c *pwebrtc.ICECandidate) {
		if c == nil {
			return
		}
		init := c.ToJSON()
		go u.say(pc, map[string]any{"type": "candidate", "label": init.SDPMLineIndex, "id": init.SDPMid, "candidate": init.Candidate})
	})
	pc.OnConnectionStateChange(func(s pwebrtc.PeerConnectionState) {
		go func() {
			u.mu.Lock()
			defer u.mu.Unlock()
			if u.pc == pc {
				u.states = append(u.states, s)
			}
		}()
	})
}

// say sends a message of a connection, if it is the user's: who offers by the room server, the other by the channel.
func (u *User) say(pc *pwebrtc.PeerConnection, m map[string]any) {
	u.mu.Lock()
	own, calls := pc == u.pc && !u.over, u.calls
	u.mu.Unlock()
	if own {
		u.send(calls, m)
	}
}

func (u *User) send(calls bool, m map[string]any) {
	text, _ := json.Marshal(m)
	if !calls {
		u.channel.Send(string(text))
		return
	}
	code, body := Request(u.t, "POST", u.o.Base+"/message/"+u.Params.RoomID+"/"+u.Params.ClientID, string(text))
	if code != 200 || body != `{"result":"SUCCESS"}`+"\n" {
		u.mu.Lock()
		if !u.over {
			u.fault("message: %d %s", code, body)
		}
		u.mu.Unlock()
	}
}

// offer offers, with the mutex held.
func (u *User) offer() {
	d, err := u.pc.CreateOffer(nil)
	if err == nil {
		go u.describe(u.pc, d)
	} else {
		u.fault("%v", err)
	}
}

// describe makes a description the user's own, and says it. Its candidates may overtake it.
func (u *User) describe(pc *pwebrtc.PeerConnection, d pwebrtc.SessionDescription) {
	err := pc.SetLocalDescription(d)
	u.say(pc, map[string]any{"type": d.Type.String(), "sdp": d.SDP})
	if err != nil {
		u.mu.Lock()
		if u.pc == pc && !u.over {
			u.fault("own %s: %v", d.Type, err)
		}
		u.mu.Unlock()
	}
}

// hear takes a message. A type that is not known is an error, as it is to native clients.
func (u *User) hear(text string) {
	var m struct {
		Type, SDP, ID, Candidate string
		Label                    *uint16
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		u.fault("it was sent %q", text)
		return
	}
	if u.over {
		return
	}
	switch {
	case m.Type == "offer" && !u.calls, m.Type == "answer" && u.calls:
		d := pwebrtc.SessionDescription{Type: pwebrtc.NewSDPType(m.Type), SDP: m.SDP}
		if err := u.pc.SetRemoteDescription(d); err != nil {
			u.fault("%v of %s", err, m.SDP)
			return
		}
		for _, c := range u.queue {
			if err := u.pc.AddICECandidate(c); err != nil {
				u.fault("%v", err)
			}
		}
		u.queue = nil
		if m.Type == "offer" {
			answer, err := u.pc.CreateAnswer(nil)
			if err != nil {
				u.fault("%v of %s", err, m.SDP)
				return
			}
			go u.describe(u.pc, answer)
		}
	case m.Type == "offer", m.Type == "answer":
		u.fault("an %s to who offers: %t", m.Type, u.calls)
	case m.Type == "candidate":
		c := pwebrtc.ICECandidateInit{Candidate: m.Candidate, SDPMid: &m.ID, SDPMLineIndex: m.Label}
		if u.pc.RemoteDescription() == nil {
			u.queue = append(u.queue, c)
		} else if err := u.pc.AddICECandidate(c); err != nil {
			u.fault("%v", err)
		}
	case m.Type == "bye":
		if u.o.Ends {
			u.over = true
			u.pc.Close()
			return
		}
		u.calls = true
		u.connect()
		u.offer()
	default:
		u.fault("a message of type %q", m.Type)
	}
}

// listen counts what comes.
func (u *User) listen(pc *pwebrtc.PeerConnection, r *pwebrtc.TrackRemote) {
	u.mu.Lock()
	if u.pc == pc {
		u.streams[r.Kind().String()]++
	}
	u.mu.Unlock()
	for {
		p, _, err := r.ReadRTP()
		if err != nil {
			return
		}
		if source, ok := jitsipeer.SourceOf(p.Payload); ok {
			u.mu.Lock()
			u.heard[source]++
			u.mu.Unlock()
		}
	}
}

// feed sends a medium until the user ends: voice every 20 ms, a picture every 50.
func (u *User) feed(kind string, track *pwebrtc.TrackLocalStaticRTP) {
	every, step, height := 20*time.Millisecond, uint32(960), 0
	if kind == "video" {
		every, step, height = 50*time.Millisecond, 4500, 360
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	packet := rtp.Packet{Header: rtp.Header{Version: 2, Marker: height != 0, SequenceNumber: uint16(rand.Uint32N(1000)), Timestamp: rand.Uint32()}}
	for n := uint32(0); ; n++ {
		select {
		case <-u.stop:
			return
		case <-tick.C:
		}
		packet.Payload = jitsipeer.Stamped(u.o.Name+"-"+kind[:1]+"0", n, height)
		track.WriteRTP(&packet) // which nobody may take yet
		packet.SequenceNumber++
		packet.Timestamp += step
	}
}

// Hears waits until packets of a source come on.
func (u *User) Hears(source string) {
	u.t.Helper()
	u.mu.Lock()
	before := u.heard[source]
	u.mu.Unlock()
	u.eventually("packets of "+source, func() bool { return u.heard[source] > before+5 })
}

// HearsAnybody waits until packets of a medium come on, whoever they are of.
func (u *User) HearsAnybody(kind string) {
	u.t.Helper()
	count := func() (n int) {
		for source, packets := range u.heard {
			if strings.HasSuffix(source, "-"+kind[:1]+"0") {
				n += packets
			}
		}
		return n
	}
	u.mu.Lock()
	before := count()
	u.mu.Unlock()
	u.eventually(kind, func() bool { return count() > before+5 })
}

// Heard is how many packets of a source have come.
func (u *User) Heard(source string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.heard[source]
}

// Streams is how many streams of a medium have come.
func (u *User) Streams(kind string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.streams[kind]
}

// Began is how many connections it has made.
func (u *User) Began() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.began
}

// eventually waits until something is so; it is asked with the mutex held.
func (u *User) eventually(what string, ok func() bool) {
	u.t.Helper()
	for until := time.Now().Add(Patience); ; time.Sleep(5 * time.Millisecond) {
		u.mu.Lock()
		good := ok()
		text := fmt.Sprintf("it has heard %v, was in %v, %v", u.heard, u.states, u.faults)
		u.mu.Unlock()
		if good {
			return
		}
		if time.Now().After(until) {
			u.t.Fatalf("no %s at %s within %v: %s", what, u.o.Name, Patience, text)
		}
	}
}

// HangUp leaves as the web client does: the place, then a bye, then the channel.
func (u *User) HangUp() {
	u.t.Helper()
	u.mu.Lock()
	u.over = true
	u.mu.Unlock()
	at := u.Params.RoomID + "/" + u.Params.ClientID
	if code, body := Request(u.t, "POST", u.o.Base+"/leave/"+at, ""); code != 200 {
		u.t.Errorf("leave: %d %s", code, body)
	}
	u.channel.Send(`{"type":"bye"}`)
	u.channel.Drop()
	if code, body := Request(u.t, "DELETE", u.Params.Post+"/"+at, ""); code != 200 || body != "OK\n" {
		u.t.Errorf("delete: %d %s", code, body)
	}
	u.end()
}

// Vanish goes without a word.
func (u *User) Vanish() {
	u.end()
	u.channel.Drop()
}

func (u *User) end() {
	u.mu.Lock()
	u.over = true
	pc := u.pc
	select {
	case <-u.stop:
	default:
		close(u.stop)
	}
	u.mu.Unlock()
	if pc != nil {
		pc.Close()
	}
}
