package apprtc

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"parley/internal/token"
	"parley/turn"
	"parley/xmpp/wire"
)

// ticket is what somebody gets credentials of the relay with: a member as long as it has its place, or a page that asks before its
// user has joined. It is the route.Sender that the credentials are of.
type ticket struct {
	key    string
	addr   wire.Addr
	source netip.Addr
	timer  *time.Timer // of a page's; nil: a member has it
}

func (t *ticket) Addr() wire.Addr                             { return t.addr }
func (t *ticket) Deliver(*wire.Batch, wire.Addr, wire.Stanza) {}
func (t *ticket) Guest() bool                                 { return true }
func (t *ticket) Source() netip.Addr                          { return t.source }
func (t *ticket) Claims() *token.Claims                       { return nil }
func (t *ticket) Room() string                                { return "" }
func (t *ticket) Tenant() string                              { return "" }
func (t *ticket) Hold() func()                                { return func() {} }

// name is the key, "" where nobody needs one.
func (t *ticket) name() string {
	if t == nil {
		return ""
	}
	return t.key
}

const (
	ticketsMost = 20_000
	ticketTime  = 24 * time.Hour // of a page's: the longest that the original keeps a room
)

// newKey makes a key that nobody guesses.
func newKey() string { return strings.ToLower(rand.Text()) }

// newTicket gives a member one.
func (s *Service) newTicket(source netip.Addr) *ticket {
	if s.parts.Relays == nil {
		return nil
	}
	t := &ticket{key: newKey(), addr: s.newAddress(), source: source}
	s.mu.Lock()
	s.tickets[t.key] = t
	s.mu.Unlock()
	return t
}

// ticketOf is the ticket of a key. Where anyone may join a page may come with a key of its own, before its user has joined; nil:
// there is none.
func (s *Service) ticketOf(key string, source netip.Addr) *ticket {
	if s.parts.Relays == nil || !names.MatchString(key) {
		return nil
	}
	s.mu.Lock()
	t, many := s.tickets[key], len(s.tickets) >= ticketsMost || s.over
	s.mu.Unlock()
	if t != nil || s.cfg.Auth != authNone {
		return t
	}
	if many || !s.members.Allow(source, time.Now(), 1) {
		s.rec.Reject("limit.conn", source.String(), "text", "credentials")
		return nil
	}
	fresh := &ticket{key: key, addr: s.newAddress(), source: source}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t = s.tickets[key]; t == nil && !s.over {
		fresh.timer = time.AfterFunc(ticketTime, func() { s.endTicket(fresh) })
		s.tickets[key], t = fresh, fresh
	}
	return t
}

// endTicket ends the credentials of a ticket, and what they relay.
func (s *Service) endTicket(t *ticket) {
	s.mu.Lock()
	known := s.tickets[t.key] == t
	delete(s.tickets, t.key)
	s.mu.Unlock()
	if t.timer != nil {
		t.timer.Stop()
	}
	if known {
		s.parts.Relays.End(t.addr)
	}
}

// iceServer is an RTCIceServer. Clients want urls to be a list always.
type iceServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

// iceServers are the services with a ticket's credentials, TURN first, those of one credential together.
func (s *Service) iceServers(t *ticket) (list []iceServer) {
	services := s.parts.Relays.Services(t)
	for _, restricted := range []bool{true, false} {
		for _, v := range services {
			if v.Restricted() != restricted {
				continue
			}
			if n := len(list); n > 0 && list[n-1].Username == v.Username && list[n-1].Credential == v.Password {
				list[n-1].URLs = append(list[n-1].URLs, v.URI())
			} else {
				list = append(list, iceServer{[]string{v.URI()}, v.Username, v.Password})
			}
		}
	}
	return list
}

// lifetime is how long credentials are good.
func lifetime(services []turn.Service, now time.Time) time.Duration {
	life := time.Hour
	for _, v := range services {
		if !v.Expires.IsZero() {
			life = min(life, v.Expires.Sub(now))
		}
	}
	return max(life, 0).Round(time.Second)
}

// ServeICE answers which STUN and TURN servers there are. Foreign pages may ask: whoever has the key may know.
func (s *Service) ServeICE(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	h.Set("Access-Control-Allow-Headers", "Content-Type")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	t := s.ticketOf(r.URL.Query().Get("key"), sourceOf(r))
	if t == nil {
		s.rec.Reject("ice.reject", sourceOf(r).String())
		http.Error(w, "forbidden", http.StatusForbidden)
		return
	}
	servers := s.iceServers(t)
	if servers == nil {
		servers = []iceServer{}
	}
	writeJSON(w, struct {
		Lifetime string      `json:"lifetimeDuration"`
		Servers  []iceServer `json:"iceServers"`
	}{seconds(lifetime(s.parts.Relays.Services(t), time.Now())), servers})
}

// ServeTURN answers the same to old clients, which know one server with one credential.
func (s *Service) ServeTURN(w http.ResponseWriter, r *http.Request) {
	t := s.ticketOf(r.URL.Query().Get("key"), sourceOf(r))
	if t == nil {
		s.rec.Reject("ice.reject", sourceOf(r).String())
		http.Error(w, "forbidden", http.StatusForbidden)
		return
	}
	var first iceServer
	for _, v := range s.iceServers(t) {
		if v.Username != "" {
			first = v
			break
		}
	}
	if first.URLs == nil {
		first.URLs = []string{}
	}
	writeJSON(w, struct {
		Username string   `json:"username"`
		Password string   `json:"password"`
		TTL      int      `json:"ttl"`
		URIs     []string `json:"uris"`
	}{first.Username, first.Credential, int(lifetime(s.parts.Relays.Services(t), time.Now()) / time.Second), first.URLs})
}

func seconds(d time.Duration) string {
	b, _ := json.Marshal(int(d / time.Second))
	return string(b) + "s"
}

func writeJSON(w http.ResponseWriter, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(v)
}
