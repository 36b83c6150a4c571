package roomserver

import (
	"net"
	"slices"
	"strconv"
	"time"
)

// Server is an ICE server that pairs of members are given, as administrators see it.
type Server struct {
	Own      bool      // our relay, which has no URLs here
	URLs     []string  // RFC 7064, RFC 7065
	Region   string    // "": none is known
	Rate     int       // kbit/s that it carries: what it reports or, of our own, what it may have to
	Capacity int       // kbit/s; 0: without end
	Members  int       // that were given it
	Expires  time.Time // when its registration ends without a report; zero: it is always there
}

// Servers are those that there are, our own first.
func (s *Service) Servers() (list []Server) {
	r := s.ice
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for _, i := range r.servers {
		if i.over(now) {
			continue
		}
		v := Server{Own: i.own, Region: i.region, Rate: i.rate(), Capacity: i.most, Members: i.members, Expires: i.expires}
		if i.turnPort != 0 {
			v.URLs = append(v.URLs, "turn:"+net.JoinHostPort(i.ip, strconv.Itoa(i.turnPort)))
		}
		if i.stunPort != 0 {
			v.URLs = append(v.URLs, "stun:"+net.JoinHostPort(i.ip, strconv.Itoa(i.stunPort)))
		}
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b Server) int { return slices.Compare(a.URLs, b.URLs) })
	return list
}
