package muc

import (
	"parley/internal/store"

	"parley/xmpp/form"
)

// registration answers with the form for reserving a nickname (XEP-0045 §7.10), which members may. Others may ask to become members,
// if the room is set so, and the admins decide.
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
	f := form.New(dst, "form", NSEnlist)
	f.Words("title", "Nickname in "+string(r.addr))
	apply := r.affiliation(bare) == None
	if apply {
		f.Words("instructions", "The room's admins will be asked whether you may become a member. The nickname will be kept for you.")
		nick = r.applications[bare].Nick
	} else {
		f.Words("instructions", "The nickname will be kept for you.")
	}
	var chosen []string
	if nick != "" {
		chosen = []string{nick}
	}
	f.Required(regNick, "text-single", "Nickname", chosen...)
	if apply {
		for _, p := range particulars {
			f.Field(p[0], "text-single", p[1])
		}
	}
	fx.send(in.from, in.packet.Result(in.to, append(f.End(), "</query>"...)))
}

func (r *room) mayRegister(in *input) *refusal {
	is := r.affiliation(in.from.Bare())
	switch {
	case in.guest, is == Outcast, is == None && !r.settings.Enlist:
		return &errNotAllowed
	case is >= Member && r.standings[in.from.Bare()].affiliation < Member: // by token, for the visit
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
	if r.affiliation(bare) == None {
		if query.Child("remove", NSRegister).Ok() {
			return r.recall(in, fx)
		}
		a, ok := form.Read(query.Child("x", NSData), NSEnlist)
		if !ok || a.One(regNick) == "" {
			r.refuse(in, fx, errBadRequest)
			return false
		}
		return r.enlist(in, a, fx)
	}
	if query.Child("remove", NSRegister).Ok() {
		next.nick = ""
	} else {
		a, ok := form.Read(query.Child("x", NSData), NSEnlist)
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
