package roomserver

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"parley/internal/limit"
)

// Config is what an administrator may set.
type Config struct {
	Enabled bool   `help:"take clients of the RoomServer protocol, at /rs/ws and /ws of the http:// and https:// listeners, with a page at /rs/. Their rooms are those at muc.DOMAIN, and whoever else is in the meeting there sees and hears them"`
	Auth    string `help:"token: joining needs a token (JWT) that allows the room; none: any token passes, and whoever says the uid of somebody who is in a room takes that place"`

	Gate      string        `help:"auto: media go by the bridge when there are more clients in a room than p2p_most, or people who use other protocols; p2p: from client to client always, and people who use other protocols are neither seen nor heard"`
	P2PMost   int           `help:"clients of a room that talk without the bridge"`
	P2PReturn time.Duration `help:"how long there are no more until they do so again"`

	MaxRoomCapacity           int           `help:"clients of this protocol in one room; 0: 50, or 3 where media are p2p always"`
	ClientKeepLiveTimeout     time.Duration `help:"without a keepLive for that long a client is out of its room"`
	ClientReportStatsInterval time.Duration `help:"how often clients are asked to report quality, in whole seconds"`
	TokenPrompt               time.Duration `help:"how long before its token expires a client is asked for another one"`
	TokenGrace                time.Duration `help:"how long after that it is put out of its room"`
	LegacyTokenCmd            bool          `help:"call both of these messages updateToken, as the protocol's design prints them"`
	QuietSuccess              bool          `help:"do not answer answer, candidate and peerConnected where nothing is wrong, as the original server does"`

	Sockets    int        `help:"WebSockets of all clients at a time"`
	PerSource  int        `help:"the same of one source; 0: any number"`
	SourceRate limit.Rate `help:"new WebSockets of one source"`
	Frames     limit.Rate `help:"messages of one client; who sends more waits"`

	IceBandwidth       int           `help:"kbit/s that our own relay carries, by which it is compared with servers that register; 0: without end, so that it is always chosen"`
	IceSecret          string        `help:"secret that ICE servers register with at /api/ice and /icebandwidthload, in the header X-Ice-Key; empty: none can"`
	IceKeepLiveTimeout time.Duration `help:"without a report for that long a registered ICE server is no longer handed out"`
	Ice                []ICEServer   `help:"an ICE server that is always there, with the fields of a registration"`
	GeoIP              string        `help:"file in the MaxMind DB format, such as GeoLite2-City.mmdb, by which the countries of clients and ICE servers are known, here and in the records of every door; empty, or without the file: all are unknown"`
	NeutralRegion      string        `help:"region whose ICE servers are for two who are in different ones"`
	Region             []Region      `help:"a region: two who are in it are given an ICE server in it, where there is one with room"`
	Server             []Home        `help:"a server of the same domain that login names: by the room where a client names one, so that all of it meet there, else in its region. The same list on all of them; without any, clients are told this one"`
	App                []App         `help:"an application whose clients may come. Without any, all may"`
}

// ICEServer is a STUN and TURN server with fixed credentials.
type ICEServer struct {
	IP                 string `help:"its address"`
	IceType            string `help:"what kind of server it is, for its administrators alone"`
	BundlePolicy       string `help:"of the connections of those who use it: max-bundle, balanced or max-compat; empty: max-bundle"`
	IceTransportPolicy string `help:"all, or relay for relayed connections alone; empty: all"`
	RtcpMuxPolicy      string `help:"require, or negotiate, which browsers have no more and clients are told as require; empty: require"`
	TurnPort, StunPort int    `help:"its ports; 0: none"`
	MaxBandwidth       int    `help:"kbit/s that it carries"`
	Username           string `help:"of all who use it"`
	Credential         string `help:"of all who use it"`
}

// Region is a part of the world.
type Region struct {
	Name      string   `help:"its name"`
	Countries []string `help:"its countries, by their codes of two letters (ISO 3166-1)"`
}

// App is an application of the protocol.
type App struct {
	ID        string   `help:"appId of its clients"`
	Domains   []string `help:"domains of its pages; names below them count"`
	Localhost bool     `help:"its pages may also be on the user's own machine"`
}

// Defaults are the defaults of the specification. The door is closed.
func Defaults() Config {
	return Config{
		Auth: authToken, Gate: gateAuto, P2PMost: 2, P2PReturn: 30 * time.Second, ClientKeepLiveTimeout: 40 * time.Second, ClientReportStatsInterval: 15 * time.Second,
		TokenPrompt: time.Minute, TokenGrace: 10 * time.Second,
		Sockets: 10_000, PerSource: 100, SourceRate: limit.Rate{PerSecond: 20, Burst: 200}, Frames: limit.Rate{PerSecond: 50, Burst: 200},
		IceKeepLiveTimeout: 30 * time.Second,
	}
}

// checkRegions reports regions that cannot be.
func (c *Config) checkRegions() error {
	named, of := c.NeutralRegion == "", make(map[string]bool)
	for _, r := range c.Region {
		if r.Name == "" {
			return errors.New("region: one has no name")
		}
		named = named || r.Name == c.NeutralRegion
		for _, code := range r.Countries {
			if len(code) != 2 || code[0] < 'A' || code[0] > 'Z' || code[1] < 'A' || code[1] > 'Z' || of[code] {
				return fmt.Errorf("region: %s: %q is no code of a country, such as DE, or is there twice", r.Name, code)
			}
			of[code] = true
		}
	}
	if !named {
		return fmt.Errorf("neutral_region: there is no region %q", c.NeutralRegion)
	}
	return nil
}

// Unlimited lifts the limits per source and client, for load tests on loopback.
func (c *Config) Unlimited() {
	c.PerSource, c.SourceRate, c.Frames = 0, limit.Rate{}, limit.Rate{}
}

// The values of Auth.
const (
	authToken = "token"
	authNone  = "none"
)

// The values of Gate.
const (
	gateAuto  = "auto"
	gateNever = "p2p"
)

// Check reports what cannot be.
func (c *Config) Check() error {
	switch {
	case c.Auth != authToken && c.Auth != authNone:
		return fmt.Errorf("auth is %q; it is token or none", c.Auth)
	case c.Gate != gateAuto && c.Gate != gateNever:
		return fmt.Errorf("gate is %q; it is auto or p2p", c.Gate)
	case c.P2PMost < 0 || c.P2PReturn < 0:
		return errors.New("p2p_most and p2p_return are not below 0")
	case c.MaxRoomCapacity < 0 || c.MaxRoomCapacity > 1000:
		return errors.New("max_room_capacity is not between 0 and 1000")
	case c.ClientKeepLiveTimeout < time.Second || c.IceKeepLiveTimeout < time.Second || c.ClientReportStatsInterval < time.Second:
		return errors.New("client_keep_live_timeout, client_report_stats_interval and ice_keep_live_timeout are at least 1s")
	case c.TokenPrompt < 0 || c.TokenGrace < 0:
		return errors.New("token_prompt and token_grace are not below 0")
	case c.Sockets < 1 || c.IceBandwidth < 0:
		return errors.New("sockets is at least 1, ice_bandwidth at least 0")
	}
	for _, s := range c.Ice {
		if _, err := netip.ParseAddr(s.IP); err != nil {
			return fmt.Errorf("ice: ip %q is no address", s.IP)
		}
		if _, err := s.registration().server(); err != nil {
			return fmt.Errorf("ice: %s: %w", s.IP, err)
		}
	}
	if err := c.checkRegions(); err != nil {
		return err
	}
	if err := c.checkHomes(); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for _, a := range c.App {
		if a.ID == "" || seen[a.ID] {
			return fmt.Errorf("app: id %q is empty, or there twice", a.ID)
		}
		seen[a.ID] = true
	}
	return nil
}
