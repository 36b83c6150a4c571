package portal

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"parley/internal/event"
	"parley/internal/limit"
)

// Server returns the HTTP server of public listeners. Its listeners must be wrapped by Limit.
func (p *Portal) Server(log *slog.Logger) (*http.Server, func(net.Listener, bool) net.Listener) {
	sources := limit.NewSources[netip.Addr](p.cfg.Open, p.cfg.Rate, 1<<16)
	srv := newServer(p, p.cfg, log)
	srv.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateClosed || state == http.StateHijacked {
			if source, counted := p.source(c); counted {
				sources.Close(source)
			}
		}
	}
	return srv, func(l net.Listener, plain bool) net.Listener {
		return &limited{l, p, sources, p.parts.Recorder, plain}
	}
}

// AdminServer returns the HTTP server of the administrator's listeners.
func AdminServer(h http.Handler, log *slog.Logger) *http.Server {
	cfg := Defaults()
	cfg.BodyTimeout = 10 * time.Minute // profiles
	return newServer(h, cfg, log)
}

func newServer(h http.Handler, cfg Config, log *slog.Logger) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true) // WebSocket needs it, and there is nothing to stream
	return &http.Server{
		Handler: h, ReadHeaderTimeout: cfg.HeaderTimeout, ReadTimeout: cfg.BodyTimeout, WriteTimeout: cfg.BodyTimeout,
		IdleTimeout: cfg.IdleTimeout, MaxHeaderBytes: max(cfg.HeaderBytes-4096, 1), // net/http adds 4096
		Protocols: &protocols, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), DisableGeneralOptionsHandler: true,
	}
}

// source is what a connection counts as; connections of trusted proxies do not count.
func (p *Portal) source(c net.Conn) (netip.Addr, bool) {
	ap, _ := netip.ParseAddrPort(c.RemoteAddr().String())
	return limit.Source(ap.Addr()), !p.isProxy(ap.Addr())
}

// limited accepts no more connections of one source than the limit allows (hardening HC2).
type limited struct {
	net.Listener
	portal  *Portal
	sources *limit.Sources[netip.Addr]
	rec     *event.Recorder
	plain   bool
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		source, counted := l.portal.source(c)
		if !counted || l.sources.Open(source, time.Now()) {
			return c, nil
		}
		l.rec.Reject("limit.conn", source.String())
		if l.plain {
			c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
			c.Write([]byte("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"))
		}
		c.Close()
	}
}
