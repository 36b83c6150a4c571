package muc

import (
	"errors"
	"strings"
	"unicode"

	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"

	"parley/xmpp/wire"
)

// focusNick belongs to the conference focus: clients take Jingle from it for the bridge's. Nobody else may look like it.
const focusNick = "focus"

var errInvisible = errors.New("muc: invisible nickname")

// nickKey returns what two nicknames must not share in a room: the Nickname profile (RFC 8266 §2) folds case, width and
// spaces. XEP-0045 §7.2.8 leaves it to the service how conflicts are determined.
func nickKey(nick string) (string, error) {
	if plainNick(nick) {
		return strings.ToLower(nick), nil
	}
	key, err := precis.Nickname.CompareKey(nick)
	if err != nil {
		return "", err
	}
	if skeleton(key) == "" {
		return "", errInvisible
	}
	return key, nil
}

// plainNick reports a nickname that follows the rule of conferences, ^[A-Za-z0-9][A-Za-z0-9_]*$.
func plainNick(nick string) bool {
	for i := range len(nick) {
		c := nick[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' && i > 0) {
			return false
		}
	}
	return nick != ""
}

// skeleton returns what a nickname looks like: two nicknames with the same skeleton may be taken for one another
// (hardening.md HM10). It is the idea of UTS #39 with a short table: Cyrillic, Greek and the digits that read as Latin.
func skeleton(nick string) string {
	if plainNick(nick) {
		return confusables.Replace(strings.ToLower(nick))
	}
	visible := func(c rune) rune {
		if unicode.IsSpace(c) || unicode.In(c, unicode.Mn, unicode.Me, unicode.Cf, unicode.Cc) || c == '_' || c == '-' || c == '.' {
			return -1
		}
		return unicode.ToLower(c)
	}
	return confusables.Replace(strings.Map(visible, norm.NFKD.String(nick)))
}

var confusables = strings.NewReplacer(
	"0", "o", "1", "l", "3", "e", "5", "s", "|", "l", "i", "l", "rn", "m", "vv", "w", "_", "",
	"а", "a", "в", "b", "с", "c", "ԁ", "d", "е", "e", "һ", "h", "і", "l", "ј", "j", "к", "k", "ӏ", "l", "м", "m", "н", "h",
	"о", "o", "р", "p", "ԛ", "q", "г", "r", "ѕ", "s", "т", "t", "ѵ", "v", "ԝ", "w", "х", "x", "у", "y", "з", "e",
	"α", "a", "β", "b", "ϲ", "c", "ε", "e", "η", "n", "ι", "l", "κ", "k", "μ", "u", "ν", "v", "ο", "o", "ρ", "p", "σ", "o",
	"τ", "t", "υ", "u", "χ", "x", "γ", "y", "ω", "w", "ı", "l", "ł", "l", "ø", "o", "ɑ", "a", "ɡ", "g",
)

var focusSkeleton = skeleton(focusNick)

// checkNick says why a person may not have a nickname: it belongs to the service, is reserved for somebody else
// (XEP-0045 §7.2.8), or looks like a moderator's.
func (r *room) checkNick(nick string, bare wire.Addr, jitsi bool) (key, looks string, why *refusal) {
	key, err := nickKey(nick)
	if err != nil {
		return "", "", &errBadNick
	}
	looks = skeleton(nick)
	if looks == focusSkeleton {
		return "", "", &errNickReserved
	}
	if jitsi && !plainNick(nick) {
		return "", "", &errNickRule
	}
	if owner := r.reserved[key]; owner != "" && owner != bare {
		return "", "", &errConflict
	}
	for _, o := range r.occupants {
		if o.role == Moderator && o.bare != bare && o.skeleton == looks {
			return "", "", &errConflict
		}
	}
	return key, looks, nil
}

// rename gives the occupant a new nickname (XEP-0045 §7.6). All sessions of the occupant follow: the person is renamed,
// not the device.
func (r *room) rename(s *session, in *input, fx *effects) {
	o := s.occupant
	nick := in.to.Resource()
	if s.jitsi {
		r.refuse(in, fx, errNickFixed)
		return
	}
	key, looks, why := r.checkNick(nick, o.bare, false)
	if why == nil && r.byNick[key] != nil && r.byNick[key] != o {
		why = &errConflict
	}
	if why == nil && !o.renames.Allow(in.now, 1) {
		why = &errNickRate
	}
	if why != nil {
		r.refuse(in, fx, *why)
		return
	}
	r.reveal(o, fx)
	r.withdraw(o, &notice{nick: nick, role: o.role, status: []string{"303"}}, fx)
	old := o.nick
	delete(r.byNick, o.key)
	o.nick, o.key, o.skeleton, o.addr = nick, key, looks, r.addr+"/"+wire.Addr(nick)
	r.byNick[key] = o
	s.keep(in.packet)
	r.notes.session(s)
	o.shown = s
	r.changed(o)
	r.announce(o, nil, fx)
	fx.emit(OccupantRenamed{Occupant: r.portrait(o), Old: old})
}
