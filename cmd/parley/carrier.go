package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"parley/bridge"
	"parley/bridge/channel"
	bice "parley/bridge/ice"
	"parley/bridge/link"
	"parley/bridge/transport"
	"parley/bridge/udp"
	"parley/internal/config"
	"parley/internal/event"
	"parley/internal/proxied"
	"parley/turn"
)

// carrier is what a bridge process carries: the media port, the relay, and the connection of the server that says what is
// wished. With serve --single-process it lives in the server.
type carrier struct {
	id       string // another one at each start
	setup    setup  // with the ports that were bound
	data     string
	log      *slog.Logger
	level    *slog.LevelVar // nil: not ours
	events   *event.Recorder
	registry *prometheus.Registry

	home     *link.Home
	port     *transport.Port // nil: no media
	channels *channel.Server
	legs     *legs
	bridge   *bridge.Bridge
	turn     *turn.Server // nil: no relay
	cert     *certificate // nil: no turns
	server   *link.Server
	stress   gauge // as it was told last
}

const bridgeCertFile = "bridge-cert.pem"

// openCarrier takes the data directory's place of the bridge and binds all listeners, or none.
func openCarrier(data string, s setup, log *slog.Logger, level *slog.LevelVar) (_ *carrier, err error) {
	c := &carrier{id: bridgeID(s.Name), setup: s.clone(), data: data, log: log, level: level, registry: prometheus.NewRegistry()}
	c.events = event.New(log, c.registry, s.Log.Redact)
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	if c.home, err = link.Open(data, c.id); err != nil {
		return nil, err
	}
	c.channels = channel.NewServer(channel.Config{Bridge: c.id, Version: version(), Rate: channel.DefaultRate, Events: c.events})
	if err = c.listenMedia(); err != nil {
		return nil, err
	}
	c.legs = newLegs(c.port, c.channels, c.events)
	c.bridge = bridge.New(bridge.Config{Transports: c.legs, Recorder: c.events, Taken: c.taken, Relayed: c.relayed})
	if err = c.listenRelay(); err != nil {
		return nil, err
	}
	c.registry.MustRegister(traffic{c})
	c.server = link.NewServer(&core{c.bridge, c}, link.ServerConfig{Bridge: c.id, Version: version(), Log: log, Events: c.events})
	return c, c.home.Announce(c.setup.announced())
}

// taken counts what the media port has taken in, and what it had no room for.
func (c *carrier) taken() bridge.Carried {
	if c.port == nil {
		return bridge.Carried{}
	}
	s := c.port.Stats()
	return bridge.Carried{Taken: s.Received, Dropped: s.Overflow}
}

// relayed is what our relay did for a client that comes over it.
func (c *carrier) relayed(e *bridge.Endpoint) (r bridge.Relayed, ok bool) {
	if c.turn == nil {
		return r, false
	}
	at, ok := c.legs.remote(e)
	if !ok {
		return r, false
	}
	w, ok := c.turn.Way(at)
	return bridge.Relayed{Up: bridge.Carried(w.Up), Down: bridge.Carried(w.Down), Door: bridge.Carried(w.Door)}, ok
}

// listenMedia binds the media listener, if there is one.
func (c *carrier) listenMedia() error {
	if len(c.setup.Media) == 0 {
		return nil
	}
	l := &c.setup.Media[0]
	cert, err := bridgeCertificate(c.data)
	if err != nil {
		return err
	}
	for _, host := range hosts(l.Host) {
		address := netip.AddrPortFrom(host, l.Port)
		c.port, err = transport.Listen(transport.Config{
			Address: address, Advertise: advertise(c.setup.Advertise, host), TCP: c.setup.TCP, Certificate: cert, Policy: candidatePolicy(host, c.setup),
			Socket: udp.Config{Warn: func(s udp.Shortage) {
				c.log.Warn("the kernel gives smaller buffers to the media", "shortage", s)
			}},
			Events: c.events,
		})
		if !errors.Is(err, syscall.EAFNOSUPPORT) {
			break
		}
	}
	if err != nil {
		network := "udp"
		if op := (*net.OpError)(nil); errors.As(err, &op) && len(op.Net) >= 3 {
			network = op.Net[:3]
		}
		return unbound(*l, network, err)
	}
	l.Port = c.port.Addr().Port()
	c.log.Info("the bridge carries media", "addr", c.port.Addr().String(), "pid", os.Getpid())
	return nil
}

// hosts are the addresses to bind for the host of a listener, the next one where the machine does not know the family of
// the former.
func hosts(host string) []netip.Addr {
	switch host {
	case "":
		return []netip.Addr{netip.IPv6Unspecified(), netip.IPv4Unspecified()}
	case "localhost":
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	}
	return []netip.Addr{netip.MustParseAddr(host)}
}

// advertise are the addresses that clients are told to send media to at a socket of that host. Without any they are found.
func advertise(list []netip.Addr, host netip.Addr) (out []netip.AddrPort) {
	for _, a := range list {
		if a.Is4() == host.Is4() || host == netip.IPv6Unspecified() {
			out = append(out, netip.AddrPortFrom(a, 0))
		}
	}
	return out
}

// candidatePolicy lets the bridge check candidates of clients at addresses that are like its own, and of its own the relays
// alone. On loopback, where nobody comes from elsewhere, clients have the same address.
func candidatePolicy(host netip.Addr, s setup) bice.Policy {
	like := append(slices.Clone(s.Advertise), host)
	if host.IsUnspecified() && len(s.Advertise) == 0 {
		like = interfaceAddresses()
	}
	p := bice.Policy{AllowLoopback: host.IsLoopback(), AllowPrivate: slices.ContainsFunc(like, netip.Addr.IsPrivate)}
	for _, a := range append(like, interfaceAddresses()...) {
		if a = a.Unmap(); !a.IsUnspecified() && !a.IsLoopback() {
			p.Own = append(p.Own, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	if len(s.Relay) > 0 {
		p.OwnPorts = [2]uint16{s.TURN.RelayPorts.First, s.TURN.RelayPorts.Last}
	}
	return p
}

// listenRelay binds the listeners of the relay, if there are any, and starts it.
func (c *carrier) listenRelay() (err error) {
	if len(c.setup.Relay) == 0 {
		return nil
	}
	if c.setup.Certificate != "" {
		if c.cert, err = openCertificate(c.setup.Certificate, c.setup.Key, c.log); err != nil {
			return err
		}
	}
	listeners, err := listen(c.setup.Relay)
	if err != nil {
		return err
	}
	var l turn.Listeners
	for i, b := range listeners {
		c.setup.Relay[i].Port = b.at.Port()
		stream := net.Listener(&patient{b.stream, func() { c.events.Hurt("limit.process", b.String(), "text", "a connection could not be accepted") }})
		if b.Proxy {
			stream = proxied.Listen(stream, c.setup.Balancers, c.events)
		}
		switch b.Scheme {
		case "turn":
			l.Packets = append(l.Packets, b.packet)
		case "turns":
			stream = tlsListener(stream, c.cert)
		}
		l.Streams = append(l.Streams, stream)
	}
	cfg := c.setup.TURN
	if c.port != nil { // clients that are relayed reach the bridge by its own address
		cfg.PeerPorts = append(slices.Clone(cfg.PeerPorts), turn.PortRange{First: c.port.Addr().Port(), Last: c.port.Addr().Port()})
	}
	if c.turn, err = turn.New(cfg, l, c.events, c.registry); err != nil {
		for _, stream := range l.Streams {
			stream.Close()
		}
		for _, b := range listeners {
			b.close()
		}
	}
	return err
}

// Run carries until the context ends, or until no server has come for too long, which is no error either.
func (c *carrier) Run(ctx context.Context) error {
	parts := []func(context.Context) error{
		c.bridge.Run,
		c.tellStress,
		func(ctx context.Context) error { return c.home.ServeHTTP(ctx, http.HandlerFunc(c.answer), c.events) },
		func(ctx context.Context) error { return c.home.ServeChannels(ctx, c.channels, c.events) },
		func(ctx context.Context) error { return c.server.Run(ctx, c.home.Listener()) },
	}
	if c.port != nil {
		parts = append(parts, c.port.Run)
	}
	if c.cert != nil {
		parts = append(parts, func(ctx context.Context) error { c.cert.watch(ctx); return nil })
	}
	if err := together(ctx, parts...); !errors.Is(err, link.ErrAlone) {
		return err
	}
	return nil
}

// answer answers the server: bridge channels of clients that it is a proxy of, our metrics, whom the relay carries, and the figures of conferences.
func (c *carrier) answer(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path { // the server hands on paths of channels alone
	case samplesPath:
		writeSamples(w, c.id, c.registry)
		return
	case relayedPath:
		writeRelayed(w, c.turn)
		return
	case figuresPath:
		writeFigures(w, r, c.bridge)
		return
	}
	c.channels.ServeHTTP(w, r)
}

// Close ends what runs and leaves the place.
func (c *carrier) Close() error {
	var errs []error
	if c.turn != nil {
		errs = append(errs, c.turn.Close())
	}
	if c.channels != nil {
		c.channels.Close()
	}
	if c.port != nil {
		errs = append(errs, c.port.Close())
	}
	if c.home != nil {
		errs = append(errs, c.home.Close())
	}
	return errors.Join(errs...)
}

// reload reads again what may change while the bridge runs: the level of the log, and the certificate.
func (c *carrier) reload() {
	if c.level != nil {
		if s, err := readSetup(filepath.Join(c.data, setupFile)); err == nil {
			c.level.Set(slog.Level(s.Log.Level))
		}
	}
	if c.cert != nil {
		c.cert.lookNow()
	}
}

// together runs all until the first one returns, then ends the others, and returns the first one's error.
func together(ctx context.Context, parts ...func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var group sync.WaitGroup
	ended := make(chan error, len(parts))
	for _, run := range parts {
		group.Go(func() {
			err := run(ctx)
			cancel()
			ended <- err
		})
	}
	group.Wait()
	return <-ended
}

// bridgeCertificate returns the one of DTLS, which is made once and stays, so that clients find the same fingerprint after
// a restart.
func bridgeCertificate(data string) ([]byte, error) {
	name := filepath.Join(data, bridgeCertFile)
	text, err := os.ReadFile(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return text, err
	}
	if text, err = transport.NewCertificate(time.Now()); err != nil {
		return nil, err
	}
	return text, writeFile(name, text, 0o600)
}

// listenerOf is the media listener at an address.
func listenerOf(a netip.AddrPort) (config.Listener, error) {
	if !a.IsValid() || a.Addr().Zone() != "" {
		return config.Listener{}, fmt.Errorf("%v is no address to listen at", a)
	}
	return config.Listener{Scheme: "media", Host: a.Addr().Unmap().String(), Port: a.Port()}, nil
}

// bridgeID is random, behind the name of the node if it has one.
func bridgeID(name string) string {
	if name == "" {
		return rand.Text()
	}
	return name + "." + rand.Text()
}
