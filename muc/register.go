package muc

import (
	"parley/internal/store"
)

const regNick = "muc#register_roomnick"

// registration answers with the form for reserving a nickname (XEP-0045 §7.10). Who is a member already may reserve one;
// how to become a member is the admins' affair, so nobody registers himself.
func (r *room) registration(in *input, fx *effects) {
	bare := in.from.Bare()
	if why := r.mayRegister(in); why != nil {
		r.refuse(in, fx, *why)
		return
	}
	dst := append([]byte(nil), "<query xmlns='"+NSRegister+"'>"...)
	nick := r.standings[bare].nick
	if nick != "" {
		dst = append(dst, "<registered/>"...)
	}
	f := newSheet(dst, "form", NSEnlist)
	f.words("title", "Nickname in "+string(r.addr))
	f.words("instructions", "The nickname will be kept for you.")
	f.open(regNick, "text-single", "Nickname")
	f.dst = append(f.dst, "<required/>"...)
	if nick != "" {
		f.words("value", nick)
	}
	f.dst = append(f.dst, "</field>"...)
	fx.send(in.from, in.packet.Result(in.to, append(f.end(), "</query>"...)))
}

func (r *room) mayRegister(in *input) *refusal {
	if in.guest || r.standings[in.from.Bare()].affiliation < Member {
		return &errNotAllowed
	}
	return nil
}

// register reserves a nickname.
func (r *room) register(in *input, fx *effects) (kept bool) {
	if r.postponed(in, fx) {
		return true
	}
	bare := in.from.Bare()
	if why := r.mayRegister(in); why != nil {
		r.refuse(in, fx, *why)
		return false
	}
	query := in.packet.Elem().First()
	next := r.standings[bare]
	if query.Child("remove", NSRegister).Ok() {
		next.nick = ""
	} else {
		a, ok := readForm(query.Child("x", NSData), NSEnlist)
		nick := one(a[regNick])
		if !ok || nick == "" || len(nick) > 1023 {
			r.refuse(in, fx, errBadRequest)
			return false
		}
		key, looks, why := r.checkNick(nick, bare, false)
		if why == nil {
			if o := r.byNick[key]; o != nil && o.bare != bare || looks == "" {
				why = &errConflict
			}
		}
		if why != nil {
			r.refuse(in, fx, *why)
			return false
		}
		next.nick = nick
	}
	change := store.Change{Affiliations: []store.Affiliation{{
		Addr: string(bare), Name: next.affiliation.String(), Nick: next.nick, Reason: next.reason,
	}}}
	return r.commitAlone(in, fx, change, func(why *refusal, _ *input, fx *effects) {
		if why != nil {
			r.refuse(in, fx, *why)
			return
		}
		r.keep(bare, next)
		fx.send(in.from, in.packet.Result(in.to, nil))
	})
}
