package portal

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"
)

// pages are the files of the web page, held in memory with their content types and tags.
type pages struct {
	files  map[string]file // by path below /static/
	policy string          // Content-Security-Policy
	frames bool            // somebody may show us in a frame
}

type file struct {
	content []byte
	kind    string
	tag     string // ETag
}

// types are the content types of files; others are not served. The system's own table is not asked, so that every
// machine serves the same.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".mjs": "text/javascript; charset=utf-8", ".json": "application/json", ".svg": "image/svg+xml", ".png": "image/png",
	".ico": "image/x-icon", ".woff2": "font/woff2", ".wasm": "application/wasm", ".txt": "text/plain; charset=utf-8",
	".webmanifest": "application/manifest+json", ".mp3": "audio/mpeg", ".ogg": "audio/ogg", ".webp": "image/webp", ".map": "application/json",
	".md": "text/plain; charset=utf-8",
}

func newPages(files fs.FS, frames []string) (pages, error) {
	p := pages{files: make(map[string]file), frames: len(frames) > 0}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		kind := types[path.Ext(name)]
		if kind == "" {
			kind = "text/plain; charset=utf-8" // licences
		}
		sum := sha256.Sum256(content)
		p.files[name] = file{content, kind, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
		return nil
	})
	if err != nil {
		return p, fmt.Errorf("portal: page: %w", err)
	}
	if _, ok := p.files["index.html"]; !ok {
		return p, fmt.Errorf("portal: the page has no index.html")
	}
	ancestors := "'none'"
	if len(frames) > 0 {
		ancestors = strings.Join(frames, " ")
	}
	p.policy = policy(ancestors)
	return p, nil
}

// policy is the one of content of every page, with who may show it in a frame.
func policy(ancestors string) string {
	return "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; " +
		"form-action 'self'; frame-ancestors " + ancestors
}

func (p *pages) index(w http.ResponseWriter, r *http.Request) { p.serve(w, r, "index.html") }

// The pages beside that of rooms: that of administrators, which knows nothing until the API has let them in, and that of the
// RoomServer door.
const (
	adminPage = "admin.html"
	rsPage    = "rs.html"
)

// roomServer serves the page of the RoomServer door, with the headers of rooms.
func (p *pages) roomServer(w http.ResponseWriter, r *http.Request) { p.serve(w, r, rsPage) }

// toRoomServer leads there, with what was asked. It is not to be remembered: the door may be closed another day.
func (p *pages) toRoomServer(w http.ResponseWriter, r *http.Request) {
	to := url.URL{Path: rsPath, RawQuery: r.URL.RawQuery}
	http.Redirect(w, r, to.String(), http.StatusFound)
}

// admin serves the page of administrators. Nobody may show it in a frame, whatever holds for rooms.
func (p *pages) admin(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy("'none'"))
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), display-capture=(), geolocation=()")
	p.serve(w, r, adminPage)
}

func (p *pages) asset(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/static/")
	if name == adminPage || name == rsPage { // they have their own places, and their own headers
		http.NotFound(w, r)
		return
	}
	p.serve(w, r, name)
}

func (p *pages) serve(w http.ResponseWriter, r *http.Request, name string) {
	f, ok := p.files[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("ETag", f.tag)
	h.Set("Cache-Control", "no-cache") // ask each time; the tag makes it cheap
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
}

// secureHeaders are for every answer: nothing is loaded from elsewhere, nothing runs that is not a file of ours, no
// address with a room or token in it is told to others (hardening HW2, HW4).
func (p *Portal) secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", p.pages.policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if !p.pages.frames {
			h.Set("X-Frame-Options", "DENY")
			h.Set("Cross-Origin-Opener-Policy", "same-origin")
			h.Set("Permissions-Policy", "camera=(self), microphone=(self), display-capture=(self), geolocation=()")
		}
		if r.TLS != nil && p.parts.Trusted || r.TLS == nil && scheme(r) == "https" {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// reserved are words that are no rooms: paths of ours, now or later, and what scanners look for.
var reserved = []string{
	"about", "admin", "api", "bye", "colibri", "colibri-relay-ws", "colibri-ws", "conference-request", "config.js", "debug",
	"external_api.js", "health", "http-bind", "interface_config.js", "invite", "join", "leave", "libs", "login", "message", "metrics",
	"mqtt", "page.json", "params", "r", "rs", "static", "turn", "upload", "v1alpha", "whep", "whip", "ws", "xmpp-websocket",
}

// room serves the page for a room. The name is not looked at further: the page joins the room like any client.
func (p *Portal) room(w http.ResponseWriter, r *http.Request) {
	name := chi.URLParam(r, "room")
	if name[0] == '.' || len(name) > 512 || !utf8.ValidString(name) || slices.Contains(reserved, strings.ToLower(name)) {
		http.NotFound(w, r)
		return
	}
	p.pages.index(w, r)
}

// info is what the page has to know of the server.
type info struct {
	Domain     string `json:"domain"`
	Rooms      string `json:"muc"`
	Focus      string `json:"focus"`
	WebSocket  string `json:"websocket"`
	Conference string `json:"conferenceRequest,omitempty"`
}

func (p *Portal) pageInfo(w http.ResponseWriter, r *http.Request) {
	i := info{Domain: p.parts.Domain, Rooms: p.parts.Rooms, Focus: p.parts.Focus, WebSocket: "/xmpp-websocket"}
	if p.parts.Conference != nil {
		i.Conference = "/conference-request/v1"
	}
	writeJSON(w, i)
}

func writeJSON(w http.ResponseWriter, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(v)
}
