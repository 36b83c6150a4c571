// Package records keeps who was in calls, with whom, how long, by which way, how well, and what it costs: one set of records for
// every door, in the tables of the RoomServer protocol.
//
// The Book knows who is in which room at present, and writes a record of each change. Records go to the Spool, a folder of files that
// survives the process, and from there to the store; so no call ever waits for the database, and what could not be
// delivered comes later, or from the next process. A record that is delivered twice is there once: it has an id, which a process that
// takes up a call after another one makes again from who joined when.
//
// The spool is bounded: when it is nearly full reports on quality are left out first, then everything, and both are counted
// (records.drop).
package records

import (
	"errors"
	"fmt"
	"time"

	"parley/internal/store"
	"parley/portal/report"
)

// Config is what an administrator may set.
type Config struct {
	Enabled bool          `help:"keep records of calls: who was in which room with whom, from when to when, from which address, by which way and how well"`
	Keep    time.Duration `help:"records are removed after that; 0: never"`
	Pairs   int           `help:"in a room with more members than that, no more records are made of who talked with whom: they are as many as pairs of members"`
	Spool   int64         `help:"bytes in the data directory that records take at most that could not be delivered to the store yet"`
	Rate    []Rate        `help:"what a call costs. The first block that fits counts; without one that fits it costs nothing"`
	Report  report.Config `help:"the report of each day"`
}

// Rate is the price of talking with one other member.
type Rate struct {
	App     string `help:"appId of the application; empty: all"`
	Connect string `help:"by which way: TURN, STUN, SFU or Unknown; empty: all"`
	Talk    string `help:"what: audio, both, video or none; empty: all"`
	Cents   int64  `help:"for each minute that has begun"`
}

// Defaults are the defaults.
func Defaults() Config {
	return Config{Enabled: true, Keep: 365 * 24 * time.Hour, Pairs: 100, Spool: 64 << 20, Report: report.Defaults()}
}

// talkTypes are the words for store.TalkSession.Talk.
var talkTypes = [...]string{"audio", "both", "video", "none"}

// Talk types.
const (
	TalkAudio = iota
	TalkBoth
	TalkVideo
	TalkNone
)

// Ways that media take between two members.
const (
	Relayed = "TURN"
	Direct  = "STUN"
	Bridged = "SFU"
	Unknown = "Unknown"
)

func among(s string, list ...string) bool {
	for _, one := range list {
		if s == one {
			return true
		}
	}
	return false
}

// Check reports what cannot be.
func (c *Config) Check() error {
	switch {
	case c.Keep < 0 || c.Keep > 0 && c.Keep < 48*time.Hour:
		return errors.New("records.keep is 0, or at least 48h, so that the report of a day finds them")
	case c.Pairs < 0 || c.Pairs > 1000:
		return errors.New("records.pairs is not between 0 and 1000")
	case c.Spool < 1<<20:
		return errors.New("records.spool is at least 1048576")
	}
	for _, r := range c.Rate {
		if !among(r.Connect, "", Relayed, Direct, Bridged, Unknown) || !among(r.Talk, append(talkTypes[:], "")...) || r.Cents < 0 || r.Cents > 1_000_000 {
			return fmt.Errorf("records.rate: connect %q is TURN, STUN, SFU or Unknown, talk %q audio, both, video or none, cents %d at most 1000000", r.Connect, r.Talk, r.Cents)
		}
	}
	return c.Report.Check()
}

// cost is what a sub-session costs, in cents: each minute that has begun since it was connected.
func (c *Config) cost(s *store.TalkSession, p *store.TalkSub) int64 {
	minutes := (p.Seconds + 59) / 60
	for _, r := range c.Rate {
		if among(r.App, "", s.App) && among(r.Connect, "", p.Connect) && among(r.Talk, "", talkTypes[s.Talk]) {
			return min(minutes*r.Cents, 1<<31-1)
		}
	}
	return 0
}
