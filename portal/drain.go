package portal

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
)

// byQuery refuses a request that says in its query that it is for a room which this node does not open: so that a load balancer takes
// it elsewhere before there is a connection that would have to be.
func (p *Portal) byQuery(next http.Handler) http.Handler {
	return p.opens(next, func(r *http.Request) string {
		q := r.URL.Query()
		room := q.Get("room")
		if tenant := q.Get("prefix"); room != "" && tenant != "" {
			room = "[" + tenant + "]" + room
		}
		return room
	})
}

// byPath is byQuery for requests with the room in their path.
func (p *Portal) byPath(next http.HandlerFunc) http.HandlerFunc {
	return p.opens(next, func(r *http.Request) string { return chi.URLParam(r, "room") }).ServeHTTP
}

// page is byPath for pages, which a balancer leads to rooms by too: it says so by X-Room. Else they can be had from any node.
func (p *Portal) page(next http.HandlerFunc) http.HandlerFunc {
	return p.opens(next, func(r *http.Request) string {
		if r.Header.Get("X-Room") == "" {
			return ""
		}
		return chi.URLParam(r, "room")
	}).ServeHTTP
}

func (p *Portal) opens(next http.Handler, room func(*http.Request) string) http.Handler {
	if p.parts.Opens == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := strings.ToLower(room(r)); name != "" && !p.parts.Opens(name) {
			w.Header().Set("Retry-After", "2")
			p.refuse(w, r, http.StatusServiceUnavailable, "room.drain")
			return
		}
		next.ServeHTTP(w, r)
	})
}
