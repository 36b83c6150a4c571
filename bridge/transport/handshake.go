package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/logging"
	"github.com/pion/srtp/v3"
)

// profiles are those of SRTP in the order of our wish: as the server we choose, whatever order the client has, and GCM costs a
// fifth of SHA-1 and less (RFC 7714; RFC 5764 §4.1.2 leaves the choice to the server).
var profiles = []dtls.SRTPProtectionProfile{dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80}

// suites are for our own certificate, and for clients' of RSA where we are the client of DTLS.
var suites = []dtls.CipherSuiteID{
	dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, dtls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	dtls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, dtls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
}

// flight is how long DTLS waits for an answer before it sends again, doubled each time.
const flight = 400 * time.Millisecond

// quiet logs nothing: what DTLS has to say of strangers is counted here.
var quiet = &logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled}

// open makes the DTLS connection. The address of the peer is proven by ICE, so it is not asked to prove it again (the
// cookie of RFC 6347 §4.2.1 would cost a round trip).
func (e *Endpoint) open(client bool, list []digest) (*dtls.Conn, error) {
	options := []dtls.Option{
		dtls.WithCertificates(e.port.certificate),
		dtls.WithCipherSuites(suites...),
		dtls.WithSRTPProtectionProfiles(profiles...),
		dtls.WithInsecureSkipVerify(true), // no chain: the fingerprint is verified instead
		dtls.WithVerifyPeerCertificate(verifier(list)),
		dtls.WithFlightInterval(flight),
		dtls.WithLoggerFactory(quiet),
	}
	if client {
		var all []dtls.ClientOption
		for _, o := range options {
			all = append(all, o)
		}
		return dtls.ClientWithOptions(e.pipe, peer{}, all...)
	}
	all := []dtls.ServerOption{dtls.WithClientAuth(dtls.RequireAnyClientCert), dtls.WithInsecureSkipVerifyHello(true)}
	for _, o := range options {
		all = append(all, o)
	}
	return dtls.ServerWithOptions(e.pipe, peer{}, all...)
}

var errProfile = errors.New("no profile of SRTP")

// secure runs DTLS from the first path to the end of the endpoint.
func (e *Endpoint) secure() {
	e.mu.Lock()
	client, list := e.client, e.digests
	e.mu.Unlock()
	conn, err := e.open(client, list)
	if err != nil {
		e.reject(err.Error())
		return
	}
	e.mu.Lock()
	e.conn = conn
	e.mu.Unlock()
	ctx, stop := context.WithTimeout(e.ctx, e.port.limits.Handshake)
	err = conn.HandshakeContext(ctx)
	late := errors.Is(ctx.Err(), context.DeadlineExceeded)
	stop()
	if err == nil {
		err = e.key(conn, client, list)
	}
	if err != nil {
		conn.Close()
		e.mu.Lock()
		lost := e.path != up
		e.mu.Unlock()
		if lost && late {
			e.fail("connectivity-error") // not the peer's doing
		} else {
			e.reject(err.Error()) // unless it is closed already
		}
		return
	}
	e.pipe.establish()
	e.mu.Lock()
	e.keyed = !e.closed
	keyed := e.keyed
	e.mu.Unlock()
	if !keyed { // Close has not seen the keys
		conn.Close()
		e.end()
		return
	}
	e.advance()
	e.read(conn, client)
	conn.Close()
	e.fail("connectivity-error") // closed by the peer: a new session is needed
}

// key makes the keys. That the certificate is the peer's is verified once more: nothing is encrypted for anybody else.
func (e *Endpoint) key(conn *dtls.Conn, client bool, list []digest) error {
	state, ok := conn.ConnectionState()
	if !ok {
		return net.ErrClosed
	}
	if err := verify(list, state.PeerCertificates); err != nil {
		return err
	}
	profile, ok := conn.SelectedSRTPProtectionProfile()
	if !ok {
		return errProfile
	}
	return e.setKeys(srtp.ProtectionProfile(profile), &state, client)
}

// read reads what DTLS carries beside the handshake until the connection ends: SCTP, or nothing.
func (e *Endpoint) read(conn *dtls.Conn, client bool) {
	if e.options.Data {
		e.data.open(e, conn)
	}
	b := make([]byte, dataLargest)
	if !e.options.Data {
		b = b[:0:0] // what comes is too large for it
	}
	for {
		n, err := conn.Read(b)
		switch {
		case err == nil && e.options.Data:
			e.data.push(b[:n])
		case errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || e.ctx.Err() != nil:
			return
		}
	}
}
