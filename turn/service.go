package turn

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Service is one STUN or TURN service as a client is told of it: the attributes of XEP-0215 <service/>, or with URI the
// members of an RTCIceServer. Username and password are empty where none is needed (XEP-0215: not restricted).
type Service struct {
	Type      string // "stun", "stuns", "turn" or "turns"
	Host      string
	Port      uint16
	Transport string // "udp" or "tcp"; "turns" over "tcp" is TLS
	Username  string
	Password  string
	Expires   time.Time // when the credential ends; zero without one
}

// Restricted reports that the service wants a credential.
func (s Service) Restricted() bool { return s.Username != "" }

// URI returns the form of RFC 7064 or RFC 7065 with every part written out.
func (s Service) URI() string {
	uri := s.Type + ":" + net.JoinHostPort(s.Host, strconv.Itoa(int(s.Port)))
	if strings.HasPrefix(s.Type, "turn") {
		uri += "?transport=" + s.Transport
	}
	return uri
}

// Offer is a service to hand out: our own server's or an external one, such as coturn with use-auth-secret.
type Offer struct {
	URI    string `help:"stun:host, turn:host:port?transport=udp, turns:host?transport=tcp and so on (RFC 7064, RFC 7065)"`
	Secret string `help:"secret that signs the credentials of turn and turns services"`
}

// Registry holds the ICE servers that every door hands out in the same way. The zero Registry has none. It never changes.
type Registry struct{ offers []offer }

type offer struct {
	service Service
	secret  string
}

// NewRegistry checks the offers and keeps them in their order.
func NewRegistry(offers ...Offer) (*Registry, error) {
	r := new(Registry)
	for _, o := range offers {
		s, err := ParseURI(o.URI)
		if err != nil {
			return nil, err
		}
		turn := strings.HasPrefix(s.Type, "turn")
		if turn && o.Secret == "" {
			return nil, fmt.Errorf("turn: service %s has no secret", o.URI)
		}
		if !turn {
			o.Secret = ""
		}
		r.offers = append(r.offers, offer{s, o.Secret})
	}
	return r, nil
}

// Services returns what to tell a user, with credentials that end after ttl (see Credentials).
func (r *Registry) Services(user string, ttl time.Duration, now time.Time) []Service {
	services := make([]Service, len(r.offers))
	for i, o := range r.offers {
		services[i] = o.service
		if o.secret == "" {
			continue
		}
		s := &services[i]
		s.Username, s.Password = Credentials(o.secret, user, ttl, now)
		_, s.Expires, _ = parseUsername(s.Username)
		s.Expires = s.Expires.UTC()
	}
	return services
}

// ParseURI reads a URI of RFC 7064 or RFC 7065. What it leaves out gets the default: port 3478, 5349 with TLS; transport
// udp, tcp with TLS.
func ParseURI(uri string) (Service, error) {
	bad := func(what string) (Service, error) {
		return Service{}, fmt.Errorf("turn: URI %q has %s", uri, what)
	}
	scheme, rest, _ := strings.Cut(uri, ":")
	s := Service{Type: strings.ToLower(scheme), Port: 3478, Transport: "udp"}
	switch s.Type {
	case "stun", "turn":
	case "stuns", "turns":
		s.Port, s.Transport = 5349, "tcp"
	default:
		return bad("another scheme than stun, stuns, turn or turns")
	}
	rest, query, asked := strings.Cut(rest, "?")
	if asked {
		transport, ok := strings.CutPrefix(query, "transport=")
		if !ok || transport != "udp" && transport != "tcp" || !strings.HasPrefix(s.Type, "turn") {
			return bad("a query that it cannot have")
		}
		s.Transport = transport
	}
	s.Host = rest
	if i := strings.LastIndexByte(rest, ':'); i >= 0 && i > strings.LastIndexByte(rest, ']') {
		port, err := strconv.ParseUint(rest[i+1:], 10, 16)
		if err != nil || port == 0 {
			return bad("a port that is none")
		}
		s.Host, s.Port = rest[:i], uint16(port)
	}
	if inner, ok := strings.CutPrefix(s.Host, "["); ok {
		inner, closed := strings.CutSuffix(inner, "]")
		if a, err := netip.ParseAddr(inner); !closed || err != nil || !a.Is6() {
			return bad("a host that is none")
		}
		s.Host = inner
	} else if s.Host == "" || strings.ContainsAny(s.Host, "[]/@#:%\\ \t\r\n\"'<>&") {
		return bad("a host that is none")
	}
	return s, nil
}
