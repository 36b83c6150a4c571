package apprtc

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"time"

	"parley/internal/limit"
)

// Config is what an administrator may set.
type Config struct {
	Enabled bool   `help:"take AppRTC clients, at /r/ROOM, /join/ROOM and the other paths of AppRTC's room server and of Collider, its relay, on the http:// and https:// listeners. Their rooms are those at muc.DOMAIN"`
	Auth    string `help:"token: joining needs a token (JWT) that allows the room, as ?jwt=TOKEN of the page's address; none: anyone may join, and is given credentials of the relay"`
	Mixing  bool   `help:"AppRTC clients meet people who use other protocols, and more than one of their own: they talk to the bridge then. Without it, or without a bridge, there are two of them in a room, who talk to each other alone"`

	Collider  string   `help:"path below which Collider's interface is too, such as /collider: its WebSocket at ws, its side door at ROOM/CLIENT for all names, status. Empty: only at the top, where the side door is for clients of rooms that exist"`
	Confirm   bool     `help:"clients ask their user before they join a room"`
	Providers []string `help:"origins of other ICE servers' interfaces, such as https://ice.example.org, that a page's address may name (?ts=)"`

	RegisterTimeout time.Duration `help:"who has joined and has not connected its WebSocket within that time is out of the room"`
	SeatTimeout     time.Duration `help:"who has lost its WebSocket and has not come back within that time is out of the room"`

	Sockets    int        `help:"WebSockets of all clients at a time"`
	PerSource  int        `help:"the same of one source, and members of rooms; 0: any number"`
	SourceRate limit.Rate `help:"new WebSockets of one source"`
	JoinRate   limit.Rate `help:"joins of one source, and credentials of the relay that it asks for"`
	Frames     limit.Rate `help:"messages of one client over its WebSocket; who sends more waits"`
}

// The values of Auth.
const (
	authToken = "token"
	authNone  = "none"
)

// Defaults are the times of the original. The door is closed.
func Defaults() Config {
	return Config{
		Auth: authToken, Mixing: true, RegisterTimeout: 30 * time.Second, SeatTimeout: 10 * time.Second,
		Sockets: 10_000, PerSource: 100, SourceRate: limit.Rate{PerSecond: 20, Burst: 200}, JoinRate: limit.Rate{PerSecond: 5, Burst: 100},
		Frames: limit.Rate{PerSecond: 50, Burst: 200},
	}
}

// Unlimited lifts the limits per source and client, for load tests on loopback.
func (c *Config) Unlimited() {
	c.PerSource, c.SourceRate, c.JoinRate, c.Frames = 0, limit.Rate{}, limit.Rate{}, limit.Rate{}
}

// prefixes are the paths that Collider's interface may be put below.
var prefixes = regexp.MustCompile(`^(/[a-z0-9][a-z0-9-]*)+$`)

// Check reports what cannot be.
func (c *Config) Check() error {
	switch {
	case c.Auth != authToken && c.Auth != authNone:
		return fmt.Errorf("auth is %q; it is token or none", c.Auth)
	case c.Collider != "" && !prefixes.MatchString(c.Collider):
		return fmt.Errorf("collider is %q; it is a path such as /collider, of small letters", c.Collider)
	case c.RegisterTimeout < time.Second || c.SeatTimeout < time.Second:
		return errors.New("register_timeout and seat_timeout are at least 1s")
	case c.Sockets < 1 || c.PerSource < 0:
		return errors.New("sockets is at least 1, per_source at least 0")
	}
	for _, p := range c.Providers {
		if u, err := url.Parse(p); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return fmt.Errorf("providers: %q is no origin such as https://ice.example.org", p)
		}
	}
	return nil
}
