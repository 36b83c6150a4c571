package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sys/unix"

	"parley/internal/config"
	"parley/internal/store"
	"parley/internal/store/sqlstore"
	"parley/internal/transfer"
	"parley/internal/transfer/ejabberd"
	"parley/internal/transfer/prosody"
	"parley/muc"
	"parley/xmpp/auth"
	"parley/xmpp/pubsub"
	"parley/xmpp/wire"
)

type importCmd struct {
	Prosody  importProsodyCmd  `cmd:"" help:"Read Prosody's data folder, or the one that its configuration names."`
	Ejabberd importEjabberdCmd `cmd:"" help:"Read a file that ejabberdctl dump wrote."`
}

type importProsodyCmd struct {
	importing
	Path string `arg:"" help:"Data folder, or prosody.cfg.lua." type:"existingpath" placeholder:"PATH"`
}

// Run reads the files of Prosody.
func (c *importProsodyCmd) Run() error {
	return c.importing.run(func(domain string) (*transfer.Dump, error) {
		dir, err := prosody.DataPath(c.Path)
		if err != nil {
			return nil, err
		}
		return prosody.Read(dir, domain)
	})
}

type importEjabberdCmd struct {
	importing
	File string `arg:"" help:"What ejabberdctl dump wrote." type:"existingfile" placeholder:"FILE"`
}

// Run reads the dump of ejabberd.
func (c *importEjabberdCmd) Run() error {
	return c.importing.run(func(domain string) (*transfer.Dump, error) {
		f, err := os.Open(c.File)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return ejabberd.Read(f, domain)
	})
}

// importing is what all imports have.
type importing struct {
	common
	DryRun bool   `help:"Only say what would be done."`
	Domain string `help:"Instead of the configuration's domain."`
	Store  string `help:"Instead of the configuration's store." placeholder:"URL"`
}

// run takes over what is read of a domain. No server may run meanwhile, since it would not know of what comes.
func (c *importing) run(read func(domain string) (*transfer.Dump, error)) error {
	cfg, err := config.Load(c.Config)
	if err != nil {
		return err
	}
	cfg.Domain, cfg.Store = cmp.Or(c.Domain, cfg.Domain), cmp.Or(c.Store, cfg.Store)
	if err := cfg.Check(); err != nil {
		return err
	}
	dump, err := read(cfg.Domain)
	if err != nil {
		return err
	}
	data, db, done, err := c.open(cfg)
	if err != nil {
		return err
	}
	defer done()
	node := ""
	if !c.DryRun {
		s, err := data.secrets()
		if err != nil {
			return errors.Join(err, db.Close())
		}
		node = s.Node
	}
	report, err := transfer.Write(context.Background(), c.target(cfg, db, node), dump)
	if terminal(os.Stderr) {
		fmt.Fprint(os.Stderr, "\r\033[K")
	}
	c.tell(report)
	return errors.Join(err, db.Close())
}

// open opens the store. A dry run, which changes nothing, makes none where there is none: it has an empty one elsewhere.
func (c *importing) open(cfg config.Config) (data *dataDir, db store.Store, done func(), err error) {
	url := storeURL(cfg, &dataDir{path: c.Data})
	if c.DryRun {
		rest, isFile := strings.CutPrefix(url, "sqlite:")
		if _, err := os.Stat(strings.TrimPrefix(rest, "//")); isFile && errors.Is(err, os.ErrNotExist) {
			dir, err := os.MkdirTemp("", "parley-import-")
			if err != nil {
				return nil, nil, nil, err
			}
			db, err = sqlstore.Open(context.Background(), "sqlite:"+filepath.Join(dir, "empty.db"), sqlstore.Options{})
			return nil, db, func() { os.RemoveAll(dir) }, err
		}
	}
	data, err = openData(c.Data)
	if errors.Is(err, errBusy) {
		return nil, nil, nil, fmt.Errorf("%w: stop it first, and start it again afterwards", err)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	db, err = sqlstore.Open(context.Background(), url, sqlstore.Options{})
	if err != nil {
		data.Close()
		return nil, nil, nil, err
	}
	return data, db, func() { data.Close() }, nil
}

// target joins what each package knows.
func (c *importing) target(cfg config.Config, db store.Store, node string) *transfer.Target {
	limits := cfg.Accounts
	return &transfer.Target{
		Store: db, Domain: cfg.Domain, Rooms: cfg.RoomsDomain(), DryRun: c.DryRun, Owner: node, Progress: progress(),
		Limit: store.OfflineLimit{Messages: limits.Offline, Bytes: limits.OfflineBytes}, Private: limits.Private,
		Address: func(s string) (string, bool) {
			a, err := wire.ParseAddr(s)
			return string(a), err == nil && a != ""
		},
		Credentials: auth.NewCredentials,
		Nodes:       importedNodes,
		Room: func(r transfer.Room) (store.Change, error) {
			room := muc.Imported{
				Addr: wire.Addr(r.Addr), Name: r.Name, Description: r.Description, Lang: r.Lang, Password: r.Password,
				Public: r.Public, Moderated: r.Moderated, MembersOnly: r.MembersOnly, Anyone: r.Anyone, ChangeSubject: r.ChangeSubject, AllowInvites: r.AllowInvites,
				MaxUsers: r.MaxUsers, Subject: r.Subject, SubjectNick: r.SubjectNick, SubjectAt: r.SubjectAt, Affiliations: r.Affiliations,
			}
			return room.Change()
		},
	}
}

// importedNodes are the nodes of an account: of its vCard, and those that it has, which come first.
func importedNodes(owner string, a *transfer.Account) (list []store.NodeChange) {
	have := make(map[string]bool)
	for _, n := range a.Nodes {
		for i := range n.Items {
			n.Items[i].Publisher = owner
		}
		node := pubsub.Imported{Owner: owner, Name: n.Name, Access: n.Access, Items: n.Items}
		list = append(list, node.Change())
		have[n.Name] = true
	}
	if a.Card != nil {
		for _, change := range pubsub.ImportedCard(owner, a.Card, time.Now()) {
			if !have[change.Name] {
				list = append(list, change)
			}
		}
	}
	return list
}

// progress draws a bar on a terminal, ten times a second at most; nil where there is none.
func progress() func(done, total int) {
	if !terminal(os.Stderr) {
		return nil
	}
	var last time.Time
	return func(done, total int) {
		if now := time.Now(); now.Sub(last) >= 100*time.Millisecond || done == total {
			last = now
			const width = 40
			full := width * done / max(total, 1)
			fmt.Fprintf(os.Stderr, "\r[%s%s] %d of %d", strings.Repeat("=", full), strings.Repeat(" ", width-full), done, total)
		}
	}
}

func terminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// printable leaves out what would control a terminal: the names are those that strangers chose.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return '?'
		}
		return c
	}, s)
}

// tell prints what was done.
func (c *importing) tell(r *transfer.Report) {
	switch {
	case c.DryRun:
		fmt.Println("This is what would be done:")
	case !r.Changed():
		fmt.Println("Nothing is changed: all of it is here already.")
	}
	for _, line := range []struct {
		n    int
		what string
	}{
		{r.Accounts, "accounts"}, {r.Contacts, "contacts"}, {r.Blocked, "blocked addresses"}, {r.Private, "private entries"}, {r.Nodes, "nodes of accounts, vCards among them"},
		{r.Offline, "messages that wait"}, {r.Rooms, "rooms"}, {r.Affiliations, "affiliations"}, {r.Kept, "accounts and rooms that are here already, and stay as they are"},
	} {
		if line.n > 0 {
			fmt.Printf("%7d %s\n", line.n, line.what)
		}
	}
	if len(r.Skipped) > 0 {
		fmt.Println("Left out, or worth knowing:")
		for _, s := range r.Skipped {
			fmt.Println("       ", printable(s))
		}
	}
}
