// Package portal is the HTTP side of the server: one route table for the public listeners and one for the
// administrator's, and what is checked before a route is looked for. It serves the web page that it is given and hands
// XMPP over WebSocket and conference requests to those who speak them.
package portal

import (
	"context"
	"io/fs"
	"net/http"
	"net/netip"
	"time"

	"parley/internal/event"
	"parley/internal/limit"
	"parley/xmpp/invite"
)

// Config is what an administrator may set.
type Config struct {
	Hosts   []string       `help:"further names under which the server is asked for; its domain, its addresses and, from this machine, loopback names always count. Requests for other hosts are answered with 421"`
	Origins []string       `help:"origins of foreign pages that may ask for a conference and connect by WebSocket, like https://meet.example.org; the pages of our own hosts always may"`
	Frames  []string       `help:"origins of pages that may show ours in a frame; empty: none"`
	Proxies []netip.Prefix `help:"networks of reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed"`

	RemoteAddr bool `help:"believe them Remote_addr too, the client's address, where they set no X-Forwarded-For, as proxies in front of RoomServer do. Each of them has to replace what a client sends under that name"`

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
	BOSH       http.Handler // XMPP over BOSH (XEP-0206); nil: there is none
	BOSHBytes  int64        // of a request to BOSH
	Upload     http.Handler // files, at /upload/ (XEP-0363), which anybody's pages may put there who have the key; nil: there are none
	UploadSize int64        // bytes of a file
	UploadHost string       // name under which the files are asked for
	Conference http.Handler // POST of a conference request; nil: there is no focus
	RoomServer RoomServer   // of the RoomServer protocol
	AppRTC     AppRTC       // of AppRTC's room server and Collider
	Channel    http.Handler // bridge channels, at /colibri-ws/; nil: there is no bridge
	// Invitation returns what is shown of an invitation, an error if there is none; nil: there are no invitations.
	Invitation func(ctx context.Context, token string) (invite.Page, error)
	API        http.Handler // below /api/; nil: there is none
	Ready      func() error // why no new client should be sent here, nil if it may
	Recorder   *event.Recorder

	// Opens reports that a room, NAME or [TENANT]NAME, may be entered here; if not, another node may open it. nil: all may.
	Opens func(room string) bool
}

// RoomServer is the paths of the RoomServer protocol; nil: there are none.
type RoomServer struct {
	Socket http.Handler     // WebSocket at /ws and /rs/ws
	Login  http.HandlerFunc // POST of a login
	ICE    http.HandlerFunc // POST of what ICE servers say of themselves
}

// AppRTC is the paths of AppRTC's room server and of its relay, Collider; nil: there are none.
type AppRTC struct {
	Socket                    http.HandlerFunc // WebSocket at /ws
	Room                      http.HandlerFunc // page of a room at /r/
	Join, Message, Leave, Bye http.HandlerFunc // POST of a client
	Params                    http.HandlerFunc
	ICE, TURN                 http.HandlerFunc       // which servers there are
	File                      http.HandlerFunc       // what the pages load
	Collider, Status          http.HandlerFunc       // the relay's side door at /ROOM/CLIENT, and what it counts
	Takes                     func(path string) bool // a path is one of the side door, which pages of others may use: it takes nothing from cookies
	Prefix                    string                 // below which the relay's whole interface is, "" for none ...
	Below                     http.HandlerFunc       // ... which is this
}

// messageMost bounds the messages of its clients, in bytes.
const messageMost = 256 << 10

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
