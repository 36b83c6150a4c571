package roomserver

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"parley/jingle/gateway/socket"
)

const (
	frameMost  = 256 << 10        // bytes of a frame
	queueMost  = 1024             // frames that wait for a client
	queueBytes = 4 << 20          // and their bytes: a few of the longest
	pingEvery  = 30 * time.Second // and how long the answer may take
)

// conn is a client's connection. It is in at most one room.
type conn struct {
	*socket.Line
	service *Service
	place   atomic.Pointer[place]
}

func (s *Service) newConn(ws socket.Socket, source netip.Addr) *conn {
	terms := socket.Terms{Frames: s.cfg.Frames, Queue: queueMost, Bytes: queueBytes, Ping: pingEvery, Pong: pingEvery}
	return &conn{Line: socket.New(ws, source, terms, s.rec), service: s}
}

// place is where a connection is.
type place struct {
	room   *room
	member *member
}

// ServeHTTP takes the WebSocket of a client, and returns when it is closed.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	source := sourceOf(r)
	if !s.originAllowed(r) {
		s.rec.Reject("ws.origin", source.String(), "origin", r.Header.Get("Origin"))
		http.Error(w, "forbidden", http.StatusForbidden)
		return
	}
	if !s.hall.Admit(source) {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many connections", http.StatusTooManyRequests)
		return
	}
	defer s.hall.Dismiss(source)
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // of the Origin: see above
	if err != nil {
		s.rec.Debug("ws.reject", source.String(), "err", err.Error())
		return
	}
	ws.SetReadLimit(frameMost)
	s.serve(ws, source)
}

// originAllowed keeps pages of strangers from using the network position of their visitors: a page is of the host that is
// asked, of an application's domain, or on the list.
func (s *Service) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || slices.ContainsFunc(s.parts.Origins, func(o string) bool { return strings.EqualFold(o, origin) }) {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	return strings.EqualFold(u.Host, r.Host) || slices.ContainsFunc(s.cfg.App, func(a App) bool { return a.has(hostOf(origin)) })
}

// serve works off what a client says until its connection ends.
func (s *Service) serve(ws socket.Socket, source netip.Addr) {
	c := s.newConn(ws, source)
	if !s.hall.Enter(c.Line) {
		return
	}
	defer s.hall.Leave(c.Line)
	c.Serve(func(typ websocket.MessageType, text []byte) bool {
		if typ != websocket.MessageText {
			text = nil
		}
		s.message(c, text)
		return true
	})
	c.Wait()
}
