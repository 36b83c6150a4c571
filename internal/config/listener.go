package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Listener is an address to listen on, written as a URI: SCHEME[+admin][+insecure][+proxy]://[HOST]:PORT.
type Listener struct {
	Scheme   string // xmpp, xmpps, s2s, s2ss, component, http, https, media, turn, turns, agent
	Admin    bool   // http only: for the administrator, not the public
	Insecure bool   // plain text beyond loopback is intended
	Proxy    bool   // connections (TCP) of the balancers begin with the PROXY protocol
	Host     string // IP address or "localhost"; empty: every address
	Port     uint16 // 0: the system chooses
}

var defaultPorts = map[string]uint16{"xmpp": 5222, "xmpps": 5223, "s2s": 5269, "s2ss": 5270, "http": 80, "https": 443, "component": 5347, "media": 10000, "turn": 3478, "turns": 5349, "agent": 9777}

// ParseListener reads the URI of a listener.
func ParseListener(s string) (l Listener, err error) {
	bad := func(what string) (Listener, error) { return Listener{}, fmt.Errorf("listener %q: %s", s, what) }
	u, err := url.Parse(s)
	if err != nil || u.Opaque != "" || u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || !strings.Contains(s, "://") {
		return bad(`must look like "xmpp://127.0.0.1:5222"`)
	}
	parts := strings.Split(u.Scheme, "+")
	l.Scheme = parts[0]
	if _, ok := defaultPorts[l.Scheme]; !ok {
		return bad("the scheme must be xmpp, xmpps, s2s, s2ss, component, http, https, media, turn, turns, agent or http+admin")
	}
	for _, p := range parts[1:] {
		switch {
		case p == "admin" && l.Scheme == "http" && !l.Admin:
			l.Admin = true
		case p == "insecure" && (l.Scheme == "xmpp" || l.Scheme == "http" || l.Scheme == "component") && !l.Insecure:
			l.Insecure = true
		case p == "proxy" && slices.Contains([]string{"xmpp", "xmpps", "s2s", "s2ss", "http", "https", "turn", "turns"}, l.Scheme) && !l.Proxy:
			l.Proxy = true
		default:
			return bad("+" + p + " means nothing here")
		}
	}
	l.Host = u.Hostname()
	if a, err := netip.ParseAddr(l.Host); l.Host != "" && l.Host != "localhost" && (err != nil || a.Is4In6()) {
		return bad("the host must be an IP address, localhost, or empty for every address of the machine")
	}
	l.Port = defaultPorts[l.Scheme]
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil {
			return bad("the port must be between 0 and 65535")
		}
		l.Port = uint16(n)
	} else if l.Admin {
		return bad("an admin listener needs a port")
	}
	return l, nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Listener) UnmarshalText(b []byte) (err error) {
	*l, err = ParseListener(string(b))
	return err
}

// MarshalText implements encoding.TextMarshaler.
func (l Listener) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Kind is the scheme with what tells it from others that share it: "http+admin".
func (l Listener) Kind() string {
	if l.Admin {
		return l.Scheme + "+admin"
	}
	return l.Scheme
}

// Address is HOST:PORT for package net.
func (l Listener) Address() string { return net.JoinHostPort(l.Host, strconv.Itoa(int(l.Port))) }

func (l Listener) String() string {
	s := l.Kind()
	if l.Insecure {
		s += "+insecure"
	}
	if l.Proxy {
		s += "+proxy"
	}
	return s + "://" + l.Address()
}

// Loopback reports that only this machine can reach the listener.
func (l Listener) Loopback() bool {
	if l.Host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(l.Host)
	return err == nil && a.IsLoopback()
}

// TLS reports that connections begin with TLS.
func (l Listener) TLS() bool {
	return slices.Contains([]string{"xmpps", "s2ss", "https", "turns"}, l.Scheme)
}
