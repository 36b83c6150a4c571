package turn

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/logging"
	pturn "github.com/pion/turn/v5"

	"parley/internal/stun"
)

// newPion starts pion behind all doors. It gets requests that we have authenticated and written anew, so what it does
// itself to authenticate them cannot fail.
func newPion(s *Server) (*pturn.Server, error) {
	cfg := pturn.ServerConfig{
		Realm:               s.cfg.Realm,
		AllocationLifetime:  time.Hour, // what pion takes for a lifetime of an hour; all others are in the request
		StrictAddressFamily: true,
		LoggerFactory:       &logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled},
		AuthHandler: func(r *pturn.RequestAttributes) (string, []byte, bool) {
			user, _, _ := parseUsername(r.Username)
			return user, s.key(r.Username), true
		},
	}
	for _, d := range s.doors {
		cfg.PacketConnConfigs = append(cfg.PacketConnConfigs, pturn.PacketConnConfig{PacketConn: d.back, RelayAddressGenerator: d.back})
	}
	return pturn.NewServer(cfg)
}

// request is an Allocate or Refresh request that has been authenticated.
type request struct {
	method   stun.Method
	id       stun.ID
	from     netip.AddrPort
	path     path
	user     string
	username string
	key      *stun.Key

	lifetime time.Duration
	family   byte   // 0: not named
	even     bool   // EVEN-PORT
	token    []byte // RESERVATION-TOKEN, nil if there is none

	answer []byte // what pion says; nil if nothing
	code   int    // why no relay was made, if none was
	done   chan struct{}
}

// message writes the request that pion gets.
func (r *request) message(b []byte, realm, nonce string) []byte {
	w := stun.Write(b[:0], r.method, stun.Request, r.id)
	if r.method == stun.Allocate {
		w.Uint32(stun.RequestedTransport, udp<<24)
	}
	if r.family != 0 {
		w.Uint32(stun.RequestedAddressFamily, uint32(r.family)<<24)
	}
	if r.even {
		w.Bytes(stun.EvenPort, []byte{0x80})
	}
	if r.token != nil {
		w.Bytes(stun.ReservationToken, r.token)
	}
	w.Uint32(stun.Lifetime, uint32(r.lifetime/time.Second))
	w.String(stun.Username, r.username)
	w.String(stun.Realm, realm)
	w.String(stun.Nonce, nonce)
	w.Integrity(r.key)
	return w.Buffer()
}

// back is pion's side of a door: a packet connection that is not one, and the maker of relay sockets. Pion has one
// goroutine for it, which reads a request, makes or refreshes an allocation, writes the answer, and reads again.
type back struct {
	door     *door
	local    net.Addr
	requests chan *request
	closed   chan struct{}
	close    sync.Once

	// Only pion's goroutine.
	current *request
	nonce   string // pion's own
	again   bool   // the nonce was stale
}

func newBack(d *door, local net.Addr) *back {
	return &back{door: d, local: net.UDPAddrFromAddrPort(addrPort(local)), requests: make(chan *request), closed: make(chan struct{}), nonce: "none"}
}

// do hands a request to pion and returns when it is done with it.
func (b *back) do(r *request) {
	r.done = make(chan struct{})
	select {
	case b.requests <- r:
		<-r.done
	case <-b.closed:
	}
}

// forget makes pion delete an allocation that has ended without it.
func (b *back) forget(a *allocation) {
	username := "0:" + a.user
	b.do(&request{method: stun.Refresh, from: a.from, user: a.user, username: username, key: stun.NewKey(b.door.key(username))})
}

// ReadFrom gives pion the next request.
func (b *back) ReadFrom(p []byte) (int, net.Addr, error) {
	if b.current != nil && !b.again {
		close(b.current.done)
		b.current = nil
	}
	b.again = false
	if b.current == nil {
		select {
		case b.current = <-b.requests:
		case <-b.closed:
			return 0, nil, net.ErrClosed
		}
	}
	r := b.current
	n := copy(p, r.message(nil, b.door.cfg.Realm, b.nonce))
	return n, net.UDPAddrFromAddrPort(r.from), nil
}

// WriteTo takes pion's answer. The first request, and then one an hour, is answered by 438 and a nonce, and is repeated
// with that.
func (b *back) WriteTo(p []byte, _ net.Addr) (int, error) {
	var m stun.Message
	if r := b.current; r == nil || m.Parse(p, stun.TURN) != nil || m.ID != r.id {
		return len(p), nil
	}
	if m.Code == staleNonce && b.nonce != string(m.Nonce) {
		b.nonce, b.again = string(m.Nonce), true
	} else {
		b.current.answer = append([]byte(nil), p...)
	}
	return len(p), nil
}

// AllocatePacketConn makes a relay socket. Without a user pion only looks for a free even port (RFC 8656 §7.2 step 6).
func (b *back) AllocatePacketConn(cfg pturn.AllocateListenerConfig) (net.PacketConn, net.Addr, error) {
	family := byte(stun.IPv4)
	if cfg.Network == "udp6" {
		family = stun.IPv6
	}
	if cfg.UserID == "" {
		relay, ok := b.door.relay(family)
		if !ok {
			return nil, nil, errRefused
		}
		conn, err := b.door.listen(relay, 0, true)
		if err != nil {
			return nil, nil, err
		}
		return conn, conn.LocalAddr(), nil
	}
	if b.current == nil || b.current.user != cfg.UserID {
		return nil, nil, errRefused
	}
	a, err := b.door.open(b.current, family, uint16(cfg.RequestedPort))
	if err != nil {
		return nil, nil, err
	}
	return a, net.UDPAddrFromAddrPort(a.relayed), nil
}

// AllocateListener refuses: there are no TCP allocations (RFC 6062).
func (b *back) AllocateListener(pturn.AllocateListenerConfig) (net.Listener, net.Addr, error) {
	return nil, nil, errRefused
}

// AllocateConn refuses: there are no TCP allocations (RFC 6062).
func (b *back) AllocateConn(pturn.AllocateConnConfig) (net.Conn, error) { return nil, errRefused }

// Validate is part of pturn.RelayAddressGenerator.
func (b *back) Validate() error { return nil }

// Close ends pion's read loop.
func (b *back) Close() error {
	b.close.Do(func() { close(b.closed) })
	return nil
}

func (b *back) LocalAddr() net.Addr              { return b.local }
func (b *back) SetDeadline(time.Time) error      { return nil }
func (b *back) SetReadDeadline(time.Time) error  { return nil }
func (b *back) SetWriteDeadline(time.Time) error { return nil }
