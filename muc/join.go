package muc

import (
	"crypto/subtle"
	"errors"
	"strings"

	"parley/internal/limit"
	"parley/internal/token"
	"parley/xmpp/wire"
)

// join lets a session in, and creates the room for it where there is none (XEP-0045 §7.2, §10.1). It reports that the
// session is in the room now.
func (r *room) join(in *input, x wire.Elem, fx *effects) bool {
	bare := in.from.Bare()
	_, jitsi := r.jitsi[in.from]
	nick := in.to.Resource()
	created := false
	if r.phase == absent {
		if why := r.mayCreate(in); why != nil {
			fx.guessed = why != &errDraining
			r.refuse(in, fx, *why)
			return false
		}
	} else if why := r.mayEnter(in, x); why != nil {
		fx.guessed = why == &errLocked
		r.refuse(in, fx, *why)
		return false
	}
	key, looks, why := r.checkNick(nick, bare, jitsi)
	o := r.byNick[key]
	if why == nil && o != nil && (o.bare != bare || in.guest || jitsi || o.nick != nick) {
		why = &errConflict
	}
	if why != nil {
		r.refuse(in, fx, *why)
		return false
	}
	if r.phase == absent {
		r.create(in, bare, fx)
		created = true
	}
	r.lend(in, bare)

	s := &session{addr: in.from, jitsi: jitsi, claims: in.claims, number: r.notes.number()}
	s.keep(in.packet)
	s.bot = in.packet.Elem().Child("bot", "").Ok()
	r.promote(bare, in.guest, s.bot)
	first := o == nil
	if first {
		o = &occupant{
			nick: nick, key: key, skeleton: looks, addr: in.to, bare: bare, id: r.occupantID(bare),
			affiliation: r.affiliation(bare), guest: in.guest, remote: in.remote, joined: in.now, renames: limit.NewBucket(r.limits.Rename),
		}
		o.role = r.settleRole(o.affiliation)
		r.add(o)
	}
	r.attach(o, s)
	r.changed(o)
	var codes []string
	if created {
		codes = append(codes, "201")
	}
	r.synchronise(s, x, in, codes, fx)
	o.listed = o.listed || r.shows(o.role) // noted by changed
	if o.listed {
		// toSelf has been done by synchronise, and s.since says so.
		if len(r.sessions) > r.limits.CoalesceAbove {
			r.announceLater(o, in)
		} else {
			r.announce(o, nil, fx)
		}
	}
	if r.focus != nil {
		r.focus.met = true
		r.notes.occupant(r.focus.occupant)
	}
	if first {
		fx.emit(OccupantJoined{r.portrait(o)})
	} else {
		fx.emit(OccupantChanged{r.portrait(o)})
	}
	return true
}

// mayCreate says why the sender may not create the room (XEP-0045 §10.1.1).
func (r *room) mayCreate(in *input) *refusal {
	if why := r.admits(in); why != nil {
		return why
	}
	if !r.limits.Create.allows(in.guest || in.remote, in.claims) {
		return &errMayNotCreate
	}
	if !in.quota {
		return &errTooManyMade
	}
	return r.rests(in)
}

// mayEnter says why the sender may not enter the room (XEP-0045 §7.2.5–§7.2.10).
func (r *room) mayEnter(in *input, x wire.Elem) *refusal {
	affiliation := r.affiliation(in.from.Bare())
	if affiliation == Outcast {
		return &errBanned
	}
	if why := r.admits(in); why != nil {
		return why
	}
	if r.phase == locked && affiliation != Owner {
		return &errLocked
	}
	if why := r.rests(in); why != nil {
		return why
	}
	if r.settings.MembersOnly && affiliation < Member && !lends(in.claims) {
		why := errMembersOnly
		if lobby := r.field(fieldLobby); lobby != "" {
			why = why.with("<lobbyroom xmlns='" + NSJitsi + "'>" + string(wire.AppendEscaped(nil, lobby)) + "</lobbyroom>")
		}
		return &why
	}
	if want := r.settings.Password; want != "" {
		got := x.Child("password", NSMUC)
		if !got.Ok() || subtle.ConstantTimeCompare([]byte(got.Text()), []byte(want)) != 1 {
			return &errPassword
		}
	}
	if r.isFull(affiliation) {
		return &errFull
	}
	return nil
}

// isFull reports that there is no place for who has the affiliation.
func (r *room) isFull(a Affiliation) bool {
	most := r.limits.Occupants
	if r.settings.MaxUsers > 0 {
		most = min(most, r.settings.MaxUsers)
	}
	if a >= Admin {
		most += spare
	}
	return len(r.sessions) >= most
}

// spare is how many admins and owners fit into a full room (XEP-0045 §7.2.9).
const spare = 10

// admits checks the sender's token against the room (hardening.md HP4, HP5).
func (r *room) admits(in *input) *refusal {
	if in.claims == nil {
		return nil
	}
	name, tenant := r.addr.Local(), ""
	if rest, ok := strings.CutPrefix(name, "["); ok {
		if t, n, ok := strings.Cut(rest, "]"); ok {
			name, tenant = n, t
		}
	}
	err := in.claims.Allows(name, tenant)
	if err == nil && r.limits.Revoked != nil && r.limits.Revoked(in.claims) {
		why := errTokenRevoked.with("<code xmlns='" + NSParley + "'>" + token.CodeReplay + "</code>")
		return &why
	}
	if err == nil {
		return nil
	}
	why := errNotAllowed
	why.event = token.CodeScope
	var refused *token.Error
	if errors.As(err, &refused) {
		why.Text = refused.Text
		why = why.with("<code xmlns='" + NSParley + "'>" + string(wire.AppendEscaped(nil, refused.Code)) + "</code>")
	}
	return &why
}

// lends reports that the token brings an affiliation with it.
func lends(c *token.Claims) bool { return c != nil && c.Moderator }

// lend makes who comes with a moderator's token owner for the visit. A token does not lift a ban.
func (r *room) lend(in *input, bare wire.Addr) {
	if !lends(in.claims) || r.affiliation(bare) == Owner {
		return
	}
	if r.lent == nil {
		r.lent = make(map[wire.Addr]bool)
	}
	r.lent[bare] = true
	r.notes.address(&r.notes.lent, bare)
}

// create brings the room into being with the default configuration and the sender as its owner (XEP-0045 §10.1.1).
func (r *room) create(in *input, owner wire.Addr, fx *effects) {
	r.settings = r.limits.Default
	r.secret = in.secret()
	r.created = in.now
	r.phase = open
	if owner != "" {
		r.creator = owner
		r.keep(owner, standing{affiliation: Owner})
		if !r.limits.Unlocked {
			r.phase = locked
			r.unlockAt = in.now.Add(r.limits.Unlock)
		}
	}
	r.maker = in.from.Bare()
	fx.emit(RoomCreated{Room: r.addr, By: owner, Maker: r.maker})
}

// synchronise sends a session everything that it needs to know on entering, in the order of XEP-0045 §7.1: the others,
// itself, the history, the subject.
func (r *room) synchronise(s *session, x wire.Elem, in *input, codes []string, fx *effects) {
	for _, o := range r.occupants {
		if o != s.occupant && o.listed {
			fx.send(s.addr, r.seen(o, r.view(s, o)))
		}
	}
	if r.settings.nonAnonymous() {
		codes = append(codes, "100")
	}
	fx.send(s.addr, r.render(s.occupant, viewReal, true, &notice{self: codes}))
	r.clock++
	s.since = r.clock
	r.replay(s, x, in, fx)
	fx.send(s.addr, r.subject.stanza(r.addr))
	r.petitions(s, in.now, fx)
}
