package transport

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/webrtc/v4"
	"go.uber.org/goleak"

	"parley/bridge/api"
	"parley/bridge/ice"
	"parley/bridge/udp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

// listen runs a port on loopback.
func listen(t testing.TB, c Config) *Port {
	t.Helper()
	c.Address, c.Policy = loopback, ice.Policy{AllowLoopback: true}
	p, err := Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- p.Run(context.Background()) }()
	t.Cleanup(func() {
		p.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := p.Lent(); n != 0 {
			t.Errorf("%d buffers are not given back", n)
		}
	})
	return p
}

// echo is a Receiver that sends packets back with the SSRC that the offer names.
type echo struct {
	e *Endpoint

	mu       sync.Mutex
	states   []string
	moved    int
	rtp      int
	rtcp     [][]byte
	messages []string
	changed  chan struct{}
	message  atomic.Pointer[func()] // called instead for each message
}

const echoSSRC = 5000

func newEcho() *echo { return &echo{changed: make(chan struct{}, 1)} }

func (r *echo) note(f func()) {
	r.mu.Lock()
	f()
	r.mu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

func (r *echo) RTP(b *udp.Batch, p *udp.Buffer, at time.Time) {
	r.note(func() { r.rtp++ })
	out := r.e.Reserve(len(p.Bytes))
	if out == nil {
		return
	}
	copy(out, p.Bytes)
	out[8], out[9], out[10], out[11] = 0, 0, echoSSRC>>8, echoSSRC&255
	r.e.Commit(b, len(out), echoSSRC, p.Bytes[1]&0x80 != 0)
}

func (r *echo) RTCP(b *udp.Batch, compound []byte, at time.Time) {
	r.note(func() { r.rtcp = append(r.rtcp, append([]byte(nil), compound...)) })
}

func (r *echo) State(state, reason string) {
	if reason != "" {
		state += " " + reason
	}
	r.note(func() { r.states = append(r.states, state) })
}

func (r *echo) Moved() { r.note(func() { r.moved++ }) }

func (r *echo) Message(data []byte, text bool) {
	if f := r.message.Load(); f != nil {
		(*f)()
		return
	}
	r.note(func() { r.messages = append(r.messages, string(data)) })
	r.e.Send(data, text)
}

func (r *echo) history() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.states...)
}

// until waits for a condition, which is asked with the lock held.
func (r *echo) until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(15 * time.Second)
	for {
		r.mu.Lock()
		is := ok()
		r.mu.Unlock()
		if is {
			return
		}
		select {
		case <-r.changed:
		case <-time.After(50 * time.Millisecond):
		case <-deadline:
			t.Fatalf("no %s; states %q", what, r.history())
		}
	}
}

func (r *echo) await(t testing.TB, state string) {
	t.Helper()
	r.until(t, state, func() bool { return len(r.states) > 0 && r.states[len(r.states)-1] == state })
}

func open(t testing.TB, p *Port, o Options) (*Endpoint, *echo) {
	t.Helper()
	r := newEcho()
	e, err := p.Open(r, o)
	if err != nil {
		t.Fatal(err)
	}
	r.e = e
	return e, r
}

// offer writes the bridge's offer as SDP.
func offer(e *Endpoint, protocol, setup string) string {
	info, version := e.port.Info(), 1
	c, generation := e.Local()
	version += generation
	var b strings.Builder
	fmt.Fprintf(&b, "v=0\r\no=- 7 %d IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE a v", version)
	if e.options.Data {
		b.WriteString(" d")
	}
	b.WriteString("\r\n")
	transport := func(mid string) {
		fmt.Fprintf(&b, "c=IN IP4 0.0.0.0\r\na=mid:%s\r\na=setup:%s\r\na=ice-ufrag:%s\r\na=ice-pwd:%s\r\na=fingerprint:%s %s\r\n",
			mid, setup, c.Ufrag, c.Pwd, info.Fingerprint.Hash, info.Fingerprint.Value)
		for _, c := range info.Candidates {
			if c.Protocol != protocol {
				continue
			}
			fmt.Fprintf(&b, "a=candidate:%s 1 %s %d %s %d typ host", c.Foundation, c.Protocol, c.Priority, c.IP, c.Port)
			if c.TCPType != "" {
				b.WriteString(" tcptype " + c.TCPType)
			}
			b.WriteString("\r\n")
		}
	}
	b.WriteString("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n")
	transport("a")
	b.WriteString("a=rtcp-mux\r\na=recvonly\r\na=rtpmap:111 opus/48000/2\r\n")
	b.WriteString("m=video 9 UDP/TLS/RTP/SAVPF 96\r\n")
	transport("v")
	fmt.Fprintf(&b, "a=rtcp-mux\r\na=sendrecv\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack pli\r\na=ssrc:%d cname:b\r\na=ssrc:%[1]d msid:b b\r\n", echoSSRC)
	if e.options.Data {
		b.WriteString("m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n")
		transport("d")
		b.WriteString("a=sctp-port:5000\r\n")
	}
	return b.String()
}

var (
	lineOf      = func(name string) *regexp.Regexp { return regexp.MustCompile(`(?m)^a=` + name + `:(.*?)\r?$`) }
	candidateRE = regexp.MustCompile(`(?m)^a=candidate:(\S+) 1 (\S+) (\d+) (\S+) (\d+) typ (\S+)`)
)

// remote reads a client's answer.
func remote(t testing.TB, sdp string) api.Remote {
	t.Helper()
	line := func(name string) string {
		m := lineOf(name).FindStringSubmatch(sdp)
		if m == nil {
			t.Fatalf("no %s in\n%s", name, sdp)
		}
		return m[1]
	}
	hash, value, _ := strings.Cut(line("fingerprint"), " ")
	r := api.Remote{
		Ufrag: line("ice-ufrag"), Pwd: line("ice-pwd"), Setup: line("setup"), Fingerprints: []api.Fingerprint{{Hash: hash, Value: value}},
	}
	for _, m := range candidateRE.FindAllStringSubmatch(sdp, -1) {
		priority, _ := strconv.ParseUint(m[3], 10, 32)
		port, _ := strconv.ParseUint(m[5], 10, 16)
		r.Candidates = append(r.Candidates, api.Candidate{
			Foundation: m[1], Protocol: m[2], Priority: uint32(priority), IP: m[4], Port: uint16(port), Type: m[6],
		})
	}
	return r
}

// client is a PeerConnection of pion.
type client struct {
	t        testing.TB
	pc       *webrtc.PeerConnection
	video    *webrtc.TrackLocalStaticRTP
	sender   *webrtc.RTPSender
	protocol string
	tracks   chan *webrtc.TrackRemote
}

type clientOptions struct {
	protocol string // "udp", "tcp"
	profiles []dtls.SRTPProtectionProfile
	role     webrtc.DTLSRole // in the answer
	data     func(*webrtc.PeerConnection)
}

func newClient(t testing.TB, o clientOptions) *client {
	t.Helper()
	var s webrtc.SettingEngine
	s.SetIncludeLoopbackCandidate(true)
	s.SetInterfaceFilter(func(name string) bool { return name == "lo" })
	s.SetICEMulticastDNSMode(1) // off
	if o.protocol == "" {
		o.protocol = "udp"
	}
	if o.protocol == "tcp" {
		s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeTCP4})
	} else {
		s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	}
	if o.profiles != nil {
		s.SetSRTPProtectionProfiles(o.profiles...)
	}
	if o.role != 0 {
		if err := s.SetAnsweringDTLSRole(o.role); err != nil {
			t.Fatal(err)
		}
	}
	var m webrtc.MediaEngine
	if err := m.RegisterDefaultCodecs(); err != nil {
		t.Fatal(err)
	}
	pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(s), webrtc.WithMediaEngine(&m)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, pc: pc, protocol: o.protocol, tracks: make(chan *webrtc.TrackRemote, 4)}
	t.Cleanup(func() { pc.Close() })
	pc.OnTrack(func(r *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { c.tracks <- r })
	if c.video, err = webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8}, "v", "s"); err != nil {
		t.Fatal(err)
	}
	if c.sender, err = pc.AddTrack(c.video); err != nil {
		t.Fatal(err)
	}
	if o.data != nil {
		o.data(pc)
	}
	return c
}

// answer takes the offer of an endpoint and returns the answer.
func (c *client) answer(e *Endpoint) api.Remote {
	c.t.Helper()
	sdp := webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer(e, c.protocol, "actpass")}
	if err := c.pc.SetRemoteDescription(sdp); err != nil {
		c.t.Fatal(err)
	}
	a, err := c.pc.CreateAnswer(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(c.pc)
	if err := c.pc.SetLocalDescription(a); err != nil {
		c.t.Fatal(err)
	}
	<-gathered
	return remote(c.t, c.pc.LocalDescription().SDP)
}

// connect makes a call.
func connect(t testing.TB, p *Port, o Options, co clientOptions) (*Endpoint, *echo, *client) {
	t.Helper()
	e, r := open(t, p, o)
	c := newClient(t, co)
	if err := e.SetRemote(c.answer(e)); err != nil {
		t.Fatal(err)
	}
	r.await(t, api.Connected)
	return e, r, c
}
