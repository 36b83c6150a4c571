package admin

import (
	"context"
	"strconv"

	"parley/internal/store"
	"parley/xmpp/command"
	"parley/xmpp/form"
	"parley/xmpp/wire"
)

// Lists.
const (
	mostListed = 1000 // in one answer
	page       = 500  // read from the store at once
)

var sizes = []string{"25", "50", "75", "100", "150", "200", "1000"}

// lists are the commands of XEP-0133 §4.13–§4.15 and §4.18–§4.20: how many, and who.
func (s *Service) lists() []command.Command {
	all := func(a store.Account) bool { return true }
	disabled := func(a store.Account) bool { return a.Disabled }
	ofStore := func(is func(store.Account) bool) func(context.Context, int) ([]string, int, error) {
		return func(ctx context.Context, most int) ([]string, int, error) { return s.count(ctx, most, is) }
	}
	var out []command.Command
	for _, l := range []struct {
		what, name, number, jids string
		find                     func(ctx context.Context, most int) (list []string, n int, err error)
	}{
		{"registered", "registered", "registeredusersnum", "registereduserjids", ofStore(all)},
		{"disabled", "disabled", "disabledusersnum", "disableduserjids", ofStore(disabled)},
		{"online", "online", "onlineusersnum", "onlineuserjids", s.online},
	} {
		out = append(out,
			s.command("get-"+l.what+"-users-num", "Number of "+l.name+" users", nil, func(ctx context.Context, _ form.Answers) (o command.Outcome, why *wire.Error) {
				_, n, err := l.find(ctx, 0)
				if why := s.failed(err); why != nil {
					return o, why
				}
				f := sheet()
				f.Number(l.number, "text-single", "Number of "+l.name+" users", n)
				o.Form = f.End()
				return o, nil
			}),
			s.command("get-"+l.what+"-users-list", "List of "+l.name+" users", func(_ context.Context, f *form.Sheet) *wire.Error {
				f.Choice("max_items", "list-single", "Greatest number of users", []string{"100"}, sizes)
				return nil
			}, func(ctx context.Context, a form.Answers) (o command.Outcome, why *wire.Error) {
				most := mostListed
				if text := a.One("max_items"); text != "" && text != "none" {
					n, err := strconv.Atoi(text)
					if err != nil || n < 1 {
						return o, command.Bad("the number of users is a number")
					}
					most = min(n, mostListed)
				}
				list, n, err := l.find(ctx, most)
				if why := s.failed(err); why != nil {
					return o, why
				}
				f := sheet()
				f.Field(l.jids, "jid-multi", "List of "+l.name+" users", list...)
				o.Form = f.End()
				if n > len(list) {
					o.Note = strconv.Itoa(n) + " users, of whom the first " + strconv.Itoa(len(list)) + " are listed"
				}
				return o, nil
			}))
	}
	return out
}

// count walks the accounts, counts those for which is holds and returns the first of them.
func (s *Service) count(ctx context.Context, most int, is func(store.Account) bool) (list []string, n int, err error) {
	for after := ""; ; {
		accounts, err := s.store.ListAccounts(ctx, after, page)
		if err != nil {
			return nil, 0, err
		}
		for _, a := range accounts {
			if after = a.Addr; is(a) {
				if n++; len(list) < most {
					list = append(list, a.Addr)
				}
			}
		}
		if len(accounts) < page {
			return list, n, nil
		}
	}
}

// online counts the accounts that have a session.
func (s *Service) online(_ context.Context, most int) (list []string, n int, err error) {
	var last wire.Addr
	for _, p := range s.server.Present("") {
		bare := p.Addr.Bare()
		if bare == last {
			continue
		}
		last = bare
		if n++; len(list) < most {
			list = append(list, string(bare))
		}
	}
	return list, n, nil
}
