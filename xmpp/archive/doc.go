// Package archive keeps what accounts say to each other and lets them, and who may read a room, find it again: message
// archives (XEP-0313 with its extended features), their preferences (XEP-0441), paging (XEP-0059) and the ids by which
// messages are known in them (XEP-0359).
//
// A Service archives messages of accounts (keep.go): it decides what is worth it (worth.go), asks the preferences
// (prefs.go), and makes the ids (clock.go), which are UUIDs of version 7, so that the order of ids is the order of the
// archive and the store needs no other number. It answers the account's own sessions (service.go) in the account's
// goroutine; Rooms answers for rooms, whose messages muc stores, once the room has said who may read. Both read a query
// (query.go), ask the store for one page and send it (page.go). A page is bounded in messages and in bytes, since it goes
// into the asker's queue at once: who wants more asks for the next one.
//
// A page does not say how many messages there are in all, which would have to be counted; who asks for a page of none is told
// (XEP-0059 §2.7).
package archive

import (
	"errors"
	"time"

	"parley/internal/store"
)

// Namespaces.
const (
	NS          = "urn:xmpp:mam:2"
	NSExtended  = NS + "#extended"
	NSGroupchat = NS + "#groupchat-field"
	NSForward   = "urn:xmpp:forward:0"                        // XEP-0297
	NSDelay     = "urn:xmpp:delay"                            // XEP-0203
	NSResultSet = "http://jabber.org/protocol/rsm"            // XEP-0059
	NSData      = "jabber:x:data"                             // XEP-0004
	NSValidate  = "http://jabber.org/protocol/xdata-validate" // XEP-0122
	NSHints     = "urn:xmpp:hints"                            // XEP-0334
	NSUser      = "http://jabber.org/protocol/muc#user"
	NSRetract   = "urn:xmpp:message-retract:1" // XEP-0424
)

// Features are what an address with an archive says of itself (XEP-0313 §7, XEP-0424 §2).
var Features = []string{NS, NSExtended, NSGroupchat, "urn:xmpp:sid:0", NSRetract}

// HostFeatures are what the accounts' server says of itself. The specification has clients ask the account, but some ask the
// server alone (profanity 0.13), which therefore answers for the account of whoever asks it.
var HostFeatures = []string{NS, NSExtended, NSGroupchat}

// Config says what is archived and for how long.
type Config struct {
	Enabled  bool                `help:"messages of accounts are archived, and archives of accounts and persistent rooms can be read (XEP-0313)"`
	Default  store.ArchivePolicy `help:"what is archived of an account that has not chosen itself: always, roster (what is said with its contacts) or never"`
	Days     int                 `help:"days after which messages are removed, those of rooms too; 0: never"`
	Messages int                 `help:"messages in the archive of an account, beyond which the oldest go; rooms have rooms.keep"`
	Bytes    int64               `help:"bytes of messages in the archive of an account, beyond which the oldest go"`
}

// DefaultConfig archives everything for a year, at most 100,000 messages or 256 MiB of an account.
func DefaultConfig() Config {
	return Config{Enabled: true, Default: store.ArchiveAlways, Days: 365, Messages: 100_000, Bytes: 256 << 20}
}

// Check says what is wrong with a configuration.
func (c *Config) Check() error {
	switch c.Default {
	case store.ArchiveAlways, store.ArchiveNever, store.ArchiveRoster:
	default:
		return errors.New(`archive.default = "` + string(c.Default) + `" is neither "always", "roster" nor "never"`)
	}
	switch {
	case c.Days < 0 || c.Days > 36_500:
		return errors.New("archive.days must be between 0 and 36500")
	case c.Messages < 100:
		return errors.New("archive.messages must be at least 100")
	case c.Bytes < 1<<20:
		return errors.New("archive.bytes must be at least 1048576")
	}
	return nil
}

// retention is how long messages stay, 0 for ever.
func (c *Config) retention() time.Duration { return time.Duration(c.Days) * 24 * time.Hour }
