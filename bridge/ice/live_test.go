package ice

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	pice "github.com/pion/ice/v4"
	"go.uber.org/goleak"

	"parley/internal/stun"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// live is a bridge with one agent on real sockets: what the integrator does with this package, in small. It echoes
// everything that is not STUN and comes from a proven address.
type live struct {
	t      *testing.T
	server *Server
	agent  *Agent
	conn   *net.UDPConn
	tcp    net.Listener
	wg     sync.WaitGroup
	done   chan struct{}

	started time.Time
	speed   time.Duration

	mu      sync.Mutex // guards streams, events
	streams map[netip.AddrPort]net.Conn
	events  []Event
	changed chan struct{}
}

// hello is noted when a handshake comes from a proven address.
const hello EventKind = 100

// run starts a bridge on loopback.
func run(t *testing.T, controlling bool) *live {
	t.Helper()
	return runAt(t, controlling, 1)
}

// runAt starts a bridge whose clock is faster by a factor.
func runAt(t *testing.T, controlling bool, speed time.Duration) *live {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &live{t: t, started: time.Now(), speed: speed, conn: conn, tcp: tcp, done: make(chan struct{}), streams: make(map[netip.AddrPort]net.Conn), changed: make(chan struct{}, 1000)}
	b.server = NewServer(Config{Policy: Policy{AllowLoopback: true}, Local: []Local{
		{UDP, conn.LocalAddr().(*net.UDPAddr).AddrPort(), nil}, {TCP, tcp.Addr().(*net.TCPAddr).AddrPort(), nil},
	}})
	b.agent = b.server.NewAgent("owner", controlling)
	b.wg.Go(b.read)
	b.wg.Go(b.accept)
	b.wg.Go(func() {
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			select {
			case <-b.done:
				tick.Stop()
				return
			case <-tick.C:
				var out Out
				b.server.Tick(b.now(), &out)
				b.take(&out)
			}
		}
	})
	t.Cleanup(b.close)
	return b
}

func (b *live) now() time.Time { return b.started.Add(time.Since(b.started) * b.speed) }

func (b *live) close() {
	select {
	case <-b.done:
		return
	default:
	}
	close(b.done)
	b.conn.Close()
	b.tcp.Close()
	b.mu.Lock()
	for _, s := range b.streams {
		s.Close()
	}
	b.mu.Unlock()
	b.wg.Wait()
}

func (b *live) read() {
	buf := make([]byte, 2000)
	for {
		n, from, err := b.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		b.packet(Path{UDP, b.server.local[0].Base, from}, buf[:n])
	}
}

func (b *live) accept() {
	for {
		c, err := b.tcp.Accept()
		if err != nil {
			return
		}
		from := c.RemoteAddr().(*net.TCPAddr).AddrPort()
		b.mu.Lock()
		b.streams[from] = c
		b.mu.Unlock()
		b.wg.Go(func() {
			path := Path{TCP, b.server.local[1].Base, from}
			for { // RFC 4571
				var head [2]byte
				if _, err := io.ReadFull(c, head[:]); err != nil {
					break
				}
				buf := make([]byte, binary.BigEndian.Uint16(head[:]))
				if _, err := io.ReadFull(c, buf); err != nil {
					break
				}
				b.packet(path, buf)
			}
			c.Close()
			var out Out
			b.agent.Gone(path, b.now(), &out)
			b.take(&out)
		})
	}
}

func (b *live) packet(path Path, data []byte) {
	if stun.Is(data) {
		var out Out
		b.server.Packet(path, data, b.now(), &out)
		b.take(&out)
		return
	}
	if a := b.server.Lookup(path.Transport, path.Remote); a != nil {
		if len(data) > 13 && data[0] == 22 { // a DTLS handshake
			b.take(&Out{Events: []Event{{Agent: a, Kind: hello}}})
			return
		}
		if p, ok := a.Selected(); ok {
			b.send(p, append([]byte("echo "), data...))
		}
	}
}

func (b *live) send(p Path, data []byte) {
	if p.Transport == UDP {
		b.conn.WriteToUDPAddrPort(data, p.Remote)
		return
	}
	b.mu.Lock()
	c := b.streams[p.Remote]
	b.mu.Unlock()
	if c != nil {
		c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(data))), data...))
	}
}

func (b *live) take(out *Out) {
	for _, d := range out.Datagrams {
		b.send(d.Path, d.Data)
	}
	for _, e := range out.Events {
		b.mu.Lock()
		b.events = append(b.events, e)
		b.mu.Unlock()
		b.changed <- struct{}{}
	}
}

// await waits until a kind of event has come n times.
func (b *live) await(kind EventKind, n int) {
	b.t.Helper()
	deadline := time.After(15 * time.Second)
	for {
		b.mu.Lock()
		seen := 0
		for _, e := range b.events {
			if e.Kind == kind {
				seen++
			}
		}
		b.mu.Unlock()
		if seen >= n {
			return
		}
		select {
		case <-b.changed:
		case <-deadline:
			b.t.Fatalf("no event %d: %d events, %+v", kind, len(b.events), b.server.Counts())
		}
	}
}

func (b *live) remote(ufrag, pwd string) {
	b.t.Helper()
	var out Out
	if err := b.agent.SetRemote(Credentials{ufrag, pwd}, b.now(), &out); err != nil {
		b.t.Fatal(err)
	}
	b.take(&out)
}

// pion is the other implementation, with short timeouts.
type pion struct {
	*pice.Agent
	t    *testing.T
	conn *pice.Conn
}

func newPion(t *testing.T, tcp bool) *pion {
	t.Helper()
	network := pice.NetworkTypeUDP4
	if tcp {
		network = pice.NetworkTypeTCP4
	}
	keep := 200 * time.Millisecond
	a, err := pice.NewAgentWithOptions(pice.WithNetworkTypes([]pice.NetworkType{network}), pice.WithIncludeLoopback(), pice.WithKeepaliveInterval(keep),
		pice.WithCandidateTypes([]pice.CandidateType{pice.CandidateTypeHost}), pice.WithMulticastDNSMode(pice.MulticastDNSModeDisabled),
		pice.WithIPFilter(func(ip net.IP) bool { return ip.IsLoopback() }))
	if err != nil {
		t.Fatal(err)
	}
	p := &pion{Agent: a, t: t}
	t.Cleanup(func() { a.Close() })
	if err := a.OnCandidate(func(pice.Candidate) {}); err != nil {
		t.Fatal(err)
	}
	return p
}

// gather gathers and returns the candidates.
func (p *pion) gather() []pice.Candidate {
	p.t.Helper()
	if err := p.GatherCandidates(); err != nil {
		p.t.Fatal(err)
	}
	for range 200 {
		if c, err := p.GetLocalCandidates(); err == nil && len(c) > 0 {
			return c
		}
		time.Sleep(10 * time.Millisecond)
	}
	p.t.Fatal("pion has no candidates")
	return nil
}

// learn tells pion the bridge's candidates over the transport.
func (p *pion) learn(b *live, tr Transport) {
	p.t.Helper()
	for _, c := range b.server.Candidates() {
		if c.Protocol != tr.String() {
			continue
		}
		s := fmt.Sprintf("%s %d %s %d %s %d typ %s", c.Foundation, c.Component, c.Protocol, c.Priority, c.Address, c.Port, c.Type)
		if c.TCPType != "" {
			s += " tcptype " + c.TCPType
		}
		r, err := pice.UnmarshalCandidate(s)
		if err == nil {
			err = p.AddRemoteCandidate(r)
		}
		if err != nil {
			p.t.Fatal(s, err)
		}
	}
}

// start begins, in pion's role, and connects.
func (p *pion) start(b *live, controlling bool) {
	p.t.Helper()
	c, _ := b.agent.Local()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	var err error
	if controlling {
		p.conn, err = p.Dial(ctx, c.Ufrag, c.Pwd)
	} else {
		p.conn, err = p.Accept(ctx, c.Ufrag, c.Pwd)
	}
	if err != nil {
		p.t.Fatalf("pion: %v; %+v", err, b.server.Counts())
	}
}

// echo sends until the bridge answers.
func (p *pion) echo(what string) {
	p.t.Helper()
	buf := make([]byte, 100)
	p.conn.SetDeadline(time.Now().Add(10 * time.Second))
	for range 50 {
		if _, err := p.conn.Write([]byte(what)); err != nil {
			p.t.Fatal(err)
		}
		p.conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		for {
			n, err := p.conn.Read(buf)
			if err != nil {
				break
			}
			if bytes.Equal(buf[:n], []byte("echo "+what)) {
				return
			}
		}
	}
	p.t.Fatal("no echo")
}

func TestPion(t *testing.T) {
	for _, c := range []struct {
		name           string
		bridge, pion   bool // controlling
		tcp, signalled bool
	}{
		{"controlled", true, false, false, false},
		{"controlled, with candidates for the bridge", true, false, false, true},
		{"controlling", false, true, false, false},
		{"both controlling", true, true, false, false},
		{"both controlled", false, false, false, false},
		{"controlled over TCP", true, false, true, false},
		{"controlling over TCP", false, true, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, p := run(t, c.bridge), newPion(t, c.tcp)
			tr := UDP
			if c.tcp {
				tr = TCP
			} else {
				for _, l := range p.gather() {
					if c.signalled {
						err := b.agent.AddRemote(Candidate{Component: 1, Protocol: "udp", Priority: l.Priority(), Address: l.Address(), Port: uint16(l.Port()), Type: "host"}, b.now())
						if err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			ufrag, pwd, err := p.GetLocalUserCredentials()
			if err != nil {
				t.Fatal(err)
			}
			b.remote(ufrag, pwd)
			if !c.signalled { // then the bridge begins
				p.learn(b, tr)
			}
			at := time.Now()
			p.start(b, c.pion)
			b.await(Connected, 1)
			t.Logf("connected after %v", time.Since(at).Round(time.Millisecond))
			p.echo("hello")
			if path, ok := b.agent.Selected(); !ok || path.Transport != tr {
				t.Errorf("path %v", path)
			}
			_, _, controlling := b.agent.State()
			if c.bridge != c.pion && controlling != c.bridge {
				t.Error("the role has changed")
			}
			n := b.server.Counts()
			if n.Malformed+n.Integrity+n.Limited > 0 {
				t.Errorf("refused: %+v", n)
			}
			p.Close()
			b.close()
			b.agent.Close()
		})
	}
}

func TestPionRestarts(t *testing.T) {
	b, p := run(t, true), newPion(t, false)
	p.gather()
	ufrag, pwd, _ := p.GetLocalUserCredentials()
	b.remote(ufrag, pwd)
	p.learn(b, UDP)
	p.start(b, false)
	p.echo("before")
	for i := range 2 {
		c, err := b.agent.Restart(b.now())
		if err != nil {
			t.Fatal(err)
		}
		p.echo("while it restarts")
		if err := p.Restart("", ""); err != nil {
			t.Fatal(err)
		}
		ufrag, pwd, _ = p.GetLocalUserCredentials()
		if err := p.SetRemoteCredentials(c.Ufrag, c.Pwd); err != nil {
			t.Fatal(err)
		}
		p.gather()
		b.remote(ufrag, pwd)
		p.learn(b, UDP)
		b.await(Selected, i+1)
		p.echo("after")
	}
	p.Close()
	b.close()
	b.agent.Close()
}

// TestPionDies runs the bridge's clock twenty times as fast.
func TestPionDies(t *testing.T) {
	b, p := runAt(t, true, 20), newPion(t, false)
	p.gather()
	ufrag, pwd, _ := p.GetLocalUserCredentials()
	b.remote(ufrag, pwd)
	p.learn(b, UDP)
	p.start(b, false)
	p.echo("alive")
	time.Sleep(2 * time.Second) // forty for the bridge: pion gives consent
	if state, _, _ := b.agent.State(); state != Up {
		t.Errorf("%v with a peer that lives", state)
	}
	path, _ := b.agent.Selected()
	p.Close()
	b.await(Disconnected, 1)
	if b.server.Lookup(UDP, path.Remote) == nil {
		t.Error("the path ended before consent")
	}
	b.await(Failed, 1)
	if _, ok := b.agent.Selected(); ok || b.server.Lookup(UDP, path.Remote) != nil {
		t.Error("there is still a path")
	}
	b.close()
	b.agent.Close()
}
