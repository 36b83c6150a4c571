package channel

import (
	"crypto/sha256"
	"net/url"
	"sync"
	"time"

	"parley/internal/limit"
)

// opens is how often an endpoint may open its channel: a client that lost it comes back after 1, 2, 4... seconds.
var opens = limit.Rate{PerSecond: 1, Burst: 10}

// Ticket lets one endpoint open its bridge channel, as often as it needs to, until it expires. It holds at most one
// connection: a new one takes the place of the old.
type Ticket struct {
	server   *Server
	key      key
	endpoint Endpoint
	path     string
	secret   [sha256.Size]byte // hash of the secret

	// opening lets one connection after the other begin, so that the last one that Opened told is the one that is open.
	// It is held while Opened is called; only a beginning connection waits for it.
	opening sync.Mutex

	mu      sync.Mutex // guards what follows
	opens   limit.Bucket
	current Conn
	expired bool
}

func newTicket(s *Server, k key, e Endpoint, secret string) *Ticket {
	path := prefix + url.PathEscape(s.cfg.Bridge) + "/" + url.PathEscape(k.conference) + "/" + url.PathEscape(k.endpoint)
	return &Ticket{
		server: s, key: k, endpoint: e, path: path + "?pwd=" + secret,
		secret: sha256.Sum256([]byte(secret)), opens: limit.NewBucket(opens),
	}
}

// Path returns path and query of the channel's URL. The query is a secret of the endpoint; it stays the same for the life
// of the ticket.
func (t *Ticket) Path() string { return t.path }

// Expire closes the endpoint's connection with CloseExpired and lets it open no other. It does not wait.
func (t *Ticket) Expire() {
	t.server.forget(t)
	t.mu.Lock()
	current := t.current
	t.expired, t.current = true, nil
	t.mu.Unlock()
	if current != nil {
		current.Close(CloseExpired, "expired")
	}
}

// allow meters the connections.
func (t *Ticket) allow(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.opens.Allow(now, 1)
}

// attach makes a connection the endpoint's, and says hello.
func (t *Ticket) attach(c Conn, in *inbox) bool {
	t.opening.Lock()
	defer t.opening.Unlock()
	t.mu.Lock()
	if t.expired {
		t.mu.Unlock()
		return false
	}
	old := t.current
	t.current = c
	t.mu.Unlock()
	if old != nil {
		old.Close(CloseReplaced, "replaced")
	}
	c.Send(in.hello)
	if v := in.guard(func() { t.endpoint.Opened(c) }); v.code != 0 {
		c.Close(v.code, v.reason)
	}
	return true
}

// detach takes away a connection that has ended; it reports whether it was still the endpoint's.
func (t *Ticket) detach(c Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current != c {
		return false
	}
	t.current = nil
	return true
}

// closed tells the endpoint that a connection which was its own has ended.
func (t *Ticket) closed(c Conn, in *inbox, arrived time.Time) {
	t.opening.Lock() // not before Opened has returned
	defer t.opening.Unlock()
	in.guard(func() { t.endpoint.Closed(c, arrived) })
}

func (t *Ticket) inbox(remote string) inbox {
	return inbox{
		endpoint: t.key.endpoint, remote: remote, hello: t.server.hello(), sink: t.endpoint,
		events: t.server.cfg.Events, bucket: limit.NewBucket(t.server.cfg.Rate), volume: limit.NewBucket(volume),
	}
}
