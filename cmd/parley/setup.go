package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"parley/internal/config"
	"parley/turn"
)

// setup is how a bridge process is set up. The server hands it over in a file of its data directory that only our user
// can read, since it holds the secret of the relay.
type setup struct {
	Media     []config.Listener `json:"media,omitempty"`     // one, or none
	Relay     []config.Listener `json:"relay,omitempty"`     // turn and turns
	Balancers []netip.Prefix    `json:"balancers,omitempty"` // of listeners with +proxy
	Advertise []netip.Addr      `json:"advertise,omitempty"`
	Name      string            `json:"name,omitempty"`
	TCP       bool              `json:"tcp,omitempty"`
	Capacity  int               `json:"capacity,omitempty"` // packets a second

	TURN        turn.Config `json:"turn"`
	Certificate string      `json:"certificate,omitempty"` // PEM files, of turns
	Key         string      `json:"key,omitempty"`
	Log         config.Log  `json:"log"`
}

const setupFile = "bridge-setup.json"

// listeners are the addresses of all listeners.
func (s *setup) listeners() (list []*config.Listener) {
	for i := range s.Media {
		list = append(list, &s.Media[i])
	}
	for i := range s.Relay {
		list = append(list, &s.Relay[i])
	}
	return list
}

// clone has listeners of its own.
func (s *setup) clone() setup {
	c := *s
	c.Media, c.Relay = append([]config.Listener(nil), s.Media...), append([]config.Listener(nil), s.Relay...)
	return c
}

// at is the setup with the ports that another one got, where it leaves the choice to the system.
func (s *setup) at(other setup) setup {
	c := s.clone()
	ours, theirs := c.listeners(), other.listeners()
	for i, l := range ours {
		if l.Port == 0 && i < len(theirs) && l.Scheme == theirs[i].Scheme {
			l.Port = theirs[i].Port
		}
	}
	return c
}

// announced is what others may see: a digest instead of the secret. The level of the log is left out, since it is changed
// while the bridge runs.
func (s *setup) announced() json.RawMessage {
	c := *s
	c.Log.Level = 0
	if c.TURN.Secret != "" {
		digest := sha256.Sum256([]byte(c.TURN.Secret))
		c.TURN.Secret = hex.EncodeToString(digest[:])
	}
	text, _ := json.Marshal(c)
	return text
}

// fits reports that a bridge that has announced this is set up as is wished here.
func (s *setup) fits(announced json.RawMessage) bool {
	var other setup
	if json.Unmarshal(announced, &other) != nil {
		return false
	}
	same := s.at(other)
	have, _ := json.Marshal(other)
	return bytes.Equal(same.announced(), have)
}

// write hands the setup over.
func (s *setup) write(name string) error {
	text, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return err
	}
	return writeFile(name, append(text, '\n'), 0o600)
}

func readSetup(name string) (s setup, err error) {
	text, err := os.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		return s, fmt.Errorf("setup of the bridge: %w", err)
	}
	return s, nil
}

// ofBridge reports that a listener is the bridge's to bind.
func ofBridge(l config.Listener) bool {
	return l.Scheme == "media" || strings.HasPrefix(l.Scheme, "turn")
}

// ofServer are the listeners that the server binds itself.
func ofServer(list []config.Listener) []config.Listener {
	return slices.DeleteFunc(slices.Clone(list), ofBridge)
}

var errNoAddress = errors.New(`the machine has no address to tell clients: write advertise = ["ADDRESS"]`)

// newSetup is what a configuration wishes of the bridge. Without listeners it wishes for none.
func newSetup(cfg config.Config, cert *certificate, secret string) (setup, error) {
	s := setup{Advertise: cfg.Advertise, Name: cfg.Media.Name, TCP: cfg.Media.TCP, Capacity: cfg.Media.Capacity, Log: cfg.Log}
	for _, l := range cfg.Listen {
		switch {
		case l.Scheme == "media":
			if s.Media = append(s.Media, l); len(reachable(cfg, "media")) == 0 {
				return s, fmt.Errorf("%s: %w", l, errNoAddress)
			}
		case ofBridge(l):
			s.Relay = append(s.Relay, l)
			s.TURN = cfg.TURN
			s.TURN.Secret = secret
		}
		if ofBridge(l) && l.Proxy {
			s.Balancers = cfg.Balancers
		}
		if l.Scheme == "turns" {
			s.Certificate, s.Key = cert.certFile, cert.keyFile
		}
	}
	if len(s.Relay) > 0 && len(s.TURN.Relays) == 0 {
		for _, a := range reachable(cfg, "turn", "turns") {
			s.TURN.Relays = append(s.TURN.Relays, relayAt(a))
		}
		if len(s.TURN.Relays) == 0 {
			return s, fmt.Errorf("%s: %w", s.Relay[0], errNoAddress)
		}
	}
	return s, nil
}

// address is that of a listener whose port is known.
func address(l config.Listener) netip.AddrPort {
	return netip.AddrPortFrom(hosts(l.Host)[0], l.Port)
}
