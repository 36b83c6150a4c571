package portal

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path"
	"strings"
	"testing"
	"testing/fstest"
)

// newPortal has a page of one file and routes that say what reached them.
func newPortal(t testing.TB, change func(*Config, *Parts)) *Portal {
	t.Helper()
	cfg := Defaults()
	parts := Parts{
		Domain: "meet.example", Rooms: "muc.meet.example", Focus: "focus.meet.example",
		Page: fstest.MapFS{"index.html": {Data: []byte("<!doctype html>page")}, "js/main.js": {Data: []byte("1")}, "LICENSE": {Data: []byte("<b>free</b>")}},
		XMPP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte("xmpp from " + r.RemoteAddr + " at " + r.URL.String()))
		}),
		Ready: func() error { return nil },
	}
	if change != nil {
		change(&cfg, &parts)
	}
	p, err := New(cfg, parts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// send sends a request with a body.
func send(p *Portal, method, target, body string) *httptest.ResponseRecorder {
	return do(p, httptest.NewRequest(method, target, strings.NewReader(body)), "203.0.113.1:1000", nil)
}

// ask sends a request from an address to another one of the server.
func ask(p *Portal, method, target, from string, header http.Header) *httptest.ResponseRecorder {
	return do(p, httptest.NewRequest(method, target, nil), from, header)
}

func do(p *Portal, r *http.Request, from string, header http.Header) *httptest.ResponseRecorder {
	r.RemoteAddr = from
	for k, v := range header {
		r.Header[k] = v
	}
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv4(198, 51, 100, 1), Port: 443}))
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

func TestTenantIsThePrefix(t *testing.T) {
	p := newPortal(t, nil)
	w := ask(p, "GET", "https://meet.example/acme/xmpp-websocket?room=r&token=x", "203.0.113.1:1000", nil)
	if got := w.Body.String(); got != "xmpp from 203.0.113.1:1000 at https://meet.example/xmpp-websocket?prefix=acme&room=r&token=x" {
		t.Error(got)
	}
	w = ask(p, "GET", "https://meet.example/acme/xmpp-websocket?prefix=other", "203.0.113.1:1000", nil)
	if got := w.Body.String(); !strings.HasSuffix(got, "?prefix=acme") {
		t.Error(got)
	}
}

func TestHC6TheLastStrangerBehindProxiesCounts(t *testing.T) {
	p := newPortal(t, func(c *Config, _ *Parts) {
		c.Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	})
	for _, c := range []struct{ from, forwarded, want string }{
		{"10.0.0.1:5", "203.0.113.7", "203.0.113.7:0"},
		{"10.0.0.1:5", "192.0.2.1, 203.0.113.7", "203.0.113.7:0"},
		{"10.0.0.1:5", "192.0.2.1, 203.0.113.7, 10.0.0.2", "203.0.113.7:0"},
		{"10.0.0.1:5", "10.0.0.3, 10.0.0.2", "10.0.0.3:0"},
		{"10.0.0.1:5", "192.0.2.1, unknown", "10.0.0.1:5"},
		{"10.0.0.1:5", "192.0.2.1, unknown, 10.0.0.2", "10.0.0.2:0"},
		{"10.0.0.1:5", "", "10.0.0.1:5"},
		{"[::ffff:10.0.0.1]:5", "2001:db8::7", "[2001:db8::7]:0"},
		{"[fd00::1]:5", "::ffff:192.0.2.1", "192.0.2.1:0"},
		{"203.0.113.9:5", "192.0.2.1", "203.0.113.9:5"},
	} {
		h := http.Header{}
		if c.forwarded != "" {
			h.Set("X-Forwarded-For", c.forwarded)
		}
		got := ask(p, "GET", "https://meet.example/xmpp-websocket", c.from, h).Body.String()
		if !strings.HasPrefix(got, "xmpp from "+c.want+" ") {
			t.Errorf("%s, %q: %s", c.from, c.forwarded, got)
		}
	}
}

func TestR01_RemoteAddrOfATrustedProxyIsBelieved(t *testing.T) {
	for _, c := range []struct {
		on                      bool
		from, remote, forwarded string
		want                    string
	}{
		{true, "10.0.0.1:5", "203.0.113.7", "", "203.0.113.7:0"},
		{true, "10.0.0.1:5", "203.0.113.7", "192.0.2.1", "192.0.2.1:0"},
		{true, "10.0.0.1:5", "unknown", "", "10.0.0.1:5"},
		{true, "203.0.113.9:5", "192.0.2.1", "", "203.0.113.9:5"},
		{false, "10.0.0.1:5", "203.0.113.7", "", "10.0.0.1:5"},
	} {
		p := newPortal(t, func(cfg *Config, _ *Parts) {
			cfg.Proxies, cfg.RemoteAddr = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, c.on
		})
		h := http.Header{}
		h.Add("Remote_addr", "198.51.100.1") // of the client
		h.Add("Remote_addr", c.remote)
		if c.forwarded != "" {
			h.Set("X-Forwarded-For", c.forwarded)
		}
		if got := ask(p, "GET", "https://meet.example/xmpp-websocket", c.from, h).Body.String(); !strings.HasPrefix(got, "xmpp from "+c.want+" ") {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestSchemeOfATrustedProxyIsTold(t *testing.T) {
	p := newPortal(t, func(c *Config, _ *Parts) { c.Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} })
	h := http.Header{"X-Forwarded-Proto": {"https"}}
	for from, want := range map[string]string{"10.0.0.1:5": "wss://meet.example/", "203.0.113.9:5": "ws://meet.example/"} {
		w := ask(p, "GET", "http://meet.example/.well-known/host-meta.json", from, h)
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %s", from, w.Body)
		}
		if hsts := w.Header().Get("Strict-Transport-Security") != ""; hsts != strings.HasPrefix(want, "wss") {
			t.Errorf("%s: HSTS is %v", from, hsts)
		}
	}
}

func TestBrowsersInsistOnTLSOnlyWhereTheCertificateIsTrusted(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		p := newPortal(t, func(_ *Config, parts *Parts) { parts.Trusted = trusted })
		h := ask(p, "GET", "https://meet.example/", "203.0.113.1:1000", nil).Header()
		if got := h.Get("Strict-Transport-Security") != ""; got != trusted {
			t.Errorf("trusted %v: HSTS %v", trusted, got)
		}
	}
}

func TestHW11HostsOfAPublicServer(t *testing.T) {
	p := newPortal(t, func(_ *Config, parts *Parts) { parts.Addresses = []netip.Addr{netip.MustParseAddr("192.0.2.80")} })
	for host, want := range map[string]int{
		"meet.example": 200, "MEET.example.": 200, "meet.example:8443": 200, "198.51.100.1": 200, "192.0.2.80": 200,
		"localhost": 421, "127.0.0.1": 421, "[::1]": 421, "x.localhost": 421, "198.51.100.2": 421, "muc.meet.example": 421, "meet.example.evil.example": 421, "": 421,
	} {
		r := httptest.NewRequest("GET", "https://meet.example/", nil)
		r.Host, r.RemoteAddr = host, "203.0.113.1:1000"
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv4(198, 51, 100, 1), Port: 443}))
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%q: %d", host, w.Code)
		}
	}
}

func TestFilesAreNeverMarkupByChance(t *testing.T) {
	p := newPortal(t, nil)
	for target, want := range map[string]string{"/": "text/html; charset=utf-8", "/static/js/main.js": "text/javascript; charset=utf-8", "/static/LICENSE": "text/plain; charset=utf-8", "/room": "text/html; charset=utf-8"} {
		w := ask(p, "GET", "https://meet.example"+target, "203.0.113.1:1000", nil)
		if w.Code != 200 || w.Header().Get("Content-Type") != want {
			t.Errorf("%s: %d %s", target, w.Code, w.Header().Get("Content-Type"))
		}
		again := ask(p, "GET", "https://meet.example"+target, "203.0.113.1:1000", http.Header{"If-None-Match": {w.Header().Get("Etag")}})
		if again.Code != http.StatusNotModified {
			t.Errorf("%s, again: %d", target, again.Code)
		}
	}
}

func TestFramesOfNamedPages(t *testing.T) {
	p := newPortal(t, func(c *Config, _ *Parts) { c.Frames = []string{"https://intra.example"} })
	h := ask(p, "GET", "https://meet.example/room", "203.0.113.1:1000", nil).Header()
	if !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors https://intra.example") || h.Get("X-Frame-Options") != "" {
		t.Errorf("%v", h)
	}
}

// The administrators' page is there with the API alone, as strict as the others, and in nobody's frame.
func TestAdminPage(t *testing.T) {
	pages := fstest.MapFS{"index.html": {Data: []byte("page")}, "admin.html": {Data: []byte("administration")}}
	p := newPortal(t, func(c *Config, parts *Parts) {
		c.Frames, parts.Page, parts.API = []string{"https://intra.example"}, pages, http.NotFoundHandler()
	})
	w := ask(p, "GET", "https://meet.example/admin", "203.0.113.1:1000", nil)
	h := w.Header()
	if csp := h.Get("Content-Security-Policy"); w.Code != 200 || w.Body.String() != "administration" || !strings.HasPrefix(csp, "default-src 'self';") || strings.Contains(csp, "unsafe") ||
		!strings.HasSuffix(csp, "frame-ancestors 'none'") || h.Get("X-Frame-Options") != "DENY" {
		t.Errorf("%d %v", w.Code, h)
	}
	if w := ask(p, "GET", "https://meet.example/static/admin.html", "203.0.113.1:1000", nil); w.Code != 404 {
		t.Errorf("beside its place: %d", w.Code)
	}
	p = newPortal(t, func(_ *Config, parts *Parts) { parts.Page = pages })
	if w := ask(p, "GET", "https://meet.example/admin", "203.0.113.1:1000", nil); w.Code != 404 {
		t.Errorf("without the API: %d", w.Code)
	}
}

// The page of the RoomServer door is there with the door alone, at the one path that ends in a slash, as strict as that of rooms.
func TestR28_PageOfTheRoomServerDoor(t *testing.T) {
	pages := fstest.MapFS{"index.html": {Data: []byte("page")}, "rs.html": {Data: []byte("old")}}
	p := newPortal(t, func(_ *Config, parts *Parts) {
		parts.Page = pages
		parts.RoomServer = RoomServer{Socket: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("socket")) }), Login: http.NotFound}
	})
	for _, method := range []string{"GET", "HEAD"} {
		w := ask(p, method, "https://meet.example/rs/?roomId=22&uid=u1", "203.0.113.1:1000", nil)
		h := w.Header()
		if csp := h.Get("Content-Security-Policy"); w.Code != 200 || method == "GET" && w.Body.String() != "old" || !strings.HasPrefix(csp, "default-src 'self';") || strings.Contains(csp, "unsafe") ||
			!strings.HasSuffix(csp, "frame-ancestors 'none'") || h.Get("Cache-Control") != "no-cache" || !strings.HasPrefix(h.Get("Permissions-Policy"), "camera=(self)") {
			t.Errorf("%s: %d %v", method, w.Code, h)
		}
	}
	for target, want := range map[string]string{"/rs": "/rs/", "/rs?roomId=22&uid=a%20b": "/rs/?roomId=22&uid=a%20b", "/rs?//evil.example": "/rs/?//evil.example"} {
		if w := ask(p, "GET", "https://meet.example"+target, "203.0.113.1:1000", nil); w.Code != http.StatusFound || w.Header().Get("Location") != want {
			t.Errorf("%s: %d %q", target, w.Code, w.Header().Get("Location"))
		}
	}
	if w := ask(p, "GET", "https://meet.example/rs/ws", "203.0.113.1:1000", nil); w.Body.String() != "socket" {
		t.Errorf("/rs/ws: %d %s", w.Code, w.Body)
	}
	for _, target := range []string{"/rs//", "/rs/./", "/rs/../rs/", "/rs%2f", "/rs/;", "/RS/", "/RS", "/rs/x", "/rs/ws/", "/static/rs.html", "/rs/rs.html"} {
		if w := ask(p, "GET", "https://meet.example"+target, "203.0.113.1:1000", nil); w.Code != 404 || w.Header().Get("Location") != "" {
			t.Errorf("%s: %d %v", target, w.Code, w.Header())
		}
	}
	p = newPortal(t, func(_ *Config, parts *Parts) { parts.Page = pages })
	for _, target := range []string{"/rs", "/rs/", "/rs/ws"} {
		if w := ask(p, "GET", "https://meet.example"+target, "203.0.113.1:1000", nil); w.Code != 404 {
			t.Errorf("%s without the door: %d", target, w.Code)
		}
	}
}

func TestHF13PanicEndsItsRequestOnly(t *testing.T) {
	p := newPortal(t, func(_ *Config, parts *Parts) {
		parts.XMPP = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("oops") })
	})
	if w := ask(p, "GET", "https://meet.example/xmpp-websocket", "203.0.113.1:1000", nil); w.Code != 500 || strings.Contains(w.Body.String(), "oops") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// FuzzCleanPath: what is let through is what path.Clean leaves as it is, and has nothing that a second decoding, another
// system's separator or a parameter would change.
func FuzzCleanPath(f *testing.F) {
	for _, s := range []string{"/", "/room", "/static/js/main.js", "/a/../b", "//", "/a//b", "/.", "/a/.", "/%2e", "/a;b", "\\", "/caf\u00e9", "/a\x00", "", "a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !cleanPath(s) {
			return
		}
		if path.Clean(s) != s || !strings.HasPrefix(s, "/") || strings.ContainsAny(s, "\\%;\x00\r\n\t\x7f") {
			t.Errorf("%q is let through", s)
		}
	})
}
