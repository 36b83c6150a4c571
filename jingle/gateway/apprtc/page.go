package apprtc

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"path"
)

//go:embed page
var files embed.FS

var templates = template.Must(template.ParseFS(files, "page/*.html"))

// shown is what a page is made of.
type shown struct {
	params
	Nonce string // of its own script
	Media template.JS
	PC    template.JS
	PCC   template.JS
	Offer template.JS
	Flags template.JS // is_loopback
	Skip  template.JS // bypass_join_confirmation
}

// ServeRoom serves the page of a room, or one that says that the room is full. It has the parameters of the room, but nobody's place.
func (s *Service) ServeRoom(w http.ResponseWriter, r *http.Request) {
	room, more, addr, ok := s.place(r, "/r/")
	if !ok || more != "" {
		http.NotFound(w, r)
		return
	}
	p := shown{params: s.paramsFor(r, room, s.pageKey()), Nonce: newKey()}
	p.Media, p.PC, p.PCC = template.JS(p.MediaConstraints), template.JS(p.PCConfig), template.JS(p.PCConstraints)
	p.Offer, p.Flags, p.Skip = template.JS(p.OfferOptions), template.JS(p.IsLoopback), template.JS(p.Bypass)
	name := "room.html"
	if s.isFull(addr) {
		name = "full.html"
	}
	var out bytes.Buffer
	if err := templates.ExecuteTemplate(&out, name, p); err != nil {
		s.rec.Hurt("page.write", sourceOf(r).String(), "err", err.Error())
		http.Error(w, "internal server error", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	policy := "script-src 'self' 'nonce-" + p.Nonce + "'; connect-src 'self'"
	for _, address := range []string{p.WSS, p.WSSPost, p.ICEURL} {
		if u, err := url.Parse(address); err == nil && u.Host != "" {
			policy += " " + u.Scheme + "://" + u.Host
		}
	}
	if before := h.Get("Content-Security-Policy"); before != "" {
		policy = before + "; " + policy
	}
	h.Set("Content-Security-Policy", policy)
	w.Write(out.Bytes())
}

// ServeFile serves what the pages load.
func (s *Service) ServeFile(w http.ResponseWriter, r *http.Request) {
	kind := map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}[path.Ext(r.URL.Path)]
	b, err := files.ReadFile("page/" + path.Base(r.URL.Path))
	if err != nil || kind == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-cache")
	w.Write(b)
}
