package portal

import (
	"net/http"

	"github.com/go-chi/chi/v5"
)

// Paths of which the body of a request may be larger than those of others.
const (
	boshPath    = "/http-bind"
	uploadPath  = "/upload/"
	apiPath     = "/api/"
	icePath     = "/v1alpha/iceconfig"
	rsPath      = "/rs/" // the page of the RoomServer door: the one path that ends in a slash
	rsLoginPath = "/api/login"
)

// table is every public path that there is. What is not here is not found.
func (p *Portal) table() http.Handler {
	r := chi.NewRouter()
	r.Use(p.recover, p.believeProxies, p.checkFraming, p.checkHost, p.checkPath, p.checkOrigin, p.limitBody, p.secureHeaders)

	r.Method(http.MethodGet, "/xmpp-websocket", p.byQuery(p.parts.XMPP))
	r.Method(http.MethodGet, "/{tenant}/xmpp-websocket", p.ofTenant(p.byQuery(p.parts.XMPP)))
	if p.parts.BOSH != nil {
		for _, method := range []string{http.MethodPost, http.MethodOptions} {
			r.Method(method, boshPath, p.parts.BOSH)
			r.Method(method, "/{tenant}"+boshPath, p.ofTenant(p.parts.BOSH))
		}
	}
	if p.parts.Upload != nil {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodOptions} {
			r.Method(method, uploadPath+"*", p.parts.Upload)
		}
	}
	if p.parts.API != nil {
		r.Handle(apiPath+"v1", p.parts.API)
		r.Handle(apiPath+"v1/*", p.parts.API)
		read(r, "/admin", p.pages.admin)
	}
	if p.parts.Channel != nil {
		r.Method(http.MethodGet, "/colibri-ws/*", p.parts.Channel)
	}
	if p.parts.Conference != nil {
		for _, method := range []string{http.MethodPost, http.MethodOptions} {
			r.Method(method, "/conference-request/v1", p.parts.Conference)
			r.Method(method, "/{tenant}/conference-request/v1", p.ofTenant(p.parts.Conference))
		}
	}

	if rs := p.parts.RoomServer; rs.Socket != nil {
		if p.parts.AppRTC.Socket == nil {
			r.Method(http.MethodGet, "/ws", p.byQuery(rs.Socket))
		}
		read(r, "/rs", p.pages.toRoomServer)
		read(r, rsPath, p.pages.roomServer)
		r.Method(http.MethodGet, rsPath+"ws", p.byQuery(rs.Socket))
		r.Post(rsLoginPath, rs.Login)
		r.Options(rsLoginPath, rs.Login)
		if rs.ICE != nil {
			r.Post("/api/ice", rs.ICE)
			r.Post("/icebandwidthload", rs.ICE)
		}
	}

	if a := p.parts.AppRTC; a.Socket != nil {
		r.Method(http.MethodGet, "/ws", p.byQuery(a.Socket))
		read(r, "/r/{room}", p.page(a.Room))
		r.Post("/join/{room}", p.byPath(a.Join))
		r.Post("/message/{room}/{client}", a.Message)
		r.Post("/leave/{room}/{client}", a.Leave)
		r.Post("/bye/{room}/{client}", a.Bye)
		read(r, "/params", a.Params)
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodOptions} {
			r.Method(method, icePath, a.ICE)
		}
		read(r, "/turn", a.TURN)
		read(r, "/status", a.Status)
		read(r, "/js/{file}", a.File)
		read(r, "/css/{file}", a.File)
		r.HandleFunc("/{room}/{client}", a.Collider)
		if a.Prefix != "" {
			r.HandleFunc(a.Prefix+"/*", a.Below)
		}
	}

	read(r, "/health/live", live)
	read(r, "/health/ready", p.ready)
	read(r, "/.well-known/host-meta", p.hostMeta)
	read(r, "/.well-known/host-meta.json", p.hostMetaJSON)
	read(r, "/page.json", p.pageInfo)
	read(r, "/robots.txt", robots)
	read(r, "/favicon.ico", noFavicon)

	if p.parts.Invitation != nil {
		read(r, "/invite/{token}", p.invitation)
	}

	read(r, "/static/*", p.pages.asset)
	read(r, "/", p.pages.index)
	read(r, "/{room}", p.page(p.room))
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
