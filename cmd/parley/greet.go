package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// describe is what run.json says.
func (s *server) describe() running {
	r := running{PID: os.Getpid(), Version: version(), Domain: s.cfg.Domain, Listeners: make(map[string][]string)}
	for _, l := range s.listeners {
		r.Listeners[l.Kind()] = append(r.Listeners[l.Kind()], l.at.String())
	}
	r.Page = s.page()
	if s.cfg.TLS.Certificate == "" && !s.cfg.TLS.ACME {
		r.Cert = s.cert.certFile
	}
	return r
}

// page is the address of the web page for a person at this machine, or, with a domain, for everybody.
func (s *server) page() string {
	best := ""
	for _, l := range s.listeners {
		if l.Admin || l.Scheme != "http" && l.Scheme != "https" {
			continue
		}
		host, port := s.cfg.Domain, l.at.Port()
		if l.Loopback() && host != "localhost" {
			host = l.at.Addr().String()
		}
		u := l.Scheme + "://" + hostPort(host, port, l.Scheme) + "/"
		if best == "" || l.Scheme == "https" && best[:5] != "https" {
			best = u
		}
	}
	return best
}

func hostPort(host string, port uint16, scheme string) string {
	if scheme == "http" && port == 80 || scheme == "https" && port == 443 {
		if a, err := netip.ParseAddr(host); err == nil && a.Is6() {
			return "[" + host + "]"
		}
		return host
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// greet says where everything is.
func (s *server) greet(w io.Writer, c common) {
	fmt.Fprintf(w, "Parley %s\n\n", version())
	if s.run.Page != "" {
		fmt.Fprintf(w, "  Open this page and send its address to a friend:\n\n      %s%s\n\n", s.run.Page, newRoom())
	}
	for _, l := range s.listeners {
		fmt.Fprintf(w, "  %-11s %s%s\n", l.Kind(), l.at, meaning[l.Kind()])
	}
	fmt.Fprintf(w, "  %-11s %s\n", "data", s.data.path)
	if s.cfg.TLS.Certificate == "" && !s.cfg.TLS.ACME {
		fmt.Fprintf(w, "  %-11s %s (self-made: clients have to be told to trust it)\n", "certificate", s.cert.certFile)
	}
	if s.cfg.TLS.ACME {
		fmt.Fprintf(w, "  %-11s %s\n", "certificate", "from an authority, in the background: see the log")
	}
	if s.cfg.Development() {
		fmt.Fprintf(w, "\n  Only this machine can reach the server. For others, write a configuration: parley config reference\n")
	}
	fmt.Fprintf(w, "  Accounts: parley user add NAME%s. What may be wrong: parley doctor%s\n", c.flags(), c.flags())
}

// flags are what other commands need to find this server.
func (c common) flags() string {
	s := ""
	if c.Config != "" {
		s += " --config " + c.Config
	}
	if c.Data != "" && c.Data != defaultData() {
		s += " --data " + c.Data
	}
	return s
}

func defaultData() string {
	wd, _ := os.Getwd()
	return wd + "/parley-data"
}

// meaning explains listeners to those who do not know the words.
var meaning = map[string]string{
	"xmpp":       "  XMPP clients (STARTTLS)",
	"xmpps":      "  XMPP clients (TLS)",
	"s2s":        "  other servers (STARTTLS)",
	"s2ss":       "  other servers (TLS)",
	"http":       "  web page, XMPP over WebSocket",
	"https":      "  web page, XMPP over WebSocket",
	"http+admin": "  /metrics, /health, /debug/pprof",
	"component":  "  components",
	"media":      "  media (UDP and TCP)",
	"turn":       "  relay (UDP and TCP)",
	"turns":      "  relay (TLS)",
}

// newRoom is the name of a room that nobody guesses, of 64 random bits.
func newRoom() string {
	return strings.ToLower(rand.Text()[:13])
}
