// Package register lets people make an account of their own, change its password and remove it, from a client (XEP-0077,
// without forms and without the registration at other services). All of it is off unless the administrator turns it on, but for
// accounts that are made with an invitation (XEP-0445).
//
// A new account costs the server a few milliseconds and a row for good, so each source may make few of them.
package register

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"parley/internal/event"
	"parley/internal/limit"
	"parley/internal/store"
	"parley/xmpp/auth"
	"parley/xmpp/route"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// Namespaces of XEP-0077 and XEP-0445.
const (
	NS        = "jabber:iq:register"
	NSFeature = "http://jabber.org/features/iq-register"
	NSPreauth = "urn:xmpp:pars:0" // XEP-0379
)

// Config is what an administrator may set.
type Config struct {
	Open   bool       `help:"anyone may make an account (XEP-0077)"`
	Change bool       `help:"people may change the password of their account and remove it from a client (XEP-0077)"`
	Rate   limit.Rate `help:"new accounts of one source"`
}

// Defaults is: off, and where it is turned on ten, then one a minute.
func Defaults() Config { return Config{Rate: limit.Rate{PerSecond: 1.0 / 60, Burst: 10}} }

// Accounts is what registration needs of the store.
type Accounts interface {
	CreateAccount(ctx context.Context, a store.Account) error
	SetCredentials(ctx context.Context, addr string, c []store.Credential) error
	DeleteAccount(ctx context.Context, addr string) error
}

// Sessions ends those of an account (hardening HA8); the one that except names, if any, goes on.
type Sessions interface {
	RevokeOthers(account, except wire.Addr)
}

// Invitations are what accounts can be made with while registration is not open.
type Invitations interface {
	// Accounts reports that there may be some.
	Accounts() bool
	// Invitation returns one that is good now, or store.ErrNotFound.
	Invitation(ctx context.Context, token string) (store.Invite, error)
	// Register makes an account with one, which may have expired since; store.ErrNotFound says that it was used.
	Register(ctx context.Context, i store.Invite, a store.Account) error
	// Kept reports that an address is not for everybody.
	Kept(ctx context.Context, addr wire.Addr) (bool, error)
}

// Work runs work of an account where it may wait for the store; false: too much waits already.
type Work func(account wire.Addr, work func(b *wire.Batch)) bool

// Service answers for one host. It is safe for concurrent use.
type Service struct {
	cfg      Config
	domain   wire.Addr
	accounts Accounts
	sessions Sessions
	do       Work
	sources  *limit.Sources[netip.Addr]
	guesses  *limit.Sources[netip.Addr] // of tokens
	invites  Invitations                // nil: there are none
	rec      *event.Recorder
}

// New returns the service of a domain. Rec may be nil.
func New(cfg Config, domain wire.Addr, accounts Accounts, sessions Sessions, do Work, rec *event.Recorder) *Service {
	return &Service{
		cfg: cfg, domain: domain, accounts: accounts, sessions: sessions, do: do, rec: rec,
		sources: limit.NewSources[netip.Addr](0, cfg.Rate, 1<<14),
		guesses: limit.NewSources[netip.Addr](0, cfg.Rate, 1<<14),
	}
}

// Invite has accounts be made with invitations. It is called before the first client.
func (s *Service) Invite(i Invitations) { s.invites = i }

// Invites reports that people may make an account with an invitation.
func (s *Service) Invites() bool { return s.invites != nil && s.invites.Accounts() }

// Open reports that people who are not logged in may make accounts.
func (s *Service) Open() bool { return s.cfg.Open }

var (
	errRequest   = &wire.Error{Type: mstanza.Modify, Condition: mstanza.BadRequest, Text: "a registration has a user name and a password"}
	errMissing   = &wire.Error{Type: mstanza.Modify, Condition: mstanza.NotAcceptable, Text: errRequest.Text} // XEP-0077 §3.1
	errName      = &wire.Error{Type: mstanza.Modify, Condition: mstanza.NotAcceptable, Text: "the user name cannot be part of an address"}
	errPassword  = &wire.Error{Type: mstanza.Modify, Condition: mstanza.NotAcceptable, Text: "the password is empty, too long, or holds control characters"}
	errTaken     = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.Conflict, Text: "the user name is taken"}
	errRate      = &wire.Error{Type: mstanza.Wait, Condition: mstanza.ResourceConstraint, Text: "too many new accounts from here, wait a while"}
	errBusy      = &wire.Error{Type: mstanza.Wait, Condition: mstanza.ResourceConstraint, Text: "too much waits already"}
	errStore     = &wire.Error{Type: mstanza.Wait, Condition: mstanza.InternalServerError, Text: "accounts cannot be changed now"}
	errOther     = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.NotAllowed, Text: "only the own password can be changed"}
	errClosed    = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.NotAllowed, Text: "accounts are made by the administrator"}
	errUninvited = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.NotAllowed, Text: "accounts are made with an invitation"}
	errToken     = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.ItemNotFound, Text: "the invitation is unknown, used, or has expired"}
	errOtherName = &wire.Error{Type: mstanza.Modify, Condition: mstanza.NotAcceptable, Text: "the invitation is for another user name"}
	errGuest     = &wire.Error{Type: mstanza.Auth, Condition: mstanza.Forbidden, Text: "guests have no account"}
	errLogin     = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.UnexpectedRequest, Text: "log in to remove your account"}
	errGone      = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.ItemNotFound, Text: "there is no such account"}
)

// fields are what a client has to fill in (XEP-0077 §3.1); name is kept for it, or "".
func fields(name string) []byte {
	out := []byte("<query xmlns='" + NS + "'><instructions>Choose a user name and a password.</instructions>")
	if name == "" {
		out = append(out, "<username/>"...)
	} else {
		out = wire.AppendElem(out, "username", wire.Addr(name).Local())
	}
	return append(out, "<password/></query>"...)
}

// Preauth answers the token of somebody who is not logged in (XEP-0445 §4), and returns the invitation that it stands for, nil if
// it is none. It waits for the store.
func (s *Service) Preauth(ctx context.Context, source netip.Addr, p *wire.Packet) (wire.Stanza, *store.Invite) {
	if !s.allowed(s.guesses, source) {
		return errRate.ErrorTo(p, s.domain), nil
	}
	i, err := s.invites.Invitation(ctx, p.Elem().Child("preauth", NSPreauth).AttrString("token"))
	if err != nil {
		if errors.Is(err, store.ErrNotFound) {
			s.rec.Reject("register.token", source.String())
			return errToken.ErrorTo(p, s.domain), nil
		}
		return s.failed(err).ErrorTo(p, s.domain), nil
	}
	return p.Result(s.domain, nil), &i
}

// Register answers the request of somebody who is not logged in (XEP-0077 §3.1) and has this invitation, if any. It waits for the
// store.
func (s *Service) Register(ctx context.Context, source netip.Addr, invite *store.Invite, p *wire.Packet) wire.Stanza {
	if !s.cfg.Open && invite == nil {
		if s.Invites() {
			return errUninvited.ErrorTo(p, s.domain)
		}
		return errClosed.ErrorTo(p, s.domain)
	}
	if string(p.Type()) == "get" {
		name := ""
		if invite != nil {
			name = invite.Name
		}
		return p.Result(s.domain, fields(name))
	}
	query := p.Elem().Child("query", NS)
	if query.Child("remove", NS).Ok() {
		return errLogin.ErrorTo(p, s.domain)
	}
	if e := s.create(ctx, source, invite, query.Child("username", NS).Text(), query.Child("password", NS).Text()); e != nil {
		return e.ErrorTo(p, s.domain)
	}
	return p.Result(s.domain, nil)
}

func (s *Service) create(ctx context.Context, source netip.Addr, invite *store.Invite, name, password string) *wire.Error {
	if name == "" || password == "" {
		return errMissing
	}
	addr, err := wire.ParseAddr(name + "@" + string(s.domain))
	if err != nil || !addr.IsBare() || addr.Local() == "" || addr.Domain() != string(s.domain) {
		return errName
	}
	invited := invite != nil && invite.Name != ""
	if invited && invite.Name != string(addr) {
		return errOtherName
	}
	if !s.allowed(s.sources, source) {
		return errRate
	}
	if s.invites != nil && !invited {
		kept, err := s.invites.Kept(ctx, addr)
		if err != nil {
			return s.failed(err)
		}
		if kept {
			return errTaken
		}
	}
	credentials, err := auth.NewCredentials(password)
	if err != nil {
		return errPassword
	}
	a := store.Account{Addr: string(addr), Created: time.Now(), Credentials: credentials}
	if invite == nil {
		return s.failed(s.accounts.CreateAccount(ctx, a))
	}
	if err = s.invites.Register(ctx, *invite, a); errors.Is(err, store.ErrNotFound) {
		return errToken
	}
	return s.failed(err)
}

// allowed counts a try of a source.
func (s *Service) allowed(sources *limit.Sources[netip.Addr], source netip.Addr) bool {
	source = limit.Source(source)
	if !sources.Open(source, time.Now()) {
		s.rec.Reject("limit.register", source.String())
		return false
	}
	sources.Close(source)
	return true
}

// failed turns an error of the store into the answer.
func (s *Service) failed(err error) *wire.Error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrExists):
		return errTaken
	case errors.Is(err, store.ErrNotFound):
		return errGone
	case errors.Is(err, store.ErrInvalid):
		return errName
	}
	s.rec.Hurt("auth.store", "", "err", err.Error())
	return errStore
}

// patience is how long a change may wait for the store.
const patience = 20 * time.Second

// Handle answers the request of somebody who is logged in (XEP-0077 §3.2, §3.3), in the reader's goroutine.
func (s *Service) Handle(b *wire.Batch, from route.Sender, p *wire.Packet) {
	reply := func(b *wire.Batch, e *wire.Error, p *wire.Packet, payload []byte) {
		if e != nil {
			from.Deliver(b, "", e.ErrorTo(p, s.domain))
		} else {
			from.Deliver(b, "", p.Result(s.domain, payload))
		}
	}
	account := from.Addr().Bare()
	switch {
	case from.Guest():
		reply(b, errGuest, p, nil)
		return
	case !s.cfg.Change:
		reply(b, errClosed, p, nil)
		return
	case string(p.Type()) == "get":
		payload := append([]byte("<query xmlns='"+NS+"'><registered/>"), wire.AppendElem(nil, "username", account.Local())...)
		reply(b, nil, p, append(payload, "<password/></query>"...))
		return
	}
	query := p.Elem().Child("query", NS)
	name, password := query.Child("username", NS).Text(), query.Child("password", NS).Text()
	remove := query.Child("remove", NS).Ok()
	addr, err := wire.ParseAddr(name + "@" + string(s.domain))
	switch {
	case remove:
	case name == "" || password == "":
		reply(b, errRequest, p, nil)
		return
	case err != nil || addr != account:
		reply(b, errOther, p, nil)
		return
	}
	p = p.Clone()
	work := func(b *wire.Batch) {
		ctx, done := context.WithTimeout(context.Background(), patience)
		defer done()
		if remove {
			e := s.failed(s.accounts.DeleteAccount(ctx, string(account)))
			reply(b, e, p, nil)
			if e == nil {
				b.Flush() // the answer is the last that the session hears
				s.sessions.RevokeOthers(account, "")
			}
			return
		}
		e := s.change(ctx, account, password)
		reply(b, e, p, nil)
		if e == nil {
			s.sessions.RevokeOthers(account, from.Addr())
		}
	}
	if !s.do(account, work) {
		reply(b, errBusy, p, nil)
	}
}

func (s *Service) change(ctx context.Context, account wire.Addr, password string) *wire.Error {
	credentials, err := auth.NewCredentials(password)
	if err != nil {
		return errPassword
	}
	return s.failed(s.accounts.SetCredentials(ctx, string(account), credentials))
}
