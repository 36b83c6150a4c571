package s2s

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"hash/maphash"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"parley/internal/event"
	"parley/internal/limit"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// Parts is what a server is made of.
type Parts struct {
	Domains  []string // ours that other servers reach, the first the server's own
	Router   *route.Router
	TLS      *tls.Config // what our listeners show
	Secret   []byte      // dialback keys are made with it
	Resolver Resolver    // nil: no server is reached but those in Config.Hosts
	Recorder *event.Recorder
	Log      *slog.Logger
	Full     func() bool // the process is near its limits, so that no new stream is taken; may be nil
}

// Server is the route.Remote of this server. It is safe for concurrent use.
type Server struct {
	cfg      Config
	local    map[string]string // our domains, by themselves
	first    string
	router   *route.Router
	tls      *tls.Config
	secret   []byte
	resolver Resolver
	roots    *x509.CertPool
	hosts    map[string]Host
	rec      *event.Recorder
	log      *slog.Logger
	tooFull  func() bool
	seed     maphash.Seed
	began    time.Time
	journal  func()        // writes down what was done, before another server hears of it
	linger   time.Duration // how long who is told of an end may take to read it
	token    string        // what our pings and probes are known by
	sources  *limit.Sources[netip.Addr]
	dials    chan struct{} // one for each connection that is being opened
	checks   chan struct{} // one for each key that is being checked
	lists    atomic.Pointer[lists]
	numbers  atomic.Uint64 // of streams
	pings    sync.Map      // of Ping that wait: chan error by id

	ctx    context.Context // ends when the server closes
	cancel context.CancelFunc
	group  sync.WaitGroup // readers and those who connect

	mu        sync.RWMutex // guards what follows
	closing   bool
	streams   map[uint64]*stream
	counted   map[uint64]netip.Addr // streams that count against their source
	domains   map[string]int        // streams to us of a domain
	outbounds map[pair]*outbound
	resumable map[string]resumable // streams that others opened, by the ids by which they are resumed
	pending   map[netip.Addr]int   // keys of a source that are being checked
}

// New returns a server; listeners are given to Serve.
func New(cfg Config, p Parts) (*Server, error) {
	roots, err := authorities(cfg.Roots)
	if err != nil {
		return nil, err
	}
	if p.Full == nil {
		p.Full = func() bool { return false }
	}
	shown := p.TLS.Clone()
	shown.ClientAuth = tls.RequestClientCert
	shown.SessionTicketsDisabled = true // streams live long, and who resumes shows no certificate
	shown.NextProtos = []string{"xmpp-server"}
	srv := &Server{
		cfg: cfg, local: make(map[string]string), first: p.Domains[0], router: p.Router, tls: shown, secret: dialbackSecret(p.Secret),
		resolver: p.Resolver, roots: roots, hosts: make(map[string]Host), rec: p.Recorder, log: p.Log, tooFull: p.Full,
		seed: maphash.MakeSeed(), began: time.Now(), journal: nothing, linger: time.Second, token: rand.Text() + "-",
		sources: limit.NewSources[netip.Addr](cfg.OpenPerSource, cfg.RatePerSource, 1<<16),
		dials:   make(chan struct{}, cfg.Dials), checks: make(chan struct{}, cfg.Dials),
		streams: make(map[uint64]*stream), counted: make(map[uint64]netip.Addr), domains: make(map[string]int),
		outbounds: make(map[pair]*outbound), resumable: make(map[string]resumable), pending: make(map[netip.Addr]int),
	}
	for _, d := range p.Domains {
		srv.local[d] = d
	}
	for _, h := range cfg.Hosts {
		srv.hosts[h.Domain] = h
	}
	srv.lists.Store(&lists{cfg.Allow, cfg.Block})
	srv.ctx, srv.cancel = context.WithCancel(context.Background())
	return srv, nil
}

// Journal has flush called before anything is written to another server: what that was told is then known to the process that comes
// after this one, should it be killed. It is called before the first stream.
func (srv *Server) Journal(flush func()) { srv.journal = flush }

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
	if direct {
		nc = tls.Server(nc, srv.tls)
	}
	s := newStream(srv, nc, false)
	s.secure = false // not before the handshake
	if !srv.sources.Open(s.source, time.Now()) {
		srv.rec.Reject("limit.s2s", s.source.String(), "text", "too many connections")
		s.tcp.Close()
		return
	}
	srv.mu.Lock()
	if srv.closing {
		srv.mu.Unlock()
		srv.sources.Close(s.source)
		s.tcp.Close()
		return
	}
	srv.streams[s.number], srv.counted[s.number] = s, s.source
	srv.group.Add(1)
	srv.mu.Unlock()
	go func() {
		defer srv.group.Done()
		s.serve(func() error {
			if srv.tooFull() {
				return errFull
			}
			return s.greet()
		})
	}()
}

// enter takes a stream in that we opened; false: the server is closing.
func (srv *Server) enter(s *stream) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.closing {
		return false
	}
	srv.streams[s.number] = s
	return true
}

// trust notes that a stream may speak for a domain, or says why it may not. Then it does not count against its source any
// more.
func (srv *Server) trust(s *stream, domain string) (why string) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	trusted := *s.trusted.Load()
	switch most := srv.cfg.StreamsPerDomain; {
	case slices.Contains(trusted, domain):
		return ""
	case !srv.admits(domain):
		return "the domain is blocked"
	case len(trusted) >= mostTrusted:
		return "too many domains over one stream"
	case s.initiated:
	case srv.streams[s.number] == nil:
		return "the stream has ended"
	case most > 0 && srv.domains[domain] >= most:
		return "too many streams of one domain"
	default:
		srv.domains[domain]++
		srv.releaseLocked(s)
	}
	s.trusted.Store(new(append(slices.Clone(trusted), domain)))
	return ""
}

func (srv *Server) releaseLocked(s *stream) {
	if source, counted := srv.counted[s.number]; counted {
		delete(srv.counted, s.number)
		srv.sources.Close(source)
	}
}

// forget takes a stream out.
func (srv *Server) forget(s *stream) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	delete(srv.streams, s.number)
	srv.releaseLocked(s)
	if s.initiated {
		return
	}
	for _, d := range *s.trusted.Load() {
		if srv.domains[d]--; srv.domains[d] <= 0 {
			delete(srv.domains, d)
		}
	}
}

// spawn runs f in a goroutine that Close waits for; false: the server is closing.
func (srv *Server) spawn(f func()) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.closing {
		return false
	}
	srv.group.Go(f)
	return true
}

// checking counts keys that are being checked; false: the source has too many.
func (srv *Server) checking(source netip.Addr, n int) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if n > 0 && srv.pending[source] >= srv.cfg.ChecksPerSource {
		return false
	}
	if srv.pending[source] += n; srv.pending[source] <= 0 {
		delete(srv.pending, source)
	}
	return true
}

// admits reports that we federate with a domain.
func (srv *Server) admits(domain string) bool { return srv.lists.Load().admits(domain) }

// SetLists changes whom we federate with. Streams with domains that are not admitted any more end.
func (srv *Server) SetLists(allow, block []string) {
	l := &lists{slices.Clone(allow), slices.Clone(block)}
	srv.lists.Store(l)
	for _, s := range srv.all() {
		refused := slices.ContainsFunc(*s.trusted.Load(), func(d string) bool { return !l.admits(d) })
		s.mu.Lock()
		for _, o := range s.outbounds {
			refused = refused || !l.admits(o.pair.remote)
		}
		s.mu.Unlock()
		if refused {
			s.stop(errBlocked)
		}
	}
}

// Streams returns how many streams there are that we opened, and that others did.
func (srv *Server) Streams() (ours, theirs int) {
	for _, s := range srv.all() {
		if s.initiated {
			ours++
		} else {
			theirs++
		}
	}
	return ours, theirs
}

func (srv *Server) all() []*stream {
	srv.mu.RLock()
	defer srv.mu.RUnlock()
	return slices.Collect(maps.Values(srv.streams))
}

// find returns an outbound if it is there.
func (srv *Server) find(p pair) *outbound {
	srv.mu.RLock()
	defer srv.mu.RUnlock()
	return srv.outbounds[p]
}

// outbound returns the outbound of two domains, or why there cannot be one.
func (srv *Server) outbound(p pair) (*outbound, *wire.Error) {
	if !srv.admits(p.remote) {
		return nil, errListed
	}
	if o := srv.find(p); o != nil {
		return o, nil
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	o := srv.outbounds[p]
	switch {
	case o != nil:
		return o, nil
	case len(srv.outbounds) >= srv.cfg.Domains:
		return nil, errLoaded
	}
	o = &outbound{srv: srv, pair: p, used: time.Now()}
	srv.outbounds[p] = o
	return o, nil
}

// attach has a stream carry what goes between two domains, unless another one does. One that the peer opened waits with that while
// the peer may resume another.
func (srv *Server) attach(p pair, s *stream) {
	if !srv.attached(p, s, false) {
		s.mu.Lock()
		s.later = append(s.later, p)
		s.mu.Unlock()
		s.delays.Store(true)
	}
}

// attached is attach, and reports that there is nothing to wait for. settled says that the peer does not resume another stream.
func (srv *Server) attached(p pair, s *stream, settled bool) bool {
	for {
		o, why := srv.outbound(p)
		if why != nil {
			return true
		}
		switch c := o.resumes(); {
		case c == nil && !o.carry(s):
			return true
		case c == nil: // once more
		case !s.initiated && (c.initiated || !settled):
			return false
		case !c.giveUp():
			return true // another stream takes it
		}
	}
}

// clock is a time as one that does not jump (hardening.md HF10).
func (srv *Server) clock(t time.Time) int64 { return int64(t.Sub(srv.began)) }

// Handle implements route.Service for what our people send to other servers.
func (srv *Server) Handle(b *wire.Batch, from route.Sender, to wire.Addr, p *wire.Packet) {
	if from.Guest() {
		route.Refuse(b, from, p, to, errGuest)
		return
	}
	srv.Deliver(b, to, p.Stanza(from.Addr()))
}

// nsClient is what a child of a stanza may name.
var nsClient = []byte(wire.NSClient)

// Deliver implements route.Remote.
func (srv *Server) Deliver(b *wire.Batch, to wire.Addr, st wire.Stanza) {
	local, ours := srv.local[string(senderDomain(st.Tail))]
	if !ours {
		srv.rec.Count("s2s.unaddressed") // nobody at another server could answer
		return
	}
	e := entry{to: to, kind: st.Kind, tail: st.Tail}
	for {
		o, why := srv.outbound(pair{local, to.Domain()})
		if why == nil {
			e.o = o
			if st.Kind == wire.Presence && o.attending.Load() > 0 {
				o.shown(to, st.Tail)
			}
			var retry bool
			if why, retry = o.deliver(b, e); retry {
				continue
			}
		}
		if why != nil {
			if why == errLoaded {
				srv.rec.Reject("limit.s2s", e.to.Domain(), "text", "too much waits for the server")
			}
			if b == nil {
				b = new(wire.Batch)
				defer b.Flush()
			}
			srv.bounce(b, &e, why)
		}
		return
	}
}

// Run looks after streams until ctx ends.
func (srv *Server) Run(ctx context.Context) error {
	c := &srv.cfg
	tick := time.NewTicker(max(min(c.AttendInterval, c.AnswerTimeout, c.IdleTimeout, c.Patience)/4, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			srv.sweep(now)
		}
	}
}

func (srv *Server) sweep(now time.Time) {
	for _, s := range srv.all() {
		s.sweep(now)
	}
	srv.sweepCuts(now)
	srv.mu.RLock()
	outbounds := slices.Collect(maps.Values(srv.outbounds))
	srv.mu.RUnlock()
	for _, o := range outbounds {
		if o.sweep(now) {
			srv.mu.Lock()
			if srv.outbounds[o.pair] == o {
				delete(srv.outbounds, o.pair)
			}
			srv.mu.Unlock()
		}
	}
}

// Close lets what waits be written, for a moment, ends all streams with system-shutdown and waits for their goroutines, at
// most until ctx ends.
func (srv *Server) Close(ctx context.Context) error {
	srv.mu.Lock()
	srv.closing = true
	srv.mu.Unlock()
	for until := time.Now().Add(time.Second); srv.busy() && time.Now().Before(until) && ctx.Err() == nil; {
		time.Sleep(5 * time.Millisecond)
	}
	srv.cancel()
	for _, s := range srv.all() {
		s.stop(errShutdown)
	}
	done := make(chan struct{})
	go func() {
		srv.group.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return errors.Join(errors.New("s2s: streams do not end"), ctx.Err())
	}
}

// busy reports that something waits to be written to a stream.
func (srv *Server) busy() bool {
	return slices.ContainsFunc(srv.all(), func(s *stream) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.writing || s.waiting || s.pendingLocked()
	})
}
