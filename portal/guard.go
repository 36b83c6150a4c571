package portal

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"

	"parley/internal/limit"
)

// refuse answers a request that is not served, and counts it.
func (p *Portal) refuse(w http.ResponseWriter, r *http.Request, status int, event string) {
	p.parts.Recorder.Reject(event, limit.Source(remote(r)).String(), "path", r.URL.Path, "status", status)
	if status == http.StatusBadRequest || status == http.StatusRequestEntityTooLarge {
		w.Header().Set("Connection", "close")
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if strings.HasPrefix(r.URL.Path, apiPath) { // where errors are problems (RFC 9457)
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"type":"about:blank","title":%q,"status":%d,"code":%q}`+"\n", http.StatusText(status), status, event)
		return
	}
	http.Error(w, strings.ToLower(http.StatusText(status)), status)
}

func remote(r *http.Request) netip.Addr {
	ap, _ := netip.ParseAddrPort(r.RemoteAddr)
	return ap.Addr().Unmap()
}

// recover keeps a panic to its request (hardening HF13).
func (p *Portal) recover(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch e := recover(); e {
			case nil:
			case http.ErrAbortHandler:
				panic(e)
			default:
				p.parts.Recorder.Hurt("panic", remote(r).String(), "err", e, "stack", stack(debug.Stack()))
				w.WriteHeader(http.StatusInternalServerError)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// stack is a log value that is not cut.
type stack string

type schemeKey struct{}

// believeProxies takes the client's address and scheme from a reverse proxy that is trusted, and from nobody else
// (hardening HC6). Of X-Forwarded-For it takes the last entry that is not a trusted proxy.
func (p *Portal) believeProxies(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme := "http"
		if r.TLS != nil {
			scheme = "https"
		}
		forwarded := r.Header.Values("X-Forwarded-For")
		if p.isProxy(remote(r)) {
			if r.Header.Get("X-Forwarded-Proto") == "https" {
				scheme = "https"
			}
			if len(forwarded) == 0 && p.cfg.RemoteAddr {
				forwarded = r.Header.Values("Remote_addr")
				forwarded = forwarded[max(0, len(forwarded)-1):]
			}
			entries := strings.Split(strings.Join(forwarded, ","), ",")
			for i := len(entries) - 1; i >= 0; i-- {
				a, err := netip.ParseAddr(strings.TrimSpace(entries[i]))
				if err != nil {
					break
				}
				r.RemoteAddr = net.JoinHostPort(a.Unmap().String(), "0")
				if !p.isProxy(a) {
					break
				}
			}
		} else if len(forwarded) > 0 {
			p.parts.Recorder.Debug("proxy.untrusted", limit.Source(remote(r)).String())
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), schemeKey{}, scheme)))
	})
}

func (p *Portal) isProxy(a netip.Addr) bool {
	for _, prefix := range p.cfg.Proxies {
		if prefix.Contains(a.Unmap()) {
			return true
		}
	}
	return false
}

func scheme(r *http.Request) string {
	s, _ := r.Context().Value(schemeKey{}).(string)
	return s
}

// Secure reports that a request of the public side came over TLS, to us or to a proxy that is trusted.
func Secure(r *http.Request) bool { return scheme(r) == "https" }

// Confidential reports that nobody else reads a request of the public side: it came over TLS, to us or to a proxy that is trusted,
// or from this machine.
func Confidential(r *http.Request) bool {
	return r.TLS != nil || scheme(r) == "https" || remote(r).IsLoopback()
}

// checkFraming refuses bodies whose length is not told beforehand. No route needs them, and a front that reads
// Content-Length where we read chunks would let requests be smuggled (RFC 9112 §6.3, hardening HW9).
func (p *Portal) checkFraming(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 || r.ContentLength < 0 {
			p.refuse(w, r, http.StatusBadRequest, "http.limit")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hosts are the names under which the server may be asked for.
func hosts(cfg Config, parts Parts) map[string]bool {
	names := make(map[string]bool)
	for _, name := range append([]string{parts.Domain}, cfg.Hosts...) {
		names[strings.ToLower(name)] = true
	}
	if parts.UploadHost != "" {
		names[strings.ToLower(parts.UploadHost)] = true
	}
	for _, a := range parts.Addresses {
		names[a.String()] = true
	}
	return names
}

// checkHost answers requests for other hosts with 421, so that a name that somebody else points here (DNS rebinding)
// leads nowhere (hardening HW11).
func (p *Portal) checkHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !p.ownHost(r) {
			p.refuse(w, r, http.StatusMisdirectedRequest, "http.host")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (p *Portal) ownHost(r *http.Request) bool {
	host := r.Host
	if h, port, err := net.SplitHostPort(host); err == nil {
		if strings.Trim(port, "0123456789") != "" {
			return false
		}
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if p.hosts[host] {
		return true
	}
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	at, _ := netip.ParseAddrPort(addrString(local))
	if a, err := netip.ParseAddr(host); err == nil {
		a = a.Unmap()
		return a == at.Addr().Unmap() || a.IsLoopback() && at.Addr().Unmap().IsLoopback()
	}
	return (host == "localhost" || strings.HasSuffix(host, ".localhost")) && at.Addr().Unmap().IsLoopback()
}

func addrString(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

// checkPath lets only clean paths through, decoded once, and makes the router use the same string as the handlers
// (hardening HW1).
func (p *Portal) checkPath(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != rsPath && !cleanPath(r.URL.Path) || strings.Contains(strings.ToLower(r.URL.RawPath), "%2f") {
			p.refuse(w, r, http.StatusNotFound, "http.path")
			return
		}
		r.URL.RawPath = ""
		next.ServeHTTP(w, r)
	})
}

// cleanPath reports that a decoded path names the same thing for everybody who reads it.
func cleanPath(path string) bool {
	if !strings.HasPrefix(path, "/") || len(path) > 1024 {
		return false
	}
	for _, c := range path {
		if c < ' ' || c == 0x7F || c == '\\' || c == '%' || c == ';' || c == '\uFFFD' {
			return false
		}
	}
	if path == "/" {
		return true
	}
	for segment := range strings.SplitSeq(path[1:], "/") {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

// checkOrigin refuses requests that a foreign page makes in the name of its visitor, unless they only read
// (hardening HW2). BOSH and WebSocket look at the origin themselves: pages of others may connect where they are allowed to.
func (p *Portal) checkOrigin(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	for _, o := range p.cfg.Origins {
		cross.AddTrustedOrigin(o) // Check has seen that they are origins
	}
	cross.AddInsecureBypassPattern(boshPath)
	cross.AddInsecureBypassPattern("/{tenant}" + boshPath)
	cross.AddInsecureBypassPattern(apiPath + "v1/")                     // which takes nothing from cookies, and looks at the origin itself
	cross.AddInsecureBypassPattern("POST " + rsLoginPath)               // which takes nothing from cookies, and looks at the origin itself
	cross.AddInsecureBypassPattern("PUT " + uploadPath + "{id}/{name}") // by a key that no page has without having asked for it
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.refuse(w, r, http.StatusForbidden, "http.csrf")
	}))
	if p.parts.AppRTC.Takes == nil {
		return cross.Handler(next)
	}
	cross.AddInsecureBypassPattern("POST " + icePath) // by a key that no page has without having asked for it
	checked := cross.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.parts.AppRTC.Takes(r.URL.Path) { // by the id of a client, which no page has that is not the client
			next.ServeHTTP(w, r)
			return
		}
		checked.ServeHTTP(w, r)
	})
}

// limitBody bounds what a handler can read of a body (hardening HW9).
func (p *Portal) limitBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		most := p.cfg.BodyBytes
		if p.parts.BOSH != nil && strings.HasSuffix(r.URL.Path, boshPath) {
			most = max(most, p.parts.BOSHBytes) // a stanza must fit
		}
		if p.parts.Upload != nil && r.Method == http.MethodPut && strings.HasPrefix(r.URL.Path, uploadPath) {
			most = max(most, p.parts.UploadSize)
		}
		if a := p.parts.AppRTC; a.Takes != nil && r.Method == http.MethodPost && (strings.HasPrefix(r.URL.Path, "/message/") || a.Takes(r.URL.Path)) {
			most = max(most, messageMost)
		}
		if r.ContentLength > most {
			p.refuse(w, r, http.StatusRequestEntityTooLarge, "http.limit")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, most)
		next.ServeHTTP(w, r)
	})
}
