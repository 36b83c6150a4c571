package turn

import (
	"time"

	"parley/internal/stun"
)

// request handles an authenticated request (RFC 8656 §5).
func (k *desk) request(r *request) {
	if len(k.m.Unknown()) > 0 {
		w := k.begin(stun.Failure)
		w.Code(unknownAttribute)
		w.Unknown(k.m.Unknown())
		k.reply(r, w)
		return
	}
	a := k.find(k.from)
	switch {
	case r.method == stun.Allocate:
		k.allocate(r, a)
	case a == nil:
		k.fail(r, allocationMismatch)
	case a.user != r.user:
		k.fail(r, wrongCredentials)
	case r.method == stun.Refresh:
		k.refreshAllocation(r)
	case r.method == stun.CreatePermission:
		k.createPermission(r, a)
	case r.method == stun.ChannelBind:
		k.channelBind(r, a)
	default:
		k.fail(r, forbidden) // Connect, ConnectionBind: relays are UDP only
	}
}

// allocate handles an Allocate request (RFC 8656 §7.2). The steps are the RFC's; what a client that has an allocation gets
// is left to pion: 437, or the same answer once more.
func (k *desk) allocate(r *request, existing *allocation) {
	m := &k.m
	if existing == nil {
		switch {
		case !m.Has(stun.RequestedTransport): // step 3
			k.fail(r, badRequest)
			return
		case m.Transport != udp:
			k.fail(r, transportUnsupported)
			return
		case m.Has(stun.ReservationToken) && (m.Has(stun.EvenPort) || m.Has(stun.RequestedAddressFamily)): // steps 5, 7
			k.fail(r, badRequest)
			return
		}
	}
	if m.Has(stun.ReservationToken) {
		r.token = m.Token
	} else {
		r.even = m.Has(stun.EvenPort)
		r.family = m.Family
		if _, ok := k.relay(stun.IPv4); !m.Has(stun.RequestedAddressFamily) && ok {
			r.family = stun.IPv4
		} else if !m.Has(stun.RequestedAddressFamily) {
			r.family = stun.IPv6
		}
		if _, ok := k.relay(r.family); !ok || r.family != stun.IPv4 && r.family != stun.IPv6 { // step 8
			k.fail(r, familyNotSupported)
			return
		}
	}
	r.lifetime = k.lifetime()
	k.hand(r, insufficientCapacity)
}

// refreshAllocation handles a Refresh request (RFC 8656 §8.2).
func (k *desk) refreshAllocation(r *request) {
	r.family = k.m.Family
	if r.lifetime = k.lifetime(); k.m.Has(stun.Lifetime) && k.m.Lifetime == 0 {
		r.lifetime = 0
	}
	k.hand(r, allocationMismatch)
}

// lifetime returns what an allocation gets for what the request asks (RFC 8656 §7.2).
func (k *desk) lifetime() time.Duration {
	asked := time.Duration(k.m.Lifetime) * time.Second
	return min(max(asked, k.cfg.Lifetime), k.cfg.MaxLifetime)
}

// hand gives a request to pion and passes the answer on. Errors are written anew, since pion does not sign its own;
// silence stands for the given code.
func (k *desk) hand(r *request, silence int) {
	k.back.do(r)
	var answer stun.Message
	switch {
	case r.code != 0:
		if r.code != unauthorized {
			k.refuse("turn.quota", k.from, k.now, "code", r.code)
		}
		k.fail(r, r.code)
	case answer.Parse(r.answer, stun.TURN) != nil:
		k.fail(r, silence)
	case answer.Class == stun.Failure:
		k.fail(r, answer.Code)
	default:
		k.path.send(r.answer, len(r.answer))
	}
}

// createPermission handles a CreatePermission request (RFC 8656 §10.2): all of its peers or none.
func (k *desk) createPermission(r *request, a *allocation) {
	if len(k.m.Peers) == 0 {
		k.fail(r, badRequest)
		return
	}
	k.lookAround(k.now)
	k.conclude(r, k.change(a, k.now, func(t *table) int {
		for _, peer := range k.m.Peers {
			s := k.policy.scope(peer.Addr())
			if s == noPort {
				return forbidden
			}
			if peer.Addr().Is4() != a.relayed.Addr().Is4() {
				return familyMismatch
			}
			t.permit(peer.Addr(), s, k.now)
		}
		return 0
	}))
}

// channelBind handles a ChannelBind request (RFC 8656 §12.2).
func (k *desk) channelBind(r *request, a *allocation) {
	if k.m.Channel < stun.MinChannel || k.m.Channel > stun.MaxChannel || len(k.m.Peers) == 0 {
		k.fail(r, badRequest)
		return
	}
	k.lookAround(k.now)
	k.conclude(r, k.change(a, k.now, func(t *table) int {
		peer := k.m.Peers[0]
		s := k.policy.scope(peer.Addr())
		switch {
		case !k.policy.within(s, peer):
			return forbidden
		case peer.Addr().Is4() != a.relayed.Addr().Is4():
			return familyMismatch
		case !t.bind(k.m.Channel, peer, s, k.now):
			return badRequest
		}
		return 0
	}))
}

// conclude answers a request for permissions: with success if the code is 0.
func (k *desk) conclude(r *request, code int) {
	switch code {
	case 0:
		k.reply(r, k.begin(stun.Success))
		return
	case forbidden:
		k.refuse("turn.peer", k.from, k.now, "peer", k.m.Peers[0].String())
	case quotaReached:
		k.refuse("turn.quota", k.from, k.now, "code", code)
	}
	k.fail(r, code)
}
