package s2s

import (
	"hash/maphash"
	"net/netip"

	"parley/internal/token"
	"parley/xmpp/wire"
)

// sender is somebody at another server, as the router and the services know who sent a stanza. What is said to it goes to its
// server over whatever stream leads there. It does not change.
type sender struct {
	srv  *Server
	via  *stream // that the stanza came over; nil: we answer in its name
	addr wire.Addr
}

// Addr is the checked from of the stanza.
func (x *sender) Addr() wire.Addr { return x.addr }

// Deliver implements route.Receiver.
func (x *sender) Deliver(b *wire.Batch, to wire.Addr, st wire.Stanza) {
	if to == "" {
		to = x.addr
	}
	x.srv.Deliver(b, to, st)
}

// Guest is false: its server vouches for it.
func (x *sender) Guest() bool { return false }

// Remote tells it from our own accounts: what needs an account here is not for it.
func (x *sender) Remote() bool { return true }

// Source is its server's address: limits per source hold for all of a server's people together.
func (x *sender) Source() netip.Addr {
	if x.via == nil {
		return netip.Addr{}
	}
	return x.via.source
}

// Claims is nil: tokens are not taken from other servers.
func (x *sender) Claims() *token.Claims { return nil }

// Room is empty.
func (x *sender) Room() string { return "" }

// Tenant is empty.
func (x *sender) Tenant() string { return "" }

// Hold implements route.Sender.
func (x *sender) Hold() (release func()) {
	if x.via == nil {
		return nothing
	}
	return x.via.hold()
}

// receiver returns the address in the attribute to as it was written. As with senders, those of the last stanzas are kept.
func (s *stream) receiver(raw []byte) (wire.Addr, bool) {
	slot := &s.receivers[maphash.Bytes(s.srv.seed, raw)%uint64(len(s.receivers))]
	if string(*slot) == string(raw) {
		return *slot, true
	}
	addr, err := wire.ParseRawAddr(raw)
	if err != nil {
		return "", false
	}
	*slot = addr
	return addr, true
}

// senderOf returns the sender of the attribute from as it was written. Those of the last stanzas are kept, so that who says
// much costs nothing.
func (s *stream) senderOf(raw []byte) (*sender, bool) {
	slot := &s.senders[maphash.Bytes(s.srv.seed, raw)%uint64(len(s.senders))]
	if x := *slot; x != nil && string(x.addr) == string(raw) {
		return x, true
	}
	addr, err := wire.ParseRawAddr(raw)
	if err != nil || !s.trusts(addr.Domain()) {
		return nil, false
	}
	x := &sender{srv: s.srv, via: s, addr: addr}
	*slot = x
	return x, true
}
