// Package component lets programs serve domains of their own behind the server (XEP-0114): gateways, bots, services. A component
// connects, proves that it knows its domain's secret, and from then on sends stanzas in the name of every address of the domain and
// gets all that are for them. There is one stream a domain; a second one is refused.
//
// What a component is sent waits in a bounded queue. While it is away, or does not read, stanzas are answered with
// remote-server-timeout or resource-constraint, and so are those that it had not been written when it went. The protocol has no
// acknowledgements: what was written just before a stream broke may be lost. The stream is not encrypted; beyond this machine it
// needs a tunnel.
package component

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"parley/internal/event"
	"parley/internal/limit"
	"parley/xmpp/route"
	"parley/xmpp/wire"

	mstream "mellium.im/xmpp/stream"
)

// NS is the content namespace of the streams.
const NS = "jabber:component:accept"

// Config is what an administrator says of one component.
type Config struct {
	Domain string `help:"the component's domain, such as irc.example.org"`
	Secret string `help:"what the component proves to know, at least 16 characters"`
}

// shortestSecret bounds guessing.
const shortestSecret = 16

// Check says what is wrong with the components of a server whose own domains are given.
func Check(list []Config, own ...string) error {
	var errs []error
	seen := make(map[string]bool)
	for _, d := range own {
		seen[d] = true
	}
	for _, c := range list {
		a, err := wire.ParseAddr(c.Domain)
		switch {
		case err != nil || string(a) != c.Domain || a.Domain() != c.Domain:
			errs = append(errs, fmt.Errorf("config: component: domain = %q is not a domain name in lower case", c.Domain))
		case seen[c.Domain]:
			errs = append(errs, fmt.Errorf("config: component: the domain %s is served already", c.Domain))
		case len(c.Secret) < shortestSecret:
			errs = append(errs, fmt.Errorf("config: component: the secret of %s has %d characters and needs %d", c.Domain, len(c.Secret), shortestSecret))
		}
		seen[c.Domain] = true
	}
	return errors.Join(errs...)
}

// Bounds of streams.
const (
	handshakeTime = 10 * time.Second // for header and handshake
	writeTime     = 60 * time.Second // that a component may keep us from writing
	queueBytes    = 8 << 20          // that wait for one component
	queueStanzas  = 20_000
	openPerSource = 64              // connections of one source
	penalty       = 2 * time.Second // before a wrong handshake is answered
	mostVisitors  = 50_000          // addresses of one component that are looked after in rooms
)

var (
	perSource = limit.Rate{PerSecond: 1, Burst: 32}          // connections of one source
	pace      = limit.Rate{PerSecond: 10_000, Burst: 20_000} // stanzas of one component; what comes faster is read later
)

// Server has the components. It is safe for concurrent use.
type Server struct {
	router  *route.Router
	rec     *event.Recorder
	log     *slog.Logger
	seats   map[string]*seat
	sources *limit.Sources[netip.Addr]
	penalty time.Duration
	pace    limit.Rate

	mu      sync.Mutex // guards what follows
	closing bool
	streams map[*stream]struct{}
	group   sync.WaitGroup
}

// New returns a server whose components' domains are the router's from now on. Rec may be nil.
func New(list []Config, router *route.Router, rec *event.Recorder, log *slog.Logger) *Server {
	s := &Server{
		router: router, rec: rec, log: log, seats: make(map[string]*seat), penalty: penalty, pace: pace, streams: make(map[*stream]struct{}),
		sources: limit.NewSources[netip.Addr](openPerSource, perSource, 1<<12),
	}
	for _, c := range list {
		seat := &seat{srv: s, cfg: c, domain: wire.Addr(c.Domain)}
		s.seats[c.Domain] = seat
		router.Serve(c.Domain, seat)
	}
	return s
}

// Connected returns how many components are.
func (s *Server) Connected() (n int) {
	for _, seat := range s.seats {
		if seat.current() != nil {
			n++
		}
	}
	return n
}

// Serve accepts connections until the listener is closed.
func (s *Server) Serve(l net.Listener) error {
	for {
		nc, err := l.Accept()
		if err != nil {
			return err
		}
		s.accept(nc)
	}
}

func (s *Server) accept(nc net.Conn) {
	source := netip.Addr{}
	if ap, err := netip.ParseAddrPort(nc.RemoteAddr().String()); err == nil {
		source = limit.Source(ap.Addr())
	}
	if !s.sources.Open(source, time.Now()) {
		s.rec.Reject("limit.component", source.String())
		nc.Close()
		return
	}
	st := newStream(s, nc, source)
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		s.sources.Close(source)
		nc.Close()
		return
	}
	s.streams[st] = struct{}{}
	s.group.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.group.Done()
		st.run()
		s.sources.Close(source)
		s.mu.Lock()
		delete(s.streams, st)
		s.mu.Unlock()
	}()
}

// Close ends all streams and waits for their goroutines. The listeners are closed before.
func (s *Server) Close() {
	s.mu.Lock()
	s.closing = true
	var all []*stream
	for st := range s.streams {
		all = append(all, st)
	}
	s.mu.Unlock()
	for _, st := range all {
		st.stop(errShutdown)
	}
	s.group.Wait()
}

func violation(condition mstream.Error, event, text string) *wire.Violation {
	return &wire.Violation{Condition: condition.Err, Event: event, Text: text}
}

var (
	errNamespace = violation(mstream.InvalidNamespace, "component.header", "the content namespace is "+NS)
	errHost      = violation(mstream.HostUnknown, "component.header", "there is no such component")
	errSecret    = violation(mstream.NotAuthorized, "component.secret", "the handshake is wrong")
	errConflict  = violation(mstream.Conflict, "component.conflict", "the component is connected already")
	errExpected  = violation(mstream.NotAuthorized, "component.header", "a handshake is expected")
	errFrom      = violation(mstream.InvalidFrom, "component.from", "the sender is an address of the component's domain")
	errElement   = violation(mstream.UnsupportedStanzaType, "xml.sequence", "stanzas are expected")
	errTimeout   = violation(mstream.ConnectionTimeout, "conn.timeout", "the handshake did not come in time")
	errShutdown  = violation(mstream.SystemShutdown, "", "the server is going down")
	errInternal  = violation(mstream.InternalServerError, "panic", "something went wrong here")
)
