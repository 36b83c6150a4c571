// Package alert mails administrators what has become of a server (roomserver protocol, R29): that it was started after a crash, that its
// database, its bridge or an ICE server is lost or back, that the report of a day could not be mailed, that clients say an ICE server does
// not connect them. The mail server is that of the reports.
//
// What is told is a change of a condition, once, however long it lasts. A condition that goes to and fro does not fill mailboxes:
//
//   - each condition has four mails at once, and one more for each hour;
//   - all conditions together have twelve at once, and one more for each half hour;
//   - what goes beyond is held back and gathered: ten minutes after the first of it there is one mail, with how often each of those conditions
//     has changed and how it is now, and the next one is an hour later at the earliest.
//
// So there are at most 84 mails about conditions in a day, whatever happens, and how each of them is in the end is told.
//
// Who tells never waits: a change is put into a queue in memory, which one goroutine mails, in order. While the mail server is away it is
// tried again, up to Config.Keep, then the alert is logged and counted (alert.lost). What waits when the server stops is logged and
// counted too. Each node of a cluster speaks for itself.
package alert

import (
	"errors"
	"fmt"
	"net/mail"
	"time"

	"parley/portal/report"
)

// Config says whom to tell, and when.
type Config struct {
	To         []string      `help:"addresses that are mailed when the server was started after a crash, when the database, the bridge or an ICE server is lost or back, when the report of a day fails; the mail server is that of records.report. Without any nobody is"`
	IceReports int           `help:"when clients of the RoomServer protocol report more often than that in five minutes that an ICE server did not connect them (reportInfo with result 9), that is told too; 0: never"`
	Retry      time.Duration `help:"how long until the next try where the mail server is away or refuses"`
	Keep       time.Duration `help:"how long it is tried; what could not be mailed until then is logged and counted as alert.lost"`
}

// Defaults are the defaults.
func Defaults() Config { return Config{IceReports: 10, Retry: 30 * time.Second, Keep: time.Hour} }

// reportsMost bounds IceReports: so many times are remembered for each ICE server.
const reportsMost = 10_000

// Check reports what cannot be, with this mail server.
func (c *Config) Check(server *report.Config) error {
	for _, a := range c.To {
		if p, err := mail.ParseAddress(a); err != nil || p.Address != a {
			return fmt.Errorf("alerts.to: %q is no address of mail", a)
		}
	}
	switch {
	case len(c.To) > 0 && server.Host == "":
		return errors.New("alerts.to has receivers, and there is no records.report.host to send by")
	case c.IceReports < 0 || c.IceReports > reportsMost:
		return fmt.Errorf("alerts.ice_reports is not between 0 and %d", reportsMost)
	case c.Retry < time.Second || c.Retry > time.Hour:
		return errors.New("alerts.retry is not between 1s and 1h")
	case c.Keep < c.Retry || c.Keep > 7*24*time.Hour:
		return errors.New("alerts.keep is less than alerts.retry, or more than a week")
	}
	return nil
}
