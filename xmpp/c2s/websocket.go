package c2s

import (
	"crypto/sha1"
	"encoding/base64"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"parley/internal/limit"
)

// ServeHTTP is the door at /xmpp-websocket (RFC 7395). A GET without upgrade is answered with 204: Jitsi clients use it
// to keep a load balancer's choice alive (spec: jitsi §2). The HTTP server's listener must be one that Listen made.
func (srv *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	source := limit.Source(remoteAddr(r))
	if !srv.crossOrigin(w, r, "ws.reject") {
		return
	}
	if r.Method != http.MethodGet {
		h.Set("Allow", http.MethodGet)
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
		return
	}
	if !tokenIn(r.Header, "Connection", "upgrade") || !tokenIn(r.Header, "Upgrade", "websocket") {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	key := r.Header.Get("Sec-WebSocket-Key")
	raw, err := base64.StdEncoding.DecodeString(key)
	switch {
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		h.Set("Sec-WebSocket-Version", "13")
		http.Error(w, "unknown version of WebSocket", http.StatusUpgradeRequired)
		return
	case err != nil || len(raw) != 16 || r.ProtoMajor != 1:
		http.Error(w, "bad WebSocket handshake", http.StatusBadRequest)
		return
	case !tokenIn(r.Header, "Sec-WebSocket-Protocol", "xmpp"):
		srv.rec.Reject("ws.reject", source.String(), "text", "sub-protocol")
		http.Error(w, "the sub-protocol must be xmpp", http.StatusBadRequest)
		return
	}
	// A full process takes back who names the session to come back to, as Jitsi clients do (spec: jitsi §2).
	if srv.full() && srv.recall(r.URL.Query().Get("previd")) == nil {
		srv.rec.Reject("limit.process", source.String())
		h.Set("Retry-After", "5")
		http.Error(w, "the server is full", http.StatusServiceUnavailable)
		return
	}
	if !srv.sources.Open(source, time.Now()) {
		srv.rec.Reject("limit.conn", source.String())
		h.Set("Retry-After", "5")
		http.Error(w, "too many connections", http.StatusTooManyRequests)
		return
	}
	if !srv.upgrade(w, r, key) {
		srv.sources.Close(source)
	}
}

// upgrade takes the connection over from the HTTP server.
func (srv *Server) upgrade(w http.ResponseWriter, r *http.Request, key string) bool {
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		srv.log.Error("cannot take over a WebSocket", "err", err)
		return false
	}
	l, err := newLink(srv, nc, true, remoteAddr(r))
	if err != nil || !srv.begin(l) {
		nc.Close()
		return false
	}
	nc.SetDeadline(time.Time{})
	if early, _ := rw.Reader.Peek(rw.Reader.Buffered()); len(early) > 0 {
		l.in.buf = append(buffers.get()[:0], early...)
	}
	if l.in.tls == nil {
		l.in.buf = l.low.(*conn).takeAhead(l.in.buf)
	}
	l.in.to = len(l.in.buf)
	l.in.buf = l.in.buf[:cap(l.in.buf)]
	if l.in.to == 0 {
		l.in.buf = nil
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	nc.SetWriteDeadline(time.Now().Add(srv.cfg.HandshakeTimeout))
	_, err = nc.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: xmpp\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n"))
	nc.SetWriteDeadline(time.Time{})
	if err != nil {
		l.closed.Store(true)
		nc.Close()
		srv.negotiated(l)
		srv.group.Done()
		return true
	}
	go l.start(urlOf(r), false)
	return true
}

// originAllowed is the check that keeps foreign pages from using their visitor's network position (hardening HC8).
func (srv *Server) originAllowed(origin string, r *http.Request) bool {
	for _, o := range srv.cfg.Origins {
		if o == "*" || strings.EqualFold(o, origin) {
			return true
		}
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	if strings.EqualFold(u.Host, r.Host) {
		return true
	}
	// A page from this machine may reach a server that only this machine can reach.
	return isLoopback(u.Hostname()) && isLoopback(hostOnly(r.Host)) && remoteAddr(r).IsLoopback()
}

func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

func hostOnly(hostport string) string {
	u := url.URL{Host: hostport}
	return u.Hostname()
}

func remoteAddr(r *http.Request) netip.Addr {
	ap, _ := netip.ParseAddrPort(r.RemoteAddr)
	return ap.Addr().Unmap()
}

// tokenIn reports that a header that lists tokens has this one.
func tokenIn(h http.Header, name, want string) bool {
	for _, line := range h.Values(name) {
		for t := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(t), want) {
				return true
			}
		}
	}
	return false
}
