package roomserver

import (
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"parley/turn"
)

// iceServer is a STUN and TURN server that pairs of members are given. The registry's mutex guards it.
type iceServer struct {
	ip                 string
	own                bool // our relay: its credentials are each user's own
	bundle, transport  string
	turnPort, stunPort int
	username           string
	credential         string
	most               int // kbit/s; 0: without end
	region             string

	rx, tx   int       // kbit/s, as it reports
	expires  time.Time // zero: never
	heard    time.Time // until when its last news would let it be there
	shared   int       // by when it was shared (registry.shared); 0: it was not
	assigned int       // kbit/s that the pairs may need that were given it
	members  int       // how many members those are
}

// registry is the ICE servers that there are. It is safe for concurrent use.
type registry struct {
	life    time.Duration // of a registration without a report
	regions regions

	mu      sync.Mutex // guards what follows
	servers map[string]*iceServer
	silent  map[string]time.Time // those that are lost, since when
	shared  int                  // counts what was shared with other servers, from 1
}

// serversMost bounds how many ICE servers there are.
const serversMost = 1000

// ownServer is the name of our own relay among the others.
const ownServer = ""

// newRegistry makes one of the servers that are always there. Own is the address of our own relay and its port.
func newRegistry(cfg Config, own bool, ownAt string, countries Countries) (*registry, error) {
	r := &registry{life: cfg.IceKeepLiveTimeout, regions: newRegions(cfg, countries), servers: make(map[string]*iceServer), silent: make(map[string]time.Time), shared: 1}
	if own {
		at, _ := netip.ParseAddrPort(ownAt)
		r.servers[ownServer] = &iceServer{own: true, most: cfg.IceBandwidth, region: r.regions.of(at.Addr().Unmap())}
	}
	for _, s := range cfg.Ice {
		server, err := s.registration().server()
		if err != nil {
			return nil, err
		}
		server.region = r.regions.of(server.addr())
		r.servers[server.ip] = server
	}
	return r, nil
}

// grant is the ICE server of a pair, until it is released.
type grant struct {
	registry *registry
	server   *iceServer // nil: there is none at all
	need     int
	released bool // guarded by the registry's mutex
}

// needOf is what a member may need of a relay in kbit/s.
func needOf(talkType int) int {
	switch talkType {
	case talkAudio:
		return 40
	case talkBoth, talkVideo:
		return 200
	}
	return 0
}

// rate is what a server carries in kbit/s: what it reports or, of our own, what it may have to.
func (s *iceServer) rate() int {
	if s.own {
		return s.assigned
	}
	return s.tx
}

// load is what a server carries, as a share of what it can.
func (s *iceServer) load() float64 {
	if s.most == 0 {
		return 0
	}
	return float64(s.rate()) / float64(s.most)
}

// before is the order in which servers are chosen: the least loaded, then the one with the fewest members, then by address.
func (s *iceServer) before(other *iceServer) bool {
	switch a, b := s.load(), other.load(); {
	case a != b:
		return a < b
	case s.members != other.members:
		return s.members < other.members
	}
	a, _ := netip.ParseAddr(s.ip)
	b, _ := netip.ParseAddr(other.ip)
	return a.Less(b)
}

// addr is the address of a server that is not our own.
func (s *iceServer) addr() netip.Addr {
	a, _ := netip.ParseAddr(s.ip)
	return a
}

// choose gives two members, who are in regions, a server. It returns nil if there are servers, and all are full.
func (r *registry) choose(need int, a, b string, now time.Time) *grant {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.regions.between(a, b)
	rank := func(s *iceServer) int { // the later its region is looked in, the greater
		if i := slices.Index(list, s.region); i >= 0 {
			return i
		}
		return len(list)
	}
	var best *iceServer
	any := false
	for ip, s := range r.servers {
		if s.over(now) {
			r.expire(ip, s)
			continue
		}
		any = true
		if s.most != 0 && s.rate()+need >= s.most {
			continue
		}
		if best == nil || rank(s) < rank(best) || rank(s) == rank(best) && s.before(best) {
			best = s
		}
	}
	if best == nil && any {
		return nil
	}
	if best != nil {
		best.assigned += need
		best.members += 2
	}
	return &grant{registry: r, server: best, need: need}
}

// release gives back what a pair was given. It may be called again, and of nil.
func (g *grant) release() {
	if g == nil || g.server == nil {
		return
	}
	g.registry.mu.Lock()
	defer g.registry.mu.Unlock()
	if !g.released {
		g.released = true
		g.server.assigned -= g.need
		g.server.members -= 2
	}
}

// config is the RTCConfiguration of a member, which clients hand to the browser as it is. Own are the services of our relay with
// the member's credentials.
func (g *grant) config(own func() []turn.Service) []byte {
	bundle, transport := "max-bundle", "all"
	var servers []byte
	add := func(username, credential string, urls ...string) {
		if len(urls) == 0 {
			return
		}
		if len(servers) > 0 {
			servers = append(servers, ',')
		}
		list, _ := json.Marshal(struct {
			Credential string   `json:"credential"`
			URLs       []string `json:"urls"`
			Username   string   `json:"username"`
		}{credential, urls, username})
		servers = append(servers, list...)
	}
	var s iceServer
	if g.server != nil {
		g.registry.mu.Lock()
		s = *g.server
		g.registry.mu.Unlock()
	}
	switch {
	case g.server == nil:
	case s.own:
		services := own()
		// TURN stands first; those with one credential stand together.
		for len(services) > 0 {
			var urls []string
			var rest []turn.Service
			first := services[0]
			for _, v := range services {
				if v.Restricted() {
					first = v
					break
				}
			}
			for _, v := range services {
				if v.Username == first.Username && v.Password == first.Password {
					urls = append(urls, v.URI())
				} else {
					rest = append(rest, v)
				}
			}
			add(first.Username, first.Password, urls...)
			services = rest
		}
	default:
		bundle, transport = s.bundle, s.transport
		if s.turnPort != 0 {
			at := "turn:" + net.JoinHostPort(s.ip, strconv.Itoa(s.turnPort))
			add(s.username, s.credential, at+"?transport=udp", at+"?transport=tcp")
		}
		if s.stunPort != 0 {
			add("", "", "stun:"+net.JoinHostPort(s.ip, strconv.Itoa(s.stunPort)))
		}
	}
	return []byte(`{"bundlePolicy":"` + bundle + `","iceServers":[` + string(servers) + `],"iceTransportPolicy":"` + transport + `","rtcpMuxPolicy":"require"}`)
}

// registration is what an ICE server says of itself.
type registration struct {
	cmd, ip             string
	bundle, mux, policy string
	turnPort, stunPort  int
	most, rx, tx        int
	username            string
	credential          string
}

func (s ICEServer) registration() registration {
	return registration{ip: s.IP, bundle: s.BundlePolicy, mux: s.RtcpMuxPolicy, policy: s.IceTransportPolicy, turnPort: s.TurnPort, stunPort: s.StunPort,
		most: s.MaxBandwidth, username: s.Username, credential: s.Credential}
}

var errRegistration = errors.New("not an ICE server: it needs an address, ports, a bandwidth, and policies that there are")

// server is the server of a registration. "negotiate" for the multiplexing of RTCP is taken, but browsers have it no more.
func (g registration) server() (*iceServer, error) {
	a, err := netip.ParseAddr(g.ip)
	s := &iceServer{ip: a.Unmap().String(), bundle: g.bundle, transport: g.policy, turnPort: g.turnPort, stunPort: g.stunPort, most: g.most, username: g.username, credential: g.credential}
	if s.bundle == "" {
		s.bundle = "max-bundle"
	}
	if s.transport == "" {
		s.transport = "all"
	}
	port := func(n int) bool { return n >= 0 && n < 1<<16 }
	switch {
	case err != nil, a.Zone() != "", a.IsUnspecified(), a.IsMulticast(), !port(s.turnPort), !port(s.stunPort), s.turnPort == 0 && s.stunPort == 0,
		s.bundle != "max-bundle" && s.bundle != "balanced" && s.bundle != "max-compat", s.transport != "all" && s.transport != "relay",
		g.mux != "" && g.mux != "require" && g.mux != "negotiate", s.most <= 0:
		return nil, errRegistration
	}
	return s, nil
}

// register takes a server, or the news of one, and reports that it was there already.
func (r *registry) register(s *iceServer, now time.Time) (known, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.servers[s.ip]
	known = old != nil && !old.over(now)
	if !known && len(r.servers) >= serversMost {
		return false, false
	}
	delete(r.silent, s.ip)
	s.expires, s.region = now.Add(r.life), r.regions.of(s.addr())
	s.heard = s.expires
	if known {
		if old.expires.IsZero() {
			s.expires = time.Time{}
		}
		s.rx, s.tx, s.assigned, s.members, s.shared = old.rx, old.tx, old.assigned, old.members, old.shared
		*old = *s // pairs have it
		return true, true
	}
	r.servers[s.ip] = s
	return false, true
}

// report takes what a server carries, and reports that it is there.
func (r *registry) report(ip string, rx, tx int, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.servers[ip]
	if s == nil || s.over(now) {
		return false
	}
	s.rx, s.tx, s.heard = rx, tx, now.Add(r.life)
	if !s.expires.IsZero() {
		s.expires = now.Add(r.life)
	}
	return true
}

func (r *registry) deregister(ip string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.silent, ip)
	s := r.servers[ip]
	if s == nil {
		return false
	}
	delete(r.servers, ip)
	return true
}
