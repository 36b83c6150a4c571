package muc

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"parley/internal/event"
	"parley/internal/store"
	"parley/internal/token"
	"parley/xmpp/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a service with clients and a store in memory.
type world struct {
	t       testing.TB
	s       *Service
	store   *memory
	mu      sync.Mutex // guards clients and events
	clients map[wire.Addr]*client
	events  []Event
	counts  *prometheus.Registry
}

// count returns how often something was refused.
func (w *world) count(event string) int {
	w.t.Helper()
	families, err := w.counts.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "parley_reject_total" && m.GetLabel()[0].GetValue() == event {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	return 0
}

// client is a session.
type client struct {
	w      *world
	addr   wire.Addr
	guest  bool
	source netip.Addr
	claims *token.Claims

	mu   sync.Mutex // guards what follows
	got  []string
	held int
}

func newWorld(t testing.TB, change ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, clients: make(map[wire.Addr]*client), store: newMemory()}
	w.start(change...)
	return w
}

// start starts a service on the world's store.
func (w *world) start(change ...func(*Config)) {
	w.t.Helper()
	config := Config{Domain: "muc.x", Focus: "focus@auth.x/focus", Limits: Limits{Unlocked: true}}
	for _, f := range change {
		f(&config)
	}
	w.counts = prometheus.NewRegistry()
	s, err := New(config, w, w.store, event.New(slog.New(slog.DiscardHandler), w.counts, false))
	if err != nil {
		w.t.Fatal(err)
	}
	s.Observe(func(e Event) {
		w.mu.Lock()
		w.events = append(w.events, e)
		w.mu.Unlock()
	})
	w.s = s
}

// Deliver makes the world the service's Out.
func (w *world) Deliver(b *wire.Batch, to wire.Addr, s wire.Stanza) {
	w.mu.Lock()
	c := w.clients[to]
	if c == nil && to.IsBare() {
		for _, other := range w.clients {
			if other.addr.Bare() == to {
				c = other
			}
		}
	}
	w.mu.Unlock()
	if c != nil {
		c.Deliver(b, "", s)
	}
}

func (w *world) client(addr string) *client {
	c := &client{w: w, addr: wire.Addr(addr), source: netip.MustParseAddr("192.0.2.1")}
	c.guest = strings.Contains(addr, "@guest.")
	w.mu.Lock()
	w.clients[c.addr] = c
	w.mu.Unlock()
	return c
}

func (c *client) Addr() wire.Addr       { return c.addr }
func (c *client) Guest() bool           { return c.guest }
func (c *client) Remote() bool          { return strings.Contains(string(c.addr), "@far.") }
func (c *client) Source() netip.Addr    { return c.source }
func (c *client) Claims() *token.Claims { return c.claims }

func (c *client) Hold() func() {
	c.mu.Lock()
	c.held++
	c.mu.Unlock()
	return func() {
		c.mu.Lock()
		c.held--
		c.mu.Unlock()
	}
}

func (c *client) Deliver(_ *wire.Batch, to wire.Addr, s wire.Stanza) {
	if to == "" {
		to = c.addr
	}
	raw := string(append(wire.AppendStart(nil, s.Kind, "", to), s.Tail...))
	scanner := wire.Scanner{Limits: wire.AfterAuth}
	if n, _, err := scanner.Next([]byte(raw)); err != nil || n != len(raw) {
		c.w.t.Errorf("%s was sent what is no stanza: %v: %s", c.addr, err, raw)
	}
	c.mu.Lock()
	c.got = append(c.got, raw)
	c.mu.Unlock()
}

func parse(t testing.TB, xml string) *wire.Packet {
	t.Helper()
	scanner := wire.Scanner{Limits: wire.AfterAuth}
	_, p, err := scanner.Next([]byte(xml))
	if err != nil {
		t.Fatalf("%v: %s", err, xml)
	}
	return p
}

// send sends a stanza and waits until the rooms are done with it.
func (c *client) send(format string, args ...any) {
	c.w.t.Helper()
	c.post(format, args...)
	c.w.settle()
}

// post sends a stanza.
func (c *client) post(format string, args ...any) {
	c.w.t.Helper()
	p := parse(c.w.t, fmt.Sprintf(format, args...))
	to, err := wire.ParseRawAddr(p.To())
	if err != nil {
		c.w.t.Fatal(err)
	}
	c.w.s.Handle(nil, c, to, p)
}

// settle waits until nothing happens any more without time passing.
func (w *world) settle() { synctest.Wait() }

// take returns what the client got since the last time.
func (c *client) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	got := c.got
	c.got = nil
	return got
}

// want checks that the client got one stanza that holds each of the texts, and forgets what else it got.
func (c *client) want(texts ...string) string {
	c.w.t.Helper()
	got := c.take()
	for _, raw := range got {
		if holds(raw, texts) {
			return raw
		}
	}
	c.w.t.Fatalf("%s got no stanza with %q, but:\n%s", c.addr, texts, strings.Join(got, "\n"))
	return ""
}

// wantNot checks that the client got no stanza that holds each of the texts, and forgets what it got.
func (c *client) wantNot(texts ...string) {
	c.w.t.Helper()
	for _, raw := range c.take() {
		if holds(raw, texts) {
			c.w.t.Fatalf("%s got %s", c.addr, raw)
		}
	}
}

func holds(raw string, texts []string) bool {
	for _, text := range texts {
		if !strings.Contains(raw, text) {
			return false
		}
	}
	return true
}

// join enters the room r@muc.x, or another one.
func (c *client) join(room, nick string, children ...string) {
	c.w.t.Helper()
	c.send("<presence to='%s@muc.x/%s'><x xmlns='"+NSMUC+"'/>%s</presence>", room, nick, strings.Join(children, ""))
	c.want("status code='110'", "from='"+room+"@muc.x/"+nick+"'")
}

// configure submits a configuration: pairs of field and value.
func (c *client) configure(room string, pairs ...string) {
	c.w.t.Helper()
	c.submit(room, pairs...)
	c.want("type='result'")
}

func (c *client) submit(room string, pairs ...string) {
	c.w.t.Helper()
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, "<field var='%s'><value>%s</value></field>", pairs[i], pairs[i+1])
	}
	c.send("<iq to='%s@muc.x' type='set' id='c'><query xmlns='"+NSOwner+"'><x xmlns='"+NSData+"' type='submit'>"+
		"<field var='FORM_TYPE'><value>"+NSConfig+"</value></field>%s</x></query></iq>", room, b.String())
}

// admin sends one item of an admin query.
func (c *client) admin(room, item string) {
	c.w.t.Helper()
	c.send("<iq to='%s@muc.x' type='set' id='a'><query xmlns='"+NSAdmin+"'>%s</query></iq>", room, item)
}

// gone ends the client's session without goodbye.
func (c *client) gone() {
	c.w.mu.Lock()
	delete(c.w.clients, c.addr)
	c.w.mu.Unlock()
	c.w.s.Gone(c.addr)
	c.w.settle()
}

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// close stops the service.
func (w *world) close() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := w.s.Close(ctx); err != nil {
		w.t.Error(err)
	}
}

// inWorld runs a test with a world of its own and a clock that stands still while something happens.
func inWorld(t *testing.T, f func(t *testing.T, w *world), change ...func(*Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, change...)
		f(t, w)
		w.close()
	})
}

// memory is a store that commits at once, or when it is told to.
type memory struct {
	mu     sync.Mutex // guards all
	rooms  map[string]*stored
	epochs map[string]int64
	slow   bool // writes wait for commit
	queue  []func(error)
	err    error // of reads, and of writes that are committed
}

type stored struct {
	room     store.Room
	list     map[string]store.Affiliation
	messages []store.Message
}

func newMemory() *memory {
	return &memory{rooms: make(map[string]*stored), epochs: make(map[string]int64)}
}

func (m *memory) Claim(_ context.Context, addr, _ string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epochs[addr]++
	return m.epochs[addr], m.err
}

func (m *memory) Room(_ context.Context, addr string) (store.Room, []store.Affiliation, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return store.Room{}, nil, m.err
	}
	s := m.rooms[addr]
	if s == nil {
		return store.Room{}, nil, store.ErrNotFound
	}
	var list []store.Affiliation
	for _, a := range s.list {
		list = append(list, a)
	}
	return s.room, list, nil
}

func (m *memory) History(_ context.Context, addr string, limit int) ([]store.Message, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.rooms[addr]
	if s == nil {
		return nil, m.err
	}
	list := slices.DeleteFunc(slices.Clone(s.messages), func(m store.Message) bool { return m.Subject })
	return list[max(0, len(list)-limit):], m.err
}

// said is the room's archive.
func (m *memory) said(addr string) []store.Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.rooms[addr]; s != nil {
		return slices.Clone(s.messages)
	}
	return nil
}

func (m *memory) ListRooms(_ context.Context, after string, limit int) ([]store.Room, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []store.Room
	for addr, s := range m.rooms {
		if addr > after {
			list = append(list, s.room)
		}
	}
	slices.SortFunc(list, func(a, b store.Room) int { return strings.Compare(a.Addr, b.Addr) })
	return list[:min(limit, len(list))], m.err
}

func (m *memory) Write(c store.Change, done func(error)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	commit := func(err error) {
		if err == nil {
			err = m.apply(c)
		}
		go done(err)
	}
	if m.slow {
		m.queue = append(m.queue, commit)
		return
	}
	commit(m.err)
}

// commit commits what waits, or lets it fail.
func (m *memory) commit(err error) {
	m.mu.Lock()
	queue := m.queue
	m.queue = nil
	for _, f := range queue {
		f(err)
	}
	m.mu.Unlock()
	synctest.Wait()
}

// apply is called with mu held.
func (m *memory) apply(c store.Change) error {
	if m.epochs[c.Room] != c.Epoch {
		return store.ErrStale
	}
	s := m.rooms[c.Room]
	switch {
	case c.Delete:
		delete(m.rooms, c.Room)
		return nil
	case c.Put != nil && s == nil:
		s = &stored{list: make(map[string]store.Affiliation)}
		m.rooms[c.Room] = s
	case s == nil:
		return store.ErrNotFound
	}
	if c.Put != nil {
		s.room = *c.Put
	}
	for _, a := range c.Affiliations {
		if s.list[a.Addr] = a; a.Name == "none" {
			delete(s.list, a.Addr)
		}
	}
	s.messages = append(s.messages, c.Messages...)
	for _, m := range c.Replace {
		for i := range s.messages {
			if s.messages[i].ID == m.ID {
				s.messages[i].Tail = m.Tail
			}
		}
	}
	return nil
}
