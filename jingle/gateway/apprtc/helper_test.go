package apprtc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"parley/internal/token"
	"parley/jingle"
	"parley/jingle/focus"
	"parley/muc"
	"parley/turn"
	"parley/xmpp/route"
	"parley/xmpp/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	roomAddr = wire.Addr("22@muc.x.net")
	source   = "192.0.2.9:1234"
)

// house stands for the rooms, the router, the relay, the focus and the issuer of tokens.
type house struct {
	t       *testing.T
	service *Service
	mux     *http.ServeMux
	agent   string

	mu     sync.Mutex
	nicks  map[wire.Addr]muc.Sender // occupants by their address in the room
	shown  map[wire.Addr]string     // their last presence
	locked map[wire.Addr]bool       // rooms that are new
	refuse string                   // condition of the error that joins are answered with
	seats  map[wire.Addr]bool
	ended  []wire.Addr
	tokens map[string]token.Claims
	calls  []*call
	spent  map[string]bool
}

// call is one that the focus was asked for.
type call struct {
	occupant  muc.Sender
	to        focus.Caller
	offer     *focus.Offer
	answer    *jingle.Jingle
	trickled  []jingle.Content
	forgotten bool
}

// newHouse opens the door. It closes with the test, and is to be made in a bubble.
func newHouse(t *testing.T, change func(*Config, *Parts)) *house {
	t.Helper()
	h := &house{t: t, nicks: make(map[wire.Addr]muc.Sender), shown: make(map[wire.Addr]string), locked: make(map[wire.Addr]bool), seats: make(map[wire.Addr]bool), tokens: make(map[string]token.Claims), spent: make(map[string]bool)}
	cfg := Defaults()
	cfg.Auth = authNone
	parts := Parts{Domain: "x.net", Rooms: "muc.x.net", MUC: h, Router: h, Relays: h, Tokens: h, Focus: h, Hosts: []string{"x.net", "relay.x.net"},
		Secure: func(r *http.Request) bool { return r.Header.Get("X-Plain") == "" }}
	if change != nil {
		change(&cfg, &parts)
	}
	s, err := New(cfg, parts)
	if err != nil {
		t.Fatal(err)
	}
	h.service = s
	h.mux = http.NewServeMux()
	for pattern, f := range map[string]http.HandlerFunc{
		"GET /r/{room}": s.ServeRoom, "POST /join/{room}": s.ServeJoin, "POST /message/{room}/{client}": s.ServeMessage, "POST /leave/{room}/{client}": s.ServeLeave,
		"POST /bye/{room}/{client}": s.ServeBye, "GET /params": s.ServeParams, "/v1alpha/iceconfig": s.ServeICE, "GET /turn": s.ServeTURN, "GET /status": s.ServeStatus,
		"GET /js/{file}": s.ServeFile, "GET /css/{file}": s.ServeFile, "/": s.ServeCollider, "/collider/": s.ServeBelow,
	} {
		h.mux.HandleFunc(pattern, f)
	}
	t.Cleanup(func() {
		s.Close()
		synctest.Wait()
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.seats) > 0 || len(h.nicks) > 0 || len(s.rooms) > 0 || len(s.tickets) > 0 || s.hall.Open() != 0 || s.registered.Load() != 0 {
			t.Errorf("left behind: seats %v, occupants %v, rooms %v, tickets %v, %d sockets, %d registered", h.seats, h.nicks, s.rooms, s.tickets, s.hall.Open(), s.registered.Load())
		}
		for _, c := range h.calls {
			if !c.forgotten {
				t.Errorf("the call of %s goes on", c.occupant.Addr())
			}
		}
	})
	return h
}

// bubble runs a test with the clock of its own.
func bubble(t *testing.T, change func(*Config, *Parts), f func(t *testing.T, h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newHouse(t, change)) })
}

func pairs(c *Config, _ *Parts) { c.Mixing = false }

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
		{Type: "turn", Host: "192.0.2.1", Port: 3478, Transport: "udp", Username: user, Password: "p", Expires: time.Now().Add(10 * time.Minute)},
		{Type: "turn", Host: "192.0.2.1", Port: 3478, Transport: "tcp", Username: user, Password: "p", Expires: time.Now().Add(10 * time.Minute)},
	}
}

func (h *house) Check(_ context.Context, raw, _ string) (token.Claims, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, ok := h.tokens[raw]
	if !ok {
		return c, &token.Error{Code: token.CodeReject, Text: "no"}
	}
	return c, nil
}

func (h *house) Spend(_ context.Context, c *token.Claims, _ string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.Once && h.spent[c.ID] {
		return &token.Error{Code: token.CodeReplay, Text: "used"}
	}
	h.spent[c.ID] = true
	return nil
}

// Call implements Focus: it is taken at once.
func (h *house) Call(occupant muc.Sender, room wire.Addr, o *focus.Offer, to focus.Caller, done func(*wire.Error)) {
	h.mu.Lock()
	h.calls = append(h.calls, &call{occupant: occupant, to: to, offer: o})
	h.mu.Unlock()
	done(nil)
}

func (h *house) callOf(occupant wire.Addr) *call {
	for _, c := range h.calls {
		if c.occupant.Addr() == occupant {
			return c
		}
	}
	return &call{}
}

func (h *house) Forget(_, occupant wire.Addr) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.callOf(occupant).forgotten = true
}

func (h *house) Agree(_, occupant wire.Addr, answer *jingle.Jingle) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.callOf(occupant).answer = answer
}

func (h *house) Trickle(_, occupant wire.Addr, contents []jingle.Content) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.callOf(occupant)
	c.trickled = append(c.trickled, contents...)
}

// call waits for the next call that the focus is asked for.
func (h *house) call(n int) *call {
	h.t.Helper()
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.calls) != n {
		h.t.Fatalf("%d calls, not %d", len(h.calls), n)
	}
	return h.calls[n-1]
}

// bridgeSays is what the focus says of the bridge's side.
func bridgeSays(contents ...jingle.Content) *jingle.Jingle {
	t := &jingle.Transport{Ufrag: "bbbb", Password: "bbbbbbbbbbbbbbbbbbbbbbbb", Fingerprints: []jingle.Fingerprint{{Hash: "sha-256", Setup: jingle.ActPass,
		Value: strings.TrimSuffix(strings.Repeat("AB:", 32), ":")}},
		Candidates: []jingle.Candidate{{Component: 1, Foundation: "1", IP: "192.0.2.1", Port: 10000, Priority: 1, Protocol: "udp", Type: "host"}}}
	j := &jingle.Jingle{Groups: []jingle.Group{{Semantics: "BUNDLE"}}}
	for _, c := range contents {
		c.Transport = t
		j.Contents = append(j.Contents, c)
		j.Groups[0].Contents = append(j.Groups[0].Contents, c.Name)
	}
	return j
}

// everyVideo is a video of several codecs, one of which nobody knows and one of which cannot be forwarded.
func everyVideo(name string) jingle.Content {
	c := content(name, "video", "AV1", 90000)
	for i, codec := range []string{"VP9", "VP8", "H264", "H265"} {
		c.Description.PayloadTypes = append(c.Description.PayloadTypes, jingle.PayloadType{ID: uint8(101 + i), Name: codec, ClockRate: 90000})
	}
	return c
}

func content(name, media, codec string, clock int) jingle.Content {
	d := &jingle.Description{Media: media, RTCPMux: true, PayloadTypes: []jingle.PayloadType{{ID: 100, Name: codec, ClockRate: clock}}}
	if media == "audio" {
		d.PayloadTypes[0].ID, d.PayloadTypes[0].Channels = 111, 2
	}
	return jingle.Content{Creator: jingle.Initiator, Name: name, Senders: jingle.Both, Description: d}
}

// bothOffered is the bridge's offer.
func bothOffered() *jingle.Jingle {
	return bridgeSays(content("audio", "audio", "opus", 48000), content("video", "video", "VP8", 90000))
}

// Handle is what a room does with presence: one occupant a nickname, and each hears of itself and of the others.
func (h *house) Handle(_ *wire.Batch, from muc.Sender, to wire.Addr, p *wire.Packet) {
	typ := string(p.Type())
	if p.Kind == wire.IQ {
		h.mu.Lock()
		opens := h.locked[to]
		delete(h.locked, to)
		h.mu.Unlock()
		if opens {
			from.Deliver(nil, "", wire.Stanza{Kind: wire.IQ, Tail: []byte(" from='" + string(to) + "' type='result' id='" + string(p.ID()) + "'/>")})
		}
		return
	}
	if p.Kind != wire.Presence {
		return
	}
	h.mu.Lock()
	who := h.nicks[to]
	own, all := "", ""
	fail := func(condition string) string {
		return " type='error'><error type='cancel'><" + condition + " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
	}
	fresh := true
	for a := range h.nicks {
		fresh = fresh && a.Bare() != to.Bare()
	}
	switch {
	case typ == "unavailable":
		delete(h.nicks, to)
		delete(h.shown, to)
		delete(h.locked, to.Bare())
		all = " type='unavailable'/>"
	case h.refuse != "" && who == nil:
		own = fail(h.refuse)
	case who != nil && who.Addr() != from.Addr():
		own = fail("conflict")
	case h.locked[to.Bare()]:
		own = fail("item-not-found")
	default:
		status := "<status code='110'/>"
		if fresh {
			h.locked[to.Bare()] = true
			status += "<status code='201'/>"
		}
		h.nicks[to] = from
		inner := string(p.Elem().Raw())
		h.shown[to] = inner
		children := inner[strings.Index(inner, ">")+1:]
		own = "><x xmlns='http://jabber.org/protocol/muc#user'>" + status + "</x></presence>"
		all = ">" + children
	}
	others := make(map[wire.Addr]muc.Sender)
	for a, s := range h.nicks {
		if a.Bare() == to.Bare() && a != to {
			others[a] = s
		}
	}
	h.mu.Unlock()
	tell := func(s muc.Sender, of wire.Addr, tail string) {
		if tail != "" {
			s.Deliver(nil, "", wire.Stanza{Kind: wire.Presence, Tail: []byte(" from='" + string(of) + "'" + tail)})
		}
	}
	for _, s := range others {
		tell(s, to, all)
	}
	tell(from, to, own)
}

// stranger has somebody in the room who uses another protocol, or go; presence is what it shows.
func (h *house) stranger(nick, presence string) {
	h.mu.Lock()
	var all []muc.Sender
	for _, s := range h.nicks {
		all = append(all, s)
	}
	h.mu.Unlock()
	tail := " type='unavailable'/>"
	if presence != "" {
		tail = ">" + presence + "</presence>"
	}
	for _, s := range all {
		s.Deliver(nil, "", wire.Stanza{Kind: wire.Presence, Tail: []byte(" from='" + string(roomAddr) + "/" + nick + "'" + tail)})
	}
	synctest.Wait()
}

// occupants are the presences in a room.
func (h *house) occupants() (list []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.shown {
		list = append(list, s)
	}
	slices.Sort(list)
	return list
}

// ask makes a request, and waits for what comes of it.
func (h *house) ask(method, target, body string, header ...string) *httptest.ResponseRecorder {
	h.t.Helper()
	w := h.request(method, target, body, header...)
	synctest.Wait()
	return w
}

func (h *house) request(method, target, body string, header ...string) *httptest.ResponseRecorder {
	h.t.Helper()
	r := httptest.NewRequest(method, "https://x.net"+target, strings.NewReader(body))
	r.RemoteAddr = source
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)")
	if h.agent != "" {
		r.Header.Set("User-Agent", h.agent)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r)
	return w
}

// reply is the answer to /join.
type reply struct {
	Result string
	Params struct {
		Room      string `json:"room_id"`
		Client    string `json:"client_id"`
		Initiator string `json:"is_initiator"`
		Link      string `json:"room_link"`
		Messages  []string
		WSS       string `json:"wss_url"`
		Post      string `json:"wss_post_url"`
		PC        string `json:"pc_config"`
		ICE       string `json:"ice_server_url"`
	}
}

func (h *house) join(query string) reply {
	h.t.Helper()
	return h.joinAs("22", query)
}

func (h *house) joinAs(room, query string) (a reply) {
	h.t.Helper()
	return h.joined(h.ask("POST", "/join/"+room+query, ""))
}

func (h *house) joined(w *httptest.ResponseRecorder) (a reply) {
	h.t.Helper()
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != http.StatusOK {
		h.t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return a
}

// joining joins while something else happens, and gives the answer when it is there.
func (h *house) joining(query string) func() reply {
	h.t.Helper()
	answer := make(chan reply, 1)
	go func() { answer <- h.joined(h.request("POST", "/join/22"+query, "")) }()
	synctest.Wait()
	return func() reply {
		synctest.Wait()
		select {
		case a := <-answer:
			return a
		default:
			h.t.Fatal("the join is not answered")
			return reply{}
		}
	}
}

// message posts a message, and gives the result.
func (h *house) message(client, text string) string {
	h.t.Helper()
	w := h.ask("POST", "/message/22/"+client, text)
	var a struct{ Result string }
	if w.Code != http.StatusOK {
		return fmt.Sprint(w.Code)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		h.t.Fatal(err)
	}
	return a.Result
}

// pipe is the WebSocket of a client.
type pipe struct {
	in   chan []byte
	end  chan struct{}
	once sync.Once
	mu   sync.Mutex
	out  []string
	code websocket.StatusCode
	deaf atomic.Bool // it does not answer pings
}

func (p *pipe) Read(ctx context.Context) (websocket.MessageType, []byte, error) {
	select {
	case text := <-p.in:
		return websocket.MessageText, text, nil
	case <-p.end:
	case <-ctx.Done():
	}
	return 0, nil, io.EOF
}

func (p *pipe) Write(_ context.Context, _ websocket.MessageType, text []byte) error {
	select {
	case <-p.end:
		return io.EOF
	default:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out = append(p.out, string(text))
	return nil
}

func (p *pipe) Ping(ctx context.Context) error {
	if !p.deaf.Load() {
		return nil
	}
	<-ctx.Done()
	return errors.New("no pong")
}

func (p *pipe) Close(code websocket.StatusCode, _ string) error {
	p.once.Do(func() { p.code = code; close(p.end) })
	return nil
}

func (p *pipe) CloseNow() error { return p.Close(-1, "") }

// client is a client with a WebSocket.
type client struct {
	t *testing.T
	*pipe
}

func (h *house) dial() *client {
	h.t.Helper()
	c := &client{h.t, &pipe{in: make(chan []byte), end: make(chan struct{})}}
	from := netip.MustParseAddrPort(source).Addr()
	if !h.service.hall.Admit(from) {
		h.t.Fatal("not admitted")
	}
	go func() {
		defer h.service.hall.Dismiss(from)
		h.service.serve(c.pipe, from, "")
	}()
	return c
}

// register dials and registers.
func (h *house) register(room, id string) *client {
	h.t.Helper()
	c := h.dial()
	c.raw(fmt.Sprintf(`{"cmd":"register","roomid":%q,"clientid":%q}`, room, id))
	return c
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

// send says something to the other.
func (c *client) send(msg string) {
	c.t.Helper()
	text, _ := json.Marshal(map[string]string{"cmd": "send", "msg": msg})
	c.raw(string(text))
}

// got takes what the client was sent since it was asked last: messages, and errors with a mark of interrogation before them. It reads
// as strictly as the strictest client: two members, of which one says something.
func (c *client) got() []string {
	c.t.Helper()
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	list := []string{}
	for _, text := range c.out {
		var m map[string]string
		if err := json.Unmarshal([]byte(text), &m); err != nil || len(m) != 2 || (m["msg"] == "") == (m["error"] == "") {
			c.t.Errorf("not a frame: %s", text)
		}
		if m["error"] != "" {
			list = append(list, "?"+m["error"])
		} else {
			list = append(list, m["msg"])
		}
	}
	c.out = nil
	return list
}

// wants compares what the client was sent.
func (c *client) wants(want ...string) {
	c.t.Helper()
	if got := c.got(); !slices.Equal(got, want) {
		c.t.Errorf("it was sent %q, not %q", got, want)
	}
}

// closed reports that the connection has ended.
func (c *client) closed() bool {
	synctest.Wait()
	select {
	case <-c.end:
		return true
	default:
		return false
	}
}

func (c *client) wantClosed(want bool) {
	c.t.Helper()
	if got := c.closed(); got != want {
		c.t.Errorf("closed is %t", got)
	}
}

func (c *client) hangUp() {
	c.CloseNow()
	synctest.Wait()
}
