package roomserver

import (
	"bytes"
	"net/netip"
	"slices"
	"time"
)

// Alerts is told what administrators may have to know. Its methods return at once.
type Alerts interface {
	// Reported says that a member reports that it could not connect with an ICE server that it was given.
	Reported(server string)
}

// unwatched tells nobody.
type unwatched struct{}

func (unwatched) Reported(string) {}

// reportNoWay is the result of a report (reportInfo) on a configuration that did not connect.
const reportNoWay = 9

// complains tells of the ICE servers that a member says do not connect it: those that it was given, and that its report names, or all of
// them if it names none. So nobody can complain of a server that it has nothing to do with.
func (m *member) complains(q *Message) {
	var given, named []string
	for _, sub := range m.subs {
		s := sub.grant.server
		if s == nil {
			continue
		}
		name, ip := s.ip, s.ip
		if s.own {
			at, _ := netip.ParseAddrPort(m.room.service.parts.ICE)
			name, ip = "our own", at.Addr().String()
		}
		if slices.Contains(given, name) {
			continue
		}
		given = append(given, name)
		if mentions(q.Data1, ip) || mentions(q.Data2, ip) {
			named = append(named, name)
		}
	}
	if len(named) > 0 {
		given = named
	}
	for _, name := range given {
		m.room.service.alerts.Reported(name)
	}
}

// mentions reports that there is an address in a text, and not as a part of another one.
func mentions(text []byte, ip string) bool {
	within := func(c byte) bool { return c == '.' || '0' <= c && c <= '9' || 'a' <= c && c <= 'f' }
	for ip != "" {
		before, after, found := bytes.Cut(text, []byte(ip))
		if !found {
			return false
		}
		if (len(before) == 0 || !within(before[len(before)-1])) && (len(after) == 0 || !within(after[0])) {
			return true
		}
		text = after
	}
	return false
}

// silentMost bounds how many lost servers are remembered.
const silentMost = 1000

// Lost are the ICE servers that had registered, have reported nothing for the time that they may, and have neither registered again nor
// gone by themselves; each for a day. Callers ask now and then.
func (s *Service) Lost() []string { return s.ice.lost(time.Now()) }

// There reports that an ICE server is there.
func (s *Service) There(ip string) bool {
	r := s.ice
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.servers[ip]
	return one != nil && !one.over(time.Now())
}

func (r *registry) lost(now time.Time) (list []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for ip, s := range r.servers {
		if s.over(now) {
			r.expire(ip, s)
		}
	}
	for ip, since := range r.silent {
		if now.Sub(since) > 24*time.Hour {
			delete(r.silent, ip)
			continue
		}
		list = append(list, ip)
	}
	slices.Sort(list)
	return list
}

// over reports that a server has not reported for too long.
func (s *iceServer) over(now time.Time) bool { return !s.expires.IsZero() && !now.Before(s.expires) }

// expire takes out a server that has not reported for too long. Called with mu held.
func (r *registry) expire(ip string, s *iceServer) {
	delete(r.servers, ip)
	if len(r.silent) < silentMost {
		r.silent[ip] = s.expires
	}
}

// Usable reports that there is an ICE server to give to pairs.
func (s *Service) Usable() bool {
	r, now := s.ice, time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.servers {
		if !one.over(now) {
			return true
		}
	}
	return false
}
