package muc

import (
	"cmp"
	"errors"
	"time"

	"parley/internal/limit"
	"parley/internal/token"
	"parley/xmpp/wire"
)

// Config is how the rooms of one domain are run. The zero value of a field stands for its default.
type Config struct {
	Domain string `help:"domain of the rooms" toml:"domain"`
	Focus  string `help:"full address of the conference focus, default focus@auth.DOMAIN/focus" toml:"focus"`
	Node   string `help:"name of this node, which owns the rooms that it serves" toml:"node"`
	Limits Limits `help:"what rooms and their occupants may cost" toml:"limits"`
}

// Limits are what a room and those in it may cost (hardening.md §1).
type Limits struct {
	Create        Creators      `help:"who may create rooms: anyone, accounts (and tokens), moderators (by token)" toml:"create"`
	Occupants     int           `help:"sessions in a room" toml:"occupants"`
	Joined        int           `help:"rooms that a session may be in" toml:"joined"`
	Created       int           `help:"rooms that a user may have created" toml:"created"`
	Affiliations  int           `help:"addresses on a room's lists" toml:"affiliations"`
	Presence      int           `help:"bytes of a presence" toml:"presence"`
	Children      int           `help:"child elements of a presence" toml:"children"`
	Admission     limit.Rate    `help:"people let into a room" toml:"admission"`
	Queue         int           `help:"people who wait to be let in" toml:"queue"`
	Mailbox       int           `help:"packets that wait for a room" toml:"mailbox"`
	MailboxBytes  int           `help:"bytes of packets that wait for a room, or for the store" toml:"mailbox_bytes"`
	Pending       int           `help:"messages that wait for the store" toml:"pending"`
	Rename        limit.Rate    `help:"changes of nickname of an occupant" toml:"rename"`
	Invites       limit.Rate    `help:"invitations of a room" toml:"invites"`
	Guesses       limit.Rate    `help:"rooms that are not there, or hidden, asked for by a source" toml:"guesses"`
	CoalesceAbove int           `help:"sessions above which presence is told to the others a little later" toml:"coalesce_above"`
	Coalesce      time.Duration `help:"how much later" toml:"coalesce"`
	History       int           `help:"messages that a newcomer is given at most" toml:"history"`
	Keep          int           `help:"messages that the store keeps of a persistent room" toml:"keep"`
	Unlocked      bool          `help:"new rooms are open at once, without waiting for their configuration" toml:"unlocked"`
	Unlock        time.Duration `help:"how long a new room waits for its configuration" toml:"unlock"`
	Idle          time.Duration `help:"how long a persistent room without occupants stays in memory" toml:"idle"`
	Unmet         time.Duration `help:"how long a conference waits for its first occupant" toml:"unmet"`
	Default       settings      `toml:"-"`
	// Revoked reports that a token is not good any more, of somebody who logged in with it; nil: all are.
	Revoked  func(*token.Claims) bool `toml:"-"`
	Also     []byte                   `toml:"-"` // what all say of themselves: see Service.Describe
	Archived bool                     `toml:"-"` // persistent rooms have archives: see Service.SetArchive
}

// Creators are who may create rooms.
type Creators string

// The values of Creators.
const (
	Anyone     Creators = "anyone"
	Accounts   Creators = "accounts"   // who logged in with an account, or with a token for the room
	Moderators Creators = "moderators" // who brings a token that makes a moderator
)

func (c Creators) allows(guest bool, claims *token.Claims) bool {
	switch c {
	case Anyone:
		return true
	case Moderators:
		return lends(claims)
	}
	return !guest || claims != nil
}

// check fills in the defaults.
func (c *Config) check() error {
	if c.Domain == "" {
		return errors.New("muc: a domain is needed")
	}
	domain, err := wire.ParseAddr(c.Domain)
	if err != nil || domain.Local() != "" || !domain.IsBare() {
		return errors.New("muc: the domain is none: " + c.Domain)
	}
	c.Domain = string(domain)
	c.Node = cmp.Or(c.Node, "node")
	c.Focus = cmp.Or(c.Focus, focusNick+"@auth."+c.Domain+"/"+focusNick)
	focus, err := wire.ParseAddr(c.Focus)
	if err != nil || focus.Local() == "" || focus.IsBare() {
		return errors.New("muc: the focus needs a full address: " + c.Focus)
	}
	c.Focus = string(focus)
	switch c.Limits.Create {
	case "":
		c.Limits.Create = Anyone
	case Anyone, Accounts, Moderators:
	default:
		return errors.New("muc: rooms are created by anyone, accounts or moderators, not by " + string(c.Limits.Create))
	}
	c.Limits.fill()
	return nil
}

// DefaultLimits are those of hardening.md §1 and the design.
func DefaultLimits() Limits {
	l := Limits{Create: Anyone}
	l.fill()
	return l
}

func (l *Limits) fill() {
	or(&l.Occupants, 500)
	or(&l.Joined, 50)
	or(&l.Created, 20)
	or(&l.Affiliations, 5000)
	or(&l.Presence, 8<<10)
	or(&l.Children, 128)
	or(&l.Admission, limit.Rate{PerSecond: 250, Burst: 50})
	or(&l.Queue, 1000)
	or(&l.Mailbox, 4096)
	or(&l.MailboxBytes, 16<<20)
	or(&l.Pending, 256)
	or(&l.Rename, limit.Rate{PerSecond: 0.2, Burst: 1})
	or(&l.Invites, limit.Rate{PerSecond: 2, Burst: 50})
	or(&l.Guesses, limit.Rate{PerSecond: 5, Burst: 200})
	or(&l.CoalesceAbove, 20)
	or(&l.Coalesce, 50*time.Millisecond)
	or(&l.History, 50)
	or(&l.Keep, 1000)
	or(&l.Unlock, 10*time.Minute)
	or(&l.Idle, time.Minute)
	or(&l.Unmet, time.Minute)
	or(&l.Default, defaults(min(20, l.History)))
}

func or[T comparable](p *T, otherwise T) { *p = cmp.Or(*p, otherwise) }
