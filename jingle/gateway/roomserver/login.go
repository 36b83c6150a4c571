package roomserver

import (
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// The results of login, which have numbers of their own.
const (
	loginUnknown = 1
	loginForeign = 2
)

// login answers where rooms and ICE servers are, to applications that are known and pages that are theirs.
func (s *Service) login(m *Message, source netip.Addr) []byte {
	r, desc := 0, "ok"
	switch app, known := s.app(m.AppID); {
	case !known:
		r, desc = loginUnknown, "the application is not known"
	case app != nil && !app.has(hostOf(m.URL)):
		r, desc = loginForeign, "the application is not authorised for "+hostOf(m.URL)
	}
	f := newFrame("resp", cmdLogin).number("result", r).text("desc", desc)
	if r != 0 {
		return f.text("roomServer", "").text("iceServer", "").end()
	}
	f = f.text("roomServer", s.home(m, source)).text("iceServer", s.iceAt(m, source))
	if text := outdated(m.OSInfo); text != "" {
		f = f.text("prompt", text)
	}
	return f.end()
}

// ServeLogin is login by HTTP, also from pages of hosts that may connect: of applications, and of the configuration.
func (s *Service) ServeLogin(w http.ResponseWriter, r *http.Request) {
	if origin := r.Header.Get("Origin"); origin != "" {
		if !s.originAllowed(r) {
			s.rec.Reject("ws.origin", sourceOf(r).String(), "origin", origin)
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Access-Control-Allow-Headers", "Content-Type")
		w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
		w.Header().Add("Vary", "Origin")
	}
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	m, err := ParseMessage(body)
	if m.Cmd == "" {
		m.Cmd = cmdLogin
		if err != nil && m.complete() {
			err = nil // the path says which command it is
		}
	}
	if err != nil || m.Cmd != cmdLogin {
		s.rec.Reject("json.reject", sourceOf(r).String())
		w.WriteHeader(http.StatusBadRequest)
		w.Write(response(cmdLogin, resultFormat, texts[resultFormat]).text("roomServer", "").text("iceServer", "").end())
		return
	}
	at, _ := netip.ParseAddrPort(r.RemoteAddr)
	w.Write(s.login(m, at.Addr().Unmap()))
}

// app finds an application; without any in the configuration each is known, and none has domains.
func (s *Service) app(id string) (app *App, known bool) {
	if len(s.cfg.App) == 0 {
		return nil, true
	}
	for i := range s.cfg.App {
		if s.cfg.App[i].ID == id {
			return &s.cfg.App[i], true
		}
	}
	return nil, false
}

// hostOf is the host of a page's address, which may be the bare host.
func hostOf(page string) string {
	if !strings.Contains(page, "://") {
		page = "//" + page
	}
	u, err := url.Parse(page)
	if err != nil {
		return ""
	}
	return strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
}

// has reports that pages of a host are the application's: by the domain that somebody can register (public suffix list).
func (a *App) has(host string) bool {
	at, err := netip.ParseAddr(host)
	switch {
	case host == "":
		return false
	case host == "localhost", strings.HasSuffix(host, ".localhost"), err == nil && at.IsLoopback():
		return a.Localhost
	}
	for _, d := range a.Domains {
		d = strings.ToLower(d)
		if host == d {
			return true
		}
		if err == nil {
			continue // addresses have no names below them
		}
		want, e1 := publicsuffix.EffectiveTLDPlusOne(d)
		got, e2 := publicsuffix.EffectiveTLDPlusOne(host)
		if e1 == nil && e2 == nil && want == got {
			return true
		}
	}
	return false
}

// outdated returns what to tell the user of a browser that has no WebRTC, "" of any other.
func outdated(info string) string {
	const text = "This browser cannot make calls; please use a current Chrome, Edge, Firefox or Safari."
	info = strings.ToLower(info)
	for _, name := range []string{"msie", "internet explorer", "trident"} {
		if strings.Contains(info, name) {
			return text
		}
	}
	for _, b := range []struct {
		name  string
		first int
	}{{"edge", 79}, {"chrome", 56}, {"firefox", 44}, {"safari", 11}} {
		i := strings.Index(info, b.name)
		if i < 0 {
			continue
		}
		rest := info[i+len(b.name):]
		if b.name == "safari" {
			if j := strings.Index(info, "version"); j >= 0 {
				rest = info[j+len("version"):]
			}
		}
		if v, ok := leadingNumber(rest); ok && v < b.first {
			return text
		}
		return ""
	}
	return ""
}

// leadingNumber reads the number at the beginning, behind blanks, slashes and the like.
func leadingNumber(s string) (int, bool) {
	s = strings.TrimLeft(s, " /-:")
	end := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(s)
	}
	n, err := strconv.Atoi(s[:end])
	return n, err == nil
}
