package roomserver

import (
	"net/http"

	"github.com/coder/websocket"

	"parley/jingle/gateway/socket"
)

// OriginAllowed reports that a page may connect.
func (s *Service) OriginAllowed(r *http.Request) bool { return s.originAllowed(r) }

// Adopt takes a WebSocket of which another door has seen that it is one of this protocol, and returns when it is closed.
func (s *Service) Adopt(ws socket.Socket, r *http.Request) {
	source := sourceOf(r)
	if !s.originAllowed(r) {
		s.rec.Reject("ws.origin", source.String(), "origin", r.Header.Get("Origin"))
		ws.Close(websocket.StatusPolicyViolation, "forbidden")
		return
	}
	if !s.hall.Admit(source) {
		ws.Close(websocket.StatusTryAgainLater, "too many connections")
		return
	}
	defer s.hall.Dismiss(source)
	s.serve(ws, source)
}
