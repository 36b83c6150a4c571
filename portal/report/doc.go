// Package report makes the report of a day from the records of calls, writes it as HTML, text and CSV, and mails it at midnight, or at a later time of day, from
// one server of a cluster (roomserver protocol, R22).
//
// Which server that is a row in the store decides: who has its lease mails. A server that dies between the mail server's
// yes and its own note of it leaves the day to another one, which mails it again: with the same Message-ID, by which mailboxes
// know it as the same. The first server that ever asks finds no days before: of those, the empty ones are not mailed, since nobody
// was there whose calls they would be of.
//
// Letters of other parts of the house go by the same mail server; one about a meeting has an entry for calendars (event.go).
//
// Countries are those that the records have; "unknown" are those of addresses that no file of countries knows.
package report

import (
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"
	_ "time/tzdata" // zones are known on every machine
)

// Config says when, whence and to whom the report of a day is mailed.
type Config struct {
	Zone     string        `help:"in which a day begins and ends, such as Europe/Berlin; empty: UTC"`
	At       string        `help:"time of day in that zone at which the report of the day before is mailed, such as 06:30"`
	To       []string      `help:"addresses that it is mailed to; without any it is not mailed, and can be had from the API"`
	From     string        `help:"address of the sender; empty: parley@DOMAIN"`
	Host     string        `help:"mail server (SMTP)"`
	Port     int           `help:"its port; 465 begins with TLS, others speak STARTTLS"`
	User     string        `help:"name to log in there; empty: no login"`
	Password string        `help:"its password"`
	StartTLS string        `help:"required, optional (where the server offers it), or off. A password is sent by TLS only, or on this machine"`
	Retry    time.Duration `help:"how long until the next try where the mail server refuses; a day is tried until the next one has gone"`
}

// Defaults are the defaults.
func Defaults() Config {
	return Config{At: "00:00", Port: 587, StartTLS: "required", Retry: 5 * time.Minute}
}

// Check reports what cannot be.
func (c *Config) Check() error {
	if _, err := c.zone(); err != nil {
		return fmt.Errorf("records.report.zone: %w", err)
	}
	if _, err := c.at(); err != nil {
		return err
	}
	addresses := c.To
	if c.From != "" {
		addresses = append([]string{c.From}, addresses...)
	}
	for _, a := range addresses {
		if p, err := mail.ParseAddress(a); err != nil || p.Address != a {
			return fmt.Errorf("records.report: %q is no address of mail", a)
		}
	}
	switch {
	case len(c.To) > 0 && c.Host == "":
		return errors.New("records.report.to has receivers, and there is no records.report.host to send by")
	case strings.ContainsAny(c.Host, " \r\n/@"):
		return fmt.Errorf("records.report.host = %q is no host", c.Host)
	case c.Port < 1 || c.Port > 65535:
		return errors.New("records.report.port is not between 1 and 65535")
	case c.StartTLS != "required" && c.StartTLS != "optional" && c.StartTLS != "off":
		return fmt.Errorf("records.report.start_tls is %q; it is required, optional or off", c.StartTLS)
	case c.Retry < time.Second || c.Retry > 6*time.Hour:
		return errors.New("records.report.retry is not between 1s and 6h")
	}
	return nil
}

// at is the time of day, as a time of some day.
func (c *Config) at() (time.Time, error) {
	t, err := time.Parse("15:04", c.At)
	if err != nil || len(c.At) != len("15:04") {
		return t, fmt.Errorf("records.report.at = %q is no time of day such as 06:30", c.At)
	}
	return t, nil
}

func (c *Config) zone() (*time.Location, error) {
	if c.Zone == "Local" {
		return nil, errors.New("name the zone")
	}
	return time.LoadLocation(c.Zone)
}
