// Package prosody reads what Prosody keeps in files (storage = "internal", which is its default): accounts with plain or
// hashed passwords, rosters, block lists, private XML, vCards, personal eventing, messages that wait, persistent rooms.
package prosody

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"parley/internal/store"
	"parley/internal/transfer"
)

// largest bounds a file that is read, in bytes.
const largest = 64 << 20

// DataPath finds the folder of Prosody's data: the path itself if it is one, else what the configuration at the path says.
func DataPath(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil || info.IsDir() {
		return path, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if m := setting(string(text), "storage"); m != "" && m != "internal" {
		return "", fmt.Errorf("%s: storage = %q: only \"internal\" can be read; prosody-migrator copies other storages into that", path, m)
	}
	if m := setting(string(text), "data_path"); m != "" {
		return m, nil
	}
	return "/var/lib/prosody", nil
}

// setting finds a line of the configuration that sets a text.
func setting(text, name string) string {
	m := regexp.MustCompile(`(?m)^\s*` + name + `\s*=\s*["']([^"']*)["']`).FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return m[1]
}

// Read reads what belongs to a domain, and the rooms at the domains below it.
func Read(dir, domain string) (*transfer.Dump, error) {
	r := &reader{dir: dir, domain: domain, dump: new(transfer.Dump)}
	hosts, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	found := false
	for _, h := range hosts {
		switch host := decode(h.Name()); {
		case !h.IsDir():
		case host == domain:
			found = true
			if err := r.accounts(filepath.Join(dir, h.Name())); err != nil {
				return nil, err
			}
		case strings.HasSuffix(host, "."+domain):
			if err := r.rooms(filepath.Join(dir, h.Name()), host); err != nil {
				return nil, err
			}
		}
	}
	if !found {
		return nil, fmt.Errorf("%s holds nothing of %s: is it the data folder, and the right domain?", dir, domain)
	}
	return r.dump, nil
}

type reader struct {
	dir, domain string
	dump        *transfer.Dump
}

func (r *reader) skip(format string, args ...any) {
	r.dump.Skipped = append(r.dump.Skipped, fmt.Sprintf(format, args...))
}

// decode undoes how Prosody writes names of files: every byte that is no letter or digit as %xx.
func decode(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] == '%' && i+2 < len(name) {
			if c, err := hex.DecodeString(name[i+1 : i+3]); err == nil {
				b.WriteByte(c[0])
				i += 2
				continue
			}
		}
		b.WriteByte(name[i])
	}
	return b.String()
}

// load reads a file; nil if there is none, or if it is not what Prosody writes, which is noted.
func (r *reader) load(name string) []any {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var text []byte
	if err == nil && info.Size() > largest {
		err = errors.New("too large")
	}
	if err == nil {
		text, err = os.ReadFile(name)
	}
	var values []any
	if err == nil {
		values, err = parse(string(text))
	}
	if err != nil {
		r.skip("%s: %v", name, err)
	}
	return values
}

// one is the table of a file that holds one.
func (r *reader) one(name string) *table {
	values := r.load(name)
	if len(values) == 0 {
		return nil
	}
	t, _ := values[0].(*table)
	return t
}

// files are those of a folder with an ending, by what they are of.
func files(folder, ending string) (list []string, err error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ending); ok && !e.IsDir() {
			list = append(list, name)
		}
	}
	return list, err
}

func (r *reader) accounts(host string) error {
	names, err := files(filepath.Join(host, "accounts"), ".dat")
	if err != nil {
		return err
	}
	stores, err := os.ReadDir(host)
	if err != nil {
		return err
	}
	for _, file := range names {
		a := transfer.Account{Addr: decode(file) + "@" + r.domain}
		at := func(store string) string { return filepath.Join(host, store, file+".dat") }
		r.password(&a, r.one(at("accounts")))
		if n := r.one(at("account_details")).number("registered"); n > 0 {
			a.Created = time.Unix(int64(n), 0)
		}
		r.roster(&a, r.one(at("roster")))
		if t := r.one(at("blocklist")); t != nil {
			for key := range t.keyed {
				if addr, ok := key.(string); ok {
					a.Blocked = append(a.Blocked, addr)
				}
			}
			slices.Sort(a.Blocked)
		}
		r.private(&a, r.one(at("private")))
		if t := r.one(at("vcard")); t != nil {
			a.Card = r.element(t, "", a.Addr+": vCard")
		}
		r.nodes(&a, host, file, stores)
		r.offline(&a, filepath.Join(host, "offline", file+".list"))
		r.dump.Accounts = append(r.dump.Accounts, a)
	}
	return nil
}

// password takes over what logs in: the password, or the keys of SCRAM-SHA-1.
func (r *reader) password(a *transfer.Account, t *table) {
	if t.at("password") != "" {
		a.Password = t.at("password")
		return
	}
	stored, err1 := hex.DecodeString(t.at("stored_key"))
	server, err2 := hex.DecodeString(t.at("server_key"))
	c := store.Credential{Mechanism: "SCRAM-SHA-1", Salt: []byte(t.at("salt")), Iterations: int(t.number("iteration_count")), StoredKey: stored, ServerKey: server}
	switch {
	case err1 != nil, err2 != nil, len(c.Salt) == 0, c.Iterations <= 0, c.Iterations > 1<<24:
		r.skip("%s: has no password that can be used: parley user passwd %s", a.Addr, a.Addr)
	case len(stored) == 20 && len(server) == 20:
		a.Credentials = []store.Credential{c}
	case len(stored) == 32 && len(server) == 32:
		c.Mechanism = "SCRAM-SHA-256"
		a.Credentials = []store.Credential{c}
	default:
		r.skip("%s: has no password that can be used: parley user passwd %s", a.Addr, a.Addr)
	}
}

func (r *reader) roster(a *transfer.Account, t *table) {
	if t == nil {
		return
	}
	all := make(map[string]*store.Contact)
	for key, v := range t.keyed {
		addr, ok := key.(string)
		item, ok2 := v.(*table)
		if !ok || !ok2 || addr == "" {
			continue
		}
		c := &store.Contact{Addr: addr, Listed: true, Name: item.at("name"), Asked: item.at("ask") == "subscribe", Approved: item.truth("approved")}
		switch item.at("subscription") {
		case "both":
			c.To, c.From = true, true
		case "to":
			c.To = true
		case "from":
			c.From = true
		}
		if groups := item.table("groups"); groups != nil {
			for g := range groups.keyed {
				if name, ok := g.(string); ok {
					c.Groups = append(c.Groups, name)
				}
			}
			slices.Sort(c.Groups)
		}
		all[addr] = c
	}
	if pending := t.table(false).table("pending"); pending != nil {
		for key := range pending.keyed {
			addr, ok := key.(string)
			if !ok {
				continue
			}
			if all[addr] == nil {
				all[addr] = &store.Contact{Addr: addr}
			}
			from, _ := transfer.AppendAttr(nil, "from", addr)
			all[addr].Request = append(from, " type='subscribe'/>"...)
		}
	}
	for _, c := range all {
		a.Contacts = append(a.Contacts, *c)
	}
	slices.SortFunc(a.Contacts, func(x, y store.Contact) int { return strings.Compare(x.Addr, y.Addr) })
}

func (r *reader) private(a *transfer.Account, t *table) {
	if t == nil {
		return
	}
	for key, v := range t.keyed {
		name, ok := key.(string)
		item, ok2 := v.(*table)
		local, space, ok3 := strings.Cut(name, ":")
		if !ok || !ok2 || !ok3 {
			continue
		}
		if b := r.element(item, "", a.Addr+": private data "+name); b != nil {
			a.Private = append(a.Private, transfer.Element{Space: space, Local: local, XML: b})
		}
	}
	slices.SortFunc(a.Private, func(x, y transfer.Element) int { return strings.Compare(x.Space+x.Local, y.Space+y.Local) })
}

// nodes reads personal eventing: a file with the nodes of an account, and for each node a store of its items.
func (r *reader) nodes(a *transfer.Account, host, file string, stores []os.DirEntry) {
	t := r.one(filepath.Join(host, "pep", file+".dat"))
	if t == nil {
		return
	}
	byName := make(map[string]string)
	for _, s := range stores {
		if name, ok := strings.CutPrefix(decode(s.Name()), "pep_"); ok {
			byName[name] = s.Name()
		}
	}
	for key, v := range t.keyed {
		name, ok := key.(string)
		node, _ := v.(*table)
		folder := byName[name]
		if !ok || folder == "" {
			continue
		}
		n := transfer.Node{Name: name, Access: node.table("config").at("access_model")}
		for _, v := range r.load(filepath.Join(host, folder, file+".list")) {
			item, _ := v.(*table)
			if item == nil {
				continue
			}
			payload := r.element(item, "", a.Addr+": node "+name)
			if payload == nil {
				continue
			}
			n.Items = append(n.Items, store.Item{ID: item.at("key"), Publisher: a.Addr, At: time.Unix(int64(item.number("when")), 0), Payload: payload})
		}
		if len(n.Items) > 0 {
			a.Nodes = append(a.Nodes, n)
		}
	}
	slices.SortFunc(a.Nodes, func(x, y transfer.Node) int { return strings.Compare(x.Name, y.Name) })
}

func (r *reader) offline(a *transfer.Account, name string) {
	for _, v := range r.load(name) {
		t, _ := v.(*table)
		if t.at("name") != "message" {
			continue
		}
		at := time.Unix(int64(t.number("when")), 0)
		if stamp, err := time.Parse(time.RFC3339, t.table("attr").at("stamp")); err == nil {
			at = stamp
		}
		whole := r.element(t, "jabber:client", a.Addr+": a message that waits")
		if tail, ok := strings.CutPrefix(string(whole), "<message"); ok {
			a.Offline = append(a.Offline, store.OfflineMessage{At: at, Tail: []byte(tail)})
		}
	}
}

// ofStorage are attributes that Prosody adds to what it stores. The address of who gets a message is not stored here.
var ofStorage = []string{"stamp", "stamp_legacy"}

// element writes a stanza's table as XML; nil, and a note, if it is none.
func (r *reader) element(t *table, outer, what string) []byte {
	b, err := appendElement(nil, t, outer, 0)
	if err == nil && !transfer.Sound(b) {
		err = errLua
	}
	if err != nil {
		r.skip("%s: cannot be read: %v", what, err)
		return nil
	}
	return b
}

func appendElement(dst []byte, t *table, outer string, depth int) ([]byte, error) {
	name, attrs := t.at("name"), t.table("attr")
	if !transfer.IsName(name) || depth > deepest {
		return nil, errLua
	}
	dst = append(append(dst, '<'), name...)
	space, prefixes := outer, 0
	var keys []string
	if attrs != nil {
		for key := range attrs.keyed {
			if k, ok := key.(string); ok {
				keys = append(keys, k)
			}
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		v := attrs.at(k)
		switch {
		case k == "xmlns":
			if space = v; v == outer {
				continue
			}
		case depth == 0 && slices.Contains(ofStorage, k), depth == 0 && name == "message" && k == "to":
			continue
		}
		if ns, local, ok := strings.Cut(k, "\x01"); ok { // an attribute of another namespace
			if prefixes++; transfer.IsName(local) {
				p := fmt.Sprintf("p%d", prefixes)
				dst = append(append(append(append(dst, " xmlns:"...), p...), "='"...), transfer.AppendText(nil, ns)...)
				dst = append(append(append(append(dst, "' "...), p...), ':'), local...)
				dst = append(append(append(dst, "='"...), transfer.AppendText(nil, v)...), '\'')
			}
			continue
		}
		dst, _ = transfer.AppendAttr(dst, k, v)
	}
	dst = append(dst, '>')
	for _, child := range t.list {
		switch c := child.(type) {
		case string:
			dst = transfer.AppendText(dst, c)
		case *table:
			var err error
			if dst, err = appendElement(dst, c, space, depth+1); err != nil {
				return nil, err
			}
		}
	}
	dst = append(append(dst, "</"...), name...)
	return append(dst, '>'), nil
}

// rooms reads the persistent rooms of a host.
func (r *reader) rooms(folder, host string) error {
	names, err := files(filepath.Join(folder, "config"), ".dat")
	if err != nil {
		return err
	}
	for _, file := range names {
		t := r.one(filepath.Join(folder, "config", file+".dat"))
		data := t.table("_data")
		if data == nil || !data.truth("persistent") {
			continue
		}
		room := transfer.Room{
			Addr: decode(file) + "@" + host, Name: data.at("name"), Description: data.at("description"), Lang: data.at("language"), Password: data.at("password"),
			Public: !data.truth("hidden"), Moderated: data.truth("moderated"), MembersOnly: data.truth("members_only"), Anyone: data.at("whois") == "anyone",
			ChangeSubject: data.truth("changesubject"), AllowInvites: data.truth("allow_member_invites"),
			Subject: data.at("subject"),
		}
		if public, ok := data.get("public").(bool); ok { // of newer versions
			room.Public = public
		}
		if n := data.number("subject_time"); n > 0 {
			room.SubjectAt = time.Unix(int64(n), 0)
		}
		_, room.SubjectNick, _ = strings.Cut(data.at("subject_from"), "/")
		list := t
		if old := t.table("_affiliations"); old != nil { // of older versions
			list = old
		}
		extra := t.table("_affiliation_data")
		for key, v := range list.keyed {
			addr, ok := key.(string)
			standing, ok2 := v.(string)
			if !ok || !ok2 || strings.HasPrefix(addr, "_") && list == t {
				continue
			}
			room.Affiliations = append(room.Affiliations, store.Affiliation{
				Addr: addr, Name: standing, Nick: extra.table(addr).at("reserved_nickname"), Reason: extra.table(addr).at("reason")})
		}
		slices.SortFunc(room.Affiliations, func(x, y store.Affiliation) int { return strings.Compare(x.Addr, y.Addr) })
		r.dump.Rooms = append(r.dump.Rooms, room)
	}
	return nil
}
