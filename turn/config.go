package turn

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"parley/internal/limit"
)

// Bitrate is a rate in bits per second.
type Bitrate uint64

// PortRange is a range of UDP ports, both ends included. The zero range holds no port.
type PortRange struct {
	First uint16 `help:"lowest port"`
	Last  uint16 `help:"highest port"`
}

func (r PortRange) has(port uint16) bool { return port != 0 && r.First <= port && port <= r.Last }

// Relay is an address at which relayed addresses are made.
type Relay struct {
	Public netip.Addr `help:"address that clients are told; behind an address translation it is the outer one"`
	Bind   netip.Addr `help:"address of this machine that relay sockets are bound to; the public one if it is not set"`
}

// Config is what can be set. The sockets to listen on are not part of it: whoever starts the server binds them.
type Config struct {
	Realm  string `help:"realm of the credentials, at most 16 bytes, which keeps replies to strangers small"`
	Secret string `help:"secret of at least 32 bytes that signs credentials; shared with whoever hands them out"`

	Relays     []Relay        `help:"addresses of relays, one or two: IPv4, IPv6"`
	RelayPorts PortRange      `help:"ports of relays; if it is not set, the system chooses"`
	Peers      []netip.Prefix `help:"networks that data may be relayed to although they are private, reserved or of a form that hides another address: other bridges of ours"`
	PeerPorts  []PortRange    `help:"ports of this machine that data may be relayed to besides the relays: the media port, the relays of another server here"`
	Own        []netip.Addr   `help:"further addresses of this machine, beyond those of its interfaces, listeners and relays"`

	Capacity    int           `help:"allocations of all users together"`
	Allocations int           `help:"allocations of one user"`
	Permissions int           `help:"permissions of one user in all allocations"`
	Channels    int           `help:"channels of one user in all allocations"`
	Bandwidth   Bitrate       `help:"bits per second of one allocation in each direction; what is above is dropped, or held back in a stream; 0 is no limit"`
	Lifetime    time.Duration `help:"lifetime of an allocation between two refreshes, also where less is asked for"`
	MaxLifetime time.Duration `help:"longest lifetime that can be asked for"`
	MaxAge      time.Duration `help:"age at which an allocation whose credential has expired is refreshed no more"`

	Replies        limit.Rate    `help:"replies a second to one source (IPv4 address or IPv6 /64 network) that has not proved to be a user; rate and burst together are at most 100"`
	Requests       limit.Rate    `help:"requests a second of one user"`
	Handshake      time.Duration `help:"time for the TLS handshake"`
	Idle           time.Duration `help:"time that a TCP or TLS connection lives without an allocation, and that a message may take to arrive once it has begun"`
	Connections    int           `help:"TCP and TLS connections of one source at once"`
	ConnectionRate limit.Rate    `help:"new TCP and TLS connections a second of one source"`
}

// leastBandwidth is what one call with voice alone needs. With it the largest message is held back for half a second at
// most.
const leastBandwidth Bitrate = 32_000

// Default returns the configuration that needs no more than Realm, Secret and Relays.
func Default() Config {
	return Config{
		RelayPorts:  PortRange{49152, 65535}, // RFC 8656 §7.2
		Capacity:    4096,
		Allocations: 10, Permissions: 50, Channels: 50,
		Bandwidth: 10_000_000,
		Lifetime:  10 * time.Minute, MaxLifetime: time.Hour, MaxAge: 24 * time.Hour,
		Replies:   limit.Rate{PerSecond: 80, Burst: 20},
		Requests:  limit.Rate{PerSecond: 50, Burst: 100},
		Handshake: 10 * time.Second, Idle: 30 * time.Second,
		Connections: 100, ConnectionRate: limit.Rate{PerSecond: 20, Burst: 100},
	}
}

// Check says what is wrong with a configuration.
func (c Config) Check() error {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("turn: "+format, args...))
		}
	}
	wrong(c.Realm == "" || len(c.Realm) > 16, "realm %q has to have 1 to 16 bytes", c.Realm)
	wrong(len(c.Secret) < 32, "secret is shorter than 32 bytes")
	wrong(len(c.Relays) == 0, "no relay address")
	seen := map[bool]bool{}
	for _, r := range c.Relays {
		if !r.Public.IsValid() || r.Public.IsUnspecified() || r.Public.Zone() != "" || r.Public.Is4In6() {
			wrong(true, "relay address %v is none that clients can be told", r.Public)
			continue
		}
		wrong(r.Bind.IsValid() && r.Bind.Is4() != r.Public.Is4(), "relay addresses %v and %v are of two families", r.Public, r.Bind)
		wrong(seen[r.Public.Is4()], "two relay addresses of one family")
		seen[r.Public.Is4()] = true
	}
	for _, r := range slices.Concat(c.PeerPorts, []PortRange{c.RelayPorts}) {
		wrong(r != PortRange{} && (r.First == 0 || r.First > r.Last), "port range %d to %d is empty", r.First, r.Last)
	}
	wrong(c.Capacity < 1 || c.Allocations < 1 || c.Permissions < 1 || c.Channels < 1, "every quota has to be at least 1")
	wrong(c.Bandwidth != 0 && c.Bandwidth < leastBandwidth, "bandwidth is less than %d bit/s", leastBandwidth)
	wrong(c.Lifetime < time.Second || c.MaxLifetime < c.Lifetime || c.MaxLifetime > time.Hour || c.MaxAge < c.MaxLifetime,
		"lifetimes have to rise: 1 s, lifetime, longest lifetime, 1 h and age")
	wrong(c.Replies.PerSecond <= 0 || c.Replies.Burst < 1 || c.Replies.PerSecond+c.Replies.Burst > 100,
		"replies to strangers have to be limited to 100 a second")
	wrong(c.Handshake <= 0 || c.Idle <= 0, "a time limit of connections is not set")
	wrong(c.Requests.PerSecond < 0 || c.ConnectionRate.PerSecond < 0 || c.Connections < 0, "a rate is negative")
	return errors.Join(errs...)
}
