package main

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"

	"parley/bridge/api"
	"parley/bridge/link"
	"parley/internal/config"
	"parley/jingle/focus"
)

// media is the bridge as the server sees it: a child process, and the connection to it.
type media struct {
	address netip.AddrPort
	client  *link.Client
	child   *link.Child
	path    string // data directory
	log     *slog.Logger
}

func newMedia(s *server, address netip.AddrPort, advertised []netip.Addr) *media {
	args := []string{"bridge", "--data", s.data.path, "--listen", address.String(), "--log-format", s.cfg.Log.Format}
	for _, a := range advertised {
		if a.Is4() == address.Addr().Unmap().Is4() {
			args = append(args, "--advertise", a.String())
		}
	}
	if s.cfg.Log.Redact {
		args = append(args, "--redact")
	}
	path, err := os.Executable()
	if err != nil {
		path = os.Args[0]
	}
	return &media{
		address: address, path: s.data.path, log: s.log,
		client: link.NewClient(link.ClientConfig{Dial: link.Dial(s.data.path), Log: s.log, Events: s.recorder}),
		child:  &link.Child{Data: s.data.path, Path: path, Args: args, Log: s.log},
	}
}

// bridge is what the focus asks for media.
func (m *media) bridge() focus.Bridge {
	if m == nil {
		return focus.NoBridge{}
	}
	return m.client
}

// channel answers for bridge channels; nil if there is no bridge.
func (m *media) channel() http.Handler {
	if m == nil {
		return nil
	}
	return link.Proxy(m.path, m.log)
}

// run keeps the bridge running, and tells what it says, until the server stops.
func (m *media) run(s *server, events func(api.Event)) {
	if m == nil {
		return
	}
	s.group.Go(func() { m.client.Run(s.stopping, events) })
	s.group.Go(func() { m.child.Run(s.stopping) })
}

// channelBase is where clients find bridge channels: at the first public HTTP listener.
func channelBase(cfg config.Config, listeners []*bound) string {
	for _, l := range listeners {
		if l.Admin || l.Scheme != "http" && l.Scheme != "https" {
			continue
		}
		scheme, standard := "ws", uint16(80)
		if l.Scheme == "https" {
			scheme, standard = "wss", 443
		}
		if port := l.address().Port(); port != standard {
			return scheme + "://" + net.JoinHostPort(cfg.Domain, strconv.Itoa(int(port)))
		}
		return scheme + "://" + cfg.Domain
	}
	return "wss://" + cfg.Domain
}
