// Package invite has people invite others: to be a contact of theirs (XEP-0379), and to make an account here, while nobody else
// may (XEP-0401, XEP-0445). An invitation is a link with a random token. It is good once and for some days, is kept by the store
// as a digest only, and goes with the account of who made it.
//
// Clients ask for invitations by ad-hoc commands. A request for subscription that carries a token of the account that it is for
// is granted at once, and answered in kind. Who makes an account with a token becomes a contact of the inviter, if that was
// wished.
package invite

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/url"
	"time"

	"parley/internal/event"
	"parley/internal/store"
	"parley/xmpp/command"
	"parley/xmpp/form"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// Nodes of the commands and type of their forms (XEP-0401 §3).
const (
	nodeInvite = "urn:xmpp:invite#invite"
	nodeCreate = "urn:xmpp:invite#create-account"
	formResult = "urn:xmpp:invite#invitation"
	formCreate = "urn:xmpp:invite#create-account"
)

// Config is what an administrator may set.
type Config struct {
	Contacts bool          `help:"people may invite others to be their contacts"`
	Accounts string        `help:"whose invitations make accounts here, also while registration is not open: admins, everybody, nobody"`
	Lifetime time.Duration `help:"how long an invitation is good"`
	Open     int           `help:"invitations of one account that may be open at a time"`
}

// Defaults are a week, and accounts by administrators only.
func Defaults() Config {
	return Config{Contacts: true, Accounts: "admins", Lifetime: 7 * 24 * time.Hour, Open: 50}
}

// Check says what is wrong with a configuration.
func (c *Config) Check() error {
	switch {
	case c.Accounts != "admins" && c.Accounts != "everybody" && c.Accounts != "nobody":
		return errors.New(`config: invite.accounts = "` + c.Accounts + `" is neither "admins", "everybody" nor "nobody"`)
	case c.Lifetime < time.Minute || c.Open < 1:
		return errors.New("config: invite.lifetime must be at least 1m, invite.open at least 1")
	}
	return nil
}

// Friends makes contacts.
type Friends interface {
	// Befriend has two accounts see each other. It waits for the store.
	Befriend(ctx context.Context, one, other wire.Addr) error
}

// Service has the invitations of one domain. It is safe for concurrent use.
type Service struct {
	cfg     Config
	domain  wire.Addr
	admins  []wire.Addr
	store   store.Invites
	friends Friends
	landing func(token string) string // address of the page for a token, "" if there is none
	rec     *event.Recorder
}

// New returns the service of a domain. Landing and rec may be nil.
func New(cfg Config, domain wire.Addr, admins []wire.Addr, s store.Invites, friends Friends, landing func(token string) string, rec *event.Recorder) *Service {
	if landing == nil {
		landing = func(string) string { return "" }
	}
	return &Service{cfg: cfg, domain: domain, admins: admins, store: s, friends: friends, landing: landing, rec: rec}
}

// Accounts reports that there may be invitations with which an account can be made.
func (s *Service) Accounts() bool {
	return s.cfg.Accounts == "everybody" || s.cfg.Accounts == "admins" && len(s.admins) > 0
}

// makes reports that an account's invitations make accounts.
func (s *Service) makes(who wire.Addr) bool {
	switch s.cfg.Accounts {
	case "everybody":
		return true
	case "admins":
		return s.isAdmin(who)
	}
	return false
}

func (s *Service) isAdmin(who wire.Addr) bool {
	for _, a := range s.admins {
		if a == who {
			return true
		}
	}
	return false
}

var (
	errStore = &wire.Error{Type: mstanza.Wait, Condition: mstanza.InternalServerError, Text: "the store does not answer"}
	errMany  = &wire.Error{Type: mstanza.Wait, Condition: mstanza.ResourceConstraint, Text: "too many of your invitations are open"}
	errTaken = &wire.Error{Type: mstanza.Cancel, Condition: mstanza.Conflict, Text: "the name is taken"}
	errYou   = &wire.Error{Type: mstanza.Auth, Condition: mstanza.Forbidden, Text: "you have no account that may invite"}
)

// Commands are those of XEP-0401 §5.
func (s *Service) Commands() []command.Command {
	return []command.Command{{
		Node: nodeInvite, Name: "Invite somebody to be a contact",
		May: func(who wire.Addr) bool { return s.cfg.Contacts },
		Do: func(ctx context.Context, x *command.Execution) (out command.Outcome, why *wire.Error) {
			return s.make(ctx, store.Invite{Inviter: string(x.Account()), Register: s.makes(x.Account()), Subscribe: true})
		},
	}, {
		Node: nodeCreate, Name: "Invite somebody to make an account",
		May: s.makes,
		Stages: []command.Stage{{Type: formCreate, Form: func(_ context.Context, _ *command.Execution, f *form.Sheet) *wire.Error {
			f.Words("title", "Invite somebody to make an account")
			f.Field("username", "text-single", "User name, kept for the invited; empty: any that is free")
			f.Flag("roster-subscription", "The invited becomes a contact of yours", false)
			return nil
		}}},
		Do: func(ctx context.Context, x *command.Execution) (out command.Outcome, why *wire.Error) {
			i := store.Invite{Inviter: string(x.Account()), Register: true}
			if !x.Answers.Flag("roster-subscription", &i.Subscribe) {
				return out, command.Bad("roster-subscription is 0 or 1")
			}
			var name string
			x.Answers.Text("username", &name)
			if name != "" {
				addr, err := wire.ParseAddr(name + "@" + string(s.domain))
				if err != nil || !addr.IsBare() || addr.Local() == "" || addr.Domain() != string(s.domain) {
					return out, command.Bad("the user name cannot be part of an address")
				}
				i.Name = string(addr)
			}
			return s.make(ctx, i)
		},
	}}
}

// make keeps an invitation and says how it is passed on.
func (s *Service) make(ctx context.Context, i store.Invite) (out command.Outcome, why *wire.Error) {
	token := rand.Text()
	i.Digest, i.Created = digest(token), time.Now()
	i.Expires = i.Created.Add(s.cfg.Lifetime)
	switch err := s.store.AddInvite(ctx, i, s.cfg.Open); {
	case errors.Is(err, store.ErrQuota):
		s.rec.Count("limit.invites")
		return out, errMany
	case errors.Is(err, store.ErrExists):
		return out, errTaken
	case errors.Is(err, store.ErrNotFound):
		return out, errYou
	case err != nil:
		s.rec.Hurt("invite.store", i.Inviter, "err", err.Error())
		return out, errStore
	}
	f := form.New(nil, "result", formResult)
	f.Field("uri", "text-single", "Link for the client", s.uri(&i, token))
	if page := s.landing(token); page != "" {
		f.Field("landing-url", "text-single", "Page that explains it", page)
	}
	f.Field("expire", "text-single", "Good until", i.Expires.UTC().Format("2006-01-02T15:04:05Z"))
	out.Form = f.End()
	return out, nil
}

// digest is what is kept of a token. It has more than 100 random bits, so that no salt is needed.
func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// uri is the link of XEP-0379 §3.2 or XEP-0445 §2.
func (s *Service) uri(i *store.Invite, token string) string {
	addr := func(a string) string {
		if local := wire.Addr(a).Local(); local != "" {
			return "xmpp:" + url.PathEscape(local) + "@" + wire.Addr(a).Domain()
		}
		return "xmpp:" + a
	}
	switch {
	case !i.Register:
		return addr(i.Inviter) + "?roster;preauth=" + token
	case i.Name != "":
		return addr(i.Name) + "?register;preauth=" + token
	case i.Subscribe:
		return addr(i.Inviter) + "?roster;preauth=" + token + ";ibr=y"
	}
	return addr(string(s.domain)) + "?register;preauth=" + token
}
