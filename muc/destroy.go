package muc

import (
	"slices"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// destroy ends the room (XEP-0045 §10.9): everybody is told why and where to go instead.
func (r *room) destroy(in *input, d wire.Elem, fx *effects) (kept bool) {
	if r.postponed(in, fx) {
		return true
	}
	words := append([]byte(nil), "<destroy"...)
	if jid := d.AttrString("jid"); jid != "" {
		other, err := wire.ParseAddr(jid)
		if err != nil || other.Bare() == r.addr {
			r.refuse(in, fx, errNotAddress)
			return false
		}
		words = wire.AppendAttr(words, "jid", string(other))
	}
	words = append(words, '>')
	if p := d.Child("password", NSOwner); p.Ok() && len(p.Inner()) <= longestReason {
		words = wire.AppendElem(words, "password", p.Text())
	}
	if reason := reasonIn(d, NSOwner); reason != "" {
		words = wire.AppendElem(words, "reason", reason)
	}
	words = append(words, "</destroy>"...)
	return r.commitAlone(in, fx, store.Change{Delete: true}, func(why *refusal, _ *input, fx *effects) {
		if why != nil {
			r.refuse(in, fx, *why)
			return
		}
		r.stored = false
		r.closeDown(&notice{destroy: words}, LeftEnded, fx)
		fx.send(in.from, in.packet.Result(in.to, nil))
		r.end(fx, true)
	})
}

// closeDown takes everybody out. Each is told of himself only: with the room all others go.
func (r *room) closeDown(n *notice, why Why, fx *effects) {
	for _, o := range slices.Clone(r.occupants) {
		if r.isFocus(o) {
			continue
		}
		n.gone = true
		r.toSelf(o, n, fx)
		for _, s := range o.sessions {
			fx.left = append(fx.left, s.addr)
		}
		r.forget(o, why, fx)
	}
}

// shutDown tells everybody that the service stops (XEP-0045 §15.6.1, status 332), and keeps what is stored.
func (r *room) shutDown(fx *effects) {
	if r.phase != open && r.phase != locked {
		return
	}
	r.flush(fx)
	r.closeDown(&notice{status: []string{"332"}}, LeftClosed, fx)
	for _, in := range r.door.waiting {
		if in.packet != nil {
			r.refuse(in, fx, errClosing)
			r.absentee(in, fx)
		}
		fx.finish(in)
	}
	r.door.waiting, r.door.joins = nil, 0
	clear(r.door.of)
	r.unlockAt, r.flushAt, r.admitAt = r.emptyAt, r.emptyAt, r.emptyAt
}
