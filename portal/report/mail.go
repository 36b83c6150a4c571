package report

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"strings"
	"time"

	mail "github.com/wneessen/go-mail"
)

// message is the mail with a day's report: text, HTML, and the CSV files beside them.
func message(d *Day, from string, to []string, domain string, now time.Time) (*mail.Msg, error) {
	html, err := d.HTML()
	if err != nil {
		return nil, err
	}
	m := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := m.From(from); err != nil {
		return nil, err
	}
	if err := m.To(to...); err != nil {
		return nil, err
	}
	m.Subject("Calls of " + d.Date + " at " + domain)
	m.SetDateWithValue(now)
	m.SetMessageIDWithValue("calls." + d.Date + "." + strings.NewReplacer("/", "-", "+", "p").Replace(d.Zone) + "@" + domain)
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetBodyString(mail.TypeTextPlain, string(d.Text()))
	m.AddAlternativeString(mail.TypeTextHTML, string(html))
	const kind = "text/csv; charset=utf-8; header=present"
	if err := m.AttachReader("countries-"+d.Date+".csv", bytes.NewReader(d.CountriesCSV()), mail.WithFileContentType(kind)); err != nil {
		return nil, err
	}
	return m, m.AttachReader("calls-"+d.Date+".csv", bytes.NewReader(d.CSV()), mail.WithFileContentType(kind))
}

// Letter is a mail of text, and of what it is about for a calendar.
type Letter struct {
	ID            string // what stands before the domain in its Message-ID: the same whenever it is tried
	To            []string
	Subject, Text string
	Time          time.Time
	Event         *Event // may be nil
}

// Post hands a letter from a domain's server to the mail server, once. When the context ends it returns at once.
func (c *Config) Post(ctx context.Context, domain string, l Letter) error {
	m, err := c.write(domain, l)
	if err != nil {
		return err
	}
	return c.send(ctx, nil, m)
}

func (c *Config) write(domain string, l Letter) (*mail.Msg, error) {
	m := mail.NewMsg(mail.WithNoDefaultUserAgent())
	from := c.From
	if from == "" {
		from = "parley@" + domain
	}
	if err := m.From(from); err != nil {
		return nil, err
	}
	if err := m.To(l.To...); err != nil {
		return nil, err
	}
	m.Subject(l.Subject)
	m.SetDateWithValue(l.Time)
	m.SetMessageIDWithValue(l.ID + "@" + domain)
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetBodyString(mail.TypeTextPlain, l.Text)
	if l.Event != nil {
		m.AddAlternativeString(publish, l.Event.calendar(domain, from))
	}
	return m, nil
}

// mailTime is how long handing a mail over may take.
const mailTime = 2 * time.Minute

// send hands a mail to the mail server.
func (c *Config) send(ctx context.Context, trust *tls.Config, m *mail.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, mailTime)
	defer cancel()
	secure := &tls.Config{ServerName: c.Host, MinVersion: tls.VersionTLS12}
	if trust != nil {
		secure.RootCAs = trust.RootCAs
	}
	ending := ctx
	var conn net.Conn // the library leaves it open where it gives up before the login
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	dial := new(net.Dialer).DialContext
	if c.Port == 465 {
		dial = (&tls.Dialer{Config: secure}).DialContext
	}
	options := []mail.Option{mail.WithPort(c.Port), mail.WithTLSConfig(secure), mail.WithTimeout(mailTime),
		mail.WithDialContextFunc(func(ctx context.Context, network, address string) (_ net.Conn, err error) {
			if conn, err = dial(ctx, network, address); err == nil {
				talk := conn
				context.AfterFunc(ending, func() { talk.Close() }) // a mail server that says nothing holds nobody up
			}
			return conn, err
		})}
	switch {
	case c.Port == 465:
		options = append(options, mail.WithSSL())
	case c.StartTLS == "required":
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	case c.StartTLS == "optional":
		options = append(options, mail.WithTLSPolicy(mail.TLSOpportunistic))
	default:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	}
	if c.User != "" { // by PLAIN over TLS only, or on this machine
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(c.User), mail.WithPassword(c.Password))
	}
	client, err := mail.NewClient(c.Host, options...)
	if err != nil {
		return err
	}
	if err := client.DialAndSendWithContext(ctx, m); !m.IsDelivered() {
		return err
	}
	return nil // whatever was wrong with the goodbye: the mail is theirs now
}
