// Package push tells the app servers of clients that something waits for them (XEP-0357), so that a phone that has no
// connection wakes up: of messages and calls that wait for a session whose client is away (XEP-0198), and of messages to an
// account whose client has no session. Of presence, subscriptions and what is said of messages it tells nothing.
//
// What clients asked for is in the store, and all of it in memory. A notification goes out in the name of the server, and
// until it is answered there is no second one to the same node: what comes meanwhile counts, and is told of with the next.
package push

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"parley/internal/event"
	"parley/internal/store"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

// Namespaces of XEP-0357 and what it is made of.
const (
	NS        = "urn:xmpp:push:0"
	nsPubSub  = "http://jabber.org/protocol/pubsub"
	nsOptions = "http://jabber.org/protocol/pubsub#publish-options"
	nsSummary = "urn:xmpp:push:summary"
	nsData    = "jabber:x:data"
)

// Config is what an administrator may set.
type Config struct {
	Enabled bool   `help:"clients may have their app servers told that something waits for them (XEP-0357)"`
	Sender  bool   `help:"app servers are told who sent the last message"`
	Body    bool   `help:"app servers are told the text of the last message, if it is not encrypted"`
	Text    string `help:"what app servers are given in place of the text, since some show nothing without one; empty: nothing"`
	Nodes   int    `help:"nodes of app servers that are told of one account; with one more, the oldest is forgotten"`
}

// DefaultConfig tells app servers that there is something, and neither from whom nor what.
func DefaultConfig() Config { return Config{Enabled: true, Text: "New message", Nodes: 16} }

// Check says what is wrong with a configuration.
func (c *Config) Check() error {
	if c.Nodes < 1 {
		return errors.New("push.nodes must be at least 1")
	}
	return nil
}

// Host is what push needs of the host of the accounts.
type Host interface {
	// Do runs work in the account's goroutine, in the order of the calls; false: too much waits already.
	Do(account wire.Addr, work func(b *wire.Batch)) bool
	// Send routes a stanza in the name of an address of the host.
	Send(b *wire.Batch, from, to wire.Addr, st wire.Stanza)
}

// Sessions says which sessions there are.
type Sessions interface {
	// Find returns the session with this full address, nil if there is none.
	Find(a wire.Addr) route.Receiver
}

// Service is safe for concurrent use. It holds no lock while it calls others.
type Service struct {
	cfg      Config
	domain   wire.Addr
	host     Host
	sessions Sessions
	store    store.Pushes
	rec      *event.Recorder
	now      func() time.Time

	mu       sync.RWMutex // guards what follows
	accounts map[wire.Addr][]*target
	flights  map[string]*target // notifications that are not answered, by id
	sent     int64
}

// target is a node that is told of an account.
type target struct {
	store.Push
	account, service wire.Addr
	count            int    // messages since the client was there
	last             notice // the latest of them
	flight           string // the notification that is not answered, "" if there is none
	since            time.Time
	more             bool // something came behind it
	faults           int  // errors in a row
	gone             bool // it was disabled
}

// New returns the service with what clients asked for before. Rec may be nil.
func New(ctx context.Context, cfg Config, domain wire.Addr, host Host, sessions Sessions, st store.Pushes, rec *event.Recorder) (*Service, error) {
	s := &Service{
		cfg: cfg, domain: domain, host: host, sessions: sessions, store: st, rec: rec, now: time.Now,
		accounts: make(map[wire.Addr][]*target), flights: make(map[string]*target),
	}
	list, err := st.ListPushes(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range list {
		account := wire.Addr(p.Owner)
		s.accounts[account] = append(s.accounts[account], &target{Push: p, account: account, service: wire.Addr(p.Service)})
	}
	return s, nil
}

// Stats says how many nodes are told, and how many notifications were sent since the start.
func (s *Service) Stats() (nodes int, sent int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, list := range s.accounts {
		nodes += len(list)
	}
	return nodes, s.sent
}

// Forget is called when an account is deleted; its nodes have gone from the store.
func (s *Service) Forget(account wire.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.accounts[account] {
		s.dropLocked(t)
	}
	delete(s.accounts, account)
}

// Of returns where the clients of an account are to be told.
func (s *Service) Of(account wire.Addr) []store.Push {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var list []store.Push
	for _, t := range s.accounts[account] {
		list = append(list, t.Push)
	}
	return list
}

// Disable forgets the nodes that a session of an account asked for last. It waits for the store.
func (s *Service) Disable(session wire.Addr) error {
	return s.disable(session.Bare(), func(t *target) bool { return t.Session == string(session) })
}

// dropLocked ends what waits for a target. Called with mu held.
func (s *Service) dropLocked(t *target) {
	delete(s.flights, t.flight)
	t.gone, t.flight = true, ""
}

// Back is told of a client that has come back: the counting begins anew.
func (s *Service) Back(addr wire.Addr) {
	if !s.watches(addr) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.accounts[addr.Bare()] {
		if t.Session == string(addr) {
			t.count, t.more = 0, false
		}
	}
}

// Away is told of a client that has gone and what it has not acknowledged.
func (s *Service) Away(addr wire.Addr, unseen []wire.Stanza) {
	if !s.watches(addr) {
		return
	}
	count, last := 0, notice{}
	for _, st := range unseen {
		if n, ok := read(st); ok && n.from.Bare() != addr.Bare() {
			count, last = count+1, n
		}
	}
	s.tell(addr.Bare(), count, last, func(t *target) bool { return t.Session == string(addr) })
}

// Missed is told of a stanza that waits for a client that is away.
func (s *Service) Missed(addr wire.Addr, st wire.Stanza) {
	if !s.watches(addr) {
		return
	}
	if n, ok := read(st); ok && n.from.Bare() != addr.Bare() {
		s.tell(addr.Bare(), 1, n, func(t *target) bool { return t.Session == string(addr) })
	}
}

// watches reports that a node is to be told of this session.
func (s *Service) watches(session wire.Addr) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, t := range s.accounts[session.Bare()] {
		if t.Session == string(session) {
			return true
		}
	}
	return false
}

// Arrived is told of a message to an account. Those who have a session hear of it from there; of one that is late, those who
// have none were told before.
func (s *Service) Arrived(account wire.Addr, st wire.Stanza, late bool) {
	s.mu.RLock()
	none := len(s.accounts[account]) == 0
	s.mu.RUnlock()
	if none {
		return
	}
	if n, ok := read(st); ok && n.from.Bare() != account {
		s.tell(account, 1, n, func(t *target) bool { return s.sessions.Find(wire.Addr(t.Session)) == nil && !(late && t.count > 0) })
	}
}

// tell counts news for the nodes of an account that are meant, and has them told.
func (s *Service) tell(account wire.Addr, count int, n notice, meant func(*target) bool) {
	if count == 0 {
		return
	}
	var list []*target
	s.mu.Lock()
	for _, t := range s.accounts[account] {
		if !meant(t) {
			continue
		}
		t.count, t.last = t.count+count, n
		if t.flight != "" {
			t.more = true
			continue
		}
		s.launchLocked(t)
		list = append(list, t)
	}
	s.mu.Unlock()
	for _, t := range list {
		s.send(t)
	}
}

// launchLocked notes that a notification is on its way. Called with mu held; send is called then.
func (s *Service) launchLocked(t *target) {
	t.flight, t.since, t.more = rand.Text(), s.now(), false
	s.flights[t.flight] = t
	s.sent++
}

// send sends the notification that was noted, from the account's goroutine.
func (s *Service) send(t *target) {
	ok := s.host.Do(t.account, func(b *wire.Batch) {
		s.mu.RLock()
		id := t.flight
		st := s.notification(t)
		gone := t.gone || id == ""
		s.mu.RUnlock()
		if !gone {
			s.host.Send(b, s.domain, t.service, st)
		}
	})
	if !ok {
		s.rec.Count("push.busy")
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.flights, t.flight)
		t.flight = ""
	}
}
