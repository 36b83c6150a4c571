package jitsipeer

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"parley/jingle"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/selfsign"
	"github.com/pion/ice/v4"
	"github.com/pion/logging"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
	"github.com/pion/stun/v4"
)

const (
	connectTime  = 30 * time.Second
	largest      = 1500 // bytes of a datagram
	checkEvery   = 20 * time.Millisecond
	checksMost   = 100             // of a pair without an answer: a path of 300 ms is given its time
	disconnected = 3 * time.Second // without an answer of the bridge
	failed       = 3 * time.Second // after that
)

var silent = &logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled}

// leg is the transport of one bridge session: ICE, DTLS and SRTP.
type leg struct {
	agent       *ice.Agent
	certificate tls.Certificate
	ufrag, pwd  string
	reach       netip.AddrPort               // of the bridge, in place of what it offers, if it is valid
	controls    bool                         // it is the controlling agent of ICE (RFC 8445 §6.1.1)
	rtp, rtcp   func(b []byte, at time.Time) // called by the reader alone; the bytes are its buffer
	down        func(reason string)          // once
	data        func(ctx context.Context, conn *dtls.Conn)

	conn    *ice.Conn
	pipe    *pipe
	ready   atomic.Bool
	took    Times
	cancel  context.CancelFunc
	stopped sync.WaitGroup
	fell    sync.Once

	mu      sync.Mutex // guards what follows
	out     *srtp.Context
	header  rtp.Header
	control rtcp.Header
	buffer  []byte
	in      *srtp.Context // the reader's; set before it decrypts
}

// Times says how long a transport took.
type Times struct {
	ICE, DTLS time.Duration // from the start of the checks to the selected pair; from there to the keys
}

// newLeg makes a transport, over a relay alone if there is one.
func newLeg(loopback bool, relay *stun.URI) (*leg, error) {
	l := &leg{buffer: make([]byte, 0, largest+64)}
	options := []ice.AgentOption{
		ice.WithNetworkTypes([]ice.NetworkType{ice.NetworkTypeUDP4}), ice.WithCandidateTypes([]ice.CandidateType{ice.CandidateTypeHost}),
		ice.WithMulticastDNSMode(ice.MulticastDNSModeDisabled), ice.WithLoggerFactory(silent),
		ice.WithCheckInterval(checkEvery), ice.WithMaxBindingRequests(checksMost), ice.WithDisconnectedTimeout(disconnected), ice.WithFailedTimeout(failed),
	}
	if relay != nil {
		options = append(options, ice.WithCandidateTypes([]ice.CandidateType{ice.CandidateTypeRelay}), ice.WithUrls([]*stun.URI{relay}))
	}
	if loopback {
		options = append(options, ice.WithIncludeLoopback(), ice.WithInterfaceFilter(func(name string) bool { return name == "lo" || name == "lo0" }))
	}
	var err error
	if l.agent, err = ice.NewAgentWithOptions(options...); err != nil {
		return nil, fmt.Errorf("jitsipeer: %w", err)
	}
	if l.certificate, err = selfsign.GenerateSelfSigned(); err == nil {
		err = l.gather()
	}
	if err != nil {
		l.agent.Close()
		return nil, fmt.Errorf("jitsipeer: %w", err)
	}
	return l, nil
}

// gather finds the own addresses. They are not told: the bridge learns them from the checks (jitsi.md §7.4).
func (l *leg) gather() error {
	if err := l.agent.OnCandidate(func(ice.Candidate) {}); err != nil {
		return err
	}
	if err := l.agent.GatherCandidates(); err != nil {
		return err
	}
	var err error
	l.ufrag, l.pwd, err = l.agent.GetLocalUserCredentials()
	return err
}

// fingerprint is the hash of the certificate (RFC 8122 §5).
func (l *leg) fingerprint() string { return fingerprint(l.certificate.Certificate[0]) }

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	text := strings.ToUpper(hex.EncodeToString(sum[:]))
	var b strings.Builder
	for i := 0; i < len(text); i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(text[i : i+2])
	}
	return b.String()
}

// transport is the own side as Jingle.
func (l *leg) transport() *jingle.Transport {
	return &jingle.Transport{Ufrag: l.ufrag, Password: l.pwd, RTCPMux: true, Fingerprints: []jingle.Fingerprint{
		{Hash: "sha-256", Value: l.fingerprint(), Setup: jingle.Active, Required: true}}}
}

// remote takes the candidates of the bridge.
func (l *leg) remote(t *jingle.Transport) error {
	for _, k := range t.Candidates {
		if k.Protocol != "udp" {
			continue
		}
		if l.reach.IsValid() {
			k.IP, k.Port = l.reach.Addr().String(), l.reach.Port()
		}
		c, err := ice.UnmarshalCandidate(fmt.Sprintf("%s 1 udp %d %s %d typ %s", k.Foundation, k.Priority, k.IP, k.Port, k.Type))
		if err != nil {
			return err
		}
		if err := l.agent.AddRemoteCandidate(c); err != nil {
			return err
		}
	}
	return nil
}

// start connects to the bridge's side in the background; connected is called when media can go.
func (l *leg) start(t *jingle.Transport, connected func()) error {
	if err := l.remote(t); err != nil {
		return fmt.Errorf("jitsipeer: %w", err)
	}
	if err := l.agent.OnConnectionStateChange(func(s ice.ConnectionState) {
		if s == ice.ConnectionStateFailed {
			l.fall("ice failed")
		}
	}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.stopped.Add(1)
	go func() {
		defer l.stopped.Done()
		if err := l.run(ctx, t, connected); err != nil && ctx.Err() == nil {
			l.fall(err.Error())
		}
	}()
	return nil
}

func (l *leg) fall(reason string) {
	l.ready.Store(false)
	l.fell.Do(func() { l.down(reason) })
}

func (l *leg) run(ctx context.Context, t *jingle.Transport, connected func()) error {
	first, stop := context.WithTimeout(ctx, connectTime)
	defer stop()
	begun := time.Now()
	connect := l.agent.Accept
	if l.controls {
		connect = l.agent.Dial
	}
	conn, err := connect(first, t.Ufrag, t.Password)
	if err != nil {
		return err
	}
	l.conn, l.took.ICE = conn, time.Since(begun)
	l.pipe = newPipe(conn)
	l.stopped.Add(1)
	go func() {
		defer l.stopped.Done()
		l.read()
	}()
	c, err := dtls.ClientWithOptions(l.pipe, conn.RemoteAddr(),
		dtls.WithCertificates(l.certificate), dtls.WithInsecureSkipVerify(true), dtls.WithLoggerFactory(silent), dtls.WithFlightInterval(200*time.Millisecond),
		dtls.WithSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80),
		dtls.WithVerifyPeerCertificate(func(chain [][]byte, _ [][]*x509.Certificate) error {
			for _, f := range t.Fingerprints {
				if len(chain) > 0 && f.Hash == "sha-256" && f.Value == fingerprint(chain[0]) {
					return nil
				}
			}
			return errors.New("the certificate is not the one that was signalled")
		}))
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.HandshakeContext(first); err != nil {
		return err
	}
	if err := l.key(c); err != nil {
		return err
	}
	l.took.DTLS = time.Since(begun) - l.took.ICE
	l.ready.Store(true)
	connected()
	if l.data != nil {
		l.data(ctx, c)
	}
	b := make([]byte, largest)
	for { // until the bridge closes it
		if _, err := c.Read(b); err != nil {
			return err
		}
	}
}

// key makes the contexts of SRTP (RFC 5764 §4.2).
func (l *leg) key(c *dtls.Conn) error {
	state, ok := c.ConnectionState()
	profile, ok2 := c.SelectedSRTPProtectionProfile()
	if !ok || !ok2 {
		return errors.New("no keys for SRTP")
	}
	config := &srtp.Config{Profile: srtp.ProtectionProfile(profile)}
	if err := config.ExtractSessionKeysFromDTLS(&state, true); err != nil {
		return err
	}
	k := config.Keys
	out, err := srtp.CreateContext(k.LocalMasterKey, k.LocalMasterSalt, config.Profile)
	if err != nil {
		return err
	}
	in, err := srtp.CreateContext(k.RemoteMasterKey, k.RemoteMasterSalt, config.Profile, srtp.SRTPReplayProtection(1024), srtp.SRTCPReplayProtection(256))
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.out, l.in = out, in
	l.mu.Unlock()
	return nil
}

// early is how many packets wait for the keys: the bridge may have them sooner than we.
const early = 64

// read takes what comes apart (RFC 7983).
func (l *leg) read() {
	defer l.pipe.Close()
	b, plain := make([]byte, 2048), make([]byte, 0, 2048)
	var header rtp.Header
	var control rtcp.Header
	var in *srtp.Context
	var waiting [][]byte
	media := func(b []byte) {
		at := time.Now()
		if b[1] >= 192 && b[1] <= 223 {
			if p, err := in.DecryptRTCP(plain[:0], b, &control); err == nil {
				l.rtcp(p, at)
			}
		} else if p, err := in.DecryptRTP(plain[:0], b, &header); err == nil {
			l.rtp(p, at)
		}
	}
	for {
		n, err := l.conn.Read(b)
		if err != nil {
			return
		}
		if n < 12 || b[0] < 128 {
			if n > 0 && b[0] >= 20 && b[0] < 64 {
				l.pipe.push(b[:n])
			}
			continue
		}
		if in == nil {
			l.mu.Lock()
			in = l.in
			l.mu.Unlock()
			if in == nil {
				if len(waiting) < early {
					waiting = append(waiting, append([]byte(nil), b[:n]...))
				}
				continue
			}
			for _, w := range waiting {
				media(w)
			}
			waiting = nil
		}
		media(b[:n])
	}
}

var errNotReady = errors.New("jitsipeer: the transport is not up")

// seal encrypts a packet without sending it; the result lives until the next call of seal or write. The caller holds mu.
func (l *leg) seal(packet []byte, isControl bool) ([]byte, error) {
	if l.out == nil {
		return nil, errNotReady
	}
	if isControl {
		return l.out.EncryptRTCP(l.buffer[:0], packet, &l.control)
	}
	return l.out.EncryptRTP(l.buffer[:0], packet, &l.header)
}

// write encrypts and sends a packet.
func (l *leg) write(packet []byte, isControl bool) error {
	if !l.ready.Load() {
		return errNotReady
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b, err := l.seal(packet, isControl)
	if err != nil {
		return err
	}
	_, err = l.conn.Write(b)
	return err
}

// restart changes to new credentials (RFC 8445 §9); the DTLS association goes on.
func (l *leg) restart(t *jingle.Transport) error {
	if err := l.agent.Restart("", ""); err != nil {
		return err
	}
	if err := l.gather(); err != nil {
		return err
	}
	if err := l.agent.SetRemoteCredentials(t.Ufrag, t.Password); err != nil {
		return err
	}
	return l.remote(t)
}

// close ends the transport and waits for its goroutines.
func (l *leg) close() {
	l.fell.Do(func() {})
	l.ready.Store(false)
	if l.cancel != nil {
		l.cancel()
	}
	l.agent.Close() // ends the reader, and that ends DTLS
	l.stopped.Wait()
}

var _ net.PacketConn = (*pipe)(nil)
