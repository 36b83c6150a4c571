package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"parley/bridge/api"
	"parley/bridge/ice"
	"parley/bridge/udp"
	"parley/internal/event"
	"parley/internal/limit"
)

// Config is how a Port is opened. Only Address has to be given.
type Config struct {
	Address netip.AddrPort // port 10000; 0 is any, the same one for UDP and TCP

	// Advertise are the addresses that clients reach Address at, where a NAT maps them; port 0 is that of the Port. Empty:
	// Address itself or, where that is unspecified, all addresses of this host that are not of its loopback.
	Advertise []netip.AddrPort

	TCP         bool   // take connections over TCP (RFC 6544, passive)
	Certificate []byte // PEM of NewCertificate; nil: one is made that lives as long as the Port
	Socket      udp.Config
	Policy      ice.Policy // which candidates of clients are checked
	Limits      Limits
	Events      *event.Recorder // may be nil
}

// Limits bound what a Port holds. A field of 0 stands for that of DefaultLimits.
type Limits struct {
	Endpoints         int           // open at once
	Streams           int           // connections over TCP
	StreamsPerAddress int           // of one address or IPv6 /64; a school may be behind it
	Proof             time.Duration // in which a connection over TCP has to pass a check of ICE
	Answer            time.Duration // in which SetRemote has to come
	Handshake         time.Duration // of DTLS
}

// DefaultLimits are those of a bridge of a few thousand endpoints.
var DefaultLimits = Limits{
	Endpoints: 10000, Streams: 5000, StreamsPerAddress: 500,
	Proof: 10 * time.Second, Answer: 60 * time.Second, Handshake: 20 * time.Second,
}

func (l Limits) filled() Limits {
	d := DefaultLimits
	for _, p := range []struct{ have, fill *int }{
		{&l.Endpoints, &d.Endpoints}, {&l.Streams, &d.Streams}, {&l.StreamsPerAddress, &d.StreamsPerAddress},
	} {
		if *p.have <= 0 {
			*p.have = *p.fill
		}
	}
	for _, p := range []struct{ have, fill *time.Duration }{{&l.Proof, &d.Proof}, {&l.Answer, &d.Answer}, {&l.Handshake, &d.Handshake}} {
		if *p.have <= 0 {
			*p.have = *p.fill
		}
	}
	return l
}

// The errors that callers tell apart.
var (
	ErrSecurity = errors.New("transport: refused for security") // hardening HB4: the endpoint has failed
	ErrSession  = errors.New("transport: a session has one certificate and one role of DTLS")
	ErrClosed   = errors.New("transport: closed")
	ErrFull     = errors.New("transport: too many endpoints")
)

// Port is one UDP port with its ICE server and, beside it, the same port of TCP. It is safe for concurrent use.
type Port struct {
	config      Config
	limits      Limits
	certificate tls.Certificate
	info        Info
	socket      *udp.Socket
	listener    *net.TCPListener // nil: no TCP
	tcp         netip.AddrPort
	sources     *limit.Sources[netip.Addr] // of connections over TCP
	ice         *ice.Server
	pool        udp.Pool
	counts      counts

	wake  chan struct{} // the ticker has to look at the deadline again
	alarm atomic.Int64  // when it will, in nanoseconds of the Unix epoch

	ctx   context.Context // of all goroutines
	stop  context.CancelFunc
	tasks sync.WaitGroup // goroutines of streams and endpoints
	runs  sync.Mutex     // held by Run

	mu        sync.Mutex // guards what follows; endpoints take it with theirs held, and it takes those of ICE
	closed    bool
	endpoints map[*Endpoint]struct{}
	streams   map[netip.AddrPort]*connection
}

// Info is what the offers of all endpoints of a Port have in common.
type Info struct {
	Fingerprint api.Fingerprint
	Candidates  []api.Candidate
}

// Listen opens the sockets. Nothing is read before Run.
func Listen(c Config) (*Port, error) {
	if c.Certificate == nil {
		var err error
		if c.Certificate, err = NewCertificate(time.Now()); err != nil {
			return nil, err
		}
	}
	p := &Port{
		config: c, limits: c.Limits.filled(), wake: make(chan struct{}, 1),
		endpoints: make(map[*Endpoint]struct{}), streams: make(map[netip.AddrPort]*connection),
	}
	var err error
	if p.certificate, err = certificate(c.Certificate); err != nil {
		return nil, err
	}
	if err := p.bind(); err != nil {
		return nil, err
	}
	signalled, err := advertised(c.Advertise, p.socket.Addr())
	if err != nil {
		p.shut()
		return nil, err
	}
	local := []ice.Local{{Transport: ice.UDP, Base: p.socket.Addr(), Signalled: signalled}}
	if p.listener != nil {
		local = append(local, ice.Local{Transport: ice.TCP, Base: p.tcp, Signalled: signalled})
	}
	p.ice = ice.NewServer(ice.Config{Local: local, Policy: c.Policy, Events: c.Events})
	p.sources = limit.NewSources[netip.Addr](p.limits.StreamsPerAddress, limit.Rate{PerSecond: 100, Burst: 1000}, 4096)
	p.info = Info{Fingerprint: fingerprint(p.certificate.Certificate[0]), Candidates: candidates(p.ice.Candidates())}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p, nil
}

// bind opens UDP and, on the same number, TCP. A free number of UDP may be taken in TCP, so that port 0 is tried again.
func (p *Port) bind() (err error) {
	for range 10 {
		if p.socket, err = udp.Listen(p.config.Address, p.config.Socket); err != nil || !p.config.TCP {
			return err
		}
		network := "tcp"
		if p.config.Address.Addr().Is4() {
			network = "tcp4"
		}
		if p.listener, err = net.ListenTCP(network, net.TCPAddrFromAddrPort(p.socket.Addr())); err == nil {
			p.tcp = p.socket.Addr()
			return nil
		}
		p.listener = nil
		p.socket.Close()
		if p.config.Address.Port() != 0 {
			break
		}
	}
	return fmt.Errorf("transport: listen: %w", err)
}

// advertised returns the addresses to offer.
func advertised(list []netip.AddrPort, bound netip.AddrPort) (out []netip.AddrPort, err error) {
	for _, a := range list {
		if a.Port() == 0 {
			a = netip.AddrPortFrom(a.Addr(), bound.Port())
		}
		out = append(out, netip.AddrPortFrom(a.Addr().Unmap(), a.Port()))
	}
	if len(out) > 0 {
		return out, nil
	}
	if !bound.Addr().IsUnspecified() {
		return []netip.AddrPort{bound}, nil
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("transport: addresses of this host: %w", err)
	}
	for _, a := range addrs {
		network, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		ip, _ := netip.AddrFromSlice(network.IP)
		if ip = ip.Unmap(); ip.IsGlobalUnicast() && (ip.Is4() || bound.Addr().Is6()) {
			out = append(out, netip.AddrPortFrom(ip, bound.Port()))
		}
	}
	if len(out) == 0 {
		return nil, errors.New("transport: this host has no address to offer: name one")
	}
	return out, nil
}

func candidates(list []ice.Candidate) (out []api.Candidate) {
	for _, c := range list {
		out = append(out, api.Candidate{
			Foundation: c.Foundation, Protocol: c.Protocol, TCPType: c.TCPType, Priority: c.Priority, IP: c.Address, Port: c.Port, Type: c.Type,
		})
	}
	return out
}

// Addr returns the address of the port.
func (p *Port) Addr() netip.AddrPort { return p.socket.Addr() }

// Info returns what offers are made of. The caller does not change it.
func (p *Port) Info() Info { return p.info }

// Lent returns how many buffers of packets are held by those who retained them.
func (p *Port) Lent() int64 { return p.pool.Lent() }

// Run works until ctx ends, Close is called (both: nil) or a socket fails. Then all endpoints are closed.
func (p *Port) Run(ctx context.Context) error {
	p.runs.Lock()
	defer p.runs.Unlock()
	defer context.AfterFunc(ctx, p.stop)()
	failed := make(chan error, 2)
	go func() {
		err := p.socket.Run(context.Background(), p.handle) // shut ends it
		p.stop()
		failed <- err
	}()
	go func() {
		err := p.accept()
		p.stop()
		failed <- err
	}()
	p.tick()
	p.shut()
	err := errors.Join(<-failed, <-failed)
	p.tasks.Wait()
	return err
}

// Close closes the sockets and all endpoints and waits for Run and for every goroutine. It is not called from a Receiver.
func (p *Port) Close() error {
	p.stop()
	p.runs.Lock()
	defer p.runs.Unlock()
	p.shut()
	p.tasks.Wait()
	return nil
}

// shut closes everything, the sockets last, so that peers are told. It may be called again.
func (p *Port) shut() {
	if p.stop != nil {
		p.stop()
	}
	p.mu.Lock()
	p.closed = true
	var endpoints []*Endpoint
	for e := range p.endpoints {
		endpoints = append(endpoints, e)
	}
	var streams []*connection
	for _, c := range p.streams {
		streams = append(streams, c)
	}
	p.mu.Unlock()
	for _, e := range endpoints {
		e.Close()
	}
	for _, c := range streams {
		c.stream.Close()
	}
	if p.listener != nil {
		p.listener.Close()
	}
	p.socket.Close()
}
