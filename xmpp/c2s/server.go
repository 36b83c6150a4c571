// Package c2s serves clients: over TCP with STARTTLS, over direct TLS, over WebSocket and over BOSH (RFC 6120, RFC 7395,
// XEP-0124, XEP-0368). It negotiates, binds, keeps each client's queue, lets a client come back to its session (XEP-0198), and
// holds every peer to its budget (hardening HC rows). What a stanza means is the router's business.
//
// A session has one reader goroutine. What is queued for a client is written by whoever queued it, after the packets in
// hand are worked off and without waiting; only for a client that does not take it does a goroutine wait. So nothing
// blocks the router, and while nothing happens a session holds no buffer.
package c2s

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/event"
	"parley/internal/journal"
	"parley/internal/limit"
	"parley/xmpp/auth"
	"parley/xmpp/route"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// Config is what an administrator may set.
type Config struct {
	Domain   string      `help:"the host that clients log in to"`
	TLS      *tls.Config `kong:"-"` // nil: no TLS
	Insecure bool        `help:"allow logging in over TCP without TLS"`
	Origins  []string    `help:"origins of web pages that may connect by WebSocket; empty: the page's own host"`

	Before Budget `help:"what a peer may send before it has logged in"`
	After  Budget `help:"what a client may send"`

	OpenPerSource    int        `help:"connections of one source that are not logged in"`
	RatePerSource    limit.Rate `help:"new connections of one source"`
	SessionsPerUser  int        `help:"sessions of one account"`
	QueueStanzas     int        `help:"stanzas that wait for one client"`
	QueueBytes       int        `help:"bytes that wait for one client"`
	HandshakeTimeout time.Duration
	LoginTimeout     time.Duration `help:"from connecting to having logged in"`
	IdleTimeout      time.Duration `help:"silence after which a client is asked whether it is there"`
	AttendTimeout    time.Duration `help:"the same for a client that is in a room"`
	AnswerTimeout    time.Duration `help:"how long it may take to answer"`
	KeepAccount      time.Duration `help:"how long a session waits for its client to come back (XEP-0198)"`
	KeepGuest        time.Duration `help:"the same for guests"`
	MaxSessions      int           `help:"sessions of this process; 0: as many as file descriptors allow"`
	Caps             string        `kong:"-"` // the server's own entity capabilities element (XEP-0115)

}

// Defaults are the limits of hardening.md §1.
func Defaults() Config {
	return Config{
		Before: Budget{XML: wire.BeforeAuth, Bytes: limit.Rate{PerSecond: 16 << 10, Burst: 64 << 10}, Stanzas: limit.Rate{PerSecond: 10, Burst: 20}},
		After:  Budget{XML: wire.AfterAuth, Bytes: limit.Rate{PerSecond: 128 << 10, Burst: 512 << 10}, Stanzas: limit.Rate{PerSecond: 50, Burst: 300}},

		OpenPerSource: 100, RatePerSource: limit.Rate{PerSecond: 20, Burst: 100}, SessionsPerUser: 20,
		QueueStanzas: 2000, QueueBytes: 1 << 20,
		HandshakeTimeout: 10 * time.Second, LoginTimeout: 30 * time.Second,
		IdleTimeout: 5 * time.Minute, AttendTimeout: 30 * time.Second, AnswerTimeout: 30 * time.Second,
		KeepAccount: 300 * time.Second, KeepGuest: 60 * time.Second,
	}
}

// Unlimited lifts the rates and the counts per source and user, for load tests on loopback.
func (c *Config) Unlimited() {
	c.Before.Bytes, c.Before.Stanzas, c.After.Bytes, c.After.Stanzas = limit.Rate{}, limit.Rate{}, limit.Rate{}, limit.Rate{}
	c.OpenPerSource, c.RatePerSource, c.SessionsPerUser = 0, limit.Rate{}, 0
}

// Server serves the clients of one host.
type Server struct {
	cfg     Config
	direct  *tls.Config // cfg.TLS of connections that begin with TLS: with the protocol's name (XEP-0368 §5)
	router  *route.Router
	auth    *auth.Server
	rec     *event.Recorder
	log     *slog.Logger
	sources *limit.Sources[netip.Addr]
	full    func() bool // the process is near its limits (HC3)
	inlines []inline
	archive func(wire.Addr) string // see DescribeArchive; may be nil

	registrar Registrar // may be nil
	absence   Absence   // may be nil

	journal  *journal.Journal // nil: sessions end with the process
	part     *journal.Part
	refs     atomic.Uint64 // names of sessions in the journal
	restored restoration   // while the journal is replayed

	group     sync.WaitGroup // readers and the sweep
	lastWords time.Duration  // that a client may take for what waits for it when the server stops

	mu       sync.Mutex // guards what follows
	closing  bool
	returns  int            // negotiations of a full process, see mayReturn
	links    map[*link]bool // not bound yet; true: counted against their source
	sessions map[*Session]struct{}
	users    map[wire.Addr]int   // sessions per account
	resumes  map[string]*Session // by XEP-0198 id
	bosh     map[string]*bodies  // by sid
}

// New returns a server; listeners are given to Serve, WebSockets to ServeHTTP. Full reports that the process is near its
// limits, so that no new stream is taken; it may be nil.
func New(cfg Config, router *route.Router, a *auth.Server, rec *event.Recorder, log *slog.Logger, full func() bool) *Server {
	if full == nil {
		full = func() bool { return false }
	}
	direct := cfg.TLS.Clone()
	if direct != nil {
		direct.NextProtos = []string{"xmpp-client"}
	}
	return &Server{
		cfg: cfg, direct: direct, router: router, auth: a, rec: rec, log: log, full: full,
		sources: limit.NewSources[netip.Addr](cfg.OpenPerSource, cfg.RatePerSource, 1<<16),
		links:   make(map[*link]bool), sessions: make(map[*Session]struct{}),
		users: make(map[wire.Addr]int), resumes: make(map[string]*Session), bosh: make(map[string]*bodies),
		lastWords: time.Second,
	}
}

// Serve accepts connections until the listener is closed; direct says that they begin with TLS (XEP-0368).
func (srv *Server) Serve(l net.Listener, direct bool) error {
	for {
		nc, err := l.Accept()
		if err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				continue
			}
			return err
		}
		srv.accept(nc, direct)
	}
}

func (srv *Server) accept(nc net.Conn, direct bool) {
	remote, source, ok := srv.admit(nc.RemoteAddr())
	if !ok {
		nc.Close()
		return
	}
	low, err := newConn(nc)
	if err != nil {
		srv.sources.Close(source)
		nc.Close()
		return
	}
	nc = low
	if direct {
		nc = low.startTLS(srv.direct)
	}
	l, err := newLink(srv, nc, false, remote)
	if err != nil || !srv.begin(l) {
		srv.sources.Close(source)
		low.Close()
		return
	}
	go l.start(URL{}, direct)
}

// admit counts a new connection against its source (HC2).
func (srv *Server) admit(a net.Addr) (remote, source netip.Addr, ok bool) {
	if ap, err := netip.ParseAddrPort(a.String()); err == nil {
		remote = ap.Addr().Unmap()
	}
	source = limit.Source(remote)
	if !srv.sources.Open(source, time.Now()) {
		srv.rec.Reject("limit.conn", source.String())
		return remote, source, false
	}
	return remote, source, true
}

// begin enters a connection; false if the server is closing.
func (srv *Server) begin(l *link) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.closing {
		return false
	}
	srv.links[l] = true
	srv.group.Add(1)
	return true
}

// authenticated takes a connection out of the count of its source.
func (srv *Server) authenticated(l *link) {
	srv.mu.Lock()
	counted := srv.links[l]
	if counted {
		srv.links[l] = false
	}
	srv.mu.Unlock()
	if counted {
		srv.sources.Close(l.source)
	}
}

// negotiated forgets a connection that has a session now, or has ended.
func (srv *Server) negotiated(l *link) {
	srv.authenticated(l)
	srv.mu.Lock()
	delete(srv.links, l)
	srv.mu.Unlock()
}

// start negotiates and goes on with a goroutine whose stack is small again.
func (l *link) start(url URL, direct bool) {
	srv := l.srv
	defer srv.group.Done()
	defer srv.negotiated(l)
	defer func() {
		if r := recover(); r != nil {
			srv.log.Error("panic in a negotiation", "remote", l.remote, "err", r)
			l.fail(errInternal)
		}
	}()
	l.low.SetReadDeadline(srv.loginDeadline(l.now))
	n := &negotiation{link: l, url: url, secure: l.in.tls != nil && l.ws || l.bosh != nil && l.bosh.secure}
	if srv.full() {
		if !srv.mayReturn() {
			srv.rec.Reject("limit.process", l.source.String())
			if !direct {
				l.fail(errFull)
			}
			l.low.Close()
			return
		}
		defer srv.returned()
		n.returns = true
	}
	s, err := n.run()
	if err != nil {
		if err != errClosedQuietly {
			l.fail(err)
		}
		return
	}
	l.low.SetReadDeadline(time.Time{})
	l.low.setAsync()
	srv.group.Add(1)
	go l.serve(s)
}

// mostReturns is how many connections at once may try to come back to a session while the process is full (hardening
// HC3). What they come for is known when they have logged in, so they take descriptors that are left for that.
const mostReturns = 16

// mayReturn admits a connection to a full process, if there is a session to come back to.
func (srv *Server) mayReturn() bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if len(srv.resumes) == 0 || srv.returns >= mostReturns {
		return false
	}
	srv.returns++
	return true
}

func (srv *Server) returned() {
	srv.mu.Lock()
	srv.returns--
	srv.mu.Unlock()
}

func (srv *Server) loginDeadline(from time.Time) time.Time { return from.Add(srv.cfg.LoginTimeout) }

// add enters a new session and takes over the address from an older session of the same user (RFC 6120 §7.7.2.2).
func (srv *Server) add(s *Session) *wire.Error {
	bare := s.addr.Bare()
	for {
		srv.mu.Lock()
		switch {
		case srv.closing:
			srv.mu.Unlock()
			return &wire.Error{Type: mstanza.Wait, Condition: mstanza.ServiceUnavailable, Text: "the server is going down"}
		case !s.guest && srv.cfg.SessionsPerUser > 0 && srv.users[bare] >= srv.cfg.SessionsPerUser && srv.router.Find(s.addr) == nil:
			srv.mu.Unlock()
			srv.rec.Reject("limit.sessions", string(bare))
			return &wire.Error{Type: mstanza.Wait, Condition: mstanza.ResourceConstraint, Text: "too many sessions of this account"}
		}
		old := srv.router.Bind(s)
		if old == nil {
			srv.sessions[s] = struct{}{}
			if !s.guest {
				srv.users[bare]++
			}
			srv.mu.Unlock()
			return nil
		}
		srv.mu.Unlock()
		if o, ok := old.(*Session); ok {
			o.end(errReplaced, false) // HA7
			continue
		}
		return &wire.Error{Type: mstanza.Modify, Condition: mstanza.Conflict, Text: "the address is taken"}
	}
}

// remove takes a session out of the tables.
func (srv *Server) remove(s *Session) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	delete(srv.sessions, s)
	if s.sm != nil {
		delete(srv.resumes, s.sm.id)
	}
	if bare := s.addr.Bare(); !s.guest {
		if srv.users[bare]--; srv.users[bare] <= 0 {
			delete(srv.users, bare)
		}
	}
}

func (srv *Server) remember(id string, s *Session) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if _, live := srv.sessions[s]; live {
		srv.resumes[id] = s
	}
}

func (srv *Server) recall(id string) *Session {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.resumes[id]
}

// Sessions returns how many clients are bound and how many of them are away.
func (srv *Server) Sessions() (bound, away int) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for s := range srv.sessions {
		bound++
		if s.current() == nil {
			away++
		}
	}
	return bound, away
}

// Revoke ends all sessions of an account, whose password changed or that was disabled (HA8). When it returns they do not come
// back, not even if the process is killed.
func (srv *Server) Revoke(bare wire.Addr) { srv.RevokeOthers(bare, "") }

// End ends the sessions of a bare address, or the one of a full address, as an administrator wishes. They may log in again.
func (srv *Server) End(addr wire.Addr) {
	for _, s := range srv.all() {
		if !s.guest && (s.addr == addr || s.addr.Bare() == addr) {
			s.end(errEnded, false)
		}
	}
}

func (srv *Server) all() []*Session {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	list := make([]*Session, 0, len(srv.sessions))
	for s := range srv.sessions {
		list = append(list, s)
	}
	return list
}

// Run sweeps until ctx ends: idle clients are asked whether they are there, absent ones are given up.
func (srv *Server) Run(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			for _, s := range srv.all() {
				s.sweep(now)
			}
		}
	}
}

// Close ends all streams with system-shutdown, when their clients have been told what waits for them, and waits for their goroutines, at
// most until ctx ends.
func (srv *Server) Close(ctx context.Context) error {
	srv.mu.Lock()
	srv.closing = true
	links := maps.Clone(srv.links)
	srv.mu.Unlock()
	var closers sync.WaitGroup
	for _, s := range srv.all() {
		delete(links, s.current()) // it has just been bound
		closers.Go(func() {
			s.finish(srv.lastWords)
			s.end(errShutdown, false)
		})
	}
	for l := range links {
		closers.Go(func() { l.fail(errShutdown) })
	}
	done := make(chan struct{})
	go func() {
		closers.Wait()
		srv.group.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leaf returns the certificate that a connection was shown: which one depends on the name that the client asked for.
func (srv *Server) leaf(state *tls.ConnectionState) *x509.Certificate {
	if srv.cfg.TLS.GetCertificate == nil {
		return nil
	}
	cert, err := srv.cfg.TLS.GetCertificate(&tls.ClientHelloInfo{ServerName: state.ServerName, SupportedVersions: []uint16{state.Version}})
	if err != nil || cert == nil {
		return nil
	}
	if cert.Leaf == nil {
		leaf, _ := x509.ParseCertificate(cert.Certificate[0])
		return leaf
	}
	return cert.Leaf
}

// ping asks a client whether it is there (XEP-0199 §4.2).
func (srv *Server) ping() wire.Stanza {
	return wire.Stanza{Kind: wire.IQ, Tail: append(wire.AppendAttr(wire.AppendAttr(nil, "from", srv.cfg.Domain), "id", rand.Text()),
		" type='get'><ping xmlns='urn:xmpp:ping'/></iq>"...)}
}
