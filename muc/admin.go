package muc

import (
	"slices"
	"strings"

	"parley/xmpp/wire"
)

// mostItems bounds the changes of one request.
const mostItems = 1000

// administer changes roles or affiliations (XEP-0045 §8, §9, §10). One request may hold many items; all are done or
// none.
func (r *room) administer(in *input, fx *effects) (kept bool) {
	var ranks []rerank
	var casts []recast
	n := 0
	for it := in.packet.Elem().First().Children(); it.Next(); {
		e := it.Elem
		if !e.Is("item", NSAdmin) {
			continue
		}
		if n++; n > mostItems {
			r.refuse(in, fx, errBadRequest.about("too many items"))
			return false
		}
		_, ranked := e.Attr("affiliation")
		_, cast := e.Attr("role")
		var why *refusal
		switch {
		case ranked == cast:
			why = &errBadRequest
		case ranked:
			var c rerank
			if c, why = r.rankItem(e); why == nil {
				ranks = append(ranks, c)
			}
		default:
			var c recast
			if c, why = r.castItem(e); why == nil {
				casts = append(casts, c)
			}
		}
		if why != nil {
			// Who may do nothing here learns nothing about who is here.
			if !r.mayAsk(in.from) {
				why = &errForbidden
			}
			r.refuse(in, fx, *why)
			return false
		}
	}
	switch {
	case len(ranks) > 0 && len(casts) == 0:
		return r.rerank(in, ranks, fx)
	case len(casts) > 0 && len(ranks) == 0:
		r.recast(in, casts, fx)
	default:
		r.refuse(in, fx, errBadRequest)
	}
	return false
}

// mayAsk reports that an address has a say in who may do what.
func (r *room) mayAsk(a wire.Addr) bool {
	s := r.byAddr[a]
	return s != nil && s.occupant.role == Moderator || r.affiliation(a.Bare()) >= Admin
}

func (r *room) rankItem(e wire.Elem) (c rerank, why *refusal) {
	to, ok := affiliationOf(e.AttrString("affiliation"))
	if !ok {
		return c, &errBadRequest
	}
	c = rerank{to: to, reason: reasonIn(e, NSAdmin)}
	nick := e.AttrString("nick")
	if jid := e.AttrString("jid"); jid != "" {
		if c.bare, why = r.person(jid); why != nil {
			return c, why
		}
		if c.bare.Local() == "" && to > None {
			return c, &errNotAddress // a whole domain can only be banned
		}
		if nick != "" && to >= Member {
			if _, err := nickKey(nick); err != nil || len(nick) > 1023 {
				return c, &errBadNick
			}
			c.nick = nick
		}
		return c, nil
	}
	o := r.occupantOf(nick)
	if o == nil || r.isFocus(o) {
		return c, &errNoOccupant
	}
	c.bare = o.bare
	return c, nil
}

func (r *room) castItem(e wire.Elem) (c recast, why *refusal) {
	to, ok := roleOf(e.AttrString("role"))
	if !ok {
		return c, &errBadRequest
	}
	nick := e.AttrString("nick")
	if nick == "" {
		return c, &errBadRequest
	}
	o := r.occupantOf(nick)
	if o == nil {
		return c, &errNoOccupant
	}
	return recast{o, to, reasonIn(e, NSAdmin)}, nil
}

// lists answers with who has an affiliation (§9.2, §9.5, §10.5, §10.8) or a role (§8.5, §9.8).
func (r *room) lists(in *input, fx *effects) {
	item := in.packet.Elem().First().Child("item", NSAdmin)
	if !item.Ok() {
		r.refuse(in, fx, errBadRequest)
		return
	}
	dst := append([]byte(nil), "<query xmlns='"+NSAdmin+"'>"...)
	if name := item.AttrString("affiliation"); name != "" {
		want, ok := affiliationOf(name)
		if !ok || want == None {
			r.refuse(in, fx, errBadRequest)
			return
		}
		if mine := r.affiliation(in.from.Bare()); mine < Admin || mine < want {
			r.refuse(in, fx, errForbidden)
			return
		}
		var all []wire.Addr
		for bare, s := range r.standings {
			if s.affiliation == want {
				all = append(all, bare)
			}
		}
		slices.SortFunc(all, func(a, b wire.Addr) int { return strings.Compare(string(a), string(b)) })
		for _, bare := range all {
			dst = r.rankRow(dst, bare, r.standings[bare])
		}
		fx.send(in.from, in.packet.Result(in.to, append(dst, "</query>"...)))
		return
	}
	want, ok := roleOf(item.AttrString("role"))
	if !ok || want == NoRole {
		r.refuse(in, fx, errBadRequest)
		return
	}
	s := r.byAddr[in.from]
	if s == nil || s.occupant.role != Moderator || want == Moderator && s.occupant.affiliation < Admin {
		r.refuse(in, fx, errForbidden)
		return
	}
	for _, o := range r.occupants {
		if o.role == want && !r.isFocus(o) {
			dst = r.roleItem(dst, o, r.view(s, o))
		}
	}
	fx.send(in.from, in.packet.Result(in.to, append(dst, "</query>"...)))
}

func (r *room) rankRow(dst []byte, bare wire.Addr, s standing) []byte {
	dst = append(dst, "<item affiliation='"+s.affiliation.String()+"'"...)
	dst = wire.AppendAttr(dst, "jid", string(bare))
	if s.nick != "" {
		dst = wire.AppendAttr(dst, "nick", s.nick)
	}
	if s.reason == "" {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	return append(wire.AppendElem(dst, "reason", s.reason), "</item>"...)
}
