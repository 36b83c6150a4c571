package roomserver

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// Home is a server that login may name.
type Home struct {
	URL    string `help:"where its WebSockets are, such as wss://a.example.org; without a path it is /rs/ws"`
	Region string `help:"the region that it is in, a name of [[roomserver.region]]; empty: none"`
}

// address is a home's address as clients are told it.
func (h *Home) address() (string, error) {
	u, err := url.Parse(h.URL)
	if err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return "", fmt.Errorf("server: %q is not like wss://a.example.org", h.URL)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/rs/ws"
	}
	return u.String(), nil
}

// checkHomes reports servers that cannot be.
func (c *Config) checkHomes() error {
	seen := make(map[string]bool)
	for i := range c.Server {
		h := &c.Server[i]
		at, err := h.address()
		switch {
		case err != nil:
			return err
		case seen[at]:
			return fmt.Errorf("server: %s is there twice", at)
		case h.Region != "" && !slices.ContainsFunc(c.Region, func(r Region) bool { return r.Name == h.Region }):
			return fmt.Errorf("server: there is no region %q", h.Region)
		}
		seen[at] = true
	}
	return nil
}

// home is the server that a client is told at login: that of its room, which every server with the same list names, or one in its
// region, else in the neutral one, else any. Of several a client is told the same one each time.
func (s *Service) home(m *Message, source netip.Addr) string {
	if len(s.cfg.Server) == 0 {
		return s.parts.URL + "/rs/ws"
	}
	list := s.cfg.Server
	if m.RoomID != "" {
		if room, err := s.address(m.RoomID); err == nil {
			return pick(list, string(room))
		}
	}
	for _, region := range s.ice.regions.between(s.whence(m, source), s.whence(m, source)) {
		near := slices.DeleteFunc(slices.Clone(list), func(h Home) bool { return h.Region != region })
		if len(near) > 0 {
			return pick(near, source.String())
		}
	}
	return pick(list, source.String())
}

// whence is the region of a client: by the address that it comes from or, where nothing is known of that, by the one that it says.
func (s *Service) whence(m *Message, source netip.Addr) string {
	said, _ := netip.ParseAddr(m.IP)
	return cmp.Or(s.ice.regions.of(source.Unmap()), s.ice.regions.of(said.Unmap()))
}

// pick chooses a server for a key: each key has an order of all servers of its own (rendezvous hashing), so that a server that is
// added or taken away moves no keys between others.
func pick(list []Home, key string) string {
	var best string
	var most [sha256.Size]byte
	for i := range list {
		at, err := list[i].address()
		if err != nil {
			continue // Check has seen them
		}
		if sum := sha256.Sum256([]byte(at + "\x00" + key)); best == "" || bytes.Compare(sum[:], most[:]) > 0 {
			best, most = at, sum
		}
	}
	return best
}

// iceAt is the ICE server that a client is told at login, as host and port: the best in its region or the neutral one that has room. What
// its connections are made with it is told when it meets somebody.
func (s *Service) iceAt(m *Message, source netip.Addr) string {
	region := s.whence(m, source)
	g := s.ice.choose(0, region, region, time.Now())
	defer g.release()
	if g == nil || g.server == nil || g.server.own {
		return s.parts.ICE
	}
	return net.JoinHostPort(g.server.ip, strconv.Itoa(cmp.Or(g.server.turnPort, g.server.stunPort)))
}
