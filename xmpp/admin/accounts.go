package admin

import (
	"context"
	"slices"
	"time"

	"parley/internal/store"
	"parley/xmpp/command"
	"parley/xmpp/form"
	"parley/xmpp/wire"
)

// accountCommands are those of XEP-0133 §4.1–§4.10.
func (s *Service) accountCommands() []command.Command {
	one := func(f *form.Sheet) { f.Required("accountjid", "jid-single", "Address of the account") }
	password := func(f *form.Sheet) {
		f.Required("password", "text-private", "Password")
		f.Required("password-verify", "text-private", "Password again")
	}
	return []command.Command{
		s.command("add-user", "Add an account", func(_ context.Context, f *form.Sheet) *wire.Error {
			one(f)
			password(f)
			return nil
		}, s.addUser),
		s.command("change-user-password", "Change a password", func(_ context.Context, f *form.Sheet) *wire.Error {
			one(f)
			f.Required("password", "text-private", "New password")
			return nil
		}, s.changePassword),
		s.each("delete-user", "Delete accounts", s.deleteUser),
		s.each("disable-user", "Disable accounts", func(ctx context.Context, account wire.Addr) *wire.Error {
			if s.Is(account) {
				return errYou
			}
			if why := s.failed(s.store.DisableAccount(ctx, string(account), true)); why != nil {
				return why
			}
			s.server.Revoke(account)
			return nil
		}),
		s.each("reenable-user", "Enable accounts again", func(ctx context.Context, account wire.Addr) *wire.Error {
			return s.failed(s.store.DisableAccount(ctx, string(account), false))
		}),
		s.command("end-user-session", "End sessions", addresses, s.endSessions),
		s.command("get-user-roster", "Show a roster", addresses, s.rosters),
		s.command("get-user-lastlogin", "Show when somebody was last there", addresses, s.lastSeen),
		s.command("user-stats", "Show an account", func(_ context.Context, f *form.Sheet) *wire.Error {
			one(f)
			return nil
		}, s.statistics),
	}
}

// addresses are the field for several accounts.
func addresses(_ context.Context, f *form.Sheet) *wire.Error {
	f.Required("accountjids", "jid-multi", "Addresses of the accounts")
	return nil
}

// each is a command that does the same to several accounts, one after another; it ends at the first that fails, which the
// error names.
func (s *Service) each(node, name string, do func(context.Context, wire.Addr) *wire.Error) command.Command {
	return s.command(node, name, addresses, func(ctx context.Context, a form.Answers) (command.Outcome, *wire.Error) {
		list, why := s.accounts(a)
		if why != nil {
			return command.Outcome{}, why
		}
		for _, account := range list {
			if why := do(ctx, account); why != nil {
				named := *why
				named.Text = string(account) + ": " + why.Text
				return command.Outcome{}, &named
			}
		}
		return command.Outcome{}, nil
	})
}

// addUser is XEP-0133 §4.1.
func (s *Service) addUser(ctx context.Context, a form.Answers) (out command.Outcome, why *wire.Error) {
	account, why := s.account(a.One("accountjid"))
	if why != nil {
		return out, why
	}
	list, why := credentials(a)
	if why != nil {
		return out, why
	}
	return out, s.failed(s.store.CreateAccount(ctx, store.Account{Addr: string(account), Created: time.Now(), Credentials: list}))
}

// changePassword is XEP-0133 §4.7. The account's sessions end (hardening HA8), also those of who
// changes the own one.
func (s *Service) changePassword(ctx context.Context, a form.Answers) (out command.Outcome, why *wire.Error) {
	account, why := s.account(a.One("accountjid"))
	if why != nil {
		return out, why
	}
	list, why := credentials(a)
	if why != nil {
		return out, why
	}
	if why := s.failed(s.store.SetCredentials(ctx, string(account), list)); why != nil {
		return out, why
	}
	out.Then = func(b *wire.Batch) {
		b.Flush() // it may be the own one, and the answer is the last that the session hears
		s.server.Revoke(account)
	}
	return out, nil
}

// deleteUser is XEP-0133 §4.2.
func (s *Service) deleteUser(ctx context.Context, account wire.Addr) *wire.Error {
	if s.Is(account) {
		return errYou
	}
	if why := s.failed(s.store.DeleteAccount(ctx, string(account))); why != nil {
		return why
	}
	s.server.Revoke(account)
	return nil
}

// endSessions is XEP-0133 §4.5: all of a bare address, or one.
func (s *Service) endSessions(_ context.Context, a form.Answers) (out command.Outcome, why *wire.Error) {
	var list []wire.Addr
	for _, text := range a["accountjids"] {
		addr, err := wire.ParseAddr(text)
		if err != nil || addr.Local() == "" || addr.Domain() != string(s.domain) {
			return out, command.Bad("addresses of accounts or sessions are needed")
		}
		list = append(list, addr)
	}
	if len(list) == 0 || len(list) > mostAtOnce {
		return out, command.Bad("one to 100 addresses are needed")
	}
	out.Then = func(b *wire.Batch) {
		b.Flush()
		for _, addr := range list {
			s.server.End(addr)
		}
	}
	return out, nil
}

// rosters is XEP-0133 §4.8; one account at a time.
func (s *Service) rosters(ctx context.Context, a form.Answers) (out command.Outcome, why *wire.Error) {
	list, why := s.accounts(a)
	if why != nil {
		return out, why
	}
	if len(list) > 1 {
		return out, command.Bad("one account at a time")
	}
	r, err := s.store.Roster(ctx, string(list[0]))
	if why := s.failed(err); why != nil {
		return out, why
	}
	slices.SortFunc(r.Contacts, func(a, b store.Contact) int {
		if a.Addr < b.Addr {
			return -1
		}
		return 1
	})
	items := []byte("<query xmlns='jabber:iq:roster'>")
	for _, c := range r.Contacts {
		if !c.Listed {
			continue
		}
		items = wire.AppendAttr(append(items, "<item"...), "jid", c.Addr)
		if c.Name != "" {
			items = wire.AppendAttr(items, "name", c.Name)
		}
		items = append(wire.AppendAttr(items, "subscription", subscription(c)), '>')
		for _, g := range c.Groups {
			items = wire.AppendElem(items, "group", g)
		}
		items = append(items, "</item>"...)
	}
	f := sheet()
	f.Field("accountjids", "jid-multi", "", string(list[0]))
	out.Form = f.EndWith(append(items, "</query>"...))
	return out, nil
}

func subscription(c store.Contact) string {
	switch {
	case c.To && c.From:
		return "both"
	case c.To:
		return "to"
	case c.From:
		return "from"
	}
	return "none"
}

// lastSeen is XEP-0133 §4.9: now for who is there, else when the account was last there, as far as that is known.
func (s *Service) lastSeen(ctx context.Context, a form.Answers) (out command.Outcome, why *wire.Error) {
	list, why := s.accounts(a)
	if why != nil {
		return out, why
	}
	f := sheet()
	var times []string
	for _, account := range list {
		if _, err := s.store.Account(ctx, string(account)); err != nil {
			return out, s.failed(err)
		}
		at := time.Now()
		if len(s.server.Present(account)) == 0 {
			var err error
			if at, _, err = s.store.LastActivity(ctx, string(account)); err != nil {
				return out, s.failed(err)
			}
		}
		if at.IsZero() {
			times = append(times, "unknown")
			continue
		}
		times = append(times, at.UTC().Format(time.RFC3339))
	}
	f.Field("accountjids", "jid-multi", "Accounts", texts(list)...)
	f.Field("lastlogin", "text-multi", "Last there", times...)
	out.Form = f.End()
	return out, nil
}

// statistics is XEP-0133 §4.10, as far as the server counts.
func (s *Service) statistics(ctx context.Context, a form.Answers) (out command.Outcome, why *wire.Error) {
	account, why := s.account(a.One("accountjid"))
	if why != nil {
		return out, why
	}
	r, err := s.store.Roster(ctx, string(account))
	if why := s.failed(err); why != nil {
		return out, why
	}
	listed := 0
	for _, c := range r.Contacts {
		if c.Listed {
			listed++
		}
	}
	var sources, resources []string
	for _, p := range s.server.Present(account) {
		resources = append(resources, p.Addr.Resource())
		if source := p.Source.String(); !slices.Contains(sources, source) {
			sources = append(sources, source)
		}
	}
	f := sheet()
	f.Field("ipaddresses", "text-multi", "Addresses of its clients", sources...)
	f.Number("rostersize", "text-single", "Contacts", listed)
	f.Field("onlineresources", "text-multi", "Sessions", resources...)
	out.Form = f.End()
	return out, nil
}

func texts(list []wire.Addr) []string {
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = string(a)
	}
	return out
}
