package muc

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"time"

	"parley/internal/store"
	"parley/xmpp/wire"
)

// Imported is a persistent room of another server.
type Imported struct {
	Addr                                   wire.Addr
	Name, Description, Lang, Password      string
	Public, Moderated, MembersOnly, Anyone bool // Anyone: everybody sees real addresses (XEP-0045 §4.2, non-anonymous)
	ChangeSubject, AllowInvites            bool
	MaxUsers                               int // 0: the service's limit
	Subject, SubjectNick                   string
	SubjectAt                              time.Time
	Affiliations                           []store.Affiliation
}

// Change is what stores the room. Its epoch is the caller's to fill in.
func (i *Imported) Change() (store.Change, error) {
	if !i.Addr.IsBare() || i.Addr.Local() == "" {
		return store.Change{}, errors.New("muc: no address of a room")
	}
	s := defaults(DefaultLimits().History)
	s.Name, s.Description, s.Lang, s.Password = i.Name, i.Description, i.Lang, i.Password
	s.Public, s.Persistent, s.Moderated, s.MembersOnly, s.Anyone = i.Public, true, i.Moderated, i.MembersOnly, i.Anyone
	s.ChangeSubject, s.AllowInvites, s.MaxUsers = i.ChangeSubject, i.AllowInvites, max(i.MaxUsers, 0)
	k := kept{Settings: s, Secret: make([]byte, 32)}
	rand.Read(k.Secret)
	config, err := json.Marshal(k)
	if err != nil {
		return store.Change{}, err
	}
	row := &store.Room{Addr: string(i.Addr), Config: config, Created: time.Now()}
	if i.Subject != "" && len(i.Subject) <= longestSubject/2 {
		from := string(i.Addr)
		if occupant, err := wire.ParseAddr(from + "/" + i.SubjectNick); err == nil && i.SubjectNick != "" {
			from = string(occupant)
		}
		tail := append(wire.AppendAttr(nil, "from", from), " type='groupchat'>"...)
		row.Subject = append(wire.AppendElem(tail, "subject", i.Subject), "</message>"...)
		if row.SubjectAt = i.SubjectAt; row.SubjectAt.IsZero() {
			row.SubjectAt = row.Created
		}
	}
	return store.Change{Room: string(i.Addr), Put: row, Affiliations: i.Affiliations}, nil
}
