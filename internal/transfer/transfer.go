// Package transfer moves people and rooms of other servers into the store. Its values are what a server has, whatever its
// format; the packages below it read formats. What is here already stays as it is: an account that can log in, and a room
// that is stored, are left alone, so that a second run changes nothing, and one that was broken off is taken up again.
package transfer

import (
	"time"

	"parley/internal/store"
)

// Dump is what another server has. Addresses are as it wrote them.
type Dump struct {
	Accounts []Account
	Rooms    []Room
	Skipped  []string // what could not be read, and why, one line each
}

// Account is somebody with all that they have there.
type Account struct {
	Addr        string
	Password    string             // empty: only what follows is known
	Credentials []store.Credential // empty: nobody can log in
	Created     time.Time          // zero: not known
	Contacts    []store.Contact
	Blocked     []string
	Private     []Element // XEP-0049
	Card        []byte    // XEP-0054, nil if there is none
	Nodes       []Node    // XEP-0163
	Offline     []store.OfflineMessage
}

// Element is an XML element by its name.
type Element struct {
	Space, Local string
	XML          []byte
}

// Node is a publish-subscribe node of an account.
type Node struct {
	Name   string
	Access string // access model of XEP-0060; empty: the default of the node
	Items  []store.Item
}

// Room is a persistent room.
type Room struct {
	Addr                                   string
	Name, Description, Lang, Password      string
	Public, Moderated, MembersOnly, Anyone bool // Anyone: everybody sees addresses
	ChangeSubject, AllowInvites            bool
	MaxUsers                               int // 0: no limit of its own
	Subject, SubjectNick                   string
	SubjectAt                              time.Time
	Affiliations                           []store.Affiliation
}

// Report is what was done, or would have been.
type Report struct {
	Accounts, Contacts, Blocked, Private, Nodes, Offline, Rooms, Affiliations int
	Kept                                                                      int      // accounts and rooms that were there already
	Skipped                                                                   []string // what was left out, and why
}

// Changed reports that anything was, or would have been, written.
func (r *Report) Changed() bool {
	return r.Accounts+r.Contacts+r.Blocked+r.Private+r.Nodes+r.Offline+r.Rooms > 0
}
