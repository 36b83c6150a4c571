package turn

import (
	"net/netip"
	"slices"
	"time"
)

const (
	permissionLife = 5 * time.Minute  // RFC 8656 §9
	channelLife    = 10 * time.Minute // RFC 8656 §12
)

// table holds the permissions and channels of an allocation. It is a value that never changes once others can see it:
// whoever adds to it makes a new one, without what has expired. There are no timers.
type table struct {
	permissions []permission
	channels    []channel
}

// permission lets data pass from and to an address (RFC 8656 §9).
type permission struct {
	addr  netip.Addr
	scope scope
	until time.Time
}

// channel is a number that stands for a peer (RFC 8656 §12).
type channel struct {
	number uint16
	scope  scope
	peer   netip.AddrPort
	until  time.Time
}

// permission returns the permission for an address, nil if there is none or it has expired.
func (t *table) permission(a netip.Addr, now time.Time) *permission {
	for i := range t.permissions {
		if p := &t.permissions[i]; p.addr == a && now.Before(p.until) {
			return p
		}
	}
	return nil
}

// number returns the channel with a number, nil if there is none or it has expired.
func (t *table) number(n uint16, now time.Time) *channel {
	for i := range t.channels {
		if c := &t.channels[i]; c.number == n && now.Before(c.until) {
			return c
		}
	}
	return nil
}

// peer returns the channel that stands for a peer, nil if there is none or it has expired.
func (t *table) peer(a netip.AddrPort, now time.Time) *channel {
	for i := range t.channels {
		if c := &t.channels[i]; c.peer == a && now.Before(c.until) {
			return c
		}
	}
	return nil
}

// fresh returns a copy without what has expired.
func (t *table) fresh(now time.Time) *table {
	n := &table{slices.Clone(t.permissions), slices.Clone(t.channels)}
	n.permissions = slices.DeleteFunc(n.permissions, func(p permission) bool { return !now.Before(p.until) })
	n.channels = slices.DeleteFunc(n.channels, func(c channel) bool { return !now.Before(c.until) })
	return n
}

// permit adds or refreshes a permission. Only for tables that nobody else sees.
func (t *table) permit(a netip.Addr, s scope, now time.Time) {
	until := now.Add(permissionLife)
	if p := t.permission(a, now); p != nil {
		p.until = until
		return
	}
	t.permissions = append(t.permissions, permission{a, s, until})
}

// bind adds or refreshes a channel and the permission that goes with it (RFC 8656 §12.2). It reports false if the number
// stands for another peer or the peer has another number. Only for tables that nobody else sees.
func (t *table) bind(n uint16, peer netip.AddrPort, s scope, now time.Time) bool {
	byNumber, byPeer := t.number(n, now), t.peer(peer, now)
	if byNumber != byPeer {
		return false
	}
	if byNumber == nil {
		t.channels = append(t.channels, channel{number: n, scope: s, peer: peer})
		byNumber = &t.channels[len(t.channels)-1]
	}
	byNumber.until = now.Add(channelLife)
	t.permit(peer.Addr(), s, now)
	return true
}
