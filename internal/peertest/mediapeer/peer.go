package mediapeer

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/selfsign"
	"github.com/pion/logging"
	"github.com/pion/srtp/v3"

	"parley/bridge/api"
	"parley/bridge/rtp"
	"parley/internal/stun"
)

// Tag is how many bytes Send needs behind a packet (RFC 7714 §14).
const Tag = 16

// flight is how long DTLS waits for an answer, as libwebrtc does.
const flight = 50 * time.Millisecond

// Options say what a Peer is like.
type Options struct {
	Local       netip.Addr // address to send from; the zero Addr is the system's choice
	GRO         bool       // let the kernel join datagrams that come (Linux)
	TransportCC uint8      // id of the header extension of transport-wide sequence numbers; 0: no feedback is sent
	Sample      int        // each how manieth packet of a stream is decrypted; 0: none

	// Stamped is called with the payload of a decrypted packet and the time when the kernel had it, by the goroutine
	// that reads. It may be nil.
	Stamped func(payload []byte, at time.Time)
}

// Peer is one client's media. Its methods are safe for concurrent use, but for Send.
type Peer struct {
	options    Options
	conn       *net.UDPConn
	ufrag, pwd string
	key        *stun.Key
	pipe       *pipe
	checked    chan struct{} // closed when the bridge has chosen the path
	once       sync.Once
	done       chan struct{} // closed when reading has ended
	session    *dtls.Conn
	keyFrame   atomic.Bool

	out *srtp.Context // of Send

	mu      sync.Mutex    // guards the rest
	in      *srtp.Context // nil: no keys
	count   Count
	streams map[uint32]*stream
	arrived *rtp.Arrivals
	began   time.Time
	control *srtp.Context // of the RTCP that is sent
	plain   []byte
}

// Count is what has come.
type Count struct {
	Packets  uint64 // of RTP
	Bytes    uint64 // of RTP, headers included
	Expected uint64 // packets by their sequence numbers
	Reads    uint64 // calls that took something
	Control  uint64 // datagrams of RTCP
	Bad      uint64 // sampled packets that did not decrypt
}

// stream is one SSRC that comes.
type stream struct {
	order rtp.Sequences
	first int64
	n     int
}

// identity is one certificate for all peers of a process: to make one costs more than all else that joining does.
var identity = sync.OnceValues(func() (tls.Certificate, error) { return selfsign.GenerateSelfSigned() })

// New opens a socket to the first candidate of UDP of a bridge's transport and begins to answer its checks.
func New(t *api.Transport, o Options) (*Peer, error) {
	var remote netip.AddrPort
	for _, c := range t.Candidates {
		if ip, err := netip.ParseAddr(c.IP); err == nil && c.Protocol == "udp" {
			remote = netip.AddrPortFrom(ip, c.Port)
			break
		}
	}
	if !remote.IsValid() {
		return nil, errors.New("mediapeer: the transport has no candidate of UDP")
	}
	var local *net.UDPAddr
	if o.Local.IsValid() {
		local = net.UDPAddrFromAddrPort(netip.AddrPortFrom(o.Local, 0))
	}
	conn, err := net.DialUDP("udp", local, net.UDPAddrFromAddrPort(remote))
	if err != nil {
		return nil, fmt.Errorf("mediapeer: %w", err)
	}
	conn.SetReadBuffer(4 << 20)
	p := &Peer{
		options: o, conn: conn, ufrag: rand.Text()[:8], pwd: rand.Text(), checked: make(chan struct{}), done: make(chan struct{}),
		streams: make(map[uint32]*stream), began: time.Now(),
	}
	p.key = stun.NewKey(p.pwd)
	p.pipe = newPipe(conn)
	go p.read()
	return p, nil
}

// Remote is the peer's side of the transport: what a client's answer says.
func (p *Peer) Remote() (*api.Remote, error) {
	cert, err := identity()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(cert.Certificate[0])
	var print strings.Builder
	for i, b := range sum {
		if i > 0 {
			print.WriteByte(':')
		}
		fmt.Fprintf(&print, "%02X", b)
	}
	local := p.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return &api.Remote{
		Ufrag: p.ufrag, Pwd: p.pwd, Setup: "active", Fingerprints: []api.Fingerprint{{Hash: "sha-256", Value: print.String()}},
		Candidates: []api.Candidate{{
			Foundation: "1", Protocol: "udp", Priority: 2130706431, IP: local.Addr().Unmap().String(), Port: local.Port(), Type: "host",
		}},
	}, nil
}

// Connect waits for the bridge's checks, and does the handshake.
func (p *Peer) Connect(ctx context.Context) error {
	select {
	case <-p.checked:
	case <-ctx.Done():
		return fmt.Errorf("mediapeer: no check has come: %w", ctx.Err())
	}
	cert, err := identity()
	if err != nil {
		return err
	}
	conn, err := dtls.ClientWithOptions(p.pipe, p.conn.RemoteAddr(),
		dtls.WithCertificates(cert),
		dtls.WithSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80),
		dtls.WithInsecureSkipVerify(true), // whom it talks to, the test knows
		dtls.WithFlightInterval(flight),
		dtls.WithLoggerFactory(&logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled}),
	)
	if err != nil {
		return fmt.Errorf("mediapeer: %w", err)
	}
	if err := conn.HandshakeContext(ctx); err != nil {
		conn.Close()
		return fmt.Errorf("mediapeer: handshake: %w", err)
	}
	if err := p.setKeys(conn); err != nil {
		conn.Close()
		return fmt.Errorf("mediapeer: keys: %w", err)
	}
	p.session = conn
	return nil
}

func (p *Peer) setKeys(conn *dtls.Conn) error {
	state, ok := conn.ConnectionState()
	if !ok {
		return net.ErrClosed
	}
	profile, ok := conn.SelectedSRTPProtectionProfile()
	if !ok {
		return errors.New("no profile of SRTP")
	}
	c := srtp.Config{Profile: srtp.ProtectionProfile(profile)}
	if err := c.ExtractSessionKeysFromDTLS(&state, true); err != nil {
		return err
	}
	context := func(key, salt []byte) *srtp.Context {
		c, err2 := srtp.CreateContext(key, salt, c.Profile)
		if err2 != nil {
			ok = false
		}
		return c
	}
	p.out = context(c.Keys.LocalMasterKey, c.Keys.LocalMasterSalt)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.in = context(c.Keys.RemoteMasterKey, c.Keys.RemoteMasterSalt)
	p.control = context(c.Keys.LocalMasterKey, c.Keys.LocalMasterSalt)
	if !ok {
		return errors.New("no context of SRTP")
	}
	return nil
}

// Send encrypts an RTP packet where it is, which needs room for Tag bytes behind it, and sends it. It is called by one
// goroutine at a time, after Connect.
func (p *Peer) Send(packet []byte) error {
	sealed, err := p.out.EncryptRTP(packet[:cap(packet)], packet, nil)
	if err != nil {
		return err
	}
	_, err = p.conn.Write(sealed)
	return err
}

// KeyFrame reports that the bridge has asked for a key frame since the last call.
func (p *Peer) KeyFrame() bool { return p.keyFrame.Load() && p.keyFrame.Swap(false) }

// Count returns what has come so far.
func (p *Peer) Count() Count {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.count
	for _, s := range p.streams {
		newest, _ := s.order.Newest()
		c.Expected += uint64(newest - s.first + 1)
	}
	return c
}

// Feedback sends a receiver report and, if there is some, transport-wide feedback on what has come since the last one.
func (p *Peer) Feedback() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.control == nil {
		return nil
	}
	const own = 1
	var blocks [8]rtp.ReportBlock
	n, media := 0, uint32(0)
	for ssrc, s := range p.streams {
		media = ssrc
		if n < len(blocks) {
			newest, _ := s.order.Newest()
			blocks[n] = rtp.ReportBlock{SSRC: ssrc, Highest: uint32(newest)}
			n++
		}
	}
	for more := true; more; {
		p.plain = rtp.AppendReceiverReport(p.plain[:0], own, blocks[:n])
		n, more = 0, false
		if p.arrived != nil {
			p.plain, more = p.arrived.Append(p.plain, own, media, 800)
		}
		sealed, err := p.control.EncryptRTCP(nil, p.plain, nil)
		if err != nil {
			return err
		}
		if _, err := p.conn.Write(sealed); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the peer, and waits until it reads no more.
func (p *Peer) Close() error {
	if p.session != nil {
		p.session.Close()
	}
	p.pipe.Close()
	err := p.conn.Close()
	<-p.done
	return err
}

// take takes a datagram; mu is held.
func (p *Peer) take(b []byte, at time.Time) {
	switch rtp.Classify(b) {
	case rtp.STUN:
		p.answer(b)
	case rtp.DTLS:
		p.pipe.push(b)
	case rtp.RTP:
		p.media(b, at)
	case rtp.RTCP:
		p.count.Control++
		p.feedback(b)
	}
}

// answer answers a connectivity check (RFC 8445 §7.3).
func (p *Peer) answer(b []byte) {
	var m stun.Message
	if m.Parse(b, stun.ICE) != nil || m.Class != stun.Request || !p.key.Made(&m) {
		return
	}
	w := stun.Write(nil, stun.Binding, stun.Success, m.ID)
	w.Addr(stun.XORMappedAddress, p.conn.RemoteAddr().(*net.UDPAddr).AddrPort())
	w.Integrity(p.key)
	w.Fingerprint()
	p.conn.Write(w.Buffer())
	if m.Has(stun.UseCandidate) {
		p.once.Do(func() { close(p.checked) })
	}
}

// media counts a packet.
func (p *Peer) media(b []byte, at time.Time) {
	p.count.Packets++
	p.count.Bytes += uint64(len(b))
	ssrc := binary.BigEndian.Uint32(b[8:])
	s := p.streams[ssrc]
	n := binary.BigEndian.Uint16(b[2:])
	if s == nil {
		s = new(stream)
		s.first = s.order.Extend(n)
		p.streams[ssrc] = s
	} else {
		s.order.Extend(n)
	}
	if p.options.TransportCC != 0 {
		var packet rtp.Packet
		if packet.Parse(b) == nil {
			if n, ok := rtp.TransportSequence(packet.Extension(p.options.TransportCC)); ok {
				if p.arrived == nil {
					p.arrived = new(rtp.Arrivals)
				}
				p.arrived.Record(n, at.Sub(p.began))
			}
		}
	}
	if s.n++; p.in == nil || p.options.Sample == 0 || s.n%p.options.Sample != 0 {
		return
	}
	plain, err := p.in.DecryptRTP(p.plain[:0], b, nil)
	if err != nil {
		p.count.Bad++
		return
	}
	p.plain = plain
	var packet rtp.Packet
	if packet.Parse(plain) == nil && p.options.Stamped != nil {
		p.options.Stamped(packet.Payload(), at)
	}
}

// feedback looks for requests for a key frame.
func (p *Peer) feedback(b []byte) {
	if p.in == nil {
		return
	}
	plain, err := p.in.DecryptRTCP(nil, b, nil)
	if err != nil {
		return
	}
	walk, err := rtp.ParseCompound(plain)
	if err != nil {
		return
	}
	var c rtp.Control
	for walk.Next(&c) {
		if _, ok := c.PLI(); ok || c.FIRs() > 0 {
			p.keyFrame.Store(true)
		}
	}
}
