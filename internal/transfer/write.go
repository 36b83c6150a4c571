package transfer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"parley/internal/store"
)

// Target is where a dump goes, and what only other packages know of it.
type Target struct {
	Store  store.Store
	Domain string // of the accounts
	Rooms  string // of the rooms, wherever they were

	Address     func(string) (canonical string, ok bool)          // of anybody
	Credentials func(password string) ([]store.Credential, error) // what is kept for a password
	Nodes       func(owner string, a *Account) []store.NodeChange // for the vCard and the nodes, each of which creates its node
	Room        func(Room) (store.Change, error)                  // what stores a room

	DryRun   bool
	Limit    store.OfflineLimit
	Private  int                   // entries of private data of one account
	Owner    string                // name of this node, which owns what it writes
	Progress func(done, total int) // may be nil
}

// Write writes what is not there. With an error, what was written until then stays, and the next run goes on.
func Write(ctx context.Context, t *Target, d *Dump) (*Report, error) {
	w := &writer{t, &Report{Skipped: d.Skipped}, make(map[string]string)}
	total := len(d.Accounts) + len(d.Rooms)
	step := func(done int) {
		if t.Progress != nil {
			t.Progress(done, total)
		}
	}
	for i := range d.Accounts {
		if err := w.account(ctx, &d.Accounts[i]); err != nil {
			return w.Report, fmt.Errorf("%s: %w", d.Accounts[i].Addr, err)
		}
		step(i + 1)
	}
	for i := range d.Rooms {
		if err := w.room(ctx, d.Rooms[i]); err != nil {
			return w.Report, fmt.Errorf("%s: %w", d.Rooms[i].Addr, err)
		}
		step(len(d.Accounts) + i + 1)
	}
	return w.Report, nil
}

type writer struct {
	*Target
	*Report
	from map[string]string // rooms of this run: what they were
}

func (w *writer) skip(format string, args ...any) {
	w.Skipped = append(w.Skipped, fmt.Sprintf(format, args...))
}

// account writes an account. It gets what logs in last: until then it is one that was begun.
func (w *writer) account(ctx context.Context, a *Account) error {
	addr, ok := w.Address(a.Addr)
	if !ok || !strings.HasSuffix(addr, "@"+w.Domain) {
		w.skip("%s: cannot be an account here", a.Addr)
		return nil
	}
	have, err := w.Store.Account(ctx, addr)
	begun := err == nil
	switch {
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return err
	case begun && (len(have.Credentials) > 0 || a.Password == "" && len(a.Credentials) == 0):
		w.Kept++
		return nil
	}
	credentials := a.Credentials
	if a.Password != "" {
		if credentials, err = w.Credentials(a.Password); err != nil {
			w.skip("%s: the password cannot be used (%v): parley user passwd %s", addr, err, addr)
			credentials = nil
			if begun {
				w.Kept++
				return nil
			}
		}
	}
	if !begun && !w.DryRun {
		created := a.Created
		if created.IsZero() {
			created = time.Now()
		}
		if err := w.Store.CreateAccount(ctx, store.Account{Addr: addr, Created: created}); err != nil {
			return err
		}
	}
	w.Accounts++
	here := begun || !w.DryRun // there is something to compare with
	for _, part := range []func(context.Context, string, *Account, bool) error{w.roster, w.private, w.nodes, w.offline} {
		if err := part(ctx, addr, a, here); err != nil {
			return err
		}
	}
	if w.DryRun || len(credentials) == 0 {
		return nil
	}
	return w.Store.SetCredentials(ctx, addr, credentials)
}

func (w *writer) roster(ctx context.Context, addr string, a *Account, here bool) error {
	var have store.Roster
	var err error
	if here {
		if have, err = w.Store.Roster(ctx, addr); err != nil {
			return err
		}
	}
	known, blocked := make(map[string]bool), make(map[string]bool)
	for _, c := range have.Contacts {
		known[c.Addr] = true
	}
	for _, b := range have.Blocked {
		blocked[b] = true
	}
	change := store.RosterChange{Was: have.Version, Version: have.Version + 1}
	for _, c := range a.Contacts {
		who, ok := w.Address(c.Addr)
		if !ok || who == addr {
			w.skip("%s: has the contact %q, which is no address of anybody else", addr, c.Addr)
			continue
		}
		if !known[who] {
			known[who] = true
			c.Addr = who
			change.Put = append(change.Put, c)
		}
	}
	for _, b := range a.Blocked {
		who, ok := w.Address(b)
		if !ok {
			w.skip("%s: blocks %q, which is no address", addr, b)
			continue
		}
		if !blocked[who] {
			blocked[who] = true
			change.Block = append(change.Block, who)
		}
	}
	w.Contacts += len(change.Put)
	w.Blocked += len(change.Block)
	if w.DryRun || len(change.Put)+len(change.Block) == 0 {
		return nil
	}
	return w.Store.ChangeRoster(ctx, addr, change)
}

func (w *writer) private(ctx context.Context, addr string, a *Account, here bool) error {
	for _, e := range a.Private {
		key := "{" + e.Space + "}" + e.Local
		if here {
			have, err := w.Store.Private(ctx, addr, key)
			if err != nil {
				return err
			}
			if have != nil {
				continue
			}
		}
		if !w.DryRun {
			err := w.Store.SetPrivate(ctx, addr, key, e.XML, w.Target.Private)
			if errors.Is(err, store.ErrQuota) {
				w.skip("%s: has more private data than may be: %s", addr, key)
				continue
			}
			if err != nil {
				return err
			}
		}
		w.Report.Private++
	}
	return nil
}

func (w *writer) nodes(ctx context.Context, addr string, a *Account, here bool) error {
	for _, c := range w.Target.Nodes(addr, a) {
		if here {
			_, err := w.Store.Node(ctx, addr, c.Name)
			if err == nil {
				continue
			}
			if !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		if !w.DryRun {
			err := w.Store.ChangeNodes(ctx, store.NodeQuota{}, c)
			if errors.Is(err, store.ErrInvalid) {
				w.skip("%s: the node %s cannot be stored", addr, c.Name)
				continue
			}
			if err != nil {
				return err
			}
		}
		w.Report.Nodes++
	}
	return nil
}

func (w *writer) offline(ctx context.Context, addr string, a *Account, here bool) error {
	list := a.Offline
	if here {
		have, err := w.Store.OfflineMessages(ctx, addr, 0, len(list)+1)
		if err != nil || len(have) > 0 { // those of the run that was broken off
			return err
		}
	}
	if len(list) > w.Limit.Messages {
		w.skip("%s: the oldest %d of %d messages that wait are left out, since %d may wait", addr, len(list)-w.Limit.Messages, len(list), w.Limit.Messages)
		list = list[len(list)-w.Limit.Messages:]
	}
	if w.DryRun || len(list) == 0 {
		w.Offline += len(list)
		return nil
	}
	stored, err := w.Store.AddOffline(ctx, addr, list, w.Limit)
	w.Offline += stored
	if stored < len(list) && err == nil {
		w.skip("%s: %d messages that wait are left out, since there is no room for them", addr, len(list)-stored)
	}
	return err
}

func (w *writer) room(ctx context.Context, r Room) error {
	local, host, _ := strings.Cut(r.Addr, "@")
	addr, ok := w.Address(local + "@" + w.Target.Rooms)
	if !ok || local == "" {
		w.skip("%s: cannot be a room here", r.Addr)
		return nil
	}
	if other := w.from[addr]; other != "" {
		w.skip("%s is left out: %s has become %s", r.Addr, other, addr)
		return nil
	}
	w.from[addr] = r.Addr
	_, _, err := w.Store.Room(ctx, addr)
	switch {
	case err == nil:
		w.Kept++
		return nil
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	if host != w.Target.Rooms {
		w.skip("%s is now %s", r.Addr, addr)
	}
	r.Addr = addr
	var list []store.Affiliation
	for _, a := range r.Affiliations {
		who, ok := w.Address(a.Addr)
		if a.Name == "none" {
			continue
		}
		if !ok || a.Name != "owner" && a.Name != "admin" && a.Name != "member" && a.Name != "outcast" {
			w.skip("%s: the affiliation %q of %q is left out", addr, a.Name, a.Addr)
			continue
		}
		a.Addr = who
		list = append(list, a)
	}
	r.Affiliations = list
	change, err := w.Target.Room(r)
	if err != nil {
		w.skip("%s: %v", addr, err)
		return nil
	}
	if !w.DryRun {
		if change.Epoch, err = w.Store.Claim(ctx, addr, w.Owner); err != nil {
			return err
		}
		done := make(chan error, 1)
		w.Store.Write(change, func(err error) { done <- err })
		if err := <-done; err != nil {
			return err
		}
	}
	w.Report.Rooms++
	w.Report.Affiliations += len(list)
	return nil
}
