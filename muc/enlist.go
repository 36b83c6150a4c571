package muc

import (
	"maps"
	"slices"
	"time"

	"parley/internal/store"
	"parley/xmpp/form"
	"parley/xmpp/wire"
)

// Fields of the form of who wants to become a member (XEP-0045 §15.5.1), and of the form that asks the admins.
const (
	regNick  = "muc#register_roomnick"
	regAllow = "muc#register_allow"
	regJID   = "{" + NSParley + "}jid"
)

// particulars are what applicants may say of themselves, with their labels.
var particulars = [...][2]string{
	{"muc#register_first", "Given name"}, {"muc#register_last", "Family name"},
	{"muc#register_email", "Email address"}, {"muc#register_faqentry", "What you want to say"},
}

// Bounds of applications.
const (
	mostApplications = 20
	longestWord      = 512 // bytes of one particular
	appliedFor       = 14 * 24 * time.Hour
)

// application is the wish of somebody to become a member. It is kept with the room's row.
type application struct {
	Nick  string            `json:"nick"`
	Words map[string]string `json:"words,omitempty"` // by field
	At    time.Time         `json:"at"`
}

// openApplications returns the applications that still wait for an answer.
func (r *room) openApplications(now time.Time) map[wire.Addr]application {
	open := make(map[wire.Addr]application)
	for bare, a := range r.applications {
		if now.Sub(a.At) < appliedFor && r.affiliation(bare) == None {
			open[bare] = a
		}
	}
	return open
}

// enlist takes an application for membership and asks the admins who are here (XEP-0045 §7.10, §9.9).
func (r *room) enlist(in *input, a form.Answers, fx *effects) (kept bool) {
	bare := in.from.Bare()
	wish := application{Nick: a.One(regNick), At: in.now}
	for _, p := range particulars {
		word := ""
		a.Text(p[0], &word)
		if len(word) > longestWord || !storable(word) {
			r.refuse(in, fx, errConfig.about("a text is too long"))
			return false
		}
		if word != "" {
			if wish.Words == nil {
				wish.Words = make(map[string]string)
			}
			wish.Words[p[0]] = word
		}
	}
	next := r.openApplications(in.now)
	key, looks, why := r.checkNick(wish.Nick, bare, false)
	switch o := r.byNick[key]; {
	case why != nil:
	case wish.Nick == "" || len(wish.Nick) > 1023:
		why = &errBadRequest
	case o != nil && o.bare != bare || looks == "":
		why = &errConflict
	default:
		for other, w := range next {
			if k, err := nickKey(w.Nick); other != bare && err == nil && k == key {
				why = &errConflict
			}
		}
	}
	if _, again := next[bare]; why == nil && !again && len(next) >= mostApplications {
		why = &errTooLong
	}
	if why == nil && !r.invites.Allow(in.now, 1) {
		why = &errInviteRate
	}
	if why != nil {
		r.refuse(in, fx, *why)
		return false
	}
	next[bare] = wish
	return r.commitAlone(in, fx, store.Change{Put: r.rowWith(r.settings, next)}, func(why *refusal, _ *input, fx *effects) {
		if why != nil {
			r.refuse(in, fx, *why)
			return
		}
		r.applications = next
		fx.send(in.from, in.packet.Result(in.to, nil))
		for _, s := range r.sessions {
			if s.occupant.affiliation >= Admin {
				fx.send(s.addr, r.petition(bare, wish))
			}
		}
	})
}

// petition asks an admin about an application (§9.9, example 151).
func (r *room) petition(bare wire.Addr, wish application) wire.Stanza {
	f := form.New(append(wire.AppendAttr(nil, "from", string(r.addr)), '>'), "form", NSEnlist)
	f.Words("title", "Somebody wants to become a member of "+string(r.addr))
	f.Words("instructions", "Submit this form to answer the request.")
	f.Field(regJID, "jid-single", "Address", string(bare))
	f.Field(regNick, "text-single", "Nickname", wish.Nick)
	for _, p := range particulars {
		if word := wish.Words[p[0]]; word != "" {
			f.Field(p[0], "text-single", p[1], word)
		}
	}
	f.Flag(regAllow, "Let this person become a member?", false)
	return wire.Stanza{Kind: wire.Message, Tail: append(f.End(), messageEnd...)}
}

// petitions asks an admin who enters about all that waits.
func (r *room) petitions(s *session, now time.Time, fx *effects) {
	if s.occupant.affiliation < Admin || len(r.applications) == 0 {
		return
	}
	open := r.openApplications(now)
	for _, bare := range slices.Sorted(maps.Keys(open)) {
		fx.send(s.addr, r.petition(bare, open[bare]))
	}
}

// decide is an admin's answer.
func (r *room) decide(in *input, x wire.Elem, fx *effects) (kept bool) {
	actor := r.affiliation(in.from.Bare())
	allow := false
	a, ok := form.Read(x, NSEnlist)
	switch {
	case actor < Admin:
		r.refuse(in, fx, errForbidden)
		return false
	case r.postponed(in, fx):
		return true
	case !ok || x.AttrString("type") == "cancel": // not answered yet
		return false
	case !a.Flag(regAllow, &allow):
		r.refuse(in, fx, errBadRequest)
		return false
	}
	next := r.openApplications(in.now)
	bare := r.applicant(a, next)
	wish, ok := next[bare]
	if !ok {
		r.refuse(in, fx, errNoApplication)
		return false
	}
	delete(next, bare)
	change := store.Change{Put: r.rowWith(r.settings, next)}
	if allow {
		if len(r.standings) >= r.limits.Affiliations {
			r.refuse(in, fx, errTooLong)
			return false
		}
		change.Affiliations = []store.Affiliation{{Addr: string(bare), Name: Member.String(), Nick: wish.Nick}}
	}
	by := r.nickOf(in.from)
	return r.commitAlone(in, fx, change, func(why *refusal, now *input, fx *effects) {
		if why != nil {
			r.refuse(in, fx, *why)
			return
		}
		r.applications = next
		if !allow {
			return
		}
		r.keep(bare, standing{affiliation: Member, nick: wish.Nick})
		if r.enforce(bare, &notice{actor: by}, fx) {
			return
		}
		r.proclaim(rerank{bare: bare, to: Member}, fx)
		r.expect(bare, now) // who has waited hears of it, and finds the way
		fx.send(bare, r.invitation(r.addr, wire.ParseElem([]byte("<invite xmlns='"+NSUser+"'><reason>You are a member now.</reason></invite>"))))
	})
}

// applicant returns whom an answer is about: by address, or, of clients that send back only what they know, by nickname.
func (r *room) applicant(a form.Answers, open map[wire.Addr]application) wire.Addr {
	if jid, err := wire.ParseAddr(a.One(regJID)); err == nil {
		return jid.Bare()
	}
	key, err := nickKey(a.One(regNick))
	if err != nil {
		return ""
	}
	for bare, wish := range open {
		if k, err := nickKey(wish.Nick); err == nil && k == key {
			return bare
		}
	}
	return ""
}

// recall takes an application back.
func (r *room) recall(in *input, fx *effects) (kept bool) {
	next := r.openApplications(in.now)
	delete(next, in.from.Bare())
	return r.commitAlone(in, fx, store.Change{Put: r.rowWith(r.settings, next)}, func(why *refusal, _ *input, fx *effects) {
		if why != nil {
			r.refuse(in, fx, *why)
			return
		}
		r.applications = next
		fx.send(in.from, in.packet.Result(in.to, nil))
	})
}
