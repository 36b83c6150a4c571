// Package config is the configuration of the server: one struct, composed of the Config of each part, whose fields'
// help tags are its manual. A file is TOML whose keys are the field names in snake case; what it does not set keeps its
// default. Durations, rates, bit rates, addresses and networks are written as text.
package config

import (
	"net/netip"
	"os"
	"time"

	"parley/internal/token"
	"parley/jingle/focus"
	"parley/jingle/gateway/apprtc"
	"parley/jingle/gateway/roomserver"
	"parley/muc"
	"parley/portal"
	"parley/portal/alert"
	"parley/portal/api"
	"parley/portal/hook"
	"parley/portal/oidc"
	"parley/portal/records"
	"parley/turn"
	"parley/xmpp/archive"
	"parley/xmpp/auth"
	"parley/xmpp/c2s"
	"parley/xmpp/component"
	"parley/xmpp/im"
	"parley/xmpp/invite"
	"parley/xmpp/pubsub"
	"parley/xmpp/push"
	"parley/xmpp/register"
	"parley/xmpp/s2s"
	"parley/xmpp/upload"
)

// Config is everything that an administrator may set.
type Config struct {
	Domain    string         `help:"the domain that people log in to; rooms are at muc.DOMAIN"`
	Store     string         `help:"where accounts and rooms are kept: sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE; empty: sqlite:parley.db in the data directory"`
	Listen    []Listener     `help:"where to listen: xmpp:// (STARTTLS), xmpps:// (TLS), s2s:// (other servers, STARTTLS), s2ss:// (the same, TLS), component:// (XEP-0114), http://, https://, media:// (UDP and TCP: the bridge, which carries the media of rooms of three and more; at most one), turn:// (UDP and TCP), turns:// (TLS), agent:// (one line for load balancers: whether to send new rooms here, HAProxy's agent-check), http+admin:// (metrics, profiles, health in detail). Without a host it is every address of the machine. A scheme that carries secrets in plain text needs +insecure beyond loopback: http+insecure://:8080 behind a proxy that does TLS. With +proxy (xmpp, xmpps, s2s, s2ss, http, https, turn, turns) TCP connections of the balancers begin with the PROXY protocol: xmpp+proxy://:5222"`
	Balancers []netip.Prefix `help:"networks of load balancers that say at listeners with +proxy, by the PROXY protocol (version 2), whose connections they hand on. Of others it is not believed"`
	Admins    []string       `help:"addresses of accounts that may administer the server from a client, by ad-hoc commands (XEP-0133), such as ann@example.org. Nobody can register these names; make them with parley user add"`
	Advertise []netip.Addr   `help:"addresses of this machine as clients see them, at most one IPv4 and one IPv6; empty: those of the media and turn listeners, or the machine's own. Behind an address translation: the outer ones"`

	DrainGrace time.Duration `help:"how long a server that is asked to end (SIGTERM) goes on with the rooms in which somebody is, and opens no others; it ends when nobody is left, at a second signal, or when that time is over. 0: it ends at once. For a node among several, such as 30m; a stop time of whoever starts it has to be longer, except systemd's, which the server asks for more"`

	Contact    im.Contacts        `help:"how to reach those who run the server: lists of addresses as URIs, which clients and other servers are told (XEP-0157)"`
	TLS        TLS                `help:"the certificate of every TLS listener"`
	Log        Log                `help:"what is written to standard error"`
	HTTP       portal.Config      `help:"the web page and the other HTTP paths"`
	API        api.Config         `help:"the API for programs, at /api/v1 of the HTTP listeners, where a page describes it"`
	OIDC       oidc.Config        `help:"an OpenID provider by which people log in to the API, besides their password"`
	Hooks      hook.Config        `help:"webhooks: what applications are told of by HTTP. An administrator adds them by the API"`
	C2S        c2s.Config         `help:"clients over TCP and WebSocket"`
	Auth       auth.Config        `help:"logging in"`
	Register   register.Config    `help:"accounts that people make and change from a client"`
	Invite     invite.Config      `help:"links that people give to others (XEP-0401): to be a contact of theirs, or to make an account"`
	Federation s2s.Config         `help:"other servers. There has to be an s2s:// listener. While the domain is localhost, only the servers in hosts are connected to"`
	Component  []component.Config `help:"a domain that a program serves, which connects to the component:// listener (XEP-0114)"`
	Accounts   im.Limits          `help:"what an account may have"`
	Pubsub     pubsub.Limits      `help:"what an account may publish (XEP-0163): avatars, bookmarks, keys of OMEMO ..."`
	Archive    archive.Config     `help:"what people said, kept so that they find it again (XEP-0313)"`
	Upload     upload.Config      `help:"files that people upload and share (XEP-0363)"`
	Push       push.Config        `help:"what the app servers of clients are told, so that a phone without a connection wakes up (XEP-0357)"`
	Token      token.Config       `help:"tokens (JWT) that are accepted instead of a password. The issuer \"parley\" always exists: its secret is made by the server, and the command parley token signs with it"`
	Records    records.Config     `help:"records of calls"`
	Alerts     alert.Config       `help:"mails to administrators about what has become of the server"`
	Rooms      muc.Limits         `help:"rooms"`
	Focus      focus.Config       `help:"calls in rooms"`
	Roomserver roomserver.Config  `help:"clients of the RoomServer protocol"`
	Apprtc     apprtc.Config      `help:"AppRTC clients, and pages that use Collider"`
	Media      Media              `help:"the bridge"`
	TURN       turn.Config        `help:"the relay for clients that cannot reach one another"`
	ICE        ICE                `help:"STUN and TURN services that clients are told of (XEP-0215)"`
	Limits     Limits             `help:"limits of the process"`
}

// TLS names the certificate.
type TLS struct {
	Certificate string `help:"PEM file with the certificate and its chain; read again when it changes; empty: the server makes its own, which clients have to be told to trust"`
	Key         string `help:"PEM file with the private key"`

	ACME    bool   `help:"get certificates from an authority by ACME, and renew them: for the domain; where there is an s2s:// listener, for muc.DOMAIN, call.DOMAIN (if there is a bridge) and the domains of components; for the host of upload.url if an https:// listener answers there; true says that you agree to its terms. The authority connects to port 80 or 443 of each name, which has to lead to an http:// or https:// listener"`
	Email   string `help:"where the authority may write to you"`
	CA      string `help:"address of the authority's ACME directory; empty: Let's Encrypt"`
	CARoots string `help:"PEM file with the authorities that the directory's own certificate is from; empty: the system's"`
}

// Log says what is logged.
type Log struct {
	Level  Level  `help:"least level that is written: debug, info, warn, error, critical; read again at SIGHUP"`
	Format string `help:"text or json"`
	Redact bool   `help:"shorten addresses of people to their network"`
}

// ICE says which services clients are told of.
type ICE struct {
	Services []turn.Offer  `help:"services of others, before our own"`
	TTL      time.Duration `help:"how long a credential is good, at most 1h"`
	Remote   bool          `help:"people of other servers who ask are given credentials of our relay too, a thousand of them at a time; else they are told of STUN alone"`
}

// Media is how the bridge carries media.
type Media struct {
	Name     string `help:"the beginning of the bridge's id in the addresses of bridge channels, /colibri-ws/NAME.../, by which a balancer before several nodes finds this one: lower-case letters, digits and hyphens; empty: none"`
	TCP      bool   `help:"media over TCP too, at the port of the media listener, for clients whose network has no UDP"`
	Capacity int    `help:"packets a second, received and sent, that are all that the bridge can do: its stress is told as a share of them; 0: 100000 for each processor"`
}

// Limits are those of the process.
type Limits struct {
	Memory int64   `help:"bytes of memory that the process aims to stay below; 0: GOMEMLIMIT if it is set, else nine tenths of the control group's limit"`
	Full   float64 `help:"share of file descriptors or memory from which on no new client is taken"`
}

// Default is the configuration without a file: loopback only, nothing to install.
func Default() Config {
	return Config{
		Domain: "localhost",
		Listen: []Listener{
			{Scheme: "xmpp", Host: "127.0.0.1", Port: 5222},
			{Scheme: "xmpps", Host: "127.0.0.1", Port: 5223},
			{Scheme: "http", Host: "127.0.0.1", Port: 8080},
			{Scheme: "http", Admin: true, Host: "127.0.0.1", Port: 8081},
			{Scheme: "media", Host: "127.0.0.1", Port: 10000},
			{Scheme: "turn", Host: "127.0.0.1", Port: 3478},
			{Scheme: "turns", Host: "127.0.0.1", Port: 5349},
			{Scheme: "s2s", Host: "127.0.0.1", Port: 5269},
		},
		Log:  Log{Format: "text"},
		HTTP: portal.Defaults(), API: api.Defaults(), OIDC: oidc.Defaults(), Hooks: hook.Defaults(),
		C2S: c2s.Defaults(), Auth: auth.DefaultConfig(), Accounts: im.DefaultLimits(), Pubsub: pubsub.DefaultLimits, Archive: archive.DefaultConfig(), Upload: upload.DefaultConfig(), Push: push.DefaultConfig(), Register: register.Defaults(), Invite: invite.Defaults(), Federation: s2s.Defaults(), Records: records.Defaults(), Alerts: alert.Defaults(), Rooms: roomDefaults(), Focus: focus.Config{Owners: "first", Muji: true}, Roomserver: roomserver.Defaults(), Apprtc: apprtc.Defaults(), Token: token.DefaultConfig(),
		Media:  Media{TCP: true},
		TURN:   turnDefaults(),
		ICE:    ICE{TTL: time.Hour},
		Limits: Limits{Full: 0.9},
	}
}

func turnDefaults() turn.Config {
	c := turn.Default()
	c.Realm = "parley"
	return c
}

// roomDefaults leave it to the domain who creates rooms.
func roomDefaults() muc.Limits {
	l := muc.DefaultLimits()
	l.Create = ""
	return l
}

// Creators are who may create rooms: while the domain is localhost anyone, else those with an account or a token.
func (c *Config) Creators() muc.Creators {
	switch {
	case c.Rooms.Create != "":
		return c.Rooms.Create
	case c.Domain == "localhost":
		return muc.Anyone
	}
	return muc.Accounts
}

// derived are keys that no file sets: the server knows them.
var derived = map[string]bool{
	"c2s.domain": true, "c2s.insecure": true, "c2s.origins": true,
	"focus.domain": true, "focus.address": true, "focus.rooms": true, "focus.origins": true,
}

// Load reads a file. Without a name it is the default.
func Load(name string) (Config, error) {
	if name == "" {
		return Default(), nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return Config{}, err
	}
	return Parse(name, text)
}
