// Package portal is the HTTP side of the server: one route table for the public listeners and one for the
// administrator's, and what is checked before a route is looked for. It serves the web page that it is given and hands
// XMPP over WebSocket and conference requests to those who speak them.
package portal

import (
	"io/fs"
	"net/http"
	"net/netip"
	"time"

	"parley/internal/event"
	"parley/internal/limit"
)

// Config is what an administrator may set.
type Config struct {
	Hosts   []string       `help:"further names under which the server is asked for; its domain, its addresses and, from this machine, loopback names always count. Requests for other hosts are answered with 421"`
	Origins []string       `help:"origins of foreign pages that may ask for a conference and connect by WebSocket, like https://meet.example.org; the pages of our own hosts always may"`
	Frames  []string       `help:"origins of pages that may show ours in a frame; empty: none"`
	Proxies []netip.Prefix `help:"networks of reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed"`

	HeaderTimeout time.Duration `help:"time for the head of a request"`
	BodyTimeout   time.Duration `help:"time for a whole request and its answer"`
	IdleTimeout   time.Duration `help:"time that a connection waits for its next request"`
	HeaderBytes   int           `help:"bytes of a request's head"`
	BodyBytes     int64         `help:"bytes of a request's body"`
	Open          int           `help:"connections of one source, those that became a WebSocket not counted; 0: any number"`
	Rate          limit.Rate    `help:"new connections of one source"`
}

// Defaults are the limits of hardening.md §1.
func Defaults() Config {
	return Config{
		HeaderTimeout: 10 * time.Second, BodyTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		HeaderBytes: 16 << 10, BodyBytes: 64 << 10,
		Open: 100, Rate: limit.Rate{PerSecond: 20, Burst: 200},
	}
}

// Unlimited lifts the limits per source, for load tests on loopback.
func (c *Config) Unlimited() { c.Open, c.Rate = 0, limit.Rate{} }

// Parts is what the routes lead to.
type Parts struct {
	Domain     string       // of the XMPP host
	Rooms      string       // domain of the rooms
	Focus      string       // domain of the focus
	Addresses  []netip.Addr // that the server advertises as its own
	Trusted    bool         // the certificate is one that browsers may insist on
	Page       fs.FS        // index.html and what it loads
	XMPP       http.Handler // XMPP over WebSocket (RFC 7395)
	Conference http.Handler // POST of a conference request; nil: there is no focus
	Channel    http.Handler // bridge channels, at /colibri-ws/; nil: there is no bridge
	Ready      func() error // why no new client should be sent here, nil if it may
	Recorder   *event.Recorder
}

// Portal answers the requests of the public listeners.
type Portal struct {
	cfg    Config
	parts  Parts
	hosts  map[string]bool
	pages  pages
	routes http.Handler
}

// New returns the public side.
func New(cfg Config, parts Parts) (*Portal, error) {
	p := &Portal{cfg: cfg, parts: parts, hosts: hosts(cfg, parts)}
	var err error
	if p.pages, err = newPages(parts.Page, cfg.Frames); err != nil {
		return nil, err
	}
	p.routes = p.table()
	return p, nil
}

// ServeHTTP implements http.Handler.
func (p *Portal) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.routes.ServeHTTP(w, r) }
