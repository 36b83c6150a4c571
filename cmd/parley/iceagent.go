package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"parley/internal/iceagent"
	"parley/portal/report"
)

type iceAgentCmd struct {
	Server   string        `help:"Parley's address, such as https://meet.example.org." required:"" placeholder:"URL"`
	KeyFile  string        `help:"File with the secret of the server (roomserver.ice_secret)." required:"" placeholder:"FILE" type:"existingfile"`
	Insecure bool          `help:"The secret may go over plain HTTP to another machine."`
	IP       netip.Addr    `help:"Address of the STUN and TURN server, as clients reach it." required:"" placeholder:"ADDRESS" name:"ip"`
	Iface    string        `help:"Network interface whose rates are reported; without, the one that has that address." placeholder:"IF"`
	Interval time.Duration `help:"How often." default:"5s"`
	Probe    string        `help:"Where the server is asked whether it is there, by STUN; without, at its own address. off: nowhere." placeholder:"HOST:PORT"`

	TurnPort       int    `help:"Its port of TURN; 0: none." default:"3478"`
	StunPort       int    `help:"Its port of STUN; 0: none." default:"3478"`
	MaxBandwidth   int    `help:"What it carries, in kbit/s." required:"" placeholder:"KBIT"`
	Username       string `help:"Name that its users have."`
	CredentialFile string `help:"File with the password that its users have." placeholder:"FILE" type:"existingfile"`
	BundlePolicy   string `help:"Of the connections of its users: max-bundle, balanced or max-compat." enum:",max-bundle,balanced,max-compat" default:""`
	IcePolicy      string `help:"all, or relay for relayed connections alone." enum:",all,relay" default:""`

	MailTo           []string `help:"Who is told when the STUN and TURN server is gone, and when it is back." placeholder:"ADDRESS"`
	MailFrom         string   `help:"Address of the sender." placeholder:"ADDRESS"`
	MailHost         string   `help:"Mail server (SMTP)." placeholder:"HOST"`
	MailPort         int      `help:"Its port; 465 begins with TLS." default:"587"`
	MailUser         string   `help:"Name to log in there."`
	MailPasswordFile string   `help:"File with its password." placeholder:"FILE" type:"existingfile"`
	MailStartTLS     string   `help:"required, optional or off." enum:"required,optional,off" default:"required"`
}

// secretIn reads a file that holds a secret; "" is none.
func secretIn(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	text, err := os.ReadFile(path)
	return strings.TrimRight(string(text), "\r\n"), err
}

// Run runs the agent until it is told to end.
func (c *iceAgentCmd) Run() error {
	key, err := secretIn(c.KeyFile)
	if err != nil {
		return err
	}
	credential, err := secretIn(c.CredentialFile)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	letters, err := c.mail(log)
	if err != nil {
		return err
	}
	agent, err := iceagent.New(iceagent.Config{
		Server: c.Server, Key: key, Insecure: c.Insecure, Interval: c.Interval, Iface: c.Iface, Probe: c.Probe,
		IP: c.IP, TurnPort: c.TurnPort, StunPort: c.StunPort, MaxBandwidth: c.MaxBandwidth, Username: c.Username, Credential: credential,
		Bundle: c.BundlePolicy, Policy: c.IcePolicy,
	}, log, letters.fate)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	mailing := make(chan struct{})
	go func() {
		defer close(mailing)
		letters.run(ctx)
	}()
	agent.Run(ctx)
	<-mailing
	return nil
}

// agentLetters tell by mail what becomes of the STUN and TURN server.
type agentLetters struct {
	smtp  report.Config
	to    []string
	what  string // which server it is
	host  string
	log   *slog.Logger
	queue chan report.Letter
}

func (c *iceAgentCmd) mail(log *slog.Logger) (*agentLetters, error) {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	l := &agentLetters{smtp: report.Defaults(), to: c.MailTo, what: c.IP.String(), host: host, log: log, queue: make(chan report.Letter, 16)}
	if len(c.MailTo) == 0 {
		return l, nil
	}
	password, err := secretIn(c.MailPasswordFile)
	l.smtp.To, l.smtp.From, l.smtp.Host, l.smtp.Port = c.MailTo, c.MailFrom, c.MailHost, c.MailPort
	l.smtp.User, l.smtp.Password, l.smtp.StartTLS = c.MailUser, password, c.MailStartTLS
	if err == nil {
		err = l.smtp.Check()
	}
	return l, err
}

// fate takes that the server is gone, or back. It does not wait.
func (l *agentLetters) fate(up bool, detail string) {
	state := "is gone"
	if up {
		state = "is back"
	}
	now := time.Now().UTC()
	letter := report.Letter{ID: fmt.Sprintf("ice.%s.%d", strings.ReplaceAll(l.what, ":", "-"), now.UnixNano()), To: l.to, Time: now,
		Subject: "STUN and TURN server " + l.what + " " + state,
		Text:    fmt.Sprintf("Host: %s\nServer: %s %s\nDetail: %s\nTime: %s\n", l.host, l.what, state, detail, now.Format(time.RFC3339))}
	if len(l.to) == 0 {
		return
	}
	select {
	case l.queue <- letter:
	default:
		l.log.Error("a mail is not sent: too many wait", "text", letter.Subject)
	}
}

// run sends the letters, each until it has gone, in their order, until ctx ends.
func (l *agentLetters) run(ctx context.Context) {
	for {
		var letter report.Letter
		select {
		case <-ctx.Done():
			return
		case letter = <-l.queue:
		}
		for {
			err := l.smtp.Post(ctx, l.host, letter)
			if err == nil {
				break
			}
			l.log.Error("a mail is not sent; it is tried again", "err", err.Error())
			select {
			case <-ctx.Done():
				return
			case <-time.After(30 * time.Second):
			}
		}
	}
}
