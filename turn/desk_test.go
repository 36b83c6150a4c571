package turn

import (
	"net/netip"
	"testing"
	"time"

	"parley/internal/limit"
	"parley/internal/stun"
)

// memory is a path that keeps the last answer.
type memory struct {
	last     []byte
	asStream bool
}

func (m *memory) send(b []byte, _ int) { m.last = append(m.last[:0], b...) }
func (m *memory) stream() bool         { return m.asStream }
func (m *memory) end()                 {}

// FuzzDesk hands any bytes to the desk of a user with an allocation and to that of a stranger: as they are, and as the
// attributes of a signed request. Nothing panics, no answer to a stranger is large, and whatever was asked, only peers
// have permissions and quotas hold.
func FuzzDesk(f *testing.F) {
	s := start(f, func(c *Config) { c.Requests, c.Bandwidth = limit.Rate{}, 0 })
	s.replies = limit.NewSources[netip.Addr](0, limit.Rate{}, sources)
	d := s.doors[0]
	username, password := Credentials(testSecret, "romeo", time.Hour, time.Now())
	key := longTermKey(username, testRealm, password)
	here := netip.MustParseAddrPort("127.0.9.1:1")
	nonce := s.nonces.make(here.Addr(), time.Now())
	signed := func(b []byte) []byte {
		return sign(b, username, testRealm, nonce, key)
	}
	id := stun.ID{1}
	for method, attrs := range map[stun.Method][]attr{
		stun.Allocate:         {withUDP, with(stun.EvenPort, []byte{0x80})},
		stun.Refresh:          {with32(stun.Lifetime, 0)},
		stun.CreatePermission: {withPeer("8.8.8.8:1"), withPeer("127.0.0.1:2"), withPeer("[2600::1]:1")},
		stun.ChannelBind:      {withPeer("8.8.8.8:1"), with32(stun.ChannelNumber, 0x4000<<16)},
		stun.Connect:          {withPeer("8.8.8.8:1")},
	} {
		b := begin(method, stun.Request, id)
		for _, a := range attrs {
			b = a(b)
		}
		f.Add(byte(method), b[20:], 0)
		f.Add(byte(0), signed(b), 0)
	}
	send := with(stun.Data, []byte("data"))(withPeer("8.8.8.8:1")(begin(stun.Send, stun.Indication, id)))
	f.Add(byte(0), send, 0)
	data := stun.AppendChannelData(nil, 0x4000, []byte("data"), false)
	f.Add(byte(0), append(append(data, data...), data[:7]...), len(data)) // as they come together
	f.Add(byte(0), begin(stun.Binding, stun.Request, id), 0)

	user := desk{door: d, from: here, path: new(memory), out: make([]byte, 0, 128)}
	stranger := desk{door: d, from: netip.MustParseAddrPort("127.0.9.2:1"), path: new(memory), out: make([]byte, 0, 128)}
	f.Fuzz(func(t *testing.T, method byte, b []byte, size int) {
		if len(b) > largest {
			return
		}
		if size <= 0 || size > len(b) {
			size = max(len(b), 1)
		}
		user.now = time.Now()
		stranger.now = user.now
		if d.find(here) == nil {
			user.receive(signed(withUDP(begin(stun.Allocate, stun.Request, stun.ID{2}))), largest)
		}
		if method != 0 && len(b) < 1500 {
			m := append(begin(stun.Method(method), stun.Request, id), b...)
			for len(m)%4 != 0 {
				m = append(m, 0)
			}
			b = signed(m)
			size = len(b)
		}
		answer := stranger.path.(*memory)
		for at := 0; at < len(b); at += size { // one by one, to compare what came with what went
			one := b[at:min(at+size, len(b))]
			answer.last = answer.last[:0]
			stranger.receive(append([]byte(nil), one...), size)
			if len(answer.last) > 0 && len(answer.last)+28 > 2*(len(one)+28) {
				t.Fatalf("%d bytes are answered by %d", len(one), len(answer.last))
			}
		}
		user.path.(*memory).asStream = len(b)%2 == 0
		user.receive(append([]byte(nil), b...), size)

		permissions, channels := 0, 0
		s.mu.Lock()
		defer s.mu.Unlock()
		for name, list := range s.users {
			if name != "romeo" || len(list) > s.cfg.Allocations {
				t.Fatalf("%q has %d allocations", name, len(list))
			}
			for _, a := range list {
				table := a.table.Load().fresh(user.now)
				permissions, channels = permissions+len(table.permissions), channels+len(table.channels)
				for _, p := range table.permissions {
					if s.policy.scope(p.addr) == noPort || p.addr.Is6() {
						t.Fatalf("permission for %v", p.addr)
					}
				}
				for _, c := range table.channels {
					if !s.policy.peer(c.peer) && s.policy.scope(c.peer.Addr()) != ownPorts {
						t.Fatalf("channel for %v", c.peer)
					}
				}
			}
		}
		if permissions > s.cfg.Permissions || channels > s.cfg.Channels {
			t.Fatalf("%d permissions, %d channels", permissions, channels)
		}
	})
}
