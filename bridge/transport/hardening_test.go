package transport

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	pice "github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"
	"github.com/prometheus/client_golang/prometheus"

	"parley/bridge/api"
	"parley/internal/event"
)

func events() (*event.Recorder, func(string) float64) {
	reg := prometheus.NewRegistry()
	rec := event.New(slog.New(slog.NewTextHandler(io.Discard, nil)), reg, false)
	return rec, func(name string) float64 {
		families, _ := reg.Gather()
		for _, f := range families {
			for _, m := range f.Metric {
				if len(m.Label) == 1 && m.Label[0].GetValue() == name {
					return m.Counter.GetValue()
				}
			}
		}
		return 0
	}
}

// raw is a peer that has passed ICE and speaks of DTLS what a test wants. It is the agent of pion.
type raw struct {
	agent *pice.Agent
	conn  *pice.Conn
}

// reach makes a raw peer of an endpoint, whose certificate has the fingerprints.
func reach(t *testing.T, e *Endpoint, list []api.Fingerprint, setup string) *raw {
	t.Helper()
	agent, err := pice.NewAgentWithOptions(
		pice.WithNetworkTypes([]pice.NetworkType{pice.NetworkTypeUDP4}), pice.WithIncludeLoopback(),
		pice.WithInterfaceFilter(func(n string) bool { return n == "lo" }), pice.WithMulticastDNSMode(pice.MulticastDNSModeDisabled),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { agent.Close() })
	gathered := make(chan struct{})
	agent.OnCandidate(func(c pice.Candidate) {
		if c == nil {
			close(gathered)
		}
	})
	if err := agent.GatherCandidates(); err != nil {
		t.Fatal(err)
	}
	<-gathered
	ufrag, pwd, _ := agent.GetLocalUserCredentials()
	if err := e.SetRemote(api.Remote{Ufrag: ufrag, Pwd: pwd, Fingerprints: list, Setup: setup}); err != nil {
		t.Fatal(err)
	}
	for _, c := range e.port.Info().Candidates {
		if c.Protocol != "udp" {
			continue
		}
		remote, err := pice.NewCandidateHost(&pice.CandidateHostConfig{Network: "udp", Address: c.IP, Port: int(c.Port), Component: 1, Priority: c.Priority, Foundation: c.Foundation})
		if err != nil {
			t.Fatal(err)
		}
		if err := agent.AddRemoteCandidate(remote); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	local, _ := e.Local()
	conn, err := agent.Accept(ctx, local.Ufrag, local.Pwd) // the bridge controls
	if err != nil {
		t.Fatal(err)
	}
	return &raw{agent, conn}
}

// fragment is a record with a piece of a ClientHello that never gets whole.
func fragment(seq, offset, n int) []byte {
	b := make([]byte, recordHeader+12+n)
	copy(b, []byte{handshakeRecord, 0xFE, 0xFD, 0, 0, 0, 0, 0, byte(seq >> 16), byte(seq >> 8), byte(seq), byte((12 + n) >> 8), byte(12 + n)})
	h := b[recordHeader:]
	copy(h, []byte{1, 0xF0, 0, 0, 0, 0, byte(offset >> 16), byte(offset >> 8), byte(offset), byte(n >> 16), byte(n >> 8), byte(n)})
	return b
}

func TestHB3StrangersReachNothing(t *testing.T) {
	rec, count := events()
	p := listen(t, Config{Events: rec})
	e, r := open(t, p, Options{})
	stranger, err := net.Dial("udp", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	send := func(b []byte) {
		if _, err := stranger.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	junk := func() {
		send(fragment(0, 0, 100)) // the ClientHello race
		send(append([]byte{0x80, 96, 0, 1}, make([]byte, 60)...))
		send(append([]byte{0x80, 200, 0, 6}, make([]byte, 60)...))
		send([]byte("GET / HTTP/1.1\r\n\r\n"))
		send([]byte{0x16})
	}
	junk()
	c := newClient(t, clientOptions{})
	answer := c.answer(e)
	junk()
	if err := e.SetRemote(answer); err != nil {
		t.Fatal(err)
	}
	junk()
	r.await(t, api.Connected)
	junk()
	c.talk(1)
	r.until(t, "count", func() bool { n := p.Counts(); return n.Foreign == 12 && n.Other == 8 })
	r.until(t, "event", func() bool { return count("media.foreign") > 0 })
	if n := p.Counts(); n.Early != 0 || n.Forged != 0 {
		t.Errorf("%+v", n)
	}
	stranger.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := stranger.Read(make([]byte, 100)); err == nil {
		t.Errorf("a stranger got an answer of %d bytes", n)
	}
}

func TestHB3StreamsAreProvenInTime(t *testing.T) {
	p := listen(t, Config{TCP: true, Limits: Limits{Proof: 50 * time.Millisecond, StreamsPerAddress: 3}})
	var conns []net.Conn
	for range 5 {
		c, err := net.Dial("tcp", p.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	for _, c := range conns {
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "timeout") {
			t.Errorf("the connection was not closed: %v", err)
		}
	}
	deadline := time.Now().Add(5 * time.Second)
	for open := 1; open > 0; time.Sleep(5 * time.Millisecond) {
		p.mu.Lock()
		open = len(p.streams)
		p.mu.Unlock()
		if time.Now().After(deadline) {
			t.Fatalf("%d streams are kept", open)
		}
	}
}

const failed = api.Failed + " security-error"

func TestHB4(t *testing.T) {
	wrong := []api.Fingerprint{{Hash: "sha-256", Value: strings.Repeat("AB:", 31) + "AB"}}

	for _, c := range []struct {
		name string
		role webrtc.DTLSRole
	}{{"another fingerprint, we are the server", 0}, {"another fingerprint, we are the client", webrtc.DTLSRoleServer}} {
		t.Run(c.name, func(t *testing.T) {
			rec, count := events()
			p := listen(t, Config{Events: rec})
			e, r := open(t, p, Options{})
			peer := newClient(t, clientOptions{role: c.role})
			answer := peer.answer(e)
			answer.Fingerprints = wrong
			if err := e.SetRemote(answer); err != nil {
				t.Fatal(err)
			}
			r.await(t, failed)
			r.until(t, "event", func() bool { return count("dtls.reject") == 1 })
			if states := r.history(); len(states) != 1 {
				t.Errorf("%q", states)
			}
			if e.Ready() || e.in.context != nil || e.out.context != nil || e.Reserve(100) != nil {
				t.Error("there are keys")
			}
		})
	}

	good := strings.Repeat("0A:", 31) + "0a"
	for _, c := range []struct {
		name   string
		remote api.Remote
	}{
		{"weak hash", api.Remote{Setup: "active", Fingerprints: []api.Fingerprint{{Hash: "sha-1", Value: strings.Repeat("0A:", 19) + "0A"}}}},
		{"no fingerprint", api.Remote{Setup: "active"}},
		{"short fingerprint", api.Remote{Setup: "active", Fingerprints: []api.Fingerprint{{Hash: "sha-256", Value: "0A:0B"}}}},
		{"no hex", api.Remote{Setup: "active", Fingerprints: []api.Fingerprint{{Hash: "sha-256", Value: strings.Repeat("0A:", 31) + "0G"}}}},
		{"a good and a malformed one", api.Remote{Setup: "active", Fingerprints: []api.Fingerprint{{Hash: "SHA-256", Value: good}, {Hash: "sha-512", Value: good}}}},
		{"many", api.Remote{Setup: "active", Fingerprints: make([]api.Fingerprint, 9)}},
		{"no role", api.Remote{Setup: "actpass", Fingerprints: []api.Fingerprint{{Hash: "sha-256", Value: good}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := listen(t, Config{})
			e, r := open(t, p, Options{})
			c.remote.Ufrag, c.remote.Pwd = "abcd", "abcdefghijklmnopqrstuv"
			if err := e.SetRemote(c.remote); !errors.Is(err, ErrSecurity) {
				t.Error(err)
			}
			r.await(t, failed)
		})
	}

	own := func(p *Port) []api.Fingerprint { return []api.Fingerprint{p.Info().Fingerprint} }

	t.Run("wrong role: nobody begins", func(t *testing.T) {
		p := listen(t, Config{Limits: Limits{Handshake: 100 * time.Millisecond}})
		e, r := open(t, p, Options{})
		reach(t, e, own(p), "active")
		r.await(t, failed)
	})
	t.Run("endless handshake", func(t *testing.T) {
		p := listen(t, Config{Limits: Limits{Handshake: 300 * time.Millisecond}})
		e, r := open(t, p, Options{})
		peer := reach(t, e, own(p), "active")
		began := time.Now()
		for seq := 0; len(r.history()) == 0 && time.Since(began) < 10*time.Second; seq++ {
			peer.conn.Write(fragment(seq, 0, 1))
			time.Sleep(10 * time.Millisecond)
		}
		r.await(t, failed)
	})
	t.Run("flood of fragments", func(t *testing.T) {
		p := listen(t, Config{})
		e, r := open(t, p, Options{})
		peer := reach(t, e, own(p), "active")
		for seq := range 80 {
			peer.conn.Write(fragment(seq, seq*1000, 1000))
		}
		r.await(t, failed)
		e.pipe.mu.Lock()
		defer e.pipe.mu.Unlock()
		if e.pipe.spent > handshakeLargest || e.pipe.queue != nil {
			t.Errorf("%d bytes taken, %d kept", e.pipe.spent, len(e.pipe.queue))
		}
	})
	t.Run("no profile of SRTP", func(t *testing.T) {
		p := listen(t, Config{})
		e, r := open(t, p, Options{})
		text, _ := NewCertificate(time.Now())
		cert, _ := certificate(text)
		peer := reach(t, e, []api.Fingerprint{fingerprint(cert.Certificate[0])}, "active")
		conn, err := dtls.ClientWithOptions(packets{peer.conn}, peer.conn.RemoteAddr(),
			dtls.WithCertificates(cert), dtls.WithInsecureSkipVerify(true), dtls.WithLoggerFactory(quiet))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
		defer stop()
		conn.HandshakeContext(ctx)
		r.await(t, failed)
	})
	t.Run("no certificate", func(t *testing.T) {
		p := listen(t, Config{})
		e, r := open(t, p, Options{})
		peer := reach(t, e, own(p), "active")
		conn, err := dtls.ClientWithOptions(packets{peer.conn}, peer.conn.RemoteAddr(),
			dtls.WithSRTPProtectionProfiles(profiles...), dtls.WithInsecureSkipVerify(true), dtls.WithLoggerFactory(quiet))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
		defer stop()
		conn.HandshakeContext(ctx)
		r.await(t, failed)
	})
	t.Run("a second certificate within a session", func(t *testing.T) {
		p := listen(t, Config{})
		e, _, peer := connect(t, p, Options{}, clientOptions{})
		if err := e.SetRemote(api.Remote{Ufrag: e.remote.Ufrag, Pwd: e.remote.Pwd, Setup: "active", Fingerprints: wrong}); err != ErrSession {
			t.Error(err)
		}
		peer.talk(1)
	})
	t.Run("records without protection after the handshake", func(t *testing.T) {
		p := listen(t, Config{})
		e, _, peer := connect(t, p, Options{}, clientOptions{})
		peer.talk(1)
		for _, kind := range []byte{21, 23, 25} { // a fatal alert, data, a heartbeat: as a stranger with the peer's address could
			if !e.pipe.push([]byte{kind, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 99, 0, 2, 2, 40}) {
				t.Error("the connection is given up")
			}
		}
		for seq := range 200 {
			e.pipe.push(fragment(1000+seq, seq*1000, 1000))
		}
		if e.pipe.spent > handshakeLargest {
			t.Errorf("%d bytes of fragments taken", e.pipe.spent)
		}
		peer.talk(1000)
		if !e.Ready() {
			t.Error("not ready")
		}
	})
}

// packets makes a net.PacketConn of a connected one.
type packets struct{ net.Conn }

func (p packets) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := p.Read(b)
	return n, p.RemoteAddr(), err
}
func (p packets) WriteTo(b []byte, _ net.Addr) (int, error) { return p.Write(b) }

func TestMediaBeforeKeysIsDropped(t *testing.T) {
	p := listen(t, Config{})
	e, r := open(t, p, Options{})
	peer := reach(t, e, []api.Fingerprint{p.Info().Fingerprint}, "active")
	for range 3 {
		peer.conn.Write(append([]byte{0x80, 96, 0, 1}, make([]byte, 60)...))
		peer.conn.Write(append([]byte{0x80, 200, 0, 6}, make([]byte, 60)...))
	}
	r.until(t, "count", func() bool { return p.Counts().Early == 6 })
	peer.conn.Write(append([]byte{0x80, 96, 0, 1}, make([]byte, mediaLargest)...)) // HB9
	peer.conn.Write(append([]byte{0x80, 200, 2, 6}, make([]byte, mediaLargest)...))
	r.until(t, "count", func() bool { n := p.Counts(); return n.Early == 6 && n.Other == 2 })
	if e.Ready() || r.rtp > 0 || len(r.rtcp) > 0 {
		t.Error("media without keys")
	}
	if e.Reserve(100) != nil {
		t.Error("room without keys")
	}
}

func TestNoKeysAfterTheEnd(t *testing.T) {
	p := listen(t, Config{})
	e, _, peer := connect(t, p, Options{}, clientOptions{})
	peer.talk(1)
	e.Close()
	if e.in.context != nil || e.out.context != nil || e.out.writer != nil || e.Ready() || e.Reserve(100) != nil {
		t.Error("a closed endpoint can be read or written")
	}
	if err := e.SetRemote(api.Remote{Ufrag: "abcd", Pwd: "abcdefghijklmnopqrstuv", Setup: "active", Fingerprints: []api.Fingerprint{p.Info().Fingerprint}}); err != ErrClosed {
		t.Error(err)
	}
}

func TestAdvertised(t *testing.T) {
	p := listen(t, Config{TCP: true, Advertise: []netip.AddrPort{netip.MustParseAddrPort("203.0.113.7:0"), netip.MustParseAddrPort("[2001:db8::7]:443")}})
	var got []string
	for _, c := range p.Info().Candidates {
		got = append(got, c.Protocol+c.TCPType+" "+netip.AddrPortFrom(netip.MustParseAddr(c.IP), c.Port).String())
	}
	own := netip.AddrPortFrom(netip.MustParseAddr("203.0.113.7"), p.Addr().Port()).String()
	want := []string{"udp " + own, "udp [2001:db8::7]:443", "tcppassive " + own, "tcppassive [2001:db8::7]:443"}
	if strings.Join(got, ",") != strings.Join(want, ",") {
		t.Errorf("%q, want %q", got, want)
	}
}
