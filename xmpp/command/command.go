// Package command offers ad-hoc commands on the server's own domain (XEP-0050): what somebody may do is listed by service
// discovery, and done by filling in forms, one after another. Commands run in the goroutine of the account that executes them,
// where they may wait for the store.
//
// An execution that is under way is a session: it belongs to the full address that began it, and ends when it is completed,
// cancelled, or nobody goes on with it for some time. Sessions are few per account and bounded as a whole.
package command

import (
	"context"
	"time"

	"parley/internal/event"
	"parley/xmpp/form"
	"parley/xmpp/route"
	"parley/xmpp/wire"

	mstanza "mellium.im/xmpp/stanza"
)

// NS is the namespace of XEP-0050, and the node of the list of commands.
const NS = "http://jabber.org/protocol/commands"

// Namespaces of service discovery.
const (
	nsInfo  = "http://jabber.org/protocol/disco#info"
	nsItems = "http://jabber.org/protocol/disco#items"
)

// Bounds of executions.
const (
	mostSessions = 2048             // under way at all
	mostOwn      = 8                // of one account
	lifetime     = 15 * time.Minute // since the last step
	patience     = 30 * time.Second // of a step, for the store
)

// Command is something that somebody may do.
type Command struct {
	Node, Name string
	May        func(who wire.Addr) bool // who, a bare address of an account here, may execute it
	Stages     []Stage                  // forms that are filled in one after another; none: it is done at once
	Do         func(ctx context.Context, x *Execution) (Outcome, *wire.Error)
}

// Stage is a form of a command.
type Stage struct {
	Type  string                                                                          // the FORM_TYPE
	Form  func(ctx context.Context, x *Execution, f *form.Sheet) *wire.Error              // writes the fields
	Check func(ctx context.Context, x *Execution, answers form.Answers) (why *wire.Error) // says what is wrong with what was filled in; may be nil
}

// Execution is what a command knows while it runs.
type Execution struct {
	By      route.Sender
	Answers form.Answers // of all stages so far
}

// Account returns the bare address of who executes the command.
func (x *Execution) Account() wire.Addr { return x.By.Addr().Bare() }

// Outcome is what becomes of a command.
type Outcome struct {
	Note string            // for a person; may be empty
	Warn bool              // the note is a warning
	Form []byte            // a complete form of the type "result"; may be empty
	Then func(*wire.Batch) // is called after the answer was sent; may be nil
}

// Work runs work of an account where it may wait for the store; false: too much waits already.
type Work func(account wire.Addr, work func(b *wire.Batch)) bool

// Service has the commands of one domain. Commands are added before the first session; after that it is safe for concurrent
// use.
type Service struct {
	domain   wire.Addr
	do       Work
	rec      *event.Recorder
	commands []*Command
	sessions sessions
}

// New returns the service of a domain without commands. Rec may be nil.
func New(domain wire.Addr, do Work, rec *event.Recorder) *Service {
	return &Service{domain: domain, do: do, rec: rec, sessions: newSessions()}
}

// Add adds commands.
func (s *Service) Add(list ...Command) {
	for i := range list {
		s.commands = append(s.commands, &list[i])
	}
}

func (s *Service) find(node string) *Command {
	for _, c := range s.commands {
		if c.Node == node {
			return c
		}
	}
	return nil
}

// may reports that a sender may execute a command.
func (s *Service) may(c *Command, from route.Sender) bool {
	return !from.Guest() && from.Addr().Domain() == string(s.domain) && from.Addr().Local() != "" && c.May(from.Addr().Bare())
}

func failure(typ mstanza.ErrorType, condition mstanza.Condition, app, text string) *wire.Error {
	e := &wire.Error{Type: typ, Condition: condition, Text: text}
	if app != "" {
		e.App = "<" + app + " xmlns='" + NS + "'/>"
	}
	return e
}

// Errors of XEP-0050 §3.4.
var (
	errNoCommand = failure(mstanza.Cancel, mstanza.ItemNotFound, "", "there is no such command")
	errForbidden = failure(mstanza.Auth, mstanza.Forbidden, "", "this command is not for you")
	errAction    = failure(mstanza.Modify, mstanza.BadRequest, "malformed-action", "there is no such action")
	errNotNow    = failure(mstanza.Modify, mstanza.BadRequest, "bad-action", "this action is not possible now")
	errPayload   = failure(mstanza.Modify, mstanza.BadRequest, "bad-payload", "the form is missing or none")
	errSession   = failure(mstanza.Modify, mstanza.BadRequest, "bad-sessionid", "there is no such execution")
	errExpired   = failure(mstanza.Cancel, mstanza.NotAllowed, "session-expired", "the execution has expired")
	errBusy      = failure(mstanza.Wait, mstanza.ResourceConstraint, "", "too much waits already")
	errGet       = failure(mstanza.Modify, mstanza.BadRequest, "", "commands are executed, not asked for")
)

// Bad is the error for what was filled in wrong, in words for a person.
func Bad(text string) *wire.Error {
	return failure(mstanza.Modify, mstanza.BadRequest, "bad-payload", text)
}
