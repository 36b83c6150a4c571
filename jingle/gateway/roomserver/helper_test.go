package roomserver

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"parley/internal/token"
	"parley/muc"
	"parley/turn"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house stands for the rooms, the router, the relay and the issuer of tokens.
type house struct {
	t       *testing.T
	service *Service

	mu      sync.Mutex
	nicks   map[wire.Addr]muc.Sender // occupants by their address in the room
	shown   map[wire.Addr]string     // their last presence
	refuse  string                   // condition of the error that joins are answered with
	locked  map[wire.Addr]bool       // rooms that are new
	slow    bool                     // they stay so
	seats   map[wire.Addr]bool
	ended   []wire.Addr
	tokens  map[string]token.Claims
	checked int
	mesh    *mesh // nil: there is no bridge
}

func bareHouse() *house {
	return &house{nicks: make(map[wire.Addr]muc.Sender), shown: make(map[wire.Addr]string), seats: make(map[wire.Addr]bool), locked: make(map[wire.Addr]bool), tokens: make(map[string]token.Claims)}
}

// newHouse opens the door. It closes with the test, and is to be made in a bubble.
func newHouse(t *testing.T, change func(*Config)) *house {
	t.Helper()
	h := bareHouse()
	h.t = t
	cfg := Defaults()
	cfg.Auth = authNone
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg, Parts{Domain: "x.net", Rooms: "muc.x.net", MUC: h, Router: h, Relays: h, Tokens: h, URL: "wss://x.net", ICE: "192.0.2.1:3478"})
	if err != nil {
		t.Fatal(err)
	}
	h.service = s
	t.Cleanup(func() {
		s.Close()
		synctest.Wait()
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.seats) > 0 || len(h.nicks) > 0 || len(s.rooms) > 0 || s.hall.Open() != 0 || h.mesh != nil && len(h.mesh.lines) > 0 {
			t.Errorf("left behind: seats %v, occupants %v, rooms %v, %d sockets", h.seats, h.nicks, s.rooms, s.hall.Open())
		}
	})
	return h
}

func (h *house) Seat(r route.Receiver) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seats[r.Addr()] = true
	return true
}

func (h *house) Unseat(r route.Receiver) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.seats, r.Addr())
}

func (h *house) End(a wire.Addr) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = append(h.ended, a)
}

func (h *house) Services(of route.Sender) []turn.Service {
	user := of.Addr().Local()
	return []turn.Service{
		{Type: "stun", Host: "192.0.2.1", Port: 3478, Transport: "udp"},
		{Type: "turn", Host: "192.0.2.1", Port: 3478, Transport: "udp", Username: user, Password: "p"},
		{Type: "turn", Host: "192.0.2.1", Port: 3478, Transport: "tcp", Username: user, Password: "p"},
	}
}

func (h *house) Check(_ context.Context, raw, _ string) (token.Claims, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checked++
	c, ok := h.tokens[raw]
	if !ok {
		return c, &token.Error{Code: token.CodeReject, Text: "no"}
	}
	if !time.Now().Before(c.Expires) {
		return c, &token.Error{Code: token.CodeExpired, Text: "old"}
	}
	return c, nil
}

// Spend is what the checker does with a token that may be used once.
func (h *house) Spend(_ context.Context, c *token.Claims, _ string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for raw, known := range h.tokens {
		if c.Once && known.ID == c.ID {
			delete(h.tokens, raw)
			return nil
		}
	}
	if c.Once {
		return &token.Error{Code: token.CodeReplay, Text: "spent"}
	}
	return nil
}

// Handle is what a room does with presence: one occupant a nickname, and each hears of itself.
func (h *house) Handle(_ *wire.Batch, from muc.Sender, to wire.Addr, p *wire.Packet) {
	if p.Kind == wire.IQ {
		if h.opens(to, p) {
			from.Deliver(nil, "", wire.Stanza{Kind: wire.IQ, Tail: []byte(" from='" + string(to) + "' type='result' id='" + string(p.ID()) + "'/>")})
		}
		return
	}
	if p.Kind != wire.Presence {
		return
	}
	typ := string(p.Type())
	h.mu.Lock()
	who := h.nicks[to]
	answer := ""
	switch {
	case typ == "unavailable":
		delete(h.nicks, to)
		delete(h.shown, to)
		delete(h.locked, to.Bare())
	case h.refuse != "":
		answer = " type='error'><error type='cancel'><" + h.refuse + " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
	case who != nil && who.Addr() != from.Addr():
		answer = " type='error'><error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
	case h.locked[to.Bare()]:
		answer = " type='error'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
	case !h.anybody(to.Bare()):
		h.locked[to.Bare()] = true
		h.nicks[to] = from
		h.shown[to] = string(p.Elem().Raw())
		answer = "><x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/><status code='201'/></x></presence>"
	default:
		h.nicks[to] = from
		h.shown[to] = string(p.Elem().Raw())
		answer = "><x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/></x></presence>"
	}
	h.mu.Unlock()
	if answer != "" {
		from.Deliver(nil, "", wire.Stanza{Kind: wire.Presence, Tail: []byte(" from='" + string(to) + "'" + answer)})
	}
}

// opens has the maker of a room open it, unless the rooms are slow.
func (h *house) opens(room wire.Addr, p *wire.Packet) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.slow || !p.ChildIs("query", "http://jabber.org/protocol/muc#owner") || !h.locked[room] {
		return false
	}
	delete(h.locked, room)
	return true
}

// anybody reports that there is somebody in a room. The mutex is held.
func (h *house) anybody(room wire.Addr) bool {
	for a := range h.nicks {
		if a.Bare() == room {
			return true
		}
	}
	return false
}

// occupants are the nicknames in a room.
func (h *house) occupants(room string) (list []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for a := range h.nicks {
		if a.Local() == room {
			list = append(list, a.Resource())
		}
	}
	slices.Sort(list)
	return list
}

// expel throws an occupant out, as a room does when a moderator asks for it.
func (h *house) expel(who wire.Addr) {
	h.mu.Lock()
	s := h.nicks[who]
	delete(h.nicks, who)
	h.mu.Unlock()
	s.Deliver(nil, "", wire.Stanza{Kind: wire.Presence, Tail: []byte(" from='" + string(who) + "' type='unavailable'><x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/><status code='307'/></x></presence>")})
}

// pipe is the WebSocket of a client.
type pipe struct {
	in   chan []byte
	end  chan struct{}
	once sync.Once
	mu   sync.Mutex
	out  []string
	code websocket.StatusCode
	deaf chan struct{} // not nil: the client does not read until it is closed
}

var errPipe = errors.New("closed")

func (p *pipe) Read(ctx context.Context) (websocket.MessageType, []byte, error) {
	select {
	case text := <-p.in:
		if text == nil {
			return websocket.MessageBinary, []byte("{}"), nil
		}
		return websocket.MessageText, text, nil
	case <-p.end:
	case <-ctx.Done():
	}
	return 0, nil, errPipe
}

func (p *pipe) Write(_ context.Context, _ websocket.MessageType, text []byte) error {
	if p.deaf != nil {
		<-p.end
	}
	select {
	case <-p.end:
		return errPipe
	default:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out = append(p.out, string(text))
	return nil
}

func (p *pipe) Ping(context.Context) error { return nil }

func (p *pipe) Close(code websocket.StatusCode, _ string) error {
	p.once.Do(func() { p.code = code; close(p.end) })
	return nil
}

func (p *pipe) CloseNow() error { return p.Close(-1, "") }

// client is a client of the door.
type client struct {
	t *testing.T
	*pipe
	uid string
}

func (h *house) client(uid string) *client {
	h.t.Helper()
	c := &client{h.t, &pipe{in: make(chan []byte), end: make(chan struct{})}, uid}
	h.attach(c)
	return c
}

func (h *house) attach(c *client) {
	source := netip.MustParseAddr("192.0.2.9")
	if !h.service.hall.Admit(source) {
		h.t.Fatal("not admitted")
	}
	go func() {
		defer h.service.hall.Dismiss(source)
		h.service.serve(c.pipe, source)
	}()
}

// say sends a message of the client's own: its uid, room 22 and application are added where they are missing.
func (c *client) say(text string) {
	c.t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		c.t.Fatal(err)
	}
	add := ""
	for name, value := range map[string]string{"appId": "10000", "roomId": "22", "uid": c.uid} {
		if m[name] == nil {
			add += `,"` + name + `":"` + value + `"`
		}
	}
	c.raw(strings.TrimSuffix(text, "}") + add + "}")
}

func (c *client) raw(text string) {
	c.t.Helper()
	select {
	case c.in <- []byte(text):
	case <-c.end:
		c.t.Fatal("the connection is closed")
	}
	synctest.Wait()
}

// got takes what the client was sent since it was asked last.
func (c *client) got() (list []string) {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	list, c.out = c.out, nil
	return list
}

// one takes the only message that there is, which has that cmd.
func (c *client) one(cmd string) message {
	c.t.Helper()
	list := c.got()
	if len(list) != 1 {
		c.t.Fatalf("%s got %d messages where one %s was to come: %s", c.uid, len(list), cmd, strings.Join(list, "\n"))
	}
	return c.read(list[0], cmd)
}

// all takes the messages that there are, which have those cmds.
func (c *client) all(cmds ...string) (list []message) {
	c.t.Helper()
	got := c.got()
	if len(got) != len(cmds) {
		c.t.Fatalf("%s got %d messages where %v were to come: %s", c.uid, len(got), cmds, strings.Join(got, "\n"))
	}
	for i, text := range got {
		list = append(list, c.read(text, cmds[i]))
	}
	return list
}

func (c *client) none() {
	c.t.Helper()
	if list := c.got(); len(list) > 0 {
		c.t.Fatalf("%s got %s", c.uid, strings.Join(list, "\n"))
	}
}

type message map[string]any

func (c *client) read(text, cmd string) message {
	c.t.Helper()
	var m message
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		c.t.Fatalf("%v: %s", err, text)
	}
	if m["cmd"] != cmd {
		c.t.Fatalf("%s got %s, not %s", c.uid, text, cmd)
	}
	if p := m["protocol"]; p != "req" && p != "resp" && p != "relay" {
		c.t.Fatalf("protocol is %v: %s", p, text)
	}
	return m
}

// is reports members that are not what they were to be.
func (c *client) is(m message, want map[string]any) {
	c.t.Helper()
	for name, v := range want {
		if n, ok := v.(int); ok {
			v = float64(n)
		}
		if got := m[name]; got != v {
			c.t.Errorf("%s of %s to %s is %v, not %v", name, m["cmd"], c.uid, got, v)
		}
	}
}

// join has a client join room 22, and forgets what that brought.
func (h *house) join(uid string) *client {
	h.t.Helper()
	c := h.client(uid)
	c.say(`{"cmd":"join","uname":"` + uid + `"}`)
	c.is(c.one("respJoin"), map[string]any{"result": 0})
	return c
}

// pair has two clients in room 22, who have heard of one another.
func (h *house) pair() (old, fresh *client) {
	h.t.Helper()
	old = h.join("u0")
	fresh = h.join("u9")
	old.one("notifyNewPeer")
	return old, fresh
}

// bubble runs a test with the clock of its own.
func bubble(t *testing.T, change func(*Config), f func(t *testing.T, h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newHouse(t, change)) })
}
