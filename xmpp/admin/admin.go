// Package admin lets administrators look after the accounts of a server from a client, by ad-hoc commands (XEP-0133): make,
// change and remove accounts, end sessions, see who is there, and say something to everybody. Who an administrator is stands
// in the configuration.
//
// Not offered: reading passwords, which the server does not have; lists of servers, which the configuration holds; ending the
// server.
package admin

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"parley/internal/event"
	"parley/internal/store"
	"parley/xmpp/auth"
	"parley/xmpp/command"
	"parley/xmpp/form"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// NS is the namespace of XEP-0133: its FORM_TYPE, and the beginning of the nodes of its commands.
const NS = "http://jabber.org/protocol/admin"

// Store is what administration needs of the store.
type Store interface {
	store.Accounts
	store.Announcements
	Roster(ctx context.Context, owner string) (store.Roster, error)
	LastActivity(ctx context.Context, owner string) (at time.Time, status string, err error)
}

// Present is a session that is there.
type Present struct {
	Addr   wire.Addr // full
	Source netip.Addr
}

// Server is what administration needs of the rest of the server.
type Server interface {
	// Present returns the sessions of an account, or of all accounts for "", without guests, in the order of addresses.
	Present(account wire.Addr) []Present
	// Revoke ends the sessions of an account that was changed. End ends those of a bare address, or the one of a full address,
	// which may come back.
	Revoke(account wire.Addr)
	End(addr wire.Addr)
	// Send delivers what the server itself says.
	Send(b *wire.Batch, to wire.Addr, st wire.Stanza)
}

// Service has the commands of one domain.
type Service struct {
	domain wire.Addr
	admins []wire.Addr
	store  Store
	server Server
	rec    *event.Recorder
	motd   atomic.Pointer[store.Announcement] // nil: there is none
	seen   seen
}

// New returns the service of a domain and reads the message of the day. Rec may be nil.
func New(ctx context.Context, domain wire.Addr, admins []wire.Addr, s Store, server Server, rec *event.Recorder) (*Service, error) {
	a := &Service{domain: domain, admins: admins, store: s, server: server, rec: rec}
	if err := a.readMOTD(ctx); err != nil {
		return nil, err
	}
	return a, nil
}

// Is reports that an account is an administrator's.
func (s *Service) Is(account wire.Addr) bool { return slices.Contains(s.admins, account) }

// Commands are those of XEP-0133.
func (s *Service) Commands() []command.Command {
	return slices.Concat(s.accountCommands(), s.lists(), s.announcements())
}

// command makes one with a form, or without if that is nil.
func (s *Service) command(node, name string, fields func(ctx context.Context, f *form.Sheet) *wire.Error, do func(ctx context.Context, a form.Answers) (command.Outcome, *wire.Error)) command.Command {
	c := command.Command{
		Node: NS + "#" + node, Name: name, May: s.Is,
		Do: func(ctx context.Context, x *command.Execution) (command.Outcome, *wire.Error) {
			out, why := do(ctx, x.Answers)
			if why == nil {
				s.rec.Count("admin." + node)
			}
			return out, why
		},
	}
	if fields != nil {
		c.Stages = []command.Stage{{Type: NS, Form: func(ctx context.Context, _ *command.Execution, f *form.Sheet) *wire.Error {
			f.Words("title", name)
			return fields(ctx, f)
		}}}
	}
	return c
}

// sheet begins the form of a result.
func sheet() *form.Sheet { return form.New(nil, "result", NS) }

var (
	errStore   = &wire.Error{Type: mstanza.Wait, Condition: mstanza.InternalServerError, Text: "the store does not answer"}
	errTaken   = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.Conflict, Text: "there is such an account already"}
	errAbsent  = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.ItemNotFound, Text: "there is no such account"}
	errYou     = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.NotAllowed, Text: "administrators do not disable or delete themselves or one another; the configuration says who is one"}
	errNothing = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.ItemNotFound, Text: "there is no message of the day"}
)

// failed turns an error of the store into the answer.
func (s *Service) failed(err error) *wire.Error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrExists):
		return errTaken
	case errors.Is(err, store.ErrNotFound):
		return errAbsent
	case errors.Is(err, store.ErrInvalid):
		return command.Bad("the address cannot be stored")
	}
	s.rec.Hurt("admin.store", "", "err", err.Error())
	return errStore
}

// account reads the address of an account here.
func (s *Service) account(text string) (wire.Addr, *wire.Error) {
	a, err := wire.ParseAddr(text)
	if err != nil || !a.IsBare() || a.Local() == "" || a.Domain() != string(s.domain) {
		return "", command.Bad("an address like name@" + string(s.domain) + " is needed")
	}
	return a, nil
}

// mostAtOnce bounds the accounts of one command.
const mostAtOnce = 100

// accounts reads the field accountjids.
func (s *Service) accounts(a form.Answers) ([]wire.Addr, *wire.Error) {
	var list []wire.Addr
	for _, text := range a["accountjids"] {
		if text == "" {
			continue
		}
		one, why := s.account(text)
		if why != nil {
			return nil, why
		}
		list = append(list, one)
	}
	if len(list) == 0 || len(list) > mostAtOnce {
		return nil, command.Bad("one to 100 accounts are needed")
	}
	return list, nil
}

// credentials are what is stored for the password in a form.
func credentials(a form.Answers) ([]store.Credential, *wire.Error) {
	if again, asked := a["password-verify"]; asked && (len(again) != 1 || again[0] != a.One("password")) {
		return nil, command.Bad("the passwords differ")
	}
	c, err := auth.NewCredentials(a.One("password"))
	if err != nil {
		return nil, command.Bad("the password is empty, too long, or holds control characters")
	}
	return c, nil
}
