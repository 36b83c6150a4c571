// Package ejabberd reads what `ejabberdctl dump FILE` writes of a server that keeps its data in Mnesia, its default:
// accounts with plain passwords or keys of SCRAM, rosters, block lists, private XML, vCards, messages that wait, persistent
// rooms. Personal eventing and archives are not read.
package ejabberd

import (
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"parley/internal/store"
	"parley/internal/transfer"
)

// Read reads what belongs to a domain, and the rooms at the domains below it.
func Read(in io.Reader, domain string) (*transfer.Dump, error) {
	r := &reader{domain: domain, accounts: make(map[string]*transfer.Account), other: make(map[string]int)}
	err := terms(in, func(v any) error {
		if t, ok := v.(tuple); ok && len(t) > 1 {
			if name, ok := t[0].(atom); ok {
				r.record(name, t)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	dump := &transfer.Dump{Rooms: r.rooms, Skipped: r.skipped}
	for _, a := range r.accounts {
		if !r.real[a.Addr] {
			r.other["records of "+a.Addr+", who has no account"]++
			continue
		}
		slices.SortFunc(a.Contacts, func(x, y store.Contact) int { return strings.Compare(x.Addr, y.Addr) })
		dump.Accounts = append(dump.Accounts, *a)
	}
	for what, n := range r.other {
		dump.Skipped = append(dump.Skipped, fmt.Sprintf("%d %s", n, what))
	}
	slices.SortFunc(dump.Accounts, func(x, y transfer.Account) int { return strings.Compare(x.Addr, y.Addr) })
	slices.Sort(dump.Skipped)
	if len(dump.Accounts) == 0 {
		return nil, fmt.Errorf("the dump holds no account of %s: is it the right domain, and does that server keep its accounts in Mnesia?", domain)
	}
	return dump, nil
}

type reader struct {
	domain   string
	accounts map[string]*transfer.Account // by address
	real     map[string]bool              // those with a record of their own
	rooms    []transfer.Room
	skipped  []string
	other    map[string]int // what is not read, counted
}

func (r *reader) skip(format string, args ...any) {
	r.skipped = append(r.skipped, fmt.Sprintf(format, args...))
}

// account returns that of {User, Server}, nil if it is not of the domain.
func (r *reader) account(v any) *transfer.Account {
	us, _ := v.(tuple)
	user, server := text(us.at(0)), text(us.at(1))
	if user == "" || server != r.domain {
		return nil
	}
	addr := user + "@" + server
	a := r.accounts[addr]
	if a == nil {
		a = &transfer.Account{Addr: addr}
		r.accounts[addr] = a
	}
	return a
}

// record takes a record of a table. How each is made is in ejabberd's headers of that name.
func (r *reader) record(name atom, t tuple) {
	switch name {
	case "passwd": // {passwd, US, Password}
		r.passwd(t)
	case "roster": // {roster, USJ, US, JID, Name, Subscription, Ask, Groups, AskMessage, Xs}
		if a := r.account(t.at(2)); a != nil {
			contact(a, t)
		}
	case "privacy": // {privacy, US, Default, Lists}
		if a := r.account(t.at(1)); a != nil {
			r.privacy(a, t)
		}
	case "private_storage": // {private_storage, {User, Server, NS}, XML}
		if a := r.account(t.at(1)); a != nil {
			key, _ := t.at(1).(tuple)
			if b, local := r.element(t.at(2), a.Addr+": private data"); b != nil {
				a.Private = append(a.Private, transfer.Element{Space: text(key.at(2)), Local: local, XML: b})
			}
		}
	case "vcard": // {vcard, US, XML}
		if a := r.account(t.at(1)); a != nil {
			a.Card, _ = r.element(t.at(2), a.Addr+": vCard")
		}
	case "offline_msg": // {offline_msg, US, Timestamp, Expire, From, To, Packet}
		if a := r.account(t.at(1)); a != nil {
			r.offline(a, t)
		}
	case "muc_room": // {muc_room, {Room, Host}, Options}
		r.room(t)
	case "tables", "vcard_search", "roster_version", "oauth_token", "oauth_client", "muc_online_room", "session", "mod_register_ip":
	case "archive_msg":
		r.other["archived messages"]++
	case "pubsub_item":
		r.other["items of personal eventing"]++
	case "muc_registered":
		r.other["reserved nicknames"]++
	}
}

func (r *reader) passwd(t tuple) {
	a := r.account(t.at(1))
	if a == nil {
		return
	}
	if r.real == nil {
		r.real = make(map[string]bool)
	}
	r.real[a.Addr] = true
	if p, ok := t.at(2).(string); ok {
		a.Password = p
		return
	}
	scram, _ := t.at(2).(tuple) // {scram, StoredKey, ServerKey, Salt, Hash, Iterations}; older: without Hash
	hash, iterations := atom("sha"), scram.at(4)
	if h, ok := scram.at(4).(atom); ok {
		hash, iterations = h, scram.at(5)
	}
	mechanism := map[atom]string{"sha": "SCRAM-SHA-1", "sha256": "SCRAM-SHA-256", "sha512": "SCRAM-SHA-512"}[hash]
	stored, err1 := base64.StdEncoding.DecodeString(text(scram.at(1)))
	server, err2 := base64.StdEncoding.DecodeString(text(scram.at(2)))
	salt, err3 := base64.StdEncoding.DecodeString(text(scram.at(3)))
	n, _ := iterations.(int64)
	size := map[string]int{"SCRAM-SHA-1": 20, "SCRAM-SHA-256": 32, "SCRAM-SHA-512": 64}[mechanism]
	if err1 != nil || err2 != nil || err3 != nil || size == 0 || len(stored) != size || len(server) != size || len(salt) == 0 || n <= 0 || n > 1<<24 {
		r.skip("%s: has no password that can be used: parley user passwd %s", a.Addr, a.Addr)
		return
	}
	a.Credentials = []store.Credential{{Mechanism: mechanism, Salt: salt, Iterations: int(n), StoredKey: stored, ServerKey: server}}
}

// address is that of {User, Server, Resource}.
func address(v any) string {
	t, _ := v.(tuple)
	s := text(t.at(1))
	if user := text(t.at(0)); user != "" {
		s = user + "@" + s
	}
	if resource := text(t.at(2)); resource != "" {
		s += "/" + resource
	}
	return s
}

func contact(a *transfer.Account, t tuple) {
	subscription, _ := t.at(5).(atom)
	ask, _ := t.at(6).(atom)
	c := store.Contact{Addr: address(t.at(3)), Name: text(t.at(4)), To: subscription == "to" || subscription == "both", From: subscription == "from" || subscription == "both"}
	c.Asked = ask == "subscribe" || ask == "out" || ask == "both"
	groups, _ := t.at(7).(list)
	for _, g := range groups {
		if name := text(g); name != "" && !slices.Contains(c.Groups, name) {
			c.Groups = append(c.Groups, name)
		}
	}
	slices.Sort(c.Groups)
	if ask == "in" || ask == "both" {
		from, _ := transfer.AppendAttr(nil, "from", c.Addr)
		if status := text(t.at(8)); status != "" {
			from = append(transfer.AppendText(append(from, " type='subscribe'><status>"...), status), "</status></presence>"...)
		} else {
			from = append(from, " type='subscribe'/>"...)
		}
		c.Request = from
	}
	// Who only asks is no item of the roster.
	c.Listed = c.Request == nil || c.To || c.From || c.Asked || c.Name != "" || len(c.Groups) > 0
	a.Contacts = append(a.Contacts, c)
}

// privacy takes over who is blocked: the list that is in use, as far as it says what a block list can say.
func (r *reader) privacy(a *transfer.Account, t tuple) {
	lists, _ := t.at(3).(list)
	for _, v := range lists {
		l, _ := v.(tuple)
		if text(l.at(0)) != text(t.at(2)) {
			continue
		}
		items, _ := l.at(1).(list)
		for _, v := range items {
			item, _ := v.(tuple) // {listitem, Type, Value, Action, Order, MatchAll, ...}
			if isAtom(item.at(1), "jid") && isAtom(item.at(3), "deny") && isAtom(item.at(5), "true") {
				a.Blocked = append(a.Blocked, address(item.at(2)))
			} else {
				r.other["rules of privacy lists that a block list cannot say"]++
			}
		}
	}
	slices.Sort(a.Blocked)
}

// wide is the time of {MegaSeconds, Seconds, MicroSeconds}.
func wide(v any) time.Time {
	t, _ := v.(tuple)
	mega, _ := t.at(0).(int64)
	sec, _ := t.at(1).(int64)
	micro, _ := t.at(2).(int64)
	return time.Unix(mega*1_000_000+sec, micro*1000)
}

func (r *reader) offline(a *transfer.Account, t tuple) {
	el, _ := t.at(6).(tuple)
	if !isAtom(el.at(0), "xmlel") || text(el.at(1)) != "message" {
		return
	}
	attrs, _ := el.at(2).(list)
	kept := list{tuple{"from", address(tuple{jidPart(t.at(4), 1), jidPart(t.at(4), 2), jidPart(t.at(4), 3)})}}
	for _, v := range attrs {
		if pair, ok := v.(tuple); ok && !slices.Contains([]string{"to", "from", "xmlns"}, text(pair.at(0))) {
			kept = append(kept, v)
		}
	}
	whole, _ := r.element(tuple{atom("xmlel"), "message", kept, el.at(3)}, a.Addr+": a message that waits")
	if tail, ok := strings.CutPrefix(string(whole), "<message"); ok {
		a.Offline = append(a.Offline, store.OfflineMessage{At: wide(t.at(2)), Tail: []byte(tail)})
	}
}

// jidPart is an element of {jid, User, Server, Resource, LUser, LServer, LResource}.
func jidPart(v any, i int) string {
	t, _ := v.(tuple)
	return text(t.at(i))
}

// element writes {xmlel, Name, Attributes, Children} as XML; nil, and a note, if it is none.
func (r *reader) element(v any, what string) (b []byte, local string) {
	b, err := appendElement(nil, v, 0)
	if err == nil && !transfer.Sound(b) {
		err = errTerm
	}
	if err != nil {
		r.skip("%s: cannot be read: %v", what, err)
		return nil, ""
	}
	el, _ := v.(tuple)
	return b, text(el.at(1))
}

func appendElement(dst []byte, v any, depth int) ([]byte, error) {
	t, _ := v.(tuple)
	name := text(t.at(1))
	if !isAtom(t.at(0), "xmlel") || !transfer.IsName(name) || depth > deepest {
		return nil, errTerm
	}
	dst = append(append(dst, '<'), name...)
	attrs, _ := t.at(2).(list)
	for _, a := range attrs {
		pair, _ := a.(tuple)
		dst, _ = transfer.AppendAttr(dst, text(pair.at(0)), text(pair.at(1)))
	}
	dst = append(dst, '>')
	children, _ := t.at(3).(list)
	for _, c := range children {
		if data, ok := c.(tuple); ok && isAtom(data.at(0), "xmlcdata") {
			dst = transfer.AppendText(dst, text(data.at(1)))
			continue
		}
		var err error
		if dst, err = appendElement(dst, c, depth+1); err != nil {
			return nil, err
		}
	}
	dst = append(append(dst, "</"...), name...)
	return append(dst, '>'), nil
}

func (r *reader) room(t tuple) {
	at, _ := t.at(1).(tuple)
	name, host := text(at.at(0)), text(at.at(1))
	options, _ := t.at(2).(list)
	truth := func(name atom) bool { return isAtom(options.option(name), "true") }
	if name == "" || !strings.HasSuffix(host, "."+r.domain) || !truth("persistent") {
		return
	}
	room := transfer.Room{
		Addr: name + "@" + host, Name: text(options.option("title")), Description: text(options.option("description")), Lang: text(options.option("lang")),
		Public: truth("public"), Moderated: truth("moderated"), MembersOnly: truth("members_only"), Anyone: isAtom(options.option("anonymous"), "false"),
		ChangeSubject: truth("allow_change_subj"), AllowInvites: truth("allow_user_invites"), SubjectNick: text(options.option("subject_author")),
	}
	if truth("password_protected") {
		room.Password = text(options.option("password"))
	}
	if n, ok := options.option("max_users").(int64); ok && n > 0 {
		room.MaxUsers = int(n)
	}
	switch s := options.option("subject").(type) {
	case string: // of older versions
		room.Subject = s
	case list: // [{text, Lang, Data}]
		for _, v := range s {
			if one, ok := v.(tuple); ok && isAtom(one.at(0), "text") && room.Subject == "" {
				room.Subject = text(one.at(2))
			}
		}
	}
	affiliations, _ := options.option("affiliations").(list)
	for _, v := range affiliations {
		pair, _ := v.(tuple)
		standing, _ := pair.at(1).(tuple)
		a, ok := standing.at(0).(atom)
		if bare, plain := pair.at(1).(atom); plain { // of older versions
			a, ok = bare, true
		}
		if ok {
			room.Affiliations = append(room.Affiliations, store.Affiliation{Addr: address(pair.at(0)), Name: string(a), Reason: text(standing.at(1))})
		}
	}
	r.rooms = append(r.rooms, room)
}
