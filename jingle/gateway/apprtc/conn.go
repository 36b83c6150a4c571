package apprtc

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"parley/internal/limit"
	"parley/jingle/gateway/socket"
)

const (
	frameMost  = 2 * messageMost // bytes of a frame: a message with what JSON adds
	queueMost  = 2 * waitingMost // frames that wait for a client
	queueBytes = 8 << 20         // and their bytes
	pingEvery  = 25 * time.Second
	pongTime   = 35 * time.Second
)

// conn is a client's WebSocket. It is registered once, for one member of one room.
type conn struct {
	*socket.Line
	service *Service
	token   string // of the address that it connected to

	room   *room // where it is registered, and as whom: the reader's
	client string
}

// ServeWebSocket takes the WebSocket of a client, and returns when it is closed.
func (s *Service) ServeWebSocket(w http.ResponseWriter, r *http.Request) {
	source := sourceOf(r)
	shared := s.parts.Other
	if !s.originAllowed(r) && (shared == nil || !shared.OriginAllowed(r)) {
		s.rec.Reject("ws.origin", source.String(), "origin", r.Header.Get("Origin"))
		http.Error(w, "forbidden", http.StatusForbidden)
		return
	}
	if !s.hall.Admit(source) {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many connections", http.StatusTooManyRequests)
		return
	}
	dismiss := sync.OnceFunc(func() { s.hall.Dismiss(source) })
	defer dismiss()
	accepted, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // of the Origin: see above
	if err != nil {
		s.rec.Debug("ws.reject", source.String(), "err", err.Error())
		return
	}
	accepted.SetReadLimit(frameMost)
	var ws socket.Socket = accepted
	if shared != nil {
		first := &opened{Socket: ws}
		if !first.read() {
			ws.CloseNow()
			return
		}
		if ws = first; !first.ours() {
			dismiss()
			shared.Adopt(ws, r)
			return
		}
		if !s.originAllowed(r) {
			s.rec.Reject("ws.origin", source.String(), "origin", r.Header.Get("Origin"))
			ws.Close(websocket.StatusPolicyViolation, "forbidden")
			return
		}
	}
	s.serve(ws, source, tokenOf(r))
}

// originAllowed keeps pages of strangers from using the network position of their visitors. Clients that are no pages have no
// origin.
func (s *Service) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || slices.ContainsFunc(s.parts.Origins, func(o string) bool { return strings.EqualFold(o, origin) }) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

// sourceOf is what limits count a request as.
func sourceOf(r *http.Request) netip.Addr {
	ap, _ := netip.ParseAddrPort(r.RemoteAddr)
	return limit.Source(ap.Addr())
}

// tokenOf is the token that a request comes with.
func tokenOf(r *http.Request) string {
	q := r.URL.Query()
	if t := q.Get("jwt"); t != "" {
		return t
	}
	return q.Get("token")
}

// serve works off what a client says until its connection ends.
func (s *Service) serve(ws socket.Socket, source netip.Addr, token string) {
	terms := socket.Terms{Frames: s.cfg.Frames, Queue: queueMost, Bytes: queueBytes, Ping: pingEvery, Pong: pongTime}
	c := &conn{Line: socket.New(ws, source, terms, s.rec), service: s, token: token}
	if !s.hall.Enter(c.Line) {
		return
	}
	defer s.hall.Leave(c.Line)
	c.Serve(func(_ websocket.MessageType, text []byte) bool { return s.frame(c, text) })
	if r := c.room; r != nil {
		s.registered.Add(-1)
		r.Do(func() { r.lost(c) })
		s.release(r)
	}
	c.Wait()
}

// frame does what a client says, and reports that its connection goes on.
func (s *Service) frame(c *conn, text []byte) bool {
	f, err := parseFrame(text)
	switch {
	case err != nil:
		s.rec.Reject("json.reject", c.Source.String())
		return c.fail("websocket.JSON.Receive error: "+err.Error(), false)
	case f.Cmd == "register":
		return s.register(c, f)
	case f.Cmd != "send":
		s.rec.Reject("json.reject", c.Source.String(), "cmd", f.Cmd)
		return c.fail("Invalid message: unexpected 'cmd'", true)
	case c.room == nil:
		return c.fail("Client not registered", false)
	case f.Msg == "":
		return c.fail("Invalid send request: missing 'msg'", false)
	case len(f.Msg) > messageMost:
		s.rec.Reject("json.reject", c.Source.String(), "cmd", f.Cmd)
		return c.fail("Invalid send request: the message is too long", false)
	}
	c.room.Do(func() { c.room.said(c.client, c, f.Msg) })
	return true
}

// fail tells a client what is wrong, and returns whether its connection goes on.
func (c *conn) fail(text string, on bool) bool {
	c.service.faults.ws.Add(1)
	c.Send(appendFrame("", text))
	return on
}

// tell sends a message of another client.
func (c *conn) tell(msg string) { c.Send(appendFrame(msg, "")) }
