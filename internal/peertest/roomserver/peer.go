package roomserver

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"parley/internal/peertest/jitsipeer"
)

// Peer is a client with media that behaves as the web SDK of the protocol does: it offers when it is told of somebody new, makes a
// new connection at each offer that it gets, sends candidates in the SDK's spelling, and finds a stream by its id. It sends a voice
// and a picture whose packets say that they are UID-a0 and UID-v0.
type Peer struct {
	*Client
	UID string

	api    *webrtc.API
	tracks []*webrtc.TrackLocalStaticRTP
	stop   chan struct{}
	work   sync.WaitGroup

	mu    sync.Mutex       // guards what follows
	links map[string]*link // by uid
	made  int              // connections
	fault error
}

// link is the connection to one remote.
type link struct {
	peer *Peer
	uid  string
	pc   *webrtc.PeerConnection
	held []webrtc.ICECandidateInit // until it has a remote description

	// Guarded by the peer's mutex.
	heard map[string]int // packets by the source that they say they are
	wrong string         // id of a stream that is not the uid
}

// Join connects, and joins a room.
func Join(t testing.TB, address, room, uid string) *Peer {
	t.Helper()
	var s webrtc.SettingEngine
	s.SetIncludeLoopbackCandidate(true)
	s.SetIPFilter(net.IP.IsLoopback)
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	var m webrtc.MediaEngine
	if err := m.RegisterDefaultCodecs(); err != nil {
		t.Fatal(err)
	}
	p := &Peer{UID: uid, links: make(map[string]*link), stop: make(chan struct{}),
		api: webrtc.NewAPI(webrtc.WithSettingEngine(s), webrtc.WithMediaEngine(&m), webrtc.WithInterceptorRegistry(new(interceptor.Registry)))}
	for kind, mime := range map[string]string{"audio": webrtc.MimeTypeOpus, "video": webrtc.MimeTypeVP8} {
		track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: mime}, uid+"-"+kind, uid)
		if err != nil {
			t.Fatal(err)
		}
		p.tracks = append(p.tracks, track)
		p.work.Go(func() { p.feed(track, kind) })
	}
	t.Cleanup(p.close)
	p.Client = Dial(t, address)
	p.Client.hear(p.take)
	p.Send(map[string]any{"cmd": "join", "appId": "1", "roomId": room, "uid": uid, "uname": uid})
	if m := p.Await("respJoin"); m.Result() != 0 {
		t.Fatalf("%s is not let in: %v", uid, m)
	}
	return p
}

func (p *Peer) close() {
	close(p.stop)
	p.mu.Lock()
	links := p.links
	p.links = nil
	p.mu.Unlock()
	for _, l := range links {
		l.pc.Close()
	}
	p.work.Wait()
}

// feed sends a medium over all connections that take it.
func (p *Peer) feed(track *webrtc.TrackLocalStaticRTP, kind string) {
	every, step, height, name := 20*time.Millisecond, uint32(960), 0, p.UID+"-a0"
	if kind == "video" {
		every, step, height, name = 50*time.Millisecond, 4500, 360, p.UID+"-v0"
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	packet := rtp.Packet{Header: rtp.Header{Version: 2, Marker: height != 0, SequenceNumber: uint16(rand.Uint32N(1000)), Timestamp: rand.Uint32()}}
	for n := uint32(0); ; n++ {
		select {
		case <-p.stop:
			return
		case <-tick.C:
		}
		packet.Payload = jitsipeer.Stamped(name, n, height)
		track.WriteRTP(&packet) // connections come and go
		packet.SequenceNumber++
		packet.Timestamp += step
	}
}

// take does what the SDK does with a message, before the test sees it.
func (p *Peer) take(f Frame) {
	var err error
	switch uid := f.Text("uid"); f.Text("cmd") {
	case "notifyNewPeer":
		err = p.offer(uid, f)
	case "relayOffer":
		err = p.answer(uid, f)
	case "relayAnswer":
		if l := p.link(uid); l != nil {
			err = l.remote(f)
		}
	case "relayCandidate":
		if l := p.link(uid); l != nil {
			err = l.candidate(f)
		}
	case "relayLeave":
		p.drop(uid)
	}
	if err != nil {
		p.mu.Lock()
		p.fault = fmt.Errorf("%s of %s at %s: %w", f.Text("cmd"), f.Text("uid"), p.UID, err)
		p.mu.Unlock()
	}
}

func (p *Peer) link(uid string) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.links[uid]
}

func (p *Peer) drop(uid string) {
	p.mu.Lock()
	l := p.links[uid]
	delete(p.links, uid)
	p.mu.Unlock()
	if l != nil {
		l.pc.Close()
	}
}

// connect makes a connection in place of the one that there is.
func (p *Peer) connect(uid string, f Frame) (*link, error) {
	p.drop(uid)
	raw, err := json.Marshal(f["rtcConfig"])
	if err != nil {
		return nil, err
	}
	var config webrtc.Configuration
	if err := json.Unmarshal(raw, &config); err != nil {
		return nil, fmt.Errorf("%w: %s", err, raw)
	}
	config.ICEServers = nil // it is all on this machine
	pc, err := p.api.NewPeerConnection(config)
	if err != nil {
		return nil, err
	}
	l := &link{peer: p, uid: uid, pc: pc, heard: make(map[string]int)}
	for _, track := range p.tracks {
		sender, err := pc.AddTrack(track)
		if err != nil {
			return nil, err
		}
		p.work.Go(func() {
			for {
				if _, _, err := sender.ReadRTCP(); err != nil {
					return
				}
			}
		})
	}
	pc.OnTrack(func(r *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { l.read(r) })
	pc.OnICECandidate(func(found *webrtc.ICECandidate) {
		if found == nil {
			return
		}
		init := found.ToJSON()
		p.trySend(map[string]any{"cmd": "candidate", "remoteUid": uid, "msg": fmt.Sprintf(`{"label":%d,"id":%q,"candidate":%q}`, *init.SDPMLineIndex, *init.SDPMid, init.Candidate)})
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.links == nil {
		pc.Close()
		return nil, nil
	}
	p.links[uid], p.made = l, p.made+1
	return l, nil
}

func (p *Peer) offer(uid string, f Frame) error {
	l, err := p.connect(uid, f)
	if l == nil {
		return err
	}
	d, err := l.pc.CreateOffer(nil)
	if err == nil {
		err = l.pc.SetLocalDescription(d)
	}
	if err == nil {
		err = p.describe("offer", uid, d)
	}
	return err
}

func (p *Peer) answer(uid string, f Frame) error {
	l, err := p.connect(uid, f)
	if l == nil {
		return err
	}
	if err := l.remote(f); err != nil {
		return err
	}
	d, err := l.pc.CreateAnswer(nil)
	if err == nil {
		err = l.pc.SetLocalDescription(d)
	}
	if err == nil {
		err = p.describe("answer", uid, d)
	}
	return err
}

func (p *Peer) describe(cmd, uid string, d webrtc.SessionDescription) error {
	text, err := json.Marshal(d)
	if err == nil {
		p.trySend(map[string]any{"cmd": cmd, "remoteUid": uid, "msg": string(text)})
	}
	return err
}

func (l *link) remote(f Frame) error {
	var d webrtc.SessionDescription
	if err := json.Unmarshal([]byte(f.Text("msg")), &d); err != nil {
		return err
	}
	if err := l.pc.SetRemoteDescription(d); err != nil {
		return fmt.Errorf("%w:\n%s", err, d.SDP)
	}
	for _, k := range l.held {
		if err := l.pc.AddICECandidate(k); err != nil {
			return err
		}
	}
	l.held = nil
	return nil
}

func (l *link) candidate(f Frame) error {
	var m struct {
		Label     uint16 `json:"label"`
		ID        string `json:"id"`
		Candidate string `json:"candidate"`
	}
	if err := json.Unmarshal([]byte(f.Text("msg")), &m); err != nil {
		return err
	}
	k := webrtc.ICECandidateInit{Candidate: m.Candidate, SDPMid: &m.ID, SDPMLineIndex: &m.Label}
	if l.pc.RemoteDescription() == nil {
		l.held = append(l.held, k)
		return nil
	}
	return l.pc.AddICECandidate(k)
}

// read counts what comes of a stream, if its id is that of the remote.
func (l *link) read(r *webrtc.TrackRemote) {
	if r.StreamID() != l.uid {
		l.peer.mu.Lock()
		l.wrong = r.StreamID()
		l.peer.mu.Unlock()
		return
	}
	for {
		packet, _, err := r.ReadRTP()
		if err != nil {
			return
		}
		if len(packet.Payload) == 0 {
			continue
		}
		source, _ := jitsipeer.SourceOf(packet.Payload)
		l.peer.mu.Lock()
		l.heard[source]++
		l.peer.mu.Unlock()
	}
}

// Heard is what has come over the connection to somebody that there is now: packets by source.
func (p *Peer) Heard(uid string) map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.links[uid]; l != nil {
		return maps.Clone(l.heard)
	}
	return nil
}

// Hears waits until packets of sources come over the connection to somebody.
func (p *Peer) Hears(uid string, sources ...string) {
	p.t.Helper()
	for _, source := range sources {
		before := p.Heard(uid)[source]
		p.Until(fmt.Sprintf("%s of %s at %s", source, uid, p.UID), func() bool {
			now := p.Heard(uid)[source]
			if now < before { // over another connection
				before = 0
			}
			return now > before+5
		})
	}
}

// Until waits until a condition holds.
func (p *Peer) Until(what string, ok func() bool) {
	p.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		p.mu.Lock()
		fault := p.fault
		for _, l := range p.links {
			if l.wrong != "" {
				fault = fmt.Errorf("a stream in the name of %s has the id %s", l.uid, l.wrong)
			}
		}
		p.mu.Unlock()
		if fault != nil {
			p.t.Fatal(fault)
		}
		if time.Now().After(end) {
			p.t.Fatalf("no %s within %v\n%s", what, patience, p.state())
		}
	}
}

// state is for the reader of a test that has failed.
func (p *Peer) state() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out strings.Builder
	for uid, l := range p.links {
		fmt.Fprintf(&out, "to %s: %s, heard %v\n", uid, l.pc.ConnectionState(), l.heard)
		for _, d := range []*webrtc.SessionDescription{l.pc.RemoteDescription(), l.pc.LocalDescription()} {
			if d != nil {
				fmt.Fprintf(&out, "%s\n%s\n", d.Type, d.SDP)
			}
		}
	}
	p.Client.mu.Lock()
	defer p.Client.mu.Unlock()
	return out.String() + strings.Join(p.texts, "\n")
}

// Links says of each remote whether the connection to it is there, and whether the peer sends over it.
func (p *Peer) Links() (connected, sending map[string]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	connected, sending = make(map[string]bool), make(map[string]bool)
	for uid, l := range p.links {
		connected[uid] = l.pc.ConnectionState() == webrtc.PeerConnectionStateConnected
		if d := l.pc.CurrentLocalDescription(); d != nil {
			sending[uid] = strings.Contains(d.SDP, "a=sendrecv") || strings.Contains(d.SDP, "a=sendonly")
		}
	}
	return connected, sending
}

// Made is how many connections the peer has made so far.
func (p *Peer) Made() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.made
}
