package portal

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-chi/chi/v5"
)

// Relations of XEP-0156 §3.
const (
	relWebSocket = "urn:xmpp:alt-connections:websocket"
	relBOSH      = "urn:xmpp:alt-connections:xbosh"
)

// links are the addresses at which this server speaks XMPP. The host is the one that was asked for, which checkHost has
// found to be ours.
func (p *Portal) links(r *http.Request) []link {
	secure := ""
	if scheme(r) == "https" {
		secure = "s"
	}
	at := func(scheme, path string) string {
		u := url.URL{Scheme: scheme + secure, Host: r.Host, Path: path}
		return u.String()
	}
	list := []link{{relWebSocket, at("ws", "/xmpp-websocket")}}
	if p.parts.BOSH != nil {
		list = append(list, link{relBOSH, at("http", "/http-bind")})
	}
	return list
}

type link struct {
	Rel  string `xml:"rel,attr" json:"rel"`
	Href string `xml:"href,attr" json:"href"`
}

// hostMeta tells clients where WebSocket and BOSH are (XEP-0156 §3, RFC 6415).
func (p *Portal) hostMeta(w http.ResponseWriter, r *http.Request) {
	doc := struct {
		XMLName xml.Name `xml:"http://docs.oasis-open.org/ns/xri/xrd-1.0 XRD"`
		Link    []link   `xml:"Link"`
	}{Link: p.links(r)}
	body, err := xml.Marshal(doc)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	everybody(w)
	w.Header().Set("Content-Type", "application/xrd+xml; charset=utf-8")
	w.Write(append([]byte(xml.Header), body...))
}

func (p *Portal) hostMetaJSON(w http.ResponseWriter, r *http.Request) {
	everybody(w)
	writeJSON(w, struct {
		Links []link `json:"links"`
	}{p.links(r)})
}

// everybody lets pages of all origins read the answer, as XEP-0156 §4 asks for.
func everybody(w http.ResponseWriter) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
}

// ofTenant turns the tenant in the path into the parameter prefix, which is the same to clients (spec: jitsi §2).
func (p *Portal) ofTenant(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		q.Set("prefix", chi.URLParam(r, "tenant"))
		r.URL.RawQuery = q.Encode()
		r.URL.Path = strings.TrimPrefix(r.URL.Path, "/"+chi.URLParam(r, "tenant"))
		next.ServeHTTP(w, r)
	})
}
