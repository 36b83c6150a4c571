package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"parley/internal/config"
	"parley/internal/doctor"
	"parley/xmpp/route"
	"parley/xmpp/s2s"
)

type doctorPeerCmd struct {
	common
	asking
	Domain string `arg:"" help:"The other server's domain." placeholder:"DOMAIN"`
	From   string `help:"Go as this domain of ours." placeholder:"DOMAIN"`
	JSON   bool   `help:"Print the steps as JSON."`
}

// peerStep is a line of what is printed.
type peerStep struct {
	Level string  `json:"level"`
	Step  string  `json:"step"`
	Took  float64 `json:"took"` // milliseconds
	Text  string  `json:"text"`
}

// Run prints the steps, one line each, and fails if the way does not lead to the end.
func (c *doctorPeerCmd) Run() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cfg, err := config.Load(c.Config)
	if err != nil {
		return err
	}
	running := alive(c.Data)
	if running {
		if cfg, err = runningConfig(c.Data, cfg); err != nil {
			return err
		}
	}
	from := cmp.Or(c.From, cfg.Domain)
	if ours := cfg.Domains(); !slices.Contains(ours, from) {
		return fmt.Errorf("--from: this server has the domains %s", strings.Join(ours, ", "))
	}
	prober, err := c.prober(cfg)
	if err != nil {
		return err
	}
	defer prober.Close(ctx)
	var steps []peerStep
	bad := false
	say := func(s peerStep) {
		if steps = append(steps, s); !c.JSON {
			fmt.Printf("%-5s %-11s %6.0f ms  %s\n", s.Level, s.Step, s.Took, s.Text)
		}
		bad = bad || s.Level == doctor.Fault
	}
	reached := prober.Probe(ctx, from, c.Domain, func(s s2s.Step) { say(told(s)) })
	if reached {
		say(c.ping(ctx, running, from))
	}
	if c.JSON {
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", "\t")
		if err := out.Encode(steps); err != nil {
			return err
		}
	}
	if bad || !reached {
		return fmt.Errorf("%s cannot be reached", c.Domain)
	}
	return nil
}

// told is a step as it is printed.
func told(s s2s.Step) peerStep {
	line := peerStep{doctor.OK, s.Name, float64(s.Took.Microseconds()) / 1000, s.Text}
	if s.Err == nil {
		return line
	}
	line.Level = doctor.Note
	if s.Hard {
		line.Level = doctor.Fault
	}
	if line.Text != "" {
		line.Text += ": "
	}
	line.Text += s.Err.Error()
	if advice := s2s.Explain(s.Err); advice != "" {
		line.Text += "; " + advice
	}
	return line
}

// prober is a server between ours and others that listens nowhere. It shows our certificate, and its dialback keys are those
// of the server that runs, which confirms them.
func (c *doctorPeerCmd) prober(cfg config.Config) (*s2s.Server, error) {
	resolver, err := c.resolver()
	if err != nil {
		return nil, err
	}
	parts := s2s.Parts{Domains: cfg.Domains(), Router: route.New(nil), Log: slog.New(slog.DiscardHandler)}
	if cfg.Domain != "localhost" || c.DNS != "" {
		parts.Resolver = resolver
	}
	data := &dataDir{path: c.Data}
	if _, err := os.Stat(data.file(secretsFile)); err == nil {
		s, err := data.secrets()
		if err != nil {
			return nil, err
		}
		parts.Secret = s.Server
	} else {
		parts.Secret = []byte(rand.Text()) // nobody will confirm it
	}
	certFile, keyFile := cfg.TLS.Certificate, cfg.TLS.Key
	switch {
	case cfg.TLS.ACME:
		certFile = data.file(acmeFile)
		keyFile = certFile
	case certFile == "":
		certFile, keyFile = data.file("certificate.pem"), data.file("key.pem")
	}
	cert, err := openCertificate(certFile, keyFile, parts.Log)
	switch {
	case errors.Is(err, fs.ErrNotExist) && cfg.TLS.Certificate == "":
		cert = new(certificate)
		cert.current.Store(new(tls.Certificate)) // none: the server makes it when it starts
	case err != nil:
		return nil, err
	}
	parts.TLS = cert.config()
	return s2s.New(cfg.Federation, parts)
}

// ping has the server that runs send a ping over the streams that it has, and says how long the answer took.
func (c *doctorPeerCmd) ping(ctx context.Context, running bool, from string) peerStep {
	if !running {
		return peerStep{Level: doctor.Note, Step: "ping", Text: "the server does not run, so that no answer could come"}
	}
	began := time.Now()
	remote, err := dialControl(c.Data)
	if err == nil {
		err = remote.do(ctx, "POST", "/federation/ping?from="+url.QueryEscape(from)+"&to="+url.QueryEscape(c.Domain), nil, nil)
	}
	step := peerStep{doctor.OK, "ping", float64(time.Since(began).Microseconds()) / 1000, "the server that runs got an answer"}
	if err != nil {
		step.Level, step.Text = doctor.Fault, err.Error()+"; the other server has to reach us too: see what parley doctor says of the DNS, and whether port 5269 is open"
	}
	return step
}
