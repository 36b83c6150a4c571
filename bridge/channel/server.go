package channel

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"parley/internal/event"
	"parley/internal/limit"
)

const prefix = "/colibri-ws/"

// Config of a Server.
type Config struct {
	Bridge  string          // id of the bridge, the first segment of the channel's path
	Version string          // what ServerHello says; may be empty
	Rate    limit.Rate      // messages of one client; the zero Rate is no limit
	Events  *event.Recorder // may be nil
}

// Server hands out tickets and serves the WebSockets under /colibri-ws/.
type Server struct {
	cfg Config
	wg  sync.WaitGroup // requests, and goroutines of connections

	mu      sync.Mutex // guards what follows
	tickets map[key]*Ticket
	closed  bool
}

type key struct{ conference, endpoint string }

// NewServer returns a Server without tickets.
func NewServer(cfg Config) *Server {
	return &Server{cfg: cfg, tickets: make(map[key]*Ticket)}
}

// Open makes a ticket for an endpoint, with a secret of 128 random bits or more. An earlier ticket of the same endpoint
// expires.
func (s *Server) Open(conference, endpoint string, e Endpoint) *Ticket {
	k := key{conference, endpoint}
	t := newTicket(s, k, e, rand.Text())
	s.mu.Lock()
	old := s.tickets[k]
	closed := s.closed
	if !closed {
		s.tickets[k] = t
	}
	s.mu.Unlock()
	if old != nil {
		old.Expire()
	}
	if closed {
		t.Expire()
	}
	return t
}

// Close expires all tickets and returns when all connections are closed, which takes some seconds where a client does
// not answer. It is not to be called with a lock held that an Endpoint takes.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	tickets := s.tickets
	s.tickets = nil
	s.mu.Unlock()
	for _, t := range tickets {
		t.Expire()
	}
	s.wg.Wait()
}

func (s *Server) hello() ServerHello { return ServerHello{Version: s.cfg.Version} }

func (s *Server) forget(t *Ticket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tickets[t.key] == t {
		delete(s.tickets, t.key)
	}
}

// enter counts a request, unless the server is closed.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Add(1)
	return true
}

// ServeHTTP serves /colibri-ws/{bridge}/{conference}/{endpoint}?pwd=SECRET. Whoever does not have the secret of that
// endpoint gets the same 403, whether the endpoint exists or not. The Origin is not checked, on purpose: pages of any
// site may embed a conference, a browser adds nothing to this request that would prove who the user is, and so the
// secret alone decides.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	remote := r.RemoteAddr
	if host, _, err := net.SplitHostPort(remote); err == nil {
		remote = host
	}
	if !s.enter() {
		http.Error(w, "closed", http.StatusServiceUnavailable)
		return
	}
	defer s.wg.Done()
	t := s.authorize(r)
	if t == nil {
		s.cfg.Events.Reject(eventAuth, remote)
		http.Error(w, "forbidden", http.StatusForbidden)
		return
	}
	if !t.allow(time.Now()) {
		s.cfg.Events.Reject(eventReject, remote, "endpoint", t.key.endpoint, "err", "too many connections")
		http.Error(w, "too many connections", http.StatusTooManyRequests)
		return
	}
	serve(w, r, t, remote)
}

// authorize returns the ticket that a request names and has the secret of.
func (s *Server) authorize(r *http.Request) *Ticket {
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), prefix)
	segments := strings.Split(rest, "/")
	if !ok || len(segments) != 3 {
		return nil
	}
	for i := range segments {
		var err error
		if segments[i], err = url.PathUnescape(segments[i]); err != nil {
			return nil
		}
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(query["pwd"]) != 1 {
		return nil
	}
	s.mu.Lock()
	t := s.tickets[key{segments[1], segments[2]}]
	s.mu.Unlock()

	var want [sha256.Size]byte // of an unknown endpoint: the hash of nothing
	if t != nil {
		want = t.secret
	}
	got := sha256.Sum256([]byte(query["pwd"][0]))
	same := subtle.ConstantTimeCompare(got[:], want[:]) == 1
	if !same || t == nil || segments[0] != s.cfg.Bridge {
		return nil
	}
	return t
}
