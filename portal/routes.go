package portal

import (
	"net/http"

	"github.com/go-chi/chi/v5"
)

// table is every public path that there is. What is not here is not found.
func (p *Portal) table() http.Handler {
	r := chi.NewRouter()
	r.Use(p.recover, p.believeProxies, p.checkFraming, p.checkHost, p.checkPath, p.checkOrigin, p.limitBody, p.secureHeaders)

	r.Method(http.MethodGet, "/xmpp-websocket", p.parts.XMPP)
	r.Method(http.MethodGet, "/{tenant}/xmpp-websocket", p.ofTenant(p.parts.XMPP))
	if p.parts.Channel != nil {
		r.Method(http.MethodGet, "/colibri-ws/*", p.parts.Channel)
	}
	if p.parts.Conference != nil {
		for _, method := range []string{http.MethodPost, http.MethodOptions} {
			r.Method(method, "/conference-request/v1", p.parts.Conference)
			r.Method(method, "/{tenant}/conference-request/v1", p.ofTenant(p.parts.Conference))
		}
	}

	read(r, "/health/live", live)
	read(r, "/health/ready", p.ready)
	read(r, "/.well-known/host-meta", p.hostMeta)
	read(r, "/.well-known/host-meta.json", p.hostMetaJSON)
	read(r, "/page.json", p.pageInfo)
	read(r, "/robots.txt", robots)
	read(r, "/favicon.ico", noFavicon)

	read(r, "/static/*", p.pages.asset)
	read(r, "/", p.pages.index)
	read(r, "/{room}", p.room)
	return r
}

// read adds a route that changes nothing.
func read(r chi.Router, path string, h http.HandlerFunc) {
	r.Get(path, h)
	r.Head(path, h)
}

func noFavicon(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }

// robots keeps rooms out of search engines.
func robots(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write([]byte("User-agent: *\nDisallow: /\n"))
}
