package muc

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"parley/internal/store"
	"parley/xmpp/form"
	"parley/xmpp/wire"
)

// Fields of the configuration form (XEP-0045 §15.5.4 and its registry entry).
const (
	cfgName       = "muc#roomconfig_roomname"
	cfgDesc       = "muc#roomconfig_roomdesc"
	cfgLang       = "muc#roomconfig_lang"
	cfgPersistent = "muc#roomconfig_persistentroom"
	cfgPublic     = "muc#roomconfig_publicroom"
	cfgModerated  = "muc#roomconfig_moderatedroom"
	cfgMembers    = "muc#roomconfig_membersonly"
	cfgProtected  = "muc#roomconfig_passwordprotectedroom"
	cfgSecret     = "muc#roomconfig_roomsecret"
	cfgMaxUsers   = "muc#roomconfig_maxusers"
	cfgWhois      = "muc#roomconfig_whois"
	cfgSubject    = "muc#roomconfig_changesubject"
	cfgInvites    = "muc#roomconfig_allowinvites"
	cfgPM         = "muc#roomconfig_allowpm"
	cfgBroadcast  = "muc#roomconfig_presencebroadcast"
	cfgHistory    = "muc#maxhistoryfetch"
	cfgAdmins     = "muc#roomconfig_roomadmins"
	cfgOwners     = "muc#roomconfig_roomowners"
	cfgEnlist     = "{" + NSParley + "}registration"
	cfgReal       = "{" + NSParley + "}realaddresses"
)

var whois = []string{"moderators", "anyone"}

// configuration answers with the form (XEP-0045 §10.1.3, §10.2).
func (r *room) configuration(in *input, fx *effects) {
	if r.affiliation(in.from.Bare()) != Owner {
		r.refuse(in, fx, errForbidden)
		return
	}
	c := &r.settings
	f := form.New([]byte("<query xmlns='"+NSOwner+"'>"), "form", NSConfig)
	f.Words("title", "Configuration of "+string(r.addr))
	f.Field(cfgName, "text-single", "Name", c.Name)
	f.Field(cfgDesc, "text-single", "Description", c.Description)
	f.Field(cfgLang, "text-single", "Language", c.Lang)
	f.Flag(cfgPersistent, "The room stays when everybody has left", c.Persistent)
	f.Flag(cfgPublic, "The room is listed", c.Public)
	f.Flag(cfgModerated, "Newcomers need to be given voice", c.Moderated)
	f.Flag(cfgMembers, "Only members may enter", c.MembersOnly)
	f.Flag(cfgProtected, "A password is needed to enter", c.Password != "")
	f.Field(cfgSecret, "text-private", "Password", c.Password)
	f.Field(cfgMaxUsers, "text-single", "Greatest number of occupants, 0 for that of the service", strconv.Itoa(c.MaxUsers))
	f.Choice(cfgWhois, "list-single", "Who sees the addresses of occupants", []string{whoSees(c.Anyone)}, whois)
	f.Flag(cfgReal, "The addresses that everybody sees are the real ones", c.Real)
	f.Flag(cfgSubject, "Occupants may change the subject", c.ChangeSubject)
	f.Flag(cfgInvites, "Members may invite to a room for members only", c.AllowInvites)
	f.Flag(cfgEnlist, "People may ask to become members", c.Enlist)
	f.Field(cfgOwners, "jid-multi", "Owners", r.ranked(Owner)...)
	f.Field(cfgAdmins, "jid-multi", "Admins", r.ranked(Admin)...)
	f.Choice(cfgPM, "list-single", "Who may send private messages", []string{whoms[c.AllowPM]}, whoms[:])
	var shown []string
	for role := Visitor; role <= Moderator; role++ {
		if c.Broadcast&(1<<role) != 0 {
			shown = append(shown, role.String())
		}
	}
	f.Choice(cfgBroadcast, "list-multi", "Roles whose presence the others see", shown, roles[Visitor:])
	f.Field(cfgHistory, "text-single", "Messages that a newcomer is given", strconv.Itoa(c.History))
	f.Field(fieldMeeting, "text-single", "Id of the meeting", r.field(fieldMeeting))
	fx.send(in.from, in.packet.Result(in.to, append(f.End(), "</query>"...)))
}

func whoSees(anyone bool) string {
	if anyone {
		return whois[1]
	}
	return whois[0]
}

// own handles what an owner asks for: another configuration, or the end of the room (§10.1, §10.2, §10.9).
func (r *room) own(in *input, fx *effects) (kept bool) {
	if r.affiliation(in.from.Bare()) != Owner {
		r.refuse(in, fx, errForbidden)
		return false
	}
	query := in.packet.Elem().First()
	if d := query.Child("destroy", NSOwner); d.Ok() {
		return r.destroy(in, d, fx)
	}
	if x := query.Child("x", NSData); x.Ok() {
		switch x.AttrString("type") {
		case "cancel":
			return r.cancel(in, fx)
		case "submit":
			return r.configure(in, x, fx)
		}
	}
	r.refuse(in, fx, errBadRequest)
	return false
}

// cancel gives up a first configuration, and the room with it (§10.1.3, example 162); a later one changes nothing.
func (r *room) cancel(in *input, fx *effects) (kept bool) {
	fx.send(in.from, in.packet.Result(in.to, nil))
	if r.phase == locked {
		r.closeDown(&notice{destroy: []byte("<destroy/>")}, LeftClosed, fx)
		r.end(fx, true)
	}
	return false
}

// configure sets the room as the form says. What the form leaves out stays (jitsi.md §6.3).
func (r *room) configure(in *input, x wire.Elem, fx *effects) (kept bool) {
	if r.postponed(in, fx) {
		return true
	}
	a, ok := form.Read(x, NSConfig)
	if !ok {
		r.refuse(in, fx, errBadRequest)
		return false
	}
	next := r.settings
	if text := next.apply(a, r.limits); text != "" {
		r.refuse(in, fx, errConfig.about(text))
		return false
	}
	if next.Persistent && !r.stored && in.guest {
		r.refuse(in, fx, errNotAllowed.about("guests make no lasting rooms"))
		return false
	}
	changes, why := r.rerankings(a)
	if why != nil {
		r.refuse(in, fx, *why)
		return false
	}
	owner := in.from.Bare()
	change, durable := store.Change{}, r.stored
	lent := false // the owner is one by token until now
	switch {
	case next.Persistent && !r.stored:
		change, durable = r.save(next), true
		if lent = r.standings[owner].affiliation != Owner; lent {
			change.Affiliations = append(change.Affiliations, store.Affiliation{Addr: string(owner), Name: Owner.String()})
		}
	case r.stored && !next.Persistent:
		change.Delete = true
	case r.stored:
		change.Put = r.row(next)
	}
	if !change.Delete {
		for _, c := range changes {
			change.Affiliations = append(change.Affiliations, store.Affiliation{
				Addr: string(c.bare), Name: c.to.String(), Nick: c.nick, Reason: c.reason,
			})
		}
	}
	by := r.nickOf(in.from)
	return r.submit(&op{in: in, alone: true, finish: func(why *refusal, now *input, fx *effects) {
		if why != nil {
			if !r.stored {
				r.unsave()
			}
			r.refuse(in, fx, *why)
			return
		}
		if r.stored != next.Persistent {
			r.stored = next.Persistent
			r.notes.again()
		}
		if lent {
			r.keep(owner, standing{affiliation: Owner})
		}
		fx.send(in.from, in.packet.Result(in.to, nil))
		for _, c := range changes {
			r.keep(c.bare, standing{c.to, c.nick, c.reason})
			if !r.enforce(c.bare, &notice{actor: by}, fx) {
				r.proclaim(c, fx)
			}
		}
		r.reset(next, fx)
		r.catchUp(now, fx)
		if len(changes) > 0 {
			r.succession(now, fx)
		}
	}}, in, fx, change, durable)
}

// ranked returns the addresses of an affiliation, in order.
func (r *room) ranked(a Affiliation) []string {
	var list []string
	for bare, s := range r.standings {
		if s.affiliation == a {
			list = append(list, string(bare))
		}
	}
	slices.Sort(list)
	return list
}

// rerankings are the changes of owners and admins that a form asks for, which names all of them (§10.2). An owner who is named no
// more becomes an admin, an admin a member (examples 167 and 169); with both lists given, who is on neither becomes a member.
func (r *room) rerankings(a form.Answers) ([]rerank, *refusal) {
	named := make(map[wire.Addr]Affiliation)
	given := make(map[Affiliation]bool)
	for _, list := range []struct {
		field string
		to    Affiliation
	}{{cfgAdmins, Admin}, {cfgOwners, Owner}} {
		texts, ok := a[list.field]
		given[list.to] = ok
		for _, text := range texts {
			if strings.TrimSpace(text) == "" {
				continue
			}
			bare, why := r.person(text)
			if why == nil && bare.Local() == "" {
				why = &errNotAddress
			}
			if why != nil {
				return nil, why
			}
			named[bare] = list.to // the owners come last
		}
	}
	var changes []rerank
	size := len(r.standings)
	for bare, s := range r.standings {
		to := Member
		_, is := named[bare]
		switch {
		case is, s.affiliation < Admin, !given[s.affiliation]:
			continue
		case s.affiliation == Owner && !given[Admin]:
			to = Admin
		}
		changes = append(changes, rerank{bare, to, s.nick, s.reason})
	}
	for bare, to := range named {
		s, known := r.standings[bare]
		if known && s.affiliation == to || s.affiliation == Owner && known && !given[Owner] {
			continue
		}
		if !known {
			size++
		}
		changes = append(changes, rerank{bare, to, s.nick, s.reason})
	}
	slices.SortFunc(changes, func(x, y rerank) int { return strings.Compare(string(x.bare), string(y.bare)) })
	switch {
	case r.orphans(changes):
		return nil, &errOwnRank
	case size > r.limits.Affiliations:
		return nil, &errTooLong
	}
	return changes, nil
}

// unsave takes back that the history is in the store.
func (r *room) unsave() {
	for i := range r.history {
		r.history[i].saved = false
	}
}

// catchUp stores what was said while the room was becoming persistent.
func (r *room) catchUp(now *input, fx *effects) {
	if !r.stored {
		r.unsave()
		return
	}
	if list := r.unsaved(); len(list) > 0 {
		r.submit(&op{finish: func(*refusal, *input, *effects) {}}, now, fx, store.Change{Messages: list, Keep: r.limits.Keep}, true)
	}
}

// reset puts new settings into force.
func (r *room) reset(next settings, fx *effects) {
	r.flush(fx) // what was put off was seen under the old ones
	was := r.settings
	r.settings = next
	r.phase, r.unlockAt = open, time.Time{}
	r.notes.head = true
	if next.MembersOnly && !was.MembersOnly {
		for _, o := range slices.Clone(r.occupants) {
			if o.affiliation < Member && !r.isFocus(o) {
				r.remove(o, &notice{status: []string{"322"}}, LeftRank, false, fx) // §10.2.1?
			}
		}
	}
	if next.Broadcast != was.Broadcast {
		for _, o := range r.occupants {
			if r.shows(o.role) != o.listed {
				r.changed(o)
				r.announce(o, nil, fx)
			}
		}
	}
	var codes []string
	switch {
	case next.nonAnonymous() && !was.nonAnonymous():
		codes = append(codes, "172")
	case was.nonAnonymous() && !next.nonAnonymous():
		codes = append(codes, "173")
	}
	if next.nonAnonymous() != was.nonAnonymous() || next.Anyone != was.Anyone {
		for _, o := range r.occupants {
			o.tails = [views]wire.Stanza{}
		}
	}
	if next != was && (len(codes) == 0 || !was.sameButPrivacy(next)) {
		codes = append(codes, "104")
	}
	if len(codes) > 0 {
		r.broadcast(r.statusMessage(codes...), fx) // §10.2.1
	}
	fx.emit(RoomChanged{r.addr, next.MembersOnly, next.Password != ""})
}

// sameButPrivacy reports that two settings differ only in who sees addresses.
func (c settings) sameButPrivacy(other settings) bool {
	c.Anyone, c.Real = other.Anyone, other.Real
	return c == other
}
