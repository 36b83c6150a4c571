package link

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"time"

	"parley/internal/event"
)

// Where TLS ends in the front, the bridge channel's WebSockets end in the bridge all the same: the front hands requests on over a
// second Unix socket, and what follows them.

// forwarded is where the front says which address a request is from.
const forwarded = "X-Forwarded-For"

// URL is where a client made by HTTP finds the bridge.
const URL = "http://bridge"

// HTTP returns a client of the bridge of a data directory. It keeps one connection, so that it needs no new one where
// descriptors are short.
func HTTP(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:  func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, path, httpFile) },
		MaxIdleConns: 1, DisableCompression: true,
	}}
}

// Proxy returns the front's handler of requests that are the bridge's to answer: 502 while there is none. It is a
// reverse proxy, also for WebSockets.
func Proxy(path string, log *slog.Logger) http.Handler {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "bridge"
			r.Out.Host = r.In.Host
			r.Out.Header.Del(forwarded)
			if host, _, err := net.SplitHostPort(r.In.RemoteAddr); err == nil {
				r.Out.Header.Set(forwarded, host)
			}
		},
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, path, httpFile) },
			// A request is a WebSocket or is refused: there is nothing to keep.
			DisableKeepAlives: true, DisableCompression: true, ResponseHeaderTimeout: 10 * time.Second,
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) { // the request's URL holds a secret
			log.Debug("the bridge does not answer", "err", err)
			w.WriteHeader(http.StatusBadGateway)
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// ServeHTTP serves what Proxy hands on until ctx ends. The handler's requests have the remote address of the client.
func (h *Home) ServeHTTP(ctx context.Context, handler http.Handler, events *event.Recorder) error {
	s := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.RemoteAddr = net.JoinHostPort(r.Header.Get(forwarded), "0")
			handler.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0),
	}
	defer context.AfterFunc(ctx, func() { s.Close() })()
	err := s.Serve(&trustedListener{h.http, events})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// trustedListener accepts connections of our own user.
type trustedListener struct {
	net.Listener
	events *event.Recorder
}

func (l *trustedListener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if err := trusted(nc); err != nil {
			l.events.Reject("bridge.auth", remote(nc), "err", err.Error())
			nc.Close()
			continue
		}
		return nc, nil
	}
}
