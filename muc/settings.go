package muc

import (
	"encoding/json"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// settings is how an owner has set a room (XEP-0045 §10.2).
type settings struct {
	Name          string  `json:"name,omitempty"`
	Description   string  `json:"description,omitempty"`
	Lang          string  `json:"lang,omitempty"`
	Public        bool    `json:"public,omitempty"`
	Persistent    bool    `json:"persistent,omitempty"`
	Moderated     bool    `json:"moderated,omitempty"`
	MembersOnly   bool    `json:"membersOnly,omitempty"`
	Password      string  `json:"password,omitempty"` // empty: none; in clear, as members are told it in invitations
	Anyone        bool    `json:"anyone,omitempty"`   // whois: anyone, not only moderators, sees addresses ...
	Real          bool    `json:"real,omitempty"`     // ... and they are the real ones
	ChangeSubject bool    `json:"changeSubject,omitempty"`
	AllowInvites  bool    `json:"allowInvites,omitempty"` // members of a members-only room may invite
	Enlist        bool    `json:"enlist,omitempty"`       // people may ask to become members
	AllowPM       whom    `json:"allowPM"`
	MaxUsers      int     `json:"maxUsers,omitempty"` // 0: the service's limit
	Broadcast     roleSet `json:"broadcast"`          // roles whose presence the others see
	History       int     `json:"history"`            // messages that a newcomer is given
}

// roleSet has a bit for each role.
type roleSet uint8

const everyRole = roleSet(1<<Visitor | 1<<Participant | 1<<Moderator)

// whom is who may do something.
type whom uint8

const (
	anyone whom = iota
	participants
	moderators
	nobody
)

var whoms = [...]string{"anyone", "participants", "moderators", "none"}

func (w whom) allows(role Role) bool {
	switch w {
	case anyone:
		return true
	case participants:
		return role >= Participant
	case moderators:
		return role >= Moderator
	}
	return false
}

// nonAnonymous reports that everybody sees everybody's real address (XEP-0045 §7.2.3).
func (s *settings) nonAnonymous() bool { return s.Anyone && s.Real }

// kept is what the store keeps of a room in the room's own format: JSON, to which later versions may add.
type kept struct {
	Settings settings  `json:"settings"`
	Secret   []byte    `json:"secret"`
	Creator  wire.Addr `json:"creator,omitempty"`

	Applications map[wire.Addr]application `json:"applications,omitempty"`
}

// row returns the room as it is stored under the given settings.
func (r *room) row(s settings) *store.Room { return r.rowWith(s, r.applications) }

func (r *room) rowWith(s settings, wishes map[wire.Addr]application) *store.Room {
	config, err := json.Marshal(kept{s, r.secret, r.creator, wishes})
	if err != nil {
		panic(err) // of strings, numbers and flags
	}
	return &store.Room{
		Addr: string(r.addr), Config: config, Created: r.created,
		Subject: r.subject.message.Tail, SubjectAt: r.subject.at,
	}
}

// load makes the room what the store says that it is.
func (r *room) load(row store.Room, list []store.Affiliation, history []store.Message) error {
	var k kept
	if err := json.Unmarshal(row.Config, &k); err != nil {
		return err
	}
	r.phase, r.stored = open, true
	r.settings, r.secret, r.creator, r.created = k.Settings, k.Secret, k.Creator, row.Created
	r.applications = k.Applications
	if row.Subject != nil {
		r.subject.message = wire.Stanza{Kind: wire.Message, Tail: row.Subject}
		r.subject.at = row.SubjectAt
		r.subject.text = textOf(row.Subject)
	}
	for _, a := range list {
		if affiliation, ok := affiliationOf(a.Name); ok {
			r.keep(wire.Addr(a.Addr), standing{affiliation, a.Nick, a.Reason})
		}
	}
	for _, m := range history {
		r.remember(asStored(m))
	}
	return nil
}

// textOf returns the subject that a stored message sets.
func textOf(tail []byte) string {
	return wire.ParseElem(append([]byte("<message"), tail...)).Child("subject", "").Text()
}

// save returns the change that stores the whole room under the given settings: when it becomes persistent.
func (r *room) save(s settings) store.Change {
	c := store.Change{Put: r.row(s), Keep: r.limits.Keep}
	for addr, s := range r.standings {
		c.Affiliations = append(c.Affiliations, store.Affiliation{
			Addr: string(addr), Name: s.affiliation.String(), Nick: s.nick, Reason: s.reason,
		})
	}
	c.Messages = r.unsaved()
	return c
}

// unsaved returns the history that is not in the store, and counts on it to get there.
func (r *room) unsaved() []store.Message {
	var list []store.Message
	for i := range r.history {
		if s := &r.history[i]; !s.saved {
			s.saved = true
			list = append(list, s.record())
		}
	}
	return list
}

// defaults are the settings of a new room.
func defaults(history int) settings {
	return settings{Real: true, Broadcast: everyRole, History: history}
}
