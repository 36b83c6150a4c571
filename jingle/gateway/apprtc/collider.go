package apprtc

import (
	"html"
	"net/http"
	"strings"
	"time"
)

// digits reports that a name is one that this server gives to clients.
func digits(name string) bool {
	return len(name) == 8 && strings.Trim(name, "0123456789") == ""
}

// Takes reports that the path of a request is one of Collider's side door. At the top, where rooms have pages and other services
// their paths, the client's name has to be one that this server has given.
func (s *Service) Takes(path string) bool {
	if below, ok := s.below(path); ok {
		return strings.Count(below, "/") == 2
	}
	f := strings.Split(path, "/")
	return len(f) == 3 && names.MatchString(f[1]) && digits(f[2]) && !reserved[f[1]]
}

// reserved are the first segments of the other paths of the protocol.
var reserved = map[string]bool{"join": true, "message": true, "leave": true, "bye": true, "r": true, "v1alpha": true, "turn": true, "params": true, "js": true, "css": true, "images": true}

// below is a path below the prefix of Collider's interface.
func (s *Service) below(path string) (string, bool) {
	if s.cfg.Collider == "" {
		return "", false
	}
	rest, ok := strings.CutPrefix(path, s.cfg.Collider)
	return rest, ok && strings.HasPrefix(rest, "/")
}

// ServeCollider is the side door at the top: POST sends a message as a client, DELETE forgets it.
func (s *Service) ServeCollider(w http.ResponseWriter, r *http.Request) {
	if !s.Takes(r.URL.Path) {
		http.NotFound(w, r)
		return
	}
	s.side(w, r, r.URL.Path, false)
}

// ServeBelow is Collider's whole interface, below its prefix.
func (s *Service) ServeBelow(w http.ResponseWriter, r *http.Request) {
	switch path, _ := s.below(r.URL.Path); {
	case path == "/ws" && r.Method == http.MethodGet:
		s.ServeWebSocket(w, r)
	case path == "/status" && r.Method == http.MethodGet:
		s.ServeStatus(w, r)
	default:
		s.side(w, r, path, true)
	}
}

// side answers a request of the side door. Fresh says that a message makes the room and the client that it comes from.
func (s *Service) side(w http.ResponseWriter, r *http.Request, path string, fresh bool) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "POST, DELETE")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Content-Type", "text/plain; charset=utf-8")
	fail := func(text string) {
		s.faults.http.Add(1)
		http.Error(w, text, http.StatusInternalServerError)
	}
	if r.Method == http.MethodOptions {
		h.Set("Access-Control-Allow-Headers", "Content-Type")
		return
	}
	f := strings.Split(path, "/")
	if len(f) != 3 {
		fail("Invalid path: " + html.EscapeString(path))
		return
	}
	addr, ok := s.address(f[1])
	if !ok || !names.MatchString(f[2]) {
		fail("Invalid path: " + html.EscapeString(path))
		return
	}
	switch r.Method {
	case http.MethodPost:
		text, err := body(r)
		switch {
		case err != nil:
			fail("Failed to read request body: " + err.Error())
			return
		case text == "":
			fail("Empty request body")
			return
		}
		if err := s.post(r, f[1], f[2], text, fresh); err != nil {
			fail("Failed to send the message: " + err.Error())
			return
		}
	case http.MethodDelete:
		s.with(addr, f[2], func(at *room, m *member) { at.drop(m) })
	default:
		return
	}
	w.Write([]byte("OK\n"))
}

const (
	errFull    = fault("Max room capacity reached")
	errUnknown = fault("no such client")
)

// post says something as a client, which is made if it is not there: it keeps its place until it registers or does not.
func (s *Service) post(r *http.Request, room, client, text string, fresh bool) error {
	addr, _ := s.address(room)
	at := s.acquire(addr, fresh)
	if at == nil {
		return errUnknown
	}
	defer s.release(at)
	known := false
	var err error
	say := func() {
		if m := at.members[client]; m != nil {
			known, err = true, at.say(m, text)
		}
	}
	if at.Do(say); known || !fresh {
		if !known {
			return errUnknown
		}
		return err
	}
	claims, ok := s.check(tokenOf(r), addr, sourceOf(r))
	if !ok {
		return errUnknown
	}
	at.Do(func() {
		if at.members[client] == nil && !at.join(joining{id: client, source: sourceOf(r), claims: claims}) {
			err = errFull
			return
		}
		say()
	})
	return err
}

// ServeStatus says what there is and was.
func (s *Service) ServeStatus(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Access-Control-Allow-Methods", "GET")
	w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
	writeJSON(w, struct {
		Up     float64 `json:"upsec"`
		Open   int64   `json:"openws"`
		Total  int64   `json:"totalws"`
		WS     int64   `json:"wserrors"`
		Errors int64   `json:"httperrors"`
	}{time.Since(s.begun).Seconds(), s.registered.Load(), s.total.Load(), s.faults.ws.Load(), s.faults.http.Load()})
}
