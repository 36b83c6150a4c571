package portal

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// Requests that name a room which this node does not open are for another one; pages only where a balancer says that it leads by rooms.
func TestV22RequestsForRoomsThatAreNotOpenGoElsewhere(t *testing.T) {
	p := newPortal(t, func(_ *Config, parts *Parts) {
		parts.Opens = func(room string) bool { return room == "open" || room == "[acme]open" }
	})
	for _, c := range []struct {
		target, header string
		want           int
	}{
		{"/xmpp-websocket", "", http.StatusOK},
		{"/xmpp-websocket?room=OPEN", "", http.StatusOK},
		{"/xmpp-websocket?room=other", "", http.StatusServiceUnavailable},
		{"/acme/xmpp-websocket?room=open", "", http.StatusOK},
		{"/other/xmpp-websocket?room=open", "", http.StatusServiceUnavailable},
		{"/other", "", http.StatusOK},
		{"/other", "other", http.StatusServiceUnavailable},
		{"/open", "open", http.StatusOK},
		{"/health/ready", "other", http.StatusOK},
	} {
		r := httptest.NewRequest("GET", c.target, nil)
		r.Host = "meet.example"
		if c.header != "" {
			r.Header.Set("X-Room", c.header)
		}
		r.RemoteAddr = "203.0.113.1:1000"
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		if w.Code != c.want || (w.Header().Get("Retry-After") != "") != (c.want == http.StatusServiceUnavailable) {
			t.Errorf("%s with X-Room %q: %d, want %d", c.target, c.header, w.Code, c.want)
		}
	}
}
