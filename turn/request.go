package turn

import (
	"net/netip"
	"time"

	"parley/internal/limit"
	"parley/internal/stun"
)

// path is the way back to a client.
type path interface {
	// send sends messages of size bytes each, of which the last may be shorter; it keeps no byte of them.
	send(b []byte, size int)
	// stream reports that messages need padding to find their borders.
	stream() bool
	// end closes a connection. Where there is none it does nothing.
	end()
}

// desk is what a goroutine that reads from clients needs to handle what it has read. One five-tuple is always handled by
// the same desk.
type desk struct {
	*door
	from netip.AddrPort
	path path
	now  time.Time

	bytes int // size of the message
	m     stun.Message
	out   []byte // memory for replies
}

const udp = 17 // IP protocol number

// receive handles messages and ChannelData of size bytes each, of which the last may be shorter.
func (k *desk) receive(b []byte, size int) {
	for len(b) > 0 {
		n := min(size, len(b))
		if stun.IsChannelData(b) {
			n = k.channelData(b, n)
		} else {
			k.message(b[:n])
		}
		b = b[n:]
	}
}

// channelData relays the ChannelData that b begins with and those behind it that are for the same channel and of the same
// size. It returns how many bytes that were.
func (k *desk) channelData(b []byte, size int) int {
	number, data, ok := stun.ChannelData(b[:size])
	if !ok {
		k.events.Count("stun.bad")
		return size
	}
	a := k.find(k.from)
	if a == nil {
		k.events.Count("turn.unbound")
		return size
	}
	c := a.table.Load().number(number, k.now)
	if c == nil {
		k.events.Count("turn.unbound")
		return size
	}
	// Data moves forward over the headers, so that it lies in one piece.
	done, each := size, len(data)
	for each > 0 && done < len(b) && len(data)%each == 0 {
		end := min(done+size, len(b))
		next, d, ok := stun.ChannelData(b[done:end])
		if !ok || next != number || len(d) > each || len(d) == 0 {
			break
		}
		data, done = append(data, d...), end
	}
	a.toPeer(data, each, c.peer, c.scope, k.now)
	return done
}

// message handles one STUN message.
func (k *desk) message(b []byte) {
	if err := k.m.Parse(b, stun.TURN); err != nil {
		k.events.Count("stun.bad")
		return
	}
	k.bytes = len(b)
	switch {
	case k.m.Class == stun.Indication && k.m.Method == stun.Send:
		k.sendIndication()
	case k.m.Class != stun.Request:
	case k.m.Method == stun.Binding:
		k.binding()
	case k.m.Method == stun.Allocate, k.m.Method == stun.Refresh, k.m.Method == stun.CreatePermission,
		k.m.Method == stun.ChannelBind, k.m.Method == stun.Connect, k.m.Method == stun.ConnectionBind:
		if r, ok := k.authenticate(); ok {
			k.request(r)
		}
	default:
		k.events.Count("stun.bad")
	}
}

// binding answers a Binding request (RFC 8489 §12), unless it asks for more than that.
func (k *desk) binding() {
	if len(k.m.Unknown()) > 0 {
		k.events.Count("stun.bad")
		return
	}
	w := k.begin(stun.Success)
	w.Addr(stun.XORMappedAddress, k.from)
	k.stranger(w)
}

// sendIndication relays the data of a Send indication (RFC 8656 §11.2).
func (k *desk) sendIndication() {
	m := &k.m
	if len(m.Unknown()) > 0 || len(m.Peers) == 0 || !m.Has(stun.Data) {
		k.events.Count("stun.bad")
		return
	}
	a := k.find(k.from)
	if a == nil {
		k.events.Count("turn.unbound")
		return
	}
	p := a.table.Load().permission(m.Peers[0].Addr(), k.now)
	if p == nil {
		k.events.Count("turn.unbound")
		return
	}
	a.toPeer(m.Data, len(m.Data), m.Peers[0], p.scope, k.now)
}

// authenticate checks a request by the long-term mechanism (RFC 8489 §9.2.4). It answers itself what is wrong, in the same
// way whether the user, the credential or the proof is.
func (k *desk) authenticate() (*request, bool) {
	m := &k.m
	switch {
	case !m.Has(stun.MessageIntegrity):
		k.challenge(unauthorized)
		return nil, false
	case !m.Has(stun.Username) || !m.Has(stun.Realm) || !m.Has(stun.Nonce):
		w := k.begin(stun.Failure)
		w.Code(badRequest)
		k.stranger(w)
		return nil, false
	case !k.nonces.valid(m.Nonce, k.from.Addr(), k.now):
		k.challenge(staleNonce)
		return nil, false
	}
	username := string(m.Username)
	user, expiry, named := parseUsername(username)
	key := stun.NewKey(k.key(username))
	a := k.find(k.from)
	if proved := key.Made(m); !proved || !named || string(m.Realm) != k.cfg.Realm || !k.welcome(user, expiry, a) {
		k.refuse("turn.auth", k.from, k.now)
		k.challenge(unauthorized)
		return nil, false
	}
	if !k.requests.Allow(user, k.now, 1) {
		k.events.Count("turn.flood")
		return nil, false
	}
	return &request{method: m.Method, id: m.ID, from: k.from, path: k.path, user: user, username: username, key: key}, true
}

func (s *Server) key(username string) []byte {
	return longTermKey(username, s.cfg.Realm, restPassword(s.cfg.Secret, username))
}

// welcome reports that a user's credential is good now. For the allocation that it was good for it stays so, whatever the wall clock
// says: a call does not end because an hour is over, or because somebody has set the clock, but because its user has left.
func (k *desk) welcome(user string, expiry time.Time, a *allocation) bool {
	k.mu.Lock()
	gone := k.ended.has(user, k.now)
	k.mu.Unlock()
	mine := a != nil && a.user == user && k.now.Sub(a.born) < k.cfg.MaxAge
	return !gone && (mine || k.now.Before(expiry) && expiry.Before(k.now.Add(MaxTTL+leeway)))
}

// begin begins a reply to the message.
func (k *desk) begin(c stun.Class) stun.Writer {
	return stun.Write(k.out[:0], k.m.Method, c, k.m.ID)
}

// challenge asks a stranger to prove who it is (RFC 8489 §9.2.4).
func (k *desk) challenge(code int) {
	w := k.begin(stun.Failure)
	w.Code(code)
	w.String(stun.Realm, k.cfg.Realm)
	w.String(stun.Nonce, k.nonces.make(k.from.Addr(), k.now))
	k.stranger(w)
}

// stranger sends a reply to somebody who may have written another's address into the request: not more than some a
// second, and none of more than twice the size, headers of IP and UDP included (hardening.md HT3).
func (k *desk) stranger(w stun.Writer) {
	b, headers := w.Buffer(), 28
	if k.from.Addr().Is6() {
		headers = 48
	}
	if !k.path.stream() && len(b)+headers > 2*(k.bytes+headers) || !k.replies.Allow(limit.Source(k.from.Addr()), k.now, 1) {
		k.refuse("turn.flood", k.from, k.now)
		return
	}
	k.path.send(b, len(b))
}

// reply sends an answer that bears the proof of its origin.
func (k *desk) reply(r *request, w stun.Writer) {
	w.Integrity(r.key)
	b := w.Buffer()
	k.path.send(b, len(b))
}

func (k *desk) fail(r *request, code int) {
	w := k.begin(stun.Failure)
	w.Code(code)
	k.reply(r, w)
}
